"""Single-trial responses of THINGS-fMRI: one array of a pandas "fixed" frame, of which h5py reads the wanted rows.

Beside its numbers such a frame keeps its labels as pickles (``axis0``, ``block0_items``), which run code when they are
opened. They are never read: rows are the voxels and columns the trials of the study's own tables.
"""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np

from jne._core import RefusedError, check_held, open_hdf5, reading

_GROUP = "ResponseData"
_HINT = "Compare its size with the original, and download it again"


class ResponseRows:
    """Rows of the responses, read when they are asked for.

    Parameters
    ----------
    path : Path
        ``sub-01_ResponseData.h5``.
    n_voxels, n_trials : int
        Rows and columns that it must have, by the study's tables.
    voxels, stimuli : Path
        The tables, for errors.

    Raises
    ------
    ValueError
        If it is damaged, or has no array of this shape; what it has is named.
    """

    def __init__(self, path: Path, n_voxels: int, n_trials: int, voxels: Path, stimuli: Path):
        self.path, self.n_voxels = path, n_voxels
        with reading(path, "responses", "HDF5", _HINT), open_hdf5(path, "responses") as file:
            group = file[_GROUP] if _GROUP in file else file
            arrays = {
                name: item
                for name, item in group.items()
                if isinstance(item, h5py.Dataset) and item.dtype.kind in "fiu" and item.ndim == 2
            }
            fitting = [
                name for name, item in arrays.items() if item.dtype.kind == "f" and item.shape == (n_voxels, n_trials)
            ]
            ids = [item for item in arrays.values() if item.dtype.kind in "iu" and item.shape == (n_voxels, 1)]
            if len(fitting) != 1:
                has = ", ".join(f"{name} {item.shape} {item.dtype}" for name, item in arrays.items()) or "none"
                raise RefusedError(
                    f"responses: {path} has no array ({n_voxels} voxels of {voxels.name}, {n_trials} trials of "
                    f"{stimuli.name}) of floating-point numbers; its arrays are {has}. The three files must be of one "
                    "subject, and of one version of the study"
                )
            if ids and not np.array_equal(ids[0][:, 0], np.arange(n_voxels)):
                raise RefusedError(
                    f"responses: the voxel ids in {path} are not 0, 1, 2, ... in order, so its rows cannot be matched "
                    f"to {voxels}. Download both again"
                )
            self._name = group[fitting[0]].name
            self._step = (group[fitting[0]].chunks or (1,))[0]
            self.itemsize = group[fitting[0]].dtype.itemsize

    def read(self, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
        """Responses of some voxels, ascending, to some trials: ``(n_trials, n_rows)``, in the file's own type."""
        with reading(self.path, "responses", "HDF5", _HINT), open_hdf5(self.path, "responses") as file:
            values = file[self._name]
            check_held(2 * len(rows) * values.shape[1] * self.itemsize, f"responses: a block of {self.path}")
            out = np.empty((len(rows), len(columns)), values.dtype)
            start = 0
            # Rows that are packed together are unpacked once.
            for group in np.split(rows, np.flatnonzero(np.diff(rows // self._step)) + 1):
                block = values[group[0] : group[-1] + 1]
                out[start : start + len(group)] = block[group - group[0]][:, columns]
                start += len(group)
        return out.T
