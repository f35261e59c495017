"""From products of two fits to shares and their errors: sums first, the division last, nothing clipped."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

TERMS = ("crossfit_nonlinear", "crossfit_linear", "crossfit_residual", "crossfit_predicted")
"""C and C0 of the Jacobians; covariance of the predictions' residuals from their linear maps, and of the predictions.
Arrays of terms have them along the first axis."""

SHARES = {
    "nonlinear_share": lambda terms: (terms[0] / 2, terms[0] / 2 + terms[1]),
    "prediction_share": lambda terms: (terms[2], terms[3]),
}
"""Each share's numerator and denominator."""


class Share(NamedTuple):
    """A ratio and its standard error, NaN where the denominator is not ``reliable``: two of its errors above zero."""

    value: np.ndarray
    se: np.ndarray
    reliable: np.ndarray


def jackknife_error(deleted: np.ndarray) -> np.ndarray:
    """Delete-one-group standard error of estimates ``(n_groups, ...)``, each without one group."""
    n_groups = len(deleted)
    return np.sqrt((n_groups - 1) / n_groups * ((deleted - deleted.mean(axis=0)) ** 2).sum(axis=0))


def share(name: str, terms: np.ndarray, deleted: np.ndarray) -> Share:
    """A share from terms ``(4, ...)`` and the terms without each group, ``(4, n_groups, ...)``."""
    value, above = _divide(name, terms)
    values, denominators = _divide(name, deleted)
    reliable = above > 2 * jackknife_error(denominators)
    return Share(np.where(reliable, value, np.nan), np.where(reliable, jackknife_error(values), np.nan), reliable)


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
