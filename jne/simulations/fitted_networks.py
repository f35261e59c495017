"""Networks that are known, seen through an encoder fitted to noisy samples of their responses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np
import pandas as pd
import torch
import xarray as xr

from jne._core import cached
from jne.accuracy import prediction_share, r2_score
from jne.encoders import ResidualEncoder
from jne.measures import nonlinearity
from jne.simulations.activation_order import contradictions
from jne.simulations.networks import network_seeds
from jne.simulations.responses import activation_network
from jne.statistics import spearman


@dataclass(frozen=True)
class FitSettings:
    """The arguments of `fit_networks`: what is computed, and the key under which it is kept."""

    configurations: Mapping[str, Sequence[str]]
    noise_ceilings: Sequence[float]
    n_networks: int
    n_outputs: int
    n_train: int
    n_validation: int
    n_test: int
    n_features: int
    encoder_options: Mapping
    random_state: int


def fit_networks(
    configurations: Mapping[str, Sequence[str]],
    *,
    noise_ceilings: Sequence[float] = (0.2, 0.5, 1.0),
    n_networks: int = 4,
    n_outputs: int = 2,
    n_train: int = 3000,
    n_validation: int = 400,
    n_test: int = 300,
    n_features: int = 32,
    encoder_options: Mapping | None = None,
    random_state: int = 0,
) -> pd.DataFrame:
    """Fit `jne.ResidualEncoder` to noisy responses of random networks, compare with the networks' own values. Cached.

    The outputs of all networks stand side by side as the voxels of one encoder, as the voxels of a brain do. Every
    voxel of a fit has the same noise ceiling, so the signal-to-noise ratio cannot order them; there is one fit for
    each ceiling. Features are standard normal, and outputs have variance 1 before noise.

    Parameters
    ----------
    configurations : mapping of str to sequence of str
        As of `jne.simulations.survey_networks`.
    noise_ceilings : sequence of float
        Share of each response's variance that is signal, above 0 and at most 1.
    n_networks, n_outputs : int
        Random networks per configuration, and voxels per network.
    n_train, n_validation, n_test, n_features : int
    encoder_options : mapping, optional
        Of `jne.ResidualEncoder`.
    random_state : int

    Returns
    -------
    pandas.DataFrame
        One row per noise ceiling, configuration and network: ``noise_ceiling``, ``network``, ``seed`` and, averaged
        over outputs, ``r2`` with the noise-free test responses and each of ``jne`` (in standard deviations of the
        signal), ``nonlinear_share`` and ``prediction_share``, of the fit and, with the suffix ``_true``, of the
        network itself at the same test samples.
    """
    settings = FitSettings(
        {name: list(activations) for name, activations in configurations.items()}, list(noise_ceilings), n_networks,
        n_outputs, n_train, n_validation, n_test, n_features, dict(encoder_options or {}), random_state,
    )  # fmt: skip
    result = cached("simulation", "fitted_networks", asdict(settings), lambda: _fit_networks(settings))
    return result.to_dataframe(dim_order=["noise_ceiling", "network", "seed"]).reset_index()


def _fit_networks(settings: FitSettings) -> xr.Dataset:
    configurations, n_features, n_test = settings.configurations, settings.n_features, settings.n_test
    random_state, n_train, n_validation = settings.random_state, settings.n_train, settings.n_validation
    generator = torch.Generator().manual_seed(random_state)
    X = torch.randn(n_train + n_validation + n_test, n_features, generator=generator)
    seeds = network_seeds(settings.n_networks, random_state)
    options = {"n_features": n_features, "n_outputs": settings.n_outputs, "unit_variance": "layers"}
    networks = [activation_network(a, random_state=seed, **options) for a in configurations.values() for seed in seeds]
    with torch.no_grad():
        signal = torch.cat([network(X) for network in networks], dim=1).numpy()
    scale = signal.std(axis=0)
    signal, X_test, ends = signal / scale, X[-n_test:], [n_train, n_train + n_validation]
    truth = _measure(networks, X_test, covariance=np.eye(n_features))
    truth["jne"] /= scale
    truth["prediction_share"] = prediction_share(X.numpy(), signal)
    rows = []
    for number, ceiling in enumerate(settings.noise_ceilings):
        noise = np.random.default_rng([random_state, number]).normal(size=signal.shape)
        Y = signal + noise * np.sqrt((1 - ceiling) / ceiling)
        (x, x_val, _), (y, y_val, _) = (np.split(array, ends) for array in (X.numpy(), Y))
        options = {"random_state": random_state, **settings.encoder_options}
        encoder = ResidualEncoder(**options).fit(x, y, x_val, y_val)
        found = _measure([encoder], X_test)
        found["jne"] *= encoder.y_scale_
        found["prediction_share"] = prediction_share(X.numpy(), encoder.predict(X.numpy()))
        found["r2"] = r2_score(signal[-n_test:], encoder.predict(X_test.numpy()))
        rows.append(found | {f"{name}_true": values for name, values in truth.items()})
    shape = len(configurations), len(seeds), settings.n_outputs
    dims = ("noise_ceiling", "network", "seed")
    stacked = {name: np.stack([row[name].reshape(shape).mean(axis=2) for row in rows]) for name in rows[0]}
    coordinates = {"noise_ceiling": settings.noise_ceilings, "network": np.array(list(configurations), object)}
    return xr.Dataset({name: (dims, a) for name, a in stacked.items()}, coords={**coordinates, "seed": seeds})


def _measure(models: Sequence, X: torch.Tensor, covariance=None) -> dict[str, np.ndarray]:
    results = [nonlinearity(model, X, covariance=covariance, return_samples=False) for model in models]
    return {name: np.concatenate([r[name].values for r in results]) for name in ("jne", "nonlinear_share")}


def ranking_changes(frame: pd.DataFrame, measure: str) -> pd.DataFrame:
    """How the ranking of networks by a measure changes from their own values to those of the fitted encoder.

    Parameters
    ----------
    frame : pandas.DataFrame
        From `fit_networks`.
    measure : str
        Such as "jne".

    Returns
    -------
    pandas.DataFrame
        Indexed by noise ceiling: ``rho``, ``low`` and ``high`` (median and range over seeds of the Spearman correlation
        over networks between estimate and truth), and ``swapped``, the `contradictions` between truth and
        estimate.
    """
    rows = []
    for ceiling, part in frame.groupby("noise_ceiling", sort=True):
        each = [spearman(p[f"{measure}_true"], p[measure]) for _, p in part.groupby("seed")]
        row = {"noise_ceiling": ceiling, "rho": np.median(each), "low": min(each), "high": max(each)}
        rows.append({**row, "swapped": contradictions(part, f"{measure}_true", measure)})
    return pd.DataFrame(rows).set_index("noise_ceiling")
