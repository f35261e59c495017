"""Studies like a given one in which no category gates anything: the null of sample selectivity.

The stimuli are those of the study. Responses are of the same voxels, as linear, as nonlinear and as noisy as they were
found to be; the same encoder is fitted to them.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import xarray as xr

from jne._core import cached, hash_parameters
from jne.accuracy import prediction_share, remove_linear
from jne.measures import nonlinearity
from jne.statistics import area_samples, by_category
from jne.study.best_layer import assemble
from jne.study.study import Study

N_UNITS = 64
"""Hidden units of an ungated generator, drawn anew for every draw."""


def ungated_responses(study: Study, random_state: int) -> tuple[np.ndarray, np.ndarray]:
    """Simulate a study's training and validation responses without any gate.

    A voxel's signal is its linear encoder's prediction plus a random sum of hidden units; each unit is a function of
    one direction of the features, so none can single out a category and modulate another direction with it. The shares
    of linear, nonlinear and noise variance are the voxel's own: nonlinear as in the encoder's predictions, signal as
    in the noise ceiling (R² without one). Voxels of an area share as much of their nonlinear weights as their linear
    predictions correlate on average.

    Parameters
    ----------
    study : Study
        Of a dataset with a split.
    random_state : int

    Returns
    -------
    train, validation : numpy.ndarray, ``(n_samples, n_voxels)``, unit variance
    """
    if study.linear is None:
        raise ValueError("study has no linear reference, of which the simulation is made; run it with linear=True")
    rng = np.random.default_rng(random_state)
    X = [study.data.features(split, study.encoder.layer_) for split in ("train", "validation")]
    n_train, X = len(X[0]), np.concatenate(X)
    Z = study.encoder.scale_features(X).astype(float)
    linear = _zscore(study.linear.predict(X).astype(float))
    nonlinear = _zscore(_units(Z, rng) @ _weights(linear, _areas(study.result), rng))
    share = np.nan_to_num(prediction_share(_components(Z), study.encoder.predict(X)))
    signal = study.result["noise_ceiling" if "noise_ceiling" in study.result else "r2"].values
    signal = np.clip(np.nan_to_num(signal), 0.01, 0.99)
    Y = np.sqrt(1 - share) * linear + np.sqrt(share) * nonlinear
    Y = np.sqrt(signal) * Y + np.sqrt(1 - signal) * rng.standard_normal(Y.shape)
    return np.split(Y.astype(np.float32), [n_train])


def _areas(result: xr.Dataset) -> np.ndarray:
    return result["roi"].values.astype(str)


def _components(Z: np.ndarray) -> np.ndarray:
    """Features, or their leading principal components where stimuli are too few to tell linear from nonlinear."""
    most = len(Z) // 4
    if Z.shape[1] <= most:
        return Z
    U, S, _ = np.linalg.svd(Z - Z.mean(axis=0), full_matrices=False)
    return (U * S)[:, :most]


def _units(Z: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Hidden units without their best linear fit, ``(n_samples, N_UNITS)``, unit variance."""
    drive = _zscore(Z @ rng.standard_normal((Z.shape[1], N_UNITS))) - rng.uniform(-0.75, 0.75, N_UNITS)
    functions = (np.abs, np.square, lambda x: np.maximum(x, 0), lambda x: np.exp(-(x**2)), np.tanh)
    units = np.stack([functions[k % len(functions)](drive[:, k]) for k in range(N_UNITS)], axis=1)
    return _zscore(remove_linear(_components(Z), units))


