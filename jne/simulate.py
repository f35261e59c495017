"""Responses whose nonlinearity is known: random networks, planted mixtures, closed forms."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import torch
from torch import nn

from jne.evaluate import remove_linear


class _Elementwise(nn.Module):
    """A torch function as a module, so that it can stand in a Sequential."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.function(x)


ACTIVATIONS = {
    "identity": lambda x: 1 * x,
    "leaky_relu_0.5": lambda x: nn.functional.leaky_relu(x, 0.5),
    "leaky_relu_0.1": lambda x: nn.functional.leaky_relu(x, 0.1),
    "softplus": nn.functional.softplus,
    "elu": nn.functional.elu,
    "silu": nn.functional.silu,
    "gelu": nn.functional.gelu,
    "relu": torch.relu,
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
    "sin": torch.sin,
    "abs": torch.abs,
    "square": torch.square,
}


def activation_network(
    activations: Sequence[str],
    *,
    n_features: int = 32,
    hidden_size: int = 64,
    n_outputs: int = 16,
    unit_variance: bool = False,
    random_state: int = 0,
) -> nn.Sequential:
    """Random network with one hidden layer per entry of ``activations`` and a linear readout.

    Weights are normal with variance 1 / fan-in, so that each hidden unit of the first layer has a standard normal
    input when the features are standard normal. No biases.

    Parameters
    ----------
    activations : sequence of str
        Names from `ACTIVATIONS`, one per hidden layer: ``("identity", "relu")`` is linear in its first layer only.
    n_features, hidden_size, n_outputs : int
    unit_variance : bool
        Scale the readout so that every output has variance 1 over 10,000 standard normal inputs. JNE scales with the
        output, and depth changes the output's gain; this takes the gain out.
    random_state : int
        Seeds the weights (and the inputs that ``unit_variance`` draws); the same for every choice of activations.

    Returns
    -------
    torch.nn.Sequential
        From ``(n_samples, n_features)`` to ``(n_samples, n_outputs)``.

    Examples
    --------
    >>> import torch, jne
    >>> X = torch.randn(200, 32)
    >>> result = jne.nonlinearity(jne.activation_network(["relu"]), X)
    >>> bool((result.jne > 0).all())
    True
    >>> float(jne.nonlinearity(jne.activation_network(["identity"]), X).jne.max()) < 1e-5
    True
    """
    unknown = sorted(set(activations) - set(ACTIVATIONS))
    if unknown or not activations:
        raise ValueError(f"activations={tuple(activations)}; accepted are one or more of {', '.join(ACTIVATIONS)}")
    generator = torch.Generator().manual_seed(random_state)
    sizes = [n_features, *[hidden_size] * len(activations), n_outputs]
    layers: list[nn.Module] = []
    for depth, (fan_in, fan_out) in enumerate(pairwise(sizes)):
        linear = nn.utils.skip_init(nn.Linear, fan_in, fan_out, bias=False)
        with torch.no_grad():
            linear.weight.copy_(torch.randn(fan_out, fan_in, generator=generator) / fan_in**0.5)
        layers.append(linear)
        if depth < len(activations):
            layers.append(_Elementwise(ACTIVATIONS[activations[depth]]))
    network = nn.Sequential(*layers)
    if unit_variance:
        with torch.no_grad():
            outputs = network(torch.randn(10_000, n_features, generator=generator))
            network[-1].weight /= outputs.std(dim=0)[:, None]
    return network.eval()


def zscore(values: np.ndarray) -> np.ndarray:
    """z-score over the first axis (population standard deviation)."""
    return (values - values.mean(axis=0)) / values.std(axis=0)


