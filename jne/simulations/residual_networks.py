"""Random residual networks with two places for an activation, as in the paper, by layout of their skips and by weights.

Three fully connected layers, ``z1 = W1 x + b1``, ``h1 = a1(z1) [+ x]``, ``z2 = W2 h1 + b2``, ``h2 = a2(z2) [+ h1]`` and
``y = w3 h2 + b3``; what is in brackets are skips. With the slopes ``s = a'(z)`` the Jacobian is one row per input,

    back = (w3 * s2) W2 [+ w3],    J = (back * s1) W1 [+ back],

and a layer without activation has the slope 1 at every input. `jne.nonlinearity` gives the same (the tests compare).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise

import numpy as np
import pandas as pd
import torch
import xarray as xr
from torch import nn

from jne._core import cached, resolve_device
from jne.simulations.deviations import l1_deviations
from jne.simulations.networks import network_seeds
from jne.simulations.unit_windows import PUBLISHED_ACTIVATIONS

LAYOUTS: dict[str, tuple[int, ...]] = {"no skip": (), "second layer": (2,), "each hidden layer": (1, 2)}
"""Layouts of skips: which of the two hidden layers have one round them."""
PLACES: dict[str, tuple[bool, bool]] = {
    "none": (False, False),
    "Loc1": (True, False),
    "Loc2": (False, True),
    "both": (True, True),
}
"""Where the activation is: after the first hidden layer, after the second."""
LAWS = {
    "torch": "PyTorch's initial weights",
    "torch_unbiased": "PyTorch's initial weights, no biases",
    "he": "He's weights",
    "unit": "standard normal weights",
}
"""Laws of the random weights, with their labels; only the first has biases."""
_DISTRIBUTIONS: Mapping[str, Callable] = {
    "uniform": lambda size, generator: 2 * torch.rand(size, generator=generator) - 1,
    "normal": lambda size, generator: torch.randn(size, generator=generator),
}


class ResidualNetwork(nn.Module):
    """Two hidden layers as wide as the input and one output; activations and skips where they are asked for.

    Parameters
    ----------
    activation : str
        A name from `PUBLISHED_ACTIVATIONS`.
    place : str
        A name from `PLACES`.
    layout : str
        A name from `LAYOUTS`.
    law : str
        A name from `LAWS`.
    n_features : int, default=768
    random_state : int
        Seeds the weights, which are the same for every activation, place and layout.
    """

    def __init__(
        self,
        activation: str,
        place: str,
        layout: str,
        *,
        law: str = "torch",
        n_features: int = 768,
        random_state: int = 0,
    ):
        super().__init__()
        self.skips = LAYOUTS[layout]
        self.functions = [PUBLISHED_ACTIVATIONS[activation] if here else nn.Identity() for here in PLACES[place]]
        self.layers = random_layers(n_features, law, random_state)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """From ``(n_samples, n_features)`` to ``(n_samples, 1)``."""
        for number, (layer, function) in enumerate(zip(self.layers, self.functions, strict=False), start=1):
            x = function(layer(x)) + (x if number in self.skips else 0)
        return self.layers[-1](x)


def random_layers(n_features: int, law: str, random_state: int) -> nn.ModuleList:
    """The three linear layers of a random network; PyTorch's law is uniform within 1 / sqrt(fan-in), biases too."""
    if law not in LAWS:
        raise ValueError(f"law={law!r}; accepted are {', '.join(LAWS)}")
    generator = torch.Generator().manual_seed(random_state)
    layers = nn.ModuleList()
    for fan_in, fan_out in pairwise((n_features, n_features, n_features, 1)):
        layer = nn.utils.skip_init(nn.Linear, fan_in, fan_out, bias=law == "torch")
        with torch.no_grad():
            for values in layer.parameters():
                if law.startswith("torch"):
                    values.uniform_(-(fan_in**-0.5), fan_in**-0.5, generator=generator)
                else:
                    values.normal_(0, (2 / fan_in) ** 0.5 if law == "he" else 1, generator=generator)
        layers.append(layer)
    return layers


