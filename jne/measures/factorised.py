"""Deviations of ``J[n] = W A[n]``: a readout's weight W times the Jacobian A of the trunk before it.

One product and one absolute row sum per sample and block of voxels; `jne.measures.deviations` says what the sums are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

import torch

from jne._core import Budget, clamp, even_step, spans
from jne.jacobians.engine import Trunk
from jne.measures.deviations import Block, Means, centre

# Shares of the free memory: products, trunk Jacobians on the way, and deviations of the voxels of one block.
_PRODUCTS, _TRUNK, _DEVIATIONS = 1 / 8, 1 / 4, 1 / 8
# More does not help a CPU, whose caches hold less; nor, in rows, any device.
_CPU_PRODUCTS, _CPU_TRUNK, _MOST_ROWS = 2e6, 64e6, 2**16


@dataclass(frozen=True)
class Tiling:
    """How much there is at a time.

    Attributes
    ----------
    samples : int
        Trunk Jacobians made at a time.
    keep : bool
        Whether those of all samples are held; else they are made once for their mean, and again for every block.
    rows : int
        Rows of a product, one for every sample and voxel in it.
    voxels : int
        Voxels of a block.
    """

    samples: int
    keep: bool
    rows: int
    voxels: int


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
    """Deviations of ``J[n] = weight @ A[n]``, block by block.

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
    n_samples = len(X)
    tiling = _tiling(X, trunk, weight, factor, budget, whole)
    if trunk.constant:
        A = Means(trunk.jacobians(X[:1])[0], lambda: iter(()))
    else:
        A = centre(lambda chunk: trunk.jacobians(X[chunk]), n_samples, tiling.samples, tiling.keep)
    metric = None if factor is None else _metric(weight, factor, n_samples)
    AF = None if factor is None else A.mean @ factor
    for voxels in spans(len(weight), tiling.voxels):
        W = weight[voxels]
        deviation = W.new_zeros(n_samples, len(W))
        for chunk, dA in A.deviations():
            if metric and voxels.start == 0:
                metric.add_trunk(dA)
            for samples, part, dJ in _products(W, dA, tiling.rows, step):
                if metric:
                    metric.add_product(_within(voxels, part), dJ)
                # delta[n, v] = sum_d |dJ[n, v, d]|
                deviation[_within(chunk, samples), part] = dJ.abs_().sum(-1)
            tick(len(W) * len(dA))
        if trunk.constant:
            tick(len(W) * n_samples)
        # gain[v] = sum_d |Jbar[v, d]|, with Jbar = W Abar
        gain = _by_row(W, tiling.rows, lambda V: (V @ A.mean).abs_().sum(-1).double())
        if metric is None or AF is None:
            yield Block(voxels, deviation, gain, None, None)
        else:
            # Q0[v] = ||Jbar[v] F||^2
            linear = _by_row(W, tiling.rows, lambda V: (V @ AF).square_().sum(-1).double())
            yield Block(voxels, deviation, gain, metric.dispersion(voxels, W, tiling.rows), linear)


