"""Clusters of stimuli in place of categories: results that have them, and how far other seeds make the same ones."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations

import numpy as np
import pandas as pd
import xarray as xr

from jne.statistics.area_tables import spearman


def cluster_labels(clusters: xr.Dataset, seed: int = 0) -> np.ndarray:
    """The cluster of each tested stimulus, from 0, for the place of a seed among the seeds and its chosen number."""
    return clusters["label"].isel(seed=seed).sel(k=int(clusters["chosen"][seed])).values.astype(int)


def samples_of(clusters: xr.Dataset, subject: str | None = None) -> np.ndarray:
    """Which of the tested stimuli are a subject's, in its order; by default those of the first subject."""
    own = clusters["sample_of"].sel(subject=subject or clusters["subject"].values[0]).values
    return own[own >= 0]


def with_clusters(results: Mapping[str, xr.Dataset], clusters: xr.Dataset, seed: int = 0) -> dict[str, xr.Dataset]:
    """Results whose ``category (sample)`` is the cluster of each stimulus, "1" and so on along the one axis of t-SNE.

    Parameters
    ----------
    results : mapping of str to xarray.Dataset
        Of `jne.study.run_subjects`; subjects that have no clusters are left out.
    clusters : xarray.Dataset
        Of `jne.datasets.cluster_stimuli` of the same datasets.
    seed : int
        Whose clusters: the place among the seeds.
    """
    labels = cluster_labels(clusters, seed)
    found = {}
    for name, result in results.items():
        if name not in clusters["subject"].values:
            continue
        samples = samples_of(clusters, name)
        if len(samples) != result.sizes["sample"]:
            raise ValueError(f"{name}: {result.sizes['sample']} stimuli in its result, {len(samples)} in clusters")
        names = (labels[samples] + 1).astype(str).astype(object)
        found[name] = result.assign(category=("sample", names))
    return found


def cluster_contents(clustered: xr.Dataset, result: xr.Dataset) -> pd.DataFrame:
    """What the stimuli of each cluster are, by the categories that the result has of its own.

    Parameters
    ----------
    clustered, result : xarray.Dataset
        A result with clusters, and the same as it was before `with_clusters`.

    Returns
    -------
    pandas.DataFrame
        By cluster: ``n_stimuli``; where there are categories, ``category``, the most frequent one, and ``share``, which
        part of the cluster it is.
    """
    cluster = clustered["category"].values.astype(str)
    table = pd.Series(cluster).value_counts().rename("n_stimuli").to_frame()
    table = table.loc[in_number_order(table.index)].rename_axis("cluster")
    if "category" in result:
        counts = pd.crosstab(cluster, result["category"].values.astype(str)).loc[table.index]
        table["category"], table["share"] = counts.idxmax(axis=1), counts.max(axis=1) / table["n_stimuli"]
    return table


def common_categories(results: Mapping[str, xr.Dataset], least: int = 5) -> list[str]:
    """Categories, or clusters, of which every subject has at least ``least`` stimuli; in the order of the first."""
    counts = [pd.Series(result["category"].values.astype(str)).value_counts() for result in results.values()]
    names = dict.fromkeys(next(iter(results.values()))["category"].values.astype(str))
    return in_number_order([name for name in names if all(count.get(name, 0) >= least for count in counts)])


def in_number_order(names) -> list[str]:
    """Names by their number where all are whole numbers, else as they come."""
    names = [str(name) for name in names]
    return sorted(names, key=int) if all(name.isdecimal() for name in names) else names


def cluster_agreement(clusters: xr.Dataset) -> pd.DataFrame:
    """How far two seeds of t-SNE and K-means sort the tested stimuli alike.

    Returns
    -------
    pandas.DataFrame
        A row per pair of seeds (``first``, ``second``): ``k_first`` and ``k_second``, the numbers of clusters by
        silhouette; the adjusted Rand index (1 the same, 0 as by chance) ``rand``, both with the number chosen for the
        first, and ``rand_largest``, with the largest number tried; ``order``, the absolute rank correlation of the
        positions along the one axis (which end comes first is of no account).
    """
    from sklearn.metrics import adjusted_rand_score

    tested = clusters["tested"].values
    largest = int(clusters["k"].values[-1])
    rows = {}
    for one, other in combinations(range(clusters.sizes["seed"]), 2):
        pair = clusters.isel(seed=[one, other])
        k = int(pair["chosen"][0])
        k_first, k_second = (int(number) for number in pair["by_silhouette"].values)
        rand = [adjusted_rand_score(*pair["label"].sel(k=number).values) for number in (k, largest)]
        order = abs(spearman(*pair["position"].values[:, tested]))
        seeds = tuple(int(seed) for seed in pair["seed"].values)
        rows[seeds] = {
            "k_first": k_first,
            "k_second": k_second,
            "rand": rand[0],
            "rand_largest": rand[1],
            "order": order,
        }
    index = pd.MultiIndex.from_tuples(rows, names=["first", "second"]) if rows else None
    return pd.DataFrame(list(rows.values()), index)
