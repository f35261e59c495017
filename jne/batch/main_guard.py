"""Scripts that every process of a batch would run again: told before any process is started."""

from __future__ import annotations

import ast
import sys
from pathlib import Path
from types import FrameType

_NEEDED = """{path}, line {line}, starts a batch whenever the file is read, and each process of a batch reads it. Put \
what starts it under a main guard:

    if __name__ == "__main__":
        {call}"""


def check_main_guard(frame: FrameType | None = None) -> None:
    """Refuse to start processes from a script whose call stands under no ``if __name__ == "__main__"``.

    Parameters
    ----------
    frame : frame, optional
        Where to begin to look for the script; by default the caller.

    Raises
    ------
    ValueError
        With the file, the line, and how it must look.
    """
    main = sys.modules.get("__main__")
    path, spec = getattr(main, "__file__", None), getattr(main, "__spec__", None)
    # Notebooks and consoles have no file, and of `python -m package` nothing is read again.
    if path is None or (spec is not None and spec.name.split(".")[-1] == "__main__"):
        return
    frame = frame or sys._getframe(1)
    while frame and not (frame.f_globals is vars(main) and frame.f_code.co_name == "<module>"):
        frame = frame.f_back
    if frame is None:
        return
    try:
        source = Path(path).read_text(encoding="utf-8")
        if not is_guarded(source, frame.f_lineno):
            call = source.splitlines()[frame.f_lineno - 1].strip()
            raise ValueError(_NEEDED.format(path=path, line=frame.f_lineno, call=call))
    except (OSError, SyntaxError, UnicodeDecodeError):  # not a script of Python, such as a zip of one
        return


def is_guarded(source: str, line: int) -> bool:
    """Whether a line stands in, or behind, a condition on ``__name__``.

    Examples
    --------
    >>> is_guarded("if __name__ == '__main__':\\n    run_batch()", 2), is_guarded("run_batch()", 1)
    (True, False)
    """
    conditions = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.If) and node.lineno <= line]
    return any(
        isinstance(part, ast.Name) and part.id == "__name__" for node in conditions for part in ast.walk(node.test)
    )
