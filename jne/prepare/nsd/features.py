"""Features of NSD's images from one file, in the order that a dataset needs."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from jne.features import read_feature_file
from jne.prepare.further import FurtherStimuli
from jne.prepare.nsd.trials import N_IMAGES

_ORIGIN = ("feature_model", "feature_weights_sha256", "feature_grids", "preprocessing", "preprocessing_sha256")
"""Attributes of a features file that a dataset keeps."""
_OWN_NAME = re.compile(r"shared\d+_nsd\d+$", re.IGNORECASE)
"""Of the pictures in NSD's folder shared1000: the number at the end is that of 73KID, which counts from 1."""
_RESERVED = ("responses", "responses_repeats", "stimulus_id", "split", "category", "roi", "level", "vertex", "ijk")


class ImageFeatures:
    """Layers of a features file, read one at a time.

    Parameters
    ----------
    path : path
        What `jne.features.read_feature_file` reads, with the nsdId, which counts from 0, as
        ``stimulus_id``: a number, or at the end of a text such as ``nsd00042``. The names of NSD's own pictures of the
        shared images, ``shared0007_nsd04424``, count from 1, and are taken so.
    images : array of int
        nsdId of the wanted images.

    Attributes
    ----------
    layers : dict
        Name -> number of features.

    Raises
    ------
    ValueError
        If the file is damaged, has an image twice, or lacks a wanted image.
    """

    def __init__(self, path: str | Path, images: Sequence[int]):
        self.file = read_feature_file(path)
        self.path, self.layers = self.file.path, self.file.layers
        for name in self.layers:
            if name in _RESERVED or name.startswith("roi_"):
                raise ValueError(f"features: layer {name} of {self.path} has the name of another variable; rename it")
        self._ids = ids = nsd_ids(self.file.stimulus_id, self.path)
        self.n_rows = len(ids)
        rows = pd.Index(ids).get_indexer(np.asarray(images))
        if len(missing := np.asarray(images)[rows < 0]):
            raise ValueError(
                f"features: {self.path} lacks {len(missing)} of the {len(images)} images that were shown (first: nsdId "
                f"{missing[0]}, counted from 0). Extract the features of all images of nsd_stimuli.hdf5"
            )
        self._wanted, self._shown = self.file.stimulus_id[rows], np.asarray(images)

    def attributes(self) -> dict[str, str]:
        """Where the features are from, for the dataset's attributes."""
        origin = {name: self.file.attrs[name] for name in _ORIGIN if name in self.file.attrs}
        return {
            "feature_model": "not stated",
            **origin,
            "features_file": self.path.name,
            "features_sha256": self.file.sha256(),
        }

    def further(self, limit: int | None, seed: int) -> FurtherStimuli:
        """A sample of the images that were not shown, see `FurtherStimuli.draw`."""
        return FurtherStimuli.draw(self.file, stimulus_ids(self._ids), stimulus_ids(self._shown), limit, seed)

    def rows(self, images: Sequence[int]) -> np.ndarray:
        """Rows of images in the file."""
        return pd.Index(self._ids).get_indexer(np.asarray(images))

    def read(self, layer: str) -> np.ndarray:
        """Features of the wanted images, in their order: ``(n_images, n_features)``, float32."""
        values = self.file.features(layer, self._wanted)
        if bad := np.count_nonzero(~np.isfinite(values)):
            raise ValueError(f"features: layer {layer} of {self.path} holds {bad} non-finite values of {values.size}")
        return values


def stimulus_ids(images: Sequence[int]) -> np.ndarray:
    """What a dataset calls images."""
    return np.array([f"nsd{image:05d}" for image in images], object)


