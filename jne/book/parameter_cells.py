"""The cell tagged ``parameters`` as IPython reads it: Python, with lines for the notebook itself among it."""

from __future__ import annotations

import ast
import re

_MAGIC = re.compile(r"(?P<indent>\s*)(?:[%!?].*|.*\?\s*)")  # %load_ext, !ls, ?name, name?
_ASSIGNED = re.compile(r"(?P<left>\s*[\w\s,.]+=\s*)(?P<right>[%!].*)")  # files = !ls


def parse_cell(source: str, where: str) -> ast.Module:
    """The syntax tree of a cell, in which lines and columns are those of ``source``.

    Raises
    ------
    ValueError
        If it is no Python; the message begins with ``where`` and has the line.
    """
    lines = source.split("\n")
    while True:
        try:
            flags = ast.PyCF_ONLY_AST | ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
            tree = compile("\n".join(lines), "parameters", "exec", flags, dont_inherit=True)
        except SyntaxError as error:
            number = (error.lineno or 1) - 1
            if number < len(lines) and _without_magic(lines, number):
                continue
            text = f": {lines[number].strip()[:100]}" if number < len(lines) else ""
            raise ValueError(f"{where} is no Python: {error.msg}, in its line {number + 1}{text}") from error
        except (ValueError, RecursionError, MemoryError) as error:
            raise ValueError(f"{where} is no Python ({type(error).__name__}: {error})") from error
        assert isinstance(tree, ast.Module)  # noqa: S101  # for mypy: a flag asks for it
        return tree


def _without_magic(lines: list[str], number: int) -> bool:
    """Put Python in place of a line that is IPython's own, with the lines that go on with it; False of any other."""
    line = lines[number]
    if match := _ASSIGNED.fullmatch(line):
        # A name, as long as what stands there, so that columns stay.
        lines[number] = match["left"] + "_" * len(match["right"].encode())
    elif match := _MAGIC.fullmatch(line):
        lines[number] = f"{match['indent']}pass"
    else:
        return False
    while line.endswith("\\") and number + 1 < len(lines):
        number += 1
        line, lines[number] = lines[number], ""
    return True
