"""The paper's test of tiers, over voxels, and how often it calls an order of tiers that are none."""

from __future__ import annotations

import numpy as np
import pandas as pd
import xarray as xr
from scipy.stats import t as student

from jne._core import whole_number
from jne.cortex import TIERS, tiers
from jne.statistics.area_tables import predicted_voxels


def voxel_test(result: xr.Dataset, measure: str = "jne") -> pd.DataFrame:
    """One-sided t-tests between tiers over significant voxels, as in Fig. 7c of the paper.

    Voxels are taken as independent, which neighbours are not; see `exchanged_rate`.

    Parameters
    ----------
    result : xarray.Dataset
        With ``roi``, ``level`` and the measure ``(voxel)``.
    measure : str

    Returns
    -------
    pandas.DataFrame
        p of the hypothesis that the tier of the row is *not* above that of the column (Welch's t, unequal variances);
        tiers of `jne.cortex.TIERS` that are there, lowest first. NaN for a tier with itself.
    """
    sums, tier = _sums(result, measure)
    names = [name for name in TIERS if name in tier]
    p = _p_values(*(sums @ np.stack([tier == name for name in names], axis=1))[None].transpose(1, 0, 2))[0]
    np.fill_diagonal(p, np.nan)
    return pd.DataFrame(p, names, names)


def exchanged_rate(
    result: xr.Dataset, measure: str = "jne", n_draws: int = 999, *, q: float = 0.05, random_state: int = 0
) -> dict[str, float]:
    """How often `voxel_test` finds the order of tiers when tiers are dealt out to the areas at random.

    Each tier keeps its number of areas, and each area its voxels, so that what voxels of an area have in common stays.

    Parameters
    ----------
    result, measure
        As in `voxel_test`.
    n_draws : int
    q : float
        The test's level.
    random_state : int

    Returns
    -------
    dict
        ``order``: share of draws in which every tier exceeds the one below with p < q; ``pair``: mean over such pairs
        of the share of draws in which it does. A right test has at most q. NaN with fewer than two tiers.
    """
    n_draws = whole_number(n_draws, "n_draws", 1)
    sums, tier = _sums(result, measure)
    names = [name for name in TIERS if name in tier]
    if len(names) < 2:
        return {"order": float("nan"), "pair": float("nan")}
    dealt = np.random.default_rng(random_state).permuted(np.tile(tier, (n_draws, 1)), axis=1)
    members = np.stack([dealt == name for name in names], axis=2).astype(float)
    p = _p_values(*np.einsum("ka,dat->kdt", sums, members))
    steps = p[:, np.arange(1, len(names)), np.arange(len(names) - 1)] < q
    return {"order": float(steps.all(axis=1).mean()), "pair": float(steps.mean())}


def _sums(result: xr.Dataset, measure: str) -> tuple[np.ndarray, np.ndarray]:
    """Number, sum and sum of squares of each area's voxels ``(3, n_areas)``, and the areas' tiers."""
    values = result[measure].values.astype(float)
    tier = tiers(result["level"].values)
    kept = predicted_voxels(result) & np.isfinite(values) & (tier != "") & (result["roi"].values.astype(str) != "")
    values = values[kept] - values[kept].mean() if kept.any() else values[kept]
    areas = pd.Series(values).groupby(result["roi"].values.astype(str)[kept])
    table = areas.agg(n="size", total="sum", squares=lambda own: float((own**2).sum()))
    own = pd.Series(tier[kept]).groupby(result["roi"].values.astype(str)[kept]).first()
    return table[["n", "total", "squares"]].to_numpy(float).T, own.loc[table.index].to_numpy(str)


def _p_values(n: np.ndarray, total: np.ndarray, squares: np.ndarray) -> np.ndarray:
    """Welch's one-sided p that tier i is not above j, ``(n_draws, n_tiers, n_tiers)``, from ``(n_draws, n_tiers)``."""
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = total / n
        error = (squares / n - mean**2).clip(0) / (n - 1)
        both = error[:, :, None] + error[:, None]
        t = (mean[:, :, None] - mean[:, None]) / np.sqrt(both)
        freedom = both**2 / (error[:, :, None] ** 2 / (n - 1)[:, :, None] + error[:, None] ** 2 / (n - 1)[:, None])
        return student.sf(t, freedom)
