"""Image files: found in a folder or zip in natural order, decoded to RGB, and named when they cannot be."""

from __future__ import annotations

import hashlib
import os
import re
import struct
import zipfile
import zlib
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from functools import cached_property
from io import BytesIO
from pathlib import Path, PurePosixPath

import numpy as np
from PIL import Image, ImageOps

from jne._core import (
    RefusedError,
    check_held,
    composed,
    encodable,
    listed,
    open_zip,
    plain_file,
    sha256,
    stands_for,
)
from jne.features.png_checksums import check_png

IMAGE_SUFFIXES = (".bmp", ".gif", ".jpeg", ".jpg", ".png", ".ppm", ".tif", ".tiff", ".webp")
_FORMATS = ("BMP", "GIF", "JPEG", "PNG", "PPM", "TIFF", "WEBP")
"""Whatever the name says: Pillow has a PostScript file drawn by another program, which runs what is in it."""
_AT_ONCE = 8
"""Images that are unpacked at the same time."""

_DAMAGED_NOTES = (
    ArithmeticError,
    AttributeError,
    LookupError,
    OSError,
    SyntaxError,
    TypeError,
    ValueError,
    struct.error,
)
"""What Pillow raises while it reads the EXIF block of a file."""


def decode(source: str | Path | BytesIO, name: str) -> Image.Image:
    if not isinstance(source, BytesIO):
        plain_file(source, "images")
    try:
        with Image.open(source, formats=_FORMATS) as image:
            check_held(4 * _AT_ONCE * image.width * image.height, f"{name}, of which {_AT_ONCE} are decoded at once,")
            frames = _n_frames(image)
            check_png(image.fp)
            image.load()
    except RefusedError:
        raise
    # A damaged file can raise nearly anything from Pillow's decoders; to the caller it is one thing.
    except Exception as error:
        told = stands_for(source.getvalue()) if isinstance(source, BytesIO) else None
        why = told or f"cannot be decoded as an image: it is damaged or of another kind ({error})"
        raise ValueError(f"{name} {why}") from error
    _refuse_frames(frames, name)
    return as_rgb(image, name)


def as_rgb(image: Image.Image, name: str) -> Image.Image:
    """An image as it is shown: upright where a camera noted how it was held, in RGB."""
    _refuse_frames(_n_frames(image), name)
    # Notes of a camera that are damaged turn nothing, here as in every viewer.
    with suppress(*_DAMAGED_NOTES):
        image = ImageOps.exif_transpose(image)
    if image.mode.startswith(("I", "F")):
        raise ValueError(
            f"{name} has more than 8 bits a channel (Pillow mode {image.mode}); save it with 8, as it was shown"
        )
    if image.has_transparency_data and image.convert("RGBA").getchannel("A").getextrema()[0] < 255:
        raise ValueError(f"{name} has transparent pixels; save it on the background that was shown")
    return image.convert("RGB")


def _n_frames(image: Image.Image) -> int:
    # Telephones save a second picture (of depth, or brightness) behind the photograph, which is the one that is shown.
    try:
        return 1 if image.format == "MPO" else getattr(image, "n_frames", 1)
    except (ValueError, OSError, EOFError, AttributeError):  # of a picture whose file is closed, nobody can tell
        return 1


def _refuse_frames(frames: int, name: str) -> None:
    if frames > 1:
        raise ValueError(f"{name} holds {frames} pictures (frames, pages); save the one that was shown as a file")


def central_square(image: Image.Image, share: float = 1.0) -> Image.Image:
    """The central square of an image, its side a share of the shorter one.

    Cropped before it is resized: Pillow's ``resize(box=...)`` blends in what is outside the box.
    """
    side = max(1, int(min(image.size) * share))
    left, top = (image.width - side + 1) // 2, (image.height - side + 1) // 2
    return image.crop((left, top, left + side, top + side))


def natural_key(name: str) -> tuple:
    """Sorting key that puts ``image2`` before ``image10``, folder by folder."""
    parts = (re.split(r"(\d+)", part.casefold()) for part in PurePosixPath(name).parts)
    numbered = tuple(tuple(int(t) if t.isdecimal() else t for t in part) for part in parts)
    return numbered, name


def picture_id(name: str) -> str:
    """The id of a picture: its file name without folder (of any system) and without the ending of an image."""
    last = re.split(r"[/\\]", name)[-1]
    stem, dot, ending = last.rpartition(".")
    return stem if dot and stem and f".{ending.lower()}" in (*IMAGE_SUFFIXES, ".eps") else last


