"""Jacobians of a known amplitude: how closely JNE follows it is the sampling error of a standard deviation."""

import numpy as np
import pytest

from jne.simulations import amplitude_correlation, follow_amplitude


@pytest.fixture(scope="module")
def followed():
    return follow_amplitude([100, 10], n_features=96)


def test_few_jacobians_follow_the_amplitude_as_published(followed):
    few, many = followed.correlation.values
    assert few == pytest.approx(0.87, abs=0.02) and many >= 0.985


def test_the_correlation_is_that_of_any_standard_deviation(followed):
    np.testing.assert_allclose(followed.correlation, followed.closed_form, atol=0.015)
    rng, amplitude = np.random.default_rng(0), np.abs(np.sin(np.linspace(0, 2 * np.pi, 20_001)))
    for n in (5, 30):
        spread = amplitude * rng.normal(size=(len(amplitude), n)).std(axis=1)
        assert amplitude_correlation(n) == pytest.approx(np.corrcoef(spread, amplitude)[0, 1], abs=0.01)


def test_jne_is_that_of_the_jacobians_and_nears_its_limit(followed):
    assert followed.jne.dims == ("n_jacobians", "x") and followed.n_jacobians.values.tolist() == [10, 100]
    many = follow_amplitude([4000], n_points=5, n_features=96)
    # The limit is for a sum over features of |z|, z standard normal, whose variance is 1 - 2 / pi each.
    np.testing.assert_allclose(many.jne[0], many.limit, rtol=0.05, atol=1e-6)
    np.testing.assert_allclose(many.limit, np.sqrt((1 - 2 / np.pi) * 96) * np.abs(np.sin(many.x)), atol=1e-12)
