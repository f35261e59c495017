"""Cross-fitting: what two encoders, fitted to disjoint halves of the stimuli, agree on."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike
from tqdm import tqdm

from jne._core import code_hash, hash_parameters, parse_bytes, provenance, whole_number, write_netcdf
from jne.datasets import EncodingDataset
from jne.encoders import Encoder, Training, check_training, second_moment, training_arrays
from jne.measures.covariance import Covariance
from jne.measures.crossfit_pair import Comparison, Units, check_start, fit_halves
from jne.measures.crossfit_shares import SHARES, TERMS, jackknife_error, share, split_sd, spread
from jne.measures.crossfit_splits import draw_groups, draw_splits

_TEXT = {
    "crossfit_nonlinear": "C: mean over samples of <J1 - J1bar, J2 - J2bar> in the metric of the feature covariance",
    "crossfit_linear": "C0: <J1bar, J2bar> in the metric of the feature covariance",
    "crossfit_residual": "covariance of two fits' predictions, each less its best linear map",
    "crossfit_predicted": "covariance of two fits' predictions",
    "nonlinear_share": "cross-fitted share (C/2) / (C/2 + C0)",
    "prediction_share": "cross-fitted share from predictions, crossfit_residual / crossfit_predicted",
    "reliable": "whether C/2 + C0 is more than two standard errors above zero",
    "crossfit_jne_ss": "cross-fitted JNE-SS: product of two fits' L1 deviations, each less its mean over samples",
}
_PARTS = {
    "": "{}",
    "_se": "jackknife standard error of {}",
    "_split_sd": "split s.d. (no standard error: splits share data) of {}",
    "_jackknife": "without one group of training stimuli: {}",
}
_UNITS = "z-scored response units per z-scored feature unit"


def crossfit_nonlinearity(
    make_encoder: Callable[[int], Any],
    data: EncodingDataset | Sequence[ArrayLike],
    *,
    n_splits: int = 4,
    n_groups: int = 8,
    random_state: int = 0,
    layer: str | None = None,
    covariance: Covariance = None,
    device: str = "auto",
    precision: str = "float32",
    max_memory: int | str = "2GB",
    n_voxels_batch: int | None = None,
    return_samples: bool = False,
    folder: str | Path | None = None,
    progress: bool = False,
) -> xr.Dataset:
    """Measure the nonlinearity that two encoders share which saw no stimulus in common.

    Part of what a Jacobian's dispersion measures is the fit itself: initial weights and noise. Two encoders are fitted
    to disjoint halves of the training stimuli, each stopped by its own half of the validation stimuli and started from
    its own seed, and taken to the same test stimuli. Products replace the squares of `jne.nonlinearity`::

        C = mean_n <J1[n] - J1bar, J2[n] - J2bar>_Sigma,  C0 = <J1bar, J2bar>_Sigma,  share = (C/2) / (C/2 + C0)

    so that what the two do not share cancels in expectation; for predictions likewise, with the covariance of both
    fits' residuals from their linear maps over the covariance of their predictions. Sums over splits come first, the
    division last; nothing is clipped, so that values below 0 or above 1 occur. It is another estimate than the plain
    share, with another bias, and not its bound: it shrinks where half of the stimuli cannot teach the nonlinearity.

    Both Jacobians are in z-scored response units per z-scored feature unit, of *all* training stimuli: each encoder
    z-scores with its own half, and its Jacobian is converted exactly.

    Parameters
    ----------
    make_encoder : callable
        ``make_encoder(seed)`` gives an unfitted encoder: ``lambda seed: jne.ResidualEncoder(random_state=seed)``. One
        of your own is a subclass of `jne.encoders.Encoder`; if it starts from random weights, let it have
        ``initial_module``.
    data : EncodingDataset or tuple
        ``(X, Y, X_val, Y_val, X_test)``, ``(n_samples, n_features)`` and ``(n_samples, n_voxels)``. Of a dataset with
        folds the last fold is for validation, the rest for training, and the Jacobians are those at all stimuli.
    n_splits : int
        Divisions in halves; the estimates are averages over them.
    n_groups : int
        Groups of training stimuli, at least 4. Halves consist of whole groups, and the standard errors leave out one
        group at a time and fit the half it belonged to again: ``n_splits * (2 + n_groups)`` fits in all.
    random_state : int
        Draws the groups, the halves and the seeds of the encoders.
    layer : str, optional
        Feature layer of a dataset; by default its own default.
    covariance : array, optional
        Of the z-scored features, or a factor of it, as in `jne.nonlinearity`; by default that of all training stimuli.
    device, precision, max_memory, n_voxels_batch
        As in `jne.nonlinearity`, for the Jacobians and the predictions.
    return_samples : bool
        Whether to return ``crossfit_jne_ss``; two products of the readout per split, and two arrays as large as it.
    folder : path, optional
        Keep every finished split there, and find it again if the arrays, the encoder and all settings but ``n_splits``
        are the same: an interrupted run goes on, and one with more splits computes only the new ones.
    progress : bool
        Whether to show a progress bar over fits.

    Returns
    -------
    xarray.Dataset
        Over ``voxel``, float64: ``crossfit_nonlinear`` (C), ``crossfit_linear`` (C0), ``crossfit_residual`` and
        ``crossfit_predicted`` (the two covariances of predictions), ``nonlinear_share`` and ``prediction_share``, each
        with ``_se``, the delete-one-group jackknife error over training stimuli (the test stimuli count as given; it
        errs on the large side, as every refit adds what is accidental in training), and ``_split_sd``, the spread over
        splits, which is no standard error because splits share data. A share is NaN where its denominator is not more
        than two standard errors above zero; ``reliable`` says so for C/2 + C0.
        ``<term>_jackknife (group, voxel)``: the first four without each group, which `jne.area_share` takes its errors
        from.
        ``crossfit_jne_ss (sample, voxel)``: the mean over splits of ``(delta1 - mean delta1) (delta2 - mean delta2)``
        with delta the L1 deviations of the two fits, where the published JNE-SS squares that of one fit; it may be
        negative. What is peculiar to one fit's delta cancels. As delta is a norm, a sample at which any fit is noisy
        has a large delta in both, and that does not cancel.
        Predictions are compared at validation and test stimuli (of a dataset with folds, at the last fold), which no
        fit was trained on: at its own stimuli a fit has a larger gain, which the other lacks, and their residuals would
        correlate negatively. Covariances are over the degrees of freedom that the linear map leaves; with fewer than
        three such stimuli for two features, everything from predictions is NaN.

    Raises
    ------
    ValueError
        If an argument is unusable, both encoders of a split start from the same weights, or ``max_memory`` is too
        small.

    Examples
    --------
    >>> import numpy as np, jne
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(500, 4))
    >>> Y = X[:, :2] + rng.normal(size=(500, 2))
    >>> arrays = X[:300], Y[:300], X[300:400], Y[300:400], X[400:]
    >>> result = jne.crossfit_nonlinearity(lambda seed: jne.RidgeEncoder(random_state=seed), arrays, n_splits=1)
    >>> result.nonlinear_share.values  # ridge regression has one Jacobian
    array([0., 0.])
    """
    limit = parse_bytes(max_memory)
    n_splits, n_groups = whole_number(n_splits, "n_splits", 1), whole_number(n_groups, "n_groups", 4)
    random_state = whole_number(random_state, "random_state", 0)
    step = None if n_voxels_batch is None else whole_number(n_voxels_batch, "n_voxels_batch", 1)
    if covariance is False:
        raise ValueError("covariance=False: the cross-fitted share is defined by a covariance; give None or a matrix")
    arrays, X_test, X_unseen = _arrays(data, layer)
    groups = draw_groups(len(arrays.X), n_groups, arrays.groups, random_state)
    splits = draw_splits(n_groups, n_splits, len(arrays.X_val), arrays.groups, random_state)
    units = Units(arrays)
    metric = second_moment(units.features(arrays.X)) if covariance is None else covariance
    compare = Comparison(units, X_test, X_unseen, metric, device, precision, limit, step)
    check_start(make_encoder, splits[0].seeds, arrays, compare, return_samples)
    encoder = make_encoder(0)
    settings = {
        "encoder": encoder.describe() if isinstance(encoder, Encoder) else repr(encoder),
        "n_groups": n_groups,
        "random_state": random_state,
        "covariance": "training features" if covariance is None else "given",
        "precision": precision,
        "return_samples": int(return_samples),
    }
    where = None if folder is None else Path(folder) / _key(settings, [*arrays, X_test, covariance])
    found = []
    with tqdm(total=n_splits * (2 + n_groups), desc="cross-fit", unit="fit", disable=None if progress else True) as bar:
        for number, split in enumerate(splits):
            path = None if where is None else where / f"split-{number}.nc"
            if path is None or not path.exists():
                terms, samples = fit_halves(make_encoder, arrays, groups, split, compare, return_samples, bar.update)
                found.append(_split_dataset(terms, samples))
                if path is not None:
                    write_netcdf(found[-1], path)
            else:
                with xr.open_dataset(path, engine="h5netcdf") as kept:
                    found.append(kept.load())
                bar.update(2 + n_groups)
    sizes = {"n_train": len(arrays.X), "n_validation": len(arrays.X_val), "n_samples": len(X_test)}
    sizes |= {"n_prediction_samples": len(X_unseen), "n_features": X_test.shape[1], "n_voxels": arrays.Y.shape[1]}
    settings |= {"n_splits": n_splits, "layer": layer or getattr(data, "default_layer", None) or "all features"}
    settings |= {"device": str(compare.where), "max_memory": limit, "n_voxels_batch": step or "auto"}
    return _dataset(found).assign_attrs({**settings, **sizes, "units": _UNITS, **provenance()})


def _arrays(data: EncodingDataset | Sequence[ArrayLike], layer: str | None) -> tuple[Training, np.ndarray, np.ndarray]:
    """Training arrays, the features that Jacobians are taken at, and those that predictions are taken at."""
    if isinstance(data, EncodingDataset):
        arrays = training_arrays(data, layer)
        X_test = data.features("test" if data.folds is None else "all", layer)
        unseen = [arrays.X_val] if data.folds is not None else [arrays.X_val, X_test]
    else:
        if not isinstance(data, tuple | list) or len(data) != 5:
            raise ValueError(f"data={type(data).__name__}; give an EncodingDataset or (X, Y, X_val, Y_val, X_test)")
        *given, X_test = (np.asarray(array, np.float32) for array in data)
        arrays = Training(*given)
        unseen = [arrays.X_val, X_test]
    check_training(arrays)
    if X_test.ndim != 2 or X_test.shape[1] != arrays.X.shape[1]:
        raise ValueError(f"X_test has shape {X_test.shape} and X has {arrays.X.shape[1]} features")
    return arrays, X_test, np.concatenate(unseen)


def _key(settings: dict, arrays: list) -> str:
    """Sixteen digits that change with the settings, the arrays or the code."""
    digests = [
        None if array is None else hashlib.sha256(np.ascontiguousarray(array).data).hexdigest() + str(np.shape(array))
        for array in arrays
    ]
    return hash_parameters({**settings, "arrays": digests, "code_hash": code_hash("crossfit")})


def _split_dataset(terms: np.ndarray, samples: np.ndarray | None) -> xr.Dataset:
    content = {"terms": xr.Variable(("term", "estimate", "voxel"), terms.swapaxes(0, 1))}
    if samples is not None:
        content["crossfit_jne_ss"] = xr.Variable(("sample", "voxel"), samples)
    return xr.Dataset(content)


def _dataset(splits: list[xr.Dataset]) -> xr.Dataset:
    """Averages over splits, and their errors."""
    every = np.stack([split["terms"].values for split in splits])  # (split, term, 1 + group, voxel)
    mean = every.mean(axis=0)
    terms, deleted, single = mean[:, 0], mean[:, 1:], every[:, :, 0].swapaxes(0, 1)
    values = {}
    for number, name in enumerate(TERMS):
        values[name] = terms[number]
        values[f"{name}_se"] = jackknife_error(deleted[number])
        values[f"{name}_split_sd"] = spread(single[number])
        values[f"{name}_jackknife"] = deleted[number]
    for name in SHARES:
        found = share(name, terms, deleted)
        values |= {name: found.value, f"{name}_se": found.se, f"{name}_split_sd": split_sd(name, single)}
        if name == "nonlinear_share":
            values["reliable"] = found.reliable
    if "crossfit_jne_ss" in splits[0]:
        values["crossfit_jne_ss"] = sum(split["crossfit_jne_ss"].values for split in splits) / len(splits)
    return xr.Dataset({name: _variable(name, array) for name, array in values.items()})


def _variable(name: str, values: np.ndarray) -> xr.Variable:
    part = next((part for part in _PARTS if part and name.endswith(part)), "")
    base = name.removesuffix(part)
    first = {"_jackknife": "group", "": "sample"}.get(part)
    units = "1" if base in SHARES or base == "reliable" else "squared z-scored response units"
    if base == "crossfit_jne_ss":
        units = f"({_UNITS})^2"
    attributes = {"long_name": _PARTS[part].format(_TEXT[base]), "units": units}
    return xr.Variable((first, "voxel")[2 - values.ndim :], values, attributes)
