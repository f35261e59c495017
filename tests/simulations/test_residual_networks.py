"""Residual networks with two places: the survey is what the engine says, and the order depends on skips and weights."""

import numpy as np
import pandas as pd
import pytest
import torch

import jne
from jne.simulations import (
    LAWS,
    LAYOUTS,
    PLACES,
    PUBLISHED_ACTIVATIONS,
    ResidualNetwork,
    place_order,
    scale_changes,
    scale_means,
    survey_residual,
)

SMALL = {"n_samples": 40, "n_features": 24}


@pytest.mark.parametrize("law", LAWS)
def test_the_survey_measures_what_the_engine_measures(law):
    activations = ["gelu"]
    frame = survey_residual(activations, laws=[law], n_draws=1, **SMALL)
    x = 10 * (2 * torch.rand(40, 24, generator=torch.Generator().manual_seed(0)) - 1)
    assert len(frame) == len(LAYOUTS) * len(PLACES)
    for row in frame.itertuples():
        network = ResidualNetwork(row.activation, row.place, row.layout, law=law, n_features=24, random_state=row.draw)
        measured = jne.nonlinearity(network, x, covariance=False, precision="float64", return_samples=False)
        assert row.jne == pytest.approx(float(measured.jne[0]), rel=1e-5, abs=1e-5 * frame.jne.max()), row


def test_the_network_is_three_layers_with_skips_round_those_named():
    x = torch.randn(5, 24, generator=torch.Generator().manual_seed(0))
    network = ResidualNetwork("silu", "both", "second layer", n_features=24)
    first, second, last = network.layers
    hidden = torch.nn.functional.silu(first(x))
    expected = last(torch.nn.functional.silu(second(hidden)) + hidden)
    torch.testing.assert_close(network(x), expected)
    same = ResidualNetwork("relu", "none", "each hidden layer", n_features=24)
    torch.testing.assert_close(same.layers[1].weight, second.weight)
    torch.testing.assert_close(same(x), last(second(first(x) + x) + first(x) + x))


@pytest.mark.parametrize(
    ("law", "spread"), {"torch": 1 / 3, "torch_unbiased": 1 / 3, "he": 2, "unit": 256}.items()
)  # times 1 / fan-in
def test_weights_have_the_variance_of_their_law(law, spread):
    layer = ResidualNetwork("relu", "both", "no skip", law=law, n_features=256).layers[0]
    assert float(layer.weight.detach().var()) == pytest.approx(spread / 256, rel=0.03)
    assert (layer.bias is not None) == (law == "torch")
    if law == "torch":  # PyTorch draws weights and biases from the same interval
        theirs = torch.nn.Linear(256, 256)
        for ours, other in zip(layer.parameters(), theirs.parameters(), strict=True):
            assert float(ours.detach().abs().max()) == pytest.approx(float(other.detach().abs().max()), rel=0.02)


def test_with_a_skip_round_each_hidden_layer_jne_is_as_published():
    frame = survey_residual(["relu"], layouts=["each hidden layer"], n_draws=4, n_samples=150)
    means = place_order(frame).loc["torch", "each hidden layer", "relu"]
    assert means["order"] == "none < Loc1 < Loc2 < both" and means["none"] < 1e-6
    np.testing.assert_allclose(means[["Loc1", "Loc2", "both"]].astype(float), [0.116, 0.137, 0.161], rtol=0.1)


def test_the_order_is_the_papers_with_a_skip_round_each_layer_and_is_not_with_fewer():
    order = place_order(survey_residual(n_draws=12, n_samples=150, n_features=128)).loc["torch"]
    for activation in PUBLISHED_ACTIVATIONS:
        each, second, none = (order.loc[name, activation] for name in reversed(LAYOUTS))
        assert each["order"] == "none < Loc1 < Loc2 < both"
        assert second["Loc2"] < 0.8 * second["Loc1"] and second["Loc2"] < 0.8 * second["both"]
        assert none["Loc1"] < none["both"] < none["Loc2"]


def test_a_leaky_relu_in_one_place_has_less_by_its_slope():
    frame = survey_residual(["relu", "leaky_relu"], n_draws=1, **SMALL).set_index(["activation", "layout", "place"]).jne
    for place in ("Loc1", "Loc2"):
        ratio = frame["leaky_relu"][:, place] / frame["relu"][:, place]
        np.testing.assert_allclose(ratio, 0.99, rtol=2e-4)


def test_the_scale_of_the_inputs_is_nothing_to_relus_and_something_to_smooth_activations():
    options = {"layouts": ["each hidden layer"], "laws": ["torch_unbiased"], "scales": [1, 10, 1000]}
    frame = survey_residual(n_draws=3, n_samples=100, n_features=256, **options)
    change = scale_changes(frame)["uniform"]
    assert (change.loc[["relu", "leaky_relu"]].abs() < 1e-4).all(axis=None)
    both = change.xs("both", level="place")
    assert -0.47 < both.loc["gelu", 1] < -0.32 and -0.65 < both.loc["silu", 1] < -0.53
    assert (both[[10, 1000]].abs() < 0.08).all(axis=None)


def test_tables_of_order_and_scale():
    rows = [(draw, place, value + draw) for draw in (0, 1) for place, value in zip(PLACES, (0, 2, 4, 3), strict=True)]
    frame = pd.DataFrame(rows, columns=["draw", "place", "jne"]).assign(law="he", layout="no skip", activation="relu")
    row = place_order(frame).loc["he", "no skip", "relu"]
    assert row["order"] == "none < Loc1 < both < Loc2" and row["ordered"] == 0
    assert (row["both"], row["last_step"], row["last_step_se"]) == (3.5, pytest.approx(-1 / 3.5), 0)
    both = pd.concat([frame.assign(scale=s, distribution="normal", jne=s * frame.jne) for s in (1.0, 10.0)])
    assert scale_means(both).loc[("relu", "Loc2"), ("normal", 10.0)] == 45
    assert scale_changes(both).loc[("relu", "Loc2"), ("normal", 1.0)] == pytest.approx(-0.9)
    with pytest.raises(ValueError, match=r"reference=3; accepted are the scales measured, \[1.0, 10.0\]"):
        scale_changes(both, 3)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"layouts": ["first layer"]}, "layout='first layer'; accepted are no skip, second layer, each hidden layer"),
        ({"laws": ["glorot"]}, "law='glorot'; accepted are torch, torch_unbiased, he, unit"),
        ({"activations": ["swish"]}, "activation='swish'; accepted are relu"),
        ({"distributions": ["cauchy"]}, "distribution='cauchy'; accepted are uniform, normal"),
    ],
)
def test_unknown_names_are_told(options, message):
    with pytest.raises(ValueError, match=message):
        survey_residual(**options)
