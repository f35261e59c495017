"""From deviations of blocks of voxels to measures and their bootstrap errors."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import torch
from scipy.stats import t as student_t

from jne._core import Budget, clamp, spans
from jne.measures.deviations import Block


def statistics_budget(limit: int, n_samples: int, n_bootstrap: int) -> tuple[Budget, int]:
    """What ``limit`` bytes leave when statistics are taken of some voxels at a time, and of how many."""
    # Samples and bootstraps of one voxel exist up to six times in float64.
    one, counts = 48 * (n_samples + n_bootstrap), 8 * n_bootstrap * n_samples
    columns = clamp(limit / 16 / one, 1, 512)
    return Budget(limit).reserve(columns * one + counts, "the statistics of one voxel", "lower n_bootstrap"), columns


def resamples(n_samples: int, n_bootstrap: int, random_state: int) -> torch.Tensor:
    """How often each sample is drawn in each bootstrap, over the number of samples: ``(n_bootstrap, n_samples)``."""
    draws = np.random.default_rng(random_state).multinomial(n_samples, [1 / n_samples] * n_samples, n_bootstrap)
    return torch.from_numpy(draws / n_samples)


def collect(
    blocks: Iterable[Block], n_voxels: int, counts: torch.Tensor, columns: int, return_samples: bool
) -> dict[str, np.ndarray]:
    """Run through the blocks, ``columns`` voxels at a time, and turn them into arrays over voxels."""
    variables: dict[str, np.ndarray] = {}

    def put(name: str, voxels: slice, values: torch.Tensor) -> None:
        array = values.cpu().numpy()
        if array.shape[-1] == n_voxels:
            variables[name] = array
            return
        if name not in variables:
            variables[name] = np.empty((*array.shape[:-1], n_voxels), array.dtype)
        variables[name][..., voxels] = array

    for block in blocks:
        found = _over_samples(block, counts, columns) | {"gain": block.gain}
        # share = (Q/2) / (Q/2 + Q0)
        found["nonlinear_share"] = (block.dispersion / 2) / (block.dispersion / 2 + block.linear)
        if return_samples:
            found["jne_ss"], found["deviation_sign"] = _sample_scores(block.deviation, found["mean_deviation"], columns)
        for name, values in found.items():
            put(name, block.voxels, values)
    return variables


def _over_samples(block: Block, counts: torch.Tensor, columns: int) -> dict[str, torch.Tensor]:
    """JNE, mean deviation and their errors."""
    parts: dict[str, list[torch.Tensor]] = {}
    for part in spans(block.deviation.shape[1], columns):
        deviation = block.deviation[:, part].double()
        mean = deviation.mean(0)
        delta = deviation - mean
        squares = delta.square()
        found = {"jne": squares.mean(0).sqrt(), "mean_deviation": mean, "relative": mean / block.gain[part]}
        if len(counts):
            shift = counts @ delta
            spread = (counts @ squares - shift.square()).clamp(min=0).sqrt()
            # As of a standard deviation: a mean estimated from n samples makes deviations from it too small.
            small, t = len(delta) / (len(delta) - 1), float(student_t.ppf(0.975, len(delta) - 1))
            found |= _errors("jne", found["jne"] * small, spread * small, t)
            found |= _errors("mean_deviation", mean * small**0.5, (mean + shift) * small**0.5, t)
        for name, values in found.items():
            parts.setdefault(name, []).append(values)
    return {name: torch.cat(values) for name, values in parts.items()}


def _sample_scores(deviation: torch.Tensor, mean: torch.Tensor, columns: int) -> tuple[torch.Tensor, torch.Tensor]:
    """JNE-SS ``(n_samples, n)``, in the memory of the deviations, which are lost; and the sign that it squares away."""
    sign = torch.empty_like(deviation, dtype=torch.int8)
    for part in spans(deviation.shape[1], columns):
        delta = deviation[:, part].double() - mean[part]
        sign[:, part] = delta.sign()
        deviation[:, part] = delta.square()
    return deviation, sign


def _errors(name: str, estimate: torch.Tensor, draws: torch.Tensor, t: float) -> dict[str, torch.Tensor]:
    """Standard error, and bounds on a log scale: both measures are positive, and skewed where samples are few."""
    se = draws.std(0)
    factor = torch.where(estimate > 0, (t * se / estimate).exp(), 1)
    return {f"{name}_se": se, f"{name}_low": estimate / factor, f"{name}_high": estimate * factor}
