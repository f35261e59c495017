"""The claims, the verdicts, and the one rule by which claims about areas are judged."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from jne._core import capital
from jne.study.claims.evidence import Evidence, Results

HOLDS, ONLY_IF, DOES_NOT, UNTESTED = VERDICTS = ("holds", "holds only if", "does not hold", "cannot be tested")

CLAIMS = {
    "r2-alike": "R² of the linear and the nonlinear encoder are alike: they correlate over voxels, in every area",
    "r2-lowest-in-v1": "The two R² correlate least in V1",
    "explained": "The nonlinear encoder predicts up to 74 % of the explainable variance",
    "v1-lowest": "JNE is lowest in V1",
    "tiers": "JNE rises from primary over intermediate to higher visual cortex (PVC < IVC < HVC)",
    "eba-highest": "JNE is highest in EBA",
    "people": "FFA and EBA are most nonlinear for people and faces",
    "outdoor-scenes": "PPA and RSC are most nonlinear for outdoor scenes",
    "l2": "JNE with the L2 norm has the same map (r at least .90)",
    "z-scored": "So have the variants of z-scored Jacobians (all pairs, r at least .90)",
    "not-noise-ceiling": "JNE does not follow the noise ceiling",
}
"""Id -> claim of the paper, in the order of its figures."""


@dataclass(frozen=True)
class Verdict:
    """One of `VERDICTS` on one of `CLAIMS`.

    Attributes
    ----------
    id : str
    verdict : str
    value : float or None
        The number it rests on; the claim's module says which.
    reason : str
    """

    id: str
    verdict: str
    value: float | None
    reason: str


@dataclass(frozen=True)
class Finding:
    """What one way to look at a claim shows: whether it does (None: cannot be said), its number, and words."""

    shown: bool | None
    value: float | None
    words: str


Shown = Callable[[Results, str, str | None], Finding]
"""``shown(results, measure, given)``: whether these results show a claim with a measure, among areas alike in given."""


def untested(name: str, reason: str) -> Verdict:
    return Verdict(name, UNTESTED, None, sentence(reason))


def judge(name: str, evidence: Evidence, shown: Shown) -> Verdict:
    """The verdict on a claim about areas.

    It *does not hold* where JNE of the study does not show it. It *holds* where JNE shows it and it survives whatever
    can be tried of: each voxel's best layer; areas matched on R² / noise ceiling; encoders of other seeds; the share
    that the responses confirm in place of JNE. Where it does not survive one, it *holds only if* that is left out.
    """
    found = shown(evidence.base, "jne", None)
    if found.shown is None:
        return untested(name, found.words)
    trials = {
        f"each voxel's best layer{_whose(evidence.best, evidence)}": (
            _of(evidence.best, shown),
            f"all voxels have the layer {evidence.layer}, not each its best one",
        ),
        "areas matched on R² / noise ceiling": (
            shown(evidence.base, "jne", "explained"),
            "areas that are predicted unequally well are compared as they are, not matched on R² / noise ceiling",
        ),
        f"seeds {evidence.other_seeds}{_whose(evidence.seed, evidence)}": (
            _of(evidence.seed, shown),
            f"the encoders have the seeds {evidence.seeds}, not {evidence.other_seeds}",
        ),
        "the validated share": (
            shown(evidence.base, "validated_share", None),
            "JNE is taken, not the share of the prediction that the responses confirm as nonlinear",
        ),
    }
    survived = [how for how, (trial, _) in trials.items() if trial.shown]
    failed = {how: condition for how, (trial, condition) in trials.items() if trial.shown is False}
    skipped = [f"{how} ({trial.words})" for how, (trial, _) in trials.items() if trial.shown is None]
    words = [found.words]
    if found.shown and failed:
        words.insert(0, "only if " + ", and if ".join(failed.values()))
        words += [f"with {how}: {trials[how][0].words}" for how in failed]
    if survived:
        words.append(("it survives: " if found.shown else "shown, though, with: ") + ", ".join(survived))
    if skipped:
        words.append("not tried: " + "; ".join(skipped))
    words += planted(evidence, shown)
    verdict = DOES_NOT if not found.shown else ONLY_IF if failed else HOLDS
    return Verdict(name, verdict, found.value, sentence(". ".join(sentence(word).rstrip(".") for word in words)))


def _of(results: Results | str, shown: Shown) -> Finding:
    return Finding(None, None, results) if isinstance(results, str) else shown(results, "jne", None)


def _whose(results: Results | str, evidence: Evidence) -> str:
    """Which subjects, where not all of them were studied in another way."""
    some = not isinstance(results, str) and len(results) < len(evidence.base)
    return f" ({', '.join(results)})" if some else ""


def planted(evidence: Evidence, shown: Shown) -> list[str]:
    """Whether the planted share shows a claim, in words; nothing of recordings."""
    if not all("true_nonlinearity" in result for result in evidence.base.values()):
        return []
    truth = shown(evidence.base, "true_nonlinearity", None)
    if truth.shown is None:
        return []
    return [f"the planted share {'shows' if truth.shown else 'does not show'} it ({truth.words})"]


def sentence(text: str) -> str:
    return capital(text).rstrip(".") + "."
