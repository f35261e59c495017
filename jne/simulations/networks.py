"""Measures of random networks that are known exactly: one activation at a time, and every choice of layers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations

import numpy as np
import pandas as pd
import torch
import xarray as xr

from jne._core import cached
from jne.accuracy import prediction_share
from jne.measures import nonlinearity
from jne.simulations.responses import activation_network

N_FORWARD = 3000
"""Samples for 1 - R² of the best linear map: a forward pass is cheap, and few samples would flatter the linear map."""

NETWORK_MEASURES = ("jne", "jne_scaled", "mean_deviation", "relative", "nonlinear_share", "true_share")


def survey_networks(
    configurations: Mapping[str, Sequence[str]],
    *,
    n_seeds: int,
    n_samples: int,
    random_state: int = 0,
    n_features: int = 32,
    n_outputs: int = 8,
    **network_options,
) -> pd.DataFrame:
    """Measure random networks at standard normal inputs: every configuration with every seed of weights. Cached.

    All configurations of a seed have the same weights and the same inputs, so their differences are paired.

    Parameters
    ----------
    configurations : mapping of str to sequence of str
        Name of a network -> its activations (`jne.simulations.activation_network`), one per hidden layer.
    n_seeds, random_state, n_features, n_outputs : int
    n_samples : int
        Inputs at which Jacobians are taken.
    **network_options
        Passed to `activation_network`, such as ``unit_variance="layers"``.

    Returns
    -------
    pandas.DataFrame
        One row per network and seed: ``network``, ``seed`` and, averaged over outputs, ``jne``, ``mean_deviation``,
        ``relative`` and ``nonlinear_share`` from `jne.nonlinearity`; ``jne_scaled``, the JNE of outputs divided by
        their standard deviation; ``true_share``, the share of an output's variance that the best linear map leaves.
    """
    parameters = {
        "configurations": {name: list(activations) for name, activations in configurations.items()},
        "seeds": network_seeds(n_seeds, random_state),
        "n_samples": n_samples,
        "network_options": {"n_features": n_features, "n_outputs": n_outputs, **network_options},
    }
    result = cached("simulation", "networks", parameters, lambda: _survey(**parameters))
    return result.to_dataframe(dim_order=["network", "seed"]).reset_index()


def network_seeds(n_seeds: int, random_state: int) -> list[int]:
    """Seeds of ``n_seeds`` random networks; a longer list begins with the shorter one."""
    return [int(seed) for seed in np.random.SeedSequence(random_state).generate_state(n_seeds)]


def _survey(configurations, seeds, n_samples, network_options) -> xr.Dataset:
    values = {name: np.empty((len(seeds), len(configurations))) for name in NETWORK_MEASURES}
    for row, seed in enumerate(seeds):
        generator = torch.Generator().manual_seed(seed + 1)
        X = torch.randn(n_samples, network_options["n_features"], generator=generator)
        many = torch.randn(N_FORWARD, network_options["n_features"], generator=generator)
        answers = []
        for column, activations in enumerate(configurations.values()):
            network = activation_network(activations, random_state=seed, **network_options)
            measured, outputs = measure_network(network, X, many)
            answers.append(outputs)
            for name, value in measured.items():
                values[name][row, column] = value
        shares = prediction_share(many, np.concatenate(answers, axis=1))
        values["true_share"][row] = shares.reshape(len(configurations), -1).mean(axis=1)
    dims = ("seed", "network")
    coordinates = {"seed": seeds, "network": np.array(list(configurations), object)}
    return xr.Dataset({name: (dims, array) for name, array in values.items()}, coords=coordinates)


def measure_network(
    network: torch.nn.Module, X: torch.Tensor, many: torch.Tensor
) -> tuple[dict[str, float], np.ndarray]:
    """Measures at X, averaged over outputs, and the outputs ``(n_many, n_outputs)`` at ``many`` more samples.

    Features are standard normal, so the covariance is the identity.
    """
    with torch.no_grad():
        outputs = network(many).double().numpy()
    result = nonlinearity(network, X, covariance=np.eye(X.shape[1]), return_samples=False)
    measured = {name: float(result[name].mean()) for name in ("jne", "mean_deviation", "relative", "nonlinear_share")}
    measured["jne_scaled"] = float((result["jne"].values / outputs.std(axis=0)).mean())
    return measured, outputs


def layer_subsets(n_layers: int = 4) -> dict[str, tuple[int, ...]]:
    """Every choice of nonlinear layers, named by their numbers from 1: ``{"none": (), "1": (1,), ..., "1+2": (1, 2)}``.

    Ordered by the number of layers.
    """
    layers = range(1, n_layers + 1)
    chosen = [subset for size in range(n_layers + 1) for subset in combinations(layers, size)]
    return {"+".join(map(str, subset)) or "none": subset for subset in chosen}


def survey_subsets(activations: Sequence[str], *, n_layers: int = 4, **options) -> pd.DataFrame:
    """Measure networks in which each subset of the layers carries an activation and the others are linear.

    Parameters
    ----------
    activations : sequence of str
        Names from `jne.simulations.ACTIVATIONS`.
    n_layers : int
    **options
        Passed to `survey_networks`.

    Returns
    -------
    pandas.DataFrame
        As `survey_networks` returns, with the columns ``layers`` (`layer_subsets`) and ``activation`` in place of
        ``network``. The subset "none" is one linear network, whatever the activation: its activation is "identity".
    """
    configurations = {("identity", "none"): ["identity"] * n_layers}
    for activation in activations:
        for name, subset in layer_subsets(n_layers).items():
            if subset:
                layers = [activation if layer in subset else "identity" for layer in range(1, n_layers + 1)]
                configurations[activation, name] = layers
    frame = survey_networks({" ".join(key): layers for key, layers in configurations.items()}, **options)
    keys = frame.pop("network").str.split(" ", expand=True)
    return frame.assign(activation=keys[0], layers=keys[1])
