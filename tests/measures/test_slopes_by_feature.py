"""Mean and variance of the slope along every feature: the dense oracle on every path, memory, and a planted truth."""

import re

import numpy as np
import pytest
from cases import CASES, Residual, normal
from oracles import dense_jacobian, of_slopes

import jne
from jne.accuracy import remove_linear
from jne.measures import linearised_predictions, nonlinearity
from jne.simulations import mix

ASKED = {"mean_jacobian": True, "feature_variance": True}


def assert_slopes(result, model, X, rtol=1e-5):
    J = dense_jacobian(model, X)
    for power, (name, values) in enumerate(of_slopes(J).items(), 1):
        assert result[name].dims == ("voxel", "feature")
        absolute = rtol / 10 * np.abs(J).max() ** power
        np.testing.assert_allclose(result[name], values, rtol=rtol, atol=absolute, err_msg=name)


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("readout", ["auto", False])
def test_slopes_of_any_model_are_those_of_its_dense_jacobian(name, readout):
    model, X = CASES[name].model(), CASES[name].samples()
    assert_slopes(nonlinearity(model, X, readout=readout, **ASKED), model, X, 1e-4)


@pytest.mark.parametrize(("readout", "n_voxels"), [(True, 13), (True, 300), (False, 13), (False, 300)])
def test_blocks_memory_and_norm_do_not_matter(readout, n_voxels):
    model, X = Residual(20, 24, n_voxels), normal(6, 20)
    whole = nonlinearity(model, X, readout=readout, **ASKED)
    assert_slopes(whole, model, X)
    for options in ({"n_voxels_batch": 3}, {"return_samples": False, "max_memory": "400kB"}, {"norm": "l2"}):
        other = nonlinearity(model, X, readout=readout, **ASKED, **options)
        np.testing.assert_allclose(other.feature_variance, whole.feature_variance, rtol=1e-5, atol=1e-9)
        np.testing.assert_allclose(other.mean_jacobian, whole.mean_jacobian, rtol=1e-5, atol=1e-7)


def test_asking_for_slopes_changes_nothing_else():
    model, X = Residual(), normal(30, 7)
    plain, asked = nonlinearity(model, X), nonlinearity(model, X, **ASKED)
    assert all(np.array_equal(plain[name], asked[name]) for name in plain)
    assert set(asked) - set(plain) == set(ASKED) and asked.attrs["feature_variance"] == 1
    assert asked.feature_variance.units == "(response units per feature unit)^2"


@pytest.mark.parametrize("readout", [True, False])
def test_the_variance_s_memory_is_told_beforehand(readout):
    model, X = Residual(300, 8, 4), normal(5, 300)

    def needed(**options):
        with pytest.raises(ValueError, match="raise max_memory") as refusal:
            nonlinearity(model, X, covariance=False, readout=readout, max_memory="1kB", n_voxels_batch=1, **options)
        nonlinearity(model, X, covariance=False, readout=readout, max_memory="1MB", **options)
        return int(re.search(r"\((\d+) bytes\)", str(refusal.value))[1])

    assert needed(feature_variance=True) >= needed() + 300 * 8


def test_z_scored_rows_have_no_slopes():
    with pytest.raises(ValueError, match="feature_variance=True is of the slopes as they are; give zscore_jacobian="):
        nonlinearity(Residual(), normal(9, 7), zscore_jacobian=True, feature_variance=True)


def test_of_a_linear_encoder_the_mean_jacobian_model_is_the_encoder():
    X = normal(200, 5).numpy() * 3 + 1
    Y = 7 + X @ normal(5, 4, seed=1).numpy()
    encoder = jne.RidgeEncoder(alphas=(1.0,)).fit(X[:100], Y[:100], X[100:150], Y[100:150])
    slopes = nonlinearity(encoder, X[150:], mean_jacobian=True).mean_jacobian
    np.testing.assert_allclose(linearised_predictions(encoder, X[150:], slopes), encoder.predict(X[150:]), rtol=1e-4)
    with pytest.raises(ValueError, match=r"mean_jacobian has shape \(5, 4\); this encoder's is \(4, 5\)"):
        linearised_predictions(encoder, X[150:], slopes.T)


def found_by(scores, reads):
    """Area under the curve of telling the features that a voxel's nonlinearity reads from the others, mean of voxels.

    ``scores`` and ``reads`` are ``(voxel, feature)``; the area is the chance that one that is read scores higher.
    """
    pairs = [np.sign(score[read][:, None] - score[~read]) for score, read in zip(scores, reads, strict=True)]
    return np.mean([(1 + pair.mean()) / 2 for pair in pairs])


def planted(n_samples, noise_ceiling, n_features=48, n_voxels=15, n_read=6, n_groups=3, seed=0):
    """Responses half of whose signal is linear in all features; the other half reads a few, the same in a group."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n_samples, n_features))
    linear, noise = X @ rng.normal(size=(n_features, n_voxels)), rng.normal(size=(n_samples, n_voxels))
    nonlinear, reads = np.empty_like(linear), np.zeros((n_voxels, n_features), bool)
    for group in range(n_groups):
        features, members = rng.choice(n_features, n_read, replace=False), slice(group, None, n_groups)
        units = np.maximum(X[:, features] @ rng.normal(size=(n_read, 16)), 0)
        nonlinear[:, members] = units @ rng.normal(size=(16, n_voxels))[:, members]
        reads[members, features] = True
    signal = mix(linear, remove_linear(X, nonlinear), np.full(n_voxels, 0.5))
    return X, signal + np.sqrt(1 / noise_ceiling - 1) * noise, reads


def test_the_variance_of_slopes_finds_the_features_that_a_planted_nonlinearity_reads():
    X, Y, reads = planted(4000, noise_ceiling=0.3)
    encoder = jne.ResidualEncoder(hidden_size=48, batch_size=256, lr=0.004, device="cpu")
    encoder.fit(X[:3500], Y[:3500], X[3500:3800], Y[3500:3800])
    result = nonlinearity(encoder, X[3800:], return_samples=False, covariance=False, **ASKED)
    assert found_by(result.feature_variance.values, reads) >= 0.87
    # Mean slopes are along all features, whoever reads them.
    assert 0.4 < found_by(abs(result.mean_jacobian.values), reads) < 0.6
