"""Areas drawn on each subject's own surface, brought to fsaverage: the masks of the Algonauts Project 2023.

Their numbers are named there by pickled dictionaries (``mapping_*.npy``), which are never opened: the names are here.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from jne.prepare.array_files import load_array

CLASSES = {
    "prf-visualrois": ("V1v", "V1d", "V2v", "V2d", "V3v", "V3d", "hV4"),
    "floc-bodies": ("EBA", "FBA-1", "FBA-2", "mTL-bodies"),
    "floc-faces": ("OFA", "FFA-1", "FFA-2", "mTL-faces", "aTL-faces"),
    "floc-places": ("OPA", "PPA", "RSC"),
    "floc-words": ("OWFA", "VWFA-1", "VWFA-2", "mfs-words", "mTL-words"),
    "streams": ("early", "midventral", "midlateral", "midparietal", "ventral", "lateral", "parietal"),
}
"""Class -> names of its areas, numbered from 1; 0, and -1 as in NSD, are none."""
_NAME = re.compile(r"[lr]h\.(.+)_(challenge|fsaverage)_space\.npy")


def mask_class(path: Path) -> str | None:
    """The class of areas that a mask is of, by its name; None for other files."""
    named = _NAME.fullmatch(path.name)
    return named[1] if named and named[1] in CLASSES else None


def read_drawn(path: Path, n_vertices: int) -> np.ndarray:
    """Area of each vertex ``(n_vertices,)``, empty for none; ventral and dorsal parts of V1, V2 and V3 are one.

    Raises
    ------
    ValueError
        If it is none of the masks, has another number of vertices, or a number without a name.
    """
    kind = mask_class(path)
    if kind is None:
        raise ValueError(
            f"atlas: {path} is not called as a mask of the Algonauts Project 2023 is, such as "
            f"lh.floc-faces_fsaverage_space.npy; classes: {', '.join(CLASSES)}"
        )
    values = load_array(path, "atlas", 1)
    if len(values) != n_vertices:
        raise ValueError(f"atlas: {path} has {len(values)} vertices; needed: {n_vertices}")
    names = ["", *(re.sub(r"^(V[123])[vd]$", r"\1", name) for name in CLASSES[kind])]
    numbers, inverse = np.unique(values, return_inverse=True)
    if unknown := [number for number in numbers.tolist() if number not in range(-1, len(names))]:
        raise ValueError(
            f"atlas: {path} has the number {unknown[0]:g}, and {kind} has areas from 1 to {len(names) - 1}"
        )
    return np.array([names[max(int(number), 0)] for number in numbers], object)[inverse]
