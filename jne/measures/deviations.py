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

from jne._core import Budget, clamp, even_step, spans
from jne.jacobians.engine import Derivative, Trunk, plan, refuse_infinite, unit_vectors


@dataclass(frozen=True)
class Block:
    """Sums of a block of voxels: ``deviation (n_samples, n)``, the others ``(n,)``, float64 (None: no covariance)."""

    voxels: slice
    deviation: torch.Tensor
    gain: torch.Tensor
    dispersion: torch.Tensor | None
    linear: torch.Tensor | None


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
    kept, total = [], 0
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


def factorised(
    X: torch.Tensor,
    trunk: Trunk,
    weight: torch.Tensor,
    factor: torch.Tensor | None,
    *,
    budget: Budget,
    step: int | None,
    whole: bool,
    tick: Callable[[int], object],
) -> Iterator[Block]:
    """Deviations of ``J[n] = weight @ A[n]``: one product and one absolute row sum per sample and block of voxels.

    Parameters
    ----------
    X : (n_samples, ...)
    trunk : Trunk
        Gives A, ``(n, n_hidden, n_features)``.
    weight : (n_voxels, n_hidden)
    factor : (n_features, rank) or None
    budget : Budget
        What to work in, beside X, the weight and (if ``whole``) the deviations.
    step : int or None
        Voxels per product; None chooses.
    whole : bool
        Give all voxels in one block, because the caller keeps their deviations anyway.
    tick : callable
        Told of every voxel that is done.
    """
    n_samples, (n_voxels, n_hidden), n_features = len(X), weight.shape, X[0].numel()
    layout = _layout(n_samples, n_voxels, n_hidden, n_features, factor, trunk, X, budget, whole)
    if trunk.constant:
        A = Means(trunk.jacobians(X[:1])[0], lambda: iter(()))
    else:
        A = centre(lambda chunk: trunk.jacobians(X[chunk]), n_samples, layout.samples, layout.keep)
    # sum over samples of Q either from H x H sums made once, or from every voxel's own row, whichever is less work.
    rank = 0 if factor is None else factor.shape[1]
    by_voxel = factor is not None and n_voxels * n_features < n_hidden * (n_hidden + n_features)
    scatter = None if factor is None or by_voxel else weight.new_zeros(n_hidden, n_hidden, dtype=torch.float64)
    for voxels in spans(n_voxels, layout.voxels):
        W = weight[voxels]
        deviation = W.new_zeros(n_samples, len(W))
        dispersion = W.new_zeros(len(W), dtype=torch.float64)
        for chunk, dA in A.deviations():
            if scatter is not None and voxels.start == 0:
                scatter += _scatter(dA, factor) / n_samples
            for part in spans(len(W), step or even_step(len(W), layout.rows)):
                for group in spans(len(dA), max(1, layout.rows // len(W[part]))):
                    dJ = torch.bmm(W[part].expand(group.stop - group.start, -1, -1), dA[group])
                    if by_voxel:
                        dispersion[part] += (dJ @ factor).square_().sum((0, 2)) / n_samples
                    rows = slice(chunk.start + group.start, chunk.start + group.stop)
                    deviation[rows, part] = dJ.abs_().sum(-1)
            tick(len(W) * len(dA))
        if trunk.constant:
            tick(len(W) * n_samples)
        gain, linear = W.new_zeros(2, len(W), dtype=torch.float64)
        AF = A.mean @ factor if rank else None
        for part in spans(len(W), layout.rows):
            gain[part] = (W[part] @ A.mean).abs_().sum(-1).double()
            if rank:
                linear[part] = (W[part] @ AF).square_().sum(-1).double()
            if scatter is not None:
                V = W[part].double()
                dispersion[part] = ((V @ scatter) * V).sum(-1)
        yield Block(voxels, deviation, gain, *((dispersion, linear) if rank else (None, None)))


@dataclass(frozen=True)
class _Layout:
    """Samples per chunk of trunk Jacobians, whether all are kept, rows per product, voxels per block."""

    samples: int
    keep: bool
    rows: int
    voxels: int


def _layout(n_samples, n_voxels, n_hidden, n_features, factor, trunk, like, budget, whole) -> _Layout:
    size, rank = like.element_size(), 0 if factor is None else factor.shape[1]
    jacobian = n_hidden * n_features * size
    fixed = n_hidden * n_features * (8 + size) + rank * n_hidden * size
    fixed += n_hidden * n_hidden * (16 + 2 * size) if rank else 0
    one = trunk.sample_bytes + 2 * rank * n_hidden * size
    row = (n_features + rank) * size
    column = 0 if whole else n_samples * size
    what, remedy = (
        f"a trunk of {n_hidden} hidden units and {n_features} features",
        "give covariance=False or fewer features",
    )
    free = budget.reserve(fixed + one + row + column, what, remedy).free
    tile = free / 8 if like.is_cuda else min(free / 8, 2e6)
    chunk = free / 4 if like.is_cuda else min(free / 4, 64e6)
    rows, samples = clamp(tile / row, 1, 2**16), clamp(chunk / one, 1, n_samples)
    voxels = n_voxels if whole else clamp(free / 8 / column, 1, n_voxels)
    used = samples * one + rows * row + voxels * column
    return _Layout(samples, n_samples * jacobian + used <= free, rows, voxels)


def _scatter(dA: torch.Tensor, factor: torch.Tensor) -> torch.Tensor:
    """``sum_n dA[n] Sigma dA[n]^T``, ``(n_hidden, n_hidden)``, float64."""
    G = (dA @ factor).transpose(0, 1).flatten(1)
    return (G @ G.T).double()


def by_rows(
    X: torch.Tensor,
    derivative: Derivative,
    n_voxels: int,
    factor: torch.Tensor | None,
    *,
    budget: Budget,
    step: int | None,
    tick: Callable[[int], object],
) -> Iterator[Block]:
    """Deviations of any function's Jacobian in reverse mode, one backward pass per voxel."""
    n_samples, n_features = len(X), X[0].numel()
    rows, samples, keep = plan(n_samples, n_voxels, n_features, derivative, X, budget, step)

    # A function of its own, so that what it keeps is gone before the next block is computed.
    def block(voxels: slice) -> Block:
        outputs = unit_vectors(voxels, n_voxels, X)
        J = centre(lambda chunk: derivative.product(X[chunk], outputs), n_samples, samples, keep)
        deviation = X.new_zeros(n_samples, len(outputs))
        dispersion = X.new_zeros(len(outputs), dtype=torch.float64)
        for chunk, dJ in J.deviations():
            if factor is not None:
                dispersion += (dJ @ factor).square_().sum((0, 2)) / n_samples
            deviation[chunk] = dJ.abs_().sum(-1)
            tick(len(outputs) * len(dJ))
        gain = J.mean.abs().sum(-1).double()
        if factor is None:
            return Block(voxels, deviation, gain, None, None)
        return Block(voxels, deviation, gain, dispersion, (J.mean @ factor).square_().sum(-1).double())

    yield from map(block, spans(n_voxels, rows))


def by_columns(
    X: torch.Tensor,
    derivative: Derivative,
    n_voxels: int,
    factor: torch.Tensor | None,
    *,
    budget: Budget,
    tick: Callable[[int], object],
) -> Iterator[Block]:
    """The same in forward mode, one pass per feature (and per column of the factor); all voxels in one block."""
    n_samples, n_features = len(X), X[0].numel()
    columns, samples, keep = plan(n_samples, n_features, n_voxels, derivative, X, budget, None)
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
        tick(n_samples * n_voxels * len(J.mean) // n_features)

    def add_metric(columns_of_factor: slice) -> None:
        JF = centred(factor.T[columns_of_factor].contiguous())
        linear.add_(JF.mean.square().sum(0))
        for _, dJF in JF.deviations():
            dispersion.add_(dJF.square_().sum((0, 1)) / n_samples)

    for features in spans(n_features, columns):
        add_features(features)
    if factor is None:
        yield Block(slice(0, n_voxels), deviation, gain, None, None)
        return
    for columns_of_factor in spans(factor.shape[1], columns):
        add_metric(columns_of_factor)
    yield Block(slice(0, n_voxels), deviation, gain, dispersion, linear)
