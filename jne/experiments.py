"""The computations of the chapters on simulations that are more than one call."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import torch

from jne.estimators import nonlinearity
from jne.simulate import activation_network, remove_linear

N_FORWARD = 20_000
"""Samples for 1 - R² of the best linear map: a forward pass is cheap, and few samples would flatter the linear map."""


def measure_network(
    network: torch.nn.Module, *, n_features: int, n_samples: int, random_state: int
) -> dict[str, float]:
    """Measures of a network at standard normal inputs, averaged over its outputs.

    Returns
    -------
    dict
        ``jne``, ``mean_deviation``, ``relative``, ``nonlinear_share``, and ``true_share``: the share of the outputs'
        variance that the best linear map leaves, 1 - R².
    """
    generator = torch.Generator().manual_seed(random_state)
    X = torch.randn(n_samples, n_features, generator=generator)
    result = nonlinearity(network, X, covariance=np.eye(n_features), return_samples=False)
    inputs = torch.randn(N_FORWARD, n_features, generator=generator)
    with torch.no_grad():
        outputs = network(inputs).double().numpy()
    left = remove_linear(inputs.double().numpy(), outputs).var(axis=0)
    measures = {name: float(result[name].mean()) for name in ("jne", "mean_deviation", "relative", "nonlinear_share")}
    return {**measures, "true_share": float(left.sum() / outputs.var(axis=0).sum())}


def survey_networks(
    configurations: Mapping[str, Sequence[str]],
    *,
    n_seeds: int,
    n_samples: int,
    random_state: int = 0,
    n_features: int = 32,
    **network_options,
) -> pd.DataFrame:
    """Measure random networks: every configuration of activations with every seed of weights.

    Parameters
    ----------
    configurations : mapping of str to sequence of str
        Name of a network -> its activations (`jne.simulate.activation_network`), one per hidden layer.
    n_seeds, n_samples, random_state, n_features : int
    **network_options
        Passed to `activation_network`, such as ``unit_variance=True``.

    Returns
    -------
    pandas.DataFrame
        One row per network and seed: ``network``, ``seed`` and what `measure_network` returns.
    """
    seeds = [int(seed) for seed in np.random.SeedSequence(random_state).generate_state(n_seeds)]
    rows = []
    for name, activations in configurations.items():
        for seed in seeds:
            network = activation_network(activations, n_features=n_features, random_state=seed, **network_options)
            measured = measure_network(network, n_features=n_features, n_samples=n_samples, random_state=seed + 1)
            rows.append({"network": name, "seed": seed, **measured})
    return pd.DataFrame(rows)
