import numpy as np
import pytest
import torch
from sklearn.linear_model import LinearRegression

from jne.simulations.closed_forms import closed_form, wide_network
from jne.simulations.responses import (
    ACTIVATIONS,
    activation_label,
    activation_network,
    mix,
    mixed_response,
    remove_linear,
)

N_SAMPLES = 200_000


def measures(x, jacobian):
    """JNE, mean deviation and share by their definitions, for one output and ``jacobian (n_samples, n_features)``."""
    mean = jacobian.mean(axis=0)
    delta = np.abs(jacobian - mean).sum(axis=1)
    covariance = np.atleast_2d(np.cov(x.T, bias=True))
    q = np.einsum("nd,de,ne->n", jacobian - mean, covariance, jacobian - mean).mean()
    return delta.std(), delta.mean(), (q / 2) / (q / 2 + mean @ covariance @ mean)


def true_share(x, y):
    return 1 - LinearRegression().fit(x, y).score(x, y)


W = np.array([0.5, -1.0, 2.0])
CASES = {
    "linear": ({"weights": W}, lambda x: x @ W, lambda x: np.tile(W, (len(x), 1))),
    "relu": ({"weights": W}, lambda x: np.maximum(x @ W, 0), lambda x: (x @ W > 0)[:, None] * W),
    "leaky_relu": (
        {"weights": W, "slope": 0.3},
        lambda x: np.where(x @ W > 0, 1, 0.3) * (x @ W),
        lambda x: np.where(x @ W > 0, 1, 0.3)[:, None] * W,
    ),
    "abs": ({"weights": W}, lambda x: np.abs(x @ W), lambda x: np.sign(x @ W)[:, None] * W),
    "sum_of_squares": ({"weights": (3, 3, 3)}, lambda x: 3 * (x**2).sum(axis=1), lambda x: 6 * x),
    "linear_quadratic": (
        {"curvature": 0.5**0.5},
        lambda x: x[:, 0] + 0.5**0.5 * x[:, 0] ** 2,
        lambda x: 1 + 2**0.5 * x[:, :1],
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_closed_forms_are_the_limit_of_the_definitions(name):
    options, response, jacobian = CASES[name]
    x = np.random.default_rng(0).normal(size=(N_SAMPLES, 1 if name == "linear_quadratic" else 3))
    expected = closed_form(name, **options)
    found = measures(x, jacobian(x))
    assert found[0] == pytest.approx(expected["jne"], rel=0.02, abs=0.02)
    assert found[1] == pytest.approx(expected["mean_deviation"], rel=0.01, abs=1e-12)
    assert found[2] == pytest.approx(expected["nonlinear_share"], abs=0.01)
    assert true_share(x, response(x)) == pytest.approx(expected["true_share"], abs=0.01)


@pytest.mark.parametrize("offset", [-1.5, 2.5])
def test_closed_form_of_an_offset_relu(offset):
    x = np.random.default_rng(0).normal(size=(N_SAMPLES, 3))
    active = x @ W + offset > 0
    found = measures(x, active[:, None] * W)
    expected = closed_form("relu", weights=W, p_active=active.mean())
    assert found[:2] == pytest.approx((expected["jne"], expected["mean_deviation"]), rel=1e-6)
    assert found[2] == pytest.approx(expected["nonlinear_share"], abs=0.01)
    assert true_share(x, np.maximum(x @ W + offset, 0)) == pytest.approx(expected["true_share"], abs=0.01)


def test_leaky_relus_lead_from_linear_through_relu_to_abs():
    for slope, name in {1: "linear", 0: "relu", -1: "abs"}.items():
        assert closed_form("leaky_relu", slope=slope, weights=W) == pytest.approx(closed_form(name, weights=W))


@pytest.mark.parametrize(
    ("activation", "response", "options"),
    [("identity", "linear", {}), ("relu", "relu", {}), ("abs", "abs", {}), ("square", "sum_of_squares", {}),
     ("leaky_relu_0.25", "leaky_relu", {"slope": 0.25})],
)  # fmt: skip
def test_shares_of_wide_networks_are_those_of_their_units(activation, response, options):
    exact = closed_form(response, **options)
    for name, value in wide_network(activation).items():
        assert value == pytest.approx(exact[name], abs=1e-5)


def test_alpha_is_exactly_the_share_that_no_linear_map_explains():
    x = np.random.default_rng(1).normal(size=(500, 8))
    alpha = np.linspace(0, 1, 7)
    signal, responses = mixed_response(x, alpha)
    residual = remove_linear(x, signal).var(axis=0)
    np.testing.assert_allclose(residual, alpha, atol=1e-12)
    np.testing.assert_allclose(signal.var(axis=0), 1)
    np.testing.assert_array_equal(signal, responses)


def test_noise_has_the_planted_ceiling():
    x = np.random.default_rng(1).normal(size=(20_000, 4))
    ceiling = np.array([0.1, 0.5, 0.9, 1.0])
    signal, responses = mixed_response(x, np.full(4, 0.3), ceiling)
    np.testing.assert_allclose(signal.var(axis=0) / responses.var(axis=0), ceiling, atol=0.02)


def test_remove_linear_is_what_least_squares_leaves():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(50, 3)), rng.normal(size=(50, 2))
    np.testing.assert_allclose(remove_linear(x, y), y - LinearRegression().fit(x, y).predict(x), atol=1e-12)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_networks_apply_their_activation(name):
    network = activation_network([name], n_features=3, hidden_size=5, n_outputs=2)
    x = torch.randn(4, 3)
    expected = ACTIVATIONS[name](x @ network[0].weight.T) @ network[-1].weight.T
    torch.testing.assert_close(network(x), expected)


def test_networks_share_their_weights_and_can_have_unit_variance():
    a, b = (activation_network([name, "relu"], random_state=3) for name in ("tanh", "identity"))
    torch.testing.assert_close(a[0].weight, b[0].weight)
    torch.testing.assert_close(a[-1].weight, b[-1].weight)
    scaled = activation_network(["relu"] * 4, unit_variance="outputs", random_state=3)
    outputs = scaled(torch.randn(20_000, 32, generator=torch.Generator().manual_seed(1)))
    np.testing.assert_allclose(outputs.detach().std(dim=0), 1, atol=0.1)


def test_standardised_layers_give_every_unit_the_same_range_of_inputs():
    network = activation_network(["relu"] * 3, unit_variance="layers", random_state=3)
    x = torch.randn(20_000, 32, generator=torch.Generator().manual_seed(1))
    for layer in network:
        x = layer(x)
        if isinstance(layer, torch.nn.Linear):
            np.testing.assert_allclose(x.detach().mean(dim=0), 0, atol=0.15)
            np.testing.assert_allclose(x.detach().std(dim=0), 1, atol=0.15)


def test_labels_of_activations():
    assert [activation_label(name) for name in ("leaky_relu_0.5", "gelu", "1+2")] == ["leaky ReLU 0.5", "GELU", "1+2"]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: activation_network(["swish"]), "swish.*accepted are one or more of identity"),
        (lambda: activation_network([]), "accepted are one or more"),
        (lambda: activation_network(["relu"], unit_variance=True), "unit_variance=True; accepted are None, 'outputs'"),
        (lambda: wide_network("swish"), "swish.*accepted are identity"),
        (lambda: closed_form("relu", p_active=1), "p_active=1; needed: between 0 and 1"),
        (lambda: closed_form("cubic"), "response='cubic'"),
        (lambda: closed_form("sum_of_squares", weights=(1, 2)), "equal weights"),
        (lambda: mix(np.ones((2, 1)), np.ones((2, 1)), np.array([1.5])), "alpha ranges from 1.5 to 1.5"),
        (lambda: mixed_response(np.eye(3), np.zeros(1), 0.0), "noise_ceiling ranges from 0.0 to 0.0"),
    ],
)
def test_bad_settings_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
