"""What the shares, plain and cross-fitted, do when the encoder or the number of stimuli changes, and on a null."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import xarray as xr

from jne._core import cached, hash_parameters
from jne.accuracy import prediction_share
from jne.encoders import ResidualEncoder
from jne.measures import crossfit_nonlinearity, nonlinearity, validated_share
from jne.simulations.recovery import power_law_features
from jne.simulations.responses import mixed_response
from jne.statistics import area_share

TRUTHS = {"nonlinear": 0.4, "linear": 0.0, "shuffled": np.nan}
"""Kind of voxel -> its planted share: a response with a nonlinear part, a linear one, and the first one's responses
shuffled over stimuli, which have no relation to the features. They are shuffled anew for every setting, so that what
chance does to them is seen as often as there are settings."""

FACTORS = {
    "n_train": "training stimuli",
    "hidden_size": "hidden units",
    "n_blocks": "residual blocks",
    "weight_decay": "weight decay",
    "patience": "patience (epochs)",
    "random_state": "seed",
}

BASE = {
    "hidden_size": 64, "n_blocks": 2, "weight_decay": 0.01, "patience": 8, "batch_size": 128, "lr": 0.003,
    "random_state": 0,
}  # fmt: skip
"""Options of the encoder where nothing else is said."""


def vary(
    factor: str,
    levels: Sequence,
    *,
    n_train: int = 1500,
    n_features: int = 32,
    n_voxels: int = 40,
    noise_ceiling: float = 0.3,
    random_state: int = 0,
    encoder_options: Mapping | None = None,
) -> pd.DataFrame:
    """Plain and cross-fitted shares of voxels of known nonlinearity, for several values of one setting.

    The voxels and stimuli are the same at every level, except that more training stimuli add to the fewer, and that
    the shuffled responses are shuffled anew.

    Parameters
    ----------
    factor : str
        One of `FACTORS`.
    levels : sequence
        Its values.
    n_train, n_features : int
    n_voxels : int
        Of each kind in `TRUTHS`.
    noise_ceiling : float
        Of every voxel; shuffling makes it 0.
    random_state : int
    encoder_options : mapping, optional
        Of `jne.ResidualEncoder`; by default `BASE`.

    Returns
    -------
    pandas.DataFrame
        A row per level and kind: ``factor``, ``level``, ``kind``, ``true_nonlinearity``; ``setting``, the same number
        where levels of two factors are the same setting, such as the common one that all vary; ``nonlinear_share`` and
        ``prediction_share``, the medians over voxels of the plain measures; ``validated_share``, ``crossfit_share`` and
        ``crossfit_prediction_share``, ratios of sums over voxels, NaN where nothing is predicted or shared. Cached.
    """
    if factor not in FACTORS:
        raise ValueError(f"factor={factor!r}; accepted are {', '.join(FACTORS)}")
    rows = []
    for level in levels:
        options, n_samples = {**BASE, **(encoder_options or {})}, n_train
        if factor == "n_train":
            n_samples = level
        else:
            options[factor] = level
        parameters = {"n_train": n_samples, "n_features": n_features, "n_voxels": n_voxels}
        parameters |= {"noise_ceiling": noise_ceiling, "random_state": random_state, "encoder_options": options}
        found = (
            cached("simulation", "reproducible", parameters, lambda p=parameters: _measure(**p))
            .to_dataframe()
            .reset_index()
        )
        rows.append(found.assign(factor=factor, level=level, setting=_setting(parameters)))
    return pd.concat(rows, ignore_index=True)


def _setting(parameters: Mapping) -> int:
    """A number for all that is varied; it seeds the shuffling."""
    return int(hash_parameters({name: parameters[name] for name in ("n_train", "encoder_options")})[:8], 16)


def _measure(n_train, n_features, n_voxels, noise_ceiling, random_state, encoder_options) -> xr.Dataset:
    setting = _setting({"n_train": n_train, "encoder_options": encoder_options})
    n_validation, n_test = min(400, max(100, n_train // 5)), 200
    rng = np.random.default_rng(random_state)
    # Test and validation stimuli come first, so that more training stimuli only add to the fewer.
    n_held = 400 + n_test
    X = power_law_features(rng, 8000 + n_held, n_features)
    alpha = np.repeat([TRUTHS["nonlinear"], TRUTHS["linear"], TRUTHS["nonlinear"]], n_voxels)
    _, Y = mixed_response(X, alpha, noise_ceiling, random_state=random_state)
    shuffled = slice(2 * n_voxels, None)
    Y[:, shuffled] = Y[np.random.default_rng([random_state, setting]).permutation(len(Y)), shuffled]
    test, validation = slice(n_test), slice(n_test, n_test + n_validation)
    train = slice(n_held, n_held + n_train)
    arrays = X[train], Y[train], X[validation], Y[validation]
    encoder = ResidualEncoder(**encoder_options).fit(*arrays)
    plain = nonlinearity(encoder, X[test], return_samples=False)["nonlinear_share"].values
    everything = np.concatenate([X[train], X[validation], X[test]])
    predictions = encoder.predict(everything)
    predicted, kind = prediction_share(everything, predictions), np.repeat(list(TRUTHS), n_voxels)
    validated = validated_share(
        predictions[-n_test:], Y[test], X[test], all_predictions=predictions, all_features=everything, area=kind
    )
    crossfit = crossfit_nonlinearity(
        lambda start: ResidualEncoder(**{**encoder_options, "random_state": start}),
        (*arrays, X[test]),
        n_splits=1,
        n_groups=4,
        random_state=encoder_options["random_state"],
    )
    median = {name: [np.median(values[kind == k]) for k in TRUTHS] for name, values in
              (("nonlinear_share", plain), ("prediction_share", predicted))}  # fmt: skip
    median["validated_share"] = validated["area_share"].sel(area=list(TRUTHS)).values
    for name, share in (("crossfit_share", "nonlinear_share"), ("crossfit_prediction_share", "prediction_share")):
        median[name] = area_share(crossfit, kind, share).loc[list(TRUTHS), share].to_numpy(float)
    return xr.Dataset({name: ("kind", np.asarray(values)) for name, values in median.items()}).assign(
        true_nonlinearity=("kind", list(TRUTHS.values())), kind=np.array(list(TRUTHS), object)
    )
