"""How far the fits of a study with several seeds agree, for its report: numbers, words, a warning."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping

import numpy as np
import xarray as xr

from jne.measures import REGISTRY, short_label
from jne.statistics import agreement_word, intraclass_correlation
from jne.study.seeds import BY_SEED


def seed_agreement(result: xr.Dataset, predicted: np.ndarray) -> dict:
    """How far two seeds' maps agree; empty of a study with one."""
    names = [name for name in BY_SEED if f"{name}_by_seed" in result]
    if not names:
        return {}
    found = {name: intraclass_correlation(result[f"{name}_by_seed"].values[:, predicted]) for name in names}
    agreement = {name: value if np.isfinite(value) else None for name, value in found.items()}
    return {"n": int(result.sizes["seed"]), "agreement": agreement}


def seed_warnings(seeds: Mapping) -> list[str]:
    """One sentence for each measure of which maps of single fits are more of the seed than of the voxel."""
    low = {name: value for name, value in seeds.get("agreement", {}).items() if value is not None and value < 0.5}
    return [
        f"Two seeds' maps of {short_label(name)} agree poorly (intraclass correlation {value:.2f}): more of "
        "such a map comes from the seed of the fit than from the voxel. The mean of more fits has less of it."
        for name, value in low.items()
    ]


def seed_lines(seeds: Mapping, width: int) -> list[str]:
    """How far maps of single fits agree, in words; nothing of a study with one seed."""
    if not seeds:
        return []
    words = []
    for name, value in seeds["agreement"].items():
        known = value is not None
        word = agreement_word(value) if known else "not known"
        words.append(f"{REGISTRY[name].label}: {word}" + (f" ({value:.2f})" if known else ""))
    text = f"Mean of {seeds['n']} fits."
    if any(value is not None for value in seeds["agreement"].values()):
        text += f" How far the maps of two of them agree (intraclass correlation): {'; '.join(words)}."
    return ["", *textwrap.wrap(text, width, initial_indent="  ", subsequent_indent="  ")]


def share_of_one_fit(result: xr.Dataset, predicted: np.ndarray) -> float | None:
    """Median plain share of single fits, which is what cross-fitted and null share are of; None of a study with one."""
    if "nonlinear_share_by_seed" not in result or not predicted.any():
        return None
    median = np.nanmedian(result["nonlinear_share_by_seed"].values[:, predicted])
    return float(median) if np.isfinite(median) else None
