"""Is an area's response most nonlinear for one category, more than features without any gate make it?

Stimuli of one category lie together in feature space, so a nonlinear response has another Jacobian there than
elsewhere, gate or no gate. Shuffling stimuli between categories destroys just that, and then calls ordinary areas
selective. The null here is what `jne.study.selectivity_null` makes of the same features.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import xarray as xr
from scipy.stats import false_discovery_control

from jne._core import as_numbers
from jne.statistics.area_tables import area_samples, category_table
from jne.statistics.prediction_guard import predicted_voxels


def selectivity_index(table) -> np.ndarray:
    """Area x category interaction: what an area has for a category beyond what most areas have for it.

    Parameters
    ----------
    table : pandas.DataFrame or array ``(..., n_areas, n_categories)``
        Of `category_table`: rows are z-scored, so they have no mean of their own.

    Returns
    -------
    array, same shape
        The table minus its median over areas, in z-scores over stimuli. The median, because a few selective areas must
        not make all the others look unselective.
    """
    table = as_numbers(table, "table", float, missing=True)
    return table - np.median(table, axis=-2, keepdims=True)


def interaction_test(tables: Sequence[pd.DataFrame], nulls: Sequence[xr.DataArray], q: float = 0.05) -> pd.DataFrame:
    """Test every area and category against ungated generators, with a false discovery rate over all of them.

    The index (`selectivity_index`, averaged over subjects) of a cell, in units of its spread over ungated draws, is
    compared with the same quantity of all cells of all draws. The spread is a factor per category times a factor per
    area, which few draws determine better than one number per cell. One-sided: selective is more than ungated.

    All areas share one encoder, so what gated areas teach it spreads the others, too. Where the middle of the cells
    (median absolute index) spreads more than that of the draws, all are scaled down to it: an empirical null (Efron
    2004, J. Am. Stat. Assoc. 99:96-104), good as long as most cells are not selective.

    Parameters
    ----------
    tables : sequence of pandas.DataFrame
        `category_table` of each subject; areas that all subjects have are tested.
    nulls : sequence of xarray.DataArray ``(draw, area, category)``
        `ungated_tables` of each subject, with the same number of draws; draws of different subjects are paired.
    q : float
        False discovery rate.

    Returns
    -------
    pandas.DataFrame
        Indexed by ``(area, category)``: ``index``, ``z``, ``p`` = (b + 1) / (m + 1), and ``selective``. As m is the
        number of draws times that of cells, at least 1 / (q draws) cells must stand out together to be called: five
        with four draws.
    """
    areas = [area for area in tables[0].index if all(area in table.index for table in tables)]
    categories = list(tables[0].columns)
    if not areas or any(set(table.columns) != set(categories) for table in tables):
        raise ValueError("tables: the subjects have no area in common, or different categories")
    if few := [null.sizes["draw"] for null in nulls if null.sizes["draw"] < 2]:
        raise ValueError(f"nulls: {few[0]} draw gives no spread; give at least 2")
    index = np.mean([selectivity_index(table.loc[areas, categories]) for table in tables], axis=0)
    null = np.mean([selectivity_index(null.sel(area=areas, category=categories)) for null in nulls], axis=0)
    scale = _spread(null)
    z, null_z = index / scale, null / scale
    z /= max(1, np.median(np.abs(z)) / np.median(np.abs(null_z)))
    null_z = np.sort(null_z.ravel())
    p = (len(null_z) - np.searchsorted(null_z, z - 1e-12) + 1) / (len(null_z) + 1)
    selective = false_discovery_control(p.ravel(), method="bh").reshape(p.shape) <= q
    cells = pd.MultiIndex.from_product([areas, categories], names=["area", "category"])
    columns = {"index": index, "z": z, "p": p, "selective": selective}
    return pd.DataFrame({name: values.ravel() for name, values in columns.items()}, index=cells)


def _spread(null: np.ndarray) -> np.ndarray:
    squares = (null**2).mean(axis=0)
    return np.sqrt(np.outer(squares.mean(axis=1), squares.mean(axis=0)) / squares.mean())


def shuffle_test(result: xr.Dataset, n_permutations: int = 999, random_state: int = 0) -> pd.DataFrame:
    """The test that fails: how often stimuli shuffled between categories give an area's category mean or more.

    It asks whether JNE-SS differs between categories at all, and with stimuli in clusters it does in every nonlinear
    area. It is here to be compared with `interaction_test`, not to be used.

    Returns
    -------
    pandas.DataFrame
        p values, areas by categories.
    """
    samples = area_samples(result)
    categories = result["category"].values.astype(str)
    table = category_table(result)
    rng = np.random.default_rng(random_state)
    members = np.stack([categories == name for name in table.columns], axis=1).astype(float)
    scores = samples.to_numpy()
    observed = scores.T @ members
    above = sum(scores.T @ rng.permutation(members) >= observed - 1e-12 for _ in range(n_permutations))
    return pd.DataFrame((above + 1) / (n_permutations + 1), samples.columns, table.columns)


def calling_rates(tests: Mapping[str, tuple[pd.Series, pd.Series]], gated: Sequence[str]) -> pd.DataFrame:
    """How often tests call a cell at p < 0.05 that should not be called.

    Parameters
    ----------
    tests : mapping of str to (pandas.Series, pandas.Series)
        Test -> its p values indexed by ``(area, category)``, with the gate off and with the gate on.
    gated : sequence of str
        Areas that are gated where the gate is on; they are left out there.

    Returns
    -------
    pandas.DataFrame
        Tests by kinds of cells, shares between 0 and 1.
    """
    rows = {}
    for name, (off, on) in tests.items():
        ungated = on[~on.index.get_level_values(0).isin(gated)]
        rows[name] = {"gate off, all areas": (off < 0.05).mean(), "gate on, ungated areas": (ungated < 0.05).mean()}
    return pd.DataFrame.from_dict(rows, orient="index")


def called_selective(cells: pd.DataFrame) -> dict[str, list[str]]:
    """Areas that are selective for each category, in the order of the table."""
    chosen = cells[cells["selective"]].reset_index()
    return {category: list(rows["area"]) for category, rows in chosen.groupby("category", sort=False)}


def can_test(results: Mapping[str, xr.Dataset], n_least: int = 5) -> str:
    """Why the categories of these results cannot be tested, in words; empty where they can."""
    for result in results.values():
        if "category" not in result or "roi" not in result:
            return "there are no categories of stimuli, or no areas"
        if not predicted_voxels(result).any():
            return "no voxel is predicted better than by chance"
        counts = pd.Series(result["category"].values.astype(str)).value_counts()
        if len(counts) < 2 or counts.min() < n_least:
            return f"only {counts.min()} of a category's stimuli are tested, and at least {n_least} are needed"
        if str(result.attrs.get("evaluation", "")).startswith("all"):
            return "the stimuli are divided into folds, and the generator needs a split"
    return ""
