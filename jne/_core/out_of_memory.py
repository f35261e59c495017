"""Memory that runs out while it is used, which every library says in its own way: one error that says what to do."""

from __future__ import annotations

import errno
import re
from collections.abc import Iterator
from contextlib import contextmanager

# Of torch, NumPy, C++, the loader of libraries, and threads, for which there is no room either.
_SIGNS = re.compile(
    r"can.?t allocate memory|cannot allocate memory|unable to allocate|out of memory|bad_alloc|bad allocation"
    r"|failed to map segment|can.?t start new thread|not enough memory",
    re.IGNORECASE,
)
_SIZE = re.compile(r"tried to allocate ([\d.]+ ?\w*)|unable to allocate ([\d.]+ ?\w*)", re.IGNORECASE)


class NoMemoryError(MemoryError):
    """Memory that has run out, told in one sentence."""


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error of any library says that memory, or address space, has run out.

    Examples
    --------
    >>> is_out_of_memory(RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 64 bytes."))
    True
    >>> is_out_of_memory(RuntimeError("shapes disagree"))
    False
    """
    if isinstance(error, MemoryError) or getattr(error, "errno", None) == errno.ENOMEM:
        return True
    return isinstance(error, RuntimeError | ImportError | OSError | SystemError) and bool(_SIGNS.search(str(error)))


def memory_sentence(error: BaseException) -> str:
    """What a person is told, without the words of the library, but with the size that it asked for."""
    if isinstance(error, NoMemoryError):
        return str(error)
    found = _SIZE.search(str(error))
    asked = f" ({next(filter(None, found.groups()))} more were asked for)" if found else ""
    return (
        f"there is not enough memory{asked}. Close other programs, lift the limit of this process (ulimit -v, the "
        "memory of a job), or take less at a time: a smaller max_memory, batch_size or hidden_size, fewer voxels"
    )


@contextmanager
def memory_told(what: str) -> Iterator[None]:
    """Within it, or a function that it decorates, memory that runs out is one `NoMemoryError` beginning with ``what``.

    Anything else is as it is.
    """
    try:
        yield
    except Exception as error:
        # What is told already, and what torch says of a card, for which callers wait.
        if isinstance(error, NoMemoryError) or _of_a_card(error) or not is_out_of_memory(error):
            raise
        raise NoMemoryError(f"{what}: {memory_sentence(error)}") from error


def _of_a_card(error: BaseException) -> bool:
    return type(error).__name__ == "OutOfMemoryError"