def _products(
    W: torch.Tensor, dA: torch.Tensor, rows: int, step: int | None
) -> Iterator[tuple[slice, slice, torch.Tensor]]:
    """Samples, voxels and their ``dJ[n] = W dA[n]``; ``rows`` rows at a time, or ``step`` voxels of a sample."""
    for part in spans(len(W), step or even_step(len(W), rows)):
        n_voxels = part.stop - part.start
        for samples in spans(len(dA), max(1, rows // n_voxels)):
            yield samples, part, torch.bmm(W[part].expand(samples.stop - samples.start, -1, -1), dA[samples])


def _within(outer: slice, inner: slice) -> slice:
    return slice(outer.start + inner.start, outer.start + inner.stop)


def _by_row(W: torch.Tensor, rows: int, function: Callable[[torch.Tensor], torch.Tensor]) -> torch.Tensor:
    """``function`` of ``rows`` voxels at a time, ``(n_voxels,)``."""
    return torch.cat([function(W[part]) for part in spans(len(W), rows)])


class _Dispersion(Protocol):
    """Sums up ``Q[v] = mean_n ||dJ[n, v] F||^2``."""

    def add_trunk(self, dA: torch.Tensor) -> None:
        """Take notice of the trunk's deviations ``(n, n_hidden, n_features)``, of every sample once."""

    def add_product(self, voxels: slice, dJ: torch.Tensor) -> None:
        """Take notice of ``dJ (n, voxels, n_features)``, of every sample and voxel once."""

    def dispersion(self, voxels: slice, W: torch.Tensor, rows: int) -> torch.Tensor:
        """Q of voxels whose readout is ``W``, float64, after all samples."""
        ...


class _ByVoxel:
    """Q from the voxel's own rows, ``dJ F``."""

    def __init__(self, weight: torch.Tensor, factor: torch.Tensor, n_samples: int):
        self.factor, self.n_samples = factor, n_samples
        self.Q = weight.new_zeros(len(weight), dtype=torch.float64)

    def add_trunk(self, dA: torch.Tensor) -> None:
        pass

    def add_product(self, voxels: slice, dJ: torch.Tensor) -> None:
        self.Q[voxels] += (dJ @ self.factor).square_().sum((0, 2)) / self.n_samples

    def dispersion(self, voxels: slice, W: torch.Tensor, rows: int) -> torch.Tensor:
        return self.Q[voxels]


class _ByHiddenUnit:
    """Q as ``W[v] S W[v]^T`` with ``S = mean_n dA[n] Sigma dA[n]^T (n_hidden, n_hidden)``, made once for all voxels."""

    def __init__(self, weight: torch.Tensor, factor: torch.Tensor, n_samples: int):
        self.factor, self.n_samples = factor, n_samples
        self.S = weight.new_zeros(weight.shape[1], weight.shape[1], dtype=torch.float64)

    def add_trunk(self, dA: torch.Tensor) -> None:
        G = (dA @ self.factor).transpose(0, 1).flatten(1)
        self.S += (G @ G.T).double() / self.n_samples

    def add_product(self, voxels: slice, dJ: torch.Tensor) -> None:
        pass

    def dispersion(self, voxels: slice, W: torch.Tensor, rows: int) -> torch.Tensor:
        def quadratic_form(V: torch.Tensor) -> torch.Tensor:
            V = V.double()
            return ((V @ self.S) * V).sum(-1)

        return _by_row(W, rows, quadratic_form)


def _metric(weight: torch.Tensor, factor: torch.Tensor, n_samples: int) -> _Dispersion:
    """The way to Q with less work: of every sample, products with F of n_voxels rows, or of n_hidden rows and S."""
    (n_voxels, n_hidden), n_features = weight.shape, len(factor)
    by_voxel = n_voxels * n_features < n_hidden * (n_hidden + n_features)
    return (_ByVoxel if by_voxel else _ByHiddenUnit)(weight, factor, n_samples)


def _tiling(
    X: torch.Tensor, trunk: Trunk, weight: torch.Tensor, factor: torch.Tensor | None, budget: Budget, whole: bool
) -> Tiling:
    n_samples, (n_voxels, n_hidden), n_features = len(X), weight.shape, X[0].numel()
    size, rank = X.element_size(), 0 if factor is None else factor.shape[1]
    # Beside the tiles: Abar in both precisions and its product with F; S in float64 and what is added to it.
    held = n_hidden * n_features * (8 + size) + rank * n_hidden * size
    held += n_hidden * n_hidden * (16 + 2 * size) if rank else 0
    sample = trunk.sample_bytes + 2 * rank * n_hidden * size
    row = (n_features + rank) * size
    column = 0 if whole else n_samples * size
    what = f"a trunk of {n_hidden} hidden units and {n_features} features"
    free = budget.reserve(held + sample + row + column, what, "give covariance=False or fewer features").free
    products, chunk = free * _PRODUCTS, free * _TRUNK
    if not X.is_cuda:
        products, chunk = min(products, _CPU_PRODUCTS), min(chunk, _CPU_TRUNK)
    rows, samples = clamp(products / row, 1, _MOST_ROWS), clamp(chunk / sample, 1, n_samples)
    voxels = n_voxels if whole else clamp(free * _DEVIATIONS / column, 1, n_voxels)
    kept = n_samples * n_hidden * n_features * size
    return Tiling(samples, kept + samples * sample + rows * row + voxels * column <= free, rows, voxels)
