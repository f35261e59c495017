"""Names of areas that surface files carry themselves: FreeSurfer's annotations and the label tables of GIFTI."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
from nibabel.gifti import GiftiImage

from jne._core import composed, decoded, listed, plain_file, read_bytes, reading
from jne.prepare.brain_files import load_image
from jne.prepare.labels import is_none, one_name_each


def label_table(path: Path) -> dict[int, str]:
    """Number -> name of a GIFTI file, whatever its ending; empty where it names no area."""
    if not path.name.lower().endswith((".gii", ".gii.gz")):
        return {}
    image = load_image(path, "atlas", "surface data (MGH or GIFTI)")
    labels = image.labeltable.labels if isinstance(image, GiftiImage) and image.labeltable else []
    names = one_name_each(((int(label.key), (label.label or "").strip()) for label in labels), path)
    # Workbench gives a table of nothing but "???" to files of plain numbers.
    return {} if all(is_none(name) for name in names.values()) else names


def read_annotation(path: Path) -> np.ndarray:
    """Area of each vertex of a FreeSurfer annotation, empty for none, ``(n_vertices,)``.

    nibabel's reader takes a colour that the table does not have for the next one that it has, and names by position
    where the table has gaps.

    Raises
    ------
    ValueError
        If it is damaged, or a vertex has a colour without a name, or one that two areas share.
    """
    if not plain_file(path, "atlas").is_file():
        raise ValueError(f"atlas: there is no file {path}")
    with reading(path, "atlas", "an annotation of FreeSurfer"):
        vertex, value, names = _parse(read_bytes(path, "atlas"), path)
    area = np.full(len(vertex), "", object)
    for colour in np.unique(value):
        called = names.get(int(colour), set() if colour else {""})
        if len(called) != 1:
            how = f"the names {listed(sorted(called))}" if called else "no name"
            raise ValueError(
                f"atlas: {np.count_nonzero(value == colour)} vertices of {path} have the colour {colour}, to which its "
                f"table gives {how}; needed: one. Give the labels as GIFTI or MGH"
            )
        name = next(iter(called))
        area[vertex[value == colour]] = "" if is_none(name) else composed(name)
    return area


def _parse(content: bytes, path: Path) -> tuple[np.ndarray, np.ndarray, dict[int, set[str]]]:
    """Index and colour of each vertex, and the names of each colour."""
    place = 0

    def integer() -> int:
        nonlocal place
        place += 4
        return struct.unpack_from(">i", content, place - 4)[0]

    def text(n: int) -> str:
        nonlocal place
        if n < 0 or place + n > len(content):
            raise ValueError("it ends within a name")
        place += n
        return decoded(content[place - n : place].split(b"\0")[0], f"atlas: the name of an area in {path}")

    n_vertices = integer()
    if n_vertices < 1 or place + 8 * n_vertices > len(content):
        raise ValueError(f"it says that it has {n_vertices} vertices, and ends before")
    vertex, value = np.frombuffer(content, ">i4", 2 * n_vertices, place).reshape(-1, 2).T
    place += 8 * n_vertices
    if not np.array_equal(np.sort(vertex), np.arange(n_vertices)):
        raise ValueError("its vertices are not the numbers from 0 on, each once")
    if not integer():
        raise ValueError("it has no table of colours")
    n_entries, names = integer(), {}
    new = n_entries < 0
    if new and n_entries != -2:
        raise ValueError(f"its table is of version {-n_entries}; known are 1 and 2")
    n_listed = integer() if new else n_entries
    text(integer())
    for _ in range(integer() if new else n_listed):
        if new:
            integer()
        name = text(integer())
        red, green, blue, _ = (integer() for _ in range(4))
        names.setdefault(red + (green << 8) + (blue << 16), set()).add(name)
    return vertex, value, names
