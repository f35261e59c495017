"""MATLAB's files of version 5 to 7, looked through before SciPy reads them, as a whole and on trust.

Where a damaged file says that numbers are of a type that there is not, or complex where they are not, SciPy reads from
memory that is not its own, and the process ends without a word.
"""

from __future__ import annotations

import math
import struct
import zlib
from collections.abc import Iterator

from jne._core import check_held

_HEADER, _BLOCK = 128, 2**20
_MATRIX, _PACKED = 14, 15
"""Kinds of elements: an array, whose parts are elements, and one that is packed."""
_NUMBERS = {1, 2, 3, 4, 5, 6, 7, 9, 12, 13}
_TEXT = {*_NUMBERS, 16, 17, 18}
_KINDS = {*_TEXT, _MATRIX, _PACKED}
"""All that there are."""
_CELLS, _CHARACTERS, _SPARSE, _DENSE, _OPAQUE = 1, 4, 5, range(6, 16), 17
"""Classes of arrays: cells hold arrays; characters, sparse and dense ones numbers; an opaque one has no shape."""
_COMPLEX = 0x800


def check_matlab(content: bytes, place: str) -> None:
    """Look through a MATLAB file: unpack it, which compares its checksums, and follow its elements to their ends.

    Files of version 4 and 7.3, which SciPy reads in other ways or refuses, are left to it.

    Raises
    ------
    RefusedError
        If what is packed is too large for memory; the message begins with ``place``.
    ValueError, zlib.error
        If the file is damaged.
    """
    mark = content[124:_HEADER]
    if 0 in content[:4] or len(mark) < 4 or mark[mark[2:3] == b"I"] != 1:
        return
    order = "<" if mark[2:] == b"IM" else ">"
    size = 0
    for kind, start, stop in _elements(content, _HEADER, len(content), order, 1):
        if kind == _PACKED:
            unpacked = _unpack(content[start:stop], size, place)
            size += len(unpacked)
            for _, first, last in _elements(unpacked, 0, len(unpacked), order):
                _check_array(unpacked, first, last, order)
        else:
            _check_array(content, start, stop, order)


def _unpack(packed: bytes, before: int, place: str) -> bytearray:
    """All of an element; ``before`` bytes have been unpacked before it."""
    unpack, found = zlib.decompressobj(), bytearray()
    for start in range(0, len(packed), _BLOCK):
        rest = packed[start : start + _BLOCK]
        while rest:
            found += unpack.decompress(rest, _BLOCK)
            check_held(before + len(found), f"{place}, unpacked,")
            rest = unpack.unconsumed_tail
    if not unpack.eof:
        raise ValueError("a packed array ends early")
    return found


def _elements(
    content: bytes | bytearray, start: int, end: int, order: str, multiple: int = 8
) -> Iterator[tuple[int, int, int]]:
    """Kind, first byte and end of the elements between two places, each at a ``multiple`` of bytes after the first."""
    while start < end:
        if end - start < 8:
            raise ValueError(f"it ends within an element, at byte {start}")
        kind, length = struct.unpack_from(f"{order}II", content, start)
        small = kind >> 16  # bytes that stand in the place of the length
        first, kind, length = (start + 4, kind & 0xFFFF, small) if small else (start + 8, kind, length)
        if kind not in _KINDS or first + length > (start + 8 if small else end):
            raise ValueError(f"there is no element of kind {kind} and {length} bytes, as at byte {start}")
        yield kind, first, first + length
        start = start + 8 if small else first + -(-length // multiple) * multiple


def _check_array(content: bytes | bytearray, start: int, end: int, order: str) -> None:
    """The parts of an array, and of arrays in it: as many numbers as its class has; an empty cell has no parts."""
    parts = list(_elements(content, start, end, order))
    if not parts:
        return
    sizes = [last - first for _, first, last in parts]
    flags = struct.unpack_from(f"{order}I", content, parts[0][1])[0] if sizes[0] == 8 else 0
    kind, is_complex = flags & 0xFF, int(bool(flags & _COMPLEX))
    if not kind or (kind != _OPAQUE and (len(sizes) < 3 or sizes[1] < 8 or sizes[1] % 4)):
        raise ValueError(f"an array does not say of what class and shape it is, at byte {start}")
    shape = struct.unpack_from(f"{order}{sizes[1] // 4}i", content, parts[1][1]) if kind != _OPAQUE else ()
    if kind == _CELLS and math.prod(shape) != len(parts) - 3:
        raise ValueError(f"{len(parts) - 3} cells are no array of shape {shape}, at byte {start}")
    wanted = {_CHARACTERS: 1, _SPARSE: 3 + is_complex, **dict.fromkeys(_DENSE, 1 + is_complex)}.get(kind)
    values = [part[0] for part in parts[3:]]
    if wanted is not None and (len(values) != wanted or set(values) - (_TEXT if kind == _CHARACTERS else _NUMBERS)):
        raise ValueError(f"an array of class {kind} has {len(values)} parts of kinds {values}, at byte {start}")
    for part, first, last in parts:
        if part == _MATRIX:
            _check_array(content, first, last, order)
