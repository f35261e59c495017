"""Levels of the visual hierarchy for results of datasets that name areas and no levels."""

from __future__ import annotations

import xarray as xr

from jne.cortex import levels_by_name


def with_levels(result: xr.Dataset) -> xr.Dataset:
    """A result with ``level (voxel)`` by the names of its areas, where it has none and these are a hierarchy.

    That is four areas with a level, not all with the same.
    """
    if "roi" not in result or "level" in result:
        return result
    if (level := levels_by_name(result["roi"].values)) is None:
        return result
    source = {"source": "names of the areas, jne.cortex.ATLAS_LEVELS"}
    return result.assign(level=("voxel", level.astype(object), source))
