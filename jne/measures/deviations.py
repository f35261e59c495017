"""Deviations of Jacobians from their mean over samples, voxel block by voxel block, without holding the Jacobians.

With ``J[n, v, d] = d y_v / d x_d``, ``Jbar = mean_n J`` and a factor F of the feature covariance, ``Sigma = F F^T``:

- ``deviation[n, v] = sum_d |J[n, v, d] - Jbar[v, d]|``
- ``gain[v] = sum_d |Jbar[v, d]|``, both as `jne.measures.readings` has it: these are the published ones
- ``dispersion[v] = mean_n ||(J[n, v] - Jbar[v]) F||^2`` (Q) and ``linear[v] = ||Jbar[v] F||^2`` (Q0)
- on request ``mean = Jbar`` and ``variance[v, d] = mean_n (J[n, v, d] - Jbar[v, d])^2``
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import torch

from jne._core import Budget, spans
from jne.jacobians.engine import Derivative, plan, refuse_infinite, unit_vectors
from jne.measures.passes import Passes
from jne.measures.readings import PUBLISHED, Reading, spread, zscore_rows


@dataclass(frozen=True)
class Work:
    """Samples X, a factor of the feature covariance ``(n_features, rank)``, and what there is to work in."""

    X: torch.Tensor
    factor: torch.Tensor
    budget: Budget  # beside X, the readout's weight and, if whole, the deviations
    step: int | None  # voxels at a time; None chooses
    whole: bool  # all voxels in one block where there is a choice, because the caller keeps their deviations anyway
    tick: Callable[[int], object]  # told of every voxel that is done
    reading: Reading = PUBLISHED
    mean: bool = False  # whether the mean Jacobian is asked for
    variance: bool = False  # whether the variance of every slope is
    passes: Passes = field(default_factory=Passes)  # told of those that are taken

    def slope_bytes(self, size: int) -> int:
        """What is held of a voxel and feature beside deviations, of numbers of so many bytes."""
        return size * self.mean + (8 + size) * self.variance


@dataclass(frozen=True)
class Block:
    """Sums of a block of voxels: ``deviation (n_samples, n)``, the others ``(n,)``, float64."""

    voxels: slice
    deviation: torch.Tensor
    gain: torch.Tensor
    dispersion: torch.Tensor
    linear: torch.Tensor
    mean: torch.Tensor | None = (
        None  # ``(n, n_features)``, as the next, in the precision of X, and None if not asked for
    )
    variance: torch.Tensor | None = None


@dataclass(frozen=True)
class Means:
    """Mean over samples of something computed in chunks, the values that it is of, and their deviations from it."""

    mean: torch.Tensor
    deviations: Callable[[], Iterator[tuple[slice, torch.Tensor]]]
    values: Callable[[], Iterator[tuple[slice, torch.Tensor]]]


def centre(
    compute: Callable[[slice], torch.Tensor],
    n_samples: int,
    step: int,
    keep: bool,
    *,
    raw: bool = False,
    undefined: bool = False,
) -> Means:
    """Mean (accumulated in float64), values and deviations of ``compute`` over all samples, ``step`` at a time.

    ``compute`` gives a new tensor ``(n, ...)`` for a slice of samples. With ``keep`` all chunks are held, as deviations
    or, with ``raw``, as values, which keeps the digits of small ones; else they are computed again whenever they are
    asked for. With ``undefined``, NaN is accepted.
    """
    chunks = list(spans(n_samples, step))
    kept, total = [], torch.zeros((), device="cpu")
    for chunk in chunks:
        values = compute(chunk)
        partial = values.sum(0)
        if not undefined and not partial.isfinite().all():
            refuse_infinite(values, chunk.start)
        total = total + partial.double()
        if keep:
            kept.append(values)
    mean = (total / n_samples).to(values.dtype)
    for values in kept if not raw else ():
        values -= mean

    def again(held: bool) -> Iterator[tuple[slice, torch.Tensor]]:
        for i, chunk in enumerate(chunks):
            yield chunk, kept[i] if held else compute(chunk)

    def deviations() -> Iterator[tuple[slice, torch.Tensor]]:
        for chunk, values in again(keep):
            yield chunk, values if keep and not raw else values - mean

    return Means(mean, deviations, lambda: again(keep and raw))


def by_rows(work: Work, derivative: Derivative, n_voxels: int) -> Iterator[Block]:
    """Deviations of any function's Jacobian in reverse mode, one backward pass per voxel."""
    X, factor, n_samples, reading = work.X, work.factor, len(work.X), work.reading
    held = work.slope_bytes(X.element_size()) * len(factor)
    rows, samples, keep = plan(derivative, X, n_voxels, len(factor), work.budget, work.step, held)
    again = 2 if reading.zscore and factor.shape[1] else 1
    work.passes.begin(derivative.product, X, n_voxels, n_voxels, again * (1 if keep else 2))

    # A function of its own, so that what it keeps is gone before the next block is computed.
    def block(voxels: slice) -> Block:
        outputs = unit_vectors(voxels, n_voxels, X)
        deviation = X.new_zeros(n_samples, len(outputs))
        dispersion, linear = X.new_zeros(2, len(outputs), dtype=torch.float64)
        variance = X.new_zeros(len(outputs), len(factor), dtype=torch.float64) if work.variance else None

        def rows_at(chunk: slice) -> torch.Tensor:
            found = derivative.product(X[chunk], outputs)
            work.passes.tick(found.shape[0] * found.shape[1])
            return found

        def add_metric(dJ: torch.Tensor) -> None:
            dispersion.add_((dJ @ factor).square_().sum((0, 2)) / n_samples)

        if reading.zscore and factor.shape[1]:  # the share is that of the Jacobian as it is
            J = centre(rows_at, n_samples, samples, keep)
            for _, dJ in J.deviations():
                add_metric(dJ)
            linear += (J.mean @ factor).square_().sum(-1)
            del J
        compute = zscored(rows_at) if reading.zscore else rows_at
        J = centre(compute, n_samples, samples, keep, undefined=reading.zscore)
        if not reading.zscore:
            linear += (J.mean @ factor).square_().sum(-1)
        for chunk, dJ in J.deviations():
            if not reading.zscore:
                add_metric(dJ)
            if variance is not None:
                variance += dJ.square().sum(0) / n_samples
            deviation[chunk] = reading.size(dJ if reading.centred else dJ.add_(J.mean))
            work.tick(len(outputs) * len(dJ))
        slopes = J.mean.clone() if work.mean else None, None if variance is None else variance.to(X)
        return Block(voxels, deviation, reading.size(J.mean).double(), dispersion, linear, *slopes)

    yield from map(block, spans(n_voxels, rows))


