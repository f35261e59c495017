"""The one door of brain images: volumes and surfaces are read to their end, and only real numbers pass.

A gzip file holds a checksum, which is compared at its very end; a reader that stops after the last wanted byte never
meets it, and takes what a bad disk or download made of the file for data.
"""

from __future__ import annotations

import base64
import bz2
import gzip
import math
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import nibabel
import numpy as np
from nibabel.arrayproxy import ArrayProxy
from nibabel.gifti import GiftiImage
from nibabel.gifti.parse_gifti_fast import GiftiImageParser
from nibabel.gifti.util import gifti_encoding_codes
from nibabel.nifti1 import data_type_codes
from nibabel.openers import ImageOpener
from nibabel.spatialimages import SpatialImage
from nibabel.volumeutils import apply_read_scaling

from jne._core import check_held, open_hdf5, plain_file, read_bytes, reading
from jne.prepare.matlab_files import check_matlab
from jne.prepare.nifti_headers import check_extensions

_OPENERS = {".gz": gzip.open, ".mgz": gzip.open, ".bz2": bz2.open}
_BLOCK_BYTES = 2**20
_ELEMENT = 2000
"""Bytes that an empty element of a GIFTI file takes as an object of nibabel, at most, about."""
_PARTNERS = {".hdr": (".img", ".img.gz", ".mat"), ".img": (".hdr", ".hdr.gz", ".mat"), ".head": (".BRIK", ".BRIK.gz"),
             ".brik": (".HEAD",), ".par": (".REC",), ".rec": (".PAR",)}  # fmt: skip
"""Files that are read with one of this ending."""


class _Parser(GiftiImageParser):
    """Arrays are unpacked to what they declare, if all of them together are not too large."""

    held = 0
    """Bytes that what was met takes in memory."""

    def StartElementHandler(self, name: str, attrs: dict[str, str]) -> None:
        self._hold(_ELEMENT)
        super().StartElementHandler(name, attrs)

    def flush_chardata(self) -> None:
        if self.write_to == "Data" and self._char_blocks is not None:
            declared = math.prod(self.da.dims) * data_type_codes.dtype[self.da.datatype].itemsize
            self._hold(declared)
            if gifti_encoding_codes.label[self.da.encoding] == "B64GZ":
                packed = base64.b64decode("".join(self._char_blocks))
                # One more, which shows that there is more.
                if len(zlib.decompressobj().decompress(packed, declared + 1)) > declared:
                    raise ValueError(f"an array unpacks to more than the {declared} bytes that it should have")
        super().flush_chardata()

    def _hold(self, size: int) -> None:
        self.held += size
        check_held(self.held, "the GIFTI file, unpacked,")


class _Gifti(GiftiImage):
    parser = _Parser


@dataclass(frozen=True)
class Maps:
    """Maps of one file, read when they are asked for.

    Attributes
    ----------
    path : Path
    shape : tuple of int
        Of one map: ``(x, y, z)`` of a volume, ``(n_vertices,)`` of a surface.
    count : int
        Maps in the file.
    rows : function, optional
        Takes indices into a flattened map, x fastest, and gives each map's values there, ``(n_points,)``.
    columns : function, optional
        In place of ``rows``, for files in which all values of a point lie together: takes indices in the order of the
        file, and gives which of them a block has, a slice, and its values ``(count, n_points)``.
    """

    path: Path
    shape: tuple[int, ...]
    count: int
    rows: Callable[[np.ndarray], Iterator[np.ndarray]] | None = None
    columns: Callable[[np.ndarray], Iterator[tuple[slice, np.ndarray]]] | None = None


def load_image(path: Path, what: str, kind: str = "a NIfTI image") -> SpatialImage | GiftiImage:
    """Open an image with nibabel; an error if it is damaged, or holds complex numbers or colours."""
    if not plain_file(path, what).is_file():
        raise ValueError(f"{what}: there is no file {path}")
    with reading(path, what, kind):
        if (image := open_image(path, what)) is None:
            raise ValueError("there is nothing in it")
    if isinstance(image, GiftiImage):
        for array in image.darrays:
            check_real(array.data.dtype, path, what)
    elif isinstance(image, SpatialImage):
        check_real(image.get_data_dtype(), path, what)
    return image


