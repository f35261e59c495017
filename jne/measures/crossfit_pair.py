"""Two encoders fitted to disjoint halves, and what their Jacobians and predictions have in common."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from types import SimpleNamespace

import numpy as np
import torch
from torch import nn

from jne._core import Budget
from jne.encoders import Training, moments
from jne.jacobians.engine import DTYPES, Problem, choose_device, matrix_precision, prepare
from jne.measures.covariance import covariance_factor
from jne.measures.crossfit_products import jacobian_products, linear_basis, prediction_products, split_pair
from jne.measures.crossfit_shares import Terms
from jne.measures.crossfit_splits import N_TEST_GROUPS, Split, draw_groups
from jne.measures.nonlinearity import deviations

_NEEDED = ("module_", "x_mean_", "x_scale_", "y_scale_")


class Units:
    """z-scores of all training stimuli, which the fits of all halves are converted to."""

    def __init__(self, arrays: Training):
        self.x_mean, self.x_scale = moments(arrays.X)
        self.y_scale = moments(arrays.Y)[1]

    def features(self, X: np.ndarray) -> np.ndarray:
        return (X - self.x_mean) / self.x_scale

    def module(self, encoder) -> nn.Module:
        """An encoder's module as a function of features in these units; its outputs stay in the encoder's own."""
        scale = torch.from_numpy(np.divide(self.x_scale, encoder.x_scale_, dtype=np.float64))
        shift = torch.from_numpy(np.divide(self.x_mean - encoder.x_mean_, encoder.x_scale_, dtype=np.float64))
        convert = nn.Linear(len(scale), len(scale), dtype=torch.float64)
        with torch.no_grad():
            convert.weight.copy_(torch.diag(scale))
            convert.bias.copy_(shift)
        like = next(encoder.module_.parameters(), torch.zeros(1))
        return nn.Sequential(convert.to(like), encoder.module_).eval()

    def gain(self, encoder) -> np.ndarray:
        """What turns an encoder's outputs into these units, ``(n_voxels,)``."""
        return np.divide(encoder.y_scale_, self.y_scale, dtype=np.float64)


