"""What is in a dataset file, as numbers for a program and as lines for a person."""

from __future__ import annotations

import textwrap

import numpy as np

from jne._core import VOXEL, plain, plural
from jne.datasets.dataset import EncodingDataset
from jne.datasets.validate import SPLITS

_KNOWN_ATTRIBUTES = ("licence", "source", "feature_model", "subject", "seed")
_FEW, _SHOWN = 40, 5
"""So many categories are all listed; of more, so many."""


def describe(data: EncodingDataset) -> dict:
    """Summarise a dataset.

    Returns
    -------
    dict
        JSON-able: ``name``, ``file``, ``sha256``, ``synthetic``, ``n_stimuli``, ``n_further`` (stimuli without
        responses), ``n_voxels``, ``splits`` (or ``n_folds``), ``layers`` (name -> number of features),
        ``default_layer``, ``areas`` (name -> voxels), ``hemispheres``, ``categories``, ``noise_ceiling`` (quartiles),
        ``unit`` (what responses are of), ``n_repeats``, ``mesh``, ``n_dropped_voxels`` and what the file says of its
        origin. What the file does not have is None.
    """
    ceiling, repeats, vertex = (
        data.get("noise_ceiling"),
        data.content.get("responses_repeats"),
        data.content.get("vertex"),
    )
    with_split = "split" in data.content
    return {
        "name": data.name,
        "file": str(data.path) if data.path else None,
        "sha256": data.hash,
        "synthetic": data.synthetic,
        "n_stimuli": data.n_stimuli,
        "n_further": data.n_further,
        "n_voxels": data.n_voxels,
        "splits": {split: len(data.stimuli(split)) for split in SPLITS} if with_split else None,
        "n_folds": None if data.folds is None else len(np.unique(data.folds)),
        "layers": {name: data.content.sizes[f"feature_{name}"] for name in data.layers},
        "default_layer": data.default_layer,
        "areas": _counts(data.get("roi")),
        "hemispheres": _counts(data.get("hemisphere")),
        "categories": _counts(data.get("category")),
        "noise_ceiling": None if ceiling is None else _quartiles(ceiling),
        "n_repeats": None if repeats is None else repeats.shape[1],
        "mesh": None if vertex is None else vertex.attrs.get("mesh"),
        "n_dropped_voxels": int(data.attrs.get("n_dropped_voxels", 0)),
        **{name: plain(data.attrs.get(name)) for name in _KNOWN_ATTRIBUTES},
        "unit": data.attrs.get("unit", VOXEL),
    }


def describe_text(data: EncodingDataset, width: int = 79) -> str:
    """`describe` as lines for a person, of at most ``width`` characters where words allow."""
    facts = describe(data)
    kind = "synthetic" if facts["synthetic"] else "recorded"
    if facts["splits"]:
        stimuli = ", ".join(f"{count} {split}" for split, count in facts["splits"].items())
    else:
        stimuli = f"{facts['n_folds']} folds"
    repeats = f"; test stimuli up to {facts['n_repeats']} times" if facts["n_repeats"] else ""
    layers = ", ".join(f"{name} ({count})" for name, count in facts["layers"].items())
    default = facts["default_layer"] or "all side by side"
    dropped = f" ({facts['n_dropped_voxels']} dropped as bad)" if facts["n_dropped_voxels"] else ""
    further = f"; {facts['n_further']} more without responses" if facts["n_further"] else ""
    lines = {
        "dataset": f"{facts['name']} ({kind} responses)",
        "stimuli": f"{facts['n_stimuli']} ({stimuli}){repeats}{further}",
        plural(facts["unit"]): f"{facts['n_voxels']}{dropped}{_listed(facts['hemispheres'])}",
        "features": f"{layers}; used by default: {default}",
        "areas": _listed(facts["areas"]) or "not known",
        "categories": _listed(facts["categories"], _FEW) or "not known",
        "ceiling": _ceiling_text(facts["noise_ceiling"]),
        "places": facts["mesh"] or _volume(data) or "not known",
        "licence": facts["licence"] or "not stated",
        "source": facts["source"] or "not stated",
        "sha256": facts["sha256"],
    }
    indent = max(12, *(len(name) + 2 for name in lines))
    wrapper = textwrap.TextWrapper(
        width, subsequent_indent=" " * indent, break_long_words=False, break_on_hyphens=False
    )
    return "\n".join(wrapper.fill(f"{name:<{indent}}{text.strip()}") for name, text in lines.items())


def _volume(data: EncodingDataset) -> str:
    if "ijk" not in data.content:
        return ""
    shape = np.ravel(data.content["ijk"].attrs.get("shape", ()))
    return "a volume" + (f" of {' x '.join(map(str, shape))} voxels" if shape.size else "")


def _counts(values: np.ndarray | None) -> dict[str, int] | None:
    if values is None:
        return None
    names, first, counts = np.unique(values, return_index=True, return_counts=True)
    return {str(names[i]) or "none": int(counts[i]) for i in np.argsort(first)}


def _listed(counts: dict[str, int] | None, most: int | None = None) -> str:
    """Names and their counts; where there are more than ``most``, some of the names."""
    if counts is None:
        return ""
    if most is None or len(counts) <= most:
        return " " + ", ".join(f"{name} {count}" for name, count in counts.items())
    low, high = min(counts.values()), max(counts.values())
    shown = ", ".join(list(counts)[:_SHOWN])
    return f" {len(counts)} of them, {low if low == high else f'{low} to {high}'} stimuli each, such as {shown}"


def _quartiles(values: np.ndarray) -> dict[str, float | int]:
    known = values[np.isfinite(values)]
    low, median, high = np.quantile(known, [0.25, 0.5, 0.75]) if known.size else [np.nan] * 3
    return {"q25": float(low), "median": float(median), "q75": float(high), "n_unknown": int(values.size - known.size)}


def _ceiling_text(quartiles: dict | None) -> str:
    if quartiles is None:
        return "not known (no repeats)"
    unknown = f"; {quartiles['n_unknown']} voxels unknown" if quartiles["n_unknown"] else ""
    return f"median {quartiles['median']:.2f}, quartiles {quartiles['q25']:.2f} to {quartiles['q75']:.2f}{unknown}"
