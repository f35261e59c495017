"""Jacobians of what comes before the linear readout, ``A[n] = d trunk(x_n) / d x``, ``(n, n_hidden, n_features)``.

A trunk made of linear layers, elementwise activations and sums is recognised, and its chain rule is written out as
matrix products; where an activation's slope is 0 (half of a ReLU layer) the rows and columns are left out. Any other
trunk is differentiated by `jne.jacobians.derivatives`.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import fx, nn
from torch.nn import functional as F

from jne._core import Budget, clamp, spans
from jne.jacobians.calls import as_outputs, close
from jne.jacobians.derivatives import Derivative, differentiate, pull_autograd

_ACTIVATIONS = (
    nn.ReLU, nn.LeakyReLU, nn.ReLU6, nn.GELU, nn.SiLU, nn.Mish, nn.ELU, nn.SELU, nn.CELU, nn.Tanh, nn.Sigmoid,
    nn.LogSigmoid, nn.Softplus, nn.Softsign, nn.Hardtanh, nn.Hardswish, nn.Hardsigmoid, nn.Tanhshrink,
)  # fmt: skip
_ACTIVATION_FUNCTIONS = {
    torch.relu, torch.tanh, torch.sigmoid, F.relu, F.leaky_relu, F.relu6, F.gelu, F.silu, F.mish, F.elu, F.selu, F.celu,
    F.tanh, F.sigmoid, F.logsigmoid, F.softplus, F.softsign, F.hardtanh, F.hardswish, F.hardsigmoid,
}  # fmt: skip
_ACTIVATION_METHODS = {"relu", "relu_", "tanh", "sigmoid"}
_PASSED_ON = (nn.Identity, nn.Dropout)
_SUMS = {operator.add, operator.iadd, torch.add}
# Leaving out zero rows pays once products are large against a copy of their rows.
_MASK_FROM = 2**22


@dataclass(frozen=True)
class Trunk:
    """How the Jacobians of a trunk are made.

    Attributes
    ----------
    mode : str
        ``products``, or the mode of `jne.jacobians.Derivative`.
    jacobians : callable
        ``X (n, ...) -> (n, n_hidden, n_features)``.
    sample_bytes : int
        What one sample needs while they are made.
    constant : bool
        Whether there is nothing nonlinear in it; then one Jacobian, ``(1, n_hidden, n_features)``, is returned.
    """

    mode: str
    jacobians: Callable[[torch.Tensor], torch.Tensor]
    sample_bytes: int
    constant: bool = False


def make_trunk(module: nn.Module, X: torch.Tensor, n_hidden: int, budget: Budget) -> Trunk:
    """The quickest right way to the Jacobians of ``module`` at samples like ``X``."""
    call, n_features, size = as_outputs(module), X[0].numel(), X.element_size()
    if (steps := _recognise(module)) and X.ndim == 2:
        cotangent = torch.randn(1, n_hidden, generator=torch.Generator().manual_seed(0)).to(X)
        jacobians = lambda X: _chain_rule(steps, X)  # noqa: E731
        if close(cotangent @ jacobians(X), pull_autograd(call, X, cotangent)):
            widths = [step.module.out_features for step in steps if isinstance(step.module, nn.Linear)]
            constant = not any(step.kind == "activation" for step in steps)
            return Trunk("products", jacobians, 4 * size * n_features * max(widths, default=n_features), constant)
    derivative = differentiate(call, X, n_hidden, forward=n_features <= n_hidden)
    directions = n_features if derivative.forward else n_hidden
    at_once = clamp((budget.free / 4 - derivative.sample_bytes) / derivative.direction_bytes, 1, directions)
    needed = 2 * size * n_hidden * n_features + derivative.sample_bytes + at_once * derivative.direction_bytes
    return Trunk(derivative.mode, lambda X: dense_jacobian(derivative, X, n_hidden, at_once), needed)


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


@dataclass(frozen=True)
class _Step:
    """One operation of a recognised trunk: its kind, its inputs (names of earlier steps) and what carries it out."""

    name: str
    kind: str
    inputs: tuple[str, ...]
    module: nn.Module | None = None
    function: Callable[[torch.Tensor], torch.Tensor] | None = None


def _recognise(module: nn.Module) -> list[_Step] | None:
    """The operations of a trunk of linear layers, activations and sums, in order; None for any other."""
    try:
        traced = fx.symbolic_trace(module)
    except Exception:  # a forward method may raise anything at all when it is traced; it is then not recognised
        return None
    modules = dict(traced.named_modules())
    steps = [_step(node, modules) for node in traced.graph.nodes]
    return None if None in steps else steps


def _step(node: fx.Node, modules: dict[str, nn.Module]) -> _Step | None:
    module = modules.get(node.target) if node.op == "call_module" else None
    inputs = tuple(arg.name for arg in node.args if isinstance(arg, fx.Node))
    constants = all(not isinstance(arg, fx.Node) for arg in (*node.args[1:], *node.kwargs.values()))

    def apply(x: torch.Tensor) -> torch.Tensor:
        if module is not None:
            return module(x.clone())
        function = node.target if node.op == "call_function" else getattr(torch.Tensor, node.target)
        return function(x.clone(), *node.args[1:], **node.kwargs)

    if node.op == "placeholder" and not node.prev.name:
        return _Step(node.name, "input", ())
    if node.op == "output" and len(inputs) == 1:
        return _Step(node.name, "same", inputs)
    if isinstance(module, _PASSED_ON) and len(inputs) == 1:
        return _Step(node.name, "same", inputs)
    if type(module) is nn.Linear and len(inputs) == 1:
        return _Step(node.name, "linear", inputs, module)
    if node.op == "call_function" and node.target in _SUMS and len(inputs) == 2 == len(node.args) and not node.kwargs:
        return _Step(node.name, "sum", inputs)
    known = (
        isinstance(module, _ACTIVATIONS)
        or (node.op == "call_function" and node.target in _ACTIVATION_FUNCTIONS)
        or (node.op == "call_method" and node.target in _ACTIVATION_METHODS)
    )
    return _Step(node.name, "activation", inputs, module, apply) if known and constants and len(inputs) == 1 else None


@dataclass(frozen=True)
class _Node:
    """Values ``h (n, k)`` at a step and their Jacobian, ``J (n or 1, k, n_features)`` or ``weight @ J``, not yet taken.

    ``active (n, k)`` marks the rows of J that may differ from 0; None is all of them.
    """

    h: torch.Tensor
    J: torch.Tensor | None
    active: torch.Tensor | None = None
    weight: torch.Tensor | None = None


def _chain_rule(steps: list[_Step], X: torch.Tensor) -> torch.Tensor:
    nodes: dict[str, _Node] = {}
    last_use = {name: i for i, step in enumerate(steps) for name in step.inputs}
    last_use[steps[-1].name] = len(steps)
    with torch.no_grad():
        for i, step in enumerate(steps):
            inputs = [nodes[name] for name in step.inputs]
            if step.kind == "input":
                nodes[step.name] = _Node(X, None)
            elif step.kind == "same":
                nodes[step.name] = inputs[0]
            elif step.kind == "linear":
                before = _settled(inputs[0])
                nodes[step.name] = replace(before, h=step.module(before.h), weight=step.module.weight)
            elif step.kind == "sum":
                busy = [node.J for name, node in nodes.items() if last_use[name] > i]
                nodes[step.name] = _sum(*(_settled(node) for node in inputs), busy)
            else:
                h, slope = _slope(step.function, inputs[0].h)
                nodes[step.name] = _Node(h, _scaled(inputs[0], slope), slope != 0)
            nodes = {name: node for name, node in nodes.items() if last_use.get(name, -1) > i}
        last = _settled(nodes[steps[-1].name])
        return _identity(X) if last.J is None else last.J


def _slope(function: Callable[[torch.Tensor], torch.Tensor], x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Values and derivatives of an elementwise function."""
    with torch.enable_grad():
        x = x.detach().requires_grad_()
        y = function(x)
        return y.detach(), torch.autograd.grad(y.sum(), x)[0]


