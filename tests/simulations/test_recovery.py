"""The claims of the chapter on trust, at the quick parameters it is built with."""

from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

import jne
from jne.accuracy import prediction_share
from jne.simulations import (
    MEASURES,
    OF_SEVERAL,
    SHARES,
    bias_table,
    converge,
    recover,
    recovery_table,
    simulated_voxels,
    vary,
)  # fmt: skip
from jne.simulations.responses import mixed_response
from jne.statistics import partial_spearman

QUICK = yaml.safe_load((Path(__file__).parents[2] / "book/params/quick.yml").read_text())["trust"]
FEW, MANY = QUICK["train_sizes"]


@pytest.fixture(scope="module", autouse=True)
def kept(tmp_path_factory):
    """Experiments of this file are computed once."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("JNE_RESULTS", str(tmp_path_factory.mktemp("trust")))
        yield


@pytest.fixture(scope="module")
def simulations(kept):
    seeds = range(QUICK["n_simulations"])
    return {n: [recover(seed, n_train=n, **QUICK["recovery_options"]) for seed in seeds] for n in (FEW, MANY)}


@pytest.fixture(scope="module")
def followed(simulations):
    table = recovery_table(simulations[FEW] + simulations[MANY])
    return table.groupby(["n_train", "measure"]).mean(numeric_only=True)


def test_published_jne_is_blind_to_relu_and_abs():
    x = torch.randn(5000, 1, generator=torch.Generator().manual_seed(0))
    for function, mean in ((torch.relu, 0.5), (torch.abs, 1.0)):
        result = jne.nonlinearity(function, x, covariance=[[1.0]])
        assert float(result.jne[0]) < 0.05 and float(result.mean_deviation[0]) == pytest.approx(mean, abs=0.02)
    assert float(jne.nonlinearity(torch.square, x).jne[0]) == pytest.approx(2 * np.sqrt(1 - 2 / np.pi), rel=0.05)


def test_published_jne_follows_the_noise_ceiling(followed):
    for n_train in (FEW, MANY):
        row = followed.loc[n_train, MEASURES["jne"]]
        assert row.with_ceiling > 0.4 and row.partial_ceiling > 0.6


def test_plain_shares_follow_the_truth_and_are_not_free_of_the_ceiling(followed):
    for name in ("nonlinear_share", "prediction_share"):
        row = followed.loc[MANY, MEASURES[name]]
        assert row.partial_truth > 0.9 > followed.loc[MANY, MEASURES["jne"]].with_truth
        assert row.partial_ceiling < -0.1


def test_cross_fitted_shares_follow_the_truth_and_not_the_ceiling(followed):
    for name in ("crossfit_share", "crossfit_prediction_share"):
        row = followed.loc[MANY, MEASURES[name]]
        assert row.partial_truth > 0.85 and abs(row.partial_ceiling) < 0.2
        assert abs(row.partial_ceiling) < abs(followed.loc[MANY, MEASURES["nonlinear_share"]].partial_ceiling)


def test_the_mean_of_three_fits_follows_the_truth_where_the_mean_of_three_measures_does_not(simulations):
    one = simulations[FEW][0]
    three = recover(0, n_train=FEW, **{**QUICK["recovery_options"], "n_seeds": 3})
    for name in MEASURES:  # of the first fit
        np.testing.assert_array_equal(one[name], three[name])
    assert not set(OF_SEVERAL) & set(one) and set(OF_SEVERAL) <= set(three)
    row = recovery_table([three]).set_index("measure")
    single, model, averaged = (row.loc[label] for label in (MEASURES["jne"], OF_SEVERAL["jne_mean_model"],
                                OF_SEVERAL["jne_mean_of_fits"]))  # fmt: skip
    assert model.with_truth > max(single.with_truth, averaged.with_truth) + 0.1
    assert model.with_ceiling < min(single.with_ceiling, averaged.with_ceiling)
    assert len(recovery_table([one])) == len(MEASURES) and len(row) == len(MEASURES) + len(OF_SEVERAL)


def test_the_bias_of_the_plain_share_changes_with_the_ceiling_more_than_that_of_the_cross_fitted(simulations):
    table = bias_table(simulations[MANY], (0.1, 0.3, 0.5, 0.8))
    assert set(table.measure) == {MEASURES[name] for name in SHARES}
    medians = table.groupby(["measure", "ceiling"], observed=True)["bias"].median().unstack()
    assert (
        medians.loc[MEASURES["nonlinear_share"], "0.1 to 0.3"] > medians.loc[MEASURES["nonlinear_share"], "0.5 to 0.8"]
    )
    assert (medians.loc[MEASURES["crossfit_share"]] < medians.loc[MEASURES["nonlinear_share"]]).all()


def test_more_stimuli_bring_the_cross_fitted_share_up_and_the_linear_one_down():
    table = vary("n_train", QUICK["variations"]["n_train"], **QUICK["variation_options"]).set_index(["kind", "level"])
    few, many = min(QUICK["variations"]["n_train"]), max(QUICK["variations"]["n_train"])
    assert table.crossfit_share["nonlinear", many] > table.crossfit_share["nonlinear", few] + 0.05
    assert table.nonlinear_share["linear", many] < table.nonlinear_share["linear", few]
    # A linear truth: the plain share finds nonlinearity, the cross-fitted one does not.
    assert table.nonlinear_share["linear", many] > 0.05 > abs(table.crossfit_share["linear", many])
    assert table.nonlinear_share["shuffled", many] > 0.3
    assert table.true_nonlinearity["nonlinear", many] == 0.4


def test_responses_are_shuffled_anew_in_every_setting_and_a_setting_is_counted_once():
    # One epoch, so that patience changes nothing but the setting.
    options = {"n_train": 200, "n_features": 8, "n_voxels": 4, "encoder_options": {"max_epochs": 1}}
    table = vary("patience", [1, 8], **options)
    shares = table[table.kind == "shuffled"].set_index("level").nonlinear_share
    assert abs(shares[1] - shares[8]) > 1e-3 * shares[8]
    again = vary("hidden_size", [64], **options)  # what is varied from
    assert set(again.setting) == set(table.setting[table.level == 8]) and table.setting.nunique() == 2


def test_a_factor_must_be_known():
    with pytest.raises(ValueError, match="factor='depth'; accepted are n_train, hidden_size"):
        vary("depth", [1])


@pytest.fixture(scope="module")
def converged(kept):
    return converge([50, 200], **{**QUICK["convergence_options"], "n_draws": 120})


def test_coverage_of_the_intervals(converged):
    coverage = converged.dropna().groupby(["measure", "n_samples"])["coverage"].mean()
    assert set(coverage.index.get_level_values(0)) == {"jne", "mean_deviation"}
    # Voxels of one draw share its stimuli: with 120 draws the standard error of a coverage is about 0.01.
    assert coverage.between(0.91, 0.98).all(), coverage


def test_errors_fall_with_the_root_of_the_number_of_stimuli(converged):
    error = converged.groupby(["measure", "n_samples"])["error"].mean().unstack()
    assert ((error[50] / error[200]) > 1.6).all() and ((error[50] / error[200]) < 2.7).all()
    assert error.loc["mean_deviation", 200] < error.loc["jne", 200] < error.loc["jne_ss", 200]


def test_an_experiment_is_computed_once(simulations, monkeypatch):
    monkeypatch.setattr("jne.simulations.recovery._recover", None)
    again = recover(0, n_train=FEW, **QUICK["recovery_options"])
    np.testing.assert_array_equal(simulations[FEW][0].jne, again.jne)
    assert again.attrs["n_train"] == FEW


def test_simulated_voxels_hold_their_truth():
    data = simulated_voxels(3, n_train=400, n_voxels=5)
    X, Y = data.features("all"), data.responses("all")
    assert data.synthetic and X.shape == (800, 32) and len(data.stimuli("train")) == 400
    ceiling, alpha = data.get("noise_ceiling"), data.get("true_nonlinearity")
    assert ((alpha >= 0) & (alpha <= 1)).all()
    # The signal has variance 1, so the total variance is one over the noise ceiling.
    np.testing.assert_allclose(1 / Y.var(axis=0), ceiling, rtol=0.2)


def test_prediction_share_is_the_planted_share():
    x = np.random.default_rng(0).normal(size=(400, 6))
    alpha = np.array([0, 0.3, 1.0])
    signal, _ = mixed_response(x, alpha)
    np.testing.assert_allclose(prediction_share(x, 5 * signal + 2), alpha, atol=1e-10)
    assert np.isnan(prediction_share(x, np.ones((400, 1))))[0]
    with pytest.raises(ValueError, match="at least 8 of them"):
        prediction_share(x[:7], signal[:7])


def test_partial_correlation_takes_the_third_variable_out():
    rng = np.random.default_rng(0)
    given = rng.normal(size=5000)
    a, b = given + rng.normal(size=5000), given + rng.normal(size=5000)
    assert abs(partial_spearman(a, b, given)) < 0.05
    assert partial_spearman(a, a + b, given) > 0.5
