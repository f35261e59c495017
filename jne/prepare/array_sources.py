"""Named arrays of one `.npz`, HDF5 or MATLAB file, read without pickles."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import h5py
import numpy as np

from jne._core import (
    HDF5_ENDINGS,
    check_held,
    decoded_each,
    n_bytes,
    npz_headers,
    open_hdf5,
    plain_file,
    read_npz,
    reading,
)
from jne.prepare.matlab_arrays import MATLAB_ENDING, load_matlab


def load_named(path: Path, names: Sequence[str]) -> Mapping[str, np.ndarray]:
    """Arrays of a file by name; an error if it is damaged, lacks one, or holds what is neither number nor text."""
    if not plain_file(path, "input").is_file():
        raise ValueError(f"input: there is no file {path}")
    readers = {".npz": _load_npz, MATLAB_ENDING: load_matlab, **dict.fromkeys(HDF5_ENDINGS, _load_hdf5)}
    if path.suffix not in readers:
        raise ValueError(f"input: {path} ends in {path.suffix!r}; accepted are .npz, .h5, .hdf5 and MATLAB's .mat")
    with reading(path, "input", path.suffix):
        known, found = readers[path.suffix](path, names)
    for name in names:
        if name not in known:
            raise ValueError(f"map: {path} has no array {name!r}; it has {', '.join(known) or 'none'}")
        if not isinstance(found[name], np.ndarray) or found[name].dtype.kind in "OV":
            raise ValueError(
                f"map: the array {name!r} of {path} holds references or objects, as a cell array or table of MATLAB "
                "does; save it as plain numbers or text (such as whole numbers, and a list of their names)"
            )
    return found


def _load_npz(path: Path, names: Sequence[str]) -> tuple[list[str], dict[str, np.ndarray]]:
    return list(npz_headers(path, "input")), read_npz(path, names, "input")


def _load_hdf5(path: Path, names: Sequence[str]) -> tuple[list[str], dict[str, np.ndarray]]:
    with open_hdf5(path, "input") as file:
        known: list[str] = []
        file.visititems(lambda key, item: known.append(key) if isinstance(item, h5py.Dataset) else None)
        size = sum(n_bytes(file[name]) for name in set(names) & set(known))
        check_held(size, f"input: {', '.join(names)} of {path}")
        return known, {name: _h5_values(file[name], path) for name in names if name in known}


def _h5_values(item: h5py.Dataset, path: Path) -> np.ndarray:
    # UTF-8, of which ASCII is a part, as some write it without saying so.
    place = f"input: the array {item.name!r} of {path}"
    return decoded_each(item[...], place) if h5py.check_string_dtype(item.dtype) else item[...]
