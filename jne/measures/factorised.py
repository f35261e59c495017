"""Deviations of ``J[n] = W A[n]``: a readout's weight W times the Jacobian A of the trunk before it.

One product and one absolute row sum per sample and block of voxels; `jne.measures.deviations` says what the sums are.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch

from jne._core import clamp, even_step, spans
from jne.jacobians.engine import Trunk
from jne.measures.deviations import Block, Means, Work, centre

# Shares of the free memory: products, trunk Jacobians on the way, and deviations of the voxels of one block.
_PRODUCTS, _TRUNK, _DEVIATIONS = 1 / 8, 1 / 4, 1 / 8
# More does not help a CPU, whose caches hold less; nor, in rows, any device.
_CPU_PRODUCTS, _CPU_TRUNK, _MOST_ROWS = 2e6, 64e6, 2**16


@dataclass(frozen=True)
class Tiling:
    """How much there is at a time."""

    samples: int  # trunk Jacobians made at a time
    keep: bool  # all samples' are held; else they are made once for their mean, and again for every block
    rows: int  # of a product, one for every sample and voxel in it
    voxels: int  # of a block
    enough: int  # bytes of working memory with which all samples' are held


def factorised(work: Work, trunk: Trunk, weight: torch.Tensor) -> Iterator[Block]:
    """Deviations of ``J[n] = weight @ A[n]`` with ``weight (n_voxels, n_hidden)`` and A the Jacobian of the trunk."""
    X, factor, reading = work.X, work.factor, work.reading
    n_samples, (n_voxels, n_hidden), n_features = len(X), weight.shape, len(factor)
    tiling = plan_tiles(work, trunk, weight)
    A = trunk_means(counted(work, trunk, tiling, n_hidden, n_voxels), X, tiling.samples, tiling.keep)
    AF = A.mean @ factor
    by_voxel = metric_by_voxel(n_voxels, n_hidden, n_features, factor.shape[1])
    S = None if by_voxel else X.new_zeros(n_hidden, n_hidden, dtype=torch.float64)
    for voxels in spans(n_voxels, tiling.voxels):
        W = weight[voxels]
        Jbar = None if reading.centred else W @ A.mean
        deviation = W.new_zeros(n_samples, len(W))
        dispersion = W.new_zeros(len(W), dtype=torch.float64)
        variance = W.new_zeros(len(W), n_features, dtype=torch.float64) if work.variance else None
        for chunk, dA in A.deviations():
            if S is not None and voxels.start == 0:
                G = side_by_side(dA @ factor)
                S += (G @ G.T).double() / n_samples
            for samples, part, dJ in products(W, dA, tiling.rows, work.step):
                if S is None:
                    dispersion[part] += (dJ @ factor).square_().sum((0, 2)) / n_samples
                if variance is not None:
                    variance[part] += dJ.square().sum(0) / n_samples
                if Jbar is not None:
                    dJ += Jbar[part]
                # delta[n, v] = sum_d |dJ[n, v, d]|
                deviation[chunk][samples, part] = reading.size(dJ)
            work.tick(len(W) * len(dA))
        if S is not None:
            dispersion = readout_products(W, S, W, dispersion_rows(tiling.rows, n_hidden, n_features))
        # gain[v] = sum_d |Jbar[v, d]| and Q0[v] = ||Jbar[v] F||^2, with Jbar = W Abar
        gain = torch.cat([reading.size(V @ A.mean).double() for V in W.split(tiling.rows)])
        linear = torch.cat([(V @ AF).square_().sum(-1).double() for V in W.split(tiling.rows)])
        if trunk.constant:
            deviation += 0 if reading.centred else gain
            work.tick(len(W) * n_samples)
        slopes = W @ A.mean if work.mean else None, None if variance is None else variance.to(X)
        yield Block(voxels, deviation, gain, dispersion, linear, *slopes)


def metric_by_voxel(n_voxels: int, n_hidden: int, n_features: int, rank: int) -> bool:
    """Whether Q takes less work by the voxel's own rows than by a matrix made once for all voxels.

    ``Q[v] = mean_n ||dJ[n, v] F||^2``, or ``Q[v] = W[v] S W[v]^T`` with ``S = mean_n dA[n] Sigma dA[n]^T`` (n_hidden,
    n_hidden).
    """
    return rank == 0 or n_voxels * n_features < n_hidden * (n_hidden + n_features)


def counted(work: Work, trunk: Trunk, tiling: Tiling, n_hidden: int, n_voxels: int, each: int = 1) -> Trunk:
    """The trunk, each of whose passes is counted, after it is told how many there will be, ``each`` for a block."""
    derivative = trunk.derivative
    if derivative is None:
        return trunk
    per_sample = len(work.factor) if derivative.forward else n_hidden
    times = 1 if tiling.keep else 1 + each * -(-n_voxels // tiling.voxels)
    work.passes.begin(derivative.product, work.X, per_sample, per_sample, times, tiling.enough)

    def jacobians(X: torch.Tensor) -> torch.Tensor:
        found = trunk.jacobians(X)
        work.passes.tick(per_sample * len(X))
        return found

    return replace(trunk, jacobians=jacobians)


def trunk_means(trunk: Trunk, X: torch.Tensor, samples: int, keep: bool, raw: bool = False) -> Means:
    """Mean and deviations of a trunk's Jacobians; one that is the same at all samples has no deviations."""
    if trunk.constant:
        mean = trunk.jacobians(X[:1])[0]
        return Means(mean, lambda: iter(()), lambda: iter([(slice(None), mean[None])]))
    return centre(lambda chunk: trunk.jacobians(X[chunk]), len(X), samples, keep, raw=raw)


