"""The images of a command: a folder, a zip or NSD's stimulus file, whole or some of them."""

from __future__ import annotations

import csv
import hashlib
import math
from collections.abc import Iterable, Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
from PIL import Image

from jne._core import HDF5_ENDINGS, check_held, composed, listed, open_hdf5, plain_file, read_text
from jne.features.images import ImageFiles

BRICK = "imgBrick"
_ID = 84
"""Bytes of a whole number as a text of NumPy's."""


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
            self._file = open_hdf5(self.path, "images")
            self._images = self._file[BRICK]
        except (OSError, KeyError) as error:
            raise ValueError(
                f"images: {path} ({self.path.stat().st_size} bytes) cannot be read as an HDF5 file with the array "
                f"{BRICK}: it is truncated, damaged or of another kind ({error})"
            ) from error
        shape, dtype = self._images.shape, self._images.dtype
        if len(shape) != 4 or shape[3] != 3 or dtype != np.uint8:
            raise ValueError(f"images: {BRICK} of {path} is {shape}, {dtype}; needed: (n_images, y, x, 3), uint8")
        check_held(math.prod(shape[1:]), f"images: one image of {path}")
        check_held(_ID * shape[0], f"images: the ids of {path}")
        self.ids = np.arange(shape[0]).astype(str)

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, index: int) -> Image.Image:
        return Image.fromarray(self._read(index))

    def digest(self, indices: np.ndarray) -> str:
        """SHA-256 of the pixels of some images, which changes with them and not with the place of the file."""
        digest = hashlib.sha256(f"{self._images.shape[1:]}".encode())
        for index in indices:
            digest.update(self._read(index))
        return digest.hexdigest()

    def _read(self, index: int) -> np.ndarray:
        try:
            return self._images[index]
        except OSError as error:
            raise ValueError(f"images: image {index} of {self.path} cannot be read: it is damaged ({error})") from error


class ImageSet(Sequence):
    """Some images of a source, in the source's order.

    Attributes
    ----------
    ids : array of str ``(n_images,)``
    fingerprint : str
        Changes with the content of the images; those of a zip or a folder count all.
    """

    def __init__(self, source: ImageFiles | ImageBrick, indices: np.ndarray):
        self.source, self.indices = source, indices
        self.path, self.ids = source.path, source.ids[indices]

    @cached_property
    def fingerprint(self) -> str:
        return self.source.digest(self.indices) if isinstance(self.source, ImageBrick) else self.source.sha256

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
    path = path if path.is_dir() else plain_file(path, "images")
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
        text = read_text(path, "select")
    except OSError as error:
        raise ValueError(f"select: {path} cannot be read as text ({error})") from error
    lines = [line for line in text.splitlines() if line.strip()]
    if not lines:
        raise ValueError(f"select: {path} is empty; needed: one id a line, or NSD's responses.tsv")
    if "73KID" not in lines[0].split("\t"):
        return [composed(line.strip()) for line in lines]
    rows = csv.DictReader(lines, delimiter="\t")
    try:
        return [str(int(float(row["73KID"])) - 1) for row in rows]
    except (TypeError, ValueError) as error:
        raise ValueError(f"select: the column 73KID of {path} is not all whole numbers ({error})") from error