def by_columns(work: Work, derivative: Derivative, n_voxels: int) -> Iterator[Block]:
    """The same in forward mode, one pass per feature (and per column of the factor); all voxels in one block."""
    X, factor, (n_samples, n_features), reading = work.X, work.factor, (len(work.X), len(work.factor)), work.reading
    held = 0 if work.whole else n_samples * n_voxels * X.element_size()
    held += reading.zscore * 2 * n_samples * n_voxels * X.element_size()
    held += work.slope_bytes(X.element_size()) * n_features * n_voxels
    budget = work.budget.reserve(held, "deviations of all samples and voxels", "give fewer samples")
    columns, samples, keep = plan(derivative, X, n_features, n_voxels, budget, None, 8 * n_voxels * work.variance)
    work.passes.begin(derivative.product, X, n_features, n_features + factor.shape[1], 1 if keep else 2)
    deviation = X.new_zeros(n_samples, n_voxels)
    gain, dispersion, linear = X.new_zeros(3, n_voxels, dtype=torch.float64)
    mean, variance = (X.new_zeros(n_voxels, n_features) if asked else None for asked in (work.mean, work.variance))
    centres = scales = X.new_empty(0)
    if reading.zscore:
        centres, scales = _row_moments(work, derivative, columns, samples, n_voxels)

    def centred(directions: torch.Tensor, zscore: bool = False) -> Means:
        def compute(chunk: slice) -> torch.Tensor:
            J = derivative.product(X[chunk], directions)
            work.passes.tick(J.shape[0] * J.shape[1])
            return J.sub_(centres[chunk, None]).div_(scales[chunk, None]) if zscore else J

        return centre(compute, n_samples, samples, keep, undefined=zscore)

    # Functions of their own, so that what they keep is gone before the next block is computed.
    def add_features(features: slice) -> None:
        J = centred(unit_vectors(features, n_features, X), reading.zscore)
        total = None if variance is None else torch.zeros_like(J.mean, dtype=torch.float64)
        for chunk, dJ in J.deviations():
            if total is not None:
                total += dJ.square().sum(0) / n_samples
            deviation[chunk] += reading.parts(dJ if reading.centred else dJ.add_(J.mean), 1)
        work.tick(n_samples * n_voxels * len(J.mean) // n_features)
        if variance is not None and total is not None:
            variance[:, features] = total.T.to(X)
        if mean is not None:
            mean[:, features] = J.mean.T
        gain.add_(reading.parts(J.mean, 0))

    def add_metric(directions: torch.Tensor) -> None:
        JF = centred(directions)
        linear.add_(JF.mean.square().sum(0))
        for _, dJF in JF.deviations():
            dispersion.add_(dJF.square_().sum((0, 1)) / n_samples)

    for features in spans(n_features, columns):
        add_features(features)
    for columns_of_factor in spans(factor.shape[1], columns):
        add_metric(factor.T[columns_of_factor].contiguous())
    yield Block(slice(0, n_voxels), reading.whole(deviation), reading.whole(gain), dispersion, linear, mean, variance)


def zscored(compute: Callable[[slice], torch.Tensor]) -> Callable[[slice], torch.Tensor]:
    """``compute``, whose rows are z-scored; infinite ones are refused before they become NaN."""

    def rows(chunk: slice) -> torch.Tensor:
        J = compute(chunk)
        if not J.sum().isfinite():
            refuse_infinite(J, chunk.start)
        return zscore_rows(J)

    return rows


def _row_moments(
    work: Work, derivative: Derivative, columns: int, samples: int, n_voxels: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean over features of every row, and standard deviation (NaN for 0), ``(n_samples, n_voxels)`` each."""
    X, n_features = work.X, len(work.factor)
    mean, variance = X.new_zeros(2, len(X), n_voxels)
    average = X.new_full((1, n_features), 1 / n_features)
    for chunk in spans(len(X), samples):
        mean[chunk] = derivative.product(X[chunk], average)[:, 0]
        for features in spans(n_features, columns):
            J = derivative.product(X[chunk], unit_vectors(features, n_features, X))
            if not J.sum().isfinite():
                refuse_infinite(J, chunk.start)
            variance[chunk] += J.sub_(mean[chunk, None]).square_().sum(1) / n_features
    return mean, spread(mean, variance.sqrt_())
