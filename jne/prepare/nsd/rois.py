"""Areas: which voxel belongs to which area of each atlas, and which of them counts where atlases overlap."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from jne.cortex import area_level
from jne.prepare.labels import is_none, read_label_names
from jne.prepare.nsd.layout import DRAWN, Layout, read_map

ATLASES = (*DRAWN, "streams", "Kastner2015", "HCP_MMP1")
ROI_ORDER = ("prf-visualrois", "floc-faces", "floc-places", "floc-bodies", "HCP_MMP1")
"""The first of these in which a voxel has an area gives its ``roi``."""
SURFACE_ORDER = ("Kastner2015", "HCP_MMP1", "streams")
"""The same on fsaverage."""


def read_names(path: Path) -> dict[int, str]:
    """Names of the numbers of an atlas, from a ``.ctab``: one number and name a line, colours are ignored.

    The ventral and dorsal parts of V1, V2 and V3 are one area; 0 is no area.
    """
    names = {}
    for number, name in read_label_names(path).items():
        if number > 0:
            name = re.sub(r"^[LR]_(.+)_ROI$", r"\1", name)
            names[number] = "" if is_none(name) else re.sub(r"^(V[123])[vd]$", r"\1", name)
    if not names:
        raise ValueError(f"{path} names no area: needed are lines such as '1 V1v'. Download it again")
    return names


def read_atlas(layout: Layout, atlas: str, shapes: Sequence[tuple[int, ...]], points: np.ndarray) -> np.ndarray | None:
    """Name of each point's area ``(n_points,)``, empty for none; None where the tree does not have the atlas."""
    paths = layout.atlas(atlas)
    if not any(path.exists() for path in paths):
        return None
    layout.need(paths, f"atlas {atlas}")
    names_path = layout.area_names(atlas)
    layout.need([names_path], f"names of the areas of {atlas}")
    values = read_map(paths, shapes)[0][points]
    values = np.where(np.isnan(values), 0, values) if values.dtype.kind == "f" else values
    names = {-1: "", 0: "", **read_names(names_path)}
    numbers, inverse = np.unique(values, return_inverse=True)
    if unknown := [number for number in numbers.tolist() if number not in names]:
        raise ValueError(f"{paths[0]} has the number {unknown[0]:g}, which {names_path} does not name")
    return np.array([names[number] for number in numbers.tolist()], dtype=object)[inverse]


def read_atlases(
    layout: Layout,
    shapes: Sequence[tuple[int, ...]],
    points: np.ndarray,
    roi_order: Sequence[str] | None = None,
    given: Mapping[str, np.ndarray] | None = None,
) -> tuple[dict[str, np.ndarray], list[str]]:
    """Areas of all atlases that the tree has, and the atlases that it does not have.

    Parameters
    ----------
    layout : Layout
    shapes, points
        Of the space, as in `jne.prepare.nsd.betas.read_session`.
    roi_order : sequence of str, optional
        By default `default_order`; an atlas that is named here must exist.
    given : mapping, optional
        Areas ``(n_points,)`` of atlases of one's own; they take the place of those of the tree.

    Returns
    -------
    areas : dict of array ``(n_points,)``
        ``roi_<atlas>`` for each atlas, and ``roi`` and ``level`` where there is any. A name that an earlier atlas has
        too is followed by its own: ``RSC (HCP_MMP1)``.
    absent : list of str
    """
    given = dict(given or {})
    found, absent = dict(given), []
    for atlas in dict.fromkeys([*ATLASES, *(roi_order or ())]):
        if atlas in given:
            continue
        if layout.is_surface and atlas in DRAWN and atlas not in (roi_order or ()):
            continue
        if atlas in (roi_order or ()):
            layout.need(layout.atlas(atlas), f"roi_order: atlas {atlas}", "leave it out of --roi-order")
        areas = read_atlas(layout, atlas, shapes, points)
        if areas is None:
            absent.append(atlas)
        else:
            found[atlas] = areas
    order = [atlas for atlas in roi_order or default_order(layout, given) if atlas in found]
    variables = {f"roi_{atlas}": areas for atlas, areas in found.items()}
    if order:
        variables["roi"], variables["level"] = first_areas(found, order)
    return variables, absent


def default_order(layout: Layout, given: Iterable[str] = ()) -> tuple[str, ...]:
    """Atlases by which ``roi`` is named: drawn areas, then atlases of one's own, then those of the space."""
    drawn = [atlas for atlas in ROI_ORDER if atlas in DRAWN and atlas in given]
    own = [atlas for atlas in given if atlas not in (*DRAWN, *SURFACE_ORDER)]
    return (*drawn, *own, *SURFACE_ORDER) if layout.is_surface else ROI_ORDER


def first_areas(found: Mapping[str, np.ndarray], order: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Area in the first atlas that has one, and its level of the visual hierarchy; empty for none."""
    roi = np.full(len(found[order[0]]), "", dtype=object)
    level, taken = roi.copy(), set()
    for atlas in order:
        number, areas = pd.factorize(found[atlas])
        # The RSC of HCP_MMP1 is not that of the localizer, nor its V1 the mapped part of V1.
        names = [f"{area} ({atlas})" if area in taken else area for area in areas]
        here = (roi == "") & (found[atlas] != "")
        roi[here] = np.array(names, dtype=object)[number[here]]
        level[here] = np.array([_level(atlas, area) if area else "" for area in areas], dtype=object)[number[here]]
        taken.update(areas)
    return roi, level


def _level(atlas: str, area: str) -> str:
    """One of `jne.cortex.LEVELS`; empty if it has none. Whatever a localizer of categories found is higher."""
    return "higher" if atlas.startswith("floc-") else area_level(area, atlas)
