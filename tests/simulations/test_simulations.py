"""The claims of the chapter Simulations, on its quick parameters: direction and size."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
import yaml

from jne import jacobian, simulations
from jne.simulations.closed_forms import closed_form, wide_network
from jne.simulations.inputs import bump, correlated, draw_features, random_rotation, rotated, unit
from jne.simulations.responses import ACTIVATIONS, activation_network
from jne.statistics import spearman

ROOT = Path(__file__).resolve().parents[2]
QUICK = yaml.safe_load((ROOT / "book/params/quick.yml").read_text())
SIMULATIONS = QUICK["simulations"]
NAMES = list(ACTIVATIONS)
CHOSEN = [name for name in NAMES if name not in ("identity", "leaky_relu_0.75")]
BOUNDED = ["sigmoid", "tanh", "sin"]


@pytest.fixture(scope="module")
def activations():
    options = {"n_seeds": SIMULATIONS["n_seeds"], "n_samples": SIMULATIONS["n_samples"]}
    return simulations.survey_networks({name: [name] for name in NAMES}, **options)


@pytest.fixture(scope="module")
def subsets():
    """As drawn nothing is near its bound, so that there one draw of the weights is enough."""
    return {
        scaling: simulations.survey_subsets(
            CHOSEN, unit_variance=scaling, n_seeds=n_seeds, n_samples=SIMULATIONS["n_samples"]
        )
        for scaling, n_seeds in ((None, 1), ("layers", SIMULATIONS["n_seeds_layers"]))
    }


@pytest.fixture(scope="module")
def fitted():
    layers = {
        name: ["relu" if place in nonlinear else "identity" for place in (1, 2, 3, 4)]
        for name, nonlinear in simulations.layer_subsets().items()
    }
    options = {"encoder_options": QUICK["all"]["encoder_options"] | {"device": "cpu"}, **SIMULATIONS["fit_options"]}
    return simulations.fit_networks({name: [name] for name in NAMES} | layers, **options)


def test_the_identity_scores_zero(activations):
    identity = activations[activations.network == "identity"]
    for measure in ("jne", "jne_scaled", "mean_deviation", "nonlinear_share", "true_share"):
        assert (identity[measure] < 1e-5).all(), measure


def test_jne_of_leaky_relus_is_that_of_abs_times_half_of_one_minus_the_slope(activations):
    by_network = activations.set_index(["network", "seed"]).jne
    for slope, name in {0: "relu", 0.25: "leaky_relu_0.25", 0.5: "leaky_relu_0.5", 0.75: "leaky_relu_0.75"}.items():
        np.testing.assert_allclose(by_network[name], by_network["abs"] * (1 - slope) / 2, rtol=1e-4)


def test_the_share_bounds_the_nonlinear_variance_of_gaussian_features(activations):
    excess = activations.set_index("network").nonlinear_share - activations.set_index("network").true_share
    # For the square both are equal, and each is a sample's.
    assert (excess > -0.01).all() and (excess.drop(["identity", "square"]) > 0).mean() > 0.95


@pytest.mark.parametrize("measure", ["nonlinear_share", "true_share"])
def test_shares_of_networks_are_near_those_of_unlimited_width(activations, measure):
    medians = activations.groupby("network")[measure].median()
    for name in NAMES:
        assert medians[name] == pytest.approx(wide_network(name)[measure], abs=0.035), name


def test_the_share_orders_activations_more_like_the_truth_than_jne_does(activations):
    rho = {
        m: [spearman(p[m], p.true_share) for _, p in activations.groupby("seed")] for m in ("jne", "nonlinear_share")
    }
    assert min(rho["nonlinear_share"]) > 0.96 > max(rho["jne"]) > 0.8
    pairs = simulations.contradictions(activations, "jne", "true_share")
    assert ("sin", "relu") in pairs and ("elu", "softplus") in pairs


def test_small_slopes_hide_a_nonlinearity_from_jne(activations):
    medians = activations.groupby("network").median()
    assert medians.jne["sigmoid"] < medians.jne["leaky_relu_0.75"] < medians.jne_scaled["sigmoid"] / 2


def test_scaled_jne_is_that_of_scaled_outputs():
    options = {"n_seeds": 2, "n_samples": 200}
    frame = simulations.survey_networks({"relu": ["relu"] * 3}, **options)
    scaled = simulations.survey_networks({"relu": ["relu"] * 3}, unit_variance="outputs", **options)
    np.testing.assert_allclose(frame.jne_scaled, scaled.jne, rtol=0.05)
    assert (frame.jne < 0.5 * scaled.jne).all()


def test_units_follow_their_closed_forms_and_jne_does_not_see_leaky_relus():
    slopes, p_active = [-1, -0.5, 0, 0.5, 1], [0.05, 0.25, 0.5, 0.75, 0.95]
    frame = simulations.survey_units(slopes, p_active, n_seeds=4, n_samples=20_000)
    medians = frame.groupby(["response", "value"]).median()
    for (response, value), row in medians.iterrows():
        exact = closed_form(response, **{"leaky_relu": {"slope": value}, "relu": {"p_active": value}}[response])
        for measure, expected in exact.items():
            assert row[measure] == pytest.approx(expected, abs=0.015), (response, value, measure)
    relu = medians.loc["relu"]
    assert medians.loc["leaky_relu"].jne.max() < 0.01
    assert (
        relu.jne[0.05] == pytest.approx(relu.jne[0.95], rel=0.1) and relu.true_share[0.05] > 10 * relu.true_share[0.95]
    )


def test_clouds_are_the_jacobians_that_the_measures_are_made_of():
    cloud = simulations.jacobian_clouds(["identity", "abs"])
    assert np.ptp(cloud["identity"]["jacobian"].values, axis=0).max() == 0
    assert float(cloud["abs"]["delta"].std()) == pytest.approx(float(cloud["abs"]["jne"]), rel=1e-4)


def shares(subsets, scaling, measure):
    steps = simulations.order_steps(subsets[scaling], measure)
    return steps.groupby("kind")[["rises", "violated"]].mean(), steps


def test_as_drawn_one_more_nonlinear_layer_lowers_jne(subsets):
    table, _ = shares(subsets, None, "jne")
    assert table.rises["one more layer"] < 0.4 and table.violated["one more layer"] > 0.5


def test_at_unit_variance_of_the_outputs_the_claim_holds_but_for_bounded_activations(subsets):
    table, steps = shares(subsets, None, "jne_scaled")
    assert table.rises.min() > 0.75
    rises = steps[steps.kind == "one more layer"].groupby("activation").rises.mean()
    assert rises[BOUNDED].mean() < 0.75 and rises.drop(BOUNDED).mean() > 0.9


def test_with_standardised_layers_the_claim_holds_in_the_same_order_for_every_activation(subsets):
    table, _ = shares(subsets, "layers", "jne")
    assert table.rises["one more layer"] > 0.95 and table.rises["one place deeper"] > 0.75
    assert table.violated.max() < 0.15
    agreement = simulations.order_agreement(subsets["layers"], "jne")
    drawn = simulations.order_agreement(subsets[None], "jne")
    assert agreement["low"] > 0.85 and drawn["high"] < 0.6


def test_shares_rise_with_the_number_of_layers_and_not_with_their_depth(subsets):
    for measure in ("nonlinear_share", "true_share"):
        rises = shares(subsets, "layers", measure)[0].rises
        assert rises["one more layer"] > 0.8 and rises["one place deeper"] < 0.6
    for frame in subsets.values():
        medians = frame.groupby(["activation", "layers"]).median(numeric_only=True)
        assert medians.loc[["abs", "square"], ["nonlinear_share", "true_share"]].min(axis=None) > 0.95


def test_depth_raises_the_spread_of_the_deviation_by_leaving_fewer_directions(subsets):
    frame = subsets["layers"].set_index("layers")
    ratio = frame.loc["4"].groupby("activation").median() / frame.loc["1"].groupby("activation").median()
    assert ratio.jne.median() > 1.1 and 0.85 < ratio.mean_deviation.median() < 1.05
    directions = []
    for layers in (["relu", *["identity"] * 3], [*["identity"] * 3, "relu"]):
        X = torch.randn(400, 32, generator=torch.Generator().manual_seed(0))
        J = jacobian(activation_network(layers, unit_variance="layers"), X)
        values = np.linalg.eigvalsh(np.einsum("nvd,nve->de", J - J.mean(axis=0), J - J.mean(axis=0)))
        directions.append(values.sum() ** 2 / (values**2).sum())
    assert directions[1] < 0.7 * directions[0]


def test_a_linear_network_scores_zero_whatever_the_scaling(subsets):
    for frame in subsets.values():
        assert frame[frame.layers == "none"].jne.max() < 1e-5


def test_claimed_steps_are_those_of_the_claim():
    steps = simulations.claimed_steps(3)
    assert ("1", "1+2", "one more layer") in steps and ("1+2", "1+3", "one place deeper") in steps
    assert len(steps) == 9 + 4  # 12 ways to add a layer, less the 3 from none; each of two moves, other layer in or out
    numbers = simulations.layer_subsets(3)
    assert all(sum(numbers[lower]) < sum(numbers[higher]) for lower, higher, _ in steps)


def test_kendalls_w():
    raters = np.array([[1, 2, 3, 4], [1, 3, 2, 4], [2, 1, 3, 4]]).T
    # By hand: rank sums 4, 6, 8, 12 of mean 7.5, so W = 12 * 35 / (9 * 60).
    assert simulations.kendalls_w(raters) == pytest.approx(12 * 35 / (9 * 60))
    assert simulations.kendalls_w(np.tile(np.arange(5.0)[:, None], 3) ** 3) == 1
    random = np.random.default_rng(0).normal(size=(2000, 15, 12))
    assert simulations.kendalls_w(random).mean() == pytest.approx(1 / 12, rel=0.03)


def test_violations_are_found_counted_and_named():
    rows = []
    for seed in range(4):
        for number, name in enumerate(simulations.layer_subsets()):
            rows += [(name, activation, seed, number + 0.01 * seed) for activation in ("relu", "tanh")]
    frame = pd.DataFrame(rows, columns=["layers", "activation", "seed", "jne"])
    assert simulations.name_violations(simulations.order_steps(frame, "jne")) == "no pair"
    frame.loc[(frame.layers == "1+2") & (frame.activation == "tanh"), "jne"] = 0.5
    steps = simulations.order_steps(frame, "jne")
    assert simulations.name_violations(steps) == "1+2 below 1 (tanh); 1+2 below 2 (tanh)"
    assert simulations.name_violations(steps, 1) == "1+2 below 1 (tanh); and 1 more"


def test_a_fitted_encoder_gives_a_linear_network_a_score_the_higher_the_noisier(fitted):
    linear = fitted[fitted.network == "identity"].groupby("noise_ceiling").median(numeric_only=True)
    assert linear.jne_true.max() < 1e-5 and linear.jne.min() > 0.15
    for measure in ("jne", "nonlinear_share", "prediction_share"):
        assert linear[measure][0.2] > 1.2 * linear[measure][1.0]


def test_a_fitted_encoder_misses_odd_activations_though_it_predicts_them(fitted):
    medians = fitted.groupby(["noise_ceiling", "network"]).median(numeric_only=True).loc[1.0]
    linear = medians.loc["identity"]
    for name, true in {"sin": 0.6, "tanh": 0.3}.items():
        odd = medians.loc[name]
        assert odd.r2 > 0.75 and odd.jne_true > true and odd.jne < 1.2 * linear.jne
    swapped = simulations.ranking_changes(fitted[fitted.network.isin(NAMES)], "jne").swapped[1.0]
    assert ("sin", "relu") in swapped


def test_fitting_to_noise_upsets_the_ranking_by_jne_and_not_that_by_shares(fitted):
    for frame in (fitted[fitted.network.isin(NAMES)], fitted[~fitted.network.isin(NAMES)]):
        rho = {m: simulations.ranking_changes(frame, m).rho for m in ("jne", "nonlinear_share", "prediction_share")}
        assert rho["jne"][0.2] < 0.2 and rho["jne"][0.2] < rho["jne"][1.0]
        for share in ("nonlinear_share", "prediction_share"):
            # Over seeds of the whole simulation 0.6 to 0.9 with much noise, 0.85 and more without.
            assert rho[share][0.2] > max(0.5, rho["jne"][0.2] + 0.4) and rho[share][1.0] > 0.8


def test_other_features_change_jne_as_the_closed_form_says_and_leave_the_share():
    frame = simulations.sweep_features(n_samples=500)
    for measure in ("jne", "mean_deviation"):
        ratio = frame[measure] / frame[f"{measure}_exact"]
        assert ratio.max() / ratio.min() == pytest.approx(1, abs=1e-4)
    changes = frame.groupby("kind").jne.agg(lambda values: values.max() / values.min())
    assert changes["scale"] == pytest.approx(16, rel=1e-3)
    assert changes["correlation"] > 3 and 1.3 < changes["rotation"] <= 2**0.5
    assert np.ptp(frame.nonlinear_share) < 1e-5


def test_transforms_are_what_they_are_called():
    L = correlated(0.6, 3)
    np.testing.assert_allclose(L @ L.T, [[1, 0.6, 0.36], [0.6, 1, 0.6], [0.36, 0.6, 1]])
    for Q in (rotated(30), random_rotation(5, 0)):
        np.testing.assert_allclose(Q @ Q.T, np.eye(len(Q)), atol=1e-12)
    x = torch.randn(50_000, 2, generator=torch.Generator().manual_seed(0))
    assert float((unit([0.6, 0.8], 0.7)(x) > 0).float().mean()) == pytest.approx(0.7, abs=0.01)


def test_a_rotation_takes_away_the_difference_between_reading_one_feature_and_all():
    frame = simulations.compare_readers(n_samples=500).set_index(["network", "transform"])
    ratio = frame.jne["all features"] / frame.jne["one feature"]
    assert ratio["as they are"] == pytest.approx(32**0.5, rel=0.1)  # ||w||_1 of equal weights over that of one
    assert 0.7 < ratio["rotated"] < 1.4
    for name in ("one feature", "all features"):
        before, after = (frame.nonlinear_share[name][transform] for transform in ("as they are", "rotated"))
        assert before == pytest.approx(after, rel=1e-4)


def test_clusters_break_the_share_and_not_that_from_predictions():
    frame = simulations.clustered_bump([0.15, 0.8], n_samples=3000).set_index(["features", "width"])
    tight = frame.loc["clustered", 0.15]
    # The bump has variance 2/9 over three equal clusters, the slope 0.01 (8/3 + 0.15²) as far as it is linear.
    assert tight.true_share == pytest.approx((2 / 9) / (2 / 9 + 0.01 * (8 / 3 + 0.15**2)), abs=0.01)
    assert tight.nonlinear_share < 0.1
    for label in (("Gaussian", 0.15), ("Gaussian", 0.8), ("clustered", 0.8)):
        assert frame.nonlinear_share[label] > frame.true_share[label] > 0.75
    x = draw_features(0.15, 3000, 0)
    assert float(x.std()) == pytest.approx((8 / 3 + 0.15**2) ** 0.5, rel=0.02)
    assert float(draw_features(0.15, 3000, 0, clusters=False).std()) == pytest.approx(float(x.std()), rel=0.05)
    assert float(bump(torch.zeros(1))) == 1