def _weights(linear: np.ndarray, areas: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Weights of the units ``(N_UNITS, n_voxels)``, alike within an area as far as linear predictions are."""
    weights = rng.standard_normal((N_UNITS, len(areas)))
    for area in np.unique(areas):
        members = np.flatnonzero(areas == area)
        n = len(members)
        # For z-scored columns the mean of all correlations is the variance of the mean; the n own ones are taken out.
        total = linear[:, members].mean(axis=1).var()
        alike = max(0.0, (n * total - 1) / (n - 1)) if n > 1 else 0.0
        shared = rng.standard_normal((N_UNITS, 1))
        weights[:, members] = np.sqrt(alike) * shared + np.sqrt(1 - alike) * weights[:, members]
    return weights


def _zscore(columns: np.ndarray) -> np.ndarray:
    scale = columns.std(axis=0)
    return (columns - columns.mean(axis=0)) / np.where(scale > 0, scale, 1)


def ungated_tables(
    study: Study, n_draws: int, *, category=None, random_state: int = 0, max_memory: str = "2GB"
) -> xr.Dataset:
    """JNE-SS by area and category in ``n_draws`` studies like this one in which nothing is gated.

    Every draw simulates responses (`ungated_responses`), fits the study's encoder to them with a seed of its own, and
    summarises its Jacobians at the test stimuli as `category_table` does. Cached draw by draw, before stimuli are
    sorted into categories. Where voxels have layers of their own, the voxels of each layer are simulated, and fitted,
    by themselves.

    Parameters
    ----------
    study : Study
        Of a dataset with a split and areas.
    n_draws : int
    category : array of str ``(n_samples,)``, optional
        Of the study's stimuli, such as their clusters; by default their categories.
    random_state : int
    max_memory : str

    Returns
    -------
    xarray.Dataset
        ``jne_ss`` and ``signed (draw, area, category)``.
    """
    if category is None and "category" not in study.result:
        raise ValueError("study has stimuli without categories; give category, such as their clusters")
    category = (study.result["category"].values if category is None else np.asarray(category)).astype(str)
    if category.shape != (study.result.sizes["sample"],):
        raise ValueError(f"category has shape {category.shape}; needed: one of each of the study's stimuli")
    parameters = {"study": study.folder.name, "random_state": random_state, "max_memory": max_memory}

    def draw(number: int) -> xr.Dataset:
        key, fits = {**parameters, "draw": number}, study.folder / f"ungated-{random_state}-{number}.fits"

        def compute() -> xr.Dataset:
            return _ungated(study, number, random_state, max_memory, fits)

        return _by_category(cached("selectivity-null", "ungated", key, compute, beside=fits), category)

    return xr.concat([draw(number) for number in range(n_draws)], "draw")


def _by_category(samples: xr.Dataset, category: np.ndarray) -> xr.Dataset:
    tables = {name: by_category(values.to_pandas(), category) for name, values in samples.data_vars.items()}
    first = tables["jne_ss"]
    coords = {"area": first.index.to_numpy(object), "category": first.columns.to_numpy(object)}
    return xr.Dataset({name: (("area", "category"), table) for name, table in tables.items()}, coords, samples.attrs)


def _ungated(study: Study, draw: int, random_state: int, max_memory: str, fits: Path) -> xr.Dataset:
    measured = {layer: _ungated_part(part, draw, random_state, max_memory, fits / layer)
                for layer, part in study.parts.items()}  # fmt: skip
    measured = assemble(measured, study.voxels_of)
    measured = measured.assign({name: study.result[name] for name in ("roi", "significant")})
    samples = {name: area_samples(measured, signed=signed) for name, signed in (("jne_ss", False), ("signed", True))}
    coords = {"area": samples["jne_ss"].columns.to_numpy(object)}
    return xr.Dataset({name: (("sample", "area"), table) for name, table in samples.items()}, coords)


def _ungated_part(study: Study, draw: int, random_state: int, max_memory: str, fits: Path) -> xr.Dataset:
    # Another seed for every dataset and layer, and the same one whatever the code around it.
    facts = {name: study.result.attrs[name] for name in ("data_hash", "layer")}
    key = int(hash_parameters(facts), 16)
    seed = int(np.random.SeedSequence([random_state, draw, key]).generate_state(1)[0])
    X, X_val, X_test = (study.data.features(split, study.encoder.layer_) for split in ("train", "validation", "test"))
    Y, Y_val = ungated_responses(study, seed)
    encoder = study.encoder.with_seed(seed % 2**31).fit(X, Y, X_val, Y_val, folder=fits)
    return nonlinearity(encoder, X_test, covariance=False, max_memory=max_memory)
