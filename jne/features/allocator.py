"""How the C library keeps memory that is freed and taken again at once."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # parameters of mallopt(3)
_MIB = 1 << 20


@contextmanager
def kept_memory() -> Iterator[None]:
    """Inside, freed blocks stay with the process; afterwards they go back to the system.

    By default glibc returns large blocks at once and maps them anew, zeroed, page by page: for a network whose
    activations are tens of megabytes this takes as long as the convolutions. Other C libraries are left alone.
    """
    try:
        library = ctypes.CDLL(None)
        set_option, trim = library.mallopt, library.malloc_trim
    except (AttributeError, OSError, TypeError):
        yield
        return
    set_option(_MMAP_THRESHOLD, 1024 * _MIB)
    set_option(_TRIM_THRESHOLD, 2047 * _MIB)
    try:
        yield
    finally:
        # Where glibc's own adjustment ends in a process that has used large arrays; mallopt switches it off.
        set_option(_MMAP_THRESHOLD, 32 * _MIB)
        set_option(_TRIM_THRESHOLD, 64 * _MIB)
        trim(0)
