"""The chain rule of a trunk of linear layers, elementwise activations, sums and what is put side by side, as products.

Each operation makes a `Value`, what a step gives and its Jacobian, of the values that it reads. Where an
activation's slope is 0 (half of a ReLU layer) the rows and columns of the products are left out.
"""

from __future__ import annotations

import operator
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import fx, nn
from torch.nn import functional as F

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
_SIDE_BY_SIDE = {torch.cat, torch.concat, torch.concatenate}
# Leaving out zero rows pays once products are large against a copy of their rows.
_MASK_FROM = 2**22


@dataclass(frozen=True)
class Value:
    """What a step gives, and its Jacobian: ``weight @ J``, a product not yet taken, or without a weight J itself."""

    h: torch.Tensor  # ``(n, k)``
    J: torch.Tensor | None  # ``(n or 1, j, n_features)``, or None for the identity
    weight: torch.Tensor | None = None  # ``(k, j)``
    active: torch.Tensor | None = None  # ``(n, j)`` marks the rows of J that may differ from 0; None is all of them
    owned: bool = False  # nobody else refers to J, so that its memory may be used for the next one

    @property
    def jacobian(self) -> torch.Tensor:
        """``(n or 1, k, n_features)``."""
        J = self.settled().J
        return torch.eye(self.h.shape[1], dtype=self.h.dtype, device=self.h.device)[None] if J is None else J

    def settled(self) -> Value:
        """The value with its pending product taken."""
        if self.weight is None:
            return self
        if self.J is None:
            return Value(self.h, self.weight[None])  # the layer's own weight: never to be overwritten
        return Value(self.h, torch.bmm(self.weight.expand(len(self.J), -1, -1), self.J), owned=True)


def pass_on(value: Value) -> Value:
    """The value as it is: input, output, and modules that do nothing in evaluation."""
    return value


def add(a: Value, b: Value) -> Value:
    """``y = a + b``, so ``J_y = J_a + J_b``, in the memory of one of them where that is its own."""
    a, b = a.settled(), b.settled()
    active = None if a.active is None or b.active is None else a.active | b.active
    for one, other in ((a, b), (b, a)):
        if one.owned and one.J is not None and other.J is not None and len(one.J) >= len(other.J):
            return Value(a.h + b.h, one.J.add_(other.J), active=active, owned=True)
    return Value(a.h + b.h, a.jacobian + b.jacobian, active=active, owned=True)


def concatenate(*values: Value) -> Value:
    """``y = (a, b, ...)`` side by side, so ``J_y`` is ``J_a`` above ``J_b`` and so on; each was made on its own."""
    parts = [value.settled() for value in values]
    jacobians = [part.jacobian for part in parts]
    n = max(map(len, jacobians))
    active = None
    if any(part.active is not None for part in parts):
        active = torch.cat([torch.ones_like(p.h, dtype=torch.bool) if p.active is None else p.active for p in parts], 1)
    h = torch.cat([part.h for part in parts], 1)
    return Value(h, torch.cat([J.expand(n, -1, -1) for J in jacobians], 1), active=active, owned=True)


@dataclass(frozen=True)
class Linear:
    """``y = W x + b``, so ``J_y = W J_x``; the product waits for an activation, which may spare rows of it."""

    layer: nn.Linear

    def __call__(self, value: Value) -> Value:
        before = value.settled()
        return replace(before, h=self.layer(before.h), weight=self.layer.weight)


@dataclass(frozen=True)
class Activation:
    """``y = f(x)`` for every element, so ``J_y[n] = diag(f'(x[n])) J_x[n]``."""

    function: Callable[[torch.Tensor], torch.Tensor]

    def __call__(self, value: Value) -> Value:
        with torch.enable_grad():
            x = value.h.detach().requires_grad_()
            y = self.function(x.clone())  # it may write into its input
            slope = torch.autograd.grad(y.sum(), x)[0]
        return Value(y.detach(), _scaled(value, slope), active=slope != 0, owned=True)


@dataclass(frozen=True)
class Step:
    """One operation of a recognised trunk, its name, and the names of the steps that it reads; the input's is ""."""

    name: str
    operation: Callable[..., Value]
    inputs: tuple[str, ...]


