"""The paper's claims on datasets of one or several subjects: studies of them in several ways, one verdict a claim."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from jne._core import VOXEL, in_units
from jne.accuracy import N_BOOTSTRAP
from jne.datasets import EncodingDataset
from jne.statistics import nothing_predicted, said_first
from jne.study.best_layer import BestLayerStudy
from jne.study.claims import CLAIMS, Evidence, Verdict, judge_all, untested
from jne.study.claims.evidence import Results
from jne.study.study import Study, run_study

ABOUT = ("recordings", "planted")


def replicate(
    datasets: Mapping[str, EncodingDataset],
    layer: str | None = None,
    *,
    seed: int = 0,
    n_seeds: int = 2,
    encoder_options: Mapping | None = None,
    n_bootstrap: int = N_BOOTSTRAP,
    max_memory: str = "2GB",
    progress: bool = False,
    folder: str | Path | None = None,
) -> list[dict]:
    """Judge every claim of the paper on datasets.

    Each dataset is studied (`jne.run_study`) with ``n_seeds`` fits from ``seed`` on, once more with as many other
    seeds, and, where it has several layers, with each voxel's best one. A subject of whom nothing is predicted (fewer
    than a tenth of the voxels significant, or a median R² below zero) has no part in the claims, and if there is no
    other, none can be tested. How each claim is judged: `jne replicate --help`, and the modules of `jne.study.claims`.

    Parameters
    ----------
    datasets : mapping of str to EncodingDataset
        Subject -> dataset: recordings, or synthetic ones, not both.
    layer, seed, n_seeds, encoder_options, n_bootstrap, max_memory, progress, folder
        As in `jne.run_study`.

    Returns
    -------
    list of dict
        One a claim, in the order of the paper: ``id``; ``claim``, in words; ``verdict``, "holds", "holds only if",
        "does not hold" or "cannot be tested"; ``value``, the number it rests on, or None; ``reason``, in words;
        ``about``, "recordings" or "planted"; and, the same in all, ``first``, sentences that stand before any verdict,
        where nothing is predicted of a subject, or no more than by the linear encoder.

    Raises
    ------
    ValueError
        If there is no dataset, or recordings and synthetic ones are mixed.
    """
    if not datasets:
        raise ValueError("datasets is empty; give at least one")
    if len({data.synthetic for data in datasets.values()}) > 1:
        kinds = ", ".join(f"{name} {'synthetic' if data.synthetic else 'recorded'}" for name, data in datasets.items())
        raise ValueError(f"datasets are recorded and synthetic ({kinds}); give either, one verdict is of one kind")
    settings = {"encoder_options": encoder_options, "n_bootstrap": n_bootstrap, "n_seeds": n_seeds, "folder": folder}
    memory = {"max_memory": max_memory, "progress": progress}
    settings |= memory
    studies = {name: run_study(data, layer, seed=seed, **settings) for name, data in datasets.items()}
    kept = {name: study.data for name, study in studies.items() if not nothing_predicted(study.result)}
    best: Results | str
    if any(isinstance(study, BestLayerStudy) for study in studies.values()):
        best = "that is how all was studied"
    elif any(len(data.layers) < 2 for data in kept.values()):
        best = "there is one layer"
    else:
        best = {name: run_study(data, "best", seed=seed, **settings).result for name, data in kept.items()}
    other = {name: run_study(data, layer, seed=seed + n_seeds, **settings).result for name, data in kept.items()}
    return judge_studies(studies, other_seeds=other, best_layer=best, **memory)


def judge_studies(
    studies: Mapping[str, Study],
    *,
    other_seeds: Results | str = "it was not asked for",
    best_layer: Results | str = "it was not asked for",
    variants: Results | None = None,
    max_memory: str = "2GB",
    progress: bool = False,
) -> list[dict]:
    """Judge every claim of the paper on studies that are there; `replicate` makes all that it can use.

    Parameters
    ----------
    studies : mapping of str to Study
        Subject -> study: all of recordings, or all of synthetic responses.
    other_seeds, best_layer : mapping of str to xarray.Dataset, or str
        Results of the same subjects, or of some of them, with encoders of other seeds and with each voxel's best layer;
        or why there are none, in words.
    variants : mapping of str to xarray.Dataset, optional
        Of `Study.variants`, of some of the subjects; by default they are measured for all.
    max_memory, progress
        Of that measurement.

    Returns
    -------
    list of dict
        As of `replicate`.

    Raises
    ------
    ValueError
        If there is no study.
    """
    if not studies:
        raise ValueError("studies is empty; give at least one")
    about = ABOUT[next(iter(studies.values())).data.synthetic]
    reasons = {name: nothing_predicted(study.result) for name, study in studies.items()}
    kept = {name: study for name, study in studies.items() if not reasons[name]}
    if not kept:
        verdicts = [untested(name, "; ".join(dict.fromkeys(reasons.values()))) for name in CLAIMS]
    else:
        measured = {name: one for name, one in (variants or {}).items() if name in kept}
        if not measured:
            memory = {"max_memory": max_memory, "progress": progress}
            measured = {name: study.variants(**memory) for name, study in kept.items()}
        layers = dict.fromkeys(str(study.result.attrs["layer"]) for study in kept.values())
        base, other = {name: study.result for name, study in kept.items()}, _predicted(other_seeds, kept, "with them")
        evidence = Evidence(
            base=base,
            seed=other,
            best=_predicted(best_layer, kept, "with it"),
            variants=measured,
            layer=", ".join(layers),
            seeds=_seeds(base),
            other_seeds="other than these" if isinstance(other_seeds, str) else _seeds(other_seeds),
        )
        verdicts = judge_all(evidence)
    left_out = [f"{name} is left out, as {reason}." for name, reason in reasons.items() if reason and kept]
    told = {name: said_first(study.result) for name, study in (kept or studies).items()}
    whose = "{name}: {text}" if len(studies) > 1 else "{text}"
    first = [*left_out, *(whose.format(name=name, text=text) for name, texts in told.items() for text in texts)]
    units = {str(study.data.attrs.get("unit", VOXEL)) for study in studies.values()}
    unit = units.pop() if len(units) == 1 else VOXEL
    return [_entry(verdict, about, first, unit) for verdict in verdicts]


def _predicted(results: Results | str, kept: Mapping[str, Study], way: str) -> Results | str:
    """Another way to study the same subjects, if with it something is predicted of all of them."""
    if isinstance(results, str):
        return results
    found = {name: result for name, result in results.items() if name in kept}
    reasons = [reason for result in found.values() if (reason := nothing_predicted(result))]
    return f"{way}, {reasons[0]}" if reasons else found or "it was not asked for"


def _seeds(results: Results) -> str:
    attributes = next(iter(results.values())).attrs
    return _numbers(int(attributes["seed"]), int(attributes.get("n_seeds", 1)))


def _numbers(first: int, n: int) -> str:
    return str(first) if n == 1 else f"{first} to {first + n - 1}"


def _entry(verdict: Verdict, about: str, first: Sequence[str], unit: str) -> dict:
    value = verdict.value if verdict.value is not None and np.isfinite(verdict.value) else None
    return {
        "id": verdict.id,
        "claim": CLAIMS[verdict.id],
        "verdict": verdict.verdict,
        "value": None if value is None else float(value),
        "reason": in_units(verdict.reason, unit),
        "about": about,
        **({"first": [in_units(sentence, unit) for sentence in first]} if first else {}),
    }
