"""Work files, one per session: the wanted points of the betas, with the mean and spread that z-score them.

Each is written whole or not at all and knows what it was made from, so an interrupted run goes on at the next session.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import h5py
import numpy as np
import pandas as pd

from jne._core import code_hash, hash_parameters, hdf5_stream, open_hdf5, spans
from jne.prepare.nsd.betas import CLIPPED, VOLUME_SCALE, read_session
from jne.prepare.nsd.space import Space
from jne.prepare.work_files import is_made

VOXEL_BLOCK = 4096
HEADER_BYTES = 2**16


def session_groups(runs: np.ndarray, zscore: str) -> np.ndarray:
    """Number of the group within which each trial of a session is z-scored ``(n_trials,)``, from 0."""
    return np.unique(runs, return_inverse=True)[1] if zscore == "run" else np.zeros(len(runs), int)


def prepare_session(
    folder: Path,
    session: int,
    paths: Sequence[Path],
    space: Space,
    runs: np.ndarray,
    zscore: str,
) -> Path:
    """Read one session and write its work file, unless that is there already, and whole.

    Parameters
    ----------
    folder : Path
    session : int
    paths : sequence of Path
        The session's betas.
    space : Space
        The points that are wanted.
    runs : array ``(n_trials,)``
        Run of each trial.
    zscore : {"run", "session", "none"}

    Returns
    -------
    Path
        HDF5 with ``betas (trial, point)`` as stored, ``group (trial)``, ``mean`` and ``sd (group, point)``, in percent
        signal change, ``valid (point)``: the betas of every group are finite and vary, and ``clipped (point)``: how
        many betas are at the limits of int16.
    """
    path = folder / f"session_{session:02d}.h5"
    key = hash_parameters(
        {
            "files": [(str(p.resolve()), p.stat().st_size, p.stat().st_mtime_ns) for p in paths],
            "points": [str(space.shapes), hashlib.sha256(space.points.tobytes()).hexdigest()],
            "runs": runs.tolist(),
            "zscore": zscore,
            "code": code_hash("session"),
        }
    )
    if is_made(path, key):
        return path
    betas = read_session(paths, space.shapes, space.points, len(runs))
    group = session_groups(runs, zscore)
    mean, sd, valid, clipped = _statistics(betas, group)
    if zscore == "none":
        mean[:], sd[:] = 0, 1
    arrays = {"betas": betas, "group": group, "mean": mean, "sd": sd, "valid": valid, "clipped": clipped}
    size = sum(values.nbytes for values in arrays.values()) + HEADER_BYTES
    with hdf5_stream(path, size) as stream, h5py.File(stream, "w") as file:
        for name, values in arrays.items():
            file.create_dataset(name, data=values)
        file.attrs["key"] = key
    return path


def _statistics(betas: np.ndarray, group: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    mean = np.empty((group.max() + 1, betas.shape[1]), np.float32)
    sd, valid, clipped = np.empty_like(mean), np.ones(betas.shape[1], bool), np.zeros(betas.shape[1], np.int32)
    for block in spans(betas.shape[1], VOXEL_BLOCK):
        for g in range(len(mean)):
            stored = betas[group == g, block]
            finite = np.isfinite(stored).all(axis=0)
            percent = to_percent(np.where(finite, stored, 0), np.float64)
            mean[g, block], sd[g, block] = percent.mean(axis=0), percent.std(axis=0)
            # Of the stored values, as a mean of equal numbers can differ from them by rounding.
            if stored.dtype == np.int16:
                clipped[block] += ((stored >= CLIPPED) | (stored <= -CLIPPED)).sum(axis=0, dtype=np.int32)
            valid[block] &= finite & (stored.max(axis=0) > stored.min(axis=0)) & (sd[g, block] > 0)
    return mean, sd, valid, clipped


def to_percent(stored: np.ndarray, dtype=np.float32) -> np.ndarray:
    """Percent signal change of betas as stored: int16 is divided by 300, float32 is percent already."""
    return stored.astype(dtype) / dtype(VOLUME_SCALE) if stored.dtype == np.int16 else stored.astype(dtype)


class Presentations:
    """Single presentations of images, from the work files of the sessions.

    Parameters
    ----------
    files : mapping of int to Path
        Work file of each session.
    trials : pandas.DataFrame
        From `jne.prepare.nsd.trials.read_trials`.

    Attributes
    ----------
    valid : array of bool ``(n_points,)``
        Points with data in every session.
    """

    def __init__(self, files: Mapping[int, Path], trials: pd.DataFrame):
        self._files = {session: open_hdf5(path, "work file", compared=True) for session, path in files.items()}
        self._data = {s: [file[name] for name in ("betas", "mean", "sd")] for s, file in self._files.items()}
        self._group = {session: file["group"][...] for session, file in self._files.items()}
        by_image = trials.groupby("nsd_id")
        self._trials = {image: list(zip(t["session"], t["trial"], strict=True)) for image, t in by_image}
        self._valid = {session: file["valid"][...] for session, file in self._files.items()}
        self.valid = np.logical_and.reduce(list(self._valid.values()))
        self._kept = np.flatnonzero(self.valid)
        self._clipped = sum(file["clipped"][...] for file in self._files.values())[self._kept]

    def __enter__(self):
        return self

    def __exit__(self, *error):
        for file in self._files.values():
            file.close()

    def attributes(self) -> dict:
        """How many points were dropped, in which sessions they have no data, and how many betas were clipped."""
        lost = {session: np.count_nonzero(~valid) for session, valid in self._valid.items()}
        return {
            "n_dropped_voxels": int(np.count_nonzero(~self.valid)),
            "n_clipped_betas": int(self._clipped.sum()),
            "n_clipped_voxels": int(np.count_nonzero(self._clipped)),
            "voxels_without_data": ", ".join(f"session {session}: {n}" for session, n in lost.items() if n),
        }

    def read(self, image: int) -> np.ndarray:
        """Z-scored responses to every presentation of an image, in their order: ``(n_presentations, n_valid)``."""
        rows = []
        for session, trial in self._trials[image]:
            betas, mean, sd = self._data[session]
            group = self._group[session][trial]
            percent, centre, spread = (row[self._kept] for row in (betas[trial], mean[group], sd[group]))
            rows.append((to_percent(percent) - centre) / spread)
        return np.stack(rows)
