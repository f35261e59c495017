"""A single unit on one feature, window by window along its input: the curve of JNE beside the second derivative."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
import xarray as xr
from torch import nn

from jne.simulations.deviations import l1_deviations
from jne.simulations.responses import ACTIVATIONS

LEAKY_SLOPE = 0.01  # PyTorch's; the paper does not say which
PUBLISHED_ACTIVATIONS: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "relu": ACTIVATIONS["relu"],
    "leaky_relu": lambda x: nn.functional.leaky_relu(x, LEAKY_SLOPE),
    "gelu": ACTIVATIONS["gelu"],
    "silu": ACTIVATIONS["silu"],
}
"""The activations of the paper's simulations, by name: a dict of functions of a tensor."""


def unit_windows(
    activation: str,
    centres: Sequence[float] | np.ndarray | None = None,
    *,
    half_width: float = 0.001,
    n_inputs: int = 1001,
) -> xr.Dataset:
    """Measure a unit ``y = phi(x)`` in a narrow window round every centre, at evenly spaced inputs, ends included.

    Parameters
    ----------
    activation : str
        A name from `PUBLISHED_ACTIVATIONS` or `ACTIVATIONS`.
    centres : array ``(n_centres,)``, optional
        Units of the input; by default the paper's, from -10 to 10 in steps of 0.02.
    half_width : float, default=0.001
        A window is ``[x - half_width, x + half_width]``.
    n_inputs : int, default=1001
        Inputs in each window, at least 3.

    Returns
    -------
    xarray.Dataset
        Over ``x``, float64: ``response``, ``slope`` and ``curvature`` of the unit at the centre; ``jne`` and
        ``mean_deviation`` in the window, those of `jne.nonlinearity`; and ``closed_form`` of the JNE (`window_jne`).
        Attributes: ``kink``, the step of the slope at 0 (0 where it is smooth), ``half_width`` and ``n_inputs``.

    Raises
    ------
    ValueError
        If the activation is not known.
    """
    known = ACTIVATIONS | PUBLISHED_ACTIVATIONS
    if activation not in known:
        raise ValueError(f"activation={activation!r}; accepted are {', '.join(known)}")
    phi = known[activation]
    x = np.arange(-500, 501) / 50 if centres is None else np.asarray(centres, float)
    places = torch.tensor(x, dtype=torch.float64)
    # Symmetric by construction, so that an odd number has its middle at exactly 0.
    offsets = half_width * np.arange(1 - n_inputs, n_inputs, 2) / (n_inputs - 1)
    # The unit at a place plus an offset has the slope phi'(place + offset): one feature, one Jacobian per offset.
    J = torch.from_numpy(_derivatives(phi, places[:, None] + torch.from_numpy(offsets))[1])
    deviation = l1_deviations(J[..., None])
    response, slope, curvature = _derivatives(phi, places)
    below, above = _derivatives(phi, torch.tensor([-1e-12, 1e-12], dtype=torch.float64))[1]
    kink = above - below if abs(above - below) > 1e-6 else 0.0
    active = (x[:, None] + offsets > 0).mean(axis=1)
    exact = window_jne(curvature, kink, active, half_width=half_width, n_inputs=n_inputs)
    content = {"response": response, "slope": slope, "curvature": curvature, "closed_form": exact}
    content |= {"jne": deviation.std(dim=1, correction=0), "mean_deviation": deviation.mean(dim=1)}
    attributes = {"kink": kink, "half_width": half_width, "n_inputs": n_inputs}
    return xr.Dataset({name: ("x", values) for name, values in content.items()}, {"x": x}, attributes)


def window_jne(
    curvature: np.ndarray | float,
    kink: float,
    active: np.ndarray | float,
    *,
    half_width: float,
    n_inputs: int,
) -> np.ndarray:
    """JNE of a unit in a narrow window, in closed form.

    The slope of a smooth unit runs straight across the window, so at the distance u from the centre it deviates from
    its mean by ``|phi''(x)| |u|``, and JNE is ``|phi''(x)|`` times the standard deviation of ``|u|``: ``half_width``
    times 1 / sqrt(12) in the limit of many inputs. A unit with a kink at 0 has two slopes, and JNE is
    ``kink sqrt(p (1 - p)) |1 - 2 p|`` with p the share of the window's inputs above 0.

    Parameters
    ----------
    curvature : array or float
        Second derivative at the centre.
    kink : float
        Step of the slope at 0.
    active : array or float
        Share p of the inputs above 0.
    half_width : float
    n_inputs : int
        Evenly spaced inputs in the window, ends included.

    Returns
    -------
    array
        In units of response per unit of input.
    """
    p = np.asarray(active)
    # Mean and mean square of |u| / half_width; with an odd number one of the inputs is the centre itself.
    lowest = n_inputs % 2
    mean = (n_inputs + lowest) * (n_inputs - lowest) / (2 * n_inputs * (n_inputs - 1))
    spread = np.sqrt((n_inputs + 1) / (3 * (n_inputs - 1)) - mean**2)
    return np.abs(curvature) * half_width * spread + abs(kink) * np.sqrt(p * (1 - p)) * np.abs(1 - 2 * p)


def kink_windows(n_inputs: Sequence[int], activation: str = "relu", **options) -> xr.Dataset:
    """The window centred on 0, for one number of inputs after the other.

    Parameters
    ----------
    n_inputs : sequence of int
    activation : str
    **options
        Passed to `unit_windows`.

    Returns
    -------
    xarray.Dataset
        As from `unit_windows`, over ``n_inputs``.
    """
    found = [unit_windows(activation, [0.0], n_inputs=n, **options).isel(x=0, drop=True) for n in n_inputs]
    return xr.concat(found, "n_inputs", combine_attrs="drop_conflicts").assign_coords(n_inputs=list(n_inputs))


def _derivatives(phi: Callable, x: torch.Tensor) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Values, first and second derivative at ``x (n,)``."""
    x = x.clone().requires_grad_()
    y = phi(x)
    (slope,) = torch.autograd.grad(y.sum(), x, create_graph=True)
    curvature = torch.autograd.grad(slope.sum(), x)[0] if slope.requires_grad else torch.zeros_like(x)
    return tuple(one.detach().numpy() for one in (y, slope, curvature))
