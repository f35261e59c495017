"""The share of an encoder's nonlinearity that the responses themselves confirm, from one fit."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike

from jne._core import as_numbers, spans, whole_number
from jne.measures.linear_map import find_rows, linear_map
from jne.measures.validated_products import products_of
from jne.measures.validated_result import Collected

LEAST_STIMULI = 8
"""Test stimuli below which the error of a mean is not known."""
_OF_FOLDS = 2.0
"""Under the null each pair of stimuli in different folds counts twice, each as tested by the other's noise."""
_BLOCK = 2**22  # numbers of a block of voxels


def validated_share(
    predictions: ArrayLike,
    responses: ArrayLike,
    features: ArrayLike,
    *,
    all_predictions: ArrayLike | None = None,
    all_features: ArrayLike | None = None,
    category: Sequence | None = None,
    area: Sequence | None = None,
    fold: Sequence | None = None,
    slopes: ArrayLike | None = None,
    n_components: int | None = None,
    q: float = 0.05,
) -> xr.Dataset:
    """How much of what an encoder predicts is nonlinear in its features, and confirmed by responses it never saw.

    With f the prediction, r_f what is left of it after its best linear map of the features, and y the test response,
    the share is ``cov(y, r_f) / cov(y, f)`` over test stimuli. The noise of y is independent of the fit, so it raises
    neither covariance: a nonlinearity that the encoder made up from noise does not count. Before, y loses its
    regression on the linear part of f, which makes the first covariance less variable and leaves its mean. And r_f is
    that of a map fitted without the stimulus itself (the residual over one less its leverage), or the map would take
    up a part of every nonlinearity.

    The share is that of the *predicted* signal, given these features: what the encoder has not learnt is not in it. It
    has no form for single stimuli, but one for groups of them.

    Parameters
    ----------
    predictions, responses : array ``(n_test, n_voxels)``
        Of stimuli whose responses the encoder was not fitted to.
    features : array ``(n_test, n_features)``
        What the encoder predicts from.
    all_predictions, all_features : array ``(n_all, n_voxels)`` and ``(n_all, n_features)``, optional
        The encoder's predictions of any stimuli, with or without responses, and their features, for the linear map;
        the test stimuli are added where they are not among them. By default the test stimuli alone. The more the
        better: a map of many features from few stimuli costs most of the power.
    category : sequence ``(n_test,)``, optional
        One label a test stimulus. Adds ``by_category``.
    area : sequence ``(n_voxels,)``, optional
        One label a voxel, empty for none. Adds areas, as ratios of sums over their voxels.
    fold : sequence ``(n_test,)``, optional
        Where predictions are cross-validated, the fold of each stimulus. Each is predicted by another encoder and has
        its own mean and its own linear map, from its own stimuli: it takes twice as many of these as features, or
        ``n_components``. ``all_predictions`` and ``slopes``, which are of one encoder, are refused. The noise of a
        stimulus is in the encoders that predict the others, so the variance of the test is doubled.
    slopes : array ``(n_voxels, n_features)``, optional
        A linear map that is near the predictions, such as their mean Jacobian. It is needed with more than half as many
        features as stimuli, where the map has to be one of the first principal components: what it knows of the others
        is then known to be linear.
    n_components : int, optional
        Take the linear map of the first principal components of the z-scored features, at most half as many as stimuli
        (of the smallest fold).
        Without ``slopes``, what is linear in the others then counts as nonlinear.
    q : float
        False discovery rate of ``confirmed``.

    Returns
    -------
    xarray.Dataset
        Over ``voxel``: ``validated_share``, NaN where cov(y, f) is not two standard errors above zero (the encoder
        predicts nothing there); ``validated_share_se``, from its influence function over test stimuli; ``p_value``,
        one-sided, of the hypothesis that y is linear in the features (Student's t of cov(y, r_f)); ``confirmed``, what
        passes the Benjamini-Hochberg procedure at ``q``; ``validated_nonlinear`` and ``validated_predicted``, the two
        covariances over the variance of y, sums of which make an area's share. With ``area``, over ``area``:
        ``area_share``, ``area_share_se``, ``area_p_value``; and what these are made of, sums over voxels of the first
        product at each stimulus, ``area_products (sample, area)``, and of the second covariance, ``area_predicted``.
        With ``category``: ``by_category (category, voxel)``, the mean of the first product over a category's stimuli,
        over cov(y, f) of all, and ``by_category_se``, NaN of a category of one stimulus; with both also
        ``area_by_category (category, area)`` and its error.
        Attributes: ``n_samples``, ``n_all``, ``n_features``, ``n_components``, ``linear_map`` in words, ``dependence``
        (the factor of the test's variance, 2 with folds), and ``reason``
        where all is NaN. A prediction that is linear has share 0 and no p value.

    Raises
    ------
    ValueError
        If shapes disagree, a value is not finite, there are fewer than 8 test stimuli, or ``n_components`` is more than
        half of the stimuli.

    Notes
    -----
    With more features than stimuli a linear map reproduces any prediction, and the test would run on rounding. With
    more than half as many, all is NaN unless ``slopes`` or ``n_components`` are given. A test stimulus that has a
    direction of the features to itself has no map without it, and is left out of the first covariance.

    The test is Student's, of products, and they are skewed where the noise is: against noise that is both skewed and
    growing with the nonlinear part its size is above the nominal one, more so for areas, whose voxels' bias adds up.

    Examples
    --------
    >>> import numpy as np, jne
    >>> rng = np.random.default_rng(0)
    >>> x = rng.normal(size=(4000, 1))
    >>> signal = np.concatenate([x, (x + (x**2 - 1) / np.sqrt(2))], axis=1)  # linear, and half of its variance so
    >>> responses = signal + rng.normal(size=signal.shape)
    >>> result = jne.validated_share(signal + 0.5 * np.cos(9 * x), responses, x)  # what nothing confirms is added
    >>> abs(result.validated_share.values.round(1)), result.confirmed.values
    (array([0. , 0.5]), array([False,  True]))
    """
    f, y, X = _numbers(predictions, "predictions"), _numbers(responses, "responses"), _numbers(features, "features")
    if not (f.shape == y.shape and len(X) == len(y) >= LEAST_STIMULI):
        raise ValueError(
            f"predictions has shape {f.shape}, responses {y.shape} and features {X.shape}; needed: (n_test, n_voxels) "
            f"twice and (n_test, n_features), with at least {LEAST_STIMULI} stimuli"
        )
    categories, tested = _labels(category, "category", len(y)), _labels(fold, "fold", len(y))
    areas = _labels(area, "area", y.shape[1])
    if slopes is not None:
        slopes = _numbers(slopes, "slopes")
        if tested is not None:
            raise ValueError("with fold, predictions are those of several encoders: slopes has no place; leave it out")
        if slopes.shape != (y.shape[1], X.shape[1]):
            raise ValueError(f"slopes has shape {slopes.shape}; needed: {(y.shape[1], X.shape[1])}, voxels by features")
    f_all, X_all, rows = _all_stimuli(f, X, all_predictions, all_features, tested)
    folds = np.zeros(len(X_all), int) if tested is None else np.unique(tested, return_inverse=True)[1]
    for_map = int(np.bincount(folds).min())
    most = for_map // 2
    if n_components is not None and whole_number(n_components, "n_components", 1) > most:
        raise ValueError(
            f"n_components={n_components} with {for_map} stimuli for the linear map; accepted are at most {most}, "
            "half of the stimuli (those without responses count; with folds, those of the smallest)"
        )
    used = min(X.shape[1], most if n_components is None else n_components)
    attributes = {"n_samples": len(y), "n_all": len(X_all), "n_features": X.shape[1], "n_components": used, "q": q}
    if known := used == X.shape[1] or slopes is not None or n_components is not None:
        attributes["linear_map"] = _in_words(used, X.shape[1], len(X_all), slopes is not None, tested is not None)
    elif tested is None:
        attributes["reason"] = (
            f"a linear map of {X.shape[1]} features needs twice as many stimuli, and there are {len(X_all)}: give more "
            "in all_features (those without responses count), slopes, or n_components"
        )
    else:
        attributes["reason"] = (
            f"a linear map of {X.shape[1]} features needs twice as many stimuli in each fold, whose predictions are "
            f"another encoder's, and the smallest has {for_map}: take fewer folds, fewer features, or n_components"
        )
    projection = linear_map(X_all, rows, folds, used if used < X.shape[1] else None) if known else None
    dependence = 1.0 if tested is None else _OF_FOLDS
    found = Collected(categories, areas, dependence)
    for voxels in spans(y.shape[1], max(1, _BLOCK // len(f_all))):
        linear = 0.0 if slopes is None else X_all.astype(float, copy=False) @ slopes[voxels].T
        found.add(voxels, products_of(f_all[:, voxels], linear, y[:, voxels], rows, folds, projection))
    return found.dataset(q).assign_attrs(attributes, dependence=dependence)


def _numbers(values: ArrayLike, name: str) -> np.ndarray:
    array = as_numbers(values, name)
    if array.ndim != 2:
        raise ValueError(f"{name} has shape {array.shape}; needed: two dimensions, the first over stimuli")
    if bad := np.count_nonzero(~np.isfinite(array)):
        raise ValueError(
            f"{name} holds {bad} values that are not finite, of {array.size}; leave out what they stand for"
        )
    return array


def _labels(values: Sequence | None, name: str, size: int) -> np.ndarray | None:
    if values is None:
        return None
    if name == "area":
        # None and NaN, as tables have them, are no area.
        values = ["" if value is None or value != value else value for value in np.asarray(values).ravel()]
    labels = np.asarray(values).astype(str)
    if labels.shape != (size,):
        over = "voxel" if name == "area" else "test stimulus"
        raise ValueError(f"{name} has shape {labels.shape}; needed: ({size},), one label a {over}")
    return labels


def _all_stimuli(
    f: np.ndarray,
    X: np.ndarray,
    all_predictions: ArrayLike | None,
    all_features: ArrayLike | None,
    fold: np.ndarray | None,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Predictions and features for the linear map, and the rows of the test stimuli among them."""
    if (all_predictions is None) != (all_features is None):
        raise ValueError("give all_predictions and all_features together: one row of each is one stimulus")
    if all_predictions is None or all_features is None:
        return f, X, np.arange(len(X))
    if fold is not None:
        raise ValueError(
            "with fold, predictions are those of several encoders: all_predictions has no place; leave it out"
        )
    more, X_more = _numbers(all_predictions, "all_predictions"), _numbers(all_features, "all_features")
    if len(more) != len(X_more) or more.shape[1] != f.shape[1] or X_more.shape[1] != X.shape[1]:
        raise ValueError(
            f"all_predictions has shape {more.shape} and all_features {X_more.shape}; needed: (n_all, {f.shape[1]}) "
            f"and (n_all, {X.shape[1]})"
        )
    rows = find_rows(X, X_more)
    _same_predictions(f[rows >= 0], more[rows[rows >= 0]])
    absent = np.flatnonzero(rows < 0)
    if not len(absent):
        return more, X_more, rows
    rows[absent] = len(X_more) + np.arange(len(absent))
    return np.concatenate([more, f[absent]]), np.concatenate([X_more, X[absent]]), rows


def _same_predictions(f: np.ndarray, more: np.ndarray) -> None:
    """A ValueError where an encoder predicts of the same stimuli two things."""
    if not len(f):
        return
    more = more.astype(float)
    difference, size = (np.sqrt((values**2).mean(axis=0)) for values in (f - more, more))
    if wrong := np.count_nonzero(difference > 0.01 * more.std(axis=0) + 1e-5 * size):
        raise ValueError(
            "predictions and all_predictions differ at stimuli whose features are the same, in "
            f"{wrong} of {f.shape[1]} voxels; needed: those of one encoder, in one unit, in the order of the features"
        )


def _in_words(used: int, n_features: int, n_stimuli: int, slopes: bool, folds: bool) -> str:
    stimuli = f"{n_stimuli} stimuli" + (", each fold's from its own" if folds else "")
    if used == n_features:
        return f"of {n_features} features, from {stimuli}"
    others = "given slopes in the others" if slopes else "what is linear in the others counts as nonlinear"
    return f"of the first {used} principal components of {n_features} features, from {stimuli}; {others}"
