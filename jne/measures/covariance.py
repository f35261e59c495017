"""The covariance of the features as a factor F with ``Sigma = F F^T``, from whatever describes it."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import ArrayLike

from jne._core import as_numbers
from jne.jacobians.engine import Problem

Covariance = ArrayLike | torch.Tensor | bool | None
"""What describes the covariance of the features; see `jne.nonlinearity`."""

_ACCEPTED = (
    "give (n_features, n_features), a factor (n_features, rank) of it, None (training features of an encoder, else X) "
    "or False"
)


def covariance_factor(covariance: Covariance, problem: Problem) -> tuple[torch.Tensor, str]:
    """Factor ``(n_features, rank)`` of the feature covariance, on the samples' device, and where it came from."""
    if covariance is False:
        # Of rank 0: every sum with it is 0.
        return problem.X.new_empty(problem.n_features, 0), "none"
    source = "given"
    if covariance is None and problem.covariance is not None:
        covariance, source = problem.covariance, "training features of the encoder"
    if covariance is None:
        return _of_samples(problem.X.flatten(1)), "X"
    given = _as_matrix(covariance, problem.n_features)
    if given.shape[0] == given.shape[1]:
        given = _of_matrix(given)
    return given.to(problem.X), f"{source}, rank at most {given.shape[1]}"


def _of_samples(X: torch.Tensor) -> torch.Tensor:
    centred = X - X.mean(0, dtype=torch.float64).to(X)
    n_samples, n_features = X.shape
    if n_samples <= n_features:
        return (centred.T / np.sqrt(n_samples - 1)).contiguous()
    centred = centred.double()
    return _of_matrix(centred.T @ centred / (n_samples - 1)).to(X)


def _as_matrix(covariance: ArrayLike | torch.Tensor, n_features: int) -> torch.Tensor:
    if covariance is True or isinstance(covariance, str):
        raise ValueError(f"covariance={covariance!r} is not a matrix; {_ACCEPTED}")
    matrix = torch.from_numpy(np.array(as_numbers(covariance, "covariance", np.float64)))
    if matrix.ndim != 2 or len(matrix) != n_features or matrix.shape[1] == 0:
        raise ValueError(f"covariance has shape {tuple(matrix.shape)} for {n_features} features; {_ACCEPTED}")
    if not torch.isfinite(matrix).all():
        raise ValueError(f"covariance holds non-finite values; {_ACCEPTED}")
    return matrix


def _of_matrix(matrix: torch.Tensor) -> torch.Tensor:
    scale = float(matrix.abs().max())
    # 1e-4 lets pass what float32 sums leave.
    if float((matrix - matrix.T).abs().max()) > 1e-4 * scale:
        raise ValueError(f"covariance is square and not symmetric; {_ACCEPTED}")
    factor, failed = torch.linalg.cholesky_ex(matrix)
    if not failed:
        return factor
    values, vectors = torch.linalg.eigh((matrix + matrix.T) / 2)
    if values[0] < -1e-4 * scale:
        raise ValueError(
            f"covariance has the negative eigenvalue {float(values[0]):.3g}: it is not a covariance; {_ACCEPTED}"
        )
    keep = values > 0
    keep[-1] = True
    return vectors[:, keep] * values[keep].clamp(min=0).sqrt()
