"""Exact values of the measures where they can be worked out, for standard normal features."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from scipy.stats import norm

from jne.simulations.responses import ACTIVATIONS


def closed_form(
    response: str,
    *,
    weights: Sequence[float] = (1.0,),
    p_active: float = 0.5,
    slope: float = 0.0,
    curvature: float = 0.0,
) -> dict[str, float]:
    """Exact values of the measures for standard normal features, in the limit of many samples.

    Parameters
    ----------
    response : {"linear", "relu", "leaky_relu", "abs", "sum_of_squares", "linear_quadratic"}
        ``w.x``; ``relu(w.x + b)``; ``leaky_relu(w.x)``; ``|w.x|``; ``sum_d w_d x_d²``, for which all ``w_d`` must be
        equal; ``x + curvature x²`` of one feature.
    weights : sequence of float
        w, one per feature.
    p_active : float
        Of "relu": the probability that the unit is active, between 0 and 1.
    slope : float
        Of "leaky_relu": the slope at negative inputs; 1 is linear, 0 is ReLU, -1 is ``|w.x|``.
    curvature : float
        Of "linear_quadratic".

    Returns
    -------
    dict
        ``jne``, ``mean_deviation``, ``nonlinear_share`` and ``true_share``, the share of variance that no linear map
        explains.

    Examples
    --------
    >>> import torch, jne
    >>> exact = jne.closed_form("sum_of_squares", weights=[1.0, 1.0])["jne"]  # 2 sqrt(2 (1 - 2 / pi))
    >>> torch.manual_seed(0) and None
    >>> measured = jne.nonlinearity(lambda x: (x**2).sum(-1), torch.randn(20000, 2)).jne[0]
    >>> round(exact, 3), bool(abs(measured - exact) < 0.05)
    (1.705, True)
    """
    w = np.asarray(weights, float)
    l1, n_features = np.abs(w).sum(), len(w)
    if response == "linear":
        values = (0.0, 0.0, 0.0, 0.0)
    elif response == "relu":
        p = p_active
        if not 0 < p < 1:
            raise ValueError(f"p_active={p}; needed: between 0 and 1")
        offset = norm.ppf(p)
        mean = offset * p + norm.pdf(offset)
        variance = (1 + offset**2) * p + offset * norm.pdf(offset) - mean**2
        values = (l1 * np.sqrt(p * (1 - p)) * abs(1 - 2 * p), 2 * l1 * p * (1 - p), (1 - p) / (1 + p))
        values = (*values, 1 - p**2 / variance)
    elif response == "leaky_relu":
        odd, even = (1 + slope) / 2, (1 - slope) / 2
        true = even**2 * (1 - 2 / np.pi) / (odd**2 + even**2 * (1 - 2 / np.pi))
        values = (0.0, l1 * abs(even), even**2 / (even**2 + 2 * odd**2), true)
    elif response == "abs":
        values = (0.0, l1, 1.0, 1.0)
    elif response == "sum_of_squares":
        if np.ptp(w):
            raise ValueError(f"sum_of_squares has a closed form for equal weights; weights={tuple(weights)}")
        scale = abs(w[0])
        spread = 2 * scale * np.sqrt(n_features * (1 - 2 / np.pi))
        values = (spread, 2 * scale * n_features * np.sqrt(2 / np.pi), 1.0, 1.0)
    elif response == "linear_quadratic":
        share = 2 * curvature**2 / (1 + 2 * curvature**2)
        c = 2 * abs(curvature)
        values = (c * np.sqrt(1 - 2 / np.pi), c * np.sqrt(2 / np.pi), share, share)
    else:
        accepted = "linear, relu, leaky_relu, abs, sum_of_squares and linear_quadratic"
        raise ValueError(f"response={response!r}; accepted are {accepted}")
    return dict(zip(("jne", "mean_deviation", "nonlinear_share", "true_share"), map(float, values), strict=True))


def wide_network(activation: str) -> dict[str, float]:
    """Shares of a random network with one hidden layer, in the limit of many features and hidden units.

    Averaged over random readouts the hidden units contribute separately, so with ``s = phi'(z)`` and z standard normal
    ``nonlinear_share`` is ``(Var[s]/2) / (Var[s]/2 + E[s]²)`` and ``true_share`` is ``1 - E[s]² / Var[phi(z)]``.

    Parameters
    ----------
    activation : str
        A name from `jne.simulations.ACTIVATIONS`.

    Returns
    -------
    dict
        ``nonlinear_share`` and ``true_share``; integrals over z to about 1e-5.
    """
    if activation not in ACTIVATIONS:
        raise ValueError(f"activation={activation!r}; accepted are {', '.join(ACTIVATIONS)}")
    # An even number of points leaves out z = 0, where some activations have a kink.
    z = torch.linspace(-9, 9, 100_000, dtype=torch.float64, requires_grad=True)
    values = ACTIVATIONS[activation](z)
    (slopes,) = torch.autograd.grad(values.sum(), z)
    density = torch.exp(-(z.detach() ** 2) / 2)
    density /= density.sum()
    mean_slope, mean_value = density @ slopes, density @ values.detach()
    slope_variance = density @ (slopes - mean_slope) ** 2
    variance = density @ (values.detach() - mean_value) ** 2
    half = slope_variance / 2
    return {
        "nonlinear_share": float(half / (half + mean_slope**2)),
        "true_share": float(1 - mean_slope**2 / variance),
    }
