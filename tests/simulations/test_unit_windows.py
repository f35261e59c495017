"""A unit in narrow windows: JNE is the second derivative without its sign, but for a kink, which it hardly sees."""

import numpy as np
import pytest
from scipy.stats import norm

import jne
from jne.simulations import PUBLISHED_ACTIVATIONS, kink_windows, unit_windows, window_jne


def gelu(x):  # x Phi(x)
    return (2 - x**2) * norm.pdf(x)


def silu(x):
    s = 1 / (1 + np.exp(-x))
    return s * (1 - s) * (2 + x * (1 - 2 * s))


@pytest.mark.parametrize(("name", "second_derivative", "peak"), [("gelu", gelu, 2.30e-4), ("silu", silu, 1.44e-4)])
def test_jne_of_a_smooth_unit_is_its_second_derivative_times_the_spread_of_the_window(name, second_derivative, peak):
    unit = unit_windows(name)
    curvature = np.abs(second_derivative(unit.x.values))
    np.testing.assert_allclose(np.abs(unit.curvature), curvature, atol=1e-12)
    clear = curvature > curvature.max() / 100
    expected = curvature * 0.001 * 0.28896
    np.testing.assert_allclose(unit.jne.values[clear], expected[clear], rtol=1e-4)
    np.testing.assert_allclose(unit.closed_form.values[clear], expected[clear], rtol=1e-4)
    assert float(unit.jne.max()) == pytest.approx(peak, rel=5e-3) and float(unit.x[unit.jne.argmax("x")]) == 0


def test_centres_and_inputs_are_the_papers():
    unit = unit_windows("relu")
    assert unit.sizes["x"] == unit.attrs["n_inputs"] == 1001 and unit.attrs["half_width"] == 0.001
    np.testing.assert_allclose(unit.x, np.linspace(-10, 10, 1001), atol=1e-12)
    assert list(PUBLISHED_ACTIVATIONS) == ["relu", "leaky_relu", "gelu", "silu"]


@pytest.mark.parametrize("name", PUBLISHED_ACTIVATIONS)
def test_a_window_has_the_measures_that_the_engine_gives(name):
    centres = np.array([-1.3, 0, 0.0004, 2])
    unit = unit_windows(name, centres, n_inputs=101)
    offsets = 0.001 * np.linspace(-1, 1, 101)
    offsets[50] = 0
    options = {"covariance": False, "precision": "float64", "return_samples": False}
    for row, centre in enumerate(centres):
        measured = jne.nonlinearity(PUBLISHED_ACTIVATIONS[name], (centre + offsets)[:, None], **options)
        for measure in ("jne", "mean_deviation"):
            assert float(unit[measure][row]) == pytest.approx(float(measured[measure][0]), rel=1e-6, abs=1e-12)


@pytest.mark.parametrize(
    ("name", "step"), [("relu", 1), ("leaky_relu", 0.99), ("leaky_relu_0.25", 0.75), ("leaky_relu_0.5", 0.5)]
)
def test_a_kink_has_a_peak_with_an_odd_number_of_inputs_and_none_with_an_even_one(name, step):
    even, odd = kink_windows([1000, 1001], name).jne.values
    assert odd == pytest.approx(step * np.sqrt(1001**2 - 1) / (2 * 1001**2), rel=1e-9)
    assert odd == pytest.approx(step * 5.0e-4, rel=2e-3) and even < 1e-15
    unit = unit_windows(name)
    assert unit.attrs["kink"] == pytest.approx(step)
    np.testing.assert_allclose(unit.jne, np.where(unit.x == 0, odd, 0), atol=1e-15)


def test_the_peak_is_the_bottom_of_a_valley_and_the_mean_deviation_has_none():
    unit = unit_windows("relu", np.linspace(-0.0012, 0.0012, 241))
    np.testing.assert_allclose(unit.jne, unit.closed_form, atol=1e-12)
    # kink sqrt(p (1 - p)) |1 - 2 p| is largest, a quarter, where p (1 - p) = 1 / 8.
    assert float(unit.jne.max()) == pytest.approx(0.25, abs=1e-4) and float(unit.jne.sel(x=0, method="nearest")) < 6e-4
    deviation = unit.mean_deviation
    assert abs(float(unit.x[deviation.argmax("x")])) < 1e-12 and float(deviation.max()) == pytest.approx(0.5, abs=1e-5)


def test_the_spread_of_a_window_is_that_of_its_inputs_and_has_a_limit():
    options = {"curvature": 2.0, "kink": 0.0, "active": 0.5, "half_width": 0.1}
    for n in (3, 4, 10, 11):
        assert window_jne(n_inputs=n, **options) == pytest.approx(0.2 * np.abs(np.linspace(-1, 1, n)).std())
    assert window_jne(n_inputs=10**7, **options) == pytest.approx(0.2 / np.sqrt(12), rel=1e-6)


def test_an_unknown_unit_is_named():
    with pytest.raises(ValueError, match="activation='swish'; accepted are identity"):
        unit_windows("swish")
