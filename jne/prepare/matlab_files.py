"""MATLAB files, which SciPy unpacks as a whole."""

from __future__ import annotations

import struct
import zlib

from jne._core import check_held

_PACKED = 15
"""Kind of an element of a MATLAB file that holds another one, packed."""


def check_unpacked(content: bytes, place: str) -> None:
    """Refuse a MATLAB file of which the packed variables are too large for memory; errors begin with ``place``."""
    start, size = 128, 0
    while start + 8 <= len(content):
        kind, length = struct.unpack_from("<II", content, start)
        pending, unpack = content[start + 8 : start + 8 + length], zlib.decompressobj()
        while kind == _PACKED and pending and (block := unpack.decompress(pending, 2**20)):
            size, pending = size + len(block), unpack.unconsumed_tail
            check_held(size, f"{place}, unpacked,")
        start += 8 + length
