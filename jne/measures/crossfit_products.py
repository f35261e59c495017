"""Products of two fits, voxel by voxel: of their Jacobians' deviations and means, and of their predictions.

With ``J1`` and ``J2`` the Jacobians of two functions of the same features and F a factor of the feature covariance,
``Sigma = F F^T``:

- ``nonlinear[v] = mean_n <J1[n, v] - J1bar[v], J2[n, v] - J2bar[v]>_Sigma`` (C)
- ``linear[v] = <J1bar[v], J2bar[v]>_Sigma`` (C0)
- ``residual[v]``: covariance of the predictions less the best linear map to each; ``predicted[v]``: their covariance

Where both functions end in a linear layer, ``J1[n] = W1 A1[n]`` and so on, and ``C[v]`` is ``W1[v] M W2[v]^T`` with
``M = mean_n dA1[n] Sigma dA2[n]^T``, hidden x hidden: no voxel is touched before M is complete.
"""

from __future__ import annotations

from collections.abc import Callable

import torch

from jne._core import Budget, clamp, spans
from jne.jacobians.engine import Problem, Readout, as_outputs, differentiate, linear_end, make_trunk, plan, unit_vectors
from jne.measures.deviations import centre
from jne.measures.factorised import readout_products, side_by_side, trunk_means

Pair = tuple[Problem, Problem]
Readouts = tuple[Readout, Readout]
Products = tuple[torch.Tensor, torch.Tensor]


@torch.no_grad()
def split_pair(pair: Pair) -> Readouts | None:
    """Trunk and readout weight of both functions; None where one of them does not end in a linear layer."""
    one, two = map(linear_end, pair)
    return None if one is None or two is None else (one, two)


