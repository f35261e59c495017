"""Does a measure rise along the hierarchy? Areas are the unit, neighbours are not exchangeable, subjects are few."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import permutations

import numpy as np
import pandas as pd
import xarray as xr
from scipy.stats import rankdata

from jne._core import as_numbers
from jne.cortex import HEMISPHERES, MESH, area_covariances, covariance_weights, mesh_areas
from jne.statistics.area_tables import area_table, level_ranks
from jne.statistics.subject_tables import pooled_table

POOLED = "all subjects"


@dataclass(frozen=True)
class Trend:
    """What `trend_test` returns.

    Attributes
    ----------
    rho : float
        Spearman correlation over areas between the measure and the level, or the partial one with ``given``.
    p : float
        Two-sided, from permutations of the areas: right if areas are exchangeable.
    p_smooth : float
        Two-sided, from smooth maps without a trend; NaN without covariances.
    n_areas : int
    enumerated : bool
        Whether all permutations were taken, not a random sample of them.
    """

    rho: float
    p: float
    p_smooth: float
    n_areas: int
    enumerated: bool


def trend_test(
    values, levels, *, given=None, covariances: np.ndarray | None = None, n_draws: int = 9999, random_state: int = 0
) -> Trend:
    """Test the rank correlation of a measure with the hierarchy level, over areas.

    One value per area, the mean over both hemispheres, so that the two move together. ``p`` = (b + 1) / (m + 1), where
    b of m permutations of the areas have a correlation at least as far from zero; with few areas all permutations are
    enumerated. ``p_smooth`` replaces permutations by draws of smooth noise averaged by area. How smooth, the values
    themselves say: every draw takes one of the covariances with the probability that the values give it, so that what
    32 values leave open about it stays open.

    With ``given``, ranks of values and levels are taken after regressing out the ranks of ``given``, and so are those
    of every draw (Freedman & Lane 1983): what is left of the trend among areas matched on it.

    Parameters
    ----------
    values : array ``(n_areas,)``
        NaN areas are left out.
    levels : array ``(n_areas,)``
        Rank of each area's level.
    given : array ``(n_areas,)``, optional
        Such as the noise ceiling.
    covariances : array ``(n_covariances, n_areas, n_areas)``, optional
        From `area_covariances`.
    n_draws : int
        m, the number of permutations and of smooth maps.
    random_state : int

    Returns
    -------
    Trend
        All NaN where fewer than four areas have values, or nothing varies.
    """
    values, levels = (
        as_numbers(array, name, float, missing=True) for name, array in (("values", values), ("levels", levels))
    )
    if values.shape != levels.shape or values.ndim != 1:
        raise ValueError(f"values has shape {values.shape} and levels {levels.shape}; both must be (n_areas,)")
    if n_draws < 99:
        raise ValueError(f"n_draws={n_draws}; needed: at least 99, for a p value below 0.05")
    finite = np.isfinite(values) & np.isfinite(levels)
    if given is not None:
        given = as_numbers(given, "given", float, missing=True)
        finite &= np.isfinite(given)
        given = given[finite]
    values, levels = values[finite], levels[finite]
    n = len(values)
    nothing = Trend(np.nan, np.nan, np.nan, n, False)
    if n < 4 or np.ptp(values) == 0:
        return nothing
    basis = _basis(n, given)
    target = _residual(rankdata(levels), basis)
    own = _residual(rankdata(values), basis)
    if np.linalg.norm(target) < 1e-6 or np.linalg.norm(own) < 1e-6:
        return nothing
    rho = float(_correlation(own[None], target, basis)[0])
    rng = np.random.default_rng(random_state)
    enumerated = math.factorial(n) <= n_draws + 1
    if enumerated:
        # The first permutation is the data's own order, which the added one stands for.
        orders = np.array(list(permutations(range(n))))[1:]
    else:
        orders = rng.permuted(np.tile(np.arange(n), (n_draws, 1)), axis=1)
    p = _p_value(rho, _correlation(own[orders], target, basis))
    p_smooth = np.nan
    if covariances is not None:
        covariances = as_numbers(covariances, "covariances")[:, finite][:, :, finite]
        maps = _smooth_draws(values, covariances, basis, n_draws, rng)
        p_smooth = _p_value(rho, _correlation(rankdata(maps, axis=1), target, basis))
    return Trend(rho, p, p_smooth, n, enumerated)


def _basis(n: int, given: np.ndarray | None) -> np.ndarray:
    columns = [np.ones(n)] if given is None else [np.ones(n), rankdata(given)]
    return np.linalg.qr(np.stack(columns, axis=1))[0]


def _residual(values: np.ndarray, basis: np.ndarray) -> np.ndarray:
    return values - (values @ basis) @ basis.T


def _correlation(draws: np.ndarray, target: np.ndarray, basis: np.ndarray) -> np.ndarray:
    draws = _residual(draws, basis)
    return draws @ target / (np.linalg.norm(draws, axis=1) * np.linalg.norm(target))


def _p_value(rho: float, draws: np.ndarray) -> float:
    # Ties count as at least as extreme, whatever rounding did to them.
    return float((np.count_nonzero(np.abs(draws) >= abs(rho) - 1e-9) + 1) / (len(draws) + 1))


def _smooth_draws(values, covariances, basis, n_draws, rng) -> np.ndarray:
    weights = covariance_weights(values, covariances, basis)
    chosen = rng.choice(len(covariances), size=n_draws, p=weights)
    noise = rng.standard_normal((n_draws, len(values)))
    for index in np.unique(chosen):
        rows = chosen == index
        noise[rows] = noise[rows] @ np.linalg.cholesky(covariances[index]).T
    return noise


def smooth_null(result: xr.Dataset, table: pd.DataFrame) -> np.ndarray | None:
    """Covariances for `trend_test` of the areas of a table; None where these have no places that are known here.

    Known are areas of HCP-MMP1.0 in a result whose vertices are on fsLR-32k.
    """
    if "vertex" not in result or result["vertex"].attrs.get("mesh", MESH) != MESH:
        return None
    known = np.unique([mesh_areas(side) for side in HEMISPHERES])
    return area_covariances(table.index) if np.isin(table.index, known).all() else None


def trend_tests(
    results: Mapping[str, xr.Dataset],
    measures: Sequence[str],
    *,
    given: str | None = None,
    pooled: str | None = None,
    n_draws: int = 9999,
    random_state: int = 0,
) -> pd.DataFrame:
    """`trend_test` of each measure in each result.

    Parameters
    ----------
    results : mapping of str to xarray.Dataset
        Name -> result with ``roi`` and ``level``.
    measures : sequence of str
    given : str, optional
        A measure that areas are matched on, such as ``"noise_ceiling"``.
    pooled : str, optional
        Name of one more row per measure, for the areas averaged over all results.
    n_draws, random_state : int

    Returns
    -------
    pandas.DataFrame
        Indexed by ``(name, measure)``: the fields of `Trend`, and ``n_voxels``, the significant voxels of these areas.
    """
    names = tuple(dict.fromkeys([*measures, *([given] if given else [])]))
    tables = {name: area_table(result, names) for name, result in results.items()}
    if pooled:
        tables[pooled] = pooled_table(list(tables.values()), names)
    first = next(iter(results.values()))
    covariances = {name: smooth_null(results.get(name, first), table) for name, table in tables.items()}
    return table_trends(tables, measures, covariances, given=given, n_draws=n_draws, random_state=random_state)


def table_trends(
    tables: Mapping[str, pd.DataFrame],
    measures: Sequence[str],
    covariances: Mapping[str, np.ndarray | None],
    *,
    given: str | None = None,
    **draws,
) -> pd.DataFrame:
    """`trend_test` of the columns of tables by area that have a ``level``; otherwise as `trend_tests`.

    Parameters
    ----------
    tables : mapping of str to pandas.DataFrame
    measures : sequence of str
    covariances : mapping of str to array or None
        For each table, from `smooth_null`.
    given : str, optional
    **draws
        ``n_draws`` and ``random_state`` of `trend_test`.
    """
    rows = {}
    for name, table in tables.items():
        levels = level_ranks(table)
        options = {"given": table[given] if given else None, "covariances": covariances[name], **draws}
        for measure in measures:
            counts = table.get("n_significant", table["n_voxels"])
            n_voxels = int(counts[table[measure].notna()].sum())
            rows[name, measure] = vars(trend_test(table[measure], levels, **options)) | {"n_voxels": n_voxels}
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis(["name", "measure"])
