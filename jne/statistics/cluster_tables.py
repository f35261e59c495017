"""The paper's tables of clusters: MoJ and MoM, what scaling within areas makes of them, and of nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import xarray as xr

from jne._core import whole_number
from jne.cortex import PAPER_AREAS, paper_areas
from jne.statistics.area_tables import in_order
from jne.statistics.clusters import in_number_order
from jne.statistics.paper_areas import WHOLE
from jne.statistics.prediction_guard import predicted_voxels

HIGH = 0.8
"""Of a table scaled to 0 to 1: from which a cell looks selective."""


def cluster_maps(result: xr.Dataset) -> xr.DataArray:
    """Mean JNE-SS over the stimuli of each cluster, or category, in each voxel: the paper's MoJ.

    Parameters
    ----------
    result : xarray.Dataset
        With ``jne_ss (sample, voxel)`` and ``category (sample)``, as of `with_clusters`.

    Returns
    -------
    xarray.DataArray ``(category, voxel)``
        In squared units of JNE.
    """
    categories = result["category"].values.astype(str)
    names = in_number_order(dict.fromkeys(categories))
    means = [result["jne_ss"].values[categories == name].mean(axis=0) for name in names]
    return xr.DataArray(np.stack(means), {"category": np.array(names, object)}, ("category", "voxel"), "jne_ss")


def cluster_areas(result: xr.Dataset, *, paper: bool = False) -> pd.DataFrame:
    """Mean of `cluster_maps` over the significant voxels of each area: the paper's MoM, its Table 5.

    Parameters
    ----------
    result : xarray.Dataset
        As of `cluster_maps`; with ``roi (voxel)`` where areas are known.
    paper : bool
        Rows are the paper's areas, or what stands in for them (`jne.cortex.PAPER_AREAS`), where there are two or more.

    Returns
    -------
    pandas.DataFrame
        Areas (rows; the first, `WHOLE`, is of all significant voxels) by clusters, in squared units of JNE. Areas
        without a significant voxel are left out.
    """
    maps, kept = cluster_maps(result), predicted_voxels(result)
    roi = result["roi"].values.astype(str)[kept] if "roi" in result else np.full(kept.sum(), "")
    areas = in_order(pd.DataFrame(index=list(dict.fromkeys(roi[roi != ""])))).index
    of_paper = paper_areas(roi)
    if paper and len(known := [area for area in PAPER_AREAS if area in of_paper]) > 1:
        roi, areas = of_paper, known
    values = maps.values[:, kept]
    if not values.size:
        return pd.DataFrame(columns=maps["category"].values, dtype=float)
    rows = {WHOLE: values.mean(axis=1), **{area: values[:, roi == area].mean(axis=1) for area in areas}}
    return pd.DataFrame.from_dict(rows, orient="index", columns=maps["category"].values)


def min_max(table: pd.DataFrame) -> pd.DataFrame:
    """A table of areas scaled to 0 to 1 within each area, as in the paper's Figure 8c; NaN where an area is flat.

    Every area then has a cluster at 1 and one at 0, whether or not its values differ more than chance makes them.
    """
    low, high = table.min(axis=1), table.max(axis=1)
    return table.sub(low, axis=0).div((high - low).where(high > low), axis=0)


def apparent_selectivity(table: pd.DataFrame) -> dict[str, int]:
    """What a reader of `min_max` of this table sees.

    Returns
    -------
    dict
        ``n_high``, cells at `HIGH` or more; ``n_preferred``, different clusters that are the highest of an area;
        ``n_areas`` and ``n_clusters``.
    """
    scaled = min_max(table).dropna()
    return {
        "n_high": int((scaled.to_numpy() >= HIGH).sum()),
        "n_preferred": int(scaled.idxmax(axis=1).nunique()) if len(scaled) else 0,
        "n_areas": len(scaled),
        "n_clusters": scaled.shape[1],
    }


def shuffled_areas(
    result: xr.Dataset, n_shuffles: int = 20, *, paper: bool = False, random_state: int = 0
) -> list[pd.DataFrame]:
    """`cluster_areas` where no voxel is selective: its JNE-SS is shuffled over the stimuli, each voxel by itself.

    Each voxel keeps its values, so its JNE; which stimulus has which is chance.

    Parameters
    ----------
    result : xarray.Dataset
    n_shuffles : int
    paper : bool
        As of `cluster_areas`.
    random_state : int
    """
    n_shuffles = whole_number(n_shuffles, "n_shuffles", 1)
    rng = np.random.default_rng(random_state)
    result = result[[name for name in ("jne_ss", "roi", "category", "significant") if name in result]]
    result = result.isel(voxel=predicted_voxels(result))
    scores = result["jne_ss"].values
    return [
        cluster_areas(result.assign(jne_ss=(("sample", "voxel"), rng.permuted(scores, axis=0))), paper=paper)
        for _ in range(n_shuffles)
    ]


def apparent_counts(observed: Mapping[str, pd.DataFrame], shuffled: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """`apparent_selectivity` of tables, beside the range of what shuffled stimuli give.

    Parameters
    ----------
    observed : mapping of str to pandas.DataFrame
        Name -> `cluster_areas`.
    shuffled : sequence of pandas.DataFrame
        Of `shuffled_areas`.

    Returns
    -------
    pandas.DataFrame
        A row per name, and the rows ``shuffled, least`` and ``shuffled, most``.
    """
    table = pd.DataFrame.from_dict({name: apparent_selectivity(one) for name, one in observed.items()}, orient="index")
    counts = pd.DataFrame([apparent_selectivity(one) for one in shuffled])
    table.loc["shuffled, least"], table.loc["shuffled, most"] = counts.min(), counts.max()
    return table


def highest_clusters(table: pd.DataFrame, contents: pd.DataFrame) -> dict[str, str]:
    """The cluster in which each area is highest, with the category of most of its stimuli where that is known.

    Parameters
    ----------
    table : pandas.DataFrame
        Of `cluster_areas`.
    contents : pandas.DataFrame
        Of `jne.statistics.cluster_contents`.
    """
    names = contents["category"] if "category" in contents else {}
    highest = table.idxmax(axis=1)
    return {area: f"{name} ({names[name]})" if name in names else name for area, name in highest.items()}
