"""How many test stimuli the measures of one fitted encoder need, and how often their intervals hold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import xarray as xr

from jne._core import cached
from jne.encoders import ResidualEncoder
from jne.measures import nonlinearity
from jne.simulations.recovery import draw_features
from jne.simulations.responses import mixed_response

MEASURES = ("jne", "mean_deviation", "relative", "nonlinear_share")
INTERVALS = ("jne", "mean_deviation")
N_REFERENCE = 20_000
"""Fresh stimuli that stand for all there could be."""
N_PROBES = 40
"""Stimuli whose JNE-SS is followed; they are among those of every draw."""


def converge(
    n_samples: Sequence[int],
    *,
    n_draws: int = 60,
    n_train: int = 2000,
    n_features: int = 32,
    n_voxels: int = 40,
    n_bootstrap: int = 400,
    random_state: int = 0,
    encoder_options: Mapping | None = None,
) -> pd.DataFrame:
    """Measure one fitted encoder at fresh test stimuli, again and again, and compare with its value at 20,000.

    Parameters
    ----------
    n_samples : sequence of int
        Test stimuli of a draw.
    n_draws : int
        Draws of each number.
    n_train, n_features, n_voxels : int
        Of the simulation that the encoder is fitted to; nonlinear shares and noise ceilings (0.2 to 0.8) are uniform.
    n_bootstrap : int
    random_state : int
    encoder_options : mapping, optional
        Of `jne.ResidualEncoder`.

    Returns
    -------
    pandas.DataFrame
        A row per number, draw and measure (`MEASURES` and ``jne_ss``): ``n_samples``, ``draw``, ``measure``; ``error``,
        the root mean square over voxels of the distance from the reference, over the reference's mean; ``coverage``,
        the share of voxels whose 95 % interval holds the reference (NaN without an interval). Cached.
    """
    parameters = {name: value for name, value in locals().items() if name != "encoder_options"}
    parameters |= {"n_samples": [int(n) for n in n_samples], "encoder_options": dict(encoder_options or {})}
    result = cached("simulation", "convergence", parameters, lambda: _converge(**parameters))
    return result.to_dataframe().reset_index(drop=True)


def _converge(
    n_samples, n_draws, n_train, n_features, n_voxels, n_bootstrap, random_state, encoder_options
) -> xr.Dataset:
    rng = np.random.default_rng(random_state)
    n_validation = n_train // 5
    n_fresh = n_draws * sum(n_samples)
    X = draw_features(rng, n_train + n_validation + N_REFERENCE + n_fresh, n_features)
    learn, X_reference, fresh = np.split(X, [n_train + n_validation, n_train + n_validation + N_REFERENCE])
    alpha, ceiling = rng.uniform(size=n_voxels), rng.uniform(0.2, 0.8, n_voxels)
    _, Y = mixed_response(learn, alpha, ceiling, random_state=random_state)
    options = {"random_state": random_state, **encoder_options}
    encoder = ResidualEncoder(**options).fit(learn[:n_train], Y[:n_train], learn[n_train:], Y[n_train:])
    reference = nonlinearity(encoder, X_reference, max_memory="1GB")
    probes, true_ss = X_reference[:N_PROBES], reference["jne_ss"].values[:N_PROBES]
    rows = []
    for n in n_samples:
        for draw in range(n_draws):
            own, fresh = fresh[:n], fresh[n:]
            result = nonlinearity(encoder, own, n_bootstrap=n_bootstrap, random_state=draw, return_samples=False)
            # JNE-SS of the same stimuli each time; they are few among the others.
            followed = nonlinearity(encoder, np.concatenate([probes, own[N_PROBES:]]), covariance=False)
            values = {name: (result[name].values, reference[name].values) for name in MEASURES}
            values["jne_ss"] = followed["jne_ss"].values[:N_PROBES], true_ss
            for name, (value, truth) in values.items():
                error = float(np.sqrt(np.mean((value - truth) ** 2)) / truth.mean())
                row = {"n_samples": n, "draw": draw, "measure": name, "error": error, "coverage": np.nan}
                if name in INTERVALS:
                    low, high = result[f"{name}_low"].values, result[f"{name}_high"].values
                    row["coverage"] = float(np.mean((low <= truth) & (truth <= high)))
                rows.append(row)
    frame = pd.DataFrame(rows)
    return xr.Dataset({name: ("row", column.to_numpy(object if name == "measure" else None)) for name, column in
                       frame.items()})  # fmt: skip
