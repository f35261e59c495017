"""Whether the derivative that torch gives of a model is the slope of its answers.

What runs under ``torch.no_grad()``, through ``detach()`` or through NumPy has answers and no derivative, and a model of
which only a part does counts as more linear than it is. Derivatives along random lines between samples, which stay
where the model is meant to work, are compared with difference quotients in float64.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from jne._core import listed, moved
from jne.jacobians.calls import Call, as_outputs

_STEPS = (1e-2, 1e-3, 1e-4, 1e-5, 1e-6)
_TRIED_FIRST = 1e-5
_SMALLEST_JUMP = 1e-2  # of the range of answers; rounding to half precision inside a model jumps less
_PARTS = 8  # that an interval is divided into
_LARGEST_COPY = 512e6  # bytes; a larger model is tried in the precision that it has


@dataclass(frozen=True)
class _Lines:
    """A model along lines from ``X (n, ...)`` to ``X + T``: one number per answer, a combination of all outputs."""

    call: Call
    X: torch.Tensor
    T: torch.Tensor
    weights: torch.Tensor

    def __call__(self, s: torch.Tensor) -> torch.Tensor:
        """At the shares s of the way, ``(n,)`` or ``(k, n)``, and of the same shape."""
        places = self.X + s.view(*s.shape, *[1] * (self.X.ndim - 1)) * self.T
        return (self.call(places.reshape(-1, *self.X.shape[1:])) @ self.weights).view(s.shape)


def refuse_wrong_slopes(model: nn.Module | Call, X: torch.Tensor, n_outputs: int) -> None:
    """Refuse a model whose derivatives are wrong along several lines between samples ``X (n, ...)`` or that jumps."""
    weights = torch.randn(n_outputs, generator=torch.Generator().manual_seed(0), device="cpu")
    parameters = model.parameters() if isinstance(model, nn.Module) else ()
    fits = 8 * sum(p.numel() for p in parameters) <= _LARGEST_COPY
    for samples in (X.double(), X) if fits else (X,):
        try:
            call, T = as_outputs(moved(model, samples)), samples.roll(-1, 0) - samples
            lines = _Lines(call, samples, T, weights.to(samples) / n_outputs**0.5)
            wrong = _disagreements(lines)
        # A model that is tied to one precision is tried in that one; what else fails is told where it is used.
        except (RuntimeError, TypeError, ValueError, AttributeError, IndexError):
            continue
        if wrong is not None and 5 * wrong > len(X):
            raise ValueError(
                "model's derivative is not the slope of its answers: along lines between samples the two differ at "
                f"{wrong} of {len(X)} samples. A part of the model has no derivative, or one of its own; remove "
                "torch.no_grad(), torch.inference_mode(), detach(), .data, .item(), NumPy and simulated quantisation "
                "from it"
            )
        # Of a model without any derivative `differentiate` says so.
        if wrong is not None and (jump := _largest_jump(lines)):
            raise ValueError(
                f"model's answers jump, by up to {jump:.1%} of how far they range over samples: a cast to whole "
                "numbers, rounding, a threshold? A jump has no slope, so no measure of slopes would see it; take it "
                "out of the model or put a smooth step in its place"
            )
        return


def _disagreements(along: _Lines) -> int | None:
    """At how many samples the derivative along the lines is not the slope; None where there is no derivative."""
    where = (0.2 + 0.6 * torch.rand(len(along.X), generator=torch.Generator().manual_seed(1), device="cpu")).to(along.X)
    with torch.enable_grad(), sdpa_kernel(SDPBackend.MATH):
        s = where.clone().requires_grad_()
        answers = along(s)
        if not answers.requires_grad:
            return None
        derivative = torch.autograd.grad(answers.sum(), s, materialize_grads=True)[0]

    def quotient(h: float) -> torch.Tensor:
        # With a graph: without one torch has quicker ways that round more, such as that of transformers on a card.
        with torch.enable_grad(), sdpa_kernel(SDPBackend.MATH):
            low, high = along(torch.stack([where - h, where + h]).requires_grad_()).detach()
        return (high - low) / (2 * h)

    first = quotient(_TRIED_FIRST)
    size = torch.maximum(derivative.abs(), first.abs()).nan_to_num()
    size = size + 1e-3 * size.max()
    rounding = torch.finfo(answers.dtype).eps ** 0.5 * answers.detach().abs().max()
    if not ((first - derivative).abs() > 1e-4 * size + rounding).any():
        return 0
    found = torch.stack([quotient(h) for h in _STEPS])
    # Kinks and rounding move the quotient from step to step: a wrong derivative is one that a quotient which has
    # settled, over three steps, is far from, and no other is near.
    error = (found - derivative).abs().amin(0)
    change = found.diff(dim=0).abs()
    # Answers rounded to few digits stand still over a small step; they are not settled.
    change = change.masked_fill(((found == 0) & (found[0] != 0))[1:], torch.inf)
    unsettled = torch.maximum(change[1:], change[:-1]).amin(0)
    return int(((error > 1e-4 * size + rounding) & (error > 10 * unsettled)).sum())


def _largest_jump(lines: _Lines) -> float:
    """The largest jump that dividing every second line comes upon, over the largest difference of answers."""
    along = replace(lines, X=lines.X[::2], T=lines.T[::2])
    left, width = along.X.new_zeros(len(along.X)), 1.0
    parts = torch.arange(_PARTS + 1, device=left.device)[:, None]
    with torch.no_grad():
        for level in range(11 if left.dtype == torch.float64 else 5):
            width /= _PARTS
            answers = along(left + width * parts)
            steps = answers.diff(dim=0).abs().nan_to_num(posinf=0)
            if level == 0:
                # Of samples that are all the same, only rounding is left.
                largest = steps.sum(0).max() + torch.finfo(left.dtype).eps ** 0.5 * answers.nan_to_num().abs().max()
            # Where nothing jumps, the largest step becomes as small as its part of the line.
            jump, part = steps.max(0)
            if not jump.max() > _SMALLEST_JUMP * largest:
                return 0.0
            left = left + width * part
    return float(jump.max() / largest)


def refuse_infinite(J: torch.Tensor, first: int) -> None:
    """Raise a ValueError that names the samples at which derivatives ``(n, ...)`` of samples from ``first`` on are not
    finite."""
    bad = (~J.isfinite().flatten(1).all(1)).nonzero()[:, 0]
    if len(bad):
        where = listed([str(first + i) for i in bad.tolist()])
        raise ValueError(
            f"model has a slope that is not finite at sample {where} of X (counting from 0), of which every mean over "
            "samples would be NaN. Leave the sample out, or keep the model from dividing by 0 or taking the root or "
            "logarithm of 0 there, also on the side that torch.where does not take"
        )
