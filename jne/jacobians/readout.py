"""The linear layer that a model ends in: found without being told, or given."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from jne._core import as_numbers, cast, copied, matrix_precision, moved, uncompiled
from jne.jacobians.calls import Call, as_outputs, close, own_place
from jne.jacobians.model import Problem, refuse_changed

Readout = tuple[Call, torch.Tensor]
"""A trunk, ``(n, ...) -> (n, n_hidden)``, and the weight ``(n_voxels, n_hidden)`` of what follows it."""


def split_readout(model: object, X_probe: torch.Tensor) -> tuple[nn.Module, torch.Tensor] | None:
    """Split a module that ends in a linear layer into what comes before it and that layer's weight.

    Then ``J[n] = weight @ A[n]`` with A the Jacobian of the trunk, which is what makes many voxels cheap. The split is
    accepted only if the last linear layer's output *is* the module's output and ``trunk(X_probe) @ weight.T + bias``
    equals ``model(X_probe)``.

    Parameters
    ----------
    model : torch.nn.Module
        Any module; it is not changed. (Of any other object: None.)
    X_probe : torch.Tensor
        ``(n, ...)``, a few samples on which the split is tried.

    Returns
    -------
    (torch.nn.Module, torch.Tensor) or None
        The trunk, ``(n, ...) -> (n, n_hidden)``, a copy; and the weight, ``(n_voxels, n_hidden)``, not copied. None
        where the module does not end in a `torch.nn.Linear`, or uses it more than once.

    Examples
    --------
    >>> import torch, jne
    >>> model = torch.nn.Sequential(torch.nn.Linear(5, 8), torch.nn.ReLU(), torch.nn.Linear(8, 3))
    >>> trunk, weight = jne.split_readout(model, torch.randn(4, 5))
    >>> trunk(torch.randn(4, 5)).shape, weight.shape
    (torch.Size([4, 8]), torch.Size([3, 8]))
    """
    if not isinstance(model, nn.Module) or (split := split_last_layer(model, X_probe)) is None:
        return None
    trunk, layer = split
    return trunk, layer.weight.detach()


def split_last_layer(model: nn.Module, X_probe: torch.Tensor) -> tuple[nn.Module, nn.Linear] | None:
    """As `split_readout`, with the linear layer itself, bias and all."""
    X_probe = own_place(model, X_probe)
    calls: list[tuple[nn.Linear, torch.Tensor, int]] = []
    layers = {layer for layer in model.modules() if isinstance(layer, nn.Linear)}
    hooks = [layer.register_forward_hook(lambda m, _, y: calls.append((m, y, y._version))) for layer in layers]
    try:
        with torch.no_grad(), uncompiled():
            output = model(X_probe.clone())
    finally:
        for hook in hooks:
            hook.remove()
    if not calls or calls[-1][1] is not output or output.ndim != 2:
        return None
    readout, _, version = calls[-1]
    # A later operation in place would leave the same tensor, with another version.
    if output._version != version:
        return None
    try:
        # Naming the readout as copied already puts the Identity in its place, and spares a copy of its weight.
        trunk = copied(model, {id(readout): nn.Identity()})
        with torch.no_grad(), uncompiled():
            hidden = trunk(X_probe.clone())
            rebuilt = nn.functional.linear(hidden, readout.weight, readout.bias)
    except (RuntimeError, AttributeError, TypeError, ValueError):
        return None  # it looks into its readout, or cannot be copied
    right = hidden.ndim == 2 and rebuilt.shape == output.shape and close(rebuilt, output)
    return (trunk, readout) if right else None


@matrix_precision("float32")  # the rounding of TF32 would look like a wrong way
def linear_end(problem: Problem) -> Readout | None:
    """Trunk and weight of a model that ends in a linear layer, beside its samples; None of another model."""
    split = split_readout(problem.model, problem.probe)
    if split is None:
        return None
    trunk, weight = cast(split[0], problem.X), split[1].to(problem.X)  # the trunk is a copy already
    refuse_changed(trunk, problem, weight)
    return trunk, weight


def choose_readout(problem: Problem, readout: str | bool | Readout) -> Readout | None:
    """Trunk and weight, beside the samples, where a readout is to be used; see `jne.nonlinearity`."""
    if isinstance(readout, tuple):
        return _given(problem, readout)
    if readout is not True and readout is not False and readout != "auto":
        raise ValueError(f"readout={readout!r} is not known; use 'auto', True, False or (trunk, weight)")
    found = linear_end(problem) if readout else None
    if readout is True and found is None:
        raise ValueError(
            "readout=True, but model does not end in a torch.nn.Linear; use 'auto' or give (trunk, weight)"
        )
    if found is None or readout is True:
        return found
    passes, passes_general = (min(size, problem.n_features) for size in (found[1].shape[1], problem.n_voxels))
    # Passes through a trunk are batched better, so up to twice as many are no loss.
    return found if passes <= 2 * passes_general else None


@matrix_precision("float32")
def _given(problem: Problem, readout: Readout) -> Readout:
    problems = "readout=(trunk, weight) does not fit model"
    if len(readout) != 2 or not callable(readout[0]):
        raise ValueError(f"{problems}: give the trunk (a torch.nn.Module or function) and the weight")
    weight = torch.from_numpy(np.array(as_numbers(readout[1], "the weight of readout"))).to(problem.X)
    with torch.no_grad():
        hidden, outputs = (
            as_outputs(call)(own_place(call, problem.X[:16])).to(problem.X) for call in (readout[0], problem.model)
        )
    if weight.shape != (problem.n_voxels, hidden.shape[1]):
        shapes = f"{tuple(weight.shape)} for {problem.n_voxels} voxels and {hidden.shape[1]} hidden units"
        raise ValueError(f"{problems}: the weight has shape {shapes}")
    rebuilt = hidden @ weight.T
    if not close(rebuilt - rebuilt[:1] + outputs[:1], outputs):
        raise ValueError(f"{problems}: trunk(X) @ weight.T and model(X) differ by more than a constant per voxel")
    trunk = moved(readout[0], problem.X)
    refuse_changed(trunk, problem, weight)
    return trunk, weight
