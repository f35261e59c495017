"""Claims about JNE along the visual hierarchy (Figures 6 and 7 of the paper)."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pandas as pd
import xarray as xr

from jne.cortex import TIERS, area_levels, tiers
from jne.statistics import (
    area_table,
    by_paper_area,
    exchanged_rate,
    pooled_table,
    smooth_null,
    trend_test,
    voxel_test,
)
from jne.study.claims.evidence import Evidence, Results, known_areas, which_areas
from jne.study.claims.verdicts import UNTESTED, Finding, Verdict, judge

LEVEL = 0.05
"""Of the one-sided test over areas."""
LEAST_AREAS = 3
"""Of the paper's areas, for one of them to be the lowest or highest."""


def hierarchy_claims(evidence: Evidence) -> list[Verdict]:
    """Verdicts on ``v1-lowest``, ``tiers`` and ``eba-highest``.

    Values: JNE of V1 (EBA) over that of the lowest (highest) other area, mean over subjects; of ``tiers`` the rank
    correlation over areas.
    """
    return [
        judge("v1-lowest", evidence, lambda *how: extreme("V1", -1, *how)),
        _with_voxel_test(judge("tiers", evidence, tiers_rise), evidence.base),
        judge("eba-highest", evidence, lambda *how: extreme("EBA", 1, *how)),
    ]


def extreme(area: str, sign: int, results: Results, measure: str, given: str | None) -> Finding:
    """Whether an area has the highest (sign 1) or the lowest (-1) mean of the paper's areas, in every subject.

    With ``given``, of how far each area is from what the other areas' regression on given says of it.
    """
    if reason := _missing(results, measure, given):
        return Finding(None, None, reason)
    known = known_areas(results)
    if area not in known or len(known) < LEAST_AREAS:
        here = ", ".join(known) or "none"
        return Finding(None, None, f"needed: {area} and {LEAST_AREAS - 1} more of the paper's areas; there are {here}")
    ratios, shown, others = [], [], []
    for result in results.values():
        values = _matched(area_table(by_paper_area(result), _names(measure, given)), measure, given)
        if area not in values or len(values) < LEAST_AREAS:
            return Finding(None, None, f"too few areas have a significant voxel; there are {', '.join(values.index)}")
        if np.ptp(values) == 0:
            return Finding(False, None, "it is the same in all areas")
        rest = sign * values.drop(area)
        shown.append(bool(sign * values[area] > rest.max() + 1e-9 * np.abs(values).max()))
        ratios.append(values[area] / abs(rest.max()) if not given and rest.max() else math.nan)
        others.append(rest.idxmax())
    extent, n = "highest" if sign > 0 else "lowest", len(shown)
    words = f"{area} is the {extent} of {which_areas(known)}{_in_how_many(shown)}"
    if not all(shown):
        beyond = ", ".join(dict.fromkeys(other for other, own in zip(others, shown, strict=True) if not own))
        words = f"{beyond} {'above' if sign > 0 else 'below'} {area}{_in_how_many([not own for own in shown])}; of "
        words += which_areas(known)
    elif measure == "jne" and not given:
        words += f"; by chance this has a probability of {len(known) ** -n:.2g}"
    value = float(np.mean(ratios))
    return Finding(all(shown), value if np.isfinite(value) else None, words)