class ImageFiles(Sequence):
    """The images of a folder or a zip, in the natural order of their names; each is decoded when it is asked for.

    Hidden files, ``__MACOSX`` and files that do not end like an image are left out.

    Parameters
    ----------
    path : path
        A folder (searched with its subfolders) or a zip file.

    Attributes
    ----------
    names : list of str
        Paths within the folder or zip.
    ignored : list of str
        Visible files left out because they do not end like an image.

    Raises
    ------
    ValueError
        If there is no such folder or zip, or no image in it.
    """

    def __init__(self, path: str | Path):
        self.path = Path(path)
        self._zip = None
        if self.path.is_dir():
            names = [p.relative_to(self.path).as_posix() for p in self.path.rglob("*") if not p.is_dir()]
        elif plain_file(self.path, "images").is_file():
            self._zip = _open_zip(self.path)
            names = [info.filename for info in self._zip.infolist() if not info.is_dir()]
            if twice := [name for name, count in Counter(names).items() if count > 1]:
                raise ValueError(
                    f"images: {self.path} holds {listed(twice)} more than once; pack it anew, each file once"
                )
        else:
            raise ValueError(f"images: there is no folder or zip file {self.path}")
        visible = [n for n in names if not any(p.startswith((".", "__MACOSX")) for p in PurePosixPath(n).parts)]
        self.names = sorted((n for n in visible if n.lower().endswith(IMAGE_SUFFIXES)), key=natural_key)
        self.ignored = sorted(set(visible) - set(self.names))
        if self._zip is None:
            self._refuse_links_to_nothing()
            for name in self.names:
                plain_file(self.path / name, "images", content=False)  # each is told where it is decoded
                if encodable(name) != name:
                    raise ValueError(
                        f"images: the name of {encodable(name)} in {encodable(str(self.path))} is not in UTF-8, and "
                        "ids of stimuli must be; rename the file"
                    )
        if not self.names:
            raise ValueError(
                f"images: {self.path} holds 0 images and {len(self.ignored)} other files; an image ends in "
                f"{', '.join(IMAGE_SUFFIXES)}"
            )

    def _refuse_links_to_nothing(self) -> None:
        broken = [
            name for name in self.names if (self.path / name).is_symlink() and not os.path.exists(self.path / name)
        ]
        if broken:
            raise RefusedError(
                f"images: {len(broken)} of {len(self.names)} images of {self.path} are links to nothing "
                f"({listed(broken)}; the first to {os.readlink(self.path / broken[0])}). If DataLad or git-annex keeps "
                "them, fetch them with `datalad get`"
            )

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, index: int) -> Image.Image:
        name = self.names[index]
        return decode(BytesIO(self._read(name)), f"{self.path}: {name}")

    @cached_property
    def ids(self) -> np.ndarray:
        """Names of the stimuli ``(n_images,)``: see `stimulus_ids`."""
        return stimulus_ids(self.names)

    @property
    def sha256(self) -> str:
        """SHA-256 of the zip file, or of the names and contents of the images of a folder."""
        if self._zip is not None:
            return sha256(self.path)
        digest = hashlib.sha256()
        for name in self.names:
            content = self._read(name)
            digest.update(f"{name}\0{len(content)}\0".encode() + content)
        return digest.hexdigest()

    def _read(self, name: str) -> bytes:
        if self._zip is None:
            return (self.path / name).read_bytes()
        try:
            size = self._zip.getinfo(name).file_size
            check_held(_AT_ONCE * size, f"images: {_AT_ONCE} files like {name} of {self.path}, unpacked at once,")
            return self._zip.read(name)
        # zipfile raises a RuntimeError for a password, a kind of it for an unknown compression.
        except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError) as error:
            raise ValueError(f"{self.path}: {name} cannot be unpacked: the zip is damaged ({error})") from error


def stimulus_ids(names: Sequence[str]) -> np.ndarray:
    """File names without folder and ending; with them where two would be the same."""
    for shorten in (lambda p: p.stem, lambda p: p.with_suffix("").as_posix()):
        ids = [composed(shorten(PurePosixPath(name))) for name in names]
        if len(set(ids)) == len(ids):
            return np.array(ids)
    return np.array(names)


def _open_zip(path: Path) -> zipfile.ZipFile:
    """A zip whose names are what they are before each file, too: its list of names has no checksum."""
    try:
        opened = open_zip(path)
        for info in opened.infolist():
            # What is behind a password, or packed in a way that is unknown here, is told where it is an image.
            with suppress(RuntimeError, NotImplementedError), opened.open(info):
                pass
        return opened
    # zipfile itself raises much else over a damaged list of names.
    except (zipfile.BadZipFile, OSError, ValueError, LookupError, EOFError, RuntimeError, struct.error) as error:
        raise ValueError(
            f"images: {path} ({path.stat().st_size} bytes) is not a folder, and as a zip it is truncated or damaged "
            f"({error})"
        ) from error
