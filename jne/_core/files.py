"""Files that are either whole or not there: atomic writes, locks, content hashes, provenance."""

from __future__ import annotations

import errno
import hashlib
import io
import os
import platform
import secrets
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import IO

from filelock import BaseFileLock, FileLock, Timeout

from jne._core.memory import format_bytes
from jne._core.versions import FORMAT_VERSION, version_of

HDF5_ENDINGS = (".h5", ".hdf5", ".hdf")


class DiskFullError(OSError):
    """A full disk, with the space that is needed."""

    def __init__(self, path: Path, size: int, part: Path | None = None, otherwise: str = ""):
        folder = path.parent
        free = shutil.disk_usage(folder).free
        if part and part.exists():  # which is removed as soon as this is told
            free += size_of(part) if part.is_dir() else 512 * part.stat().st_blocks
        needed = format_bytes(size) if size > free else f"more than {format_bytes(free)}"
        super().__init__(
            errno.ENOSPC,
            f"no space left on the disk while writing {path}: {needed} needed, {format_bytes(free)} free in {folder}; "
            f"nothing was written. Free some space there, or write somewhere else{otherwise}",
        )

    def __str__(self) -> str:
        return str(self.strerror)


@contextmanager
def atomic_path(path: str | Path, size: int = 0) -> Iterator[Path]:
    """Yield a temporary path beside ``path``; move it there only if the block succeeds.

    The file at the temporary path is there already, empty, under a name that nobody can guess, so that no link planted
    under that name is followed. A process killed in the block leaves at most this hidden ``.part`` file, never a half
    file under the final name. The next write to the same path removes what a dead process of this machine left.

    Parameters
    ----------
    path : path
    size : int
        Bytes that are going to be written, where that is known.

    Raises
    ------
    DiskFullError
        If the disk is full; what was at ``path`` is as it was.
    """
    path = Path(path)
    with _part_of(path, size) as part:
        os.close(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666))
        need_space(path, size)
        yield part
        os.replace(part, path)


@contextmanager
def atomic_folder(path: str | Path, size: int = 0) -> Iterator[Path]:
    """Yield an empty folder beside ``path``; it takes its place only if the block succeeds.

    Parameters
    ----------
    path : path
    size : int
        Bytes that are going to be written, where that is known.

    Raises
    ------
    DiskFullError
        If the disk is full; what was at ``path`` is as it was.
    """
    path = Path(path)
    with _part_of(path, size) as part:
        part.mkdir()
        need_space(path, size)
        yield part
        old = _hidden_name(path)
        if path.exists():
            path.rename(old)
        try:
            part.rename(path)
        except OSError:
            if old.exists():
                old.rename(path)
            raise
    shutil.rmtree(old, ignore_errors=True)


@contextmanager
def _part_of(path: Path, size: int) -> Iterator[Path]:
    """A hidden name beside ``path`` for what becomes it; what is left there is removed, and a full disk is said."""
    path.parent.mkdir(parents=True, exist_ok=True)
    _remove_leftovers(path)
    part = _hidden_name(path)
    try:
        yield part
    except Exception as error:
        if is_full(error) and not isinstance(error, DiskFullError):
            raise DiskFullError(path, size, part) from error
        raise
    finally:
        _remove(part)


def _hidden_name(path: Path) -> Path:
    return path.with_name(f"{_stem(path)}{os.getpid()}.{secrets.token_hex(8)}.part")


def _remove(path: Path) -> None:
    """A file, a link or a folder, if it is there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def existing_parent(path: Path) -> Path:
    """The innermost folder above ``path`` that is there."""
    return next(folder for folder in path.absolute().parents if folder.exists())


def size_of(folder: Path) -> int:
    """Bytes of all files in a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def need_space(path: Path, size: int, otherwise: str = "") -> None:
    """Raise the error of a full disk before anything is written, if ``size`` bytes do not fit beside ``path``."""
    if size > shutil.disk_usage(path.parent).free:
        raise DiskFullError(path, size, otherwise=otherwise)


