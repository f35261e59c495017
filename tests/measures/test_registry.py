"""Every measure has a label, a unit, a definition and an oracle, and behaves as its entry says."""

import importlib

import numpy as np
import oracles
import pytest
from cases import Residual, normal

import jne
from jne.measures import REGISTRY, SHARES, TERMS, label_of, nonlinearity, short_label
from jne.measures.crossfit_shares import KEYS
from jne.measures.registry import GRADIENT, NUMBER, SQUARED_GRADIENT, SQUARED_RESPONSE, known_measure
from jne.plotting import result_label

N, V, D = 40, 4, 6


def every_oracle(factor=1.0, rotation=None):
    """Every measure that has an oracle, of one problem: responses times a factor, features turned."""
    rng = np.random.default_rng(0)
    J = rng.normal(size=(2, N, V, D)) + rng.normal(size=(V, D))
    X = rng.normal(size=(N, D)) * np.arange(1, D + 1)
    Y, P = rng.normal(size=(N, V)), rng.normal(size=(2, N, V))
    groups = [(J[0, :, :, k].mean(0) ** 2, J[1, :, :, k].mean(0) ** 2) for k in range(D)]
    turn = np.eye(D) if rotation is None else rotation
    J, Y, P, X = factor * J @ turn.T, factor * Y, factor * P, X @ turn.T
    sigma = np.cov(X, rowvar=False)
    groups = [tuple(factor**2 * term for term in group) for group in groups]
    accuracy, noise = oracles.of_predictions(X, Y, P[0]), oracles.of_noise(Y, 0.5 * abs(factor), 3)
    validated = oracles.of_validation(X, P[0], Y[-N // 2 :])
    validated.pop("t")
    return {
        **oracles.of_jacobian(J[0], sigma),
        **oracles.of_slopes(J[0]),
        **oracles.of_variants(J[0]),
        **oracles.of_two_jacobians(*J, sigma),
        **oracles.of_two_predictions(X, *P),
        **oracles.of_groups(groups[0], groups),
        **accuracy,
        **noise,
        **validated,
        "explained": accuracy["r2"] / noise["noise_ceiling"],
    }


@pytest.mark.parametrize("key", REGISTRY)
def test_every_measure_has_a_label_a_unit_a_definition_and_an_oracle(key):
    measure = REGISTRY[key]
    assert measure.key == key and measure.label.strip() and measure.definition.strip()
    assert measure.unit in (GRADIENT, SQUARED_GRADIENT, SQUARED_RESPONSE, NUMBER)
    assert (measure.of or key) in every_oracle(), f"{key} has no oracle in tests/oracles.py"
    assert not measure.of or not REGISTRY[measure.of].of


def test_an_oracle_that_is_no_measure_s_is_not_kept():
    assert set(every_oracle()) <= set(REGISTRY)


@pytest.mark.parametrize("key", every_oracle())
def test_a_measure_scales_with_the_responses_as_its_entry_says(key):
    before, after = every_oracle()[key], every_oracle(-3.0)[key]
    factor = (-1 if REGISTRY[key].signed else 1) * 3.0 ** REGISTRY[key].response_power
    np.testing.assert_allclose(after.astype(float), factor * before, rtol=1e-9)


@pytest.mark.parametrize("key", every_oracle())
def test_a_measure_stays_or_moves_under_rotated_features_as_its_entry_says(key):
    rotation = np.linalg.qr(np.random.default_rng(1).normal(size=(D, D)))[0]
    stays = np.allclose(every_oracle(rotation=rotation)[key], every_oracle()[key], rtol=1e-6)
    assert stays == REGISTRY[key].rotation


def test_results_name_their_measures_and_units_as_the_registry_does():
    result = nonlinearity(Residual(), normal(20, 7))
    assert set(result) == set(oracles.of_jacobian(np.zeros((2, 1, 1)), np.eye(1)))
    for name, variable in result.items():
        assert variable.attrs == {"long_name": REGISTRY[name].definition, "units": REGISTRY[name].unit_of(False)}
    assert result.jne.units == "response units per feature unit"
    assert result.jne_ss.units == "(response units per feature unit)^2" and result.relative.units == "1"


def test_cross_fitted_results_name_their_measures_and_units_as_the_registry_does():
    rng = np.random.default_rng(0)
    X, Y = rng.normal(size=(100, 3)), rng.normal(size=(100, 2))
    arrays = X[:60], Y[:60], X[60:80], Y[60:80], X[80:]
    make = lambda seed: jne.RidgeEncoder(random_state=seed)  # noqa: E731
    result = jne.crossfit_nonlinearity(make, arrays, n_splits=1, n_groups=4, return_samples=True)
    for name in (*TERMS, *SHARES, "reliable", "crossfit_jne_ss"):
        entry = REGISTRY[KEYS.get(name, name)]
        assert result[name].attrs == {"long_name": entry.definition, "units": entry.unit_of(True)}
    assert {name for name in result if not name.endswith(("_se", "_sd", "_jackknife", "_jackknife_test"))} == {
        *TERMS, *SHARES, "reliable", "crossfit_jne_ss"
    }  # fmt: skip
    assert result.crossfit_linear_se.units == "squared z-scored response units"


def test_a_measure_without_an_entry_is_refused_where_results_are_made(monkeypatch):
    module = importlib.import_module("jne.measures.nonlinearity")  # the face has its function under this name
    collect = module.collect
    monkeypatch.setattr(module, "collect", lambda *arguments: {**collect(*arguments), "curvature": np.ones(13)})
    with pytest.raises(ValueError, match=r"'curvature' has no entry in jne/measures/registry\.py"):
        nonlinearity(Residual(), normal(20, 7))
    with pytest.raises(ValueError, match="'curvature' has no entry"):
        known_measure("curvature")


def test_labels_of_measures_and_of_what_is_none():
    assert label_of("jne") == "JNE (z-scored response / z-scored feature)" and short_label("jne") == "JNE"
    assert label_of("r2") == short_label("r2") == "R²"
    assert label_of("true_nonlinearity") == "planted nonlinear share"
    assert label_of("mine") == short_label("mine") == "mine"
    assert result_label("nonlinear_share_vs_level") == "nonlinear share vs level"
    assert result_label("n_significant") == "n significant" and result_label("median_jne") == "median JNE"
