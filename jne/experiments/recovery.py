"""Voxels known only through noise: which variable does each measure of the fitted encoder follow?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import xarray as xr

from jne._files import cached
from jne.encoders import ResidualEncoder
from jne.estimators import nonlinearity
from jne.evaluate import prediction_share, r2_score
from jne.simulate import mixed_response
from jne.summaries import partial_spearman, spearman

MEASURES = {
    "jne": "JNE, as published",
    "mean_deviation": "mean L1 deviation",
    "relative": "relative L1 deviation",
    "euclidean_share": "share, Euclidean metric",
    "nonlinear_share": "share, covariance metric",
    "prediction_share": "share from predictions",
    "r2_difference": "R²(nonlinear) − R²(linear)",
}


def recover(
    random_state: int = 0,
    *,
    n_train: int = 8000,
    n_validation: int = 1000,
    n_test: int = 400,
    n_features: int = 256,
    n_voxels: int = 600,
    noise_ceilings: Sequence[float] = (0.2, 0.6),
    encoder_options: Mapping | None = None,
) -> xr.Dataset:
    """Simulate voxels, fit the paper's encoder to their noisy responses, and measure every voxel.

    The nonlinear share ``alpha`` of a voxel is uniform in [0, 1] and its noise ceiling one of ``noise_ceilings``,
    drawn independently: a measure of nonlinearity should follow the first and not the second. Features are Gaussian
    with a power-law spectrum.

    Returns
    -------
    xarray.Dataset
        Over ``voxel``: ``alpha``, ``noise_ceiling``, ``r2`` and the `MEASURES`. Cached.
    """
    parameters = {name: value for name, value in locals().items() if name != "encoder_options"}
    parameters["encoder_options"] = dict(encoder_options or {})
    parameters["noise_ceilings"] = list(noise_ceilings)
    return cached("recovery", parameters, lambda: _recover(**parameters))


def _recover(
    random_state, n_train, n_validation, n_test, n_features, n_voxels, noise_ceilings, encoder_options
) -> xr.Dataset:
    rng = np.random.default_rng(random_state)
    spectrum = np.arange(1, n_features + 1) ** -0.5
    rotation = np.linalg.qr(rng.normal(size=(n_features, n_features)))[0]
    X = (rng.normal(size=(n_train + n_validation + n_test, n_features)) * spectrum) @ rotation
    alpha, ceiling = rng.uniform(size=n_voxels), rng.choice(noise_ceilings, n_voxels)
    _, Y = mixed_response(X, alpha, ceiling, random_state=random_state)
    (X, X_val, X_test), (Y, Y_val, Y_test) = (np.split(a, [n_train, n_train + n_validation]) for a in (X, Y))
    options = {"random_state": random_state, **encoder_options}
    encoder = ResidualEncoder(**options).fit(X, Y, X_val, Y_val)
    linear = ResidualEncoder(**{**options, "activation": None}).fit(X, Y, X_val, Y_val)
    result = nonlinearity(encoder, X_test, return_samples=False)
    euclidean = nonlinearity(encoder, X_test, covariance=np.eye(n_features), return_samples=False)
    r2 = r2_score(Y_test, encoder.predict(X_test))
    extra = {
        "alpha": alpha,
        "noise_ceiling": ceiling,
        "r2": r2,
        "r2_difference": r2 - r2_score(Y_test, linear.predict(X_test)),
        "euclidean_share": euclidean.nonlinear_share.values,
        "prediction_share": prediction_share(X, encoder.predict(X)),
    }
    return result[["jne", "mean_deviation", "relative", "nonlinear_share"]].assign(
        {name: ("voxel", values) for name, values in extra.items()}
    )


def recovery_table(results: Sequence[xr.Dataset]) -> pd.DataFrame:
    """How each measure follows the planted share and the noise ceiling, one row per measure and simulation.

    Returns
    -------
    pandas.DataFrame
        ``measure``, ``simulation``, Spearman correlation ``with_alpha`` and ``with_ceiling``, and each given the other
        variable: ``partial_alpha``, ``partial_ceiling``.
    """
    rows = []
    for number, result in enumerate(results):
        alpha, ceiling = result["alpha"].values, result["noise_ceiling"].values
        for name, label in MEASURES.items():
            values = result[name].values
            row = {"measure": label, "simulation": number}
            row |= {"with_alpha": spearman(values, alpha), "with_ceiling": spearman(values, ceiling)}
            row |= {"partial_alpha": partial_spearman(values, alpha, ceiling)}
            row |= {"partial_ceiling": partial_spearman(values, ceiling, alpha)}
            rows.append(row)
    return pd.DataFrame(rows)
