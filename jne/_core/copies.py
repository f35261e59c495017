"""Copies of a model beside its samples, of whatever it holds."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from jne._core.out_of_memory import is_out_of_memory


def moved(model: Any, like: torch.Tensor) -> Any:
    """A copy of a module on the device and in the precision of ``like``; a function is returned as it is."""
    if not isinstance(model, nn.Module):
        return model
    return cast(copied(model), like)


def copied(module: nn.Module, instead: Mapping[int, Any] | None = None) -> nn.Module:
    """A deep copy, in which what the module keeps of a call (activations, say) is out of its graph.

    ``instead`` has what stands for an object in the copy, by the object's id.

    Raises
    ------
    ValueError
        If something in the module cannot be copied.
    """
    try:
        with _OutOfGraph():
            return copy.deepcopy(module, dict(instead or {}))
    # Whatever an object says that was not made to be copied: a lock, an open file, a node of a graph.
    except Exception as error:
        if is_out_of_memory(error):
            raise
        raise ValueError(
            f"model cannot be copied ({type(error).__name__}: {error}). Take out of it what is no part of the "
            "network, or give a function, which is not copied: lambda x: model(x)"
        ) from error


class _OutOfGraph(TorchFunctionMode):
    """While it is on, ``copy.deepcopy`` takes tensors that were computed, such as weights of weight_norm or pruning."""

    def __torch_function__(
        self, function: Callable, types: Sequence, args: Sequence = (), kwargs: Mapping | None = None
    ) -> Any:
        if function is torch.Tensor.__deepcopy__ and not args[0].is_leaf:
            return args[0].detach().clone()
        return function(*args, **(kwargs or {}))


def cast(module: nn.Module, like: torch.Tensor) -> nn.Module:
    """Bring a module to the device and the precision of ``like``, in place; what is complex in it stays complex."""

    def place(tensor: torch.Tensor) -> torch.Tensor:
        if tensor.is_complex():
            return tensor.to(device=like.device, dtype=like.dtype.to_complex())
        return tensor.to(device=like.device, dtype=like.dtype if tensor.is_floating_point() else tensor.dtype)

    # ``Module.to`` drops the imaginary part of a complex weight.
    return module._apply(place)
