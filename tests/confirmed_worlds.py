"""Predictions and responses of which is known what is linear, nonlinear, confirmed and made up."""

import numpy as np
from scipy.stats import norm

SPECTRUM = -0.5


def world(
    seed, n_all, n_test, n_features=48, n_voxels=100, alpha=0.0, ceiling=0.3, noise="normal", clusters=0, weights=None
):
    """Features, predictions of all stimuli, responses of the last ``n_test``; nonlinear parts have no linear part.

    The prediction's linear part is off, and a nonlinear part of its own is added, which no response confirms. With
    ``weights``, a seed, the voxels are the same whatever ``seed``.
    """
    stimuli = rng = np.random.default_rng(seed)
    X = rng.normal(size=(n_all, n_features))
    if clusters:
        X += 1.5 * rng.normal(size=(clusters, n_features))[rng.integers(clusters, size=n_all)]
    X *= np.arange(1, n_features + 1.0) ** SPECTRUM
    rng = stimuli if weights is None else np.random.default_rng(weights)
    truth, made_up = (_nonlinear(rng, X, n_voxels, clusters) for _ in range(2))
    linear, other = (_unit(X @ rng.normal(size=(n_features, n_voxels))) for _ in range(2))
    signal = np.sqrt(1 - alpha) * linear + np.sqrt(alpha) * truth
    f = np.sqrt(1 - alpha) * (0.8 * linear + 0.4 * other) + 0.7 * np.sqrt(alpha) * truth + 0.3 * made_up
    signal = signal[-n_test:]
    e = stimuli.normal(size=signal.shape)
    if noise == "t":
        e = stimuli.standard_t(3, size=signal.shape) / np.sqrt(3)
    if noise == "growing":
        e *= np.abs(signal) / np.sqrt((signal**2).mean(axis=0))
    return X, f, signal + np.sqrt((1 - ceiling) / ceiling) * e, signal


def _unit(values):
    return (values - values.mean(axis=0)) / values.std(axis=0)


def _nonlinear(rng, X, n_voxels, clusters):
    """Sums of rectified projections less their linear part: known for Gaussian features, else from many stimuli."""
    units = X @ rng.normal(size=(X.shape[1], 40))
    scale = units.std(axis=0)
    kinks = rng.normal(0, 0.5, 40)
    if clusters:
        design = np.column_stack([np.ones(len(X)), X])
        rectified = np.maximum(units / scale - kinks, 0)
        return _unit((rectified - design @ np.linalg.lstsq(design, rectified)[0]) @ rng.normal(size=(40, n_voxels)))
    rest = np.maximum(units / scale - kinks, 0) - norm.cdf(-kinks) * units / scale
    return _unit(rest @ rng.normal(size=(40, n_voxels)))
