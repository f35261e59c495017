"""Several fits of one study, from seeds that follow each other: their mean is its encoder, and how far they agree."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from jne.encoders import Encoder, MeanEncoder
from jne.measures import REGISTRY, nonlinearity

if TYPE_CHECKING:
    from jne.study.study import Study

BY_SEED = ("jne", "nonlinear_share")
"""Measures of which a study with several seeds keeps each fit's map."""


def each_seed(prototype: Encoder, parameters: Mapping, n_seeds: int) -> list[tuple[Encoder, dict]]:
    """What is fitted with each seed, and the parameters of the study of that seed alone, which has the same fit."""
    known = prototype.get_params(deep=False)
    if n_seeds > 1 and ("random_state" not in known or "random_state" in parameters["encoder_options"]):
        why = "has no random_state" if "random_state" not in known else "was given a random_state of its own"
        raise ValueError(
            f"n_seeds={n_seeds}, but the encoder ({type(prototype).__name__}) {why}: its fits would all be the same. "
            "Give n_seeds=1, or an encoder whose seed the study sets"
        )
    found = [(prototype, dict(parameters))]
    for seed in range(parameters["seed"] + 1, parameters["seed"] + n_seeds):
        start = prototype.with_seed(seed)
        found.append((start, {**parameters, "seed": seed, "encoder": start.describe()}))
    return found


def combined(fits: Sequence[Encoder]) -> Encoder:
    """A single fit as it is, several as their mean."""
    return fits[0] if len(fits) == 1 else MeanEncoder.of(fits)


def single_fit(study: Study) -> Encoder:
    """What a refit of a study starts from: one encoder, not the mean of several."""
    several = study.result.attrs.get("n_seeds", 1) > 1
    return study.encoder.single() if several and isinstance(study.encoder, MeanEncoder) else study.encoder


def measure_seeds(fits: Sequence[Encoder], X: np.ndarray, seed: int, max_memory: str, progress: bool) -> xr.Dataset:
    """Maps of each fit of several, and the standard error that seeds make; nothing of a single fit.

    Returns
    -------
    xarray.Dataset
        For each of `BY_SEED`: ``<measure>_by_seed (seed, voxel)``, and ``<measure>_seed_se (voxel)``, the standard
        error of the mean of the fits' values: their standard deviation (divisor M - 1) over the root of M. It is about
        that of the mean model's value, which is another number: that of their mean Jacobian.
    """
    if len(fits) == 1:
        return xr.Dataset()
    options = {"return_samples": False, "max_memory": max_memory, "progress": progress}
    maps = [nonlinearity(fit, X, **options)[list(BY_SEED)] for fit in fits]
    content = {}
    for name in BY_SEED:
        values, known = np.stack([one[name].values for one in maps]), REGISTRY[name]
        units = {"units": maps[0][name].units}
        entry = REGISTRY[f"{name}_by_seed"]
        error = values.std(axis=0, ddof=1) / np.sqrt(len(fits))
        content[entry.key] = ("seed", "voxel"), values, {"long_name": entry.definition, **units}
        text = f"standard error over seeds of the mean of single fits' {known.short or known.label}"
        content[f"{name}_seed_se"] = "voxel", error, {"long_name": text, **units}
    return xr.Dataset(content, {"seed": np.arange(seed, seed + len(fits))})
