"""For which categories do the responses confirm an area's nonlinearity, and is it for some more than for others?

The counterpart by groups of stimuli of JNE-SS, which noise cannot feed; see `jne.validated_share`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import xarray as xr

from jne._core import whole_number
from jne.statistics.area_tables import in_order


def confirmed_table(result: xr.Dataset) -> pd.DataFrame:
    """Confirmed nonlinear covariance of each area (rows) over the stimuli of each category (columns).

    The mean of cov(y, r)'s products over a category's test stimuli, over cov(y, f) of all stimuli; both are sums over
    the area's significant voxels. The mean of a row, each category counted by its stimuli, is the area's validated
    share. Areas without a validated share, of which nothing is predicted, are left out.

    Parameters
    ----------
    result : xarray.Dataset
        Of `jne.run_study`, with ``validated_area_products`` and ``category (sample)``.
    """
    products, categories = _products(result)
    return _table(products, categories, list(dict.fromkeys(categories)))


def double_centred(table: pd.DataFrame) -> pd.DataFrame:
    """A table less the means of its rows and of its columns: the interaction of area and category."""
    return pd.DataFrame(_interaction(table.to_numpy()), table.index, table.columns)


def _interaction(tables: np.ndarray) -> np.ndarray:
    """Of each table ``(..., n_areas, n_categories)``."""
    rows, columns = (tables.mean(axis=axis, keepdims=True) for axis in (-1, -2))
    return tables - rows - columns + tables.mean(axis=(-2, -1), keepdims=True)


def confirmed_test(results: Sequence[xr.Dataset], n_permutations: int = 999, *, random_state: int = 0) -> pd.DataFrame:
    """Test whether an area's confirmed nonlinearity is for one category more than for others, beyond other areas'.

    The interaction (`double_centred`, averaged over subjects) of each area and category, in standard deviations over
    permutations, is compared with the largest of all cells in each permutation, so that with nothing there 5 % of
    *tables* have a call. Permuted are the categories of the test stimuli, which leaves the fit and what areas have in
    common as they are; subjects whose stimuli have the same categories in the same order, as those that saw the same
    have, are permuted together. One-sided. Where a cell stands out by far, its part of the means of rows and columns
    raises the cells of other areas and other categories (by 1 / (areas x categories) of it), which may be called then.

    Parameters
    ----------
    results : sequence of xarray.Dataset
        One a subject, as in `confirmed_table`; areas that all have are tested.
    n_permutations : int
        At least 99.
    random_state : int

    Returns
    -------
    pandas.DataFrame
        Indexed by ``(area, category)``: ``index``, ``z``, ``p`` (family-wise) and ``selective``, p at most 0.05.

    Raises
    ------
    ValueError
        If the subjects have fewer than two areas in common, fewer than two categories, or different ones.
    """
    n_permutations = whole_number(n_permutations, "n_permutations", 99)
    parts = [_products(result) for result in results]
    names = list(dict.fromkeys(parts[0][1]))
    areas = [area for area in parts[0][0] if all(area in products for products, _ in parts)]
    if min(len(areas), len(names)) < 2 or any(set(categories) != set(names) for _, categories in parts):
        raise ValueError(
            f"results: {len(areas)} areas of which something is predicted in all subjects, categories "
            f"{', '.join(names)} in the first; needed: two areas or more, and the same two categories or more in each"
        )
    values = [products[areas].to_numpy() for products, _ in parts]
    members = [_members(categories, names) for _, categories in parts]
    together = all(np.array_equal(members[0], one) for one in members)
    rng = np.random.default_rng(random_state)

    def mean_table(orders: Sequence[np.ndarray]) -> np.ndarray:
        tables = (own.T @ weight[order] for own, weight, order in zip(values, members, orders, strict=True))
        return sum(tables) / len(values)

    def orders() -> list[np.ndarray]:
        if together:
            return [rng.permutation(len(members[0]))] * len(members)
        return [rng.permutation(len(one)) for one in members]

    as_it_is = mean_table([np.arange(len(one)) for one in members])
    # The table at hand is one of all, in the scale too: without that it would stand out more often than any other.
    tables = _interaction(np.stack([as_it_is, *(mean_table(orders()) for _ in range(n_permutations))]))
    observed = tables[0].copy()
    tables /= tables.std(axis=0)
    z, largest = tables[0], tables.max(axis=(1, 2))
    p = (largest[:, None, None] >= z - 1e-12).mean(axis=0)
    cells = pd.MultiIndex.from_product([areas, names], names=["area", "category"])
    columns = {"index": observed, "z": z, "p": p, "selective": p <= 0.05}
    return pd.DataFrame({name: entry.ravel() for name, entry in columns.items()}, index=cells)


def _products(result: xr.Dataset) -> tuple[pd.DataFrame, np.ndarray]:
    """Products at each stimulus over cov(y, f) of all ``(n_samples, n_areas)``, and the stimuli's categories."""
    if missing := [name for name in ("validated_area_products", "category") if name not in result]:
        raise ValueError(f"result has no {' and no '.join(missing)}; needed: a study of stimuli with categories")
    table = result["validated_area_products"].to_pandas() / result["validated_area_predicted"].to_pandas()
    # As of a share: two standard errors above zero, or a few would fill the means of all.
    table = in_order(table.loc[:, np.isfinite(result["validated_area_share"].values)].T).T
    return table, result["category"].values.astype(str)


def _members(categories: np.ndarray, names: list[str]) -> np.ndarray:
    """What takes a mean over each category's stimuli, ``(n_samples, n_categories)``."""
    members = (categories[:, None] == np.array(names)).astype(float)
    return members / members.sum(axis=0)


def _table(products: pd.DataFrame, categories: np.ndarray, names: list[str]) -> pd.DataFrame:
    return pd.DataFrame(products.to_numpy().T @ _members(categories, names), products.columns, names)
