"""Deviations of ``J[n] = W A[n]`` whose rows are z-scored over features, in two passes of the product.

``Z[n, v, d] = (J[n, v, d] - mean_d J) / sd_d J`` divides every row by its own size, so that its mean over samples is no
product of the readout with anything: the first pass is for ``Zbar``, the second for the deviations from it. The mean
over features is one, though: rows of the product are centred where those of the trunk's Jacobian are.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch

from jne._core import spans
from jne.jacobians.engine import Trunk
from jne.measures.deviations import Block, Work
from jne.measures.factorised import (
    counted,
    dispersion_rows,
    metric_by_voxel,
    plan_tiles,
    products,
    readout_products,
    side_by_side,
    trunk_means,
)
from jne.measures.readings import spread


def factorised_zscored(work: Work, trunk: Trunk, weight: torch.Tensor) -> Iterator[Block]:
    """As `jne.measures.factorised`, of z-scored rows; dispersion and linear are those of the Jacobian as it is."""
    X, factor, reading = work.X, work.factor, work.reading
    (n_voxels, n_hidden), n_features, rank = weight.shape, *factor.shape
    n_samples = 1 if trunk.constant else len(X)
    tiling = plan_tiles(work, trunk, weight)
    # Raw: a small row is z-scored like a large one, and what is left of it after a difference would have lost digits.
    trunk = counted(work, trunk, tiling, n_hidden, n_voxels, each=2)
    A = trunk_means(trunk, X, tiling.samples, tiling.keep, raw=True)
    AF = A.mean @ factor
    factor_sum = factor.sum(0)
    by_voxel = metric_by_voxel(n_voxels, n_hidden, n_features, rank)
    S = None if by_voxel else X.new_zeros(n_hidden, n_hidden, dtype=torch.float64)
    for voxels in spans(n_voxels, tiling.voxels):
        W = weight[voxels]
        Jbar_mean = W @ A.mean.mean(-1)
        Jbar = W @ A.mean - Jbar_mean[:, None]
        total = Jbar.new_zeros(Jbar.shape, dtype=torch.float64)
        scales = deviation = W.new_zeros(n_samples, len(W))
        dispersion = W.new_zeros(len(W), dtype=torch.float64)
        for chunk, values in A.values():
            if S is not None and voxels.start == 0:
                G = side_by_side((values - A.mean) @ factor)
                S += (G @ G.T).double() / n_samples
            means = values.mean(-1)
            for samples, part, J in products(W, values - means[..., None], tiling.rows, work.step):
                mean = means[samples] @ W[part].T
                if S is None and rank:
                    dJ = (J - Jbar[part]) @ factor + (mean - Jbar_mean[part])[..., None] * factor_sum
                    dispersion[part] += dJ.square_().sum((0, 2)) / n_samples
                scale = spread(mean, torch.linalg.vector_norm(J, dim=-1) / n_features**0.5)
                scales[chunk][samples, part] = scale
                total[part] += J.div_(scale[..., None]).sum(0)
        Zbar = total.div_(n_samples).to(W)
        for chunk, values in A.values():
            for samples, part, J in products(W, values - values.mean(-1, keepdim=True), tiling.rows, work.step):
                scale = scales[chunk][samples, part]
                # The deviation takes the place of the row's standard deviation, which nothing needs any more.
                scale[:] = reading.size(J.div_(scale[..., None]).sub_(Zbar[part]))
            work.tick(len(W) * len(values))
        if S is not None:
            dispersion = readout_products(W, S, W, dispersion_rows(tiling.rows, n_hidden, n_features))
        linear = torch.cat([(V @ AF).square_().sum(-1).double() for V in W.split(tiling.rows)])
        if trunk.constant:  # one row for all samples
            deviation = deviation.repeat(len(X), 1)
            work.tick(len(W) * (len(X) - 1))
        yield Block(voxels, deviation, reading.size(Zbar).double(), dispersion, linear)
