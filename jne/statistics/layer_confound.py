"""What a measure does along a hierarchy whose levels live in successive feature layers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import xarray as xr

from jne.cortex import LEVELS
from jne.statistics.area_tables import predicted_voxels, spearman

PREDICTED = "predicted"
"""Column for the part of the noise ceiling that is predicted: sum of R² over sum of noise ceilings, all voxels."""
DEPTH_MEASURES = (PREDICTED, "jne", "nonlinear_share", "validated_share")
"""What is compared; what a result does not have is left out."""


def depth_table(results: Mapping[str, xr.Dataset], measures: Sequence[str] = DEPTH_MEASURES) -> pd.DataFrame:
    """Measures of each level, the same voxels studied with different choices of the feature layer.

    Parameters
    ----------
    results : mapping of str to xarray.Dataset
        Name of the choice -> result with ``level``, ``r2`` and ``noise_ceiling (voxel)``.
    measures : sequence of str
        `PREDICTED` and variables of the results; those that one of them does not have are left out.

    Returns
    -------
    pandas.DataFrame
        One row for each choice (column ``layers``) and ``level``, from V1 on: ``n_voxels``, the number of significant
        ones; the measures, means over these.
    """
    known = [name for name in measures if name == PREDICTED or all(name in result for result in results.values())]
    rows = []
    for choice, result in results.items():
        level, significant = result["level"].values.astype(str), predicted_voxels(result)
        for name in (name for name in LEVELS if (level == name).any()):
            everyone = result.isel(voxel=level == name)
            chosen = result.isel(voxel=(level == name) & significant)
            values = {measure: float(chosen[measure].mean()) for measure in known if measure != PREDICTED}
            if PREDICTED in known:
                values[PREDICTED] = float(everyone["r2"].sum() / everyone["noise_ceiling"].sum())
            rows.append({"layers": choice, "level": name, "n_voxels": chosen.sizes["voxel"]} | values)
    return pd.DataFrame(rows, columns=["layers", "level", "n_voxels", *known])


def depth_ratios(table: pd.DataFrame) -> pd.DataFrame:
    """The last level's value over the first one's, of every measure (columns) with every choice of layers (rows)."""
    measures = table.columns.difference(["layers", "level", "n_voxels"], sort=False)
    by_choice = table.groupby("layers", sort=False)[list(measures)]
    return by_choice.last() / by_choice.first()


def depth_trends(results: Mapping[str, xr.Dataset], measures: Sequence[str] = DEPTH_MEASURES) -> pd.DataFrame:
    """Spearman's ρ over significant voxels of every measure (columns) with the level, as `depth_ratios`.

    Here `PREDICTED` is a voxel's R² over its noise ceiling. Voxels of an area are not independent: it says how a map
    looks, and is no test.
    """
    known = [name for name in measures if name == PREDICTED or all(name in result for result in results.values())]
    rows = {}
    for choice, result in results.items():
        result = result.isel(voxel=predicted_voxels(result))
        depth = np.array([LEVELS.index(level) for level in result["level"].values.astype(str)])
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = np.where(result["noise_ceiling"] > 0, result["r2"] / result["noise_ceiling"], np.nan)
        values = {name: ratio if name == PREDICTED else result[name].values for name in known}
        rows[choice] = {name: spearman(value, depth) for name, value in values.items()}
    return pd.DataFrame.from_dict(rows, orient="index", columns=known)
