"""No path of this machine on a page: what parameters name shows as a file's name, the clone's folder as nothing."""

from __future__ import annotations

import html
import json
import re
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import nbformat

from jne._core import as_written


def presentable(value):
    """A parameter's value with the name of each file or folder, however deep, in place of its absolute path."""
    if isinstance(value, dict):
        return {name: presentable(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(presentable(item) for item in value)
    return Path(value).name if _is_path(value) else value


def path_hider(values: Iterable, root: Path) -> Callable[[str], str]:
    """A function of a text that hides the paths in ``values`` (of parameters), in the clone, in Python, and at home.

    A path is found as it is, quoted by Python or JSON, and escaped for a page.
    """
    named = sorted({path for value in values for path in _paths(value)}, key=len, reverse=True)
    changes: list[tuple[str, Callable[[re.Match], str]]] = []
    for path in named:
        changes += [(re.escape(one), lambda found, name=Path(path).name: name) for one in _spellings(path)]
    for folder, name in ((sys.prefix, "."), (root, "."), (Path.home(), "~")):
        inside = "" if name == "." else "~/"
        for spelling in _spellings(str(folder)) if Path(folder).name else ():
            pattern = rf"{re.escape(spelling)}(/|(?![\w.-]))"
            changes.append((pattern, lambda found, name=name, inside=inside: inside if found[1] else name))
    kernel = rf"(?:{re.escape(tempfile.gettempdir())}|[\w./~-]*)/ipykernel_\d+/\d+\.py"
    changes.insert(0, (kernel, lambda found: "cell"))
    compiled = [(re.compile(pattern), change) for pattern, change in changes]

    def hide(text: str) -> str:
        for pattern, change in compiled:
            text = pattern.sub(change, text)
        return text

    return hide


def hide_in(node, hide: Callable[[str], str]):
    """A notebook, or a part of it, with every text but those of pictures changed."""
    if isinstance(node, str):
        return hide(node)
    if isinstance(node, list):
        return [hide_in(item, hide) for item in node]
    if isinstance(node, dict):
        changed = {name: item if str(name).startswith("image/") else hide_in(item, hide) for name, item in node.items()}
        return nbformat.from_dict(changed)
    return node


def _is_path(value) -> bool:
    if not isinstance(value, str | Path) or not Path(value).is_absolute() or not Path(value).name:
        return False
    try:
        return Path(value).suffix == ".nc" or Path(value).exists()
    except (OSError, ValueError):  # too long for a path, or not one
        return False


def _paths(value) -> Iterator[str]:
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list | tuple):
        for item in value:
            yield from _paths(item)
    elif _is_path(value):
        yield str(value)


def _spellings(path: str) -> list[str]:
    """As it is, and as it stands in texts that quote it; the longest first."""
    quoted = {repr(path)[1:-1], json.dumps(path)[1:-1], json.dumps(path, ensure_ascii=False)[1:-1]}
    escaped = {html.escape(path), html.escape(path, quote=False), re.sub(r"</?bdi[^>]*>", "", as_written(path))}
    return sorted({path, *quoted, *escaped, *(repr(one)[1:-1] for one in quoted)}, key=len, reverse=True)
