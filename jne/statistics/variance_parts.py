"""What of the explainable variance an encoder predicts, and what of that is confirmed to be nonlinear."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd
import xarray as xr

from jne.cortex import ordered_levels
from jne.statistics.area_tables import area_table

PARTS = {"linear": "linear in these features", "nonlinear": "nonlinear, confirmed", "unexplained": "unexplained"}
"""The three parts, with their names."""


def variance_parts(results: Mapping[str, xr.Dataset]) -> pd.DataFrame:
    """Split the explainable variance of each hierarchy level in three.

    With E = sum of R² over sum of noise ceilings and s the validated share, both of an area as ratios of sums over its
    voxels (E over all, s over the significant ones), the nonlinear part is E s, the linear one E (1 - s), and 1 - E is
    unexplained. Means over the areas of a level, then over subjects; areas of which one of the two is not known are
    left out of all three.

    Parameters
    ----------
    results : mapping of str to xarray.Dataset
        One per subject, with ``roi``, ``level``, ``explained`` and ``validated_share (voxel)``.

    Returns
    -------
    pandas.DataFrame
        Levels, from V1 on, by `PARTS`.
    """
    subjects = []
    for result in results.values():
        table = area_table(result, ("explained", "validated_share"))
        explained, share = table["explained"], table["validated_share"]
        parts = {"linear": explained * (1 - share), "nonlinear": explained * share, "unexplained": 1 - explained}
        subjects.append(pd.DataFrame(parts).dropna().groupby(table["level"]).mean())
    mean = pd.concat(subjects).groupby(level=0).mean()
    return mean.loc[ordered_levels(mean.index), list(PARTS)]
