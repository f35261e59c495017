"""From voxels and stimuli to areas, levels and categories: the tables that the figures draw."""

from __future__ import annotations

import numpy as np
import pandas as pd
import xarray as xr
from scipy.stats import spearmanr

from jne._core import as_numbers
from jne.cortex import AREAS, all_levels
from jne.measures import REGISTRY, SHARES, TERMS, Terms, share
from jne.statistics.one_area import WHOLE, as_one_area
from jne.statistics.prediction_guard import predicted_voxels

ACCURACY = ("r2", "r2_linear", "r2_difference", "correlation", "explained")
"""Measures whose means are over all voxels: over those with R² above zero, the worse encoder would look the better."""


def area_table(
    result: xr.Dataset, measures: tuple[str, ...] = ("jne", "nonlinear_share"), *, significant: bool = True
) -> pd.DataFrame:
    """Mean of each measure over the significant voxels of each area, both hemispheres together.

    Parameters
    ----------
    result : xarray.Dataset
        With ``roi (voxel)``, empty for no area, and the measures ``(voxel)``; NaN voxels are left out of a measure's
        mean. Without ``significant (voxel)``, all voxels are taken.
    measures : tuple of str
        Those of `ACCURACY` are averaged over all voxels. What is a ratio of two measures
        (``terms`` of the registry) is one of their sums.
    significant : bool
        False: average everything over all voxels.

    Returns
    -------
    pandas.DataFrame
        Indexed by area, in the order of the hierarchy where areas are known to HCP-MMP1.0, else of the file:
        ``n_voxels``; where the result knows them ``level`` and ``n_significant``, the voxels that the means are over;
        and the measures, NaN where an area has no significant voxel.
    """
    predicted = predicted_voxels(result)
    frame = pd.DataFrame({"roi": result["roi"].values.astype(str), "significant": predicted})
    ratios = {}
    for name in measures:
        kept = predicted if significant and name not in ACCURACY else True
        terms = REGISTRY[name].terms if name in REGISTRY else ()
        ratios[name] = terms if terms and all(term in result for term in terms) else ()
        # A voxel is in both sums or in neither.
        known = np.all([np.isfinite(result[term].values) for term in ratios[name]], axis=0) if ratios[name] else True
        for part in ratios[name] or (name,):
            frame[f"{name}: {part}"] = np.where(kept & known, result[part].values, np.nan)
    if "level" in result:
        frame["level"] = result["level"].values.astype(str)
    groups = frame[frame["roi"] != ""].groupby("roi", sort=False)
    table = groups[[]].sum()
    for name, terms in ratios.items():
        above, below = (groups[f"{name}: {term}"].sum() for term in terms) if terms else (None, None)
        table[name] = above / below.where(below > 0) if terms else groups[f"{name}: {name}"].mean()
    table.insert(0, "n_voxels", groups.size())
    if significant and "significant" in result:
        table.insert(1, "n_significant", groups["significant"].sum())
    if "level" in frame:
        table.insert(1, "level", groups["level"].first())
    return in_order(table)


def in_order(table: pd.DataFrame) -> pd.DataFrame:
    """A table of areas in the order of the hierarchy; unknown areas last, in the order they have."""
    known = {area: rank for rank, area in enumerate(AREAS)}
    return table.sort_index(key=lambda index: index.map(lambda area: known.get(area, len(known))), kind="stable")


