"""Verdicts on the paper's claims as a reader meets them: in words, and as lines for a terminal."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Mapping, Sequence

import numpy as np

from jne.cortex import PAPER_AREAS, paper_areas
from jne.datasets import EncodingDataset
from jne.study.claims import ONLY_IF, VERDICTS
from jne.study.claims.evidence import known_areas

_PLANTED = dict(zip(VERDICTS, ("recovered", "recovered only if", "not recovered", "cannot be tested"), strict=True))


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
    """Verdicts as lines of at most ``width`` characters, for a terminal; of planted responses, what was recovered.

    What must be known before them is told once, first.
    """
    first = verdicts[0].get("first", []) if verdicts else []
    lines = [line for sentence in first for line in textwrap.wrap(sentence, width)]
    lines += [""] if first else []
    for verdict in verdicts:
        number = "" if verdict["value"] is None else f"  [{verdict['value']:.3g}]"
        lines += textwrap.wrap(
            f"{_word(verdict).upper():<18}{verdict['claim']}{number}", width, subsequent_indent=" " * 18
        )
        lines += [*textwrap.wrap(verdict["reason"], width, initial_indent="  ", subsequent_indent="  "), ""]
    if verdicts and verdicts[0]["about"] == "planted":
        note = "The responses are synthetic: a verdict says what of the planted was found, and nothing about a brain."
        lines += textwrap.wrap(note, width)
    about = verdicts[0]["about"] if verdicts else ""
    counts = [(_word({"verdict": word, "about": about}), sum(verdict["verdict"] == word for verdict in verdicts))
              for word in VERDICTS]  # fmt: skip
    return "\n".join([*lines, f"{len(verdicts)} claims: " + ", ".join(f"{word} {n}" for word, n in counts) + "."])


def spoken_verdict(verdict: Mapping) -> str:
    """A verdict in words, without its reason but with its condition: "holds only if all areas are taken together".

    Of planted responses it says what was recovered.
    """
    if verdict["verdict"] != ONLY_IF:
        return _word(verdict)
    condition = re.split(r"[.:](?: |$)", verdict["reason"].removeprefix("Only if "))[0]
    return f"{_word(verdict)} {condition}"


def _word(verdict: Mapping) -> str:
    return _PLANTED[verdict["verdict"]] if verdict["about"] == "planted" else verdict["verdict"]
