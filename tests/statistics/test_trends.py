"""Trends over areas: exact small cases, calibrated nulls, and a planted hierarchy that is found again."""

import itertools

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from scipy.stats import rankdata, spearmanr

import jne
from jne.cortex import (
    AREAS,
    LEVELS,
    N_MESH_VERTICES,
    area_covariances,
    covariance_weights,
    mesh_areas,
    smooth,
    smoothed_covariances,
    surface,
    volume_covariances,
)
from jne.statistics.area_tables import area_table
from jne.statistics.subject_tables import area_recovery_table, effect_sizes, pooled_table, subject_interval
from jne.statistics.trends import POOLED, _basis, _smooth_draws, smooth_null, trend_test, trend_tests

AREA_NAMES = list(AREAS)
RANKS = np.array([LEVELS.index(AREAS[area][0]) for area in AREA_NAMES], float)
FEW = ["V1", "V2", "V3", "V4", "MT", "FFC", "PHA1"]


def rate(p_values):
    return np.mean(np.array(p_values) < 0.05)


@pytest.fixture(scope="module")
def covariances():
    """As `area_covariances`, of few widths: the widest take seconds."""
    smooth_ones = smoothed_covariances(AREA_NAMES, (0, 10, 20))["covariance"].values
    own = np.eye(len(AREA_NAMES))
    return np.stack([own, *smooth_ones + 1e-6 * own, *(0.9 * smooth_ones + 0.1 * own)])


def test_few_areas_are_enumerated():
    values, levels = np.array([0.1, 0.3, 0.2, 0.9, 0.8]), np.array([0, 1, 2, 3, 3])
    found = trend_test(values, levels)
    exact = [spearmanr(order, levels).statistic for order in itertools.permutations(values)]
    assert found.rho == pytest.approx(spearmanr(values, levels).statistic)
    assert found.p == pytest.approx(np.mean(np.abs(exact) >= abs(found.rho) - 1e-9))
    assert found.enumerated and found.n_areas == 5 and np.isnan(found.p_smooth)


def test_many_areas_are_sampled_and_the_smallest_p_is_one_over_all():
    found = trend_test(RANKS + 0.01 * np.arange(len(RANKS)), RANKS, n_draws=199)
    assert not found.enumerated and found.p == 1 / 200


def test_missing_areas_are_left_out_and_a_flat_measure_has_no_trend():
    values = RANKS.copy()
    values[5] = np.nan
    assert trend_test(values, RANKS, n_draws=99).n_areas == len(RANKS) - 1
    assert np.isnan(trend_test(np.ones(8), np.arange(8)).rho)
    with pytest.raises(ValueError, match="n_draws=10; needed: at least 99"):
        trend_test(values, RANKS, n_draws=10)
    with pytest.raises(ValueError, match=r"values has shape \(2,\)"):
        trend_test([1, 2], [1, 2, 3])


def test_matching_is_the_partial_rank_correlation():
    rng = np.random.default_rng(0)
    a, b, c = rng.standard_normal((3, 40))
    a, b = a + 2 * c, b + 2 * c
    ab, ac, bc = (spearmanr(*pair).statistic for pair in ((a, b), (a, c), (b, c)))
    partial = (ab - ac * bc) / np.sqrt((1 - ac**2) * (1 - bc**2))
    assert trend_test(a, b, given=c, n_draws=99).rho == pytest.approx(partial)


def test_a_confound_is_a_trend_until_areas_are_matched_on_it():
    rng = np.random.default_rng(1)
    plain, matched = [], []
    for number in range(400):
        ceiling = RANKS + 1.5 * rng.standard_normal(len(RANKS))
        measure = ceiling + rng.standard_normal(len(RANKS))
        plain.append(trend_test(measure, RANKS, n_draws=199, random_state=number).p)
        matched.append(trend_test(measure, RANKS, given=ceiling, n_draws=199, random_state=number).p)
    # Three standard errors of a rate of 5 % over 400 draws.
    assert rate(plain) > 0.5 and abs(rate(matched) - 0.05) < 0.033


def test_smoothed_covariances_are_those_of_smooth():
    fwhm, n = 6, 500
    rng = np.random.default_rng(2)
    averages = np.zeros((n, len(FEW)))
    for side in ("left", "right"):
        label = mesh_areas(side)
        for row in averages:
            smoothed = smooth(rng.standard_normal(N_MESH_VERTICES), side, fwhm)
            row += [smoothed[label == area].mean() / 2 for area in FEW]
    expected = smoothed_covariances(FEW, (fwhm,))["covariance"].values[0]
    measured = averages.T @ averages / n
    measured *= len(FEW) / np.trace(measured)
    # Three to four standard errors of a variance from 500 draws.
    np.testing.assert_allclose(np.diag(measured), np.diag(expected), rtol=0.22)
    spread = np.sqrt(np.diag(expected))
    np.testing.assert_allclose(measured / np.outer(spread, spread), expected / np.outer(spread, spread), atol=0.22)
    # V1 is many times larger than PHA1, so its mean varies less; V1 and V2 are neighbours, V1 and MT are not.
    assert expected[0, 0] < 0.3 * expected[-1, -1] and expected[0, 1] > 10 * expected[0, 4]


