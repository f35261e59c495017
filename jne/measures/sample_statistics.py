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
    """Run through the blocks, ``columns`` voxels at a time, and turn them into arrays whose last axis is voxels."""
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
        put("gain", block.voxels, block.gain)
        for name, slopes in (("mean_jacobian", block.mean), ("feature_variance", block.variance)):
            if slopes is not None:
                put(name, block.voxels, slopes.T)
        # share = (Q/2) / (Q/2 + Q0)
        put("nonlinear_share", block.voxels, (block.dispersion / 2) / (block.dispersion / 2 + block.linear))
        sign = torch.empty_like(block.deviation, dtype=torch.int8) if return_samples else None
        for part in spans(block.deviation.shape[1], columns):
            deviation = block.deviation[:, part].double()
            mean = deviation.mean(0)
            delta = deviation - mean
            found = _over_samples(mean, delta, counts) | {"relative": mean / block.gain[part]}
            for name, values in found.items():
                put(name, slice(block.voxels.start + part.start, block.voxels.start + part.stop), values)
            if sign is not None:
                # JNE-SS takes the memory of the deviations, which are lost, and squares their sign away.
                block.deviation[:, part], sign[:, part] = delta.square(), delta.sign().nan_to_num_(0)
        if sign is not None:
            put("jne_ss", block.voxels, block.deviation)
            put("deviation_sign", block.voxels, sign)
    return variables


def _over_samples(mean: torch.Tensor, delta: torch.Tensor, counts: torch.Tensor) -> dict[str, torch.Tensor]:
    """JNE, mean deviation and their errors."""
    squares = delta.square()
    found = {"jne": squares.mean(0).sqrt(), "mean_deviation": mean}
    if len(counts):
        shift = counts @ delta
        spread = (counts @ squares - shift.square()).clamp(min=0).sqrt()
        # As of a standard deviation: a mean estimated from n samples makes deviations from it too small.
        small, t = len(delta) / (len(delta) - 1), float(student_t.ppf(0.975, len(delta) - 1))
        found |= _errors("jne", found["jne"] * small, spread * small, t)
        found |= _errors("mean_deviation", mean * small**0.5, (mean + shift) * small**0.5, t)
    return found


def _errors(name: str, estimate: torch.Tensor, draws: torch.Tensor, t: float) -> dict[str, torch.Tensor]:
    """Standard error, and bounds on a log scale: both measures are positive, and skewed where samples are few."""
    se = draws.std(0)
    factor = torch.where(estimate > 0, (t * se / estimate).exp(), 1)
    return {f"{name}_se": se, f"{name}_low": estimate / factor, f"{name}_high": estimate * factor}
