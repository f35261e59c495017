"""Two encoders fitted to disjoint halves, and what their Jacobians and predictions have in common."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
import xarray as xr
from torch import nn

from jne._core import Budget, matrix_precision, moments, resolve_device
from jne.datasets import Training
from jne.encoders import Encoder
from jne.jacobians.engine import DTYPES, Problem, prepare
from jne.measures.covariance import Covariance, covariance_factor
from jne.measures.crossfit_products import (
    Pair,
    Readouts,
    jacobian_products,
    linear_basis,
    prediction_products,
    split_pair,
)  # fmt: skip
from jne.measures.crossfit_shares import TERMS, Terms
from jne.measures.crossfit_splits import N_TEST_GROUPS, Split, draw_groups
from jne.measures.nonlinearity import deviations

_NEEDED = ("module_", "x_mean_", "x_scale_", "y_scale_")  # of a fitted encoder
LinearMap = tuple[torch.Tensor, torch.Tensor]
"""z-scored features and the basis of their linear maps, on the device."""


class Units:
    """z-scores of all training stimuli, which the fits of all halves are converted to."""

    def __init__(self, arrays: Training):
        (self.x_mean, self.x_scale), (_, self.y_scale) = moments(arrays.X), moments(arrays.Y)

    def features(self, X: np.ndarray) -> np.ndarray:
        return (X - self.x_mean) / self.x_scale

    def convert(self, module: nn.Module, x_mean: np.ndarray, x_scale: np.ndarray) -> nn.Module:
        """A module of features z-scored with a mean and scale, as one of features in these units."""
        scale = torch.from_numpy(np.divide(self.x_scale, x_scale, dtype=np.float64))
        shift = torch.from_numpy(np.divide(self.x_mean - x_mean, x_scale, dtype=np.float64))
        convert = nn.Linear(len(scale), len(scale), dtype=torch.float64, device="cpu")
        with torch.no_grad():
            convert.weight.copy_(torch.diag(scale))
            convert.bias.copy_(shift)
        like = next(module.parameters(), torch.zeros(1, dtype=torch.float32, device="cpu"))
        return nn.Sequential(convert.to(like), module).eval()

    def module(self, encoder: Encoder) -> nn.Module:
        """An encoder's module as a function of features in these units; its outputs stay in the encoder's own."""
        return self.convert(encoder.module_, encoder.x_mean_, encoder.x_scale_)

    def gain(self, encoder: Encoder) -> np.ndarray:
        """What turns an encoder's outputs into these units, ``(n_voxels,)``."""
        return np.divide(encoder.y_scale_, self.y_scale, dtype=np.float64)


