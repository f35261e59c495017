"""Atlases on fsaverage that NSD does not have: drawn areas as masks of the Algonauts Project, or files of one's own."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from jne.prepare.drawn_areas import mask_class
from jne.prepare.nsd.layout import N_FSAVERAGE, Layout
from jne.prepare.surface import vertex_labels


def read_given(
    atlases: Mapping[str, Sequence[str | Path]] | None, layout: Layout, points: np.ndarray
) -> dict[str, np.ndarray]:
    """Areas of each atlas ``(n_points,)``, empty for none, by the atlas's name.

    Parameters
    ----------
    atlases : mapping, optional
        ``left`` and ``right``: as many files for each, in one order; see `jne.prepare.surface.vertex_labels`. An atlas
        has the name of its files without hemisphere and ending, or of the class of a mask.
    layout : Layout
    points : array of int
        Ascending indices of vertices, the left hemisphere first.

    Raises
    ------
    ValueError
        If the space is no surface, files of the hemispheres do not belong together, or a mask is of another subject.
    """
    if not atlases:
        return {}
    if not layout.is_surface:
        raise ValueError("atlases: they lie on fsaverage, and the space is a volume, where NSD has the drawn areas")
    sides = {side: [Path(path) for path in atlases.get(side, ())] for side in ("left", "right")}
    names = {side: [_name(path, side) for path in paths] for side, paths in sides.items()}
    if names["left"] != names["right"] or len(set(names["left"])) < len(names["left"]):
        raise ValueError(
            f"atlases: the left files are of {', '.join(names['left']) or 'none'}, the right ones of "
            f"{', '.join(names['right']) or 'none'}; needed: the same different atlases, in one order"
        )
    found = {}
    for name, left, right in zip(names["left"], sides["left"], sides["right"], strict=True):
        for path in (left, right):
            _check_subject(path, layout)
        labels = [vertex_labels(path, None, N_FSAVERAGE) for path in (left, right)]
        found[name] = np.concatenate(labels)[points]
    return found


def _name(path: Path, side: str) -> str:
    if other := re.match(r"(?:lh|L)\." if side == "right" else r"(?:rh|R)\.", path.name):
        raise ValueError(f"atlases: {path} is given for the {side} hemisphere, and its name begins with {other[0]!r}")
    own = re.sub(r"^(?:[lr]h|[LR])\.", "", path.name)
    return mask_class(path) or re.sub(r"\.(?:annot|label\.gii|gii|mg[hz]|npy)(?:\.gz)?$", "", own)


def _check_subject(path: Path, layout: Layout) -> None:
    """A mask lies below a folder of its subject; on fsaverage it would fit any."""
    named = re.findall(r"subj\d\d", str(path.absolute().parent))
    if mask_class(path) and named and named[-1] != layout.subject_name:
        raise ValueError(f"atlases: {path} is of {named[-1]}, and the subject is {layout.subject_name}")
