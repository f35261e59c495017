"""Parts have names that nobody can guess, and are removed by no other; one process at a time makes a file."""

import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest

from jne._core import DiskFullError, alone, atomic_folder, atomic_path, folder_name, write_json, write_text


def dead_process() -> int:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def test_no_link_at_the_name_of_a_part_is_written_through(tmp_path):
    precious = tmp_path / "precious"
    precious.write_text("precious")
    for name in (f".out.{platform.node()}.{os.getpid()}.part", ".out.part", "out.part"):
        (tmp_path / name).symlink_to(precious)
    write_text("new", tmp_path / "out")
    assert (tmp_path / "out").read_text() == "new" and precious.read_text() == "precious"


def test_names_of_parts_differ_and_are_taken_by_nobody(tmp_path, monkeypatch):
    seen = []
    for _ in range(3):
        with atomic_path(tmp_path / "out") as part:
            assert part.exists() and not part.stat().st_size
            seen.append(part.name)
            part.write_text("x")
    assert len(set(seen)) == 3
    monkeypatch.setattr("secrets.token_hex", lambda n: "guessed")
    (tmp_path / f".out.{platform.node()}.{os.getpid()}.guessed.part").symlink_to(tmp_path / "precious")
    with pytest.raises(FileExistsError):
        write_text("new", tmp_path / "out")
    assert not (tmp_path / "precious").exists() and (tmp_path / "out").read_text() == "x"


@pytest.mark.parametrize("name", ["*", "?", "[ab]", "*.nc", "a*", "[!x].nc", "**"])
def test_signs_in_a_name_are_no_patterns(tmp_path, name):
    pid = dead_process()
    others = [tmp_path / f".{other}.{platform.node()}.{pid}.part" for other in ("a", "b", "a.nc", "other.nc", "ab")]
    own = [tmp_path / f".{name}.{platform.node()}.{pid}{more}.part" for more in ("", ".0123")]
    for path in (*others, *own):
        path.write_text("left by a process that is gone")
    write_json({}, tmp_path / name)
    assert all(path.exists() for path in others) and not any(path.exists() for path in own)


def test_a_part_of_a_living_process_stays(tmp_path):
    left = [tmp_path / f".out.{platform.node()}.{pid}.ab.part" for pid in (os.getpid(), 10**30, "x")]
    for path in left:
        path.write_text("")
    write_text("new", tmp_path / "out")
    assert all(path.exists() for path in left)


def test_a_full_quota_is_a_full_disk(tmp_path):
    import errno

    (tmp_path / "out").write_text("old")
    for error in (OSError(errno.EDQUOT, "Disk quota exceeded"), RuntimeError("I/O error (os error 28)")):
        with pytest.raises(DiskFullError, match=r"no space left .*out: .* needed, .* free"):
            with atomic_path(tmp_path / "out"):
                raise error
    assert [path.name for path in tmp_path.iterdir()] == ["out"] and (tmp_path / "out").read_text() == "old"


def test_one_process_at_a_time_makes_a_file(tmp_path):
    code = "import sys; from jne._core import alone\nwith alone(sys.argv[1]): pass"
    for there in (False, True):
        if there:
            (tmp_path / "out").write_text("old")
        with alone(tmp_path / "out"):
            run = subprocess.run([sys.executable, "-c", code, tmp_path / "out"], capture_output=True, text=True)
            assert run.returncode == 1 and "another process writes" in run.stderr
            with pytest.raises(BlockingIOError, match=r"another process writes .*out; wait until it has ended"):
                with alone(tmp_path / "out"):
                    pass
        subprocess.run([sys.executable, "-c", code, tmp_path / "out"], check=True)
        assert not list(tmp_path.glob(".*"))


@pytest.mark.parametrize("stem", ["..", ".", "...", ".git", "html", "HTML"])
def test_names_of_folders_lead_nowhere_else(stem):
    assert folder_name(stem, {"html"}) == f"_{stem}" and folder_name("a..b", {"html"}) == "a..b"


def test_a_folder_that_cannot_take_its_place_leaves_the_one_that_is_there(tmp_path, monkeypatch):
    (tmp_path / "book").mkdir()
    (tmp_path / "book/index.html").write_text("the last good book")
    rename = Path.rename

    def refused(self, target):
        if target.name == "book" and not (self / "index.html").exists():
            raise PermissionError("not here")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", refused)
    with pytest.raises(PermissionError), atomic_folder(tmp_path / "book"):
        pass
    assert (tmp_path / "book/index.html").read_text() == "the last good book"
    assert [path.name for path in tmp_path.iterdir()] == ["book"]
