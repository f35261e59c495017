"""Products with per-sample Jacobians in forward and in reverse mode, for any differentiable function.

``push`` multiplies from the right (``J t``, one forward pass per direction), ``pull`` from the left (``c J``, one
backward pass per direction). A mode is used only after it agreed with a plain backward pass on the first samples.
Attention is computed by its formula there: the fused kernels know neither forward mode nor vmap.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel

from jne._core import Budget, clamp, matrix_precision
from jne.jacobians.calls import Call, close

Product = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


@dataclass(frozen=True)
class Derivative:
    """A way of differentiating a function ``(n, ...) -> (n, n_outputs)``.

    ``product`` is ``(X (n, ...), directions (k, width)) -> (n, k, other width)``, a new tensor: inputs to outputs in
    forward mode, outputs to (flattened) inputs otherwise.
    """

    mode: str  # forward, reverse, or autograd: reverse by plain backward passes, for what torch.func cannot treat
    product: Product
    sample_bytes: int  # what one sample's graph keeps
    direction_bytes: int  # what one direction of one sample needs on the way

    @property
    def forward(self) -> bool:
        return self.mode == "forward"


@matrix_precision("float32")  # the rounding of TF32 would look like a wrong way
def differentiate(call: Call, X: torch.Tensor, n_outputs: int, *, forward: bool) -> Derivative:
    """The first way of differentiating ``call`` that is right at ``X``; forward mode is tried first if asked for."""
    Y = _record(call, X)[1]
    if not Y.requires_grad and not close(Y, call(X + 1 + X.abs())):
        raise ValueError(
            "model's outputs depend on X but carry no gradient; remove torch.no_grad(), detach() or NumPy from it"
        )
    generator = torch.Generator().manual_seed(0)
    cotangent = torch.randn(1, n_outputs, generator=generator, device="cpu").to(X)
    tangent = torch.randn(1, X[0].numel(), generator=generator, device="cpu").to(X)
    row = pull_autograd(call, X, cotangent)
    mode = "autograd"
    product: Callable[[Call, torch.Tensor, torch.Tensor], torch.Tensor] = pull_autograd
    if forward and _agrees(lambda: (push(call, X, tangent) @ cotangent.T, row @ tangent.T)):
        mode, product = "forward", push
    elif _agrees(lambda: (pull(call, X, cotangent), row)):
        mode, product = "reverse", pull
    saved, widest = _footprint(call, X)
    width = max(widest, n_outputs, X[0].numel())
    size = X.element_size()
    # A copy: what vmap returns may be a view, of a weight even, and the caller subtracts in place.
    fresh = lambda X, V: product(call, X, V).clone(memory_format=torch.contiguous_format)  # noqa: E731
    return Derivative(mode, fresh, size * (saved + width), size * 6 * width)


def _agrees(compare: Callable[[], tuple[torch.Tensor, torch.Tensor]]) -> bool:
    # What torch.func says of a function it cannot treat differs from one operation to the next.
    try:
        return close(*compare())
    except (RuntimeError, ValueError, TypeError, AssertionError):
        return False


def push(call: Call, X: torch.Tensor, T: torch.Tensor) -> torch.Tensor:
    """``J[n] t[k]`` for all n and k, ``(n, k, n_outputs)``, in forward mode."""

    def one(x: torch.Tensor) -> torch.Tensor:
        def along(t: torch.Tensor) -> torch.Tensor:
            return torch.func.jvp(lambda z: call(z[None])[0], (x,), (t,))[1]

        return torch.func.vmap(along)(T.reshape(-1, *x.shape))

    with torch.no_grad(), sdpa_kernel(SDPBackend.MATH):
        return torch.func.vmap(one)(X)


def pull(call: Call, X: torch.Tensor, C: torch.Tensor) -> torch.Tensor:
    """``c[k] J[n]`` for all n and k, ``(n, k, n_features)``, in reverse mode, all directions at once."""
    X, Y = _record(call, X)
    if not Y.requires_grad:
        return X.new_zeros(len(X), len(C), X[0].numel())
    cotangents = C[:, None].expand(-1, *Y.shape)
    rows = torch.autograd.grad(Y, X, cotangents, is_grads_batched=True, materialize_grads=True)[0]
    return rows.flatten(2).transpose(0, 1)


def pull_autograd(call: Call, X: torch.Tensor, C: torch.Tensor) -> torch.Tensor:
    """``c[k] J[n]`` as `pull` does, one direction after the other: for operations whose backward vmap cannot treat."""
    X, Y = _record(call, X)
    rows = X.new_zeros(len(X), len(C), X[0].numel())
    for k, c in enumerate(C if Y.requires_grad else ()):
        cotangent = c.expand_as(Y)
        rows[:, k] = torch.autograd.grad(Y, X, cotangent, retain_graph=True, materialize_grads=True)[0].flatten(1)
    return rows


def _record(call: Call, X: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Samples as leaves of a graph, and their outputs."""
    with torch.enable_grad(), sdpa_kernel(SDPBackend.MATH):
        X = X.detach().clone().requires_grad_()
        return X, call(X)


def plan(
    derivative: Derivative,
    X: torch.Tensor,
    n_directions: int,
    width: int,
    budget: Budget,
    step: int | None,
    held: int = 0,
) -> tuple[int, int, bool]:
    """How many directions and samples of X at a time, and whether all samples of a block of directions are kept.

    ``width`` is what one direction gives per sample, ``held`` the bytes that the caller holds of it for all samples.
    Where not even one direction of all samples fits, the block is computed twice: for its mean and for the deviation
    from it.
    """
    n_samples, size = len(X), X.element_size()
    one = derivative.direction_bytes + 3 * size * width
    mean = 12 * width + held
    what = "one row of one sample's Jacobian"
    free = budget.reserve(derivative.sample_bytes + one + mean, what, "give smaller inputs")
    # A third each for what is kept, for what is on the way, and for what the allocator wastes.
    third = (free.free + one + mean) / 3
    kept = n_samples * width * size
    wanted = step or clamp(third / (kept + mean), 1, 1024)
    directions = clamp(min(wanted, third / (one + mean)), 1, n_directions)
    keep = directions * (kept + mean) <= third
    at_once = third if X.is_cuda else min(third, 256e6)
    samples = clamp(at_once / (derivative.sample_bytes + directions * one), 1, n_samples)
    return directions, samples, keep


def _footprint(call: Call, X: torch.Tensor) -> tuple[int, int]:
    """Numbers that one sample's graph keeps, and those of its largest piece (weights are in both runs and cancel)."""
    one, two = (_saved(call, X[:n]) for n in (1, 2))
    if len(one) != len(two):
        return sum(two), max(two, default=0)
    pieces = [max(b - a, 0) for a, b in zip(one, two, strict=True)]
    return sum(pieces), max(pieces, default=0)


def _saved(call: Call, X: torch.Tensor) -> list[int]:
    sizes: list[int] = []

    def note(tensor: torch.Tensor) -> torch.Tensor:
        sizes.append(tensor.numel())
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        _record(call, X)
    return sizes
