"""What captions say of results: where a measure is low and high, what rises along the hierarchy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import xarray as xr

from jne.cortex import TIERS, ordered_levels, tiers
from jne.measures import short_label
from jne.plotting.captions import Each, each
from jne.statistics import area_intervals, area_table, extreme_areas, pooled_table, predicted_voxels

UNMASKED = ("true_nonlinearity", "noise_ceiling")
"""What no encoder has a part in, so that it is known where nothing is predicted, too."""
SMALL_P = 0.05
_SLIGHT = 0.1  # of the larger of two values: less hardly is a change
_NOTHING = "0 voxels are predicted better than by chance"


def spreads(result: xr.Dataset, measures: Sequence[str]) -> Each:
    """How each measure spreads, for the caption of its map: its ends over areas and the median voxel.

    Parameters
    ----------
    result : xarray.Dataset
    measures : sequence of str
        Those that it does not have are left out. `UNMASKED` are of all voxels, others of significant ones.

    Returns
    -------
    Each
        Of each measure ``median``, and with areas ``low``, ``high`` and their names; without areas ``low`` and
        ``high`` are quartiles over voxels.
    """
    rows: dict[str, dict[str, float | str]] = {}
    by_area = "roi" in result and len(set(result["roi"].values.astype(str)) - {""}) > 1
    for name in (name for name in measures if name in result):
        values = result[name].values[kept_voxels(result, name)]
        values = values[np.isfinite(values)]
        if not values.size:
            continue
        low, median, high = np.quantile(values, (0.25, 0.5, 0.75))
        row: dict[str, float | str] = {"low": low, "median": median, "high": high}
        if by_area:
            row |= _ends(area_table(result, (name,), significant=name not in UNMASKED)[name])
        rows[_word(name)] = row
    text = "{name} from {low:.2f} in {low_area} to {high:.2f} in {high_area}, {median:.2f} in the median voxel"
    if not by_area:
        text = "{name} with a median of {median:.2f} and its middle half from {low:.2f} to {high:.2f}"
    return _said(text, rows)


def area_ends(results: Mapping[str, xr.Dataset], measures: Sequence[str]) -> Each:
    """The lowest and the highest area of each measure, of its means over subjects.

    Parameters
    ----------
    results : mapping of str to xarray.Dataset
        One per subject, with ``roi (voxel)``.
    measures : sequence of str
    """
    rows = {_word(name): _ends(area_intervals(results, name)["mean"]) for name in measures}
    return _said("{name} from {low:.2f} in {low_area} to {high:.2f} in {high_area}", rows)


def level_ends(results: Mapping[str, xr.Dataset], measures: Sequence[str]) -> Each:
    """Whether each measure rises from the first level to the last, of the means of their areas and of subjects.

    Parameters
    ----------
    results : mapping of str to xarray.Dataset
        One per subject, with ``roi`` and ``level (voxel)``.
    measures : sequence of str
    """
    table = pooled_table([area_table(result, tuple(measures)) for result in results.values()], measures)
    rows: dict[str, dict[str, float | str]] = {}
    for name in measures:
        known = table[np.isfinite(table[name])]
        if len(known):
            ends = [ordered_levels(known["level"])[end] for end in (0, -1)]
            first, last = (float(known.loc[known["level"] == level, name].mean()) for level in ends)
            first_level, last_level = map(level_word, ends)
            words = {"word": change(first, last), "first_level": first_level, "last_level": last_level}
            rows[_word(name)] = {**words, "first": first, "last": last}
    return _said("{name} {word} from {first:.2f} in {first_level} to {last:.2f} in {last_level}", rows)


def level_word(level: str) -> str:
    """A level as a sentence has it: "V1", "higher areas", "level 3"."""
    if level.islower():
        return f"{level} areas"
    return f"level {level}" if level.replace(".", "", 1).isdigit() else level


def change(before: float, after: float) -> str:
    """ "rises", "falls" or "hardly changes", which is by less than 10 % of the larger of the two.

    Examples
    --------
    >>> from jne.plotting import change
    >>> change(0.40, 0.41), change(0.4, 0.5), change(0.1, -0.1)
    ('hardly changes', 'rises', 'falls')
    """
    if abs(after - before) <= _SLIGHT * max(abs(before), abs(after)):
        return "hardly changes"
    return "rises" if after > before else "falls"


def tier_means(results: Mapping[str, xr.Dataset], measure: str = "jne") -> Each:
    """A measure's mean in each of the paper's tiers, over significant voxels and then over subjects.

    Parameters
    ----------
    results : mapping of str to xarray.Dataset
        One per subject, with ``level (voxel)``.
    measure : str
    """
    means: dict[str, list[float]] = {}
    for result in results.values():
        kept = predicted_voxels(result) & result[measure].notnull().values
        for tier in TIERS:
            if (here := kept & (tiers(result["level"].values) == tier)).any():
                means.setdefault(tier, []).append(float(result[measure].values[here].mean()))
    return _said("{value:.2f} in {name}", {tier: np.mean(means[tier]) for tier in TIERS if tier in means}, ", ")


def trend_words(rows: pd.DataFrame) -> Each:
    """What rises, what falls and what does neither beyond chance, measure by measure.

    Parameters
    ----------
    rows : pandas.DataFrame
        ``rho``, ``p`` and ``p_smooth`` by measure: one name of `jne.statistics.trend_tests`.
    """
    p = trend_p(rows)
    rises = np.where(rows["rho"] > 0, "rises", "falls")
    words = np.where(p < SMALL_P, rises, "has no trend beyond chance")
    table = pd.DataFrame({"rho": rows["rho"], "p": p, "word": words})[rows["rho"].notna()]
    return _said("{name} {word} (ρ = {rho:+.2f}, p = {p:.2g})", table.rename(index=_word).to_dict("index"))


def trend_p(rows: pd.DataFrame) -> pd.Series:
    """p against smooth maps where there are any, else against permuted areas."""
    return rows["p_smooth"].where(rows["p_smooth"].notna(), rows["p"])


def kept_voxels(result: xr.Dataset, measure: str) -> np.ndarray:
    """Which voxels a map shows in colour: predicted ones; of what no encoder has a part in, all."""
    return np.ones(result.sizes["voxel"], bool) if measure in UNMASKED else predicted_voxels(result)


def _ends(means: pd.Series) -> dict[str, float | str]:
    found = extreme_areas(means)
    return {end: float(means.get(area, np.nan)) for end, area in found.items()} | {
        f"{end}_area": area for end, area in found.items()
    }


def _word(measure: str) -> str:
    return short_label(measure).replace("\n", " ")


def _said(template: str, rows: Mapping, between: str = "; ") -> Each:
    """As of `each`; in words where there is nothing."""
    several = rows and isinstance(next(iter(rows.values())), Mapping)
    said = each(template, pd.DataFrame.from_dict(rows, orient="index") if several else rows, between)
    said.text = said.text or _NOTHING
    return said
