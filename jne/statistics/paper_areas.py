"""The paper's ten areas, and all voxels beside them, in results of any dataset that names areas."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
import xarray as xr

from jne.cortex import PAPER_AREAS, paper_areas
from jne.statistics.area_tables import ACCURACY, in_order
from jne.statistics.one_area import WHOLE
from jne.statistics.prediction_guard import predicted_voxels

LEAST_VOXELS = 10
"""Voxels of an area below which a correlation over them is not taken."""
MOST_AREAS = 11
"""Areas shown of a dataset that has none of the paper's: its largest."""


def by_paper_area(result: xr.Dataset, *, others: bool = False) -> xr.Dataset:
    """A result whose ``roi`` are the paper's areas; other areas are none, or with ``others`` keep their names."""
    roi = result["roi"].values.astype(str)
    area = paper_areas(roi)
    area = np.where((area == "") & others, roi, area).astype(object)
    return result.drop_vars("level", errors="ignore").assign(roi=("voxel", area))


def area_members(results: Mapping[str, xr.Dataset]) -> dict[str, tuple[str, ...]]:
    """The areas that figures of the paper show -> names that the results have for each.

    Parameters
    ----------
    results : mapping of str to xarray.Dataset
        One per subject, with ``roi (voxel)``.

    Returns
    -------
    dict
        Those of the paper's areas that any subject has, in its order; where there are none, the areas that the
        results have, at most `MOST_AREAS`, those of most voxels. Empty where a result has no areas.
    """
    if not all("roi" in result for result in results.values()):
        return {}
    found: dict[str, list[str]] = {area: [] for area in PAPER_AREAS}
    counts: dict[str, int] = {}
    for result in results.values():
        names, size = np.unique(result["roi"].values.astype(str), return_counts=True)
        for name, area, n in zip(names.tolist(), paper_areas(names).tolist(), size.tolist(), strict=True):
            counts[name] = counts.get(name, 0) + n
            if area and name not in found[area]:
                found[area].append(name)
    if any(found.values()):
        return {area: tuple(in_order(pd.DataFrame(index=names)).index) for area, names in found.items() if names}
    counts.pop("", None)
    largest = sorted(counts, key=lambda name: -counts[name])[:MOST_AREAS]
    return {name: (name,) for name in in_order(pd.DataFrame(index=largest)).index}


def members_of(result: xr.Dataset, members: tuple[str, ...]) -> np.ndarray:
    """Voxels of the areas named ``(n_voxels,)``."""
    return np.isin(result["roi"].values.astype(str), members)


def paper_area_table(results: Mapping[str, xr.Dataset], measure: str = "jne") -> pd.DataFrame:
    """A measure's mean over all voxels and over those of each of the paper's areas, subject by subject.

    As in Figures 6b-c and 17 of the paper. Means are over significant voxels, those of R² over all.

    Parameters
    ----------
    results : mapping of str to xarray.Dataset
        One per subject.
    measure : str

    Returns
    -------
    pandas.DataFrame
        Indexed by ``"all voxels"`` and the areas of `area_members`, one column for each subject; NaN where a subject
        has no such voxel.
    """
    areas = area_members(results)
    columns = {}
    for name, result in results.items():
        kept = np.ones(result.sizes["voxel"], bool) if measure in ACCURACY else predicted_voxels(result)
        parts = {WHOLE: kept} | {area: kept & members_of(result, own) for area, own in areas.items()}
        columns[name] = {part: _mean(result[measure].values[voxels]) for part, voxels in parts.items()}
    return pd.DataFrame(columns, index=[WHOLE, *areas])


def encoder_correlations(result: xr.Dataset) -> dict[str, float]:
    """Pearson r over voxels of the linear and the nonlinear encoder's R², for all voxels and in each area.

    As in Figure 5 of the paper, over all voxels, significant or not.

    Parameters
    ----------
    result : xarray.Dataset
        With ``r2`` and ``r2_linear (voxel)``.

    Returns
    -------
    dict
        ``"all voxels"``, and the areas of `area_members` with at least `LEAST_VOXELS` voxels. NaN where fewer than
        three voxels have both, or one of them does not vary.
    """
    r2, linear = result["r2"].values, result["r2_linear"].values
    found = {WHOLE: _pearson(r2, linear)}
    for area, own in area_members({"": result}).items():
        here = members_of(result, own)
        if here.sum() >= LEAST_VOXELS:
            found[area] = _pearson(r2[here], linear[here])
    return found


def extreme_areas(values: Mapping[str, float] | pd.Series) -> dict[str, str]:
    """The areas of the lowest and of the highest value; `WHOLE` where no area has a number.

    Parameters
    ----------
    values : mapping of str to float, or pandas.Series
        By area, with or without `WHOLE`, as of `encoder_correlations` or a column of `paper_area_table`.

    Returns
    -------
    dict
        ``low`` and ``high``, names of areas.
    """
    known = {name: float(value) for name, value in values.items() if name != WHOLE and np.isfinite(value)}
    return {"low": min(known, key=known.get, default=WHOLE), "high": max(known, key=known.get, default=WHOLE)}


def _pearson(a: np.ndarray, b: np.ndarray) -> float:
    finite = np.isfinite(a) & np.isfinite(b)
    if finite.sum() < 3 or np.ptp(a[finite]) == 0 or np.ptp(b[finite]) == 0:
        return float("nan")
    return float(np.corrcoef(a[finite], b[finite])[0, 1])


def _mean(values: np.ndarray) -> float:
    values = values[np.isfinite(values)]
    return float(values.mean()) if values.size else float("nan")
