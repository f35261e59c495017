"""What the features do to the measures: the same responses described by other features, and features in clusters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import torch
from scipy.stats import norm
from torch import nn

from jne import _core
from jne.accuracy import prediction_share
from jne.measures import nonlinearity
from jne.simulations.closed_forms import closed_form


def rewritten(network: nn.Module, transform: np.ndarray) -> nn.Sequential:
    """The same response as a function of other features ``z = A x``: ``z -> network(A^-1 z)``.

    Parameters
    ----------
    network : torch.nn.Module
        From ``(n_samples, n_features)``.
    transform : array ``(n_features, n_features)``
        A, invertible.
    """
    inverse = torch.as_tensor(np.linalg.inv(transform), dtype=torch.float32)
    layer = nn.utils.skip_init(nn.Linear, *inverse.shape[::-1], bias=False)
    layer.weight = nn.Parameter(inverse, requires_grad=False)
    return nn.Sequential(layer, network)


def rewrite_features(
    networks: Mapping[str, nn.Module], transforms: Mapping[str, np.ndarray], X: torch.Tensor
) -> pd.DataFrame:
    """Measure the same responses after their features were replaced by linear transforms of themselves.

    Parameters
    ----------
    networks : mapping of str to torch.nn.Module
        Responses as functions of standard normal features.
    transforms : mapping of str to array ``(n_features, n_features)``
        Name -> A; the new features are ``z = A x``, with covariance ``A A^T``.
    X : torch.Tensor ``(n_samples, n_features)``
        Standard normal.

    Returns
    -------
    pandas.DataFrame
        One row per network, transform and output: ``network``, ``transform``, ``output``, ``jne``, ``mean_deviation``,
        ``nonlinear_share``.
    """
    rows = []
    for label, transform in transforms.items():
        Z = X @ torch.as_tensor(np.asarray(transform).T, dtype=torch.float32)
        for name, network in networks.items():
            result = nonlinearity(
                rewritten(network, transform), Z, covariance=transform @ transform.T, return_samples=False
            )
            frame = result[["jne", "mean_deviation", "nonlinear_share"]].to_dataframe().rename_axis("output")
            rows.append(frame.reset_index().assign(network=name, transform=label))
    return pd.concat(rows, ignore_index=True)


def unit(weights: Sequence[float], p_active: float = 0.8) -> nn.Sequential:
    """One ReLU of a weighted sum of standard normal features, active with the probability given."""
    weights = np.asarray(weights, float)
    layer = nn.Linear(len(weights), 1)
    with torch.no_grad():
        layer.weight[:] = torch.as_tensor(weights)
        layer.bias[:] = float(norm.ppf(p_active) * np.linalg.norm(weights))
    return nn.Sequential(layer, nn.ReLU()).eval().requires_grad_(False)


def sweep_features(
    *, n_samples: int, random_state: int = 0, weights: Sequence[float] = (0.6, 0.8), p_active: float = 0.8
) -> pd.DataFrame:
    """A `unit` of two features under other units, correlations and rotations of the features.

    Returns
    -------
    pandas.DataFrame
        One row per kind ("scale", "correlation", "rotation") and ``value`` (a factor, a correlation, degrees): the
        measured ``jne``, ``mean_deviation`` and ``nonlinear_share``, and their closed forms with the suffix ``_exact``.
    """
    transforms = {("scale", float(value)): scaled(value, 2) for value in 2 ** np.linspace(-2, 2, 17)}
    transforms |= {("correlation", float(value)): correlated(value, 2) for value in np.linspace(-0.9, 0.9, 19)}
    transforms |= {("rotation", float(value)): rotated(value) for value in np.linspace(0, 180, 19)}
    X = torch.randn(n_samples, 2, generator=torch.Generator().manual_seed(random_state))
    named = {f"{kind} {value}": transform for (kind, value), transform in transforms.items()}
    measures = ["jne", "mean_deviation", "nonlinear_share"]
    frame = rewrite_features({"unit": unit(weights, p_active)}, named, X)[measures]
    exact = [
        closed_form("relu", weights=np.linalg.solve(transform.T, weights), p_active=p_active)
        for transform in transforms.values()
    ]
    exact = pd.DataFrame(exact)[measures].add_suffix("_exact")
    return pd.concat([pd.DataFrame(list(transforms), columns=["kind", "value"]), frame, exact], axis=1)


def compare_readers(n_features: int = 32, *, n_samples: int, random_state: int = 0) -> pd.DataFrame:
    """Two units with weights of the same length, as the features are and after a random rotation of the features.

    Returns
    -------
    pandas.DataFrame
        As `rewrite_features` returns; ``network`` is "one feature" (all weight on it) or "all features" (equal
        weights), ``transform`` is "as they are" or "rotated".
    """
    equal = np.full(n_features, n_features**-0.5)
    readers = {"one feature": unit(np.eye(n_features)[0]), "all features": unit(equal)}
    transforms = {"as they are": np.eye(n_features), "rotated": random_rotation(n_features, random_state)}
    X = torch.randn(n_samples, n_features, generator=torch.Generator().manual_seed(random_state))
    return rewrite_features(readers, transforms, X)


def scaled(factor: float | Sequence[float], n_features: int) -> np.ndarray:
    """Features in other units: each multiplied by the factor (or by its own)."""
    return np.diag(np.broadcast_to(np.asarray(factor, float), n_features))


def correlated(rho: float, n_features: int) -> np.ndarray:
    """Features of variance 1 with the correlation ``rho ** |i - j|``, each made of those before it and itself."""
    index = np.arange(n_features)
    return np.linalg.cholesky(rho ** np.abs(index[:, None] - index))


def rotated(angle: float) -> np.ndarray:
    """Two features rotated by an angle in degrees."""
    angle = np.radians(angle)
    return np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])


def random_rotation(n_features: int, random_state: int) -> np.ndarray:
    """An orthogonal matrix, uniform over all of them."""
    return _core.random_rotation(np.random.default_rng(random_state), n_features)


CENTRES = (-2.0, 0.0, 2.0)


def bump(x: torch.Tensor, tilt: float = 0.1) -> torch.Tensor:
    """``tilt x + exp(-x⁴)``: a bump over the middle one of `CENTRES`, flat at all three, on a slight slope."""
    return tilt * x + torch.exp(-(x**4))


def draw_features(width: float, n_samples: int, random_state: int, *, clusters: bool = True) -> torch.Tensor:
    """One feature ``(n_samples, 1)``: clusters of standard deviation ``width`` at `CENTRES`, as many samples in each.

    Without clusters, a normal feature of the same mean and variance.
    """
    generator = torch.Generator().manual_seed(random_state)
    noise = torch.randn(n_samples, 1, generator=generator)
    if not clusters:
        return noise * (width**2 + np.var(CENTRES)) ** 0.5
    centres = torch.tensor(CENTRES)[torch.arange(n_samples) % len(CENTRES)]
    return centres[:, None] + width * noise


def clustered_bump(widths: Sequence[float], *, n_samples: int, random_state: int = 0) -> pd.DataFrame:
    """The share from Jacobians and the true one for `bump`, on a feature in clusters and on a normal one.

    Returns
    -------
    pandas.DataFrame
        One row per width of the clusters and kind of feature: ``width``, ``features`` ("clustered" or "Gaussian"),
        ``jne``, ``nonlinear_share``, and ``true_share`` (1 - R² of the best linear map).
    """
    rows = []
    for width in widths:
        for kind in ("clustered", "Gaussian"):
            x = draw_features(width, n_samples, random_state, clusters=kind == "clustered")
            result = nonlinearity(bump, x, return_samples=False).isel(voxel=0)
            row = {
                "width": width,
                "features": kind,
                "true_share": float(prediction_share(x.numpy(), bump(x).numpy())[0]),
            }
            rows.append(row | {name: float(result[name]) for name in ("jne", "nonlinear_share")})
    return pd.DataFrame(rows)
