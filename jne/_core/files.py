"""Files that are either whole or not there: atomic writes, content hashes, provenance."""

from __future__ import annotations

import errno
import hashlib
import importlib.metadata
import json
import os
import platform
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from filelock import FileLock, Timeout

FORMAT_VERSION = 1
"""Version of the files this package writes; it grows when a reader must know the difference."""
HDF5_ENDINGS = (".h5", ".hdf5", ".hdf")


@contextmanager
def atomic_path(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path beside ``path``; move it there only if the block succeeds.

    A process killed in the block leaves at most a hidden ``.part`` file, never a half file under the final name.
    The next write to the same path removes what a dead process of this machine left.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    _remove_leftovers(path)
    part = path.with_name(f".{path.name}.{platform.node()}.{os.getpid()}.part")
    try:
        yield part
        os.replace(part, path)
    except OSError as error:
        # HDF5 reports a full disk only in the text of its error.
        if error.errno == errno.ENOSPC or "errno = 28" in str(error) or "No space left" in str(error):
            raise OSError(
                errno.ENOSPC,
                f"no space left on the disk while writing {path}; nothing was written. Free some space "
                f"in {path.parent} or write somewhere else",
            ) from error
        raise
    finally:
        part.unlink(missing_ok=True)


def need_space(path: Path, size: int) -> None:
    """Raise the error of a full disk before HDF5 meets it, which would leave files that it cannot close."""
    if shutil.disk_usage(path.parent).free < size:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))


def _remove_leftovers(path: Path) -> None:
    for part in path.parent.glob(f".{path.name}.{platform.node()}.*.part"):
        pid = part.name.split(".")[-2]
        if pid.isdigit() and not _alive(int(pid)):
            part.unlink(missing_ok=True)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


@contextmanager
def one_at_a_time(path: str | Path, *, wait: bool = True) -> Iterator[None]:
    """Where ``path`` is not there yet, wait until no other process is in this block for it; then it may be there.

    Without ``wait``, another process in the block is a BlockingIOError. The system releases the lock of a process that
    died; a thread may enter it again. On a file system shared by several machines this needs working POSIX or flock
    locks (NFS 4 has them, Lustre with the mount option flock).
    """
    path = Path(path)
    if path.exists():
        yield
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(path.with_name(f".{path.name}.lock"), is_singleton=True)
    try:
        lock.acquire(timeout=-1 if wait else 0)
    except Timeout:
        raise BlockingIOError(f"another process is making {path}") from None
    try:
        yield
    finally:
        lock.release()


def write_netcdf(dataset: xr.Dataset, path: str | Path, *, compress: bool = False) -> Path:
    """Write ``dataset`` to ``path`` as NetCDF-4, atomically; the same content gives the same bytes."""
    encoding = {}
    if compress:
        encoding = {
            name: {"zlib": True, "complevel": 4, "shuffle": True}
            for name, variable in dataset.variables.items()
            if variable.dtype.kind in "fiub" and variable.ndim
        }
    with atomic_path(path) as part:
        dataset.to_netcdf(part, engine="h5netcdf", encoding=encoding)
    return Path(path)


def write_json(content: Mapping, path: str | Path, *, sort_keys: bool = True) -> Path:
    """Write ``content`` to ``path`` as indented JSON, atomically."""
    with atomic_path(path) as part:
        part.write_text(json.dumps(content, indent=2, sort_keys=sort_keys) + "\n")
    return Path(path)


def plain(value: Any) -> Any:
    """An attribute of a file as Python's own number or text."""
    return value.item() if isinstance(value, np.generic) else value


def sha256(path: str | Path) -> str:
    """Hexadecimal SHA-256 of a file's bytes."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def provenance() -> dict[str, str | int]:
    """Attributes every result carries: the format's version and those of the packages that made it."""
    return {"format_version": FORMAT_VERSION, **_versions()}


@cache
def _versions() -> dict[str, str]:
    # Read from disk once: measuring a small network takes no longer than this.
    names = ("jne", "torch", "numpy", "xarray", "himalaya")
    return {f"version_{name}": importlib.metadata.version(name) for name in names}
