"""From products of two fits to shares and their errors: sums first, the division last, nothing clipped."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.stats import t as student_t

TERMS = ("crossfit_nonlinear", "crossfit_linear", "crossfit_residual", "crossfit_predicted")
"""C and C0 of the Jacobians; covariance of the predictions' residuals from their linear maps, and of the predictions.
Arrays of terms have them along the first axis."""

SHARES = {
    "nonlinear_share": lambda terms: (terms[0] / 2, terms[0] / 2 + terms[1]),
    "prediction_share": lambda terms: (terms[2], terms[3]),
}
"""Each share's numerator and denominator."""


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


def total_error(deleted: np.ndarray, deleted_test: np.ndarray) -> np.ndarray:
    """Standard error of estimates from other training and other test stimuli, which are independent of each other."""
    return np.hypot(jackknife_error(deleted), jackknife_error(deleted_test))


def errors_to_bound(*n_groups: int) -> float:
    """How many standard errors a 95 % bound is away when each comes from so few groups: Student's t, fewest groups."""
    return float(student_t.ppf(0.975, min(n_groups) - 1))


def share(name: str, terms: np.ndarray, deleted: np.ndarray, deleted_test: np.ndarray) -> Share:
    """A share from its terms.

    Parameters
    ----------
    name : str
        One of `SHARES`.
    terms : array ``(4, ...)``
    deleted, deleted_test : array ``(4, n_groups, ...)``
        The terms without each group of training stimuli, and without each group of test stimuli.
    """
    value, above = _divide(name, terms)
    (values, denominators), (values_test, denominators_test) = _divide(name, deleted), _divide(name, deleted_test)
    t = errors_to_bound(deleted.shape[1], deleted_test.shape[1])
    reliable = above > t * total_error(denominators, denominators_test)
    value, se = (np.where(reliable, v, np.nan) for v in (value, total_error(values, values_test)))
    return Share(value, se, reliable, value - t * se, value + t * se)


def split_sd(name: str, terms: np.ndarray) -> np.ndarray:
    """Standard deviation over splits of each split's own share, ``(4, n_splits, ...)``; NaN of one split."""
    return spread(_divide(name, terms)[0])


def spread(values: np.ndarray) -> np.ndarray:
    """Standard deviation over the first axis; NaN where it has one entry."""
    return values.std(axis=0, ddof=1) if len(values) > 1 else np.full(values.shape[1:], np.nan)


def _divide(name: str, terms: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    numerator, denominator = SHARES[name](terms)
    with np.errstate(divide="ignore", invalid="ignore"):
        return numerator / denominator, denominator
