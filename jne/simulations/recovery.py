"""Voxels known only through noise: which variable does each measure of the fitted encoder follow?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise

import numpy as np
import pandas as pd
import xarray as xr

from jne._core import cached, whole_number
from jne.accuracy import prediction_share, r2_score
from jne.datasets import EncodingDataset
from jne.encoders import Encoder, MeanEncoder, ResidualEncoder
from jne.measures import REGISTRY, crossfit_nonlinearity, nonlinearity, validated_share
from jne.simulations.responses import mixed_response
from jne.statistics import partial_spearman, spearman

SHARES = ("nonlinear_share", "prediction_share", "validated_share", "crossfit_share", "crossfit_prediction_share")
MEASURES = {name: REGISTRY[name].label for name in ("jne", "mean_deviation", "relative", *SHARES, "r2_difference")}
"""What is put to the trial, with its label."""

AVERAGED = ("jne", "nonlinear_share", "validated_share")
OF_SEVERAL = {
    f"{name}_{way}": REGISTRY[f"{name}_{way}"].label for way in ("mean_model", "mean_of_fits") for name in AVERAGED
}
"""What several fits give beside it: the measures of their mean, and the mean of their measures."""


@dataclass(frozen=True)
class RecoverySettings:
    """The arguments of `recover`: what is computed, and the key under which it is kept."""

    random_state: int
    n_train: int
    n_validation: int
    n_test: int
    n_features: int
    n_voxels: int
    noise_ceilings: Sequence[float]
    n_splits: int
    n_groups: int
    encoder_options: Mapping
    n_seeds: int = 1


def power_law_features(rng: np.random.Generator, n_samples: int, n_features: int) -> np.ndarray:
    """Gaussian features with a power-law spectrum, randomly rotated, ``(n_samples, n_features)``."""
    spectrum = np.arange(1, n_features + 1) ** -0.5
    rotation = np.linalg.qr(rng.normal(size=(n_features, n_features)))[0]
    return (rng.normal(size=(n_samples, n_features)) * spectrum) @ rotation


def simulated_voxels(
    random_state: int = 0,
    *,
    n_train: int = 1600,
    n_validation: int = 200,
    n_test: int = 200,
    n_features: int = 32,
    n_voxels: int = 60,
    noise_ceilings: Sequence[float] = (0.1, 0.8),
) -> EncodingDataset:
    """The voxels of `recover` as a dataset, with ``true_nonlinearity`` and ``noise_ceiling``."""
    counts = {"train": n_train, "validation": n_validation, "test": n_test}
    X, Y, alpha, ceiling = _draw(random_state, sum(counts.values()), n_features, n_voxels, noise_ceilings)
    content = {
        "gaussian": (("stimulus", "feature_gaussian"), X.astype(np.float32)),
        "responses": (("stimulus", "voxel"), Y.astype(np.float32)),
        "split": ("stimulus", np.repeat(list(counts), list(counts.values())).astype(object)),
        "stimulus_id": ("stimulus", np.array([f"sample{i:05d}" for i in range(len(X))], object)),
        "true_nonlinearity": ("voxel", alpha),
        "noise_ceiling": ("voxel", ceiling),
    }
    return EncodingDataset(xr.Dataset(content, attrs={"name": "simulated voxels", "synthetic": 1}))


def _draw(random_state: int, n_samples: int, n_features: int, n_voxels: int, noise_ceilings: Sequence[float]):
    rng = np.random.default_rng(random_state)
    X = power_law_features(rng, n_samples, n_features)
    alpha, ceiling = rng.uniform(size=n_voxels), rng.uniform(*noise_ceilings, n_voxels)
    return X, mixed_response(X, alpha, ceiling, random_state=random_state)[1], alpha, ceiling


def recover(
    random_state: int = 0,
    *,
    n_train: int = 7000,
    n_validation: int = 1000,
    n_test: int = 400,
    n_features: int = 128,
    n_voxels: int = 400,
    noise_ceilings: Sequence[float] = (0.1, 0.8),
    n_splits: int = 1,
    n_groups: int = 4,
    encoder_options: Mapping | None = None,
    n_seeds: int = 1,
) -> xr.Dataset:
    """Simulate voxels, fit `jne.ResidualEncoder` to their noisy responses, and measure every voxel.

    The nonlinear share of a voxel is uniform in [0, 1] and its noise ceiling uniform between the two
    ``noise_ceilings``, drawn independently: a measure of nonlinearity should follow the first and not the second.

    Parameters
    ----------
    random_state : int
        Of the voxels, the noise and the encoders.
    n_train, n_validation, n_test, n_features, n_voxels : int
    noise_ceilings : two floats
        Least and greatest noise ceiling, above 0 and at most 1.
    n_splits, n_groups : int
        Of `jne.crossfit_nonlinearity`.
    encoder_options : mapping, optional
        Of `jne.ResidualEncoder`.
    n_seeds : int
        Fits of the encoder, from seeds that follow each other. The `MEASURES` are those of the first; of several there
        is `OF_SEVERAL`, too.

    Returns
    -------
    xarray.Dataset
        Over ``voxel``: ``true_nonlinearity`` (the planted share), ``noise_ceiling``, ``r2``, the `MEASURES` and, of
        several seeds, `OF_SEVERAL`. Cached.
    """
    settings = RecoverySettings(
        random_state, n_train, n_validation, n_test, n_features, n_voxels, list(noise_ceilings), n_splits, n_groups,
        dict(encoder_options or {}), whole_number(n_seeds, "n_seeds", 1),
    )  # fmt: skip
    return cached("simulation", "recovery", asdict(settings), lambda: _recover(settings))


def _recover(settings: RecoverySettings) -> xr.Dataset:
    ends = [settings.n_train, settings.n_train + settings.n_validation]
    X, Y, alpha, ceiling = _draw(
        settings.random_state, ends[1] + settings.n_test, settings.n_features, settings.n_voxels,
        settings.noise_ceilings,
    )  # fmt: skip
    (X, X_val, X_test), (Y, Y_val, Y_test) = (np.split(a, ends) for a in (X, Y))
    options = {"random_state": settings.random_state, **settings.encoder_options}
    seeds = range(options["random_state"], options["random_state"] + settings.n_seeds)
    fits = [ResidualEncoder(**{**options, "random_state": seed}).fit(X, Y, X_val, Y_val) for seed in seeds]
    linear = ResidualEncoder(**{**options, "activation": None}).fit(X, Y, X_val, Y_val)
    crossfit = crossfit_nonlinearity(
        lambda seed: ResidualEncoder(**{**settings.encoder_options, "random_state": seed}),
        (X, Y, X_val, Y_val, X_test),
        n_splits=settings.n_splits,
        n_groups=settings.n_groups,
        random_state=settings.random_state,
    )
    measured = nonlinearity(fits[0], X_test, return_samples=False)
    everything, mean = np.concatenate([X, X_val, X_test]), MeanEncoder.of(fits)
    found = {
        "true_nonlinearity": alpha,
        "noise_ceiling": ceiling,
        **_of_predictions(fits[0], linear, everything, Y_test),
        "crossfit_share": crossfit["nonlinear_share"].values,
        "crossfit_prediction_share": crossfit["prediction_share"].values,
        **_of_several(fits, mean, everything, Y_test),
    }
    return measured[[name for name in MEASURES if name in measured]].assign(
        {name: ("voxel", values) for name, values in found.items()}
    )


def _of_predictions(encoder: Encoder, linear: Encoder, X: np.ndarray, Y_test: np.ndarray) -> dict[str, np.ndarray]:
    """R², what it is beyond a linear encoder's, and shares from predictions; test stimuli are the last of X."""
    X_test, predictions = X[-len(Y_test) :], encoder.predict(X)
    r2 = r2_score(Y_test, predictions[-len(Y_test) :])
    return {
        "r2": r2,
        "r2_difference": r2 - r2_score(Y_test, linear.predict(X_test)),
        "prediction_share": prediction_share(X, predictions),
        "validated_share": _validated(predictions, X, Y_test),
    }


