"""Networks so small that one sees why they score as they do: a single unit, and two features."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd
import torch
import xarray as xr
from scipy.stats import norm

from jne.accuracy import prediction_share
from jne.jacobians import jacobian
from jne.measures import nonlinearity
from jne.simulations.networks import network_seeds
from jne.simulations.responses import activation_network


def jacobian_clouds(
    activations: Sequence[str], *, n_samples: int = 400, hidden_size: int = 16, random_state: int = 0
) -> dict[str, xr.Dataset]:
    """The Jacobians of networks of two features and one response, each a point in the plane, at standard normal inputs.

    All networks have the same weights.

    Returns
    -------
    dict
        Activation -> Dataset with ``jacobian (sample, feature)``, its L1 deviation from the mean ``delta (sample)``,
        ``jne`` and ``nonlinear_share``.
    """
    X = torch.randn(n_samples, 2, generator=torch.Generator().manual_seed(random_state))
    clouds = {}
    for name in activations:
        network = activation_network(
            [name], n_features=2, hidden_size=hidden_size, n_outputs=1, random_state=random_state
        )
        measured = nonlinearity(network, X, covariance=np.eye(2), return_samples=False)
        J = jacobian(network, X)[:, 0]
        content = {"jacobian": (("sample", "feature"), J), "delta": ("sample", np.abs(J - J.mean(axis=0)).sum(axis=1))}
        clouds[name] = measured[["jne", "nonlinear_share"]].isel(voxel=0).assign(content)
    return clouds


def survey_units(
    slopes: Sequence[float], p_active: Sequence[float], *, n_seeds: int, n_samples: int, random_state: int = 0
) -> pd.DataFrame:
    """Measure a single unit of one standard normal feature: leaky ReLUs, and ReLUs with a threshold.

    Parameters
    ----------
    slopes : sequence of float
        Of the leaky ReLU at negative inputs: 1 is linear, 0 is ReLU, -1 the absolute value.
    p_active : sequence of float
        Probability that the ReLU is active.
    n_seeds, n_samples, random_state : int
        Draws of the samples, and samples in each.

    Returns
    -------
    pandas.DataFrame
        One row per unit and seed: ``response`` and ``value``, which are a response of `jne.closed_form` and its
        ``slope`` or ``p_active``; ``seed``, ``jne``, ``mean_deviation``, ``nonlinear_share``, ``true_share``.
    """
    units: dict[tuple[str, float], Callable] = {}
    for slope in slopes:
        units["leaky_relu", slope] = lambda x, slope=slope: torch.where(x > 0, x, slope * x)
    for p, offset in zip(p_active, norm.ppf(p_active), strict=True):
        units["relu", p] = lambda x, offset=float(offset): torch.relu(x + offset)
    rows = []
    for seed in network_seeds(n_seeds, random_state):
        x = torch.randn(n_samples, 1, generator=torch.Generator().manual_seed(seed))
        for (response, value), unit in units.items():
            measured = nonlinearity(unit, x, covariance=[[1.0]], return_samples=False).isel(voxel=0)
            row = {name: float(measured[name]) for name in ("jne", "mean_deviation", "nonlinear_share")}
            row["true_share"] = float(prediction_share(x.numpy(), unit(x).numpy())[0])
            rows.append({"response": response, "value": value, "seed": seed, **row})
    return pd.DataFrame(rows)