def survey_residual(
    activations: Sequence[str] = tuple(PUBLISHED_ACTIVATIONS),
    *,
    layouts: Sequence[str] = tuple(LAYOUTS),
    laws: Sequence[str] = ("torch",),
    distributions: Sequence[str] = ("uniform",),
    scales: Sequence[float] = (10,),
    n_draws: int = 200,
    n_samples: int = 1000,
    n_features: int = 768,
    random_state: int = 0,
) -> pd.DataFrame:
    """JNE of random residual networks: every choice of the settings with every draw of the weights. Cached.

    All networks of a draw and a law have the same weights, and inputs of two scales differ by a factor, so all
    differences are paired. The inputs are drawn once.

    Parameters
    ----------
    activations, layouts, laws : sequence of str
        Names from `PUBLISHED_ACTIVATIONS`, `LAYOUTS` and `LAWS`.
    distributions : sequence of {"uniform", "normal"}
        Of the inputs: uniform on [-1, 1], or standard normal, times the scale.
    scales : sequence of float
    n_draws, n_samples, n_features, random_state : int

    Returns
    -------
    pandas.DataFrame
        One row per ``law``, ``distribution``, ``scale``, ``draw``, ``activation``, ``layout`` and ``place`` (`PLACES`)
        with its ``jne``, in units of response per unit of feature.

    Raises
    ------
    ValueError
        If a name is not known.
    """
    axes = {
        "law": list(laws),
        "distribution": list(distributions),
        "scale": [float(scale) for scale in scales],
        "draw": network_seeds(n_draws, random_state),
        "activation": list(activations),
        "layout": list(layouts),
    }
    accepted = {"law": LAWS, "distribution": _DISTRIBUTIONS, "activation": PUBLISHED_ACTIVATIONS, "layout": LAYOUTS}
    for axis, names in accepted.items():
        if unknown := [name for name in axes[axis] if name not in names]:
            raise ValueError(f"{axis}={unknown[0]!r}; accepted are {', '.join(names)}")
    sizes = {"n_samples": n_samples, "n_features": n_features, "random_state": random_state}
    result = cached("simulation", "residual_networks", axes | sizes, lambda: _survey(axes, **sizes))
    return result["jne"].to_dataframe(dim_order=[*axes, "place"]).reset_index()


@torch.no_grad()
def _survey(axes: Mapping[str, list], n_samples: int, n_features: int, random_state: int) -> xr.Dataset:
    device = resolve_device("auto")
    X = {}
    for name in axes["distribution"]:
        generator = torch.Generator().manual_seed(random_state)
        X[name] = _DISTRIBUTIONS[name]((n_samples, n_features), generator).to(device)
    found = np.empty([len(values) for values in axes.values()] + [len(PLACES)])
    for i, law in enumerate(axes["law"]):
        for k, seed in enumerate(axes["draw"]):
            layers = random_layers(n_features, law, seed).to(device)
            for d, name in enumerate(axes["distribution"]):
                for s, scale in enumerate(axes["scale"]):
                    found[i, d, s, k] = _measure(layers, scale * X[name], axes["activation"], axes["layout"])
    named = {**axes, "place": list(PLACES)}
    coordinates = {name: np.array(v, object if isinstance(v[0], str) else None) for name, v in named.items()}
    return xr.Dataset({"jne": (list(named), found)}, coordinates)


def _measure(layers: nn.ModuleList, x: torch.Tensor, activations: Sequence[str], layouts: Sequence[str]) -> np.ndarray:
    """JNE ``(n_activations, n_layouts, n_places)`` of networks with these layers."""
    z1 = layers[0](x)
    found = np.empty((len(activations), len(layouts), len(PLACES)))
    for i, name in enumerate(activations):
        for k, (first, second) in enumerate(PLACES.values()):
            h1, s1 = _values_and_slopes(name if first else None, z1)
            # What reaches the second layer depends on the skip round the first alone.
            behind = {}
            for early in {1 in LAYOUTS[layout] for layout in layouts}:
                z2 = layers[1](h1 + x if early else h1) if second else z1
                _, s2 = _values_and_slopes(name if second else None, z2)
                behind[early] = (layers[2].weight * s2) @ layers[1].weight
            for j, layout in enumerate(layouts):
                skips = LAYOUTS[layout]
                back = behind[1 in skips] + (layers[2].weight if 2 in skips else 0)
                J = (back * s1) @ layers[0].weight + (back if 1 in skips else 0)
                found[i, j, k] = l1_deviations(J).std(correction=0)
    return found


def _values_and_slopes(activation: str | None, z: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Of an activation at ``z (n, h)``; without one the slope is 1 everywhere, one row for all inputs."""
    if activation is None:
        return z, z.new_ones(1, z.shape[1])
    z = z.detach().requires_grad_()
    with torch.enable_grad():
        values = PUBLISHED_ACTIVATIONS[activation](z)
        (slopes,) = torch.autograd.grad(values.sum(), z)
    return values.detach(), slopes
