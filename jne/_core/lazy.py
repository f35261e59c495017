"""Faces of packages whose modules load on first use, read from the stubs that type checkers read."""

from __future__ import annotations

import ast
import importlib
import sys
from collections.abc import Callable
from pathlib import Path


def lazy_face(package: str, file: str) -> tuple[Callable[[str], object], Callable[[], list[str]], list[str]]:
    """``__getattr__``, ``__dir__`` and ``__all__`` of ``package``, from the stub (.pyi) beside its ``file``.

    Each ``from MODULE import NAME as NAME`` of the stub is carried out at the first use of the name, so that
    importing the package costs nothing.
    """
    statements = ast.parse(Path(file).with_suffix(".pyi").read_text(encoding="utf-8")).body
    imports = [node for node in statements if isinstance(node, ast.ImportFrom)]
    home = {alias.name: str(node.module) for node in imports for alias in node.names}

    def get(name: str) -> object:
        if name not in home:
            raise AttributeError(f"module {package!r} has no attribute {name!r}; it has {', '.join(sorted(home))}")
        value = getattr(importlib.import_module(home[name]), name)
        # A function may have its module's name; importing the module has then set the module here.
        setattr(sys.modules[package], name, value)
        return value

    return get, lambda: sorted(home), sorted(home)
