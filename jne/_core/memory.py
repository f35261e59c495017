"""Memory as an argument: sizes in words, blocks, and refusals before any work is done."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass

MAX_MEMORY = "JNE_MAX_MEMORY"
"""The environment variable that says how much memory a file may take at once."""

_UNITS = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12, "KI": 2**10, "MI": 2**20, "GI": 2**30, "TI": 2**40}


def parse_bytes(value: int | str, name: str = "max_memory") -> int:
    """Bytes of ``"2GB"``, ``"500 MiB"`` or a whole number (kB is 1000 bytes, KiB is 1024).

    Raises
    ------
    ValueError
        If it is not a positive size.
    """
    accepted = (
        f"{name}={value!r} is not a size; give bytes as a positive whole number, or text such as '2GB' or '500MiB'"
    )
    if isinstance(value, str):
        match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([KMGT]I?)?B?\s*", value.upper())
        if not match:
            raise ValueError(accepted)
        value = int(float(match[1]) * _UNITS[match[2] or ""])
    if isinstance(value, bool) or not isinstance(value, int) or value <= 0:
        raise ValueError(accepted)
    return value


def format_bytes(size: float) -> str:
    """``1_500_000_000`` as ``1.5 GB (1500000000 bytes)``."""
    for unit, scale in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if size >= scale:
            return f"{size / scale:.3g} {unit} ({int(size)} bytes)"
    return f"{int(size)} bytes"


class RefusedError(ValueError):
    """What is not read though it may be whole: it takes too much, or would open other files."""


def memory_limit() -> int:
    """Bytes that what a file holds may take in memory at once: ``$JNE_MAX_MEMORY``, or half of this machine's."""
    if given := os.environ.get(MAX_MEMORY):
        return parse_bytes(given, MAX_MEMORY)
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2
    except (AttributeError, OSError, ValueError):  # Windows does not tell
        return 4 * 2**30


def check_held(size: float, what: str) -> None:
    """Refuse to hold ``size`` bytes at once, before they are unpacked.

    What is read in blocks is checked block by block: a study may be larger than memory, and a small file may say, or
    unpack to, more than any machine has.

    Raises
    ------
    RefusedError
        If they are more than `memory_limit`; it says what the limit is and how to set it.
    """
    if size > (limit := memory_limit()):
        given = MAX_MEMORY if os.environ.get(MAX_MEMORY) else "half of this machine's memory"
        raise RefusedError(
            f"{what} takes {format_bytes(size)} of memory or more, and the limit is {format_bytes(limit)} at once "
            f"({given}). If the file is to be trusted, set the environment variable {MAX_MEMORY} to what it needs, "
            f"such as {MAX_MEMORY}={-(-int(size) // 10**9)}GB"
        )


@dataclass(frozen=True)
class Budget:
    """Bytes to work in: ``limit``, of which some are ``reserved`` already."""

    limit: int
    reserved: int = 0

    @property
    def free(self) -> int:
        return self.limit - self.reserved

    def reserve(self, needed: int, what: str, remedy: str) -> Budget:
        """The budget without ``needed`` bytes.

        Raises
        ------
        ValueError
            If they are not free; it says how large ``max_memory`` must be.
        """
        total = int(self.reserved + needed)
        if total > self.limit:
            raise ValueError(
                f"{what} needs at least {format_bytes(total)} of working memory and max_memory is "
                f"{format_bytes(self.limit)}; raise max_memory to that, or {remedy}"
            )
        return Budget(self.limit, total)


def spans(size: int, step: int) -> Iterator[slice]:
    """Slices that cover ``range(size)``, each at most ``step`` long."""
    return (slice(start, min(start + step, size)) for start in range(0, size, step))


def even_step(size: int, step: int) -> int:
    """At most ``step``, such that blocks of it cover ``size`` evenly."""
    return -(-size // -(-size // step))


def clamp(value: float, low: int, high: int) -> int:
    """``value`` as a whole number between ``low`` and ``high``."""
    return int(max(low, min(value, high)))
