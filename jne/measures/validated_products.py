"""Products of a response with what an encoder predicts of it, and the ratios of their means over stimuli."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.stats import t as student_t

from jne.measures.linear_map import LinearMap, centre, rounding_of_mean

# What a linear encoder's predictions leave of themselves, over their spread, is rounding of float32.
_ROUNDING = 32 * float(np.finfo(np.float32).eps)


class Products(NamedTuple):
    """Products at each test stimulus, over the variance of the response, ``(n_test, n)``.

    Their means over stimuli are cov(y, r_f) and cov(y, f).
    """

    nonlinear: np.ndarray
    predicted: np.ndarray


class Estimate(NamedTuple):
    """Means of `Products`, their ratio and its standard error, and the p value of the first being 0."""

    nonlinear: np.ndarray
    predicted: np.ndarray
    share: np.ndarray
    se: np.ndarray
    p_value: np.ndarray


def products_of(
    f_all: np.ndarray,
    linear_all: np.ndarray | float,
    y: np.ndarray,
    rows: np.ndarray,
    folds: np.ndarray,
    projection: LinearMap | None,
) -> Products:
    """Of predictions of all stimuli, of which ``linear_all`` is known to be linear; NaN without a projection."""
    if projection is None:
        return Products(*np.full((2, *y.shape), np.nan))
    rest = projection.rest(f_all - linear_all)
    test, f = folds[rows], f_all[rows]
    rest[:, rest.std(axis=0) <= _rounding_of(f)] = 0
    rest[projection.alone] = 0
    linear, least = centre(f - rest, test), rounding_of_mean(y)
    y, f = centre(y, test), centre(f, test)
    n_test, known = len(y), ~projection.alone
    with np.errstate(invalid="ignore", divide="ignore"):
        variance = (y**2).mean(axis=0)
        variance[variance <= least**2] = np.nan
        slope = np.nan_to_num((y * linear).sum(axis=0) / (linear**2).sum(axis=0))
        nonlinear = (y - slope * linear) * rest / np.where(known, 1 - projection.leverage, 1)[:, None]
        nonlinear *= np.float64(n_test) / known.sum()
        predicted = y * f * (np.float64(n_test) / (n_test - len(np.unique(test))))
        return Products(nonlinear / variance, predicted / variance)


def _rounding_of(f: np.ndarray) -> np.ndarray:
    """What a linear prediction leaves of itself: a float32 network's rounding, and that of the numbers it came in."""
    values = np.asarray(f, np.float64)
    given = np.finfo(f.dtype).eps if f.dtype.kind == "f" else np.finfo(np.float64).eps
    return _ROUNDING * values.std(axis=0) + 32 * float(given) * np.sqrt((values**2).mean(axis=0))


def ratio_of(products: Products, dependence: float = 1.0) -> Estimate:
    """Of the columns of products; see `validated_share` for what is NaN.

    ``dependence`` is by how much stimuli that are not independent raise the variance of the first mean under its null.
    """
    u, v = products
    n_test = len(u)
    N, M = u.mean(axis=0), v.mean(axis=0)
    error = np.sqrt(n_test * (n_test - 1))
    with np.errstate(invalid="ignore", divide="ignore"):
        kept = M > 2 * np.linalg.norm(v - M, axis=0) / error
        share = np.where(kept, N / M, np.nan)
        # The influence of a stimulus on the ratio of two means.
        se = np.linalg.norm((u - N - share * (v - M)) / M, axis=0) / error
        t = N / (np.linalg.norm(u - N, axis=0) / error) / np.sqrt(dependence)
    return Estimate(N, M, share, se, student_t.sf(t, n_test - 2))


def by_group(products: Products, members: np.ndarray) -> np.ndarray:
    """Of groups of stimuli: the mean first product over the mean second of all, and its error, ``(2, n_groups, n)``.

    ``members (n_test, n_groups)`` is true where a stimulus belongs to a group; the error of a group of one is NaN.
    """
    shares = []
    for inside in members.T[:, :, None]:
        mean, size = products.nonlinear[inside[:, 0]].mean(axis=0), inside.sum()
        few = np.sqrt(size / (size - 1)) if size > 1 else np.nan
        deviation = np.where(inside, products.nonlinear - mean, 0) / inside.mean()
        share = ratio_of(Products(mean + deviation, products.predicted)).share
        se = ratio_of(Products(mean + few * deviation, products.predicted)).se
        shares.append([share, se])
    return np.stack(shares, axis=1)
