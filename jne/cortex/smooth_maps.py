"""Covariances of area means when nothing but smooth noise is on the cortex: the null of a trend over areas."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import xarray as xr
from scipy.spatial.distance import cdist

from jne._core import cached
from jne.cortex.mesh import HEMISPHERES, MESH, mesh_adjacency, mesh_areas, smoothing_steps, surface

FWHMS = (0, 5, 10, 20, 40, 80)
"""Millimetres along the cortex. White noise smoothed more than this would hardly vary over visual cortex."""
NUGGETS = (0.0, 0.05, 0.3)
"""Share of the variance that each area has for itself, such as the noise of its estimate."""


VOLUME_FWHMS, VOLUME_NUGGETS = (20, 40, 80), (0.0, 0.05)
"""Millimetres through the volume, whatever lies between. Narrower ones, and larger shares of their own, are as good as
some of the mesh; more candidates would cost the test its power."""
_EVERY = 4
"""Vertices that stand for the volume: the mesh is finer than what is smooth there."""


def area_covariances(areas: Sequence[str]) -> np.ndarray:
    """Covariances over areas of the means of smoothed white noise, one per smoothness and nugget.

    White noise is smoothed, averaged over the vertices of each area, and averaged over the two hemispheres. Once over
    the mesh (fsLR-32k, midthickness), where the hemispheres are independent; once through the volume, as by smoothing
    or interpolation of voxels, or by draining veins: there the two banks of a sulcus, and medial areas of both
    hemispheres, vary together, too. Large areas and areas with distant parts vary less, neighbours vary together. The
    first covariance is the identity: areas that have nothing to do with each other.

    Parameters
    ----------
    areas : sequence of str
        Names in HCP-MMP1.0.

    Returns
    -------
    numpy.ndarray, ``(n_covariances, n_areas, n_areas)``: the identity, those of the mesh, those of the volume
        With a mean variance of one. Cached: for 32 areas it takes about ten seconds.
    """
    areas = [str(area) for area in areas]
    if unknown := sorted(set(areas) - {str(name) for side in HEMISPHERES for name in np.unique(mesh_areas(side))}):
        raise ValueError(f"areas: {', '.join(unknown)} are not in HCP-MMP1.0 on {MESH}")
    mesh = _kept("mesh", smoothed_covariances, areas, FWHMS)
    volume = _kept("volume", volume_covariances, areas, VOLUME_FWHMS)
    own = np.eye(len(areas))
    # A little of its own for each area: very smooth maps are numerically degenerate.
    mixed = [
        (1 - nugget) * covariance + max(nugget, 1e-6) * own
        for covariances, nuggets in ((mesh, NUGGETS), (volume, VOLUME_NUGGETS))
        for covariance in covariances
        for nugget in nuggets
    ]
    return np.stack([own, *mixed])


def _kept(where: str, compute: Callable, areas: list[str], fwhms: Sequence[float]) -> np.ndarray:
    parameters = {"areas": areas, "fwhms": list(fwhms), "where": where}
    return cached("smooth-maps", "smooth-maps", parameters, lambda: compute(areas, fwhms))["covariance"].values


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


def volume_covariances(areas: Sequence[str], fwhms: Sequence[float]) -> xr.Dataset:
    """As `smoothed_covariances`, of white noise smoothed with a Gaussian in three dimensions."""
    places, averaging = [], []
    for side in HEMISPHERES:
        member = mesh_areas(side)[:, None] == np.asarray(areas)
        kept = np.flatnonzero(member.any(axis=1))[::_EVERY]
        places.append(surface("midthickness", side)[0][kept].astype(float))
        averaging.append(member[kept] / np.maximum(member[kept].sum(axis=0), 1))
    averaging = np.concatenate(averaging)
    distance = cdist(*[np.concatenate(places)] * 2, "sqeuclidean")
    # Noise smoothed with a Gaussian of some width is correlated like one that is wider by the root of two.
    out = np.stack([averaging.T @ np.exp(-distance / (4 * (fwhm / 2.355) ** 2)) @ averaging for fwhm in fwhms])
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
