import re

import numpy as np
import pytest
from scipy.stats import kstest
from sklearn import metrics

from jne import accuracy
from jne.accuracy import (
    bootstrap_r2,
    correlation_score,
    noise_ceiling,
    r2_score,
    significant_voxels,
    too_few_bootstraps,
)


@pytest.fixture
def pair():
    rng = np.random.default_rng(0)
    responses = rng.normal(3, 2, (60, 7))
    return responses, responses + rng.normal(size=responses.shape)


def test_r2_and_correlation_equal_their_textbook_definitions(pair):
    expected = metrics.r2_score(*pair, multioutput="raw_values")
    np.testing.assert_allclose(r2_score(*pair), expected, rtol=1e-12)
    pearson = [np.corrcoef(a, b)[0, 1] for a, b in zip(pair[0].T, pair[1].T, strict=True)]
    np.testing.assert_allclose(correlation_score(*pair), pearson, rtol=1e-12)


def test_a_constant_response_has_no_r2():
    assert np.isnan(r2_score(np.ones((5, 1)), np.zeros((5, 1))))[0]


def test_shapes_that_disagree_are_named():
    with pytest.raises(ValueError, match=r"\(5, 2\).*\(4, 2\)"):
        r2_score(np.ones((5, 2)), np.ones((4, 2)))


def planted_repeats(noise_sd, n_stimuli=4000, n_repeats=3, seed=0):
    rng = np.random.default_rng(seed)
    signal = rng.normal(size=(n_stimuli, 1, len(noise_sd)))
    return signal + rng.normal(size=(n_stimuli, n_repeats, len(noise_sd))) * noise_sd


def test_noise_ceiling_recovers_the_planted_one():
    noise_sd = np.array([0.5, 1.0, 2.0])
    planted = 3 / (3 + noise_sd**2)  # n ncsnr² / (n ncsnr² + 1), ncsnr = 1 / noise_sd
    np.testing.assert_allclose(noise_ceiling(planted_repeats(noise_sd)), planted, atol=0.03)


def test_noise_ceiling_of_zscored_betas_is_the_published_formula():
    repeats = planted_repeats(np.array([1.5, 3.0]), n_stimuli=50)
    repeats = (repeats - repeats.mean((0, 1))) / repeats.std((0, 1))
    noise = repeats.var(axis=1, ddof=1).mean(axis=0)
    ncsnr = np.sqrt(np.maximum(1 - noise, 0)) / np.sqrt(noise)
    np.testing.assert_allclose(noise_ceiling(repeats, zscored=True), 3 * ncsnr**2 / (3 * ncsnr**2 + 1), rtol=1e-12)


def test_noise_ceiling_of_a_part_of_the_zscored_trials_is_taken_from_their_own_variance():
    # Trials with a variance of 1, of which a part, the test stimuli, has half of the signal's variance.
    rng = np.random.default_rng(0)
    signal = rng.normal(0, np.repeat([np.sqrt(0.25), np.sqrt(0.5)], [4000, 20_000]))
    repeats = signal[:, None, None] + rng.normal(size=(24_000, 3, 1)) * np.sqrt(0.6)
    repeats = (repeats - repeats.mean()) / repeats.std()
    test = repeats[:4000]
    planted = 0.25 / (0.25 + 0.6 / 3)
    np.testing.assert_allclose(noise_ceiling(test), planted, atol=0.02)
    assert noise_ceiling(test, zscored=True)[0] > planted + 0.1  # the trials of the others are not given
    np.testing.assert_allclose(noise_ceiling(repeats, zscored=True), noise_ceiling(repeats), atol=1e-3)


def test_noise_ceiling_with_unequal_repeats():
    repeats = planted_repeats(np.array([1.0]), n_stimuli=6000)
    repeats[::2, 2] = np.nan
    np.testing.assert_allclose(noise_ceiling(repeats), 1 / (1 + (1 / 2 + 1 / 3) / 2), atol=0.03)


def test_noise_ceiling_is_the_r2_of_the_true_signal():
    rng = np.random.default_rng(1)
    signal = rng.normal(size=(20_000, 1))
    repeats = signal[:, None] + rng.normal(size=(20_000, 3, 1))
    np.testing.assert_allclose(noise_ceiling(repeats), r2_score(repeats.mean(1), signal), atol=0.02)


def test_noise_ceiling_of_few_trials_takes_unbiased_variances():
    repeats = np.random.default_rng(2).normal(size=(3, 2, 1)) + np.array([-2.0, 0, 2])[:, None, None]
    noise = np.mean([(one[0] - one[1]) ** 2 / 2 for one in repeats[..., 0]])
    signal = ((repeats - repeats.mean()) ** 2).sum() / 5 - noise
    np.testing.assert_allclose(noise_ceiling(repeats), signal / (signal + noise / 2), rtol=1e-12)


