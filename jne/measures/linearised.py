"""The mean-Jacobian model: what a fitted encoder predicts once its nonlinearity is taken out."""

from __future__ import annotations

import numpy as np

from jne._core import as_numbers
from jne.encoders import Encoder


def linearised_predictions(encoder: Encoder, X: np.ndarray, mean_jacobian: np.ndarray) -> np.ndarray:
    """``f0 + Jbar (x - xbar)``, the encoder with its mean slope at all stimuli; LinBridge's linear part [1]_.

    f0 is the mean prediction, Jbar the mean Jacobian and xbar the mean of the features, all over X. Where this predicts
    held-out responses as well as the encoder does, nothing of what its Jacobian does from stimulus to stimulus is
    confirmed by them.

    Parameters
    ----------
    encoder : Encoder
        Fitted.
    X : array ``(n_samples, n_features)``
        The stimuli that the Jacobians were taken at, in the units of the training features.
    mean_jacobian : array ``(n_voxels, n_features)``
        Of ``jne.nonlinearity(encoder, X, mean_jacobian=True)``.

    Returns
    -------
    array ``(n_samples, n_voxels)``
        In the units of the training responses.

    References
    ----------
    .. [1] Gao et al., "LinBridge: a learnable framework for interpreting nonlinear neural encoding models",
       arXiv 2410.20053, 2024.
    """
    slopes = as_numbers(mean_jacobian, "mean_jacobian", np.float32)
    Z = encoder.scale_features(X)
    if slopes.shape != (len(encoder.y_mean_), Z.shape[1]):
        raise ValueError(
            f"mean_jacobian has shape {slopes.shape}; this encoder's is {(len(encoder.y_mean_), Z.shape[1])}, "
            "(n_voxels, n_features)"
        )
    return encoder.predict(X).mean(axis=0) + (Z - Z.mean(axis=0)) @ slopes.T * encoder.y_scale_
