"""What a measure does along a hierarchy whose levels live in successive feature layers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import xarray as xr

from jne.cortex import LEVELS
from jne.statistics.area_tables import area_table, spearman
from jne.statistics.prediction_guard import predicted_voxels

PREDICTED = "explained"
"""How well features fit a level: R² over noise ceiling."""
DEPTH_MEASURES = (PREDICTED, "jne", "nonlinear_share", "validated_share")
"""What is compared; what a result does not have is left out."""


def depth_table(results: Mapping[str, xr.Dataset], measures: Sequence[str] = DEPTH_MEASURES) -> pd.DataFrame:
    """Measures of each level, the same voxels studied with different choices of the feature layer.

    Parameters
    ----------
    results : mapping of str to xarray.Dataset
        Name of the choice -> result with ``level (voxel)``.
    measures : sequence of str
        Those that one of the results does not have are left out.

    Returns
    -------
    pandas.DataFrame
        One row for each choice (column ``layers``) and ``level``, from V1 on: ``n_voxels``, the number of significant
        ones; the measures, as `area_table` has them, a level in place of an area.
    """
    known, parts = _known(results, measures), []
    for choice, result in results.items():
        table = area_table(result.drop_vars("level").assign(roi=result["level"]), known)
        table = table.loc[[level for level in LEVELS if level in table.index]]
        columns = {"layers": choice, "level": table.index, "n_voxels": table.get("n_significant", table["n_voxels"])}
        parts.append(pd.DataFrame(columns).assign(**table[list(known)]))
    return pd.concat(parts, ignore_index=True)


def _known(results: Mapping[str, xr.Dataset], measures: Sequence[str]) -> tuple[str, ...]:
    return tuple(name for name in measures if all(name in result for result in results.values()))


def depth_ratios(table: pd.DataFrame) -> pd.DataFrame:
    """The last level's value over the first one's, of every measure (columns) with every choice of layers (rows)."""
    measures = table.columns.difference(["layers", "level", "n_voxels"], sort=False)
    by_choice = table.groupby("layers", sort=False)[list(measures)]
    return by_choice.last() / by_choice.first()


def depth_trends(results: Mapping[str, xr.Dataset], measures: Sequence[str] = DEPTH_MEASURES) -> pd.DataFrame:
    """Spearman's ρ over significant voxels of every measure (columns) with the level, as `depth_ratios`.

    Voxels of an area are not independent: it says how a map looks, and is no test.
    """
    rows = {}
    for choice, result in results.items():
        result = result.isel(voxel=predicted_voxels(result))
        depth = np.array([LEVELS.index(level) for level in result["level"].values.astype(str)])
        rows[choice] = {name: spearman(result[name].values, depth) for name in _known(results, measures)}
    return pd.DataFrame.from_dict(rows, orient="index")