def side_by_side(G: torch.Tensor) -> torch.Tensor:
    """``(n, n_hidden, rank)`` as ``(n_hidden, n rank)``."""
    return G.transpose(0, 1).flatten(1)


def dispersion_rows(tiling_rows: int, n_hidden: int, n_features: int) -> int:
    """How many rows of a readout, three times over in float64, take what so many rows of a product do in float32."""
    return clamp(tiling_rows * n_features / (6 * n_hidden), 1, tiling_rows)


def readout_products(W1: torch.Tensor, S: torch.Tensor, W2: torch.Tensor, rows: int) -> torch.Tensor:
    """``W1[v] S W2[v]^T`` of every voxel, float64, ``rows`` voxels at a time."""
    return torch.cat([((W1[v].double() @ S) * W2[v].double()).sum(1) for v in spans(len(W1), rows)])


def products(
    W: torch.Tensor, dA: torch.Tensor, rows: int, step: int | None
) -> Iterator[tuple[slice, slice, torch.Tensor]]:
    """Samples, voxels and their ``dJ[n] = W dA[n]``; ``rows`` rows at a time, or ``step`` voxels of a sample."""
    for part in spans(len(W), step or even_step(len(W), rows)):
        n_voxels = part.stop - part.start
        for samples in spans(len(dA), max(1, rows // n_voxels)):
            yield samples, part, torch.bmm(W[part].expand(samples.stop - samples.start, -1, -1), dA[samples])


def _remedy(work: Work, trunk: Trunk, least: int, n_hidden: int, n_voxels: int) -> str:
    """What takes less memory than the Jacobian of a trunk does, and helps."""
    rank, size = work.factor.shape[1], work.factor.element_size()
    remedies = ["fewer features" if work.X.ndim == 2 else "smaller inputs"]
    # The factor's own part: its products with the trunk's Jacobian, of the mean, of a sample and of a row.
    if rank and work.budget.reserved + least - size * rank * (3 * n_hidden + 1) <= work.budget.limit:
        remedies.insert(0, "covariance=False (without the nonlinear share)")
    if trunk.derivative is not None:
        remedies.append(
            f"readout=False, which holds one row of a Jacobian at a time and takes {n_voxels:,} passes a sample, one "
            f"for each voxel, instead of {n_hidden:,}"
        )
    return f"give {', or '.join(remedies)}"


def plan_tiles(work: Work, trunk: Trunk, weight: torch.Tensor) -> Tiling:
    """How much of a problem to have at a time, or a ValueError where not even the least of it fits."""
    n_samples, (n_voxels, n_hidden), (n_features, rank) = len(work.X), weight.shape, work.factor.shape
    size, reading = weight.element_size(), work.reading
    # Beside the tiles: Abar in both precisions and its product with F; S in float64 and what is added to it.
    held = n_hidden * n_features * (8 + size) + rank * n_hidden * size
    held += 0 if metric_by_voxel(n_voxels, n_hidden, n_features, rank) else n_hidden * n_hidden * (16 + 2 * size)
    sample = trunk.sample_bytes + 2 * rank * n_hidden * size
    row, share = (n_features + rank) * size, _DEVIATIONS
    column = (0 if work.whole else n_samples * size) + work.slope_bytes(size) * n_features
    row += n_features * size * work.variance  # the squares of a product
    if not reading.centred:
        column += n_features * size  # Jbar
    if reading.zscore:
        # The sum of z-scored rows in float64, their mean and Jbar; deviations come in blocks even if all are kept.
        column, row, share = n_samples * size + n_features * (8 + 2 * size), row + n_features * size, 2 * _DEVIATIONS
        sample += n_hidden * n_features * size  # raw values less their mean
    what = f"a trunk of {n_hidden} hidden units and {n_features} features"
    least = held + sample + row + column
    free = work.budget.reserve(least, what, _remedy(work, trunk, least, n_hidden, n_voxels)).free
    products, chunk = free * _PRODUCTS, free * _TRUNK
    if not work.X.is_cuda:
        products, chunk = min(products, _CPU_PRODUCTS), min(chunk, _CPU_TRUNK)
    rows, samples = clamp(products / row, 1, _MOST_ROWS), clamp(chunk / sample, 1, n_samples)
    voxels = clamp(free * share / column, 1, n_voxels) if column else n_voxels
    voxels = even_step(n_voxels, voxels) if reading.zscore else voxels
    kept = n_samples * n_hidden * n_features * size
    needed = kept + samples * sample + rows * row + voxels * column
    return Tiling(samples, needed <= free, rows, voxels, work.budget.limit + needed - free)
