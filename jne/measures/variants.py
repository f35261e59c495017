"""The variants of JNE that the paper compares, one of its own beside them, and gain change, of one fitted model."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
import xarray as xr
from numpy.typing import ArrayLike

from jne._core import Budget, matrix_precision, parse_bytes, provenance
from jne.jacobians.engine import Model, prepare
from jne.measures.nonlinearity import nonlinearity, own_sizes
from jne.measures.registry import REGISTRY

VARIANTS: dict[str, dict[str, Any]] = {
    "jne": {},
    "jne_l2": {"norm": "l2"},
    "jne_z_l1": {"zscore_jacobian": True},
    "jne_z_l2": {"norm": "l2", "zscore_jacobian": True},
}
"""The paper's four variants: key of the measure -> arguments of `jne.nonlinearity`."""


@torch.inference_mode(False)
def gain_change(
    model: Model,
    X: ArrayLike | torch.Tensor,
    *,
    device: str = "auto",
    precision: str = "float32",
    max_memory: int | str = "2GB",
) -> xr.DataArray:
    """Measure how much the size of the Jacobian changes from sample to sample.

    The standard deviation over samples of ``sqrt(sum_d J[n, v, d]^2)``, the L2 norm of the Jacobian itself, where JNE
    takes that of its distance from the mean. It scores the *gain change* of a fitted network's dynamic receptive fields
    [1]_, and does not see a Jacobian that turns without changing its length.

    Parameters
    ----------
    model, X, device, precision, max_memory
        As in `jne.nonlinearity`.

    Returns
    -------
    xarray.DataArray
        ``(voxel,)``, float64, in response units per feature unit (z-scored both, of an encoder).

    Raises
    ------
    ValueError
        As `jne.nonlinearity`.

    References
    ----------
    .. [1] Keshishian et al., "Estimating and interpreting nonlinear receptive field of sensory neural responses with
       deep neural network models", eLife 9:e53445, 2020.

    Examples
    --------
    >>> import torch
    >>> from jne.measures import gain_change
    >>> turning = lambda x: torch.sin(x).sum(-1)  # |cos x| along one feature: 0 to 1
    >>> 0.25 < float(gain_change(turning, torch.linspace(-3, 3, 100)[:, None])[0]) < 0.35
    True
    """
    change, _, zscored = _own_sizes(model, X, device, precision, parse_bytes(max_memory))
    measure = REGISTRY["gain_change"]
    attributes = {"long_name": measure.definition, "units": measure.unit_of(zscored)}
    return xr.DataArray(change, dims="voxel", name=measure.key, attrs=attributes)


def variants(
    model: Model,
    X: ArrayLike | torch.Tensor,
    *,
    device: str = "auto",
    precision: str = "float32",
    max_memory: int | str = "2GB",
    progress: bool = False,
) -> xr.Dataset:
    """Measure one model by the four variants of JNE that the paper compares [1]_, and by what lies near them.

    Parameters
    ----------
    model, X, device, precision, max_memory, progress
        As in `jne.nonlinearity`.

    Returns
    -------
    xarray.Dataset
        Over ``voxel``, float64: ``jne`` (L1, as published), ``jne_l2``, ``jne_z_l1`` and ``jne_z_l2`` (every row
        ``J[n, v, :]`` z-scored over features first); ``jne_scaled_l1`` and ``jne_scaled_l2``, the other way to read
        "z-scored": all entries ``J[:, v, :]`` of a voxel at once, over samples and features, which divides JNE by their
        standard deviation; and ``gain_change``. 0/0 is NaN.

    Raises
    ------
    ValueError
        As `jne.nonlinearity`.

    References
    ----------
    .. [1] Gao et al., "Jacobian-Based Interpretation of Nonlinear Neural Encoding Model", NeurIPS 2025, A.9.2.

    Examples
    --------
    >>> import torch
    >>> from jne.measures import variants
    >>> list(variants(lambda x: (x**2).sum(-1), torch.randn(500, 3)))[:3]
    ['jne', 'jne_l2', 'jne_z_l1']
    """
    same: dict[str, Any] = {"device": device, "precision": precision, "max_memory": max_memory, "progress": progress}
    found = {}
    for key, arguments in VARIANTS.items():
        found[key] = nonlinearity(model, X, covariance=False, return_samples=False, **arguments, **same)["jne"].values
    change, scale, zscored = _own_sizes(model, X, device, precision, parse_bytes(max_memory))
    with np.errstate(invalid="ignore", divide="ignore"):
        found |= {"jne_scaled_l1": found["jne"] / scale, "jne_scaled_l2": found["jne_l2"] / scale}
    found["gain_change"] = change
    content = {
        key: ("voxel", values, {"long_name": REGISTRY[key].definition, "units": REGISTRY[key].unit_of(zscored)})
        for key, values in found.items()
    }
    return xr.Dataset(content, attrs={"precision": precision, **provenance()})


def _own_sizes(
    model: Model, X: ArrayLike | torch.Tensor, device: str, precision: str, limit: int
) -> tuple[np.ndarray, np.ndarray, bool]:
    """Of each voxel's Jacobian: spread over samples of its L2 norm, and of its entries; whether units are z-scored."""
    problem = prepare(model, X, device, precision)
    change, scale = np.empty((2, problem.n_voxels))
    with torch.no_grad(), matrix_precision(precision):
        for block in own_sizes(problem, Budget(limit)):
            size = block.deviation.double()
            variance = (size.square().mean(0) - block.linear) / problem.n_features
            change[block.voxels] = size.std(0, correction=0).cpu().numpy()
            scale[block.voxels] = variance.clamp(min=0).sqrt().cpu().numpy()
    return change, scale, problem.encoder
