"""The one door of files that others made: nothing in them opens another file, and none takes more memory than is said.

Readers of every wing come through here, with what their errors call the file.
"""

from __future__ import annotations

import gzip
import io
import math
import os
import stat
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
import xarray as xr

from jne._core.damage import StandInError, reading
from jne._core.digests import check_version, compare_digest
from jne._core.hdf5_chunks import check_chunks
from jne._core.memory import RefusedError, check_held
from jne._core.stand_ins import stand_in
from jne._core.text_bytes import decoded

_KINDS = {
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a pipe (FIFO)",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFSOCK: "a socket",
}
_BLOCK = 2**20
_TEXT = 64
"""Bytes that a text takes in memory, about."""


def plain_file(path: str | Path, what: str, *, content: bool = True) -> Path:
    """``path``, unless what is there, its symbolic links followed, is no plain file, so that reading it could wait.

    Raises
    ------
    RefusedError
        Also for a link to nothing; where nothing at all is there, what comes next says so.
    StandInError
        If ``content`` is looked at, and it is empty or stands for another file, see `jne._core.stand_ins.stand_in`.
    """
    path = Path(path)
    if path.exists():
        if (kind := stat.S_IFMT(path.stat().st_mode)) != stat.S_IFREG:
            raise RefusedError(f"{what}: {path} is {_KINDS.get(kind, 'something else')}; needed: a file")
        if content and (told := stand_in(path)):
            raise StandInError(f"{what}: {path} {told}")
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


def read_text(path: str | Path, what: str) -> str:
    """The content of a text file in UTF-8, with a mark of it before the text or without.

    Raises
    ------
    RefusedError
        If it is in another encoding; line and column are named.
    """
    return decoded(read_bytes(path, what), f"{what}: {path}")


def open_hdf5(path: str | Path, what: str, *, deep: bool = False, compared: bool = False) -> h5py.File:
    """An HDF5 file, to read, of which no part is in another file.

    Parameters
    ----------
    path : path
    what : str
        What errors call it.
    deep : bool
        Compare the file with its digest, where it has one, even if it is large.
    compared : bool
        Whether it has been compared.

    Raises
    ------
    RefusedError
        If it has external links, external storage or virtual datasets, chunks that are too large, or filters whose
        code is elsewhere.
    DamagedError
        If it is not what its digest was made of.
    OSError
        If it is damaged or of another kind.
    """
    if plain_file(path, what).is_file() and not compared:
        compare_digest(path, what, deep=deep)
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


def open_netcdf(path: str | Path, what: str = "dataset", *, deep: bool = False, sealed: bool = True) -> xr.Dataset:
    """The variables of a NetCDF-4 file; those of two dimensions or more are read when they are asked for.

    Parameters
    ----------
    path : path
    what : str
        What errors call it.
    deep : bool
        Compare the file with its digest even where it is large.
    sealed : bool
        False for a file that has no digest yet.

    Raises
    ------
    DamagedError
        If it is damaged, of another kind, or not what its digest was made of.
    """
    with reading(path, what, "a NetCDF-4 file", "Files made by `jne prepare` end in .nc"):
        with open_hdf5(path, what, deep=deep) as file:
            for name, item in file.items():
                if isinstance(item, h5py.Dataset) and item.ndim < 2:
                    check_held(n_bytes(item), f"{what}: variable {name} of {path}")
            if sealed:
                check_version(file, path, what)
        return xr.open_dataset(path, engine="h5netcdf")


def open_zip(path: Path) -> zipfile.ZipFile:
    """A zip that has as many files as it says at its end, which zipfile itself does not compare."""
    with path.open("rb") as file:
        file.seek(-min(2**16 + 22, file.seek(0, os.SEEK_END)), os.SEEK_END)
        end = file.read()
    opened, place = zipfile.ZipFile(path), end.rfind(b"PK\x05\x06") + 10
    said, found = int.from_bytes(end[place : place + 2], "little"), len(opened.infolist())
    if said not in (found, 0xFFFF):  # which stands for more
        raise zipfile.BadZipFile(f"it says that it has {said} files, and {found} are found")
    return opened


def npz_headers(path: str | Path, what: str) -> dict[str, tuple[tuple[int, ...], np.dtype]]:
    """Shape and type of each array of an npz file."""
    found = {}
    with open_zip(plain_file(path, what)) as file:
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


def open_npy(path: str | Path, what: str) -> np.ndarray:
    """The array of a ``.npy`` file, mapped, so that a damaged header cannot ask for more memory than there are bytes.

    Raises
    ------
    ValueError
        If it is none, or a pickle, which is not opened.
    """
    with plain_file(path, what).open("rb") as file:
        if file.read(6) != b"\x93NUMPY":
            raise ValueError("it does not begin like one")
    return np.load(path, mmap_mode="r", allow_pickle=False)


def read_npz(path: str | Path, names: Iterable[str], what: str) -> dict[str, np.ndarray]:
    """Those of the named arrays that an npz file has, read without pickles."""
    headers = npz_headers(path, what)
    wanted = [name for name in dict.fromkeys(names) if name in headers]
    size = sum(math.prod(shape) * dtype.itemsize for shape, dtype in (headers[name] for name in wanted))
    check_held(size, f"{what}: {', '.join(wanted)} of {path}, unpacked,")
    found = {}
    with zipfile.ZipFile(path) as file:
        members = {info.filename.removesuffix(".npy"): info for info in file.infolist()}
        for name in wanted:
            with file.open(members[name]) as stream:
                found[name] = np.lib.format.read_array(stream, allow_pickle=False)
                # The checksum is compared at the very end, which the last number is not.
                if stream.read(1):
                    raise ValueError(f"{members[name].filename} goes on behind its array")
    return found


def read_table(path: str | Path, what: str, **options: Any) -> pd.DataFrame:
    """A table of text in UTF-8, by the options of ``pandas.read_csv``."""
    text = decoded(read_bytes(path, what), f"{what}: {path}", options.get("sep", ","))
    return pd.read_csv(io.StringIO(text), **options)