def test_weights_find_the_covariance_that_made_the_values(covariances):
    rng = np.random.default_rng(3)
    one = np.ones((len(AREA_NAMES), 1))
    for index in (0, 3):
        factor = np.linalg.cholesky(covariances[index])
        weights = np.mean(
            [covariance_weights(5 + factor @ rng.standard_normal(len(factor)), covariances, one) for _ in range(40)], 0
        )
        assert weights.sum() == pytest.approx(1) and weights.argmax() == index


def test_permutation_fails_on_smooth_maps_and_the_smooth_null_does_not(covariances):
    rng = np.random.default_rng(4)
    factor = np.linalg.cholesky(covariances[3])
    found = [
        trend_test(factor @ rng.standard_normal(len(factor)), RANKS, covariances=covariances, n_draws=299)
        for _ in range(400)
    ]
    assert rate([t.p for t in found]) > 0.1
    assert abs(rate([t.p_smooth for t in found]) - 0.05) < 0.03


def test_volume_covariances_are_those_of_noise_smoothed_in_three_dimensions():
    fwhm, n, rng = 30, 300, np.random.default_rng(7)
    averages = np.zeros((n, 3))
    # Noise that is smooth in space: many random waves, of a Gaussian spectrum.
    waves = rng.standard_normal((n, 400, 3)) * 2.3548 / fwhm / np.sqrt(2)
    phases = rng.uniform(0, 2 * np.pi, (n, 400, 1))
    for side in ("left", "right"):
        label, places = mesh_areas(side), surface("midthickness", side)[0]
        for column, area in enumerate(("V1", "MT", "PHA1")):
            there = places[label == area][::20].T
            averages[:, column] += np.cos(waves @ there + phases).sum(axis=1).mean(axis=1) / 2
    measured = averages.T @ averages
    expected = volume_covariances(("V1", "MT", "PHA1"), (fwhm,))["covariance"].values[0]
    # Four standard errors of a covariance from 300 draws, in units of the mean variance.
    np.testing.assert_allclose(measured * 3 / np.trace(measured), expected, atol=0.25)


def test_maps_that_are_smooth_in_the_volume_are_called_in_five_percent(covariances):
    rng = np.random.default_rng(8)
    volume = volume_covariances(AREA_NAMES, (40, 80))["covariance"].values + 1e-6 * np.eye(len(AREA_NAMES))
    factor, both = np.linalg.cholesky(volume[1]), np.concatenate([covariances, volume])
    maps = rng.standard_normal((300, len(factor))) @ factor.T
    on_the_mesh, rates = (
        rate([trend_test(row, RANKS, covariances=known, n_draws=199).p_smooth for row in maps])
        for known in (covariances, both)
    )
    assert on_the_mesh > 0.1 and rates < 0.075  # 5 %, and two standard errors over 300 maps


def test_draws_of_smooth_maps_have_the_covariance_they_are_drawn_with():
    covariance = 0.9 ** np.abs(np.subtract.outer(np.arange(6), np.arange(6)) * np.linspace(1, 3, 6))
    covariance = (covariance + covariance.T) / 2 + 0.1 * np.eye(6)
    draws = _smooth_draws(np.arange(6.0), covariance[None], _basis(6, None), 40_000, np.random.default_rng(0))
    np.testing.assert_allclose(np.cov(draws.T), covariance, atol=0.03)


def test_independent_areas_are_called_in_five_percent(covariances):
    rng = np.random.default_rng(5)
    found = [
        trend_test(rng.standard_normal(len(RANKS)), RANKS, covariances=covariances, n_draws=299) for _ in range(1000)
    ]
    assert abs(rate([t.p for t in found]) - 0.05) < 0.02
    assert rate([t.p_smooth for t in found]) < 0.07


def test_unknown_areas_are_named():
    with pytest.raises(ValueError, match="Atlantis are not in HCP-MMP1"):
        area_covariances(["V1", "Atlantis"])


def test_areas_without_known_places_have_no_smooth_null():
    result = make_result(0)
    assert smooth_null(result, area_table(result, ("jne",))) is None
    placed = result.assign(vertex=("voxel", np.arange(result.sizes["voxel"])))
    assert smooth_null(placed, pd.DataFrame(index=["V1", "FFA-1"])) is None
    placed["vertex"].attrs["mesh"] = "fsaverage"
    assert smooth_null(placed, pd.DataFrame(index=["V1", "V2"])) is None


def test_intervals_over_subjects_cover_in_95_percent():
    rng = np.random.default_rng(6)
    bounds = [subject_interval(rng.standard_normal(4))[1:] for _ in range(2000)]
    assert np.mean([low <= 0 <= high for low, high in bounds]) == pytest.approx(0.95, abs=0.015)
    assert subject_interval([0.5])[0] == 0.5 and np.isnan(subject_interval([0.5])[1])
    mean, low, high = subject_interval([0.5, 0.6, 0.7, 0.8], correlation=True)
    assert 0.6 < mean < 0.7 and low < 0.5 and 0.8 < high < 1


