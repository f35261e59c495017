"""Covariances of area means when nothing but smooth noise is on the cortex: the null of a trend over areas."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import xarray as xr

from jne._core import cached
from jne.cortex.mesh import HEMISPHERES, MESH, mesh_adjacency, mesh_areas, smoothing_steps

FWHMS = (0, 5, 10, 20, 40, 80)
"""Millimetres along the cortex. White noise smoothed more than this would hardly vary over visual cortex."""
NUGGETS = (0.0, 0.05, 0.3)
"""Share of the variance that each area has for itself, such as the noise of its estimate."""


def area_covariances(areas: Sequence[str]) -> np.ndarray:
    """Covariances over areas of the means of smoothed white noise, one per smoothness and nugget.

    White noise at every vertex is smoothed over the mesh (fsLR-32k, midthickness), averaged over the vertices of each
    area, and averaged over the two hemispheres, which are independent. Large areas and areas with distant parts vary
    less, neighbours vary together. The first covariance is the identity: areas that have nothing to do with each other.

    Parameters
    ----------
    areas : sequence of str
        Names in HCP-MMP1.0.

    Returns
    -------
    numpy.ndarray, ``(1 + n_fwhm * n_nugget, n_areas, n_areas)``
        With a mean variance of one. Cached: for 32 areas it takes about ten seconds.
    """
    areas = [str(area) for area in areas]
    if unknown := sorted(set(areas) - {str(name) for side in HEMISPHERES for name in np.unique(mesh_areas(side))}):
        raise ValueError(f"areas: {', '.join(unknown)} are not in HCP-MMP1.0 on {MESH}")
    parameters = {"areas": areas, "fwhms": list(FWHMS)}
    smooth = cached("smooth-maps", "smooth-maps", parameters, lambda: smoothed_covariances(**parameters))[
        "covariance"
    ].values
    own = np.eye(len(areas))
    # A little of its own for each area: very smooth maps are numerically degenerate.
    mixed = [(1 - nugget) * covariance + max(nugget, 1e-6) * own for covariance in smooth for nugget in NUGGETS]
    return np.stack([own, *mixed])


def smoothed_covariances(areas: Sequence[str], fwhms: Sequence[float]) -> xr.Dataset:
    """``covariance (fwhm, area, other_area)`` of the area means of white noise smoothed to each width, ascending."""
    out = np.zeros((len(fwhms), len(areas), len(areas)))
    for side in HEMISPHERES:
        label = mesh_areas(side)
        averaging = np.stack([label == area for area in areas], axis=1).astype(np.float32)
        # An area missing on one side counts with the other side only.
        averaging /= np.maximum(averaging.sum(axis=0), 1)
        graph = mesh_adjacency(side).astype(np.float32)
        count = (np.diff(graph.indptr) + 1).astype(np.float32)[:, None]
        done = 0
        for covariance, fwhm in zip(out, fwhms, strict=True):
            steps = smoothing_steps(fwhm, side) if fwhm else 0
            for _ in range(steps - done):
                # The transpose of one step of `smooth`: it carries the averages back to the noise they are made of.
                averaging /= count
                averaging = graph @ averaging + averaging
            done = steps
            covariance += averaging.T.astype(float) @ averaging
    out /= np.trace(out, axis1=1, axis2=2)[:, None, None] / len(areas)
    return xr.Dataset({"covariance": (("fwhm", "area", "other_area"), out)})


def covariance_weights(values: np.ndarray, covariances: np.ndarray, regressors: np.ndarray) -> np.ndarray:
    """How well each covariance explains values over areas: its restricted likelihood, normalised to sum to one.

    Parameters
    ----------
    values : array ``(n_areas,)``
    covariances : array ``(n_covariances, n_areas, n_areas)``
    regressors : array ``(n_areas, n_regressors)``
        Known parts of the mean (a constant at least); they are projected out, so that no degree of freedom is counted
        twice (Patterson & Thompson 1971, Biometrika 58:545-554).

    Returns
    -------
    array ``(n_covariances,)``
    """
    rank = np.linalg.matrix_rank(regressors)
    contrasts = np.linalg.svd(regressors)[0][:, rank:]
    projected = contrasts.T @ values
    factors = np.linalg.cholesky(contrasts.T @ covariances @ contrasts)
    whitened = np.linalg.solve(factors, np.broadcast_to(projected[:, None], (len(factors), len(projected), 1)))[..., 0]
    half_log_determinant = np.log(np.diagonal(factors, axis1=1, axis2=2)).sum(axis=1)
    log_likelihood = -half_log_determinant - len(projected) / 2 * np.log((whitened**2).sum(axis=1))
    weights = np.exp(log_likelihood - log_likelihood.max())
    return weights / weights.sum()
