"""Deviations of Jacobians from their mean over samples, voxel block by voxel block, without holding the Jacobians.

With ``J[n, v, d] = d y_v / d x_d``, ``Jbar = mean_n J`` and a factor F of the feature covariance, ``Sigma = F F^T``:

- ``deviation[n, v] = sum_d |J[n, v, d] - Jbar[v, d]|``
- ``gain[v] = sum_d |Jbar[v, d]|``
- ``dispersion[v] = mean_n ||(J[n, v] - Jbar[v]) F||^2`` (Q) and ``linear[v] = ||Jbar[v] F||^2`` (Q0)
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch

from jne._core import Budget, spans
from jne.jacobians.engine import Derivative, plan, refuse_infinite, unit_vectors


@dataclass(frozen=True)
class Work:
    """Samples X, a factor of the feature covariance ``(n_features, rank)``, and what there is to work in."""

    X: torch.Tensor
    factor: torch.Tensor
    budget: Budget  # beside X, the readout's weight and, if whole, the deviations
    step: int | None  # voxels at a time; None chooses
    whole: bool  # all voxels in one block where there is a choice, because the caller keeps their deviations anyway
    tick: Callable[[int], object]  # told of every voxel that is done


@dataclass(frozen=True)
class Block:
    """Sums of a block of voxels: ``deviation (n_samples, n)``, the others ``(n,)``, float64."""

    voxels: slice
    deviation: torch.Tensor
    gain: torch.Tensor
    dispersion: torch.Tensor
    linear: torch.Tensor


@dataclass(frozen=True)
class Means:
    """Mean over samples of something computed in chunks, and its deviations from it.

    ``compute`` gives a new tensor ``(n, ...)`` for a slice of samples. With ``keep`` all chunks are held, else computed
    again whenever deviations are asked for.
    """

    mean: torch.Tensor
    deviations: Callable[[], Iterator[tuple[slice, torch.Tensor]]]


def centre(compute: Callable[[slice], torch.Tensor], n_samples: int, step: int, keep: bool) -> Means:
    """Mean (accumulated in float64) and deviations of ``compute`` over all samples, ``step`` samples at a time."""
    chunks = list(spans(n_samples, step))
    kept, total = [], torch.zeros(())
    for chunk in chunks:
        values = compute(chunk)
        partial = values.sum(0)
        if not partial.isfinite().all():
            refuse_infinite(values, chunk.start)
        total = total + partial.double()
        if keep:
            kept.append(values)
    mean = (total / n_samples).to(values.dtype)
    for values in kept:
        values -= mean

    def deviations() -> Iterator[tuple[slice, torch.Tensor]]:
        for i, chunk in enumerate(chunks):
            yield chunk, kept[i] if keep else compute(chunk) - mean

    return Means(mean, deviations)


def by_rows(work: Work, derivative: Derivative, n_voxels: int) -> Iterator[Block]:
    """Deviations of any function's Jacobian in reverse mode, one backward pass per voxel."""
    X, factor, n_samples = work.X, work.factor, len(work.X)
    rows, samples, keep = plan(derivative, X, n_voxels, len(factor), work.budget, work.step)

    # A function of its own, so that what it keeps is gone before the next block is computed.
    def block(voxels: slice) -> Block:
        outputs = unit_vectors(voxels, n_voxels, X)
        J = centre(lambda chunk: derivative.product(X[chunk], outputs), n_samples, samples, keep)
        deviation = X.new_zeros(n_samples, len(outputs))
        dispersion = X.new_zeros(len(outputs), dtype=torch.float64)
        for chunk, dJ in J.deviations():
            dispersion += (dJ @ factor).square_().sum((0, 2)) / n_samples
            deviation[chunk] = dJ.abs_().sum(-1)
            work.tick(len(outputs) * len(dJ))
        gain, linear = J.mean.abs().sum(-1).double(), (J.mean @ factor).square_().sum(-1).double()
        return Block(voxels, deviation, gain, dispersion, linear)

    yield from map(block, spans(n_voxels, rows))


def by_columns(work: Work, derivative: Derivative, n_voxels: int) -> Iterator[Block]:
    """The same in forward mode, one pass per feature (and per column of the factor); all voxels in one block."""
    X, factor, (n_samples, n_features) = work.X, work.factor, (len(work.X), len(work.factor))
    held = 0 if work.whole else n_samples * n_voxels * X.element_size()
    budget = work.budget.reserve(held, "deviations of all samples and voxels", "give fewer samples")
    columns, samples, keep = plan(derivative, X, n_features, n_voxels, budget, None)
    deviation = X.new_zeros(n_samples, n_voxels)
    gain, dispersion, linear = X.new_zeros(3, n_voxels, dtype=torch.float64)

    def centred(directions: torch.Tensor) -> Means:
        return centre(lambda chunk: derivative.product(X[chunk], directions), n_samples, samples, keep)

    # Functions of their own, so that what they keep is gone before the next block is computed.
    def add_features(features: slice) -> None:
        J = centred(unit_vectors(features, n_features, X))
        gain.add_(J.mean.abs().sum(0))
        for chunk, dJ in J.deviations():
            deviation[chunk] += dJ.abs_().sum(1)
        work.tick(n_samples * n_voxels * len(J.mean) // n_features)

    def add_metric(directions: torch.Tensor) -> None:
        JF = centred(directions)
        linear.add_(JF.mean.square().sum(0))
        for _, dJF in JF.deviations():
            dispersion.add_(dJF.square_().sum((0, 1)) / n_samples)

    for features in spans(n_features, columns):
        add_features(features)
    for columns_of_factor in spans(factor.shape[1], columns):
        add_metric(factor.T[columns_of_factor].contiguous())
    yield Block(slice(0, n_voxels), deviation, gain, dispersion, linear)
