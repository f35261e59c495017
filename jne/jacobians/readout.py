"""The linear layer that a module ends in, found without being told."""

from __future__ import annotations

import copy

import torch
from torch import nn

from jne.jacobians.calls import close, own_place


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
    if not isinstance(model, nn.Module):
        return None
    X_probe = own_place(model, X_probe)
    calls: list[tuple[nn.Linear, torch.Tensor, int]] = []
    layers = {layer for layer in model.modules() if isinstance(layer, nn.Linear)}
    hooks = [layer.register_forward_hook(lambda m, _, y: calls.append((m, y, y._version))) for layer in layers]
    try:
        with torch.no_grad():
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
        trunk = copy.deepcopy(model, {id(readout): nn.Identity()})
        with torch.no_grad():
            hidden = trunk(X_probe.clone())
            rebuilt = nn.functional.linear(hidden, readout.weight, readout.bias)
    except (RuntimeError, AttributeError, TypeError, ValueError):
        return None  # it looks into its readout, or cannot be copied
    weight = readout.weight.detach()
    right = hidden.ndim == 2 and rebuilt.shape == output.shape and close(rebuilt, output)
    return (trunk, weight) if right else None
