"""What is known of a features file that is not finished: how far it is, and by digests whether it is as it was left."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from io import FileIO
from pathlib import Path

import h5py
import numpy as np

from jne._core import DamagedError, PatientFile, read_sealed_json, write_sealed_json

LEFT = "An earlier run left it, or it is no plain file; delete it to start anew"
_BLOCK = 2**20


@dataclass
class Progress:
    """The record beside a part file, written after every piece; what a kill leaves of a later piece does not count.

    Attributes
    ----------
    n_done : int
        Rows that are there.
    rows : str
        Digest of them.
    places : list
        First byte and number of bytes of each layer, which are written in place.
    structure : str
        Digest of all other bytes, which do not change.
    size : int
        Bytes of the file; what a kill left behind them, while the digest was written, does not count.
    """

    n_done: int
    rows: str
    places: list[list[int]]
    structure: str
    size: int

    def write(self, part: Path) -> None:
        write_sealed_json(asdict(self), record_path(part))


def record_path(part: Path) -> Path:
    """Where the progress of a part file is kept."""
    return part.with_name(f"{part.name}.json")


def begin(part: Path, stream: PatientFile, layers: Iterable[str]) -> None:
    """Write the record of a part file that is about to have its name, with room for all rows and none of them."""
    with h5py.File(stream, "r") as file:
        places = sorted([int(file[name].id.get_offset()), file[name].nbytes] for name in layers)
    size = stream.seek(0, os.SEEK_END)
    Progress(0, "", places, _structure(stream, places, size), size).write(part)


def read_progress(part: Path, what: str) -> Progress:
    """The record of a part file, compared with all of the file but its rows before HDF5 opens it."""
    try:
        progress = Progress(**read_sealed_json(record_path(part), what))
    except FileNotFoundError:
        raise DamagedError(
            f"{what}: {part} has no {record_path(part).name} beside it, which says how far it is (an earlier jne wrote "
            f"none). {LEFT}"
        ) from None
    with part.open("rb", buffering=0) as file:
        if _structure(file, progress.places, progress.size) != progress.structure:
            raise DamagedError(f"{what}: {part} is damaged: it is not what was written. {LEFT}")
    return progress


def digest_of_rows(before: str, layers: Sequence[np.ndarray]) -> str:
    """The digest of more rows, each hashed with that of the rows before it, so that pieces may be of any length."""
    for row in zip(*layers, strict=True):
        digest = hashlib.sha256(before.encode())
        for values in row:
            digest.update(np.ascontiguousarray(values).data)
        before = digest.hexdigest()
    return before


def _structure(stream: PatientFile | FileIO, places: list[list[int]], size: int) -> str:
    """Digest of a file without its layers, a block at a time."""
    digest, start = hashlib.sha256(), 0
    for place, length in [*places, [size, 0]]:
        stream.seek(start)
        left = place - start
        while left > 0 and (block := stream.read(min(left, _BLOCK))):
            digest.update(block)
            left -= len(block)
        start = place + length
    return digest.hexdigest()
