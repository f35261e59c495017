"""The paper's test of tiers, over voxels, how often it calls an order of tiers that are none, and one over areas."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import xarray as xr
from scipy.stats import t as student

from jne._core import whole_number
from jne.cortex import HEMISPHERES, MESH, N_MESH_VERTICES, TIERS, smooth, tiers
from jne.statistics.area_tables import area_table
from jne.statistics.prediction_guard import predicted_voxels
from jne.statistics.subject_tables import pooled_table
from jne.statistics.trends import smooth_null, trend_test


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


def smooth_rate(
    result: xr.Dataset,
    measure: str = "jne",
    fwhms: Sequence[float] = (10, 20),
    n_maps: int = 100,
    *,
    q: float = 0.05,
    random_state: int = 0,
) -> pd.DataFrame | None:
    """How often `voxel_test` calls tiers of maps that are nothing but smooth noise, at the voxels of a result.

    White noise on the mesh is smoothed (`jne.cortex.smooth`) in each hemisphere. Every map counts with its negative,
    which is as good a null.

    Parameters
    ----------
    result, measure
        As in `voxel_test`; of the measure only which voxels have one is used.
    fwhms : sequence of float
        Millimetres on the midthickness surface.
    n_maps : int
        Of each width.
    q, random_state
        As in `exchanged_rate`.

    Returns
    -------
    pandas.DataFrame or None
        Indexed by width: ``pair``, the share of pairs of maps and tiers of which the higher is called, with p < q,
        above the lower (a right test has q); ``order``, that of maps in which every tier is called above the one below.
        None where the voxels are not on fsLR-32k, or have fewer than two tiers.
    """
    n_maps = whole_number(n_maps, "n_maps", 1)
    if "vertex" not in result or result["vertex"].attrs.get("mesh", MESH) != MESH:
        return None
    tier = tiers(result["level"].values)
    kept = predicted_voxels(result) & np.isfinite(result[measure].values) & (tier != "")
    names = [name for name in TIERS if name in tier[kept]]
    if len(names) < 2:
        return None
    hemisphere, vertex = result["hemisphere"].values.astype(str)[kept], result["vertex"].values[kept]
    rng = np.random.default_rng(random_state)
    noise = {side: rng.standard_normal((N_MESH_VERTICES, n_maps)) for side in HEMISPHERES}
    member = np.stack([tier[kept] == name for name in names]).astype(float)
    n = np.broadcast_to(member.sum(axis=1), (n_maps, len(names)))
    above, below = np.tril_indices(len(names), -1)
    rows = {}
    for width in fwhms:
        maps = np.empty((len(vertex), n_maps))
        for side in HEMISPHERES:
            here = hemisphere == side
            maps[here] = smooth(noise[side], side, width)[vertex[here]]
        p = _p_values(n, (member @ maps).T, (member @ maps**2).T)
        called = np.concatenate([p, p.transpose(0, 2, 1)]) < q
        steps = called[:, np.arange(1, len(names)), np.arange(len(names) - 1)]
        rows[width] = {"pair": called[:, above, below].mean(), "order": steps.all(axis=1).mean()}
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("fwhm")


def tier_area_test(
    results: Mapping[str, xr.Dataset], measure: str = "jne", *, n_draws: int = 9999, random_state: int = 0
) -> pd.DataFrame:
    """One-sided tests between tiers over areas, each area's mean over subjects, against maps that are only smooth.

    `trend_test` of the areas of two tiers at a time: by smooth maps where the areas have places that are known, else by
    areas exchanged.

    Parameters
    ----------
    results : mapping of str to xarray.Dataset
        One per subject, with ``roi``, ``level`` and the measure.
    measure : str
    n_draws, random_state : int

    Returns
    -------
    pandas.DataFrame
        As of `voxel_test`; NaN where two tiers have fewer than four areas together. ``attrs["null"]`` is "smooth maps"
        or "areas exchanged".
    """
    table = pooled_table([area_table(result, (measure,)) for result in results.values()], (measure,))
    tier = tiers(table["level"])
    known = table[measure].notna().to_numpy()
    names = [name for name in TIERS if name in tier[known]]
    # Of all areas at once: they are kept, and others ask for the same.
    covariances = smooth_null(next(iter(results.values())), table)
    p = pd.DataFrame(np.nan, names, names)
    for place, high in enumerate(names):
        for low in names[:place]:
            values = np.where(np.isin(tier, (low, high)), table[measure], np.nan)
            rank = (tier == high).astype(float)
            trend = trend_test(values, rank, covariances=covariances, n_draws=n_draws, random_state=random_state)
            both = trend.p if covariances is None else trend.p_smooth
            p.loc[high, low] = both / 2 if trend.rho > 0 else 1 - both / 2
            p.loc[low, high] = 1 - both / 2 if trend.rho > 0 else both / 2
    p.attrs["null"] = "areas exchanged" if covariances is None else "smooth maps"
    return p


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