def open_image(path: Path, what: str) -> SpatialImage | GiftiImage:
    """Open an image with nibabel, after what it names and what its header makes nibabel read have been looked at.

    Raises
    ------
    RefusedError
        If it names what is no plain file, or its header takes too much memory.
    Exception
        Nearly any, on a damaged file.
    """
    if path.name.lower().endswith((".gii", ".gii.gz")):
        # From memory, where data in another file, which a GIFTI file can name, are refused.
        return _Gifti.from_bytes(read_bytes(path, what))
    stem = path.with_suffix("") if path.suffix.lower() in _OPENERS else path
    for file in (path, *map(stem.with_suffix, _PARTNERS.get(stem.suffix.lower(), ()))):
        if plain_file(file, what).is_file() and file.suffix == ".mat":  # of SPM
            check_matlab(file.read_bytes(), f"{what}: {file}")
        elif file.is_file():
            with open_stream(file) as stream:
                check_extensions(stream, f"{what}: {file}")
    with path.open("rb") as file:
        is_hdf5 = file.read(8) == b"\x89HDF\r\n\x1a\n"
    if is_hdf5:  # MINC
        open_hdf5(path, what).close()
    return nibabel.load(path)


def check_real(dtype: np.dtype, path: Path, what: str) -> None:
    """Refuse complex numbers, of which a cast would keep the real part, and colours."""
    if dtype.kind == "c":
        raise ValueError(
            f"{what}: {path} holds complex numbers ({dtype}); needed: real ones. Save the magnitude, or the part that "
            "is meant, as a file of its own"
        )
    if dtype.kind not in "fiub":
        raise ValueError(f"{what}: {path} has colours ({dtype}), needed: one number for each voxel")


def read_values(image: SpatialImage, path: Path, what: str) -> np.ndarray:
    """All values of an image, scaled, in a type that holds them exactly, after its checksums have been compared."""
    with reading(path, what, "a whole image"):
        read_to_the_end(image)
        return all_values(image, f"{what}: {path}")


def all_values(image: SpatialImage, what: str) -> np.ndarray:
    """Every value of an image, which may be more than its packed file would let one think."""
    check_held(8 * math.prod(map(int, image.shape)), what)
    return np.asanyarray(image.dataobj)


def read_to_the_end(image: SpatialImage) -> None:
    """Compare the checksums of the packed files of an image, which are at their ends."""
    for name in {holder.filename for holder in image.file_map.values() if holder.filename}:
        if (suffix := Path(name).suffix.lower()) in _OPENERS and Path(name).is_file():
            with _OPENERS[suffix](name) as file:
                while file.read(_BLOCK_BYTES):
                    pass


def open_maps(image: SpatialImage, path: Path, what: str, shape: tuple[int, ...], kind: str = "a whole image") -> Maps:
    """The maps of this shape that follow one another in an image, read front to back, one in memory at a time.

    ``kind`` is what an error says that the file should be.
    """
    n_points = math.prod(shape)
    count = math.prod(image.shape) // n_points

    def rows(points: np.ndarray) -> Iterator[np.ndarray]:
        read = _stream if _is_plain(image) else _slices
        check_held(8 * n_points * (1 if read is _stream else count), f"{what}: {path}")
        with reading(path, what, kind):
            yield from read(image, n_points, count, points)

    return Maps(path, shape, count, rows)


def _is_plain(image: SpatialImage) -> bool:
    """Whether one map follows the other in one file, as in NIfTI and MGH."""
    proxy = image.dataobj
    return isinstance(proxy, ArrayProxy) and proxy.order == "F" and np.ndim(proxy.slope) == np.ndim(proxy.inter) == 0


def _stream(image: SpatialImage, n_points: int, count: int, points: np.ndarray) -> Iterator[np.ndarray]:
    proxy = image.dataobj
    size, slope, inter = n_points * proxy.dtype.itemsize, np.asarray(proxy.slope), np.asarray(proxy.inter)
    with open_stream(Path(image.file_map["image"].filename)) as file:
        file.seek(proxy.offset)
        for i in range(count):
            data = file.read(size)
            if len(data) < size:
                raise EOFError(f"it ends in map {i + 1} of {count}")
            yield apply_read_scaling(np.frombuffer(data, proxy.dtype)[points], slope, inter)
        # Only at its end is the checksum of a gzip file compared.
        while file.read(_BLOCK_BYTES):
            pass


def _slices(image: SpatialImage, n_points: int, count: int, points: np.ndarray) -> Iterator[np.ndarray]:
    """Maps of other formats, which are unpacked as a whole."""
    read_to_the_end(image)
    values = np.asanyarray(image.dataobj).reshape((n_points, count), order="F")
    yield from values[points].T


def open_stream(path: Path):
    """The bytes of a file, unpacked where its ending says that it is packed."""
    return _OPENERS.get(path.suffix.lower(), ImageOpener)(path)
