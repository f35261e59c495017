"""A script that starts a batch wherever it is read is told so, before any process is started."""

import runpy
import subprocess
import sys

import pytest

from jne.batch.main_guard import is_guarded

START = "from jne.batch.cluster import connect\n"
CALL = "with connect('local', 1) as client:\n    print('connected')\n"
SCRIPTS = {
    "at its end": START + CALL,
    "in a function": START + "def main():\n    with connect('local', 1):\n        pass\nmain()\n",
    "under another condition": START + "if True:\n    " + CALL.replace("\n    ", "\n        "),
}


@pytest.mark.parametrize("kind", SCRIPTS)
def test_a_script_without_a_main_guard_is_refused(tmp_path, kind):
    script = tmp_path / "mine.py"
    script.write_text(SCRIPTS[kind])
    with pytest.raises(ValueError, match=rf"{script}, line \d, starts a batch whenever the file is read"):
        runpy.run_path(str(script), run_name="__main__")


def test_its_process_says_it_in_one_message(tmp_path):
    script = tmp_path / "mine.py"
    script.write_text(SCRIPTS["at its end"])
    run = subprocess.run([sys.executable, script], capture_output=True, text=True, timeout=60)
    last = run.stderr.split("ValueError: ")[-1]
    assert run.returncode == 1 and "Nanny" not in run.stderr and "spawn" not in run.stderr
    assert f"{script}, line " in last and 'if __name__ == "__main__":' in last and last.count("\n") < 6


def test_calls_that_are_not_read_again_are_taken():
    assert is_guarded("import jne\nif '__main__' == __name__:\n    jne.x()", 3)
    assert is_guarded("if __name__ != '__main__':\n    raise SystemExit\nx()", 3)
    assert is_guarded("def f():\n    x()\nif __name__ == '__main__' and 1:\n    f()", 4)
    assert not is_guarded("name = __name__\nx()", 2)
    assert not is_guarded("x()\nif __name__ == '__main__':\n    y()", 1)
