"""HDF5 written so that a full disk is an error: the library itself, where it cannot write, dies while it closes."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import xarray as xr

from jne._core.digests import seal
from jne._core.files import DiskFullError, atomic_path, is_full
from jne._core.texts import encodable_attributes


class PatientFile(io.FileIO):
    """A file for h5py that takes everything it is given, and tells afterwards what could not be written.

    Parameters
    ----------
    path : path
        A file that is there; it is read and written in place, and no symbolic link is followed.
    target : Path, optional
        What errors name.

    Attributes
    ----------
    size : int
        Bytes that it has, or would have.
    error : OSError or None
        The first that there was.
    """

    def __init__(self, path: str | Path, target: Path | None = None):
        super().__init__(path, "r+", opener=lambda name, flags: os.open(name, flags | getattr(os, "O_NOFOLLOW", 0)))
        self.size = os.fstat(self.fileno()).st_size
        self.target = target or Path(path)
        self.error: OSError | None = None

    def raise_error(self, needed: int = 0) -> None:
        """Raise the first error that there was; ``needed`` are the bytes of the whole file, where they are known."""
        if self.error and is_full(self.error):
            raise DiskFullError(self.target, needed, Path(os.fsdecode(self.name))) from self.error
        if self.error:
            raise self.error

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        return super().seek(self.size + offset) if whence == os.SEEK_END else super().seek(offset, whence)

    def readinto(self, buffer: Any) -> int:
        view = memoryview(buffer).cast("B")
        found = super().readinto(view) or 0
        if self.error:  # zeros stand for what could not be written
            view[found:] = bytes(len(view) - found)
            return len(view)
        return found

    def write(self, content: Any) -> int:
        view, start, done = memoryview(content).cast("B"), self.tell(), 0
        try:
            while done < len(view) and not self.error:
                done += super().write(view[done:]) or 0
        except OSError as error:
            self.error = error
        self.size = max(self.size, self.seek(start + len(view)))
        return len(view)

    def truncate(self, size: int | None = None) -> int:
        self.size = self.tell() if size is None else size
        try:
            super().truncate(self.size)
        except OSError as error:
            self.error = self.error or error
        return self.size


@contextmanager
def hdf5_stream(path: str | Path, size: int = 0, *, sealed: bool = True) -> Iterator[PatientFile]:
    """A stream for ``h5py.File`` or ``h5netcdf.File``; its file gets the name ``path`` if the block succeeds.

    After the block it is read again, and its digest is written (`jne._core.digests`).

    In a long block, `PatientFile.raise_error` says early that the disk is full.

    Parameters
    ----------
    path : path
    size : int
        Bytes that are going to be written, about; an error if they are not free.
    sealed : bool
        False for a file that is not finished yet, which gets no digest.

    Raises
    ------
    DiskFullError
        If the disk is full; what was at ``path`` is as it was.
    """
    with atomic_path(path, size) as part, PatientFile(part, Path(path)) as stream:
        try:
            yield stream
            if sealed and not stream.error:
                seal(stream)
        except Exception:
            # What could not be written cannot be read again either.
            stream.raise_error(size)
            raise
        stream.raise_error(max(size, stream.size))


def write_netcdf(dataset: xr.Dataset, path: str | Path, *, compress: bool = False) -> Path:
    """Write ``dataset`` to ``path`` as NetCDF-4, atomically; the same content gives the same bytes."""
    encoding: dict[Any, Mapping] = {}
    if compress:
        encoding = {
            name: {"zlib": True, "complevel": 4, "shuffle": True}
            for name, variable in dataset.variables.items()
            if variable.dtype.kind in "fiub" and variable.ndim
        }
    with hdf5_stream(path) as stream:
        to_stream(dataset, stream, encoding)
    return Path(path)


def to_stream(dataset: xr.Dataset, stream: PatientFile, encoding: Mapping[Any, Mapping] | None = None) -> None:
    """Write a dataset as NetCDF-4; names of files among its attributes may be of any bytes."""
    attrs = encodable_attributes(dataset.attrs)
    dataset.assign_attrs(attrs).to_netcdf(stream, engine="h5netcdf", encoding=encoding)