def _validated(predictions: np.ndarray, X: np.ndarray, Y_test: np.ndarray) -> np.ndarray:
    n = len(Y_test)
    found = validated_share(predictions[-n:], Y_test, X[-n:], all_predictions=predictions, all_features=X)
    return found["validated_share"].values


def _of_several(fits: Sequence[Encoder], mean: Encoder, X: np.ndarray, Y_test: np.ndarray) -> dict[str, np.ndarray]:
    """`OF_SEVERAL`, nothing of a single fit; test stimuli are the last of X."""
    if len(fits) == 1:
        return {}
    measured = [nonlinearity(fit, X[-len(Y_test) :], return_samples=False) for fit in (mean, *fits)]
    values = {name: [one[name].values for one in measured] for name in AVERAGED[:2]}
    values["validated_share"] = [_validated(fit.predict(X), X, Y_test) for fit in (mean, *fits)]
    of_mean = {f"{name}_mean_model": found[0] for name, found in values.items()}
    return of_mean | {f"{name}_mean_of_fits": np.mean(found[1:], axis=0) for name, found in values.items()}


def recovery_table(results: Sequence[xr.Dataset]) -> pd.DataFrame:
    """How each measure follows the planted share and the noise ceiling, one row per measure and simulation.

    Returns
    -------
    pandas.DataFrame
        ``measure`` (those of `OF_SEVERAL`, too, where there are several fits), ``simulation``, ``n_train``, Spearman
        correlation ``with_truth`` and ``with_ceiling``, and each given the other variable: ``partial_truth``,
        ``partial_ceiling``; over the voxels that have a value.
    """
    rows = []
    for number, result in enumerate(results):
        labels = {name: label for name, label in {**MEASURES, **OF_SEVERAL}.items() if name in result}
        for name, label in labels.items():
            kept = np.isfinite(result[name].values)
            names = (name, "true_nonlinearity", "noise_ceiling")
            values, alpha, ceiling = (result[one].values[kept] for one in names)
            row = {"measure": label, "simulation": number, "n_train": int(result.attrs["n_train"])}
            row |= {"with_truth": spearman(values, alpha), "with_ceiling": spearman(values, ceiling)}
            row |= {"partial_truth": partial_spearman(values, alpha, ceiling)}
            row |= {"partial_ceiling": partial_spearman(values, ceiling, alpha)}
            rows.append(row)
    return pd.DataFrame(rows)


def bias_table(results: Sequence[xr.Dataset], edges: Sequence[float]) -> pd.DataFrame:
    """Estimate less planted share of every voxel that has a value, with the bin of its noise ceiling.

    Parameters
    ----------
    results : sequence of xarray.Dataset
        From `recover`.
    edges : sequence of float
        Of the bins.

    Returns
    -------
    pandas.DataFrame
        ``measure`` (the `SHARES`), ``ceiling`` (bin, as text) and ``bias``; one row per voxel and measure.
    """
    parts = []
    for result in results:
        frame = result[["true_nonlinearity", "noise_ceiling", *SHARES]].to_dataframe()
        labels = [f"{low:g} to {high:g}" for low, high in pairwise(edges)]
        frame["ceiling"] = pd.cut(frame["noise_ceiling"], edges, labels=labels, include_lowest=True)
        for name in SHARES:
            part = frame[["ceiling"]].assign(measure=MEASURES[name], bias=frame[name] - frame["true_nonlinearity"])
            parts.append(part.dropna())
    return pd.concat(parts, ignore_index=True)
