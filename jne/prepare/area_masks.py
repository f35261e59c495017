"""Masks of one area each, such as BOLD5000's: the area's name is in the name of the file."""

from __future__ import annotations

import re
from pathlib import Path

from jne.prepare.map_names import entities

_ENTITIES = ("mask", "roi", "label", "desc")
"""Pairs of a name that may say the area, the first that is there: ``sub-CSI1_mask-LHPPA.nii.gz``."""
_SIDE_FIRST = re.compile(r"^(?:(?:LH|RH|lh|rh|[Ll]eft|[Rr]ight)[._-]?|[LRlr][._-]|[lr](?=[A-Z]{2}))(?=[A-Za-z0-9])")
_SIDE_LAST = re.compile(r"[._-](?:LH|RH|lh|rh|[Ll]eft|[Rr]ight|[LRlr])$")


def is_area_mask(path: Path) -> bool:
    """Whether a file says by its name that it is a mask of an area."""
    return "mask" in entities(path)


def area_name(path: Path) -> str:
    """The area of a mask, without hemisphere, so that the masks of both are one area.

    ``sub-CSI1_mask-LHPPA.nii.gz``, ``lh.PPA.nii`` and ``PPA_left.nii.gz`` are PPA.
    """
    pairs = entities(path)
    name = next((pairs[entity] for entity in _ENTITIES if entity in pairs), re.sub(r"\.nii(\.gz)?$", "", path.name))
    return _SIDE_LAST.sub("", _SIDE_FIRST.sub("", name))