def mix(linear: np.ndarray, nonlinear: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """``sqrt(1 - alpha) z(linear) + sqrt(alpha) z(nonlinear)``, arrays ``(n_samples, n_voxels)``.

    Where ``nonlinear`` has no linear part (`remove_linear`), alpha ``(n_voxels,)`` is exactly the share of the
    response's variance over these samples that no linear map explains.
    """
    alpha = np.asarray(alpha)
    if ((alpha < 0) | (alpha > 1)).any():
        raise ValueError(f"alpha ranges from {alpha.min()} to {alpha.max()}; needed: between 0 and 1")
    return np.sqrt(1 - alpha) * zscore(linear) + np.sqrt(alpha) * zscore(nonlinear)


def mixed_response(
    X: np.ndarray,
    alpha: np.ndarray,
    noise_ceiling: np.ndarray | float | None = None,
    *,
    n_units: int = 32,
    random_state: int = 0,
) -> tuple[np.ndarray, np.ndarray]:
    """Simulated voxels with a planted nonlinear share of variance.

    The nonlinear part of a voxel is a random sum of ``n_units`` rectified projections of the features, shared by all
    voxels, less its own best linear fit.

    Parameters
    ----------
    X : array ``(n_samples, n_features)``
    alpha : array ``(n_voxels,)``
        Nonlinear share of each voxel's signal variance.
    noise_ceiling : array ``(n_voxels,)`` or float, optional
        Share of the response's variance that is signal, above 0 and at most 1; None adds no noise.
    n_units : int
    random_state : int

    Returns
    -------
    signal, responses : arrays ``(n_samples, n_voxels)``
        Without noise (variance 1 in every voxel), and with it.

    Examples
    --------
    >>> import numpy as np, jne
    >>> X = np.random.default_rng(0).normal(size=(500, 8))
    >>> signal, responses = jne.mixed_response(X, alpha=np.array([0.0, 0.5]), noise_ceiling=0.8)
    >>> slopes = np.linalg.lstsq(X - X.mean(0), signal, rcond=None)[0]
    >>> jne.r2_score(signal, (X - X.mean(0)) @ slopes).round(3)  # what is linear of each signal
    array([1. , 0.5])
    """
    rng = np.random.default_rng(random_state)
    X, alpha = np.asarray(X, float), np.asarray(alpha, float)
    n_features, n_voxels = X.shape[1], len(alpha)
    projections = zscore(X @ rng.normal(size=(n_features, n_units)))
    units = remove_linear(X, np.maximum(projections - rng.normal(0, 0.5, n_units), 0))
    linear = X @ rng.normal(size=(n_features, n_voxels))
    signal = mix(linear, units @ rng.normal(size=(n_units, n_voxels)), alpha)
    if noise_ceiling is None:
        return signal, signal.copy()
    ceiling = np.asarray(noise_ceiling, float)
    if ((ceiling <= 0) | (ceiling > 1)).any():
        raise ValueError(f"noise_ceiling ranges from {ceiling.min()} to {ceiling.max()}; needed: above 0, at most 1")
    return signal, signal + rng.normal(size=signal.shape) * np.sqrt((1 - ceiling) / ceiling)


def closed_form(
    response: str, *, weights: Sequence[float] = (1.0,), p_active: float = 0.5, curvature: float = 0.0
) -> dict[str, float]:
    """Exact values of the measures for standard normal features, in the limit of many samples.

    Parameters
    ----------
    response : {"linear", "relu", "abs", "sum_of_squares", "linear_quadratic"}
        ``w.x``; ``relu(w.x + b)``; ``|w.x|``; ``sum_d w_d x_d²``, for which all ``w_d`` must be equal;
        ``x + curvature x²`` of one feature.
    weights : sequence of float
        w, one per feature.
    p_active : float
        Of "relu": the probability that the unit is active.
    curvature : float
        Of "linear_quadratic".

    Returns
    -------
    dict
        ``jne``, ``mean_deviation``, ``nonlinear_share`` and ``true_share``, the share of variance that no linear map
        explains (NaN where it is not known in closed form).

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
        true = 1 - (p**2 / (1 / 2 - 1 / (2 * np.pi))) if p == 0.5 else np.nan
        values = (l1 * np.sqrt(p * (1 - p)) * abs(1 - 2 * p), 2 * l1 * p * (1 - p), (1 - p) / (1 + p), true)
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
        raise ValueError(f"response={response!r}; accepted are linear, relu, abs, sum_of_squares and linear_quadratic")
    return dict(zip(("jne", "mean_deviation", "nonlinear_share", "true_share"), map(float, values), strict=True))
