"""One problem, a residual network at random weights, and the ways to its Jacobian-based measures that are compared."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch

from jne import nonlinearity
from jne._core import spans
from jne.encoders import ResidualNetwork


@dataclass(frozen=True)
class Case:
    """Sizes of a problem: N samples, V voxels, D features, H hidden units."""

    N: int
    V: int
    D: int = 768
    H: int = 1024

    @property
    def flops(self) -> int:
        """Operations of the readout product, 1 gemm."""
        return 2 * self.N * self.V * self.H * self.D

    @property
    def jacobian_bytes(self) -> int:
        """Size of the whole Jacobian in float32."""
        return 4 * self.N * self.V * self.D


class Problem:
    """Network, samples, a feature covariance of full rank, and trunk Jacobians to multiply (standard normal)."""

    def __init__(self, case: Case, dtype: torch.dtype = torch.float32, product: bool = True):
        torch.manual_seed(0)
        self.case = case
        self.network = ResidualNetwork(case.D, case.H, case.V, n_blocks=2, activation="relu").to(dtype).eval()
        self.X = torch.randn(case.N, case.D).to(dtype)
        root = torch.randn(case.D, case.D, dtype=torch.float64) / case.D**0.5
        self.covariance = root @ root.T + 0.1 * torch.eye(case.D, dtype=torch.float64)
        self.A = torch.randn(case.N if product else 0, case.H, case.D).to(dtype)
        self.block = torch.zeros(case.V if product else 0, case.D, dtype=dtype)

    def one(self, x: torch.Tensor) -> torch.Tensor:
        """The network at one sample, as torch.func wants it."""
        return self.network(x[None])[0]


def gemm(problem: Problem) -> None:
    """The readout product of every sample, into memory that is there already."""
    weight = problem.network.readout.weight.detach()
    for A in problem.A:
        torch.mm(weight, A, out=problem.block)


def ours(problem: Problem, **options):
    """`jne.nonlinearity`, with its defaults but for ``options``."""
    return nonlinearity(problem.network, problem.X, device="cpu", **options)


def backward_per_voxel(problem: Problem, n_voxels: int | None = None) -> dict[str, torch.Tensor]:
    """One backward pass per voxel, the Jacobian kept, then the measures; of the first ``n_voxels`` if given."""
    X = problem.X.clone().requires_grad_()
    Y = problem.network(X)
    J = X.new_empty(len(X), n_voxels or Y.shape[1], X.shape[1])
    for v in range(J.shape[1]):
        J[:, v] = torch.autograd.grad(Y[:, v].sum(), X, retain_graph=True)[0]
    return measures([J])


def reverse_mode(problem: Problem, n_voxels: int | None = None, samples: int = 8, chunk: int = 500):
    """``vmap(jacrev)``, ``samples`` samples and ``chunk`` voxels at a time, kept; of ``n_voxels`` voxels if given."""
    derivative = torch.func.jacrev(lambda x: problem.one(x)[:n_voxels], chunk_size=chunk)
    return measures(list(_jacobians(problem, derivative, samples)))


def forward_mode(problem: Problem, samples: int = 2) -> dict[str, torch.Tensor]:
    """``vmap(jacfwd)``, ``samples`` samples at a time, the Jacobian kept."""
    return measures(list(_jacobians(problem, torch.func.jacfwd(problem.one), samples)))


def forward_mode_twice(problem: Problem, samples: int = 2) -> dict[str, torch.Tensor]:
    """The same where the Jacobian does not fit: once for the mean, once more for the deviations from it."""
    derivative = torch.func.jacfwd(problem.one)
    mean = sum(J.sum(0) for J in _jacobians(problem, derivative, samples)) / len(problem.X)
    delta = [(J - mean).abs_().sum(-1) for J in _jacobians(problem, derivative, samples)]
    return _over_samples(torch.cat(delta))


def _jacobians(problem: Problem, derivative: Callable, samples: int) -> Iterator[torch.Tensor]:
    for block in spans(len(problem.X), samples):
        with torch.no_grad():
            yield torch.func.vmap(derivative)(problem.X[block])


def closed_form(problem: Problem, samples: int = 2) -> dict[str, torch.Tensor]:
    """The paper's equation 8: slopes of the activations recorded, one product for each way through the skips, kept.

    ``J = W D0 W0 + W D1 W1 D0 W0 + W D2 W2 D0 W0 + W D2 W2 D1 W1 D0 W0`` with D the diagonal slopes of a sample, each
    product taken from the right, which is least work, and what two of them have in common taken once.
    """
    network, W = problem.network, problem.network.readout.weight.detach()
    layers = [layer.weight.detach() for layer in (network.first, *network.blocks)]
    parts = []
    for block in spans(len(problem.X), samples):
        slopes = _slopes(network, problem.X[block])
        straight = slopes[0][:, :, None] * layers[0]
        first, second = (slope[:, :, None] * (V @ straight) for slope, V in zip(slopes[1:], layers[1:], strict=True))
        both = slopes[2][:, :, None] * (layers[2] @ first)
        J = W @ straight
        for way in (first, second, both):
            J += W @ way
        parts.append(J)
    return measures(parts)


@torch.no_grad()
def _slopes(network: ResidualNetwork, X: torch.Tensor) -> list[torch.Tensor]:
    """Slopes of the three activations, ``(n, H)`` each: of ReLU, whether what comes in is above 0."""
    before = network.first(X)
    slopes, hidden = [(before > 0).to(X)], network.activation(before)
    for layer in network.blocks:
        before = layer(hidden)
        slopes.append((before > 0).to(X))
        hidden = network.activation(before) + hidden
    return slopes


def measures(parts: Sequence[torch.Tensor]) -> dict[str, torch.Tensor]:
    """JNE and mean deviation from Jacobians that are held, ``(n, V, D)`` each."""
    mean = sum(J.sum(0) for J in parts) / sum(map(len, parts))
    return _over_samples(torch.cat([(J - mean).abs_().sum(-1) for J in parts]))


def _over_samples(delta: torch.Tensor) -> dict[str, torch.Tensor]:
    delta = delta.double()
    return {"jne": delta.std(0, correction=0), "mean_deviation": delta.mean(0)}
