"""How much memory and disk a dataset will need, before any of it is used."""

from __future__ import annotations

import shutil
from glob import escape
from pathlib import Path

import pandas as pd

from jne._core import Budget, existing_parent, format_bytes, parse_bytes
from jne.prepare.nsd.betas import BLOCK_BYTES
from jne.prepare.nsd.features import ImageFeatures
from jne.prepare.nsd.sessions import HEADER_BYTES, VOXEL_BLOCK, session_groups
from jne.prepare.nsd.space import Space

_BASE = 300e6
"""The libraries, and what is small."""
_FURTHER_BLOCK = 2**23
"""What a block of features of images that were not shown takes while it is read, scaled and written."""
_HEADER = 2**17
"""Bytes of names, dimensions and attributes of the dataset file."""


class Estimate:
    """Bytes that `jne.prepare.prepare_nsd` needs.

    Attributes
    ----------
    memory : int
        At the most demanding moment.
    work : int
        Work files of all sessions.
    result : int
        The dataset file.
    disk : int
        Work files and dataset file.
    """

    def __init__(
        self,
        trials: pd.DataFrame,
        images: pd.DataFrame,
        space: Space,
        zscore: str,
        features: ImageFeatures,
        n_further: int = 0,
    ):
        n_points, itemsize = len(space.points), 4 if space.is_surface else 2
        per_session = trials.groupby("session")
        n_groups = sum(int(session_groups(t["run"].to_numpy(), zscore).max()) + 1 for _, t in per_session)
        longest = int(per_session.size().max())
        test = images["split"] == "test"
        self._rows = len(images) + int(test.sum() * images["count"][test].max())
        self._features = (len(images) + n_further) * sum(features.layers.values())
        self._further = n_further
        wide = max(features.layers.values())
        self._counts = (
            f"{len(trials)} trials of {len(per_session)} sessions, {len(images)} images, {n_points} {space.what}"
        )
        if n_further:
            self._counts += f", and features of {n_further} images that were not shown"
        self._what = f"reading a session of {longest} trials x {n_points} {space.what}, or a layer of {wide} features,"
        session = longest * (n_points * itemsize + 3 * 8 * VOXEL_BLOCK) + 4 * BLOCK_BYTES + 24 * 4 * n_points
        layer = wide * (4 * features.n_rows + 16 * trials["nsd_id"].nunique()) + _FURTHER_BLOCK + 400 * n_further
        self.memory = int(_BASE + max(session, layer))
        # Betas; mean and spread; of each session group, valid and clipped, and what HDF5 needs itself.
        self.work = len(trials) * (n_points * itemsize + 8) + n_groups * n_points * 8
        self.work += len(per_session) * (5 * n_points + HEADER_BYTES)
        self.result = self.result_size(n_points)
        self.disk = self.work + self.result

    def __str__(self) -> str:
        return (
            f"{self._counts}. Needed: {format_bytes(self.memory)} of memory, {format_bytes(self.disk)} on disk until "
            f"it is done, of which {format_bytes(self.result)} stay."
        )

    def result_size(self, n_voxels: int) -> int:
        """Bytes of the dataset file with so many voxels: responses, repeats, features, and the names of areas."""
        return 4 * (self._rows * n_voxels + self._features) + 200 * n_voxels + 80 * self._further + _HEADER

    def check(self, out: Path, folder: Path, max_memory: str) -> None:
        """Refuse what will not fit.

        Raises
        ------
        ValueError
            If it needs more than ``max_memory``, or more disk than is free beside ``out``; it says what to change.
        """
        less = "take fewer voxels (--mask nsdgeneral)"
        Budget(parse_bytes(max_memory)).reserve(self.memory, self._what, less)
        there = existing_parent(out)
        # What an interrupted call left is used again or replaced.
        left = [*folder.glob("session_*.h5"), *out.parent.glob(f".{escape(out.name)}.*.part")]
        done = sum(path.stat().st_size for path in left)
        if (free := shutil.disk_usage(there).free) < self.disk - done:
            raise ValueError(
                f"out: {format_bytes(self.disk - done)} are needed beside {out}, {format_bytes(self.work)} of them "
                f"only until it is done, and {format_bytes(free)} are free in {there}. Free some space, write "
                f"somewhere else (--out), {less} or fewer sessions (--sessions)"
            )
