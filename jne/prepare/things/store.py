"""Work files: z-scored single trials of a few voxels each, so that an interrupted call goes on with the next ones."""

from __future__ import annotations

import hashlib
import shutil
import time
from functools import cached_property
from pathlib import Path

import h5py
import numpy as np
from tqdm import tqdm

from jne._core import code_hash, existing_parent, format_bytes, hash_parameters, hdf5_stream, open_hdf5, spans
from jne.prepare.things.responses import ResponseRows
from jne.prepare.work_files import is_made
from jne.prepare.zscores import zscore_within

BLOCK = 256
"""Voxels of a work file."""
_HEADER = 2**13


class TrialStore:
    """Single trials ``(n_trials, n_voxels)``, in work files of `BLOCK` voxels; read by `jne.prepare.maps.save_maps`.

    Parameters
    ----------
    responses : ResponseRows
    rows : array of int ``(n_voxels,)``
        Ascending.
    columns : array of int ``(n_trials,)``
    groups : array of int ``(n_trials,)``, optional
        Within which to z-score, see `jne.prepare.zscores.zscore_groups`.
    folder : Path

    Attributes
    ----------
    shape : tuple of int
    size : int
        Bytes of all work files, about.
    copies : int
        See `jne.prepare.map_store.Store`.
    n_first : int
        Voxels of the first of them.
    """

    copies = 1

    def __init__(
        self, responses: ResponseRows, rows: np.ndarray, columns: np.ndarray, groups: np.ndarray | None, folder: Path
    ):
        self._responses, self._rows, self._columns, self._groups = responses, rows, columns, groups
        self.folder, self.shape = folder, (len(columns), len(rows))
        self._blocks = list(spans(len(rows), BLOCK))
        self.n_first = self._blocks[0].stop
        self.size = 4 * len(columns) * len(rows) + _HEADER * len(self._blocks)
        file = responses.path
        self._made_from = {
            "file": (str(file.resolve()), file.stat().st_size, file.stat().st_mtime_ns),
            "columns": hashlib.sha256(columns.astype(np.int64).tobytes()).hexdigest(),
            "groups": None if groups is None else hashlib.sha256(groups.astype(np.int64).tobytes()).hexdigest(),
            "code": code_hash("session"),
        }

    def check_space(self, out: Path, result: int) -> None:
        """Refuse where work files and a dataset of ``result`` bytes do not fit beside it."""
        there = existing_parent(out)
        left = sum(path.stat().st_size for path in self.folder.glob("voxels_*.h5"))
        if (free := shutil.disk_usage(there).free) < (needed := self.size + result - left):
            raise ValueError(
                f"out: {format_bytes(needed)} are needed beside {out}, {format_bytes(self.size)} of them only until it "
                f"is done, and {format_bytes(free)} are free in {there}. Free some space, write somewhere else "
                "(--out), or take fewer voxels (--rois)"
            )

    def start(self) -> float:
        """Write the first work file that is missing; returns how many seconds the others will take at its speed."""
        if not self._missing:
            return 0
        start, first = time.monotonic(), self._missing[0]
        self._write(first)
        others = sum(block.stop - block.start for block in self._missing)
        return (time.monotonic() - start) * others / (first.stop - first.start)

    def fill(self, progress: bool = False) -> None:
        """Write the work files that are missing."""
        n, there = len(self._blocks), len(self._blocks) - len(self._missing)
        quiet = None if progress else True
        for block in tqdm([*self._missing], "reading", n, initial=there, unit=" blocks", disable=quiet):
            self._write(block)

    def read(self, voxels: slice) -> np.ndarray:
        """All trials of some voxels, ``(n_trials, n_voxels)``, float32."""
        out = np.empty((self.shape[0], voxels.stop - voxels.start), np.float32)
        for block in self._blocks[voxels.start // BLOCK : -(-voxels.stop // BLOCK)]:
            here = slice(max(voxels.start, block.start), min(voxels.stop, block.stop))
            with open_hdf5(self._path(block), "work file") as file:
                values = file["trials"][:, here.start - block.start : here.stop - block.start]
            out[:, here.start - voxels.start : here.stop - voxels.start] = values
        return out

    @cached_property
    def _missing(self) -> list[slice]:
        """Blocks whose work files are not there; looked for once, as each file is compared with its digest."""
        return [block for block in self._blocks if not is_made(self._path(block), self._key(block))]

    def _write(self, block: slice) -> None:
        values = zscore_within(self._responses.read(self._rows[block], self._columns), self._groups)
        with hdf5_stream(self._path(block), values.nbytes) as stream, h5py.File(stream, "w") as file:
            file["trials"] = values
            file.attrs["key"] = self._key(block)
        self._missing.remove(block)

    def _path(self, block: slice) -> Path:
        return self.folder / f"voxels_{block.start:06d}.h5"

    def _key(self, block: slice) -> str:
        rows = hashlib.sha256(self._rows[block].astype(np.int64).tobytes()).hexdigest()
        return hash_parameters({**self._made_from, "rows": rows})
