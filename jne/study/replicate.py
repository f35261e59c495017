"""The paper's claims on datasets of one or several subjects: studies of them in several ways, one verdict a claim."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from jne.accuracy import N_BOOTSTRAP
from jne.cortex import PAPER_AREAS, paper_areas
from jne.datasets import EncodingDataset
from jne.study.best_layer import BestLayerStudy
from jne.study.claims import CLAIMS, VERDICTS, Evidence, Verdict, judge_all, nothing_predicted, untested
from jne.study.claims.evidence import Results, known_areas
from jne.study.study import Study, run_study

ABOUT = ("recordings", "planted")
_PLANTED = dict(zip(VERDICTS, ("recovered", "recovered only if", "not recovered", "cannot be tested"), strict=True))


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
        ``about``, "recordings" or "planted".

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
    settings |= {"max_memory": max_memory, "progress": progress}
    about = ABOUT[next(iter(datasets.values())).synthetic]
    studies = {name: run_study(data, layer, seed=seed, **settings) for name, data in datasets.items()}
    reasons = {name: nothing_predicted(study.result) for name, study in studies.items()}
    kept = {name: study for name, study in studies.items() if not reasons[name]}
    if not kept:
        verdicts = [untested(name, "; ".join(dict.fromkeys(reasons.values()))) for name in CLAIMS]
    else:
        verdicts = judge_all(_evidence(kept, layer, seed, settings))
    left_out = [f"{name} is left out: {reason}" for name, reason in reasons.items() if reason and kept]
    return [_entry(verdict, about, left_out) for verdict in verdicts]


def _evidence(studies: Mapping[str, Study], layer: str | None, seed: int, settings: Mapping) -> Evidence:
    """The other ways to study the same subjects."""
    n_seeds, memory = settings["n_seeds"], {"max_memory": settings["max_memory"], "progress": settings["progress"]}

    def again(way: str, run: Callable[[EncodingDataset], Study]) -> Results | str:
        found = {name: run(study.data).result for name, study in studies.items()}
        reasons = [reason for result in found.values() if (reason := nothing_predicted(result))]
        return f"{way}, {reasons[0]}" if reasons else found

    best: Results | str
    if any(isinstance(study, BestLayerStudy) for study in studies.values()):
        best = "that is how all was studied"
    elif any(len(study.data.layers) < 2 for study in studies.values()):
        best = "there is one layer"
    else:
        best = again("with it", lambda data: run_study(data, "best", seed=seed, **settings))
    other = again("with them", lambda data: run_study(data, layer, seed=seed + n_seeds, **settings))
    layers = dict.fromkeys(str(study.result.attrs["layer"]) for study in studies.values())
    return Evidence(
        base={name: study.result for name, study in studies.items()},
        seed=other,
        best=best,
        variants={name: study.variants(**memory) for name, study in studies.items()},
        layer=", ".join(layers),
        seeds=_numbers(seed, n_seeds),
        other_seeds=_numbers(seed + n_seeds, n_seeds),
    )


def _numbers(first: int, n: int) -> str:
    return str(first) if n == 1 else f"{first} to {first + n - 1}"


def _entry(verdict: Verdict, about: str, left_out: Sequence[str]) -> dict:
    value = verdict.value if verdict.value is not None and np.isfinite(verdict.value) else None
    return {
        "id": verdict.id,
        "claim": CLAIMS[verdict.id],
        "verdict": verdict.verdict,
        "value": None if value is None else float(value),
        "reason": " ".join([verdict.reason, *(f"{sentence}." for sentence in left_out)]),
        "about": about,
    }


def areas_text(datasets: Mapping[str, EncodingDataset]) -> str:
    """Which of the paper's areas the datasets have, and what stands for them: a sentence."""
    results = {name: data.content for name, data in datasets.items()}
    known = known_areas(results)
    if not known:
        return f"None of the paper's {len(PAPER_AREAS)} areas is here by its name."
    first = next(iter(results.values()))["roi"].values.astype(str)
    return f"{len(known)} of the paper's {len(PAPER_AREAS)} areas: {', '.join(_said(area, first) for area in known)}."


def _said(area: str, roi: np.ndarray) -> str:
    names = np.unique(roi[paper_areas(roi) == area]).tolist()
    return area if names == [area] else f"{area} ({', '.join(names)})"


def replicate_text(verdicts: Sequence[Mapping], width: int = 100) -> str:
    """Verdicts as lines of at most ``width`` characters, for a terminal; of planted responses, what was recovered."""
    lines = []
    for verdict in verdicts:
        planted = verdict["about"] == "planted"
        word = _PLANTED[verdict["verdict"]] if planted else verdict["verdict"]
        number = "" if verdict["value"] is None else f"  [{verdict['value']:.3g}]"
        lines += textwrap.wrap(f"{word.upper():<18}{verdict['claim']}{number}", width, subsequent_indent=" " * 18)
        lines += [*textwrap.wrap(verdict["reason"], width, initial_indent="  ", subsequent_indent="  "), ""]
    if verdicts and verdicts[0]["about"] == "planted":
        note = "The responses are synthetic: a verdict says what of the planted was found, and nothing about a brain."
        lines += textwrap.wrap(note, width)
    counts = [(_PLANTED[word] if verdicts and verdicts[0]["about"] == "planted" else word,
               sum(verdict["verdict"] == word for verdict in verdicts)) for word in VERDICTS]  # fmt: skip
    return "\n".join([*lines, f"{len(verdicts)} claims: " + ", ".join(f"{word} {n}" for word, n in counts) + "."])
