"""Claims about the measure itself: its variants (Table 4 of the paper) and the noise ceiling (appendix A.8)."""

from __future__ import annotations

import numpy as np

from jne.measures import VARIANTS
from jne.statistics import predicted_voxels, spearman, variant_correlations
from jne.study.claims.evidence import Evidence
from jne.study.claims.verdicts import DOES_NOT, HOLDS, ONLY_IF, Verdict, sentence, untested

SAME = 0.9
"""Pearson correlation over significant voxels from which two maps are the same: the paper's lowest is .90."""
FOLLOWS = 0.3
"""Rank correlation over significant voxels from which, either way, JNE is said to follow the noise ceiling."""
_Z = ("jne_z_l1", "jne_z_l2")
_SCALED = ("jne_scaled_l1", "jne_scaled_l2")


def measure_claims(evidence: Evidence) -> list[Verdict]:
    """Verdicts on ``l2`` and ``z-scored`` (values: the lowest r of pairs and subjects) and ``not-noise-ceiling`` (the
    rank correlation of the subject in which it is furthest from zero)."""
    tables = [variant_correlations(one) for one in evidence.variants.values()]
    l2 = min(table.loc["jne", "jne_l2"] for table in tables)
    literal = min(_lowest(table, tuple(VARIANTS), _Z) for table in tables)
    scaled = min(_lowest(table, ("jne", "jne_l2", *_SCALED), _SCALED) for table in tables)
    return [_same(l2), _z_scored(literal, scaled), _ceiling(evidence)]


def _lowest(table, names: tuple[str, ...], of: tuple[str, ...]) -> float:
    """The lowest correlation of pairs with one of these; NaN where any is unknown."""
    values = [table.loc[a, b] for a in of for b in names if a != b]
    return float(np.min(values)) if np.isfinite(values).all() else float("nan")


def _same(r: float) -> Verdict:
    if not np.isfinite(r):
        return untested("l2", "too few significant voxels for a correlation")
    return Verdict(
        "l2", HOLDS if r >= SAME else DOES_NOT, float(r), sentence(f"Pearson r = {r:.3f} over significant voxels")
    )


def _z_scored(literal: float, scaled: float) -> Verdict:
    if not np.isfinite(literal):
        return untested("z-scored", "too few significant voxels in which all variants are defined")
    words = f"lowest r of a pair {literal:.2f} with each Jacobian z-scored over its features; {scaled:.2f} with "
    words += "z-scores over stimuli and features together"
    if literal >= SAME:
        return Verdict("z-scored", HOLDS, literal, sentence(words))
    if scaled >= SAME:
        only = "only if the z-scores are over stimuli and features together, not over the features of each Jacobian"
        return Verdict("z-scored", ONLY_IF, literal, sentence(f"{only}: {words}"))
    return Verdict("z-scored", DOES_NOT, literal, sentence(words))


def _ceiling(evidence: Evidence) -> Verdict:
    name = "not-noise-ceiling"
    if not all("noise_ceiling" in result for result in evidence.base.values()):
        return untested(name, "the noise ceiling is not known; repeats of some stimuli would give it")
    rhos = []
    for result in evidence.base.values():
        kept = predicted_voxels(result)
        rhos.append(spearman(result["noise_ceiling"].values[kept], result["jne"].values[kept]))
    if not np.isfinite(rhos).all():
        return untested(name, "too few significant voxels, or a noise ceiling that does not vary")
    rho = float(max(rhos, key=abs))
    words = f"rank correlation {rho:+.2f} over significant voxels"
    words += ", of the subject in which it is furthest from 0" if len(rhos) > 1 else ""
    words += f"; from {FOLLOWS} on, either way, it is said to follow"
    return Verdict(name, HOLDS if abs(rho) < FOLLOWS else DOES_NOT, rho, sentence(words))
