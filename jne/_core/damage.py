"""Files that cannot be read: one error that names the file, whatever a library raised over it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from jne._core.memory import RefusedError
from jne._core.out_of_memory import is_out_of_memory

_LOCK = "unable to lock file"
"""What HDF5 says where another process holds the lock."""


class DamagedError(ValueError):
    """A file that is truncated, damaged or of another kind; the message names it."""


class StandInError(RefusedError, DamagedError):
    """A file that is empty, or stands for another (`jne._core.stand_ins`): told as it is, and set aside where kept."""


@contextmanager
def reading(path: str | Path, what: str, kind: str, hint: str = "") -> Iterator[None]:
    """Whatever is raised in this block, which does nothing but read ``path``, becomes an error that names the file.

    Parameters
    ----------
    path : path
    what : str
        What the file is to its reader, such as ``"features"``; the message begins with it.
    kind : str
        What it should be, such as ``"an HDF5 file"``.
    hint : str
        A sentence that the message ends with.

    Raises
    ------
    DamagedError
    RefusedError, FileNotFoundError, PermissionError, BlockingIOError
        As they are, or with the file's name; the last where another process has the file open for writing.
    """
    try:
        yield
    except (DamagedError, RefusedError, FileNotFoundError, PermissionError):
        raise
    # A damaged file makes the libraries that read it raise nearly anything; to the reader it is one thing.
    except Exception as error:
        if isinstance(error, BlockingIOError) and _LOCK not in str(error):
            raise
        if isinstance(error, OSError) and _LOCK in str(error):
            raise locked_elsewhere(path, what) from error
        if is_out_of_memory(error):
            raise RefusedError(f"{what}: {path} takes more memory than is free, or is damaged") from error
        size = f" ({Path(path).stat().st_size} bytes)" if Path(path).is_file() else ""
        raise DamagedError(
            f"{what}: {path}{size} cannot be read as {kind}: it is truncated, damaged or of another kind "
            f"({type(error).__name__}: {' '.join(str(error).split())})" + (f". {hint}" if hint else "")
        ) from error


def locked_elsewhere(path: str | Path, what: str) -> BlockingIOError:
    """The error for a file that another process writes."""
    return BlockingIOError(
        f"{what}: {path} is open for writing in another program (it is locked); wait until that has closed it"
    )


def is_locked(file: IO) -> bool:
    """Whether another process holds an open file's lock, as HDF5 does while it writes."""
    try:
        import fcntl

        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        fcntl.flock(file, fcntl.LOCK_UN)
    except BlockingIOError:
        return True
    except (ImportError, OSError):  # a system, or a disk, that knows no such locks
        return False
    return False
