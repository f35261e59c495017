"""How many test stimuli the measures of one fitted encoder need, and how often their intervals hold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np
import pandas as pd
import xarray as xr

from jne._core import cached
from jne.encoders import ResidualEncoder
from jne.measures import nonlinearity
from jne.simulations.recovery import power_law_features
from jne.simulations.responses import mixed_response

MEASURES = ("jne", "mean_deviation", "relative", "nonlinear_share")
INTERVALS = ("jne", "mean_deviation")
N_REFERENCE = 20_000
"""Fresh stimuli that stand for all there could be."""
N_PROBES = 40
"""Stimuli whose JNE-SS is followed; they are among those of every draw."""


@dataclass(frozen=True)
class ConvergenceSettings:
    """The arguments of `converge`: what is computed, and the key under which it is kept."""

    n_samples: Sequence[int]
    n_draws: int
    n_train: int
    n_features: int
    n_voxels: int
    n_bootstrap: int
    random_state: int
    encoder_options: Mapping


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
    settings = ConvergenceSettings(
        [int(n) for n in n_samples], n_draws, n_train, n_features, n_voxels, n_bootstrap, random_state,
        dict(encoder_options or {}),
    )  # fmt: skip
    result = cached("simulation", "convergence", asdict(settings), lambda: _converge(settings))
    return result.to_dataframe().reset_index(drop=True)


def _converge(settings: ConvergenceSettings) -> xr.Dataset:
    rng = np.random.default_rng(settings.random_state)
    n_train = settings.n_train
    n_learn = n_train + n_train // 5
    n_fresh = settings.n_draws * sum(settings.n_samples)
    X = power_law_features(rng, n_learn + N_REFERENCE + n_fresh, settings.n_features)
    learn, X_reference, fresh = np.split(X, [n_learn, n_learn + N_REFERENCE])
    alpha, ceiling = rng.uniform(size=settings.n_voxels), rng.uniform(0.2, 0.8, settings.n_voxels)
    _, Y = mixed_response(learn, alpha, ceiling, random_state=settings.random_state)
    options = {"random_state": settings.random_state, **settings.encoder_options}
    encoder = ResidualEncoder(**options).fit(learn[:n_train], Y[:n_train], learn[n_train:], Y[n_train:])
    reference = nonlinearity(encoder, X_reference, max_memory="1GB")
    probes, true_ss = X_reference[:N_PROBES], reference["jne_ss"].values[:N_PROBES]
    rows = []
    for n in settings.n_samples:
        for draw in range(settings.n_draws):
            own, fresh = fresh[:n], fresh[n:]
            options = {"n_bootstrap": settings.n_bootstrap, "random_state": draw, "return_samples": False}
            result = nonlinearity(encoder, own, **options)
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
