"""What thingsvision writes: a folder with the names of the pictures, and features of one layer or of several."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np

from jne._core import (
    RefusedError,
    check_held,
    joined_sha256,
    listed,
    open_hdf5,
    open_npy,
    read_text,
    reading,
)
from jne.features.feature_file import FeatureFile
from jne.features.images import natural_key, picture_id

NAMES = "file_names.txt"
"""A path a picture, in the order of the features."""
_WHOLE = ("features.npy", "features.hdf5", "features.txt")
_PART = re.compile(r"features\w*?_(\d+)(?:-(\d+))?\.npy")
"""``features_0-500.npy``, the pictures from 0 up to but without 500; or a number, ``features_01.npy``."""
_TENSORS = (".pt", ".pth")
_KIND = "features of thingsvision"


@dataclass(frozen=True)
class FeatureFolder(FeatureFile):
    """Features of thingsvision; as a `FeatureFile`, with a folder as ``path``.

    Attributes
    ----------
    files : dict
        Layer -> its files, in order.
    """

    files: dict[str, list[Path]]

    def sha256(self) -> str:
        return joined_sha256([file for files in self.files.values() for file in files])

    @contextmanager
    def _opened(self, layer: str) -> Iterator[np.ndarray | h5py.Dataset]:
        if layer not in self.files:
            raise ValueError(f"features: {self.path} has no layer {layer!r}; it has {', '.join(self.layers)}")
        first = self.files[layer][0]
        with reading(first, "features", _KIND):
            if first.suffix == ".hdf5":
                with open_hdf5(first, "features") as file:
                    yield file["features"]
            else:
                yield _in_memory(self.files[layer])


def read_feature_folder(path: str | Path) -> FeatureFolder:
    """Open a folder of thingsvision.

    Parameters
    ----------
    path : path
        With ``features.npy``, ``features.hdf5`` (the dataset ``features``), ``features.txt`` or parts such as
        ``features_0-500.npy``, which are one layer with the folder's name; or with a subfolder of this kind for each
        layer. ``file_names.txt`` lies beside the features, or in ``path`` for all layers. The id of a picture is its
        file name without folder and ending.

    Returns
    -------
    FeatureFolder

    Raises
    ------
    ValueError
        If there are no such files, or only pickles (``.pt``), which are never opened; if parts or layers do not belong
        together.
    """
    path = Path(path)
    folders = [path] if _files(path) else sorted(
        (folder for folder in path.rglob("*") if folder.is_dir() and _files(folder)),
        key=lambda folder: natural_key(folder.relative_to(path).as_posix()),
    )  # fmt: skip
    if not folders:
        _refuse(path)
    files, layers, ids = {}, {}, None
    for folder in folders:
        layer = path.resolve().name if folder == path else folder.relative_to(path).as_posix().replace("/", "_")
        files[layer], own = _files(folder), _ids(folder, path)
        if ids is not None and own != ids:
            raise ValueError(f"features: {NAMES} of {folder} names other pictures than that of {folders[0]}")
        ids = own
        shapes = [_shape(file) for file in files[layer]]
        for file, shape in zip(files[layer], shapes, strict=True):
            if len(shape) != 2 or not shape[1] or shape[1] != shapes[0][1]:
                raise ValueError(
                    f"features: {file} has the shape {shape}; needed: (pictures, features), of as many features in "
                    "each part. Extract them with flatten_acts=True, or average over places"
                )
        if (n := sum(shape[0] for shape in shapes)) != len(ids):
            raise ValueError(f"features: {folder} has features of {n} pictures, and {NAMES} names {len(ids)}")
        layers[layer] = int(shapes[0][1])
    return FeatureFolder(path, np.array(ids), layers, {}, files)


def _files(folder: Path) -> list[Path]:
    """The files of features of a folder, in order; a whole one before parts."""
    if whole := [folder / name for name in _WHOLE if (folder / name).is_file()]:
        return whole[:1]
    found = {file: match for file in folder.glob("features*.npy") if (match := _PART.fullmatch(file.name))}
    parts = sorted(found, key=lambda file: int(found[file][1]))
    ranges = [(int(found[file][1]), int(found[file][2])) for file in parts if found[file][2] is not None]
    if ranges and (len(ranges) < len(parts) or [r[0] for r in ranges] != [0, *(r[1] for r in ranges[:-1])]):
        raise ValueError(
            f"features: the parts in {folder} do not follow one another ({listed([file.name for file in parts])}); one "
            "may be missing"
        )
    return parts


def _refuse(path: Path) -> None:
    tensors = [file for file in path.rglob("features*") if file.suffix in _TENSORS]
    if tensors:
        raise RefusedError(
            f"features: {tensors[0]} is never opened: .pt is a pickle, which runs any program that somebody put into "
            'it. Where it was made: numpy.save("features.npy", torch.load("features.pt").numpy()), or extract with '
            'output_type="ndarray" and save with file_format="npy" or "hdf5"'
        )
    raise ValueError(
        f"features: {path} is a folder without features of thingsvision; needed: {NAMES} beside {', '.join(_WHOLE)} or "
        "parts such as features_0-500.npy, or folders of these. `jne features` makes a file from pictures"
    )


def _ids(folder: Path, root: Path) -> list[str]:
    file = next((place / NAMES for place in (folder, *folder.parents) if (place / NAMES).is_file()
                 and (place == root or root in place.parents)), None)  # fmt: skip
    if file is None:
        raise ValueError(f"features: {NAMES}, which names the pictures in order, is neither in {folder} nor in {root}")
    return [picture_id(line.strip()) for line in read_text(file, "features").splitlines() if line.strip()]


def _shape(file: Path) -> tuple[int, ...]:
    """Of the array in a file."""
    with reading(file, "features", _KIND):
        if file.suffix == ".hdf5":
            with open_hdf5(file, "features") as content:
                if not isinstance(content.get("features"), h5py.Dataset):
                    raise ValueError(f"it has no array 'features', but {', '.join(content) or 'nothing'}")
                shape, dtype = content["features"].shape or (), content["features"].dtype
        else:
            values = _in_memory([file]) if file.suffix == ".txt" else open_npy(file, "features")
            shape, dtype = values.shape, values.dtype
    if dtype.kind not in "fiu":
        raise ValueError(f"features: {file} holds {dtype}, needed: real numbers")
    return tuple(shape)


def _in_memory(files: list[Path]) -> np.ndarray:
    """The rows of all files, one after the other."""
    if files[0].suffix == ".txt":
        check_held(4 * files[0].stat().st_size, f"features: {files[0]}")
        return np.loadtxt(read_text(files[0], "features").splitlines(), np.float32, ndmin=2)
    parts = [open_npy(file, "features") for file in files]
    if len(parts) == 1:
        return parts[0]
    check_held(sum(part.nbytes for part in parts), f"features: {files[0].name} and the other parts")
    return np.concatenate(parts)