def tiers_rise(results: Results, measure: str, given: str | None) -> Finding:
    """Whether the tiers are in the paper's order in every subject, and a measure rises with them over areas.

    The order is of the tiers' means over their areas. The rise is the rank correlation of the areas' means, averaged
    over subjects, with the tier: positive, with a one-sided p of at most `LEVEL` by smooth maps without a trend where
    the areas have places that are known, else by permutation of the areas. With ``given`` it is the partial rank
    correlation, and the order is not asked for.
    """
    if reason := _missing(results, measure, given):
        return Finding(None, None, reason)
    results = {name: _with_levels(result) for name, result in results.items()}
    names = _names(measure, given)
    tables = {name: _of_tiers(area_table(result, names)).dropna(subset=list(names)) for name, result in results.items()}
    ordered = []
    for table in tables.values():
        means = table.groupby("tier")[measure].mean()
        if absent := [tier for tier in TIERS if tier not in means]:
            return Finding(
                None, None, f"no area of {', '.join(absent)} has a significant voxel; needed: all three tiers"
            )
        ordered.append(bool(means["PVC"] < means["IVC"] < means["HVC"]))
    pooled = _of_tiers(pooled_table(list(tables.values()), names))
    pooled = pooled.dropna(subset=list(names))
    ranks = pooled["tier"].map(list(TIERS).index).to_numpy(float)
    if (least := smallest_p(ranks)) > LEVEL:
        return Finding(None, None, f"{len(pooled)} areas can have no p value below {least:.2f}")
    first = next(iter(results.values()))
    matched = pooled[given].to_numpy() if given else None
    trend = trend_test(pooled[measure], ranks, given=matched, covariances=smooth_null(first, pooled))
    if not np.isfinite(trend.rho):
        return Finding(False, None, "nothing is left of it over areas" if given else "it is the same in all areas")
    smooth = np.isfinite(trend.p_smooth)
    p = one_sided(trend.rho, trend.p_smooth if smooth else trend.p)
    how = "smooth maps" if smooth else "areas exchanged"
    words = f"{'partial ' if given else ''}rank correlation with the tier over {len(pooled)} areas {trend.rho:+.2f}, "
    words += f"p = {p:.2g} ({how})"
    if not given:
        table = list(tables.values())[ordered.index(False) if False in ordered else 0]
        means = table.groupby("tier")[measure].mean().sort_values()
        words += f"; tier means {' < '.join(means.index)}{_in_how_many([own == all(ordered) for own in ordered])}"
    return Finding(bool(trend.rho > 0 and p <= LEVEL and (given or all(ordered))), trend.rho, words)


def smallest_p(ranks: np.ndarray) -> float:
    """The smallest one-sided p of a permutation test of areas: one in the number of orders that differ."""
    counts = np.unique(ranks, return_counts=True)[1]
    return math.prod(math.factorial(count) for count in counts.tolist()) / math.factorial(len(ranks))


def one_sided(rho: float, p: float) -> float:
    """Of a two-sided p, that of a rise."""
    return p / 2 if rho > 0 else 1 - p / 2


def _names(measure: str, given: str | None) -> tuple[str, ...]:
    return (measure, given) if given else (measure,)


def _missing(results: Results, measure: str, given: str | None) -> str:
    for result in results.values():
        if "roi" not in result:
            return "the areas are not known"
        if given and given not in result:
            return "the noise ceiling is not known"
        if measure not in result or not np.isfinite(result[measure].values).any():
            return str(result.attrs.get("validated_reason", "it is not known"))
    return ""


def _matched(table: pd.DataFrame, measure: str, given: str | None) -> pd.Series:
    if not given:
        return table[measure].dropna()
    table = table[[measure, given]].dropna()
    design = np.column_stack([np.ones(len(table)), table[given] - table[given].mean()])
    # Areas that are predicted alike are matched as they are.
    hat = design @ np.linalg.pinv(design, rcond=1e-9)
    # From a line of the other areas: over one less its leverage.
    return (table[measure] - hat @ table[measure]) / (1 - np.diag(hat))


def _with_levels(result: xr.Dataset) -> xr.Dataset:
    """A result with the levels of its areas, by their names where it has none."""
    if "level" in result:
        return result
    return result.assign(level=("voxel", area_levels(result["roi"].values).astype(object)))


def _of_tiers(table: pd.DataFrame) -> pd.DataFrame:
    """A table of areas with their ``tier``; those without one are left out."""
    table = table.assign(tier=tiers(table["level"]))
    return table[table["tier"] != ""]


def _in_how_many(shown: list[bool]) -> str:
    return "" if len(shown) == 1 else f" in {sum(shown)} of {len(shown)} subjects"


def _with_voxel_test(verdict: Verdict, results: Results) -> Verdict:
    """A tested verdict, and beside it what the paper's test over voxels says, and says of tiers dealt out at random."""
    if verdict.verdict == UNTESTED:
        return verdict
    results = {name: _with_levels(result) for name, result in results.items()}
    tests, rates = [voxel_test(result) for result in results.values()], [exchanged_rate(r) for r in results.values()]
    called = [bool(max(test.loc["IVC", "PVC"], test.loc["HVC", "IVC"]) < LEVEL) for test in tests]
    rate, pair = (float(np.mean([one[name] for one in rates])) for name in ("order", "pair"))
    which = _in_how_many(called)
    said = f"calls PVC < IVC < HVC{which}" if which or all(called) else "does not call PVC < IVC < HVC"
    words = (
        f" The paper's one-sided test over voxels {said}; with tiers dealt out to the areas at random it calls such an "
        f"order in {rate:.1%} of draws, and one of its two steps in {pair:.0%} (right would be at most {LEVEL:.0%})."
    )
    return replace(verdict, reason=verdict.reason + words)
