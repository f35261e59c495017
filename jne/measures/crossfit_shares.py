"""From products of two fits to shares and their errors: sums first, the division last, nothing clipped."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

import numpy as np
import xarray as xr
from scipy.stats import t as student_t


class Terms(NamedTuple):
    """What two fits have in common, arrays of one shape, the voxels last.

    ``nonlinear`` and ``linear`` are C and C0 of their Jacobians; ``residual`` is the covariance of their predictions'
    residuals from linear maps, ``predicted`` that of their predictions.
    """

    nonlinear: np.ndarray
    linear: np.ndarray
    residual: np.ndarray
    predicted: np.ndarray

    @classmethod
    def of(cls, result: xr.Dataset, suffix: str = "") -> Terms:
        """The terms of a result, ``<term><suffix>`` each."""
        return cls(*(result[name + suffix].values for name in TERMS))

    @classmethod
    def stack(cls, parts: Iterable[Terms]) -> Terms:
        """Several terms along a new first axis."""
        return cls(*map(np.stack, zip(*parts, strict=True)))

    def each(self, change: Callable[[np.ndarray], np.ndarray]) -> Terms:
        """The terms with a function applied to each."""
        return Terms(*map(change, self))


TERMS = tuple(f"crossfit_{name}" for name in Terms._fields)
"""What the `Terms` are called in results."""

SHARES: dict[str, Callable[[Terms], tuple[np.ndarray, np.ndarray]]] = {
    "nonlinear_share": lambda terms: (terms.nonlinear / 2, terms.nonlinear / 2 + terms.linear),
    "prediction_share": lambda terms: (terms.residual, terms.predicted),
}
"""Each share's numerator and denominator."""

KEYS = {"nonlinear_share": "crossfit_share", "prediction_share": "crossfit_prediction_share"}
"""What the `SHARES` are called in the registry of measures, where the plain ones have these names."""


class Share(NamedTuple):
    """A ratio, its error and 95 % bounds, NaN where the denominator is not ``reliable``: its lower bound above zero."""

    value: np.ndarray
    se: np.ndarray
    reliable: np.ndarray
    low: np.ndarray
    high: np.ndarray


def jackknife_error(deleted: np.ndarray) -> np.ndarray:
    """Delete-one-group standard error of estimates ``(n_groups, ...)``, each without one group."""
    n_groups = len(deleted)
    return np.sqrt((n_groups - 1) / n_groups * ((deleted - deleted.mean(axis=0)) ** 2).sum(axis=0))


def total_error(*deleted: np.ndarray) -> np.ndarray:
    """Standard error over training and test stimuli, which are independent; ``(0, ...)``, without refits, adds none."""
    return np.sqrt(sum(jackknife_error(part) ** 2 for part in deleted if len(part)))


def errors_to_bound(*n_groups: int) -> float:
    """How many standard errors a 95 % bound is away when each comes from so few groups: Student's t, fewest groups."""
    return float(student_t.ppf(0.975, min(n for n in n_groups if n) - 1))


def share(name: str, terms: Terms, deleted: Terms, deleted_test: Terms) -> Share:
    """One of the `SHARES` from its terms, of shape ``(...)``.

    ``deleted`` and ``deleted_test``, ``(n_groups, ...)``, are the terms without each group of training stimuli, and
    without each group of test stimuli.
    """
    value, above = _divide(name, terms)
    (values, denominators), (values_test, denominators_test) = _divide(name, deleted), _divide(name, deleted_test)
    t = errors_to_bound(len(deleted.linear), len(deleted_test.linear))
    reliable = above > t * total_error(denominators, denominators_test)
    value, se = (np.where(reliable, v, np.nan) for v in (value, total_error(values, values_test)))
    return Share(value, se, reliable, value - t * se, value + t * se)


def split_sd(name: str, terms: Terms) -> np.ndarray:
    """Standard deviation over splits of each split's own share, of terms ``(n_splits, ...)``; NaN of one split."""
    return spread(_divide(name, terms)[0])


def spread(values: np.ndarray) -> np.ndarray:
    """Standard deviation over the first axis; NaN where it has one entry."""
    return values.std(axis=0, ddof=1) if len(values) > 1 else np.full(values.shape[1:], np.nan)


def _divide(name: str, terms: Terms) -> tuple[np.ndarray, np.ndarray]:
    numerator, denominator = SHARES[name](terms)
    with np.errstate(divide="ignore", invalid="ignore"):
        return numerator / denominator, denominator
