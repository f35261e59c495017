"""JSON written whole or not at all; what is read again holds a digest of itself."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jne._core.damage import DamagedError, reading
from jne._core.digests import DIGEST, compare, guarded, parts_digest
from jne._core.files import write_text
from jne._core.opening import read_bytes
from jne._core.plain_values import plain
from jne._core.versions import FORMAT_VERSION


def write_json(content: Mapping, path: str | Path, *, sort_keys: bool = True) -> Path:
    """Write ``content`` to ``path`` as indented JSON, atomically."""
    return write_text(json.dumps(plain(content), indent=2, sort_keys=sort_keys) + "\n", path)


def read_json(path: str | Path, what: str) -> Any:
    """The content of a JSON file.

    Raises
    ------
    ValueError
        If it is none.
    """
    with reading(path, what, "JSON"):
        return json.loads(read_bytes(path, what))


def write_sealed_json(content: Mapping, path: str | Path) -> Path:
    """Write a mapping in its order, with the version of the format and a digest, for `read_sealed_json`."""
    # As they come back: keys are texts, and there are no tuples.
    content = json.loads(json.dumps(plain({**content, "format_version": FORMAT_VERSION})))
    return write_json({**content, DIGEST: _digest(content)}, path, sort_keys=False)


def read_sealed_json(path: str | Path, what: str) -> dict[str, Any]:
    """What `write_sealed_json` was given, compared with its digest; of an earlier version without.

    Raises
    ------
    DamagedError
        If the file is no such mapping, or not what was written.
    """
    content = read_json(path, what)
    if not isinstance(content, dict):
        raise DamagedError(f"{what}: {path} holds a {type(content).__name__}, not a record")
    given = content.pop(DIGEST, None)
    if guarded(given, content.get("format_version"), path, what):
        compare(_digest(content), given, path, what)
    content.pop("format_version", None)
    return content


def _digest(content: Mapping) -> str:
    return parts_digest({"content": json.dumps(content)})
