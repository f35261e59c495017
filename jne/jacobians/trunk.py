"""Jacobians of what comes before the linear readout, ``A[n] = d trunk(x_n) / d x``, ``(n, n_hidden, n_features)``.

By `jne.jacobians.chain_rule` where a trunk is made of what that knows, else by `jne.jacobians.derivatives`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch

from jne._core import Budget, clamp, matrix_precision, spans
from jne.jacobians.calls import Call, as_outputs, close
from jne.jacobians.chain_rule import Activation, Linear, chain_rule, concatenate, recognise
from jne.jacobians.derivatives import Derivative, differentiate, pull_autograd


@dataclass(frozen=True)
class Trunk:
    """How the Jacobians of a trunk are made: ``jacobians`` is ``X (n, ...) -> (n, n_hidden, n_features)``."""

    mode: str  # products, or the mode of a `Derivative`
    jacobians: Callable[[torch.Tensor], torch.Tensor]
    sample_bytes: int  # what one sample needs while they are made
    derivative: Derivative | None = None  # by which they are made, where that takes passes
    constant: bool = False  # nothing in it is nonlinear; then there is one Jacobian, ``(1, n_hidden, n_features)``


@matrix_precision("float32")  # the rounding of TF32 would look like a wrong way
def make_trunk(module: Call, X: torch.Tensor, n_hidden: int, budget: Budget) -> Trunk:
    """The quickest right way to the Jacobians of ``module`` at samples like ``X``."""
    call, n_features, size = as_outputs(module), X[0].numel(), X.element_size()
    if (steps := recognise(module)) and X.ndim == 2:
        cotangent = torch.randn(1, n_hidden, generator=torch.Generator().manual_seed(0), device="cpu").to(X)
        jacobians = partial(chain_rule, steps)
        if close(cotangent @ jacobians(X), pull_autograd(call, X, cotangent)):
            operations = [step.operation for step in steps]
            layers = [operation.layer for operation in operations if isinstance(operation, Linear)]
            widths = [layer.out_features for layer in layers]
            if concatenate in operations:  # what is put side by side is read by a layer, or is what the trunk gives
                widths += [n_hidden, *(layer.in_features for layer in layers)]
            constant = not any(isinstance(operation, Activation) for operation in operations)
            return Trunk(
                "products", jacobians, 4 * size * n_features * max(widths, default=n_features), constant=constant
            )
    derivative = differentiate(call, X, n_hidden, forward=n_features <= n_hidden)
    directions = n_features if derivative.forward else n_hidden
    at_once = clamp((budget.free / 4 - derivative.sample_bytes) / derivative.direction_bytes, 1, directions)
    needed = 2 * size * n_hidden * n_features + derivative.sample_bytes + at_once * derivative.direction_bytes
    return Trunk(derivative.mode, lambda X: dense_jacobian(derivative, X, n_hidden, at_once), needed, derivative)


def dense_jacobian(derivative: Derivative, X: torch.Tensor, n_outputs: int, at_once: int) -> torch.Tensor:
    """All Jacobians of ``X``, ``(n, n_outputs, n_features)``, ``at_once`` directions at a time."""
    n_features = X[0].numel()
    J = X.new_empty(len(X), n_outputs, n_features)
    for block in spans(n_features if derivative.forward else n_outputs, at_once):
        if derivative.forward:
            J[:, :, block] = derivative.product(X, unit_vectors(block, n_features, X)).mT
        else:
            J[:, block] = derivative.product(X, unit_vectors(block, n_outputs, X))
    return J


def unit_vectors(block: slice, width: int, like: torch.Tensor) -> torch.Tensor:
    """Rows ``block`` of the identity matrix of size ``width``."""
    E = like.new_zeros(block.stop - block.start, width)
    E[:, block].fill_diagonal_(1)
    return E
