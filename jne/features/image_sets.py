"""The images of a command: a folder, a zip or NSD's stimulus file, whole or some of them."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path

import h5py
import numpy as np
from PIL import Image

from jne._core import HDF5_ENDINGS, listed
from jne.features.images import ImageFiles

BRICK = "imgBrick"


class ImageBrick(Sequence):
    """The images of an HDF5 file like nsd_stimuli.hdf5: ``imgBrick (n, y, x, 3)``, uint8, read one by one.

    The id of an image is its place in the file, counting from 0, as NSD's ``nsdId`` does.

    Raises
    ------
    ValueError
        If the file is damaged, or has no such array.
    """

    def __init__(self, path: str | Path):
        self.path = Path(path)
        try:
            self._file = h5py.File(self.path)
            self._images = self._file[BRICK]
        except (OSError, KeyError) as error:
            raise ValueError(
                f"images: {path} ({self.path.stat().st_size} bytes) cannot be read as an HDF5 file with the array "
                f"{BRICK}: it is truncated, damaged or of another kind ({error})"
            ) from error
        shape, dtype = self._images.shape, self._images.dtype
        if len(shape) != 4 or shape[3] != 3 or dtype != np.uint8:
            raise ValueError(f"images: {BRICK} of {path} is {shape}, {dtype}; needed: (n_images, y, x, 3), uint8")
        self.ids = np.arange(shape[0]).astype(str)
        # Tens of gigabytes: what it is called and how large it is must do.
        self.fingerprint = f"{self.path.name} {self.path.stat().st_size} bytes"

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, index: int) -> Image.Image:
        try:
            return Image.fromarray(self._images[index])
        except OSError as error:
            raise ValueError(f"images: image {index} of {self.path} cannot be read: it is damaged ({error})") from error


class ImageSet(Sequence):
    """Some images of a source, in the source's order.

    Attributes
    ----------
    ids : array of str ``(n_images,)``
    fingerprint : str
        Changes with the source and with the choice.
    """

    def __init__(self, source: ImageFiles | ImageBrick, indices: np.ndarray):
        self.source, self.indices = source, indices
        self.path, self.ids = source.path, source.ids[indices]
        self.fingerprint = source.fingerprint if isinstance(source, ImageBrick) else source.sha256

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, index: int) -> Image.Image:
        return self.source[int(self.indices[index])]


def open_images(path: str | Path, select: Iterable[str | Path] = ()) -> ImageSet:
    """The images of a folder, a zip or an HDF5 file like nsd_stimuli.hdf5.

    Parameters
    ----------
    path : path
    select : paths
        Files of ids (see `read_ids`): only images in any of them are taken. None: all.

    Raises
    ------
    ValueError
        If there are no such images, or an id is not among them.
    """
    path = Path(path)
    brick = path.is_file() and path.suffix.lower() in HDF5_ENDINGS
    source = ImageBrick(path) if brick else ImageFiles(path)
    select = list(select)
    if not select:
        return ImageSet(source, np.arange(len(source)))
    wanted = {identity: str(file) for file in select for identity in read_ids(file)}
    if unknown := sorted(set(wanted) - set(source.ids)):
        raise ValueError(
            f"select: {len(unknown)} of {len(wanted)} ids ({listed(unknown)}; from {wanted[unknown[0]]}) are not among "
            f"the {len(source)} images of {path}, whose ids are {listed(source.ids.tolist())}"
        )
    return ImageSet(source, np.flatnonzero(np.isin(source.ids, list(wanted))))


def read_ids(path: str | Path) -> list[str]:
    """Ids of a text file, one a line; of NSD's responses.tsv, the images that the subject saw.

    There the column 73KID counts from 1, and the ids count from 0.
    """
    path = Path(path)
    try:
        text = path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"select: {path} cannot be read as text ({error})") from error
    lines = [line for line in text.splitlines() if line.strip()]
    if not lines:
        raise ValueError(f"select: {path} is empty; needed: one id a line, or NSD's responses.tsv")
    if "73KID" not in lines[0].split("\t"):
        return [line.strip() for line in lines]
    rows = csv.DictReader(lines, delimiter="\t")
    try:
        return [str(int(float(row["73KID"])) - 1) for row in rows]
    except (TypeError, ValueError) as error:
        raise ValueError(f"select: the column 73KID of {path} is not all whole numbers ({error})") from error