@dataclass
class Comparison:
    """What two fits have in common at the test stimuli, in the same units.

    ``X_test`` are the features that Jacobians are taken at, ``X_unseen`` those that predictions are: of stimuli that no
    fit was trained on, since a fit has a larger gain at its own. ``held`` bytes go to what is made of them once.
    ``predicts`` says whether predictions are compared; by default where there are ``enough`` unseen stimuli.
    """

    units: Units
    X_test: np.ndarray
    X_unseen: np.ndarray
    covariance: np.ndarray
    device: str
    precision: str
    limit: int
    step: int | None
    held: int | None = None
    predicts: bool | None = None

    def __post_init__(self):
        if self.predicts is None:
            self.predicts = len(self.X_unseen) >= self.enough
        if self.held is None:
            self.held = 32 * len(self.X_unseen) * (self.X_unseen.shape[1] + 1)

    @property
    def where(self) -> torch.device:
        return choose_device(self.device, nn.Identity(), None)

    @property
    def enough(self) -> int:
        """Unseen stimuli from which on predictions are compared: three for every two coefficients of a linear map."""
        return 3 * (self.X_unseen.shape[1] + 1) // 2 + 1

    @cached_property
    def _linear_map(self) -> tuple[torch.Tensor, torch.Tensor]:
        """z-scored ``X_unseen`` and the basis of their linear maps, on the device."""
        Z = torch.from_numpy(self.units.features(self.X_unseen)).to(self.where, DTYPES[self.precision])
        return Z, linear_basis(Z)

    def terms(self, encoders: tuple) -> Terms:
        """The `Terms` of every voxel, ``(n_voxels,)`` each; those of predictions NaN where stimuli are too few."""
        pair = self._problems(encoders)
        with torch.no_grad(), matrix_precision(self.precision):
            factor = covariance_factor(self.covariance, pair[0])[0]
            split = split_pair(pair)
            held = self.held + factor.numel() * factor.element_size()
            budget = Budget(self.limit).reserve(held, "the covariance and the linear map", "give fewer features")
            nonlinear, linear = jacobian_products(pair, split, factor, budget, self.step)
            residual, predicted = torch.full_like(linear, torch.nan), torch.full_like(linear, torch.nan)
            if self.predicts:
                residual, predicted = prediction_products(pair, split, *self._linear_map, budget, self.step)
        gain = np.prod([self.units.gain(encoder) for encoder in encoders], axis=0)
        return Terms(*(term.cpu().numpy() * gain for term in (nonlinear, linear, residual, predicted)))

    def without_test_groups(self, encoders: tuple) -> Terms:
        """The terms at the test stimuli without each group of them, ``(n_test_groups, n_voxels)``."""
        sizes = [len(self.X_test), *([len(self.X_unseen)] if self.predicts else [])]
        n_groups = min(N_TEST_GROUPS, *(size // 2 for size in sizes))
        of_test, *of_unseen = (draw_groups(size, n_groups, None, random_state=0) for size in sizes)
        found = []
        for group in range(n_groups):
            X_unseen = self.X_unseen[of_unseen[0] != group] if self.predicts else self.X_unseen
            found.append(replace(self, X_test=self.X_test[of_test != group], X_unseen=X_unseen).terms(encoders))
        return Terms(*map(np.stack, zip(*found, strict=True)))

    def samples(self, encoders: tuple) -> np.ndarray:
        """Product of both fits' L1 deviations, each less its mean over samples, ``(n_samples, n_voxels)``."""
        product = 1
        for encoder, problem in zip(encoders, self._problems(encoders), strict=True):
            budget = self._samples_budget(problem.n_voxels)
            with torch.no_grad(), matrix_precision(self.precision):
                delta = deviations(problem, budget, self.step)
                delta -= delta.mean(0, dtype=torch.float64).to(delta)
                delta *= torch.from_numpy(self.units.gain(encoder)).to(delta)
                product = delta.mul_(product)
        return product.cpu().numpy()

    def rehearse(self, modules: list[nn.Module], return_samples: bool) -> None:
        """Go through a comparison with few samples, so that a lack of memory is told before anything is fitted."""
        scales = {"x_mean_": self.units.x_mean, "x_scale_": self.units.x_scale, "y_scale_": self.units.y_scale}
        encoders = tuple(SimpleNamespace(module_=module, **scales) for module in modules)
        few = replace(self, X_test=self.X_test[:2], X_unseen=self.X_unseen[: self.enough])
        few.terms(encoders)
        if return_samples:
            few.samples(encoders)
            self._samples_budget(len(self.units.y_scale))

    def _problems(self, encoders: tuple) -> tuple[Problem, Problem]:
        Z = self.units.features(self.X_test)
        return tuple(prepare(self.units.module(encoder), Z, self.device, self.precision) for encoder in encoders)

    def _samples_budget(self, n_voxels: int) -> Budget:
        held = 2 * len(self.X_test) * n_voxels * DTYPES[self.precision].itemsize
        return Budget(self.limit).reserve(held, "deviations of all samples and voxels", "give return_samples=False")


def fit_halves(
    make_encoder: Callable,
    arrays: Training,
    groups: np.ndarray,
    split: Split,
    compare: Comparison,
    return_samples: bool,
    refit: bool,
    tick: Callable[[], object],
) -> tuple[Terms, Terms, np.ndarray | None]:
    """Everything one split gives: terms ``(1 + n_groups, n_voxels)``, of all groups, then (to refit) without each.

    Then the terms of all groups without each group of test stimuli, ``(n_test_groups, n_voxels)``, and, if asked
    for, the product of deviations ``(n_samples, n_voxels)`` of the fits to all groups.
    """

    def fit(half: int, without: int | None = None):
        train = np.isin(groups, split.groups[half]) & (groups != without)
        held = split.validation[half]
        encoder = make_encoder(split.seeds[half])
        encoder.fit(arrays.X[train], arrays.Y[train], arrays.X_val[held], arrays.Y_val[held])
        _check_fitted(encoder)
        tick()
        return encoder

    both = [fit(0), fit(1)]
    terms = [compare.terms(tuple(both))]
    for group in range(groups.max() + 1 if refit else 0):
        half = int(group in split.groups[1])
        refitted = list(both)
        refitted[half] = fit(half, without=group)
        terms.append(compare.terms(tuple(refitted)))
    every = Terms(*map(np.stack, zip(*terms, strict=True)))
    return every, compare.without_test_groups(tuple(both)), compare.samples(tuple(both)) if return_samples else None


def check_start(
    make_encoder: Callable, seeds: tuple[int, int], arrays: Training, compare: Comparison, return_samples: bool
) -> None:
    """Find out before the first fit what can be known by then.

    Raises
    ------
    ValueError
        If two seeds give the same encoder, or the same initial weights, or the memory is too small for the comparison.
    """
    encoders = [make_encoder(seed) for seed in seeds]
    lacking = [encoder for encoder in encoders if not hasattr(encoder, "fit")]
    if lacking:
        raise ValueError(f"make_encoder(seed) gave {lacking[0]!r}, which has no fit; return a new, unfitted encoder")
    starts = [None, None]
    if all(hasattr(encoder, "initial_module") for encoder in encoders):
        starts = [encoder.initial_module(arrays.X.shape[1], arrays.Y.shape[1]) for encoder in encoders]
    if encoders[0] is encoders[1] or (None not in starts and _same_weights(*starts)):
        raise ValueError(
            "make_encoder gave two encoders with the same initial weights: it ignores its seed. What two fits share by "
            "their start would pass for signal; use the seed, as in lambda seed: ResidualEncoder(random_state=seed)"
        )
    if None not in starts:
        compare.rehearse(starts, return_samples)


def _same_weights(one: nn.Module, two: nn.Module) -> bool:
    parameters = [list(module.parameters()) for module in (one, two)]
    if [p.shape for p in parameters[0]] != [p.shape for p in parameters[1]]:
        return False
    # Biases that start at zero and the like are the same for every seed, and say nothing.
    pairs = [(a, b) for a, b in zip(*parameters, strict=True) if a.numel() > 1 and a.std() > 0]
    return bool(pairs) and all(torch.equal(a, b) for a, b in pairs)


def _check_fitted(encoder) -> None:
    missing = [name for name in _NEEDED if not hasattr(encoder, name)]
    if missing:
        raise ValueError(
            f"make_encoder(seed) gave a {type(encoder).__name__} without {', '.join(missing)} after fit; make it a "
            "subclass of jne.encoders.Encoder, which sets them"
        )