def area_share(result: xr.Dataset, area: str | np.ndarray = "roi", share_name: str = "nonlinear_share") -> pd.DataFrame:
    """Cross-fitted share of each area, as a ratio of sums over its voxels.

    All significant voxels of an area enter its sums, also those whose own share is NaN: what is too weak to divide by
    in one voxel is not in the sum of many. (Where significance is not known, all voxels do; those without a signal add
    noise and no bias.) Voxels are in z-scored response units, so that a voxel counts by its predicted variance.

    Parameters
    ----------
    result : xarray.Dataset
        What `jne.crossfit_nonlinearity` returns.
    area : str or array ``(n_voxels,)``
        The variable of ``result`` that names each voxel's area, or the names. Without a ``roi``, all voxels are one.
    share_name : {"nonlinear_share", "prediction_share"}

    Returns
    -------
    pandas.DataFrame
        Indexed and ordered as in `area_table`: ``n_voxels``; ``level`` and ``n_significant`` where the result knows
        them; the share under its name; its jackknife standard error over training and test stimuli ``<name>_se`` and
        95 % bounds ``<name>_low`` and ``<name>_high`` (Student's t with one degree of freedom less than the fewest
        groups), NaN where the lower bound of the denominator is not above zero; ``reliable``.

    Raises
    ------
    ValueError
        If ``result`` is not a cross-fitted one, or an argument is unknown.

    Examples
    --------
    >>> import numpy as np, jne
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(500, 4))
    >>> Y = X[:, :3] + rng.normal(size=(500, 3))
    >>> arrays = X[:300], Y[:300], X[300:400], Y[300:400], X[400:]
    >>> result = jne.crossfit_nonlinearity(lambda seed: jne.RidgeEncoder(random_state=seed), arrays, n_splits=1)
    >>> jne.area_share(result, np.array(["V1", "V1", "V4"]))[["n_voxels", "nonlinear_share"]]
          n_voxels  nonlinear_share
    roi
    V1           2              0.0
    V4           1              0.0
    """
    if share_name not in SHARES:
        raise ValueError(f"share_name={share_name!r}; accepted are {', '.join(SHARES)}")
    parts = ("", "_jackknife", "_jackknife_test")
    missing = [term + part for term in TERMS for part in parts if term + part not in result]
    if missing:
        raise ValueError(f"result lacks {', '.join(missing)}; give what jne.crossfit_nonlinearity returns")
    labels = _labels(result, area)
    terms = [Terms.of(result, part) for part in parts]
    predicted, rows = predicted_voxels(result), {}
    for name in dict.fromkeys(labels[labels != ""]):
        voxels = labels == name
        known = {"level": str(result["level"].values[voxels][0])} if "level" in result else {}
        known |= {"n_significant": int(predicted[voxels].sum())} if "significant" in result else {}
        found = share(share_name, *(part.each(lambda t, own=voxels & predicted: t[..., own].sum(-1)) for part in terms))
        rows[name] = {
            "n_voxels": int(voxels.sum()),
            **known,
            share_name: float(found.value),
            f"{share_name}_se": float(found.se),
            f"{share_name}_low": float(found.low),
            f"{share_name}_high": float(found.high),
            "reliable": bool(found.reliable),
        }
    return in_order(pd.DataFrame.from_dict(rows, orient="index").rename_axis("roi"))


def _labels(result: xr.Dataset, area: str | np.ndarray) -> np.ndarray:
    n_voxels = result.sizes["voxel"]
    if isinstance(area, str) and area not in result:
        if area != "roi":
            raise ValueError(f"area={area!r} is not a variable of result, which has {', '.join(map(str, result))}")
        return np.full(n_voxels, WHOLE)
    labels = np.asarray(result[area].values if isinstance(area, str) else area).astype(str)
    if labels.shape != (n_voxels,):
        raise ValueError(f"area has shape {labels.shape}; needed: one name for each of the {n_voxels} voxels")
    return labels


def level_trend(table: pd.DataFrame, measure: str) -> float:
    """Spearman correlation over areas between a measure and the hierarchy level (V1 = 0 to higher = 5).

    Areas are the unit, never voxels: neighbouring voxels are not independent observations.
    """
    return spearman(level_ranks(table), table[measure].to_numpy(float))


def level_ranks(table: pd.DataFrame) -> np.ndarray:
    """Rank of each area's level ``(n_areas,)``, V1 = 0."""
    return table["level"].map({level: rank for rank, level in enumerate(all_levels(table["level"]))}).to_numpy(float)


def spearman(a: np.ndarray, b: np.ndarray) -> float:
    """Spearman correlation over the entries that are finite in both; NaN where fewer than three are, or one is flat."""
    a, b = as_numbers(a, "a", float, missing=True), as_numbers(b, "b", float, missing=True)
    finite = np.isfinite(a) & np.isfinite(b)
    if finite.sum() < 3 or np.ptp(a[finite]) == 0 or np.ptp(b[finite]) == 0:
        return float("nan")
    return float(spearmanr(a[finite], b[finite]).statistic)


