"""Features of NSD's images from one file, in the order that a dataset needs."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from zipfile import BadZipFile

import h5py
import numpy as np
import pandas as pd

from jne._files import sha256
from jne._images import natural_key
from jne.datasets.nsd.layout import READ_ERRORS, damaged

_ORIGIN = (
    "model",
    "feature_model",
    "feature_weights_sha256",
    "feature_grids",
    "preprocessing",
    "preprocessing_hash",
    "preprocessing_sha256",
)
"""Attributes of a features file that a dataset keeps."""
_RESERVED = ("responses", "responses_repeats", "stimulus_id", "split", "category", "roi", "level", "vertex", "ijk")


class ImageFeatures:
    """Layers of a features file, read one at a time.

    Parameters
    ----------
    path : path
        HDF5 (``.h5``, ``.hdf5``) or ``.npz`` with one array ``(n_images, n_features)`` per layer and ``stimulus_id
        (n_images,)``: the nsdId, which counts from 0, as a number or at the end of a text such as ``nsd00042``.
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
        self.path = Path(path)
        if not self.path.is_file():
            raise FileNotFoundError(
                f"features: there is no file {self.path}; `jne features --help` says how to make one"
            )
        if self.path.suffix not in (".h5", ".hdf5", ".npz"):
            raise ValueError(f"features: {self.path} ends in {self.path.suffix!r}; accepted are .h5, .hdf5 and .npz")
        try:
            with self._open() as file:
                attrs = dict(getattr(file, "attrs", {}))
                names = [name for name in sorted(file.keys(), key=natural_key) if hasattr(file[name], "shape")]
                order = str(attrs.get("layers", "")).split(",")
                names = sorted(names, key=lambda name: order.index(name) if name in order else len(order))
                ids = _values(file["stimulus_id"]) if "stimulus_id" in names else None
                shapes = {name: file[name].shape for name in names if name != "stimulus_id"}
        except (*READ_ERRORS, BadZipFile) as error:
            raise damaged(self.path, error) from error
        if ids is None:
            raise ValueError(f"features: {self.path} has no stimulus_id; it has {', '.join(names) or 'nothing'}")
        ids = _nsd_ids(ids, self.path)
        if (done := int(attrs.get("n_done", len(ids)))) < len(ids):
            raise ValueError(f"features: {self.path} holds {done} of {len(ids)} images; finish it with `jne features`")
        self._origin = {
            {"model": "feature_model"}.get(name, name): attrs[name].item()
            if hasattr(attrs[name], "item")
            else attrs[name]
            for name in _ORIGIN
            if name in attrs
        }
        self._check(shapes, len(ids))
        self.layers = {name: shape[1] for name, shape in shapes.items()}
        self.n_rows = len(ids)
        self._rows = pd.Index(ids).get_indexer(np.asarray(images))
        if len(missing := np.asarray(images)[self._rows < 0]):
            raise ValueError(
                f"features: {self.path} lacks {len(missing)} of the {len(images)} images that were shown (first: nsdId "
                f"{missing[0]}, counted from 0). Extract the features of all images of nsd_stimuli.hdf5"
            )

    def attributes(self) -> dict[str, str]:
        """Where the features are from, for the dataset's attributes."""
        return {
            "feature_model": "not stated",
            **self._origin,
            "features_file": self.path.name,
            "features_sha256": sha256(self.path),
        }

    def read(self, layer: str) -> np.ndarray:
        """Features of the wanted images, in their order: ``(n_images, n_features)``, float32."""
        try:
            with self._open() as file:
                values = file[layer][...]
        except (*READ_ERRORS, BadZipFile) as error:
            raise damaged(self.path, error) from error
        values = values[self._rows].astype(np.float32)
        if bad := np.count_nonzero(~np.isfinite(values)):
            raise ValueError(f"features: layer {layer} of {self.path} holds {bad} non-finite values of {values.size}")
        return values

    def _open(self):
        return np.load(self.path, allow_pickle=False) if self.path.suffix == ".npz" else h5py.File(self.path)

    def _check(self, shapes: dict[str, tuple], n_images: int) -> None:
        if not shapes:
            raise ValueError(f"features: {self.path} has no layer: needed is one array (images, features) per layer")
        for name, shape in shapes.items():
            if len(shape) != 2 or shape[0] != n_images or not shape[1]:
                raise ValueError(
                    f"features: layer {name} of {self.path} has shape {shape}; needed: ({n_images}, n_features), one "
                    "row per stimulus_id"
                )
            if name in _RESERVED or name.startswith("roi_"):
                raise ValueError(f"features: layer {name} of {self.path} has the name of another variable; rename it")


def _values(item) -> np.ndarray:
    if isinstance(item, h5py.Dataset) and h5py.check_string_dtype(item.dtype):
        return item.asstr()[...]
    return np.asarray(item)


def _nsd_ids(values: np.ndarray, path: Path) -> np.ndarray:
    if values.dtype.kind in "iu":
        ids = values.astype(int)
    else:
        found = [re.search(r"(\d+)$", value.decode() if isinstance(value, bytes) else str(value)) for value in values]
        if None in found:
            raise ValueError(
                f"features: stimulus_id {str(values[found.index(None)])!r} of {path} ends in no number; needed: "
                "nsdIds, which count from 0, such as 42 or nsd00042"
            )
        ids = np.array([int(match[1]) for match in found])
    unique, counts = np.unique(ids, return_counts=True)
    if len(unique) < len(ids):
        raise ValueError(
            f"features: {path} has {np.count_nonzero(counts > 1)} images more than once (first: nsdId "
            f"{unique[counts > 1][0]})"
        )
    return ids


def zscore_within_runs(features: np.ndarray, runs: Sequence[np.ndarray]) -> np.ndarray:
    """Features z-scored within each run, as the paper does, then averaged over an image's presentations.

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
        rows = np.searchsorted(shown, trials["nsd_id"])
        values = zscore_within_runs(values, [rows[run] for run in trials.groupby(["session", "run"]).indices.values()])
    return values[np.searchsorted(shown, images)]
