"""Responses whose nonlinearity is known: random networks and planted mixtures."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import torch
from torch import nn

from jne._core import as_numbers, zscore
from jne.accuracy import remove_linear


class _Elementwise(nn.Module):
    """A torch function as a module, so that it can stand in a Sequential."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.function(x)


ACTIVATIONS = {
    "identity": lambda x: 1 * x,
    "leaky_relu_0.75": lambda x: nn.functional.leaky_relu(x, 0.75),
    "leaky_relu_0.5": lambda x: nn.functional.leaky_relu(x, 0.5),
    "leaky_relu_0.25": lambda x: nn.functional.leaky_relu(x, 0.25),
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


def activation_label(name: str) -> str:
    """An activation's name as it is written in prose: ``leaky_relu_0.5`` is leaky ReLU 0.5; other names stay."""
    known = {"relu": "ReLU", "elu": "ELU", "gelu": "GELU", "silu": "SiLU"}
    return " ".join(known.get(word, word) for word in str(name).split("_"))


def activation_network(
    activations: Sequence[str],
    *,
    n_features: int = 32,
    hidden_size: int = 64,
    n_outputs: int = 16,
    unit_variance: str | None = None,
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
    unit_variance : {None, "outputs", "layers"}
        "outputs": scale the readout so that every output has variance 1 over 2,000 standard normal inputs. JNE scales
        with the output, and depth changes the output's gain; this takes the gain out. "layers": shift and scale every
        linear layer so that each hidden unit's input and each output has mean 0 and variance 1, as batch normalisation
        does; then an activation meets inputs of the same range at any depth.
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
    if unit_variance not in (None, "outputs", "layers"):
        raise ValueError(f"unit_variance={unit_variance!r}; accepted are None, 'outputs' and 'layers'")
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
        _standardize(network, torch.randn(2000, n_features, generator=generator), unit_variance == "layers")
    return network.eval()


@torch.no_grad()
def _standardize(network: nn.Sequential, x: torch.Tensor, every_layer: bool) -> None:
    for layer in network:
        if isinstance(layer, nn.Linear) and (every_layer or layer is network[-1]):
            outputs = layer(x)
            mean = outputs.mean(dim=0)
            scale = (outputs - mean).square().mean(dim=0).sqrt()
            layer.weight /= scale[:, None]
            if every_layer:
                layer.bias = nn.Parameter(-mean / scale)
        x = layer(x)


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
    X, alpha = as_numbers(X, "X", float), as_numbers(alpha, "alpha", float)
    n_features, n_voxels = X.shape[1], len(alpha)
    projections = zscore(X @ rng.normal(size=(n_features, n_units)))
    units = remove_linear(X, np.maximum(projections - rng.normal(0, 0.5, n_units), 0))
    linear = X @ rng.normal(size=(n_features, n_voxels))
    signal = mix(linear, units @ rng.normal(size=(n_units, n_voxels)), alpha)
    if noise_ceiling is None:
        return signal, signal.copy()
    ceiling = as_numbers(noise_ceiling, "noise_ceiling", float)
    if ((ceiling <= 0) | (ceiling > 1)).any():
        raise ValueError(f"noise_ceiling ranges from {ceiling.min()} to {ceiling.max()}; needed: above 0, at most 1")
    return signal, signal + rng.normal(size=signal.shape) * np.sqrt((1 - ceiling) / ceiling)
