"""How many stimuli, how long, how much memory: what the benchmarks measured, as tables for the page that answers it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from jne._core import as_written

_FAR = 0.05
"""Median error of the validated share that counts as near enough."""


def stimuli_table(validated: Mapping) -> str:
    """What is recovered of planted shares with so many stimuli, by one fit: a Markdown table.

    Parameters
    ----------
    validated : mapping
        Content of ``benchmarks/results/validated.json``; so in `stimuli_text`.
    """
    head = (
        "features",
        "training stimuli",
        "predicted of what can be",
        "JNE",
        "nonlinear share",
        "validated share",
        "its error",
    )
    rows = []
    for size, fit in _recoveries(validated):
        rho = [f"{fit[name]['with_share']:.2f}" for name in ("jne", "nonlinear_share", "validated_share")]
        numbers = f"{size['n_features']}", f"{size['n_train']:,}", f"{fit['explained']:.0%}"
        rows.append((*numbers, *rho, f"{fit['validated_share']['bias']:+.2f}"))
    return markdown_table(head, rows)


def stimuli_text(validated: Mapping) -> str:
    """From how many training stimuli on the validated share is near the truth, by number of features; and its test."""
    enough: dict[int, str] = {}
    for size, fit in _recoveries(validated):
        if abs(fit["validated_share"]["bias"]) <= _FAR:
            enough.setdefault(size["n_features"], f"{size['n_train']:,} of {size['n_features']} features")
    power = [[part[fits]["power"] for name, part in validated["sections"].items() if name.startswith("power")]
             for fits in ("1 fits", "3 fits")]  # fmt: skip
    one, three = (sum(found) / len(found) for found in power)
    return (
        f"In the median over voxels the validated share was within {_FAR} of the truth from these training stimuli on, "
        f"of the numbers that were tried: {'; '.join(enough.values())}. Its test (`benchmarks/validated.py`) "
        "found a planted share of 0.15, at a noise ceiling of 0.3 and with 3,000 training stimuli of 48 features, in "
        f"{one:.0%} of voxels with one fit and in {three:.0%} with the mean of three"
    )


def time_table(engine: Mapping, card: Mapping, features: Mapping) -> str:
    """How long the parts of an analysis take, on which machine: a Markdown table.

    Parameters
    ----------
    engine, card, features : mapping
        Contents of ``engine.json``, ``gpu.json`` and ``features.json`` in ``benchmarks/results``.
    """
    return markdown_table(("what", "where", "how long"), [*_on_processor(engine, features), *_on_card(card)])


def memory_table(engine: Mapping, card: Mapping, nsd: Mapping) -> str:
    """Peak memory of the parts of an analysis: a Markdown table.

    Parameters
    ----------
    engine, card, nsd : mapping
        Contents of ``engine.json``, ``gpu.json`` and ``nsd_memory.json`` in ``benchmarks/results``.
    """
    rows = []
    for name in ("memory, V=15000", "whole brain"):
        part = engine["sections"][name]
        rows.append((f"measures, {_case(part['case'])}, on processor cores", part["methods"]["plain"]["peak_bytes"]))
    brain, fit = card["sections"]["brain, float32"], card["sections"]["fits"]["full batch, float32"]
    rows.append((f"measures, {_case(brain['case'])}, on a card", brain["plain"]["peak_bytes"]))
    what = f"a fit, full batch, {fit['case']['n']:,} stimuli, {fit['case']['V']:,} voxels, on a card"
    rows.append((what, fit["peak_bytes"]))
    stimuli, voxels = card["sections"]["subject"]["n_test"], card["sections"]["subject"]["case"]["V"]
    rows.append((f"JNE-SS, kept: 4 bytes a stimulus and voxel, {stimuli:,} x {voxels:,}", 4 * stimuli * voxels))
    peak = max(part["MB_peak"] - part["MB_before"] for part in nsd["fsaverage"].values())
    rows.append(("`jne prepare nsd --space fsaverage`, whatever the number of sessions", 1e6 * peak))
    whole = engine["paper"]
    rows.append((f"the Jacobian kept, {_case(whole['case'])}", whole["jacobian_bytes"]))
    return markdown_table(("what", "GB"), [(what, f"{count / 1e9:.2f}") for what, count in rows])


def _recoveries(validated: Mapping) -> list[tuple[Mapping, Mapping]]:
    """Sizes and what one fit recovers there, by features and stimuli."""
    parts = [part for name, part in validated["sections"].items() if name.startswith("recovery")]
    found = [(part["size"], part["1 fits"]) for part in parts]
    return sorted(found, key=lambda one: (one[0]["n_features"], one[0]["n_train"]))


def _on_processor(engine: Mapping, features: Mapping) -> Iterable[Sequence[str]]:
    where = f"{engine['machine']['cores']} cores of {as_written(engine['machine']['cpu'])}"
    line, whole = engine["sections"]["line, N"], engine["sections"]["whole brain"]
    voxels, target = engine["settings"]["sizes"]["lines"]["N_at"]["V"], engine["paper"]["case"]
    second, seconds = line["fit_seconds"]["plain"]["slope"], whole["methods"]["plain"]["wall"]
    scaled = second * target["N"] * target["V"] / voxels
    yield f"measures, {_case(target)}; scaled from {voxels:,} voxels", where, _duration(scaled)
    yield f"measures, {_case(whole['case'])}", where, _duration(seconds)
    rate, where = features["images_per_second"]["call"], f"{features['machine']['cores']} cores"
    yield "features of 73,000 pictures, EfficientNet-Lite0", where, _duration(73_000 / rate)


def _on_card(card: Mapping) -> Iterable[Sequence[str]]:
    where = f"one {as_written(card['settings']['device'])}"
    subject, brain = card["sections"]["subject"], card["sections"]["brain, float32"]
    case = subject["case"]
    what = f"a whole study: both encoders ({case['n']:,} stimuli), R² and measures ({subject['n_test']:,}), "
    yield f"{what}{case['V']:,} voxels", where, _duration(60 * subject["minutes_of_a_study"])
    yield "one cross-fitted split of it more", where, _duration(subject["seconds"]["one cross-fitted split"])
    yield f"measures, {_case(brain['case'])}", where, _duration(brain["plain"]["seconds"])
    minutes = card["sections"]["features"]["minutes_of_73000_images"]
    yield "features of 73,000 pictures, EfficientNet-Lite0, from memory", where, _duration(60 * minutes)


def _case(case: Mapping[str, int]) -> str:
    return f"{case['N']:,} stimuli, {case['V']:,} voxels"


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} seconds" if seconds < 120 else f"{seconds / 60:.0f} minutes"


def markdown_table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """The first column left, the others right."""
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
