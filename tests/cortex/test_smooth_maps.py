"""Powers of a step of smoothing (the covariances themselves: tests/statistics/test_trends.py)."""

import numpy as np
from scipy.sparse import csr_array

from jne.cortex.smooth_maps import powers


def test_chebyshev_polynomials_give_the_powers_of_a_matrix():
    rng = np.random.default_rng(0)
    step = rng.random((30, 30)) * (rng.random((30, 30)) < 0.2)
    step = step + step.T + np.eye(30)
    step /= step.sum(axis=0)  # similar to a symmetric matrix, as a step of smoothing is
    values, exponents = rng.normal(size=(30, 4)), (0, 1, 2, 7, 60, 900)
    for n, found in zip(exponents, powers(csr_array(step), values, exponents), strict=True):
        np.testing.assert_allclose(found, np.linalg.matrix_power(step, n) @ values, atol=1e-6)
