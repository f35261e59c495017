"""Work files in HDF5: whether one that an interrupted call left is whole, and was made from the same things."""

from __future__ import annotations

from pathlib import Path

from jne._core import DamagedError, check_version, open_hdf5, reading, set_aside


def is_made(path: Path, key: str) -> bool:
    """Whether the work file of this key is there; a damaged one is named in a warning and set aside.

    Parameters
    ----------
    path : Path
    key : str
        Of what it is to be made from, as in its attribute ``key``.
    """
    if not path.is_file():
        return False
    try:
        return key_of(path) == key
    except DamagedError as error:
        set_aside(path, error)
        return False


def key_of(path: Path) -> str | None:
    """What a work file was made from.

    Raises
    ------
    DamagedError
        Unless it is as it was written.
    """
    with reading(path, "work file", "an HDF5 file"), open_hdf5(path, "work file", deep=True) as file:
        check_version(file, path, "work file")
        return file.attrs.get("key")
