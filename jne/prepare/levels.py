"""`--levels`: which level of the hierarchy an area has, as its study says it, and the others by their names."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import xarray as xr

from jne._core import composed, listed
from jne.cortex import LEVEL_NAMES, LEVELS, TIERS, area_levels, is_area, ordered_levels, tiers
from jne.prepare.labels import read_label_column

LEVEL_COLUMN = "level"
_FORM = f"AREA=LEVEL,..., such as V1=1,V2=2, or areas alone, lowest first. Levels are {LEVEL_NAMES}; others are taken \
in the order in which they are given"


def parse_levels(text: str) -> dict[str, str]:
    """Read ``V1=1,V2=2``, or areas alone, lowest level first, as area -> level.

    Raises
    ------
    ValueError
        If a part lacks its area or level, or an area has two levels.
    """
    levels: dict[str, str] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        area, equals, level = (composed(piece.strip()) for piece in part.partition("="))
        level = level if equals else area
        if not area or not level:
            raise ValueError(f"levels: {part!r} is not of the form {_FORM}")
        if levels.setdefault(area, level) != level:
            raise ValueError(f"levels: {area} is given two levels, {levels[area]} and {level}; keep one")
    if not levels:
        raise ValueError(f"levels: {text!r} names no area; needed: {_FORM}")
    return levels


def given_levels(
    levels: str | Mapping[str, object] | None, atlas_names: str | Path | None = None, column: str | None = None
) -> dict[str, str]:
    """Area -> level as given, or in a column of the table that names an atlas's areas; empty where there is neither.

    Parameters
    ----------
    levels : str or mapping, optional
        As `parse_levels` reads it, or what that returns; levels may be numbers.
    atlas_names : path, optional
        See `jne.prepare.labels.read_label_names`.
    column : str, optional
        By default ``level``, if the table has it.

    Raises
    ------
    ValueError
        If the table has no such column, or both it and the argument are given.
    """
    if column is not None and levels is not None:
        raise ValueError("levels, level_column: one of the two says the levels of the areas")
    if levels is not None:
        return (
            parse_levels(levels)
            if isinstance(levels, str)
            else {composed(str(area)): str(level) for area, level in levels.items()}
        )
    if column is not None and atlas_names is None:
        raise ValueError("level_column: it is a column of the atlas names, which are not given")
    if atlas_names is None:
        return {}
    return read_label_column(atlas_names, column or LEVEL_COLUMN, needed=column is not None)


def levels_there(levels: Mapping[str, str], roi: np.ndarray) -> dict[str, str]:
    """Those of the areas that have voxels; a table may name more, whose levels count for the order only."""
    called, there = _ordered(levels) if levels else {}, set(roi.astype(str).tolist())
    return {area: called[level] for area, level in levels.items() if area in there}


def add_levels(
    voxels: xr.Dataset, levels: Mapping[str, str], report: Callable[[str], object] = lambda line: None
) -> xr.Dataset:
    """Voxels with ``level (voxel)``; as they are where nothing is given.

    Where the levels are this project's or the paper's tiers, areas that are not given have theirs by name; other
    areas, and places in no area, have none. Levels of no known order have a number before them, in the order of
    ``levels``.

    Raises
    ------
    ValueError
        If there are no areas, or none of an area that is given.
    """
    if not levels:
        return voxels
    if "roi" not in voxels:
        raise ValueError("levels: there are no areas that could have them; give an atlas, or map roi")
    roi = voxels["roi"].values.astype(str)
    names = np.unique(roi[roi != ""]).tolist()
    called = _ordered(levels)
    of_area = dict.fromkeys(names, "")
    # Exact names last, so that V1v=1 counts beside V1=2.
    for area, level in sorted(levels.items(), key=lambda item: item[0] in of_area):
        meant = [area] if area in of_area else [name for name in names if is_area(name, area)]
        if not meant:
            raise ValueError(f"levels: there is no area {area!r}; there are {listed(names)}")
        of_area |= dict.fromkeys(meant, called[level])
    found = np.array([of_area.get(name, "") for name in roi.tolist()], object)
    if (known := _by_name(voxels, roi, set(called.values()))) is not None:
        asked = np.isin(roi, [name for name in names if of_area[name]])
        found = np.where(asked, found, known)
    report(_said(roi, found))
    return voxels.assign(level=("voxel", found))


def _ordered(levels: Mapping[str, str]) -> dict[str, str]:
    """Each level by the name it has in the dataset: its own, or with a number where its order is only that given."""
    names = list(dict.fromkeys(levels.values()))
    try:
        ordered_levels(names)
    except ValueError:
        return {name: f"{place} {name}" for place, name in enumerate(names, 1)}
    return {name: name for name in names}


def _by_name(voxels: xr.Dataset, roi: np.ndarray, scale: set[str]) -> np.ndarray | None:
    """Levels on this scale that voxels have already, or by the names of their areas; None for a scale of the study."""
    known = voxels["level"].values.astype(str) if "level" in voxels else area_levels(roi)
    if scale <= set(LEVELS):
        return known
    return tiers(known) if scale <= set(TIERS) else None


def _said(roi: np.ndarray, level: np.ndarray) -> str:
    members = {name: np.unique(roi[level == name]).tolist() for name in ordered_levels(level)}
    text = "Levels: " + "; ".join(f"{name} ({listed(areas)})" for name, areas in members.items())
    without = np.unique(roi[(level == "") & (roi != "")]).tolist()
    return f"{text}. Without a level: {listed(without)}." if without else f"{text}."