def nsd_ids(values: Sequence[str], path: Path, what: str = "features: stimulus_id") -> np.ndarray:
    """The nsdId, from 0, at the end of each name: ``42``, ``nsd00042``, ``train-0001_nsd-00042``, ``shared7_nsd00043``.

    Errors name ``path`` and begin with ``what``.
    """
    values = np.asarray(values, str)
    found = [re.search(r"(\d+)$", value) for value in values]
    if None in found:
        raise ValueError(
            f"{what} {str(values[found.index(None)])!r} of {path} ends in no number; needed: "
            "nsdIds, which count from 0, such as 42 or nsd00042"
        )
    ids = np.array([int(m[1]) - bool(_OWN_NAME.search(v)) for m, v in zip(found, values, strict=True)])
    if (outside := (ids < 0) | (ids >= N_IMAGES)).any():
        raise ValueError(
            f"{what} {str(values[outside][0])!r} of {path} is not one of the {N_IMAGES} images; needed: "
            f"nsdIds from 0 to {N_IMAGES - 1} (those of 73KID count from 1: subtract 1), or names such as "
            "shared0007_nsd04424"
        )
    unique, counts = np.unique(ids, return_counts=True)
    if len(unique) < len(ids):
        raise ValueError(
            f"{what.split(':')[0]}: {path} has {np.count_nonzero(counts > 1)} images more than once (first: nsdId "
            f"{unique[counts > 1][0]})"
        )
    return ids


def zscore_within_runs(features: np.ndarray, runs: Sequence[np.ndarray]) -> np.ndarray:
    """Features z-scored within each run, as the paper's release does, then averaged over an image's presentations.

    Parameters
    ----------
    features : array ``(n_images, n_features)``
    runs : sequence of int arrays
        For each run the row of the image of every trial.

    Returns
    -------
    array ``(n_images, n_features)``, float32
        A feature that is constant in a run is 0 there.
    """
    total = np.zeros(features.shape)
    count = np.zeros((len(features), 1))
    for rows in runs:
        values = features[rows].astype(np.float64)
        spread = values.std(axis=0)
        np.add.at(total, rows, (values - values.mean(axis=0)) / np.where(np.ptp(values, axis=0) > 0, spread, np.inf))
        np.add.at(count, rows, 1)
    return (total / count).astype(np.float32)


def zscore_by_all_runs(features: np.ndarray, runs: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """What `zscore_within_runs` would do to an image that was not shown: the average over all runs of its z-scores.

    Parameters
    ----------
    features, runs
        As there.

    Returns
    -------
    scale, offset : arrays ``(n_features,)``, float64
        Features times ``scale``, less ``offset``.
    """
    scale, offset = np.zeros(features.shape[1]), np.zeros(features.shape[1])
    for rows in runs:
        values = features[rows].astype(np.float64)
        varies = np.ptp(values, axis=0) > 0
        weight = np.where(varies, 1 / np.where(varies, values.std(axis=0), 1), 0) / len(runs)
        scale += weight
        offset += weight * values.mean(axis=0)
    return scale, offset


def _run_rows(trials: pd.DataFrame) -> list[np.ndarray]:
    """For each run the row, among the shown images, of the image of every trial."""
    rows = np.searchsorted(np.unique(trials["nsd_id"]), trials["nsd_id"])
    return [rows[run] for run in trials.groupby(["session", "run"]).indices.values()]


def layer_of(
    features: ImageFeatures, layer: str, trials: pd.DataFrame, images: np.ndarray, within_runs: bool
) -> np.ndarray:
    """A layer as the dataset holds it, z-scored within runs or not: ``(n_images, n_features)``, float32.

    Parameters
    ----------
    features : ImageFeatures
        Of all images of the trials, ascending.
    layer : str
    trials : pandas.DataFrame
        ``session``, ``run`` and ``nsd_id``.
    images : array of int
        nsdIds, in the order of the dataset.
    within_runs : bool
    """
    shown, values = np.unique(trials["nsd_id"]), features.read(layer)
    if within_runs:
        values = zscore_within_runs(values, _run_rows(trials))
    return values[np.searchsorted(shown, images)]


def scaled_as(
    features: ImageFeatures, layer: str, trials: pd.DataFrame, within_runs: bool
) -> Callable[[np.ndarray], np.ndarray]:
    """What `layer_of` does to a layer, for images that were not shown: takes and gives ``(n, n_features)``, float32."""
    if not within_runs:
        return lambda values: values
    scale, offset = zscore_by_all_runs(features.read(layer), _run_rows(trials))
    return lambda values: (values * scale - offset).astype(np.float32)
