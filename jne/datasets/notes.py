"""What a valid dataset leaves empty in the chapters, and what would fill it."""

from __future__ import annotations

import numpy as np
import xarray as xr

from jne._core import listed
from jne.cortex import levels_by_name

_FILLED = "`jne prepare ... --levels AREA=LEVEL,...` gives them"


def dataset_notes(content: xr.Dataset) -> list[str]:
    """Sentences on figures that will be empty, as levels of areas are not known; none where all are.

    Parameters
    ----------
    content : xarray.Dataset
        Of a valid dataset.
    """
    if "roi" not in content:
        return ["no areas are named (roi), so figures by area, and by level of the hierarchy, will be empty"]
    roi = content["roi"].values.astype(str)
    level = content["level"].values.astype(str) if "level" in content else levels_by_name(roi)
    names = np.unique(roi[roi != ""]).tolist()
    if not names:
        return ["no voxel is in an area, so figures by area, and by level of the hierarchy, will be empty"]
    if level is None:
        return [
            f"no levels of the hierarchy are known for the areas {listed(names)} (level is not given, and fewer than "
            "four areas of two levels are known by name), so figures and tests by level, of trends and of tiers will "
            f"be empty; {_FILLED}"
        ]
    without = [name for name in names if not (level[roi == name] != "").any()]
    if len(set(level[level != ""].tolist())) < 2:
        return [f"fewer than two levels of the hierarchy are known, so figures by level will be empty; {_FILLED}"]
    if without:
        return [
            f"no level is known for {len(without)} of {len(names)} areas ({listed(without)}): figures by level will be "
            f"without them; {_FILLED}"
        ]
    return []
