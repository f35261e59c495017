"""Covariances of area means when nothing but smooth noise is on the cortex: the null of a trend over areas."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import xarray as xr
from scipy.sparse import csr_array, diags_array, identity
from scipy.spatial.distance import cdist
from scipy.stats import binom

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
        With a mean variance of one. Cached: for 32 areas it takes some seconds.
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
        # The transpose of one step of `smooth`: it carries the averages back to the noise they are made of.
        graph = mesh_adjacency(side).astype(np.float32)
        step = (graph + identity(graph.shape[0], np.float32)) @ diags_array(1 / (np.diff(graph.indptr) + 1))
        steps = [smoothing_steps(fwhm, side) if fwhm else 0 for fwhm in fwhms]
        for covariance, smoothed in zip(out, powers(step.astype(np.float32).tocsr(), averaging, steps), strict=True):
            covariance += smoothed.T.astype(float) @ smoothed
    out /= np.trace(out, axis1=1, axis2=2)[:, None, None] / len(areas)
    return xr.Dataset({"covariance": (("fwhm", "area", "other_area"), out)})


def powers(step: csr_array, values: np.ndarray, exponents: Sequence[int]) -> list[np.ndarray]:
    """``step ** n @ values`` for each exponent n, of a matrix whose eigenvalues are real and within [-1, 1].

    ``x ** n`` is the mean of the Chebyshev polynomials of degree ``|s|``, s the sum of n signs drawn at random. Degrees
    that are met with a probability below 1e-8 are left out, so about ``6 sqrt(n)`` products do the work of n.
    """
    degrees = np.arange(1 + max(min(n, int(6 * n**0.5) + 1) for n in exponents))
    weights = [np.where(degrees, 2, 1) * binom.pmf((n + degrees) / 2, n, 0.5) for n in exponents]
    out = [np.float32(weight[0]) * values for weight in weights]
    before, polynomial = None, values
    for degree in degrees[1:]:
        following = step @ polynomial
        if before is not None:
            following *= 2
            following -= before
        before, polynomial = polynomial, following
        for total, weight in zip(out, weights, strict=True):
            if weight[degree] > 1e-9:
                total += np.float32(weight[degree]) * polynomial
    return out


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