def recognise(module: Callable[[torch.Tensor], torch.Tensor]) -> list[Step] | None:
    """The operations of a trunk of layers, activations, sums and concatenations, in order; None for any other."""
    # No code is written of the graph, which nobody runs, and no function of `math` looked for, which is not recognised.
    tracer = fx.Tracer(autowrap_modules=())  # type: ignore[arg-type]  # its annotation is that of one module
    try:
        graph = tracer.trace(module)
    except Exception:  # a forward method may raise anything at all when it is traced; it is then not recognised
        return None
    modules = dict(tracer.root.named_modules())
    nodes = list(graph.nodes)
    steps = [_step(node, modules.get(node.target) if node.op == "call_module" else None) for node in nodes]
    known = [step for step in steps if step is not None]
    return known if len(known) == len(nodes) else None


def chain_rule(steps: list[Step], X: torch.Tensor) -> torch.Tensor:
    """Jacobians ``(n or 1, n_outputs, n_features)`` of recognised steps at ``X (n, n_features)``."""
    readers = Counter(name for step in steps for name in step.inputs)
    last_use = {name: i for i, step in enumerate(steps) for name in step.inputs} | {steps[-1].name: len(steps)}
    values = {"": Value(X, None)}
    with torch.no_grad():
        for i, step in enumerate(steps):
            value = step.operation(*(values[name] for name in step.inputs))
            # What several steps read is nobody's own.
            values[step.name] = value if readers[step.name] < 2 else replace(value, owned=False)
            values = {name: kept for name, kept in values.items() if last_use.get(name, -1) > i}
        return values[steps[-1].name].jacobian


def _step(node: fx.Node, module: nn.Module | None) -> Step | None:
    inputs = tuple(arg.name for arg in node.args if isinstance(arg, fx.Node))
    if node.op == "placeholder":
        return None if node.prev.name else Step(node.name, pass_on, ("",))
    if node.op == "call_function" and node.target in _SUMS:
        return Step(node.name, add, inputs) if len(inputs) == 2 == len(node.args) and not node.kwargs else None
    if node.op == "call_function" and node.target in _SIDE_BY_SIDE:
        return _concatenation(node)
    if len(inputs) != 1:
        return None
    if node.op == "output" or isinstance(module, _PASSED_ON):
        return Step(node.name, pass_on, inputs)
    if type(module) is nn.Linear:
        return Step(node.name, Linear(module), inputs)
    function = _elementwise(node, module)
    return None if function is None else Step(node.name, Activation(function), inputs)


def _concatenation(node: fx.Node) -> Step | None:
    """``torch.cat`` of values along their features; None for any other."""
    given = {**dict(zip(("tensors", "dim"), node.args, strict=False)), **node.kwargs}
    tensors, dim = given.pop("tensors", None), given.pop("dim", 0)
    if given or dim not in (1, -1) or not isinstance(tensors, list | tuple) or not tensors:
        return None
    names = tuple(part.name for part in tensors if isinstance(part, fx.Node))
    return Step(node.name, concatenate, names) if len(names) == len(tensors) else None


def _elementwise(node: fx.Node, module: nn.Module | None) -> Callable[[torch.Tensor], torch.Tensor] | None:
    """The activation that a node computes of its first argument; None where it is none."""
    if any(isinstance(arg, fx.Node) for arg in (*node.args[1:], *node.kwargs.values())):
        return None
    function: Callable[..., torch.Tensor]
    if isinstance(module, _ACTIVATIONS):
        function = module
    elif node.op == "call_function" and callable(node.target) and node.target in _ACTIVATION_FUNCTIONS:
        function = node.target
    elif node.op == "call_method" and isinstance(node.target, str) and node.target in _ACTIVATION_METHODS:
        function = getattr(torch.Tensor, node.target)
    else:
        return None
    return lambda x: function(x, *node.args[1:], **node.kwargs)


def _scaled(value: Value, slope: torch.Tensor) -> torch.Tensor:
    """``diag(slope[n]) J[n]`` of a value, a new tensor; slopes of 0 save the rows of a pending product."""
    weight, J = value.weight, value.J
    if weight is None or J is None or len(J) == 1:
        return slope[:, :, None] * value.jacobian
    work = weight.numel() * J.shape[2]
    if J.is_cuda or work < _MASK_FROM or (slope != 0).sum() > 0.8 * slope.numel():
        return value.jacobian.mul_(slope[:, :, None])
    out = slope.new_zeros(*slope.shape, J.shape[2])
    for i, row_slope in enumerate(slope):
        rows = row_slope.nonzero()[:, 0]
        W, J_i = weight.index_select(0, rows), J[i]
        if value.active is not None:
            columns = value.active[i].nonzero()[:, 0]
            W, J_i = W.index_select(1, columns), J_i.index_select(0, columns)
        out[i].index_copy_(0, rows, (W @ J_i).mul_(row_slope[rows, None]))
    return out
