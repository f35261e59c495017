"""The maps of a study on disk while a dataset is made of them: written map by map, read by blocks of voxels."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np

from jne._core import existing_parent, format_bytes, reserve, spans
from jne.prepare.array_files import to_float32
from jne.prepare.brain_files import Maps
from jne.prepare.zscores import zscore_within

_READ_BYTES = 64 * 2**20


class Store(Protocol):
    """Maps that are read by blocks of voxels.

    Attributes
    ----------
    shape : tuple of int
        ``(n_maps, n_voxels)``.
    size : int
        Bytes of work files.
    copies : int
        How many times what is read is in memory.
    """

    shape: tuple[int, int]
    size: int
    copies: int

    def read(self, voxels: slice) -> np.ndarray:
        """All maps of some voxels, ``(n_maps, n_voxels)``, float32."""


class MapStore:
    """``(n_maps, n_voxels)``, float32, in a nameless file beside the dataset; it vanishes with the process.

    Parameters
    ----------
    out : Path
        The dataset file.
    n_maps, n_voxels : int
    groups : array of int ``(n_maps,)``, optional
        Maps are z-scored within these when they are read, see `jne.prepare.zscores.zscore_groups`.

    Attributes
    ----------
    shape : tuple of int
    size : int
        Bytes on disk.
    copies : int
        How many times what is read is in memory.

    Raises
    ------
    ValueError
        If there is no room for the maps and a dataset of as many values.
    """

    def __init__(self, out: Path, n_maps: int, n_voxels: int, groups: np.ndarray | None = None):
        self.shape, self._groups = (n_maps, n_voxels), groups
        self.copies = 1 if groups is None else 2
        folder = existing_parent(out)
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

    def fill(self, readers: Sequence[Maps], points: np.ndarray, shown: np.ndarray, first_voxel: int = 0) -> None:
        """The points of all maps of several files, in order; ``shown (n_maps,)`` says which of the maps are kept."""
        start, first = 0, 0
        for reader in readers:
            here = shown[start : start + reader.count]
            n_here = int(here.sum())
            if reader.columns is None:
                kept = (row for row, keep in zip(reader.rows(points), here, strict=True) if keep)
                self.write(first, first_voxel, kept)
            else:
                for block, values in reader.columns(points):
                    stored = np.memmap(self._file, np.float32, "r+", shape=self.shape)
                    columns = slice(first_voxel + block.start, first_voxel + block.stop)
                    stored[first : first + n_here, columns] = to_float32(values[here])
                    del stored
            start, first = start + reader.count, first + n_here

    def write(self, first_map: int, first_voxel: int, rows: Iterable[np.ndarray]) -> None:
        """Maps from ``first_map`` on, of voxels from ``first_voxel`` on: each row is one map."""
        for i, row in enumerate(rows, first_map):
            self._file.seek(4 * (i * self.shape[1] + first_voxel))
            self._file.write(to_float32(row).tobytes())
        self._file.flush()

    def read(self, voxels: slice) -> np.ndarray:
        """All maps of some voxels, ``(n_maps, n_voxels)``, float32, z-scored where that is wanted."""
        out = np.empty((self.shape[0], voxels.stop - voxels.start), np.float32)
        copy_columns(lambda: np.memmap(self._file, np.float32, "r", shape=self.shape), voxels, out)
        return zscore_within(out, self._groups)


def copy_columns(mapped: Callable[[], np.ndarray], columns: slice, out: np.ndarray) -> None:
    """Columns of an array in a file, as float32 into ``out``; ``mapped`` maps the file, anew for every few rows."""
    width = mapped().shape[1]
    for rows in spans(len(out), max(1, _READ_BYTES // (4 * width))):
        stored = mapped()
        with np.errstate(over="ignore"):  # as to_float32, without its copy
            out[rows] = stored[rows, columns]
        del stored  # what a mapped file has shown counts as memory of the process until it is closed
