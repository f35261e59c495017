"""The features file: layers of features for named stimuli, as HDF5 or npz."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import h5py
import numpy as np

from jne._core import (
    HDF5_ENDINGS,
    check_held,
    check_version,
    composed,
    composed_each,
    decoded_each,
    listed,
    n_bytes,
    npz_headers,
    open_hdf5,
    plain,
    plain_file,
    read_npz,
    reading,
    sha256,
    spans,
)
from jne.features.images import natural_key

_BLOCK = 2**18  # numbers of a block of rows


@dataclass(frozen=True)
class FeatureFile:
    """Features of named stimuli; a layer is read when it is asked for.

    Attributes
    ----------
    path : Path
    stimulus_id : array of str ``(n_images,)``
        All different.
    layers : dict
        Layer -> number of features, in the order of the file.
    attrs : dict
        How the features were made; empty for an npz.
    """

    path: Path
    stimulus_id: np.ndarray
    layers: dict[str, int]
    attrs: dict[str, str | int]

    def features(self, layer: str, stimulus_id: Sequence[str] | None = None) -> np.ndarray:
        """Features of a layer, ``(n_stimuli, n_features)``, float32, for these stimuli in this order (default: all).

        Raises
        ------
        ValueError
            If the file has no such layer, lacks a stimulus, or is damaged.
        """
        index = None if stimulus_id is None else self.index(stimulus_id)
        with self._opened(layer) as values:
            if isinstance(values, np.ndarray):
                values = values if index is None else values[index]
            else:
                values = _rows(values, index, f"features: layer {layer} of {self.path}")
        return values.astype(np.float32, copy=False)

    def blocks(self, layer: str, rows: np.ndarray) -> Iterator[tuple[slice, np.ndarray]]:
        """Features of ascending rows, a few at a time: their places among ``rows``, and ``(n, n_features)``, float32.

        Of an HDF5 file no more than a block is in memory.
        """
        rows = np.asarray(rows)
        with self._opened(layer) as values:
            for part in spans(len(values), max(1, _BLOCK // values.shape[1])):
                here = slice(*np.searchsorted(rows, [part.start, part.stop]).tolist())
                if here.stop > here.start:
                    chosen = rows[here]
                    block = values[chosen[0] : chosen[-1] + 1][chosen - chosen[0]]
                    with np.errstate(over="ignore"):
                        yield here, block.astype(np.float32, copy=False)

    @contextmanager
    def _opened(self, layer: str) -> Iterator[np.ndarray | h5py.Dataset]:
        """A layer: in memory from npz, on disk in HDF5."""
        if layer not in self.layers:
            raise ValueError(f"features: {self.path} has no layer {layer!r}; it has {', '.join(self.layers)}")
        with reading(self.path, f"features: layer {layer}", f"{self.path.suffix}"):
            if self.path.suffix == ".npz":
                yield read_npz(self.path, [layer], "features")[layer]
            else:
                with open_hdf5(self.path, "features", compared=True) as file:
                    yield file[layer]

    def sha256(self) -> str:
        """SHA-256 of the file, or of the files of a folder."""
        return sha256(self.path)

    def index(self, stimulus_id: Sequence[str]) -> np.ndarray:
        """Row of each stimulus; an error if one is not in the file."""
        place = {identity: i for i, identity in enumerate(self.stimulus_id)}
        ids = [composed(str(identity)) for identity in stimulus_id]
        if missing := list(dict.fromkeys(identity for identity in ids if identity not in place)):
            raise ValueError(
                f"features: {self.path} has no features of {len(missing)} of {len(set(ids))} stimuli "
                f"({listed(missing)}); its {len(place)} ids are {listed(self.stimulus_id.tolist())}"
            )
        return np.array([place[identity] for identity in ids], int)


def _rows(dataset: h5py.Dataset, index: np.ndarray | None, what: str) -> np.ndarray:
    """Rows of a layer, by default all."""
    if index is None:
        check_held(n_bytes(dataset), what)
        return dataset[...]
    check_held(len(index) * n_bytes(dataset) // max(1, len(dataset)), what)
    # HDF5 takes ascending rows without repetition, and many scattered ones slowly: read their span in one go.
    first, last = int(index.min()), int(index.max()) + 1
    if last - first <= 4 * len(index):
        return dataset[first:last][index - first]
    rows, inverse = np.unique(index, return_inverse=True)
    return dataset[rows][inverse]


def read_feature_file(path: str | Path, *, deep: bool = False) -> FeatureFile:
    """Open a features file.

    Parameters
    ----------
    path : path
        HDF5 (one dataset ``(n_images, n_features)`` per layer, ``stimulus_id (n_images,)``, the order of the layers in
        the attribute ``layers`` if it is there) or npz (the same arrays, no pickles). Ids may be text or integers. Or a
        folder that thingsvision wrote, see `jne.features.feature_folders.read_feature_folder`.
    deep : bool
        Compare a file of `jne features` with its digest even where it is larger than 1 GB.

    Returns
    -------
    FeatureFile

    Raises
    ------
    ValueError
        If the file is absent, damaged or unfinished, has no ``stimulus_id``, repeats an id, or if an array has another
        shape; the message says which.
    """
    path = Path(path)
    if path.is_dir():
        from jne.features.feature_folders import read_feature_folder

        found = read_feature_folder(path)
        return replace(found, stimulus_id=_checked_ids(path, found.stimulus_id))
    if not plain_file(path, "features").is_file():
        raise ValueError(f"features: there is no file {path}; `jne features` makes one")
    if path.suffix in (".npy", ".txt", ".pt", ".pth", ".mat"):
        raise ValueError(
            f"features: {path} ends in {path.suffix!r}; accepted are .npz, .h5 and .hdf5. If thingsvision wrote it, "
            f"give its folder, {path.parent}"
        )
    if path.suffix not in (".npz", *HDF5_ENDINGS):
        raise ValueError(f"features: {path} ends in {path.suffix!r}; accepted are .npz, .h5 and .hdf5")
    with reading(path, "features", path.suffix):
        ids, shapes, attrs = _read_npz(path) if path.suffix == ".npz" else _read_hdf5(path, deep)
    _check(path, ids, shapes, attrs)
    layers = {name: int(shape[1]) for name, (shape, _) in shapes.items()}
    return FeatureFile(path, _checked_ids(path, ids), layers, attrs)


def _read_npz(path: Path):
    headers = npz_headers(path, "features")
    headers.pop("stimulus_id", None)
    return read_npz(path, ["stimulus_id"], "features").get("stimulus_id"), headers, {}


def _read_hdf5(path: Path, deep: bool):
    with open_hdf5(path, "features", deep=deep) as file:
        attrs = {name: plain(value) for name, value in file.attrs.items()}
        order = attrs.pop("layers", None)
        check_version(file, path, "features", foreign=True, hint="If it is not finished, finish it with `jne features`")
        names = [name for name, item in file.items() if isinstance(item, h5py.Dataset) and name != "stimulus_id"]
        names = order.split(",") if order is not None else sorted(names, key=natural_key)
        ids = None
        if "stimulus_id" in file:
            item = file["stimulus_id"]
            check_held(n_bytes(item), f"features: stimulus_id of {path}")
            ids = item[...]
            if h5py.check_string_dtype(item.dtype):
                ids = decoded_each(ids, f"features: stimulus_id of {path}")
        return ids, {name: (file[name].shape, file[name].dtype) for name in names}, attrs


def _check(path: Path, ids: np.ndarray | None, shapes: Mapping[str, tuple], attrs: Mapping) -> None:
    if ids is None:
        folder = path.parent if (path.parent / "file_names.txt").is_file() else None
        hint = f". If thingsvision wrote it, give its folder, {folder}" if folder else ""
        raise ValueError(f"features: {path} has no array stimulus_id; it has {', '.join(shapes) or 'none'}{hint}")
    if ids.ndim != 1 or ids.dtype.kind not in "iuSUOT" or not len(ids):
        raise ValueError(
            f"features: stimulus_id of {path} is {ids.shape}, {ids.dtype}; needed: one text or integer per image"
        )
    if not shapes:
        raise ValueError(f"features: {path} has no layer; needed: an array (n_images, n_features) for each")
    for name, (shape, dtype) in shapes.items():
        if len(shape) != 2 or shape[0] != len(ids) or not shape[1] or dtype.kind not in "fiu":
            raise ValueError(
                f"features: {name} of {path} is {shape}, {dtype}; needed: ({len(ids)} images, n_features), numbers"
            )
    if attrs.get("n_done", len(ids)) != len(ids):
        raise ValueError(
            f"features: {path} holds {attrs['n_done']} of {len(ids)} images; finish it with `jne features`"
        )


def _checked_ids(path: Path, ids: np.ndarray) -> np.ndarray:
    """Ids as text; an error if one comes twice."""
    if ids.dtype.kind == "S":
        ids = decoded_each(ids, f"features: stimulus_id of {path}")
    ids = composed_each(ids.astype(str))
    values, counts = np.unique(ids, return_counts=True)
    if (counts > 1).any():
        raise ValueError(f"features: {path} has {listed(values[counts > 1].tolist())} more than once in stimulus_id")
    return ids
