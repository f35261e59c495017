"""Small tools on arrays of samples."""

from __future__ import annotations

import numpy as np


def zscore(values: np.ndarray, axis: int = 0) -> np.ndarray:
    """Each column (or row, with ``axis=1``) less its mean, in its standard deviations; NaN where it never varies."""
    return (values - values.mean(axis=axis, keepdims=True)) / values.std(axis=axis, keepdims=True)


def random_rotation(rng: np.random.Generator, size: int) -> np.ndarray:
    """An orthogonal matrix ``(size, size)``, uniform over all of them."""
    Q, R = np.linalg.qr(rng.standard_normal((size, size)))
    return Q * np.sign(np.diag(R))