def make_result(seed, slope=0.1, ceiling_slope=0.0, n=6):
    rng = np.random.default_rng(seed)
    roi = np.repeat(AREA_NAMES, n)
    rank = np.repeat(RANKS, n)
    own = np.repeat(rng.standard_normal(len(RANKS)), n)
    content = {
        "roi": ("voxel", roi.astype(object)),
        "level": ("voxel", np.array([AREAS[area][0] for area in roi], object)),
        "jne": ("voxel", 1 + slope * rank + 0.02 * own + 0.01 * rng.standard_normal(len(roi))),
        "noise_ceiling": ("voxel", 0.3 + ceiling_slope * rank + 0.01 * rng.standard_normal(len(roi))),
        "true_nonlinearity": ("voxel", 0.1 + 0.1 * rank),
    }
    return xr.Dataset(content)


def test_tables_of_trends():
    results = {f"subject {seed}": make_result(seed) for seed in range(3)}
    table = trend_tests(results, ("jne",), pooled=POOLED, n_draws=199)
    assert list(table.index) == [(name, "jne") for name in (*results, POOLED)]
    assert (table["rho"] > 0.8).all() and (table["p"] == 1 / 200).all() and table["p_smooth"].isna().all()
    given = trend_tests(results, ("jne",), given="noise_ceiling", n_draws=99)
    for name, result in results.items():
        areas = area_table(result, ("jne", "noise_ceiling"))
        ranks = [rankdata(values) for values in (areas["jne"], RANKS, areas["noise_ceiling"])]
        left = [values - np.polyval(np.polyfit(ranks[2], values, 1), ranks[2]) for values in ranks[:2]]
        assert given.loc[(name, "jne"), "rho"] == pytest.approx(np.corrcoef(*left)[0, 1])
    pooled = pooled_table([area_table(result, ("jne",)) for result in results.values()], ("jne",))
    separate = [make_result(seed).jne.values[:6].mean() for seed in range(3)]
    assert pooled.loc["V1", "jne"] == pytest.approx(np.mean(separate))
    effects = effect_sizes(results, ("jne",)).loc["jne"]
    assert effects.loc["rho", "low"] > 0.8 and effects.loc["rho", "n_subjects"] == 3
    # Later areas are at ranks 4 and 5, V1 to V4 at 0 to 3.
    expected = 0.1 * (RANKS[RANKS > 3].mean() - 1.5)
    assert effects.loc["later - early", "low"] < expected < effects.loc["later - early", "high"]


def test_recovery_is_the_rank_correlation_with_the_truth():
    rising, flat = make_result(0), make_result(0, slope=0, ceiling_slope=0.1)
    table = area_recovery_table({"rising": rising, "flat": flat}, ("jne", "noise_ceiling"))
    assert table.loc[("rising", "jne"), "with_truth"] > 0.85
    assert abs(table.loc[("flat", "jne"), "with_truth"]) < 0.5
    assert table.loc[("flat", "noise_ceiling"), "with_ceiling"] == pytest.approx(1)
    assert table.loc[("flat", "noise_ceiling"), "with_truth"] > 0.85


@pytest.fixture(scope="module")
def planted(tmp_path_factory):
    """Studies of the synthetic cortex, by profiles of share and ceiling."""
    folder, results = tmp_path_factory.mktemp("studies"), {}
    for alpha, ceiling in (("rising", "flat"), ("rising", "rising"), ("flat", "rising"), ("flat", "flat")):
        options = {"thin": 20, "n_train": 1200, "n_validation": 200, "n_test": 200, "cache": False}
        data = jne.load_dataset("synthetic", alpha=alpha, ceiling=ceiling, gate=False, **options)
        encoder = {"hidden_size": 128, "lr": 0.004, "batch_size": 256, "max_epochs": 80}
        study = jne.run_study(data, encoder_options=encoder, linear=False, n_bootstrap=100, folder=folder)
        results[f"{alpha}, {ceiling}"] = study.result
    return results


@pytest.mark.slow
def test_the_planted_share_is_recovered_over_areas_whatever_the_ceiling(planted):
    table = area_recovery_table(planted, ("jne", "nonlinear_share"))["with_truth"].unstack()
    assert (table.loc[["rising, flat", "rising, rising"], "nonlinear_share"] > 0.6).all()
    assert (table.loc[["rising, flat", "rising, rising"], "jne"] > 0.4).all()


@pytest.mark.slow
def test_where_nothing_rises_neither_measure_does(planted):
    trends = trend_tests({"flat": planted["flat, flat"]}, ("jne", "nonlinear_share"), n_draws=999)
    assert (trends["p"] > 0.05).all() and (trends["rho"].abs() < 0.35).all()


@pytest.mark.slow
def test_a_rising_ceiling_alone_moves_both_measures_apart(planted):
    # The share is planted flat: what is found here is the noise ceiling, upwards with JNE, downwards with the share.
    flat = {"flat": planted["flat, rising"]}
    with_ceiling = area_recovery_table(flat, ("jne", "nonlinear_share"))["with_ceiling"]["flat"]
    assert with_ceiling["jne"] > with_ceiling["nonlinear_share"] + 0.5
