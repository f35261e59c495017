"""Areas over subjects, feature layers and scenarios: intervals, effect sizes, recovery of a planted truth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import xarray as xr
from scipy.stats import t as student

from jne._core import as_numbers
from jne.cortex import early_levels
from jne.statistics.area_tables import area_table, level_trend, spearman
from jne.statistics.prediction_guard import predicted_voxels


def area_intervals(results: Mapping[str, xr.Dataset], measure: str) -> pd.DataFrame:
    """A measure's mean in each area with an interval.

    Parameters
    ----------
    results : mapping of str to xarray.Dataset
        One per subject.
    measure : str

    Returns
    -------
    pandas.DataFrame
        Indexed by area: ``mean``, ``low``, ``high``, ``n_voxels`` (significant ones of all subjects) and, where known,
        ``level``. With several subjects, mean and 95 % interval over subjects (Student's t); with one, mean and
        quartiles over its significant voxels, which say how an area's voxels spread and not how sure the mean is.
    """
    tables = [area_table(result, (measure,)) for result in results.values()]
    out = tables[0][["level"]].copy() if "level" in tables[0] else pd.DataFrame(index=tables[0].index)
    out["n_voxels"] = pooled_table(tables, ())["n_voxels"]
    if len(tables) > 1:
        columns = pd.concat([table[measure] for table in tables], axis=1)
        out[["mean", "low", "high"]] = [subject_interval(row) for row in columns.loc[out.index].to_numpy()]
        return out
    (result,) = results.values()
    kept = predicted_voxels(result)
    voxels = pd.Series(result[measure].values[kept]).groupby(result["roi"].values.astype(str)[kept])
    out["mean"] = tables[0][measure]
    out["low"], out["high"] = voxels.quantile(0.25).reindex(out.index), voxels.quantile(0.75).reindex(out.index)
    return out


def subject_interval(values, *, correlation: bool = False) -> tuple[float, float, float]:
    """Mean over subjects and its 95 % interval, from Student's t.

    Subjects are a sample of people, so this is the interval that speaks of people; with four of them it has three
    degrees of freedom and is 3.2 standard errors wide on either side.

    Parameters
    ----------
    values : array ``(n_subjects,)``
    correlation : bool
        Average Fisher's z, and turn it back.

    Returns
    -------
    mean, low, high : float
        The bounds are NaN for a single subject.
    """
    values = as_numbers(values, "values", float, missing=True)
    values = values[np.isfinite(values)]
    if correlation:
        values = np.arctanh(np.clip(values, -1 + 1e-12, 1 - 1e-12))
    n = len(values)
    mean = float(values.mean()) if n else np.nan
    half = float(student.ppf(0.975, n - 1) * values.std(ddof=1) / np.sqrt(n)) if n > 1 else np.nan
    out = np.array([mean, mean - half, mean + half])
    return tuple(float(value) for value in (np.tanh(out) if correlation else out))


def layer_table(results: Mapping[str, Mapping[str, xr.Dataset]], measure: str) -> pd.DataFrame:
    """A measure by area (rows) and feature layer (columns), averaged over subjects.

    Parameters
    ----------
    results : mapping of layer to mapping of subject to xarray.Dataset
    measure : str
    """
    columns = {}
    for layer, subjects in results.items():
        tables = [area_table(result, (measure,))[measure] for result in subjects.values()]
        columns[layer] = pd.concat(tables, axis=1).mean(axis=1).loc[tables[0].index]
    return pd.DataFrame(columns)


def level_trend_table(results: Mapping[str, Mapping[str, xr.Dataset]], measures: tuple[str, ...]) -> pd.DataFrame:
    """`level_trend` of each measure in each feature layer and subject: columns layer, subject, measure, rho."""
    rows = [
        {"layer": layer, "subject": name, "measure": m, "rho": level_trend(area_table(result, measures), m)}
        for layer, subjects in results.items()
        for name, result in subjects.items()
        for m in measures
    ]
    return pd.DataFrame(rows)


def area_recovery_table(results: Mapping[str, xr.Dataset], measures: tuple[str, ...]) -> pd.DataFrame:
    """How each measure's area means follow the planted share and the noise ceiling.

    Parameters
    ----------
    results : mapping of str to xarray.Dataset
        With ``true_nonlinearity`` and ``noise_ceiling``.
    measures : tuple of str

    Returns
    -------
    pandas.DataFrame
        Indexed by ``(name, measure)``: Spearman correlations over areas ``with_truth`` and ``with_ceiling``.
    """
    rows = {}
    for name, result in results.items():
        table = area_table(result, tuple(dict.fromkeys((*measures, "true_nonlinearity", "noise_ceiling"))))
        for measure in measures:
            rows[name, measure] = {
                "with_truth": spearman(table[measure], table["true_nonlinearity"]),
                "with_ceiling": spearman(table[measure], table["noise_ceiling"]),
            }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis(["name", "measure"])


def mean_table(tables: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Cell by cell mean of tables over the rows that all have, in the order of the first."""
    rows = [row for row in tables[0].index if all(row in table.index for table in tables)]
    return sum(table.loc[rows, tables[0].columns] for table in tables) / len(tables)


def effect_sizes(results: Mapping[str, xr.Dataset], measures: Sequence[str]) -> pd.DataFrame:
    """The trend as numbers with intervals over subjects.

    Parameters
    ----------
    results : mapping of str to xarray.Dataset
        One per subject.
    measures : sequence of str

    Returns
    -------
    pandas.DataFrame
        Indexed by ``(measure, effect)``: ``mean``, ``low``, ``high``, ``n_subjects``. Effects: ``rho``, the Spearman
        correlation with the level; ``later - early``, the mean over areas beyond V4 minus that over V1 to V4
        (`jne.cortex.early_levels`).
    """
    return table_effects([area_table(result, tuple(measures)) for result in results.values()], measures)


def table_effects(tables: Sequence[pd.DataFrame], measures: Sequence[str]) -> pd.DataFrame:
    """`effect_sizes` of tables by area that have a ``level``, one per subject."""
    rows = {}
    for measure in measures:
        rhos = [level_trend(table, measure) for table in tables]
        early = [table["level"].isin(early_levels(table["level"])) for table in tables]
        steps = [table[measure][~e].mean() - table[measure][e].mean() for table, e in zip(tables, early, strict=True)]
        for effect, values in (("rho", rhos), ("later - early", steps)):
            mean, low, high = subject_interval(values, correlation=effect == "rho")
            rows[measure, effect] = {
                "mean": mean,
                "low": low,
                "high": high,
                "n_subjects": int(np.isfinite(values).sum()),
            }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis(["measure", "effect"])


def pooled_table(tables: Sequence[pd.DataFrame], measures: Sequence[str]) -> pd.DataFrame:
    """Tables by area averaged over subjects, each subject counting once; ``n_voxels`` are those of all subjects.

    Parameters
    ----------
    tables : sequence of pandas.DataFrame
        From `area_table` or `area_share`, one per subject.
    measures : sequence of str
        Columns that are averaged.
    """
    pooled = tables[0][["level"]].copy() if "level" in tables[0] else pd.DataFrame(index=tables[0].index)
    counts = [table.get("n_significant", table["n_voxels"]) for table in tables]
    pooled.insert(0, "n_voxels", pd.concat(counts, axis=1).sum(axis=1).loc[pooled.index].astype(int))
    for measure in measures:
        pooled[measure] = pd.concat([table[measure] for table in tables], axis=1).mean(axis=1)
    return pooled