def test_noise_ceiling_edges():
    assert noise_ceiling(planted_repeats(np.array([1e6])))[0] == pytest.approx(0, abs=0.05)
    single = np.where(np.arange(2)[None, :, None] == 0, planted_repeats(np.ones(1), n_repeats=2), np.nan)
    assert np.isnan(noise_ceiling(single)).all()
    with pytest.raises(ValueError, match="n_stimuli, n_repeats, n_voxels"):
        noise_ceiling(np.ones((3, 4)))


def test_bootstrap_equals_resampling_one_by_one(pair):
    result = bootstrap_r2(*pair, n_bootstrap=50, random_state=3)
    draws = np.random.default_rng(3).integers(60, size=(50, 60))
    samples = np.stack([metrics.r2_score(pair[0][d], pair[1][d], multioutput="raw_values") for d in draws])
    np.testing.assert_allclose(result.r2_low, np.quantile(samples, 0.025, axis=0), rtol=1e-9)
    np.testing.assert_allclose(result.r2_high, np.quantile(samples, 0.975, axis=0), rtol=1e-9)
    below = (samples < 0).sum(axis=0)
    np.testing.assert_allclose(result.p_value, (below + 1) / 51)
    np.testing.assert_allclose(result.p_value_release, below / 50)


def test_resamples_in_which_the_response_never_varies_speak_for_nothing():
    responses = np.zeros((50, 1))
    responses[7] = 1  # (1 - 1/50)^50 = 0.364 of all resamples leave it out
    result = bootstrap_r2(responses, responses, n_bootstrap=1000)
    assert result.p_value.item() == pytest.approx(0.364, abs=0.05)


def test_p_values_separate_signal_from_none():
    rng = np.random.default_rng(0)
    responses = rng.normal(size=(200, 100))
    predictions = np.where(np.arange(100) < 50, 0.5 * responses, rng.normal(size=responses.shape))
    p_values = bootstrap_r2(responses, predictions).p_value.values
    significant = significant_voxels(p_values)
    assert significant[:50].all() and not significant[50:].any()


def test_a_tenth_of_the_voxels_need_not_be_predicted_for_any_to_be_called():
    rng = np.random.default_rng(0)
    responses = rng.normal(size=(150, 1000))
    predictions = np.where(np.arange(1000) < 90, 0.8 * responses, rng.normal(size=responses.shape))
    few, many = (bootstrap_r2(responses, predictions, **n).p_value.values for n in ({"n_bootstrap": 200}, {}))
    assert not significant_voxels(few).any()
    assert significant_voxels(many)[:90].all() and significant_voxels(many)[90:].sum() <= 12
    assert "90 of 1,000 have no bootstrap below zero: 200 bootstraps are too few" in too_few_bootstraps(few, 200)
    assert too_few_bootstraps(many, 2000) == ""
    # Nothing is predicted at all: more bootstraps would not help.
    assert too_few_bootstraps(rng.uniform(0.1, 1, 1000), 200) == ""


def test_how_many_bootstraps_are_enough_is_right():
    p_values = np.full(1000, 0.5)
    p_values[:3] = 1 / 201
    needed = int(re.search(r"n_bootstrap=(\d+)", too_few_bootstraps(p_values, 200)).group(1))
    assert significant_voxels(np.where(p_values < 0.1, 1 / (needed + 1), 0.5)).sum() == 3
    assert not significant_voxels(np.where(p_values < 0.1, 1 / needed, 0.5)).any()


def test_voxels_in_blocks_have_the_bootstraps_of_all_at_once(pair, monkeypatch):
    whole = bootstrap_r2(*pair, n_bootstrap=50)
    monkeypatch.setattr(accuracy, "spans", lambda n, step: [slice(i, i + 1) for i in range(n)])
    for name, values in bootstrap_r2(*pair, n_bootstrap=50).items():
        np.testing.assert_allclose(values, whole[name], rtol=1e-12, err_msg=name)


def test_benjamini_hochberg_keeps_its_rate_and_its_textbook_example():
    # Benjamini & Hochberg 1995, section 3.2: four of these fifteen are rejected at q = 0.05.
    p = np.array([1, 4, 19, 95, 201, 278, 298, 344, 459, 3240, 4262, 5719, 6528, 7590, 10000]) / 1e4
    assert significant_voxels(p, 0.05).sum() == 4
    assert significant_voxels(np.array([0.05]), 0.05).all()  # at the rate itself
    np.testing.assert_array_equal(significant_voxels(np.array([np.nan, 0.001, 0.9])), [False, True, False])
    uniform = np.random.default_rng(0).random((400, 50))
    assert kstest(uniform.ravel(), "uniform").pvalue > 0.01
    assert np.mean([significant_voxels(p).any() for p in uniform]) == pytest.approx(0.05, abs=0.03)


def test_bad_settings_are_refused():
    with pytest.raises(ValueError, match="n_bootstrap=0"):
        bootstrap_r2(np.ones((3, 1)), np.ones((3, 1)), 0)
    with pytest.raises(ValueError, match="q=2"):
        significant_voxels(np.ones(3), 2)
