"""A model as a function of tensors: what its answers must look like, where it is, and whether two results agree."""

from __future__ import annotations

from collections.abc import Callable
from itertools import chain

import torch
from torch import nn

from jne._core import uncompiled

Call = Callable[[torch.Tensor], torch.Tensor]
"""A function of samples ``(n, ...)``; a torch.nn.Module is one."""


class UnfitAnswerError(ValueError):
    """A model's answer is not one that has a Jacobian."""


def as_outputs(model: Call) -> Call:
    """``model`` as ``(n, ...) -> (n, n_voxels)``, leaving its input alone; other answers than these are refused."""

    def call(X: torch.Tensor) -> torch.Tensor:
        with uncompiled():
            # A model may write into its input.
            Y = model(X.clone())
        if not isinstance(Y, torch.Tensor):
            raise UnfitAnswerError(
                f"model returned a {type(Y).__name__}; it must return one tensor (n_samples, n_voxels)"
            )
        if Y.layout != torch.strided:
            raise UnfitAnswerError(f"model returned a tensor of layout {Y.layout}; it must return Y.to_dense()")
        if Y.ndim not in (1, 2) or len(Y) != len(X):
            raise UnfitAnswerError(
                f"model returned shape {tuple(Y.shape)} for {len(X)} samples; it must return (n_samples, n_voxels) "
                "or (n_samples,). A function of one sample becomes one by torch.vmap(function), others by flattening"
            )
        if Y.is_complex():
            raise UnfitAnswerError(f"model returned {Y.dtype}; it must return real numbers, such as Y.abs() or Y.real")
        if not Y.is_floating_point() or Y.element_size() < 2:
            raise UnfitAnswerError(
                f"model returned {Y.dtype}, which has no derivative; let it return what comes before the threshold, "
                "argmax, rounding or quantisation, in float32"
            )
        return Y.reshape(len(X), -1)

    return call


def own_place(model: object, X: torch.Tensor) -> torch.Tensor:
    """``X`` on the device and in the precision that the model itself has."""
    tensors = chain(model.parameters(), model.buffers()) if isinstance(model, nn.Module) else ()
    like = next((t for t in tensors if t.is_floating_point() or t.is_complex()), X)
    return X.to(device=like.device, dtype=like.dtype.to_real())


def close(a: torch.Tensor, b: torch.Tensor, power: float = 0.6) -> bool:
    """Whether two results agree to within rounding, on the scale of the larger; a smaller power leaves more room."""
    tolerance = max(torch.finfo(a.dtype).eps, torch.finfo(b.dtype).eps) ** power
    scale = max(float(a.abs().max()), float(b.abs().max()))
    return bool((a - b).abs().max() <= tolerance * scale)
