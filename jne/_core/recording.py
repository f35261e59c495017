"""Scalars that a notebook records while it runs, kept in the metadata of its outputs for whoever reads it later."""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping
from numbers import Integral, Real
from typing import Any

RECORD_KEY = "jne_record"
"""Where the metadata of an output keep records: pages warn of a kind of data that they cannot show."""

SAID_FIRST = "**Before anything else.**"
"""Begins what must be known before a page is read."""
NOT_SHOWN = "not shown"
"""Under ``jne`` in the metadata of an output that says why something is not shown."""

Scalar = bool | int | float | str


def record(name: str, value: Scalar | Mapping[str, Scalar]) -> None:
    """Record a result of this notebook under ``name``, for the summary of `jne batch`.

    The value becomes part of the cell's output, as a line of text and in its metadata. Recording a name again replaces
    its value. Outside a notebook nothing happens. Numbers that a caption or a remark states are recorded by
    `jne.plotting.show` and `jne.plotting.remark`, without a line of text.

    Parameters
    ----------
    name : str
        A column of the summary.
    value : bool, int, float, str or a mapping of these
        NumPy scalars and arrays of one element too. NaN and infinity are kept as missing. A mapping, such as one value
        per area, or a pandas Series, gives one column ``name.key`` for each key.

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
    entry = record_entry(name, plain_value(name, value))
    if "IPython" not in sys.modules or sys.modules["IPython"].get_ipython() is None:
        return
    from IPython.display import display

    shown = {key: f"{item:.4g}" if isinstance(item, float) else item for key, item in read_entry(entry).items()}
    text = "\n".join(f"{key} = {item}" for key, item in shown.items())
    display({"text/plain": text}, metadata={RECORD_KEY: entry}, raw=True)


def plain_value(name: str, value: Any) -> Scalar | dict[str, Scalar]:
    """``value`` in Python's own types: a scalar, or a dictionary of scalars by text."""
    if hasattr(value, "items"):
        return {str(key): _scalar(f"{name}.{key}", item) for key, item in value.items()}
    return _scalar(name, value)


def record_entry(name: str, value: Scalar | dict[str, Scalar]) -> dict[str, Any]:
    """What the metadata of an output keep of a plain value."""
    if not isinstance(name, str) or not name.strip() or "." in name:
        raise ValueError(f"name={name!r}; expected a text without a dot, such as 'median_r2'")
    if isinstance(value, dict):
        # Notebook files sort the keys of a mapping; the order, such as that of areas, is kept in lists.
        return {"name": name, "keys": list(value), "values": [_finite(item) for item in value.values()]}
    return {"name": name, "value": _finite(value)}


def read_entry(entry: Mapping[str, Any]) -> dict[str, Scalar | None]:
    """``{name: value}`` of one entry, a mapping as ``name.key``."""
    if "keys" not in entry:
        return {entry["name"]: entry["value"]}
    return {f"{entry['name']}.{key}": item for key, item in zip(entry["keys"], entry["values"], strict=True)}


def _scalar(name: str, value: Any) -> Scalar:
    if getattr(value, "size", None) == 1:
        value = value.item()
    if isinstance(value, bool | str):
        return value
    if isinstance(value, Integral):
        return int(value)
    if isinstance(value, Real):
        return float(value)
    raise ValueError(f"value of {name!r} is a {type(value).__name__}; accepted are bool, int, float, str, or a mapping")


def _finite(value: Scalar) -> Scalar | None:
    """JSON has neither NaN nor infinity."""
    return None if isinstance(value, float) and not math.isfinite(value) else value
