"""Claims about how well the encoders predict (Figures 4 and 5 of the paper)."""

from __future__ import annotations

import numpy as np
import xarray as xr

from jne.measures import REGISTRY
from jne.statistics import LEAST_VOXELS, WHOLE, encoder_correlations
from jne.study.claims.evidence import Evidence, Results, known_areas, which_areas
from jne.study.claims.verdicts import DOES_NOT, HOLDS, ONLY_IF, Finding, Verdict, judge, sentence, untested

ALIKE = 0.82
"""Pearson correlation over voxels from which the encoders' R² are called alike: the lowest that the paper has."""
EXPLAINED = 0.74
"""Share of the explainable variance up to which the paper predicts."""
TOP = 0.99
"""What "up to" means: the quantile over significant voxels."""


def accuracy_claims(evidence: Evidence) -> list[Verdict]:
    """Verdicts on ``r2-alike`` (value: r over all voxels), ``r2-lowest-in-v1`` (r in V1) and ``explained``.

    Of several subjects the value is the lowest; that of ``explained`` is the highest. R² is over all voxels.
    """
    return [_alike(evidence.base), judge("r2-lowest-in-v1", evidence, _lowest_in_v1), _explained(evidence.base)]


def correlations(results: Results) -> dict[str, float]:
    """Pearson r of the two R² over all voxels, and in each of the paper's areas: the lowest of the subjects."""
    rows = [encoder_correlations(result) for result in results.values()]
    known = (WHOLE, *known_areas(results))
    return {name: min(row[name] for row in rows) for name in known if all(name in row for row in rows)}


def _alike(results: Results) -> Verdict:
    found = correlations(results)
    whole = found.pop(WHOLE)
    if not np.isfinite(whole):
        return untested("r2-alike", "too few voxels for a correlation")
    low = {area: r for area, r in found.items() if not r >= ALIKE}
    medians = [np.median([float(one[name].median()) for one in results.values()]) for name in ("r2", "r2_linear")]
    words = (
        f"Pearson r = {whole:.2f} over all voxels; median R² {medians[0]:.3f} (nonlinear) and {medians[1]:.3f} (linear)"
    )
    if found:
        lowest = min(found, key=found.get)
        words += f"; of {len(found)} areas lowest in {lowest} (r = {found[lowest]:.2f})"
    else:
        words += f"; no area of the paper's has {LEAST_VOXELS} voxels here"
    if whole < ALIKE:
        return Verdict("r2-alike", DOES_NOT, whole, sentence(f"{words}; needed: {ALIKE}"))
    if low:
        listed = ", ".join(f"{area} {r:.2f}" for area, r in low.items())
        only = f"only if all areas are taken together: {words}. Below {ALIKE}: {listed}"
        return Verdict("r2-alike", ONLY_IF, whole, sentence(only))
    return Verdict("r2-alike", HOLDS, whole, sentence(words))


def _lowest_in_v1(results: Results, measure: str, given: str | None) -> Finding:
    if measure != "jne" or given:
        return Finding(None, None, "it is about R², not JNE")
    if not all("r2_linear" in result for result in results.values()):
        return Finding(None, None, "there is no linear encoder")
    found = correlations(results)
    del found[WHOLE]
    found = {area: r for area, r in found.items() if np.isfinite(r)}
    if "V1" not in found or len(found) < 3:
        which = ", ".join(found) or "none"
        return Finding(
            None, None, f"needed: V1 and two more areas of at least {LEAST_VOXELS} voxels; there are {which}"
        )
    others = {area: r for area, r in found.items() if area != "V1"}
    lowest = min(others, key=others.get)
    words = f"Pearson r = {found['V1']:.2f} in V1, and in the others at least {others[lowest]:.2f} ({lowest})"
    return Finding(found["V1"] < others[lowest], found["V1"], f"{words}; {which_areas(list(found))}")


def _explained(results: Results) -> Verdict:
    if not all("explained" in result for result in results.values()):
        return untested("explained", "the noise ceiling is not known; repeats of some stimuli would give it")
    tops, whole = [], []
    for result in results.values():
        kept = result["significant"].values & np.isfinite(result["explained"].values)
        if not kept.any():
            return untested("explained", "no significant voxel has a noise ceiling above zero")
        tops.append(float(np.quantile(result["explained"].values[kept], TOP)))
        whole.append(_ratio(result))
    words = (
        f"{TOP:.0%} of the significant voxels reach at most {max(tops):.0%} of the explainable variance; all voxels "
        f"together have {np.mean(whole):.0%} of it"
    )
    words += "; more than all of it is error of the noise ceiling" if max(tops) > 1 else ""
    return Verdict("explained", HOLDS if max(tops) >= EXPLAINED else DOES_NOT, max(tops), sentence(words))


def _ratio(result: xr.Dataset) -> float:
    above, below = (result[name].values for name in REGISTRY["explained"].terms)
    known = np.isfinite(above) & (below > 0)
    return float(above[known].sum() / below[known].sum())
