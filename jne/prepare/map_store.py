"""The maps of a study on disk while a dataset is made of them: written map by map, read by blocks of voxels."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from jne._core import format_bytes, reserve, spans
from jne.prepare.array_files import to_float32

_READ_BYTES = 64 * 2**20


class MapStore:
    """``(n_maps, n_voxels)``, float32, in a nameless file beside the dataset; it vanishes with the process.

    Parameters
    ----------
    out : Path
        The dataset file.
    n_maps, n_voxels : int

    Raises
    ------
    ValueError
        If there is no room for the maps and a dataset of as many values.
    """

    def __init__(self, out: Path, n_maps: int, n_voxels: int):
        self.shape = n_maps, n_voxels
        folder = next(parent for parent in out.absolute().parents if parent.is_dir())
        self.size = 4 * n_maps * n_voxels
        if (free := shutil.disk_usage(folder).free) < 2 * self.size:
            raise ValueError(
                f"out: {format_bytes(2 * self.size)} are needed beside {out}, half of them only until it is done, and "
                f"{format_bytes(free)} are free in {folder}. Free some space, write elsewhere, or take fewer voxels"
            )
        self._file = tempfile.TemporaryFile(dir=folder)
        reserve(self._file, self.size)

    def __enter__(self) -> MapStore:
        return self

    def __exit__(self, *error) -> None:
        self._file.close()

    def write(self, first_map: int, first_voxel: int, rows: Iterable[np.ndarray]) -> None:
        """Maps from ``first_map`` on, of voxels from ``first_voxel`` on: each row is one map."""
        for i, row in enumerate(rows, first_map):
            self._file.seek(4 * (i * self.shape[1] + first_voxel))
            self._file.write(to_float32(row).tobytes())
        self._file.flush()

    def read(self, voxels: slice) -> np.ndarray:
        """All maps of some voxels, ``(n_maps, n_voxels)``, float32."""
        out = np.empty((self.shape[0], voxels.stop - voxels.start), np.float32)
        # A few rows at a time: what a mapped file has shown counts as memory of the process until it is closed.
        for rows in spans(self.shape[0], max(1, _READ_BYTES // (4 * self.shape[1]))):
            stored = np.memmap(self._file, np.float32, "r", shape=self.shape)
            out[rows] = stored[rows, voxels]
            del stored
        return out