def partial_spearman(a: np.ndarray, b: np.ndarray, given: np.ndarray) -> float:
    """Spearman correlation of a and b with the ranks of ``given`` regressed out of both."""
    ab, ag, bg = spearman(a, b), spearman(a, given), spearman(b, given)
    return float((ab - ag * bg) / np.sqrt((1 - ag**2) * (1 - bg**2)))


def area_samples(result: xr.Dataset, *, signed: bool = False) -> pd.DataFrame:
    """JNE-SS of every stimulus in every area, z-scored over stimuli within each area.

    The mean over an area's significant voxels is taken before z-scoring, as areas differ in scale. Without areas, all
    voxels are one. Areas without a significant voxel are left out.

    Parameters
    ----------
    result : xarray.Dataset
        With ``jne_ss (sample, voxel)``.
    signed : bool
        Take the deviation itself instead of its square (needs ``deviation_sign``): positive where the Jacobian is
        further from its mean than usual, negative where it is unusually steady.

    Returns
    -------
    pandas.DataFrame
        ``(n_samples, n_areas)``, columns named by area.
    """
    result = as_one_area(result)
    result = result[[name for name in ("roi", "jne_ss", "deviation_sign", "significant") if name in result]]
    result = result.isel(voxel=predicted_voxels(result))
    roi = result["roi"].values.astype(str)
    names = area_table(result, ()).index
    scores = result["jne_ss"].values
    if signed:
        scores = np.sqrt(scores) * result["deviation_sign"].values
    columns = [np.nanmean(scores[:, roi == name], axis=1) for name in names]
    means = np.stack(columns, axis=1) if columns else np.empty((len(scores), 0))
    return pd.DataFrame((means - means.mean(axis=0)) / means.std(axis=0), columns=names)


def category_table(result: xr.Dataset, *, signed: bool = False) -> pd.DataFrame:
    """Mean of `area_samples` in each area (rows) over the stimuli of each category (columns)."""
    return by_category(area_samples(result, signed=signed), result["category"].values)


def by_category(samples: pd.DataFrame, categories: np.ndarray) -> pd.DataFrame:
    """Mean of each column of samples over the stimuli of each category, ``(n_columns, n_categories)``.

    Parameters
    ----------
    samples : pandas.DataFrame ``(n_samples, n_columns)``
    categories : array of str ``(n_samples,)``
        Columns of the table are in the order in which they first come.
    """
    categories = np.asarray(categories).astype(str)
    order = list(dict.fromkeys(categories))
    return samples.groupby(categories).mean().loc[order].T


def headline(result: xr.Dataset) -> dict[str, bool | int | float | dict[str, float]]:
    """A study in a few numbers, to compare studies by.

    Returns
    -------
    dict
        ``synthetic``; ``n_voxels`` and ``n_significant``; the medians ``r2`` and ``r2_linear`` over all voxels; for JNE
        and the nonlinear share the mean of each area and, where the result has them, the rank correlations
        ``<measure>_vs_ceiling`` with the noise ceiling over voxels and ``<measure>_vs_level`` with the hierarchy level
        over areas, these all from significant voxels.
    """
    numbers = {"synthetic": bool(result.attrs.get("synthetic")), "n_voxels": int(result.sizes["voxel"])}
    numbers |= {"n_significant": int(result["significant"].sum())}
    numbers |= {name: float(result[name].median()) for name in ("r2", "r2_linear") if name in result}
    kept = predicted_voxels(result)
    for measure in ("jne", "nonlinear_share"):
        if "noise_ceiling" in result:
            numbers[f"{measure}_vs_ceiling"] = spearman(result["noise_ceiling"][kept], result[measure][kept])
        if "roi" in result:
            table = area_table(result, (measure,))
            numbers[measure] = {area: float(value) for area, value in table[measure].items()}
            if "level" in table:
                numbers[f"{measure}_vs_level"] = level_trend(table, measure)
    return numbers
