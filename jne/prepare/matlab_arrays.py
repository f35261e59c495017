"""Arrays of a MATLAB file of version 7.3, which is HDF5 with its own ways: axes reversed, text as numbers or cells."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import h5py
import numpy as np

from jne._core import N_VERTICES, RefusedError, check_held, n_bytes, open_hdf5

MATLAB_ENDING = ".mat"
_OLD = b"MATLAB 5.0 MAT-file"
_OWN = ("#refs#", "#subsystem#")
_HOW = "convert it in MATLAB before it is saved: cellstr(x) of strings and categories, x.field of tables"


def load_matlab(path: Path, names: Sequence[str]) -> tuple[list[str], dict[str, np.ndarray]]:
    """What arrays there are, and those of these names as MATLAB has them: ``size(x)`` is their shape.

    Numbers and logicals as numbers; a matrix of characters, with a text a row, and cells of characters as text.

    Raises
    ------
    RefusedError
        If the file is of an older version, or an array was not saved by MATLAB, so that the order of its axes is not
        known, or holds what is neither number nor text.
    """
    with path.open("rb") as raw:
        if raw.read(len(_OLD)) == _OLD:
            raise RefusedError(
                f"input: {path} is a MATLAB file of version 7 or older; save it as save('{path.name}', ..., '-v7.3')"
            )
    with open_hdf5(path, "input") as file:
        known: list[str] = []
        file.visititems(lambda key, item: known.append(key) if isinstance(item, h5py.Dataset) else None)
        known = [key for key in known if key.split("/")[0] not in _OWN]
        chosen = [name for name in dict.fromkeys(names) if name in known]
        check_held(sum(n_bytes(file[name]) for name in chosen), f"input: {', '.join(names)} of {path}")
        return known, {name: _values(file, file[name], f"map: the array {name!r} of {path}") for name in chosen}


def as_vector(values: np.ndarray) -> np.ndarray:
    """One row or one column, as MATLAB has no vectors, as ``(n,)``; anything else as it is."""
    return values.ravel() if values.ndim == 2 and 1 in values.shape else values


def counted_from_zero(
    arrays: Mapping[str, np.ndarray], path: Path, mesh: str | None, report: Callable[[str], object]
) -> dict[str, np.ndarray]:
    """The arrays by role, ``roi`` and ``vertex`` counted from 0; an area of 0 becomes none.

    Raises
    ------
    ValueError
        If areas may count from 0 or from 1, which the message explains.
    """
    arrays = dict(arrays)
    names, roi = arrays.get("roi_names"), arrays.get("roi")
    if names is not None and roi is not None and roi.dtype.kind in "fiu" and np.isfinite(roi).any():
        low, high = int(np.nanmin(roi)), int(np.nanmax(roi))
        if low == 0 and high < len(names):
            raise ValueError(
                f"roi of {path} goes from 0 to {high}, and roi_names has {len(names)} areas. MATLAB counts from 1, and "
                "0 would be no area; but then the last area has no voxel. Save roi + 1 if 0 is the first area, or "
                f"only the first {high} names if 0 is none"
            )
        arrays["roi"] = np.where(roi == 0, np.nan, np.asarray(roi, float) - 1)
        report("roi: numbers count into roi_names from 1, as in MATLAB; 0 is no area.")
    vertex = arrays.get("vertex")
    if vertex is not None and vertex.dtype.kind in "fiu" and vertex.size and vertex.min() > 0:
        if vertex.max() == N_VERTICES.get(mesh or ""):
            arrays["vertex"] = vertex - 1
            report(
                f"vertex: counts from 1, as its largest is {int(vertex.max())}, the size of {mesh}; 1 is subtracted."
            )
        else:
            report(
                f"vertex: goes from {int(vertex.min())} to {int(vertex.max())}, so it may count from 0 or, as MATLAB "
                "does, from 1. It is taken as it is, from 0: if it counts from 1, save vertex - 1."
            )
    return arrays


def _values(file: h5py.File, item: h5py.Dataset, what: str) -> np.ndarray:
    kind = _kind(item)
    if kind == "cell":
        # Cells lie the other way round, too.
        return np.array([_text(file[ref], what) for ref in item[...].T.ravel(order="F")], str)
    if kind == "char":
        return np.zeros(0, str) if _is_empty(item) else _rows(item)
    if kind is None:
        raise RefusedError(
            f"{what} was not saved by MATLAB (it has no MATLAB_class), so it is not known whether its axes are in "
            "MATLAB's order or the other way round. If they are as Python has them, call the file .h5"
        )
    if item.dtype.kind not in "fiub" or "MATLAB_object_decode" in item.attrs:
        raise RefusedError(f"{what} is of MATLAB's class {kind}, which other programs cannot read; {_HOW}")
    return np.zeros((0, 0)) if _is_empty(item) else item[...].T


def _kind(item: h5py.Dataset) -> str | None:
    kind = item.attrs.get("MATLAB_class")
    return kind.decode("ascii", "replace") if isinstance(kind, bytes) else kind


def _is_empty(item: h5py.Dataset) -> bool:
    return bool(item.attrs.get("MATLAB_empty", 0))


def _rows(item: h5py.Dataset) -> np.ndarray:
    """A text for each row of a matrix of characters; the blanks behind it, which only fill the row, are cut off."""
    codes = np.atleast_2d(item[...].T).astype(np.uint16)
    return np.array([row.tobytes().decode("utf-16-le", "replace").rstrip() for row in codes], str)


def _text(item: h5py.Dataset, what: str) -> str:
    if not isinstance(item, h5py.Dataset) or _kind(item) != "char":
        kind = _kind(item) if isinstance(item, h5py.Dataset) else "struct"
        raise RefusedError(f"{what} is a cell array with {kind} in it; needed: characters in every cell, as of cellstr")
    return "" if _is_empty(item) else str(_rows(item)[0])