@dataclass(frozen=True)
class Comparison:
    """What two fits have in common at the test stimuli, in the same units.

    ``X_test`` are the features that Jacobians are taken at, ``X_unseen`` those that predictions are: of stimuli that no
    fit was trained on, since a fit has a larger gain at its own. Predictions are compared where there are ``enough``.
    """

    units: Units
    X_test: np.ndarray
    X_unseen: np.ndarray
    covariance: Covariance
    device: str
    precision: str
    limit: int
    step: int | None
    return_samples: bool = False

    @property
    def where(self) -> torch.device:
        return resolve_device(self.device)

    @property
    def enough(self) -> int:
        """Unseen stimuli from which on predictions are compared: three for every two coefficients of a linear map."""
        return 3 * (self.X_unseen.shape[1] + 1) // 2 + 1

    @cached_property
    def _linear_map(self) -> LinearMap | None:
        return self._linear_map_of(self.X_unseen) if len(self.X_unseen) >= self.enough else None

    def _linear_map_of(self, X: np.ndarray) -> LinearMap:
        Z = torch.from_numpy(self.units.features(X)).to(self.where, DTYPES[self.precision])
        return Z, linear_basis(Z)

    def terms(self, encoders: Sequence[Encoder]) -> Terms:
        """The `Terms` of every voxel, ``(n_voxels,)`` each; those of predictions NaN where stimuli are too few."""
        return self._terms_of(encoders, [(slice(None), self._linear_map)])[0]

    def without_test_groups(self, encoders: Sequence[Encoder]) -> Terms:
        """The terms at the test stimuli without each group of them, ``(n_test_groups, n_voxels)``."""
        predicts = self._linear_map is not None
        sizes = [len(self.X_test), *([len(self.X_unseen)] if predicts else [])]
        n_groups = min(N_TEST_GROUPS, *(size // 2 for size in sizes))
        of_test, *of_unseen = (draw_groups(size, n_groups, None, random_state=0) for size in sizes)
        without = (
            (of_test != group, self._linear_map_of(self.X_unseen[of_unseen[0] != group]) if predicts else None)
            for group in range(n_groups)
        )
        return Terms.stack(self._terms_of(encoders, without))

    def _terms_of(
        self, encoders: Sequence[Encoder], parts: Iterable[tuple[slice | np.ndarray, LinearMap | None]]
    ) -> list[Terms]:
        """The terms at each part of the test stimuli, with the linear map that predictions are compared by."""
        gain = np.prod([self.units.gain(encoder) for encoder in encoders], axis=0)
        pair = self._pair(map(self.units.module, encoders), self.X_test)
        split = split_pair(pair)
        found = []
        for part, linear_map in parts:
            one, two = (replace(problem, X=problem.X[part]) for problem in pair)
            found.append(self._terms((one, two), split, linear_map).each(lambda term: term * gain))
        return found

    def _terms(self, pair: Pair, split: Readouts | None, linear_map: LinearMap | None) -> Terms:
        """The terms with outputs as they are; those of predictions are NaN without a linear map."""
        with torch.no_grad(), matrix_precision(self.precision):
            factor, _ = covariance_factor(self.covariance, pair[0])
            held = 32 * len(self.X_unseen) * (self.X_unseen.shape[1] + 1) + factor.numel() * factor.element_size()
            budget = Budget(self.limit).reserve(held, "the covariance and the linear map", "give fewer features")
            nonlinear, linear = jacobian_products(pair, split, factor, budget, self.step)
            residual = predicted = torch.full_like(linear, torch.nan)
            if linear_map is not None:
                residual, predicted = prediction_products(pair, split, *linear_map, budget, self.step)
            return Terms(*(term.cpu().numpy() for term in (nonlinear, linear, residual, predicted)))

    def samples(self, encoders: Sequence[Encoder]) -> np.ndarray:
        """Product of both fits' L1 deviations, each less its mean over samples, ``(n_samples, n_voxels)``."""
        pair = self._pair(map(self.units.module, encoders), self.X_test)
        one, two = map(self._centred_deviations, pair, map(self.units.gain, encoders))
        return two.mul_(one).cpu().numpy()

    def _centred_deviations(self, problem: Problem, gain: np.ndarray) -> torch.Tensor:
        held = 2 * len(self.X_test) * problem.n_voxels * DTYPES[self.precision].itemsize
        budget = Budget(self.limit).reserve(held, "deviations of all samples and voxels", "give return_samples=False")
        with torch.no_grad(), matrix_precision(self.precision):
            delta = deviations(problem, budget, self.step)
            delta -= delta.mean(0, dtype=torch.float64).to(delta)
            return delta.mul_(torch.from_numpy(gain).to(delta))

    def check_memory(self, modules: Sequence[nn.Module]) -> None:
        """Raise a ValueError where the comparison of such modules needs more memory than there is.

        What differentiating them needs is found by doing it, of two samples; how much is held at a time adapts to the
        rest, so that only what one sample needs, and what is held throughout, can be too much.
        """
        units = self.units
        pair = self._pair((units.convert(module, units.x_mean, units.x_scale) for module in modules), self.X_test[:2])
        few = self.X_unseen[: self.enough]
        self._terms(pair, split_pair(pair), self._linear_map_of(few) if len(few) == self.enough else None)
        for problem in pair if self.return_samples else ():
            self._centred_deviations(problem, np.ones(1))

    def _pair(self, modules: Iterable[nn.Module], X: np.ndarray) -> Pair:
        one, two = (prepare(module, self.units.features(X), self.device, self.precision) for module in modules)
        return one, two


def fit_halves(
    make_encoder: Callable[[int], Any],
    arrays: Training,
    groups: np.ndarray,
    split: Split,
    compare: Comparison,
    refit: bool,
    tick: Callable[[], object],
    folder: Path | None = None,
) -> xr.Dataset:
    """Everything one split gives: terms ``(estimate, voxel)``, of all groups, then (to refit) without each.

    Beside them ``<term>_jackknife_test (test_group, voxel)``, without each group of test stimuli, and, if asked for,
    ``crossfit_jne_ss (sample, voxel)`` of the fits to all groups. Fits keep their checkpoints in ``folder``.
    """

    def fit(half: int, without: int | None = None) -> Encoder:
        train = np.isin(groups, split.groups[half]) & (groups != without)
        held = split.validation[half]
        encoder = make_encoder(split.seeds[half])
        resumes = {"folder": folder} if isinstance(encoder, Encoder) else {}
        encoder.fit(arrays.X[train], arrays.Y[train], arrays.X_val[held], arrays.Y_val[held], **resumes)
        if missing := [name for name in _NEEDED if not hasattr(encoder, name)]:
            raise ValueError(
                f"make_encoder(seed) gave a {type(encoder).__name__} without {', '.join(missing)} after fit; make it a "
                "subclass of jne.encoders.Encoder, which sets them"
            )
        tick()
        return encoder

    both = [fit(0), fit(1)]
    terms = [compare.terms(both)]
    for group in range(groups.max() + 1 if refit else 0):
        half = int(group in split.groups[1])
        refitted = list(both)
        refitted[half] = fit(half, without=group)
        terms.append(compare.terms(refitted))
    content = {name: (("estimate", "voxel"), values) for name, values in zip(TERMS, Terms.stack(terms), strict=True)}
    for name, values in zip(TERMS, compare.without_test_groups(both), strict=True):
        content[f"{name}_jackknife_test"] = (("test_group", "voxel"), values)
    if compare.return_samples:
        content["crossfit_jne_ss"] = (("sample", "voxel"), compare.samples(both))
    return xr.Dataset(content)


def check_start(
    make_encoder: Callable[[int], Any], seeds: tuple[int, int], arrays: Training, compare: Comparison
) -> None:
    """Refuse before the first fit what can be known by then: one encoder for two seeds, too little memory."""
    encoders = [make_encoder(seed) for seed in seeds]
    lacking = [encoder for encoder in encoders if not hasattr(encoder, "fit")]
    if lacking:
        raise ValueError(f"make_encoder(seed) gave {lacking[0]!r}, which has no fit; return a new, unfitted encoder")
    sizes = arrays.X.shape[1], arrays.Y.shape[1]
    starts = [encoder.initial_module(*sizes) for encoder in encoders if hasattr(encoder, "initial_module")]
    random = len(starts) == 2 and None not in starts
    if encoders[0] is encoders[1] or (random and _same_weights(*starts)):
        raise ValueError(
            "make_encoder gave two encoders with the same initial weights: it ignores its seed. What two fits share by "
            "their start would pass for signal; use the seed, as in lambda seed: ResidualEncoder(random_state=seed)"
        )
    if random:
        compare.check_memory(starts)


def _same_weights(one: nn.Module, two: nn.Module) -> bool:
    parameters = [list(module.parameters()) for module in (one, two)]
    if [p.shape for p in parameters[0]] != [p.shape for p in parameters[1]]:
        return False
    # Biases that start at zero and the like are the same for every seed, and say nothing.
    pairs = [(a, b) for a, b in zip(*parameters, strict=True) if a.numel() > 1 and a.std() > 0]
    return bool(pairs) and all(torch.equal(a, b) for a, b in pairs)
