"""How far maps of one measure agree: between subjects, between seeds, with the truth, with the noise ceiling."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations

import pandas as pd
import xarray as xr

from jne.measures import short_label
from jne.statistics.area_tables import area_table, spearman
from jne.statistics.prediction_guard import predicted_voxels

WITH = {name: short_label(name) for name in ("noise_ceiling", "true_nonlinearity")}


def agreement_table(
    subjects: Mapping[str, xr.Dataset], seeds: Mapping[str, xr.Dataset], measures: Sequence[str]
) -> pd.DataFrame:
    """Rank correlations of maps over areas and over voxels, from voxels that are significant in both.

    Parameters
    ----------
    subjects, seeds : mapping of str to xarray.Dataset
        The same study of several subjects, and of one subject with several seeds of the encoder.
    measures : sequence of str

    Returns
    -------
    pandas.DataFrame
        One row per pair: ``measure``, ``pair`` (what is compared), ``over`` ("areas" or "voxels"), ``rho``. Over
        voxels only where both have the same ones, of one dataset or at the same vertices; over areas only where the
        results have them.
    """
    rows = []

    def compare(pair: str, measure: str, one: xr.Dataset, other: xr.Dataset, against: str) -> None:
        if "roi" in one and "roi" in other:
            a, b = area_table(one, (measure,))[measure], area_table(other, (against,))[against]
            both = pd.concat([a, b], axis=1, join="inner").to_numpy()
            rows.append({"measure": measure, "pair": pair, "over": "areas", "rho": spearman(*both.T)})
        if _same_places(one, other):
            kept = predicted_voxels(one) & predicted_voxels(other)
            rho = spearman(one[measure].values[kept], other[against].values[kept])
            rows.append({"measure": measure, "pair": pair, "over": "voxels", "rho": rho})

    for measure in measures:
        for pair, results in (("two subjects", subjects), ("two seeds", seeds)):
            for one, other in combinations(results.values(), 2):
                compare(pair, measure, one, other, measure)
        for against, pair in WITH.items():
            for result in subjects.values():
                if against in result:
                    compare(pair, measure, result, result, against)
    return pd.DataFrame(rows, columns=["measure", "pair", "over", "rho"])


def _same_places(one: xr.Dataset, other: xr.Dataset) -> bool:
    same_data = "data_hash" in one.attrs and one.attrs["data_hash"] == other.attrs.get("data_hash")
    if one is other or same_data:
        return True
    if one.sizes["voxel"] != other.sizes["voxel"] or "vertex" not in one or "vertex" not in other:
        return False
    return all((one[name].values == other[name].values).all() for name in ("vertex", "hemisphere"))
