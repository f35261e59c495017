"""A digest of everything in a file, kept in it and compared when it is read.

Of an HDF5 or NetCDF file it stands behind the last byte of HDF5, where every reader of HDF5 takes it for free space: it
is compared before the library opens the file, which on a damaged one may raise anything, crash, or never end.
"""

from __future__ import annotations

import hashlib
import io
import logging
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from jne._core.damage import DamagedError, is_locked, locked_elsewhere
from jne._core.texts import printable
from jne._core.versions import FORMAT_VERSION

DIGEST = "jne_digest"
"""How the digest is called, in whatever file."""
COMPARED = 10**9
"""Bytes of the largest file that is compared whenever it is opened; larger ones by ``jne validate --deep``."""

_VERSION = "format_version"
_BLOCK = 2**20
_END = f"\n{DIGEST} sha256 %s\n"
_LENGTH = len(_END % ("0" * 64))
_CHANGED = (
    "If you changed it on purpose, write it with jne, a dataset by `jne.save_dataset(xarray.load_dataset(FILE), NEW)`; "
    "else take a copy that is whole, or make it again"
)
_log = logging.getLogger("jne")
_told: set[str] = set()


def seal(stream: io.RawIOBase) -> None:
    """Write the version of the format into an HDF5 file, and its digest behind it, last of all."""
    with h5py.File(stream, "r+") as file:
        if np.any(file.attrs.get(_VERSION) != FORMAT_VERSION):
            file.attrs[_VERSION] = FORMAT_VERSION
    end = stream.seek(0, os.SEEK_END)
    stream.seek(0)
    digest = _of_bytes(stream, end)
    stream.seek(end)
    stream.write((_END % digest).encode())


def compare_digest(path: str | Path, what: str, *, deep: bool = False) -> None:
    """Compare an HDF5 file with the digest that stands behind it, if one does.

    Parameters
    ----------
    path : path
    what : str
        What errors call it.
    deep : bool
        Also where it is larger than ``COMPARED``.

    Raises
    ------
    DamagedError
        If its content is not what was written.
    """
    given, size = digest_behind(path), Path(path).stat().st_size
    if given and (deep or size <= COMPARED):
        with open(path, "rb", buffering=0) as file:
            if (found := _of_bytes(file, size - _LENGTH)) != given and is_locked(file):
                raise locked_elsewhere(path, what)
            compare(found, given, path, what)


def digest_behind(path: str | Path) -> str | None:
    """The digest that stands behind an HDF5 file, None where none does."""
    with open(path, "rb") as file:
        file.seek(-min(_LENGTH, file.seek(0, os.SEEK_END)), os.SEEK_END)
        found = re.fullmatch(_END % "([0-9a-f]{64})", file.read().decode("latin-1"))
    return found[1] if found else None


def check_version(file: h5py.File, path: str | Path, what: str, *, foreign: bool = False, hint: str = "") -> None:
    """Raise an error where an open HDF5 file must have a digest and has none, or comes from a newer version.

    ``foreign`` are files that other programs write as a matter of course: of one without a version nothing is said.
    ``hint`` is what to do where it is missing.
    """
    guarded(digest_behind(path), file.attrs.get(_VERSION), path, what, foreign=foreign, hint=hint)


def guarded(given: Any, version: Any, path: str | Path, what: str, *, foreign: bool = False, hint: str = "") -> bool:
    """Whether a file has a digest, by that and its version (None: none); one line is said of a file without.

    Raises
    ------
    DamagedError
        If its version says that it has one, or is newer than this jne.
    """
    # NetCDF keeps a number as an array of one.
    values = np.ravel(0 if version is None else version)
    number = int(values[0]) if values.dtype.kind in "iu" and values.size == 1 else 0
    if number > FORMAT_VERSION:
        raise DamagedError(
            f"{what}: {path} has format_version {number}; this jne reads up to {FORMAT_VERSION}: update jne (a damaged "
            "file may say so, too)"
        )
    if given is None and number == FORMAT_VERSION:
        raise DamagedError(
            f"{what}: {path} has format_version {number}, but not the digest that such files have: it is damaged, or "
            f"another program wrote to it. {hint or _CHANGED}"
        )
    if given is None and not (foreign and version is None) and str(path) not in _told:
        _told.add(str(path))
        _log.warning(
            "%s: %s is unguarded: it holds no digest (an earlier jne, or another program, wrote it), so that damage to "
            "it may go unseen",
            what,
            printable(str(path)),
        )
    return given is not None


def compare(found: str, given: Any, path: str | Path, what: str) -> None:
    """An error unless a digest is the one that is given."""
    if given != found:
        raise DamagedError(
            f"{what}: {path} is damaged, or another program wrote to it: it is not what its digest was made of. "
            f"{_CHANGED}"
        )


def parts_digest(parts: Mapping[str, str | np.ndarray]) -> str:
    """Digest of texts and arrays by name, whatever their order."""
    digest = hashlib.sha256()
    for name in sorted(parts):
        value = parts[name]
        content = value.encode() if isinstance(value, str) else np.ascontiguousarray(value).reshape(-1).view("u1")
        # With the lengths, so that no two mappings give the same bytes.
        digest.update(f"{len(name.encode())} {len(content)} {name}".encode())
        digest.update(memoryview(content))  # type: ignore[arg-type]  # NumPy's arrays are buffers
    return digest.hexdigest()


def _of_bytes(stream: io.RawIOBase | io.FileIO, size: int) -> str:
    """Digest of the next ``size`` bytes of a stream; a block at a time is in memory."""
    digest, block = hashlib.sha256(), bytearray(_BLOCK)
    while size:
        view = memoryview(block)[: min(size, _BLOCK)]
        if not (n := stream.readinto(view)):
            break
        digest.update(view[:n])
        size -= n
    return digest.hexdigest()
