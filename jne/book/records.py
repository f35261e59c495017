"""What notebooks recorded while they ran, read from the executed notebook."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from jne._core import RECORD_KEY, read_entry, read_json
from jne.book.notebook_files import read_notebook

RECORDS = "JNE_RECORDS"
"""The environment variable that names, for a chapter that comes after others, the file of what these recorded."""


def read_records(notebook: Path | Mapping) -> dict[str, bool | int | float | str | None]:
    """What an executed notebook recorded, by `jne.record` or in its captions and remarks.

    Returns
    -------
    dict
        ``{name: value}``, mappings as ``name.key``; None is a missing value. What captions state comes last.

    Raises
    ------
    ValueError
        If the file is no notebook, or its records have another form.
    """
    content = notebook if isinstance(notebook, Mapping) else read_notebook(notebook)
    outputs = [output for cell in content["cells"] for output in cell.get("outputs", ())]
    kept = [output["metadata"][RECORD_KEY] for output in outputs if RECORD_KEY in output.get("metadata", {})]
    last = {}
    try:
        for entries in kept:
            stated = isinstance(entries, list)  # in a caption or a remark
            last |= {entry["name"]: (stated, entry) for entry in (entries if stated else [entries])}
        ordered = sorted(last.values(), key=lambda found: found[0])
        return {key: item for _, entry in ordered for key, item in read_entry(entry).items()}
    except (ValueError, KeyError, TypeError) as error:
        place = "the notebook" if isinstance(notebook, Mapping) else notebook
        raise ValueError(f"{place} holds a record of another form ({type(error).__name__}: {error})") from error


def chapter_records() -> dict[str, dict[str, bool | int | float | str | None]]:
    """What the chapters that this one comes after have recorded: ``{chapter: {name: value}}``.

    A notebook names them in its metadata, ``{"jne": {"after": ["hierarchy"]}}``; `jne book` runs them before it, or
    takes them from an earlier build.

    Raises
    ------
    ValueError
        If the notebook runs on its own, where nobody has run the others.
    """
    if not (path := os.environ.get(RECORDS)):
        raise ValueError("this chapter reads what others record: run it with `jne book --only CHAPTER`")
    return read_json(path, "records of chapters")
