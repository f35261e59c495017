"""Scalars that a notebook records while it runs, kept in the executed notebook for whoever reads it later."""

from __future__ import annotations

import json
import math
import os
import sys
from collections.abc import Mapping
from numbers import Integral, Real
from pathlib import Path

KEY = "jne_record"
"""Where the metadata of an output keep a record: pages warn of a kind of data that they cannot show."""

RECORDS = "JNE_RECORDS"
"""The environment variable that names, for a chapter that comes after others, the file of what these recorded."""


def record(name: str, value: bool | int | float | str | Mapping[str, bool | int | float | str]) -> None:
    """Record a result of this notebook under ``name``, for the summary of `jne batch`.

    The value becomes part of the cell's output, as a line of text and in its metadata. Recording a name again replaces
    its value. Outside a notebook nothing happens.

    Parameters
    ----------
    name : str
        A column of the summary.
    value : bool, int, float, str or a mapping of these
        NumPy scalars and arrays of one element too. NaN and infinity are kept as missing. A mapping, such as one value
        per area, gives one column ``name.key`` for each key.

    Raises
    ------
    ValueError
        If the name is not a text without a dot, or a value is no scalar.

    Examples
    --------
    >>> from jne import record
    >>> record("median_r2", 0.31)
    >>> record("nonlinear_share", {"V1": 0.1, "V2": 0.2})
    """
    if not isinstance(name, str) or not name.strip() or "." in name:
        raise ValueError(f"name={name!r}; expected a text without a dot, such as 'median_r2'")
    if isinstance(value, Mapping):
        plain = {str(key): _plain(f"{name}.{key}", item) for key, item in value.items()}
    else:
        plain = _plain(name, value)
    if "IPython" not in sys.modules or sys.modules["IPython"].get_ipython() is None:
        return
    from IPython.display import display

    shown = {key: f"{item:.4g}" if isinstance(item, float) else item for key, item in _flat(name, plain).items()}
    text = "\n".join(f"{key} = {item}" for key, item in shown.items())
    # Notebook files sort the keys of a mapping; the order, such as that of areas, is kept in lists.
    kept = {"keys": list(plain), "values": list(plain.values())} if isinstance(plain, dict) else {"value": plain}
    display({"text/plain": text}, metadata={KEY: {"name": name, **kept}}, raw=True)


def read_records(notebook: Path | Mapping) -> dict[str, bool | int | float | str | None]:
    """What an executed notebook recorded: ``{name: value}``, mappings as ``name.key``; None is a missing value."""
    import nbformat

    content = notebook if isinstance(notebook, Mapping) else nbformat.read(notebook, as_version=4)
    outputs = [output for cell in content["cells"] for output in cell.get("outputs", ())]
    kept = [output["metadata"][KEY] for output in outputs if KEY in output.get("metadata", {})]
    last = {
        entry["name"]: dict(zip(entry["keys"], entry["values"], strict=True)) if "keys" in entry else entry["value"]
        for entry in kept
    }
    return {key: item for name, value in last.items() for key, item in _flat(name, value).items()}


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
    return json.loads(Path(path).read_text())


def _flat(name: str, value) -> dict:
    return {f"{name}.{key}": item for key, item in value.items()} if isinstance(value, Mapping) else {name: value}


def _plain(name: str, value) -> bool | int | float | str | None:
    """As JSON keeps it."""
    if getattr(value, "size", None) == 1:
        value = value.item()
    if isinstance(value, bool | str):
        return value
    if isinstance(value, Integral):
        return int(value)
    if isinstance(value, Real):
        return float(value) if math.isfinite(value) else None
    raise ValueError(f"value of {name!r} is a {type(value).__name__}; accepted are bool, int, float, str, or a mapping")
