"""Extensions of a NIfTI header, which nibabel reads as a whole, however large or many the file says that they are."""

from __future__ import annotations

import struct
from typing import IO

from jne._core import check_held

_CIFTI = 32
"""Code of the extension that holds the XML of a CIFTI file."""
_XML = 30
"""How many times its size XML takes as objects of nibabel, at most, about."""
_OBJECT = 1000
"""Bytes that an empty extension takes in memory, about."""
_BLOCK = 2**20


def check_extensions(stream: IO[bytes], place: str) -> None:
    """Refuse a header of which the extensions take too much memory; a file that is not NIfTI passes.

    Parameters
    ----------
    stream : binary stream
        From the file's beginning, unpacked; no more of it is read than the header.
    place : str
        With what errors begin.

    Raises
    ------
    RefusedError
        If they take more memory than is allowed.
    ValueError
        If one says that it is smaller than its own head.
    """
    head = stream.read(352)
    order = next((order for order in "<>" if head[:4] in (struct.pack(order + "i", size) for size in (348, 540))), None)
    if order is None:
        return
    size = struct.unpack_from(order + "i", head)[0]
    head += stream.read(size + 4 - len(head)) if size == 540 else b""
    magic = head[344:348] if size == 348 else head[4:8]
    if len(head) < size + 4 or magic[:1] != b"n" or not head[size]:
        return
    kind, place_of_start = ("f", 108) if size == 348 else ("q", 168)
    (start,) = struct.unpack_from(order + kind, head, place_of_start)
    # In a header that stands alone they go to its end.
    left = start - (size + 4) if magic[1:2] == b"+" else float("inf")
    held = 0
    while left >= 16 and len(entry := stream.read(8)) == 8:
        length, code = struct.unpack(order + "ii", entry)
        if length < 8:
            raise ValueError(f"an extension of its header says that it has {length} bytes; needed: at least 8")
        held += _OBJECT + length * (_XML if code == _CIFTI else 1)
        check_held(held, f"{place}, the extensions of its header,")
        left -= length
        length -= 8
        while length and (block := stream.read(min(length, _BLOCK))):
            length -= len(block)
