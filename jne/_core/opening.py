"""The one door of files that others made: nothing in them opens another file, and none takes more memory than is said.

Readers of every wing come through here, with what their errors call the file.
"""

from __future__ import annotations

import gzip
import io
import json
import math
import os
import stat
import zipfile
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
import xarray as xr

from jne._core.hdf5_chunks import check_chunks
from jne._core.memory import RefusedError, check_held

_KINDS = {
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a pipe (FIFO)",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFSOCK: "a socket",
}
DAMAGED = (
    OSError,
    ValueError,
    EOFError,
    KeyError,
    RuntimeError,
    OverflowError,
    MemoryError,
    zlib.error,
    zipfile.BadZipFile,
)
"""What h5py, zipfile and NumPy raise on an HDF5 or npz file that is damaged or of another kind."""
_BLOCK = 2**20
_TEXT = 64
"""Bytes that a text takes in memory, about."""


def plain_file(path: str | Path, what: str) -> Path:
    """``path``, unless what is there, its symbolic links followed, is no plain file, so that reading it could wait.

    Raises
    ------
    RefusedError
        Also for a link to nothing; where nothing at all is there, what comes next says so.
    """
    path = Path(path)
    if path.exists():
        if (kind := stat.S_IFMT(path.stat().st_mode)) != stat.S_IFREG:
            raise RefusedError(f"{what}: {path} is {_KINDS.get(kind, 'something else')}; needed: a file")
    elif path.is_symlink():
        raise RefusedError(
            f"{what}: {path} is a link to {os.readlink(path)}, which is not there. If DataLad or git-annex keeps it, "
            "fetch it with `datalad get`"
        )
    return path


def read_bytes(path: str | Path, what: str) -> bytes:
    """The content of a file, unpacked if it is a gzip file."""
    with plain_file(path, what).open("rb") as file:
        packed = file.read(2) == b"\x1f\x8b"
        file.seek(0)
        stream, content = gzip.GzipFile(fileobj=file) if packed else file, bytearray()
        while block := stream.read(_BLOCK):
            content += block
            check_held(len(content), f"{what}: {path}{', unpacked,' if packed else ''}")
        return bytes(content)


def read_text(path: str | Path, what: str, encoding: str = "utf-8") -> str:
    """The content of a text file."""
    return read_bytes(path, what).decode(encoding)


def read_json(path: str | Path, what: str) -> Any:
    """The content of a JSON file.

    Raises
    ------
    ValueError
        If it is none.
    """
    text = read_bytes(path, what)
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{what}: {path} cannot be read as JSON ({error})") from error


def open_hdf5(path: str | Path, what: str) -> h5py.File:
    """An HDF5 file, to read, of which no part is in another file.

    Raises
    ------
    RefusedError
        If it has external links, external storage or virtual datasets, chunks that are too large, or filters whose
        code is elsewhere.
    OSError
        If it is damaged or of another kind.
    """
    file = h5py.File(plain_file(path, what))

    def look(name: bytes, link: h5py.h5l.LinkInfo) -> Exception | None:
        try:
            check(name, link)
        except Exception as error:  # which the library, from whose walk this is called, would lose
            return error
        return None

    def check(name: bytes, link: h5py.h5l.LinkInfo) -> None:
        place = f"{what}: {name.decode(errors='replace')!r} of {path}"
        if link.type not in (h5py.h5l.TYPE_HARD, h5py.h5l.TYPE_SOFT):
            raise RefusedError(f"{place} is a link to another file; {_CLOSED}")
        item = h5py.h5o.open(file.id, name) if link.type == h5py.h5l.TYPE_HARD else None
        if isinstance(item, h5py.h5d.DatasetID):
            plan = item.get_create_plist()
            if plan.get_external_count() or plan.get_layout() == h5py.h5d.VIRTUAL:
                raise RefusedError(f"{place} has its values in another file; {_CLOSED}")
            if plan.get_layout() == h5py.h5d.CHUNKED:
                check_chunks(item, place)

    if error := file.id.links.visit(look, info=True):
        file.close()
        raise error
    return file


_CLOSED = "needed: a file that holds all of its values. Save them into it, or copy it with `h5repack`"


def n_bytes(values: h5py.Dataset | xr.Variable) -> int:
    """What all values of an array take in memory."""
    return math.prod(values.shape) * (_TEXT if values.dtype.kind == "O" else values.dtype.itemsize)


def open_netcdf(path: str | Path, what: str = "dataset") -> xr.Dataset:
    """The variables of a NetCDF-4 file; those of two dimensions or more are read when they are asked for."""
    with open_hdf5(path, what) as file:
        for name, item in file.items():
            if isinstance(item, h5py.Dataset) and item.ndim < 2:
                check_held(n_bytes(item), f"{what}: variable {name} of {path}")
    return xr.open_dataset(path, engine="h5netcdf")


def npz_headers(path: str | Path, what: str) -> dict[str, tuple[tuple[int, ...], np.dtype]]:
    """Shape and type of each array of an npz file."""
    found = {}
    with zipfile.ZipFile(plain_file(path, what)) as file:
        for info in file.infolist():
            with file.open(info) as stream:
                version = np.lib.format.read_magic(stream)
                read = getattr(np.lib.format, f"read_array_header_{version[0]}_0", None)
                if read is None:
                    raise ValueError(f"{info.filename} has version {version[0]} of the format of arrays")
                shape, _, dtype = read(stream)
            if dtype.hasobject:
                raise ValueError(f"{info.filename} holds Python objects")
            if min(shape, default=0) < 0:
                raise ValueError(f"{info.filename} has the shape {shape}")
            found[info.filename.removesuffix(".npy")] = shape, dtype
    return found


def read_npz(path: str | Path, names: Iterable[str], what: str) -> dict[str, np.ndarray]:
    """Those of the named arrays that an npz file has, read without pickles."""
    headers = npz_headers(path, what)
    wanted = [name for name in dict.fromkeys(names) if name in headers]
    size = sum(math.prod(shape) * dtype.itemsize for shape, dtype in (headers[name] for name in wanted))
    check_held(size, f"{what}: {', '.join(wanted)} of {path}, unpacked,")
    with np.load(path, allow_pickle=False) as file:
        return {name: file[name] for name in wanted}


def read_table(path: str | Path, what: str, **options: Any) -> pd.DataFrame:
    """A table of text, by the options of ``pandas.read_csv``."""
    return pd.read_csv(io.BytesIO(read_bytes(path, what)), **options)