def _identity(X: torch.Tensor) -> torch.Tensor:
    return torch.eye(X.shape[1], dtype=X.dtype, device=X.device)[None]


def _settled(node: _Node) -> _Node:
    """The node with its pending product taken."""
    if node.weight is None:
        return node
    J = node.weight[None] if node.J is None else _product(node.weight, node.J)
    return _Node(node.h, J)


def _product(weight: torch.Tensor, J: torch.Tensor) -> torch.Tensor:
    return torch.bmm(weight.expand(len(J), -1, -1), J)


def _sum(a: _Node, b: _Node, busy: list[torch.Tensor | None]) -> _Node:
    """The sum of two nodes, in the memory of one whose Jacobian is its own and not needed again."""
    active = None if a.active is None or b.active is None else a.active | b.active
    for one, other in ((a, b), (b, a)):
        own = one.active is not None and other.active is not None and one.J is not other.J
        if own and not any(one.J is J for J in busy):
            return _Node(a.h + b.h, one.J.add_(other.J), active)
    J_a, J_b = (_identity(node.h) if node.J is None else node.J for node in (a, b))
    return _Node(a.h + b.h, J_a + J_b, active)


def _scaled(node: _Node, slope: torch.Tensor) -> torch.Tensor:
    """``diag(slope[n]) J[n]`` of a node, where slopes of 0 save the rows of a pending product."""
    if node.weight is None:
        return slope[:, :, None] * (_identity(node.h) if node.J is None else node.J)
    if node.J is None:
        return slope[:, :, None] * node.weight
    if len(node.J) == 1:
        return slope[:, :, None] * _product(node.weight, node.J)
    work = node.weight.numel() * node.J.shape[2]
    if node.J.is_cuda or work < _MASK_FROM or (slope != 0).sum() > 0.8 * slope.numel():
        return _product(node.weight, node.J).mul_(slope[:, :, None])
    out = slope.new_zeros(*slope.shape, node.J.shape[2])
    for i, row_slope in enumerate(slope):
        J = node.J[i]
        rows = row_slope.nonzero()[:, 0]
        weight = node.weight.index_select(0, rows)
        if node.active is not None:
            columns = node.active[i].nonzero()[:, 0]
            weight, J = weight.index_select(1, columns), J.index_select(0, columns)
        out[i].index_copy_(0, rows, (weight @ J).mul_(row_slope[rows, None]))
    return out