def reserve(file: IO[bytes] | io.RawIOBase, size: int) -> None:
    """Make a file ``size`` bytes long, whose room no other file can take where the system can promise that."""
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(file.fileno(), 0, size)
    else:  # macOS, Windows
        file.truncate(size)


def is_full(error: Exception) -> bool:
    """Whether an error says that the disk, or the share of it that one may use, is full."""
    if getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT):
        return True
    # Libraries that write by themselves tell it only in the text of their errors.
    return any(text in str(error) for text in ("errno = 28", "os error 28", "No space left", "quota exceeded"))


def _stem(path: Path) -> str:
    """With what the names of all parts of ``path`` begin that are written on this machine."""
    return f".{path.name}.{platform.node()}."


def _remove_leftovers(path: Path) -> None:
    # Compared letter by letter: `*` and `[` in a name are no patterns.
    stem = _stem(path)
    for name in os.listdir(path.parent):
        if name.startswith(stem) and name.endswith(".part"):
            pid = name.removeprefix(stem).split(".")[0]
            if pid.isdigit() and not _alive(int(pid)):
                _remove(path.with_name(name))


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    return True


@contextmanager
def one_at_a_time(path: str | Path, *, wait: bool = True) -> Iterator[None]:
    """Where ``path`` is not there yet, wait until no other process is in this block for it; then it may be there.

    Without ``wait``, another process in the block is a BlockingIOError. The system releases the lock of a process that
    died; a thread may enter it again. On a file system shared by several machines this needs working POSIX or flock
    locks (NFS 4 has them, Lustre with the mount option flock).
    """
    if Path(path).exists():
        yield
        return
    with _lock(Path(path), wait):
        yield


@contextmanager
def locked(path: str | Path) -> Iterator[None]:
    """Wait until no other process is in a block for ``path``, whether it is there already or not."""
    with _lock(Path(path), wait=True):
        yield


@contextmanager
def alone(path: str | Path) -> Iterator[None]:
    """Refuse a second process, or thread, that writes ``path`` in this block, whether it is there already or not.

    Raises
    ------
    BlockingIOError
        If another is in the block; it says what to do.
    """
    with _lock(Path(path), wait=False, shared=False) as lock:
        try:
            yield
        finally:
            # While it is held: who waits for the lock sees that its file is gone, and makes another.
            Path(lock.lock_file).unlink(missing_ok=True)


@contextmanager
def _lock(path: Path, wait: bool, shared: bool = True) -> Iterator[BaseFileLock]:
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(path.with_name(f".{path.name}.lock"), is_singleton=shared)
    try:
        lock.acquire(timeout=-1 if wait else 0)
    except Timeout:
        raise BlockingIOError(
            f"another process writes {path}; wait until it has ended, or write to another file"
        ) from None
    try:
        yield lock
    finally:
        lock.release()


def write_text(text: str, path: str | Path) -> Path:
    """Write ``text`` to ``path`` in UTF-8, atomically."""
    content = text.encode()
    with atomic_path(path, len(content)) as part:
        part.write_bytes(content)
    return Path(path)


def sha256(path: str | Path) -> str:
    """Hexadecimal SHA-256 of a file's bytes."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def joined_sha256(files: Sequence[str | Path]) -> str:
    """SHA-256 of a file, or of several files' hashes in order."""
    hashes = [sha256(file) for file in files]
    return hashes[0] if len(hashes) == 1 else hashlib.sha256("".join(hashes).encode()).hexdigest()


def provenance() -> dict[str, str | int]:
    """Attributes every result carries: the format's version and those of the packages that made it."""
    return {"format_version": FORMAT_VERSION, **_versions()}


@cache
def _versions() -> dict[str, str]:
    # Read from disk once: measuring a small network takes no longer than this.
    names = ("jne", "torch", "numpy", "xarray", "himalaya")
    return {f"version_{name}": version_of(name) for name in names}
