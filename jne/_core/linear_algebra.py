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


def second_moment(Z: np.ndarray) -> np.ndarray:
    """Covariance of z-scored features ``(n_samples, n_features)``, or a factor F of it where that is smaller."""
    n_samples, n_features = Z.shape
    return Z.T @ Z / n_samples if n_samples >= n_features else Z.T / np.sqrt(n_samples, dtype=np.float32)


def moments(values: np.ndarray, standardize: bool = True) -> tuple[np.ndarray, np.ndarray]:
    """Mean and scale that z-score ``values (n_samples, n)``, float32; 0 and 1 without ``standardize``."""
    if not standardize:
        return np.zeros(values.shape[1], np.float32), np.ones(values.shape[1], np.float32)
    scale = values.std(axis=0, dtype=np.float64)
    # A feature that never varies in training carries nothing: it stays at zero instead of dividing by zero.
    scale[np.ptp(values, axis=0) == 0] = 1
    return values.mean(axis=0, dtype=np.float64).astype(np.float32), scale.astype(np.float32)
