"""Jacobians of a known amplitude: how closely JNE, taken from few samples, follows the factor that they have."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
import xarray as xr
from scipy.special import gammaln

from jne._core import cached
from jne.simulations.deviations import l1_deviations


def follow_amplitude(
    n_jacobians: Sequence[int], *, n_points: int = 1001, n_features: int = 768, random_state: int = 0
) -> xr.Dataset:
    """JNE of standard normal Jacobians times ``|sin x|``, drawn anew at every x. Cached.

    Of fewer Jacobians the first ones are taken, so that the curves of several numbers differ by what is added.

    Parameters
    ----------
    n_jacobians : sequence of int
        Samples N that each JNE is taken of, at least 3.
    n_points : int, default=1001
        Points x, evenly spaced over ``[0, 2 pi]``.
    n_features, random_state : int

    Returns
    -------
    xarray.Dataset
        ``jne (n_jacobians, x)``; ``limit (x)``, that of many Jacobians and features, ``|sin x|`` times
        ``sqrt((1 - 2 / pi) n_features)``; over ``n_jacobians`` its Pearson ``correlation`` with ``|sin x|`` and what
        `amplitude_correlation` expects, ``closed_form``.
    """
    numbers = sorted(int(n) for n in n_jacobians)
    parameters = {"n_jacobians": numbers, "n_points": n_points, "n_features": n_features, "random_state": random_state}
    return cached("simulation", "amplitude", parameters, lambda: _follow_amplitude(**parameters))


def amplitude_correlation(n_jacobians: int) -> float:
    """Correlation with ``|sin x|`` that a standard deviation of N independent values has, where they scale with it.

    Each delta is a sum over many features, hence nearly normal, and JNE is ``|sin x|`` times the standard deviation of
    N of them. That varies around its mean by ``v = (N - 1) / (2 g²) - 1`` of it, squared, with
    ``g = Gamma(N / 2) / Gamma((N - 1) / 2)``, and so ``r² = V / (V + v E)``; ``V = 1/2 - 4 / pi²`` is the variance
    of ``|sin x|`` and ``E = 1/2`` its mean square. Nothing in it depends on what the Jacobians are.
    """
    n = n_jacobians
    varies = (n - 1) / 2 * np.exp(2 * (gammaln((n - 1) / 2) - gammaln(n / 2))) - 1
    variance = 0.5 - 4 / np.pi**2
    return float(np.sqrt(variance / (variance + varies / 2)))


def _follow_amplitude(n_jacobians: Sequence[int], n_points: int, n_features: int, random_state: int) -> xr.Dataset:
    generator = torch.Generator().manual_seed(random_state)
    x = np.linspace(0, 2 * np.pi, n_points)
    amplitude = np.abs(np.sin(x))
    jne = np.empty((len(n_jacobians), n_points))
    for point in range(n_points):
        J = amplitude[point] * torch.randn(max(n_jacobians), n_features, generator=generator)
        for row, n in enumerate(n_jacobians):
            jne[row, point] = l1_deviations(J[:n]).std(correction=0)
    content = {
        "jne": (("n_jacobians", "x"), jne),
        "limit": ("x", amplitude * np.sqrt((1 - 2 / np.pi) * n_features)),
        "correlation": ("n_jacobians", [np.corrcoef(values, amplitude)[0, 1] for values in jne]),
        "closed_form": ("n_jacobians", [amplitude_correlation(n) for n in n_jacobians]),
    }
    return xr.Dataset(content, {"n_jacobians": list(n_jacobians), "x": x})
