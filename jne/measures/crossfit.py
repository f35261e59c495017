"""Cross-fitting: what two encoders, fitted to disjoint halves of the stimuli, agree on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike
from tqdm import tqdm

from jne._core import (
    as_numbers,
    code_hash,
    hash_parameters,
    kept,
    memory_told,
    parse_bytes,
    provenance,
    second_moment,
    whole_number,
)
from jne.datasets import EncodingDataset, Training, check_training, training_arrays
from jne.encoders import Encoder
from jne.measures.covariance import Covariance
from jne.measures.crossfit_pair import Comparison, Units, check_start, fit_halves
from jne.measures.crossfit_shares import KEYS, SHARES, TERMS, Terms, share, split_sd, spread, total_error
from jne.measures.crossfit_splits import draw_groups, draw_splits
from jne.measures.registry import GRADIENT, known_measure

_PARTS = {
    "": "{}",
    "_se": "jackknife standard error of {}",
    "_split_sd": "split s.d. (no standard error: splits share data) of {}",
    "_jackknife": "without one group of training stimuli: {}",
    "_jackknife_test": "without one group of test stimuli: {}",
}


@memory_told("crossfit_nonlinearity")
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
    refit: bool = True,
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
        Groups of training stimuli, at least 4, and 8 or more where errors are to be read: bounds are 2.4 standard
        errors away with 8 groups and 3.2 with 4. Halves consist of whole groups, and the standard errors leave out
        one group at a time and fit the half it belonged to again: ``n_splits * (2 + n_groups)`` fits in all.
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
    refit : bool
        Whether to fit again without each group of training stimuli. Without, two fits a split are all, and errors are
        over the stimuli they are taken at alone: what other training stimuli would change is not in them.
    folder : path, optional
        Keep every finished split there, and find it again if the arrays, the encoder and all settings but ``n_splits``
        are the same: an interrupted run goes on, and one with more splits computes only the new ones. Fits of more
        than half a minute go on from their checkpoints.
    progress : bool
        Whether to show a progress bar over fits.

    Returns
    -------
    xarray.Dataset
        Over ``voxel``, float64: ``crossfit_nonlinear`` (C), ``crossfit_linear`` (C0), ``crossfit_residual`` and
        ``crossfit_predicted`` (the two covariances of predictions), ``nonlinear_share`` and ``prediction_share``, each
        with ``_se``, the delete-one-group jackknife error over training stimuli (on the large side, as every refit
        adds what is accidental in training) and over up to eight groups of the stimuli they are taken at, both in one;
        and ``_split_sd``, the spread over splits, which is no standard error because splits share data. A share is NaN
        where the lower 95 % bound of its denominator is not above zero (Student's t with one degree of freedom less
        than the fewest groups); ``reliable`` says so for C/2 + C0.
        ``<term>_jackknife (group, voxel)`` and ``<term>_jackknife_test (test_group, voxel)``: the first four without
        each group, which `jne.area_share` takes its errors from.
        ``crossfit_jne_ss (sample, voxel)``: the mean over splits of ``(delta1 - mean delta1) (delta2 - mean delta2)``
        with delta the L1 deviations of the two fits, where the published JNE-SS squares that of one fit; it may be
        negative. (Everything else is in the metric of the covariance: other norms are for `jne.nonlinearity` alone.)
        What is peculiar to one fit's delta cancels. As delta is a norm, a sample at which any fit is noisy has a large
        delta in both, and that does not cancel.
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
    compare = Comparison(units, X_test, X_unseen, metric, device, precision, limit, step, return_samples)
    check_start(make_encoder, splits[0].seeds, arrays, compare)
    encoder = make_encoder(0)
    settings = {
        "encoder": encoder.describe() if isinstance(encoder, Encoder) else repr(encoder),
        "n_groups": n_groups,
        "random_state": random_state,
        "covariance": "training features" if covariance is None else "given",
        "precision": precision,
        "return_samples": int(return_samples),
        "refit": int(refit),
    }
    n_fits = 2 + n_groups * refit
    inputs = {**settings, "arrays": [*arrays, X_test, np.asarray(metric)], "code_hash": code_hash("crossfit")}
    where = None if folder is None else Path(folder) / hash_parameters(inputs)
    found = []
    with tqdm(total=n_splits * n_fits, desc="cross-fit", unit="fit", disable=None if progress else True) as bar:
        for number, split in enumerate(splits):
            compute = partial(fit_halves, make_encoder, arrays, groups, split, compare, refit, bar.update)
            found.append(compute() if where is None else _kept_split(where, number, compute))
            bar.update((number + 1) * n_fits - bar.n)  # of fits that were found
    sizes = {"n_train": len(arrays.X), "n_validation": len(arrays.X_val), "n_samples": len(X_test)}
    sizes |= {"n_prediction_samples": len(X_unseen), "n_features": X_test.shape[1], "n_voxels": arrays.Y.shape[1]}
    settings |= {"n_splits": n_splits, "layer": layer or getattr(data, "default_layer", None) or "all features"}
    settings |= {"device": str(compare.where), "max_memory": limit, "n_voxels_batch": step or "auto"}
    return _dataset(found).assign_attrs({**settings, **sizes, "units": GRADIENT.format(z="z-scored "), **provenance()})


def _kept_split(folder: Path, number: int, compute: Callable[..., xr.Dataset]) -> xr.Dataset:
    """A split from its file or written there; until then its fits keep their checkpoints beside it."""
    fits = folder / f"split-{number}.fits"
    return kept(folder / f"split-{number}.nc", partial(compute, folder=fits), beside=fits)


def _arrays(data: EncodingDataset | Sequence[ArrayLike], layer: str | None) -> tuple[Training, np.ndarray, np.ndarray]:
    """Training arrays, the features that Jacobians are taken at, and those that predictions are taken at."""
    if isinstance(data, EncodingDataset):
        arrays = training_arrays(data, layer)
        X_test = data.features("test" if data.folds is None else "all", layer)
    else:
        if not isinstance(data, tuple | list) or len(data) != 5:
            raise ValueError(f"data={type(data).__name__}; give an EncodingDataset or (X, Y, X_val, Y_val, X_test)")
        names = ("X", "Y", "X_val", "Y_val", "X_test")
        *given, X_test = (as_numbers(array, name, np.float32) for name, array in zip(names, data, strict=True))
        arrays = Training(*given)
    check_training(arrays)
    if X_test.ndim != 2 or X_test.shape[1] != arrays.X.shape[1]:
        raise ValueError(f"X_test has shape {X_test.shape} and X has {arrays.X.shape[1]} features")
    if len(X_test) < 4:
        raise ValueError(f"X_test has {len(X_test)} stimuli; give at least 4, since errors leave out parts of them")
    # With folds, X_test is all stimuli, and fits were trained on those that are not for validation.
    X_unseen = np.concatenate([arrays.X_val, X_test]) if arrays.groups is None else arrays.X_val
    return arrays, X_test, X_unseen


def _dataset(splits: list[xr.Dataset]) -> xr.Dataset:
    """Averages over splits, and their errors."""
    every = xr.concat([split.drop_vars("crossfit_jne_ss", errors="ignore") for split in splits], "split")
    mean, single = every.mean("split", skipna=False), Terms.of(every.isel(estimate=0))
    terms, deleted = Terms.of(mean.isel(estimate=0)), Terms.of(mean.isel(estimate=slice(1, None)))
    deleted_test = Terms.of(mean, "_jackknife_test")
    values: dict[str, np.ndarray] = {}
    for name, term, without, test, alone in zip(TERMS, terms, deleted, deleted_test, single, strict=True):
        values |= {name: term, f"{name}_se": total_error(without, test), f"{name}_split_sd": spread(alone)}
        values |= {f"{name}_jackknife": without, f"{name}_jackknife_test": test}
    for name in SHARES:
        found = share(name, terms, deleted, deleted_test)
        values |= {name: found.value, f"{name}_se": found.se, f"{name}_split_sd": split_sd(name, single)}
        if name == "nonlinear_share":
            values["reliable"] = found.reliable
    if "crossfit_jne_ss" in splits[0]:
        total = sum(split["crossfit_jne_ss"].values for split in splits)
        values["crossfit_jne_ss"] = np.asarray(total / len(splits))
    return xr.Dataset({name: _variable(name, array) for name, array in values.items()})


def _variable(name: str, values: np.ndarray) -> xr.Variable:
    part = next((part for part in _PARTS if part and name.endswith(part)), "")
    base = name.removesuffix(part)
    first = {"_jackknife": "group", "_jackknife_test": "test_group", "": "sample"}.get(part)
    measure = known_measure(KEYS.get(base, base))
    attributes = {"long_name": _PARTS[part].format(measure.definition), "units": measure.unit_of(zscored=True)}
    return xr.Variable((first, "voxel")[2 - values.ndim :], values, attributes)
