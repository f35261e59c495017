"""Deviations of Jacobians that are there already, as in small simulations; those of a model: `jne.nonlinearity`."""

from __future__ import annotations

import torch


def l1_deviations(J: torch.Tensor) -> torch.Tensor:
    """L1 distance of Jacobians of one response from their mean.

    Parameters
    ----------
    J : tensor ``(..., n_samples or 1, n_features)``
        One for all samples where they do not differ.

    Returns
    -------
    tensor ``(..., n_samples or 1)``
        In float64; its mean over samples is the mean deviation, its population standard deviation the JNE.
    """
    return (J - J.mean(dim=-2, keepdim=True)).abs_().sum(dim=-1, dtype=torch.float64)
