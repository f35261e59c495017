"""Results without areas, as one of them, so that tables of areas can be made."""

from __future__ import annotations

import numpy as np
import xarray as xr

WHOLE = "all voxels"


def as_one_area(result: xr.Dataset) -> xr.Dataset:
    """A result with ``roi (voxel)``: its own, or one area of all voxels where it has none."""
    if "roi" in result:
        return result
    return result.assign(roi=("voxel", np.full(result.sizes["voxel"], WHOLE, object)))
