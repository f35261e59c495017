"""The checksums of a PNG, of which Pillow does not compare those of the pixels."""

from __future__ import annotations

import struct
import zlib
from typing import BinaryIO

_BEGIN = b"\x89PNG\r\n\x1a\n"


def check_png(file: BinaryIO) -> None:
    """Compare the checksum of every chunk if this is a PNG; from its first byte; the place in the file stays.

    Raises
    ------
    ValueError
        If one is wrong, or the file ends before its last chunk.
    """
    place = file.tell()
    file.seek(0)
    try:
        if file.read(len(_BEGIN)) == _BEGIN:
            while _checked_chunk(file) != b"IEND":
                pass
    finally:
        file.seek(place)


def _checked_chunk(file: BinaryIO) -> bytes:
    """The kind of the next chunk."""
    head = file.read(8)
    if len(head) < 8:
        raise ValueError("the PNG ends before its last part")
    length, kind = struct.unpack(">I4s", head)
    content = file.read(length)
    if file.read(4) != zlib.crc32(kind + content).to_bytes(4, "big"):
        raise ValueError(f"the checksum of a part of the PNG, {kind.decode('latin-1')!r}, is wrong")
    return kind
