"""What an encoder is fitted to: training and validation arrays that belong together."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from jne.datasets.dataset import EncodingDataset


class Training(NamedTuple):
    """Training and validation arrays, in the caller's units; of a dataset with folds also the folds of ``X``."""

    X: np.ndarray
    Y: np.ndarray
    X_val: np.ndarray
    Y_val: np.ndarray
    groups: np.ndarray | None = None


def training_arrays(data: EncodingDataset, layer: str | None) -> Training:
    """Training and validation stimuli of a dataset; of one with folds, the last fold is held out for validation."""
    if data.folds is not None:
        X, Y = data.features("all", layer), data.responses("all")
        return leave_out(X, Y, data.folds, validation=np.unique(data.folds)[-1])
    splits = ("train", "validation")
    return Training(*(read for split in splits for read in (data.features(split, layer), data.responses(split))))


def leave_out(X: np.ndarray, Y: np.ndarray, folds: np.ndarray, validation: object) -> Training:
    """Hold the stimuli of one fold out for validation."""
    held = folds == validation
    return Training(X[~held], Y[~held], X[held], Y[held], folds[~held])


def check_training(arrays: Training) -> None:
    """Raise a ValueError that names the array, and the two numbers that disagree."""
    for name in ("X", "Y", "X_val", "Y_val"):
        array = getattr(arrays, name)
        if array.ndim != 2 or not array.size:
            raise ValueError(f"{name} has shape {array.shape}; needed: (n_samples, n) with at least one of each")
        if not np.isfinite(array).all():
            raise ValueError(f"{name} holds {np.count_nonzero(~np.isfinite(array))} non-finite values of {array.size}")
    for a, b, axis in (("X", "Y", 0), ("X_val", "Y_val", 0), ("X", "X_val", 1), ("Y", "Y_val", 1)):
        n_a, n_b = getattr(arrays, a).shape[axis], getattr(arrays, b).shape[axis]
        if n_a != n_b:
            what = "samples" if axis == 0 else "features" if a == "X" else "voxels"
            raise ValueError(f"{a} has {n_a} {what} and {b} has {n_b}; they must be the same {what}")
    constant = np.ptp(arrays.Y, axis=0) == 0
    if constant.any():
        raise ValueError(
            f"{np.count_nonzero(constant)} of {constant.size} voxels have a constant training response (first: voxel "
            f"{int(np.argmax(constant))}); drop them"
        )
