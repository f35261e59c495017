"""From voxels and stimuli to areas, levels and categories: the tables that the figures draw."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
import xarray as xr
from scipy.stats import spearmanr

from jne.cortex import AREAS, LEVELS


def area_table(result: xr.Dataset, measures: tuple[str, ...] = ("jne", "nonlinear_share")) -> pd.DataFrame:
    """Mean of each measure over the voxels of each area, both hemispheres together.

    Parameters
    ----------
    result : xarray.Dataset
        With ``roi (voxel)`` and the measures ``(voxel)``; NaN voxels are left out of a measure's mean.
    measures : tuple of str

    Returns
    -------
    pandas.DataFrame
        Indexed by area, in the order of the hierarchy where areas are known to HCP-MMP1.0, else of the file:
        ``n_voxels``, ``level`` where the result has it, and the measures.
    """
    frame = pd.DataFrame({name: result[name].values for name in measures})
    frame["roi"] = result["roi"].values.astype(str)
    if "level" in result:
        frame["level"] = result["level"].values.astype(str)
    groups = frame.groupby("roi", sort=False)
    table = groups[list(measures)].mean()
    table.insert(0, "n_voxels", groups.size())
    if "level" in frame:
        table.insert(1, "level", groups["level"].first())
    known = {area: rank for rank, area in enumerate(AREAS)}
    return table.sort_index(key=lambda index: index.map(lambda area: known.get(area, len(known))), kind="stable")


def level_trend(table: pd.DataFrame, measure: str) -> float:
    """Spearman correlation over areas between a measure and the hierarchy level (V1 = 0 to higher = 5).

    Areas are the unit, never voxels: neighbouring voxels are not independent observations.
    """
    rank = table["level"].map({level: rank for rank, level in enumerate(LEVELS)})
    return spearman(rank.to_numpy(float), table[measure].to_numpy(float))


def trend_table(results: Mapping[str, xr.Dataset], measures: tuple[str, ...]) -> pd.DataFrame:
    """`level_trend` of each measure (columns) in each result (rows)."""
    tables = {name: area_table(result, measures) for name, result in results.items()}
    return pd.DataFrame({m: {name: level_trend(table, m) for name, table in tables.items()} for m in measures})


def spearman(a: np.ndarray, b: np.ndarray) -> float:
    """Spearman correlation over the entries that are finite in both; NaN where fewer than three are, or one is flat."""
    a, b = np.asarray(a, float), np.asarray(b, float)
    finite = np.isfinite(a) & np.isfinite(b)
    if finite.sum() < 3 or np.ptp(a[finite]) == 0 or np.ptp(b[finite]) == 0:
        return float("nan")
    return float(spearmanr(a[finite], b[finite]).statistic)


def partial_spearman(a: np.ndarray, b: np.ndarray, given: np.ndarray) -> float:
    """Spearman correlation of a and b with the ranks of ``given`` regressed out of both."""
    ab, ag, bg = spearman(a, b), spearman(a, given), spearman(b, given)
    return float((ab - ag * bg) / np.sqrt((1 - ag**2) * (1 - bg**2)))


def area_samples(result: xr.Dataset) -> pd.DataFrame:
    """JNE-SS of every stimulus in every area, z-scored over stimuli within each area.

    The mean over an area's voxels is taken before z-scoring, as areas differ in scale. Without areas, all voxels are
    one.

    Returns
    -------
    pandas.DataFrame
        ``(n_samples, n_areas)``, columns named by area.
    """
    whole = np.full(result.sizes["voxel"], "all voxels", dtype=object)
    result = result if "roi" in result else result.assign(roi=("voxel", whole))
    roi = result["roi"].values.astype(str)
    names = area_table(result, ()).index
    scores = result["jne_ss"].values
    means = np.column_stack([np.nanmean(scores[:, roi == name], axis=1) for name in names])
    return pd.DataFrame((means - means.mean(axis=0)) / means.std(axis=0), columns=names)


def category_table(result: xr.Dataset) -> pd.DataFrame:
    """Mean z-scored JNE-SS of each area (rows) for the stimuli of each category (columns)."""
    table = area_samples(result)
    categories = result["category"].values.astype(str)
    order = list(dict.fromkeys(categories))
    return table.groupby(categories).mean().loc[order].T


def headline(result: xr.Dataset) -> dict[str, bool | int | float | dict[str, float]]:
    """A study in a few numbers, to compare studies by.

    Returns
    -------
    dict
        ``synthetic``, ``n_significant`` (voxels), the medians ``r2`` and ``r2_linear``; for JNE and the nonlinear share
        the mean of each area and, where the result has them, the rank correlations ``<measure>_vs_ceiling`` with the
        noise ceiling over voxels and ``<measure>_vs_level`` with the hierarchy level over areas.
    """
    numbers = {"synthetic": bool(result.attrs.get("synthetic")), "n_significant": int(result["significant"].sum())}
    numbers |= {name: float(result[name].median()) for name in ("r2", "r2_linear")}
    for measure in ("jne", "nonlinear_share"):
        if "noise_ceiling" in result:
            numbers[f"{measure}_vs_ceiling"] = spearman(result["noise_ceiling"], result[measure])
        if "roi" in result:
            table = area_table(result, (measure,))
            numbers[measure] = {area: float(value) for area, value in table[measure].items()}
            if "level" in table:
                numbers[f"{measure}_vs_level"] = level_trend(table, measure)
    return numbers
