"""Products of a response with what an encoder predicts of it, and the ratios of their means over stimuli."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.stats import t as student_t

from jne.measures.linear_map import LinearMap, centre

# What a linear encoder's predictions leave of themselves, over their size, is rounding of float32.
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
    size = np.sqrt((np.asarray(f, np.float64) ** 2).mean(axis=0))
    rest[:, rest.std(axis=0) <= _ROUNDING * size] = 0
    linear = centre(f - rest, test)
    y, f = centre(y, test), centre(f, test)
    with np.errstate(invalid="ignore", divide="ignore"):
        variance = (y**2).mean(axis=0)
        slope = np.nan_to_num((y * linear).sum(axis=0) / (linear**2).sum(axis=0))
        nonlinear = (y - slope * linear) * rest / (1 - projection.leverage)[:, None]
        n_test = len(y)
        return Products(nonlinear / variance, y * f / variance * (n_test / (n_test - len(np.unique(test)))))


def ratio_of(products: Products) -> Estimate:
    """Of the columns of products; see `validated_share` for what is NaN."""
    u, v = products
    n_test = len(u)
    N, M = u.mean(axis=0), v.mean(axis=0)
    error = np.sqrt(n_test * (n_test - 1))
    with np.errstate(invalid="ignore", divide="ignore"):
        kept = M > 2 * np.linalg.norm(v - M, axis=0) / error
        share = np.where(kept, N / M, np.nan)
        # The influence of a stimulus on the ratio of two means.
        se = np.linalg.norm((u - N - share * (v - M)) / M, axis=0) / error
        t = N / (np.linalg.norm(u - N, axis=0) / error)
    return Estimate(N, M, share, se, student_t.sf(t, n_test - 2))


def by_group(products: Products, members: np.ndarray) -> np.ndarray:
    """Of groups of stimuli: the mean first product over the mean second of all, and its error, ``(2, n_groups, n)``.

    ``members (n_test, n_groups)`` is true where a stimulus belongs to a group.
    """
    shares = []
    for inside in members.T[:, :, None]:
        mean = products.nonlinear[inside[:, 0]].mean(axis=0)
        deviation = (products.nonlinear - mean) * inside / inside.mean()
        found = ratio_of(Products(mean + deviation, products.predicted))
        shares.append([found.share, found.se])
    return np.stack(shares, axis=1)