def jacobian_products(
    pair: Pair, split: Readouts | None, factor: torch.Tensor, budget: Budget, step: int | None
) -> Products:
    """C and C0 of every voxel, ``(n_voxels,)`` each, float64, of two functions of the same samples in the same units.

    ``split`` is what `split_pair` gives of them, ``step`` how many voxels there are at a time; None chooses.
    """
    if split is None:
        return _general(pair, factor, budget, step)
    X, rank = pair[0].X, factor.shape[1]
    size, (n_samples, n_features) = X.element_size(), X.shape
    hidden = [weight.shape[1] for _, weight in split]
    fixed = sum(hidden) * n_features * (8 + size) + (16 + 2 * size) * hidden[0] * hidden[1]
    what = f"two trunks of {hidden[0]} and {hidden[1]} hidden units and {n_features} features"
    budget = budget.reserve(fixed, what, "give fewer features")
    trunks = [make_trunk(trunk, X[:2], weight.shape[1], budget) for trunk, weight in split]
    one = sum(trunk.sample_bytes for trunk in trunks) + size * 2 * rank * sum(hidden)
    budget = budget.reserve(one, what, "give fewer features")
    free = budget.free
    samples = clamp((free / 4 if X.is_cuda else min(free / 4, 64e6)) / one, 1, n_samples)
    keep = n_samples * sum(hidden) * n_features * size + samples * one <= free / 2
    A1, A2 = (trunk_means(trunk, X, samples, keep) for trunk in trunks)
    scatter = X.new_zeros(hidden, dtype=torch.float64)
    if not any(trunk.constant for trunk in trunks):
        for (_, dA1), (_, dA2) in zip(A1.deviations(), A2.deviations(), strict=True):
            scatter += (side_by_side(dA1 @ factor) @ side_by_side(dA2 @ factor).T).double()
    means = (A1.mean @ factor).double() @ (A2.mean @ factor).double().T
    rest = Budget(free // 4)
    return _readout_products(split, scatter / n_samples, rest, step), _readout_products(split, means, rest, step)


def _readout_products(split: Readouts, inner: torch.Tensor, budget: Budget, step: int | None) -> torch.Tensor:
    """``W1[v] inner W2[v]^T`` of every voxel."""
    (_, W1), (_, W2) = split
    row = 24 * (W1.shape[1] + W2.shape[1])
    return readout_products(W1, inner, W2, step or clamp(min(budget.free, 64e6) / row, 1, len(W1)))


def _general(pair: Pair, factor: torch.Tensor, budget: Budget, step: int | None) -> Products:
    """Any two functions, differentiated as the one function that gives the outputs of both side by side."""
    X, n_voxels, rank = pair[0].X, pair[0].n_voxels, factor.shape[1]
    calls = [problem.function() for problem in pair]
    derivative = differentiate(
        lambda x: torch.cat([call(x) for call in calls], 1), pair[0].probe, 2 * n_voxels, forward=rank < 2 * n_voxels
    )
    nonlinear, linear = X.new_zeros(2, n_voxels, dtype=torch.float64)

    # ``halve`` makes of a product ``J F (n, 2, n_voxels, columns)``.
    def add(voxels: slice, directions: torch.Tensor, halve: Callable, samples: int, keep: bool) -> None:
        JF = centre(lambda chunk: halve(derivative.product(X[chunk], directions)), len(X), samples, keep)
        linear[voxels] += (JF.mean[0].double() * JF.mean[1].double()).sum(-1)
        for _, dJF in JF.deviations():
            nonlinear[voxels] += (dJF[:, 0].double() * dJF[:, 1].double()).sum((0, -1)) / len(X)

    if derivative.forward:
        columns, samples, keep = plan(derivative, X, rank, 4 * n_voxels, budget, None)
        for block in spans(rank, columns):
            halve = lambda JF: JF.unflatten(2, (2, n_voxels)).permute(0, 2, 3, 1)  # noqa: E731
            add(slice(None), factor.T[block].contiguous(), halve, samples, keep)
        return nonlinear, linear
    wanted = None if step is None else 2 * step
    rows, samples, keep = plan(derivative, X, 2 * n_voxels, rank + X.shape[1], budget, wanted)
    for voxels in spans(n_voxels, max(1, rows // 2)):
        one = unit_vectors(voxels, n_voxels, X)
        add(voxels, torch.block_diag(one, one), lambda J: (J @ factor).unflatten(1, (2, -1)), samples, keep)
    return nonlinear, linear


def linear_basis(X: torch.Tensor) -> torch.Tensor:
    """Orthonormal basis ``(n_samples, n_features + 1)`` of the linear maps of X; the first vector is the constant."""
    ones = X.new_ones(len(X), 1, dtype=torch.float64)
    return torch.linalg.qr(torch.cat([ones, X.double()], 1)).Q


@torch.no_grad()
def prediction_products(
    pair: Pair, split: Readouts | None, X: torch.Tensor, basis: torch.Tensor, budget: Budget, step: int | None
) -> Products:
    """Covariance over the samples X of both functions' residuals from their linear maps, and of their predictions.

    ``basis`` is `linear_basis` of X. Both are ``(n_voxels,)``, float64, and unbiased: over the degrees of freedom that
    the linear map leaves.
    """
    if split is not None:
        calls, hidden = [as_outputs(trunk) for trunk, _ in split], [weight.shape[1] for _, weight in split]
        held = 24 * basis.shape[1] * sum(hidden) + 40 * hidden[0] * hidden[1]
        rest = budget.reserve(held, "the linear maps of two trunks", "give fewer features")
        residual, total = _covariances(calls, X, basis, lambda a, b: a.T @ b)
        return _readout_products(split, residual, rest, step), _readout_products(split, total, rest, step)
    n_voxels = pair[0].n_voxels
    calls = [problem.function() for problem in pair]
    column = 16 * (basis.shape[1] + 3)
    what, remedy = "the linear map of one voxel's predictions", "give fewer features"
    step = step or clamp(budget.reserve(column, what, remedy).free / 2 / column, 1, n_voxels)
    blocks = [_covariances(calls, X, basis, lambda a, b: (a * b).sum(0), voxels) for voxels in spans(n_voxels, step)]
    residuals, totals = zip(*blocks, strict=True)
    return torch.cat(residuals), torch.cat(totals)


def _covariances(
    calls: list[Callable[[torch.Tensor], torch.Tensor]],
    X: torch.Tensor,
    basis: torch.Tensor,
    multiply: Callable[[torch.Tensor, torch.Tensor], torch.Tensor],
    columns: slice = slice(None),
) -> Products:
    """`multiply` of residuals and of centred outputs, over their degrees of freedom, a few samples at a time."""
    products = one_map = two_map = X.new_zeros((), dtype=torch.float64)
    for chunk in spans(len(X), 256):
        one, two = (call(X[chunk])[:, columns].double() for call in calls)
        products = products + multiply(one, two)
        one_map, two_map = one_map + basis[chunk].T @ one, two_map + basis[chunk].T @ two
    residual, total = products - multiply(one_map, two_map), products - multiply(one_map[:1], two_map[:1])
    return residual / (len(X) - basis.shape[1]), total / (len(X) - 1)
