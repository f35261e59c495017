"""The mean of fits is one network: its predictions, its Jacobian on either path, its file, and what it refuses."""

import re

import numpy as np
import pytest
import torch
from oracles import dense_jacobian, of_jacobian
from sklearn.base import clone
from torch import nn

import jne
from jne.encoders import Encoder, MeanEncoder
from jne.encoders.mean import MeanOutputs, mean_network

SEEDS = (0, 1, 2)


@pytest.fixture(scope="module")
def arrays():
    rng = np.random.default_rng(0)
    X = rng.normal(2, 3, (160, 5)).astype(np.float32)
    Y = (4 + np.abs(X @ rng.normal(size=(5, 12))) + rng.normal(size=(160, 12))).astype(np.float32)
    return X[:100], Y[:100], X[100:120], Y[100:120], X[120:]


def prototype(**options):
    return jne.ResidualEncoder(**{"hidden_size": 9, "max_epochs": 15, "lr": 0.01, "device": "cpu", **options})


def fitted(arrays, seeds=SEEDS, **options):
    return [prototype(**options).with_seed(seed).fit(*arrays[:4]) for seed in seeds]


@pytest.mark.parametrize("options", [{}, {"bias": True, "activation": "gelu", "n_blocks": 1}])
@pytest.mark.parametrize("readout", [True, False])
def test_its_jacobian_is_the_mean_of_theirs_on_both_paths(arrays, options, readout):
    fits = fitted(arrays, **options)
    mean = MeanEncoder.of(fits)
    result = jne.nonlinearity(mean, arrays[4], readout=readout, precision="float64")
    Z = mean.scale_features(arrays[4])
    J = np.mean([dense_jacobian(fit.module_, Z) for fit in fits], axis=0)
    expected = of_jacobian(J, np.cov(mean.scale_features(arrays[0]), rowvar=False, ddof=0))
    assert result.path == ("factorised" if readout else "general")
    assert not readout or result.differentiation == "products"
    for name in ("jne", "mean_deviation", "gain"):
        np.testing.assert_allclose(result[name], expected[name], rtol=1e-6, err_msg=name)
    np.testing.assert_allclose(result.nonlinear_share, expected["nonlinear_share"], rtol=1e-4)


def test_memory_grows_as_the_number_of_fits_and_not_as_its_square():
    network = nn.Sequential(nn.Linear(5, 300), nn.ReLU(), nn.Linear(300, 4))

    def needed(n_fits):
        with pytest.raises(ValueError, match="raise max_memory") as refusal:
            jne.nonlinearity(mean_network([network] * n_fits, 5), torch.ones(3, 5), readout=True, max_memory="1kB")
        return int(re.search(r"\((\d+) bytes\)", str(refusal.value))[1])

    assert needed(8) < 9 * needed(1)


def test_it_predicts_the_mean_prediction_and_fits_what_its_seeds_say(arrays):
    fits = fitted(arrays)
    expected = np.mean([fit.predict(arrays[4]) for fit in fits], axis=0)
    np.testing.assert_allclose(MeanEncoder.of(fits).predict(arrays[4]), expected, rtol=1e-5)
    own = MeanEncoder(prototype(), SEEDS).fit(*arrays[:4])
    np.testing.assert_array_equal(own.predict(arrays[4]), MeanEncoder.of(fits).predict(arrays[4]))
    assert own.history_ == {"fits": [fit.history_ for fit in fits]}
    assert own.with_seed(7).seeds == (7, 8, 9) and own.single().random_state == 0 and own.single(5).random_state == 5


@pytest.mark.parametrize("start", [jne.ResidualEncoder(9, max_epochs=3), jne.RidgeEncoder(alphas=(1.0, 10.0))])
def test_it_is_saved_and_loaded(arrays, start, tmp_path):
    mean = MeanEncoder.of([start.with_seed(seed).fit(*arrays[:4]) for seed in (3, 4)])
    loaded = jne.load_encoder(mean.save(tmp_path / "mean.safetensors"))
    assert loaded.describe() == mean.describe() and loaded.seeds == (3, 4) and loaded.history_ == mean.history_
    np.testing.assert_array_equal(loaded.predict(arrays[4]), mean.predict(arrays[4]))
    assert clone(loaded).get_params()["encoder"].get_params() == loaded.encoder.get_params()


def test_the_mean_of_linear_encoders_is_linear(arrays):
    result = jne.nonlinearity(MeanEncoder.of(fitted(arrays, activation=None)), arrays[4])
    assert result.path == "factorised" and float((result.jne / result.gain).max()) < 1e-5


def test_the_mean_of_networks_without_a_linear_end_is_that_of_their_outputs():
    networks = [nn.Sequential(nn.Linear(5, 7), nn.Softplus()) for _ in range(3)]
    X = torch.randn(8, 5, generator=torch.Generator().manual_seed(0))
    mean = mean_network(networks, 5)
    assert isinstance(mean, MeanOutputs)
    torch.testing.assert_close(mean(X), sum(network(X) for network in networks) / 3)
    J = np.mean([dense_jacobian(network, X) for network in networks], axis=0)
    np.testing.assert_allclose(jne.nonlinearity(mean, X).jne, of_jacobian(J, np.eye(5))["jne"], rtol=1e-4)


def test_random_numbers_of_the_caller_are_left_alone(arrays):
    fits = fitted(arrays, seeds=(0, 1))
    torch.manual_seed(0)
    expected = torch.rand(1)
    torch.manual_seed(0)
    MeanEncoder.of(fits)
    assert torch.equal(torch.rand(1), expected)


def test_fits_that_have_no_mean_are_refused(arrays):
    one, other = fitted(arrays, seeds=(0, 1))
    shifted = (arrays[0] + 1, *arrays[1:4])
    with pytest.raises(ValueError, match="encoders is empty"):
        MeanEncoder.of([])
    with pytest.raises(ValueError, match="ResidualEncoder and RidgeEncoder; their mean is that of fits to the same"):
        MeanEncoder.of([one, jne.RidgeEncoder().fit(*arrays[:4])])
    with pytest.raises(ValueError, match=r"lr=0\.02.*differ in their seed alone"):
        MeanEncoder.of([one, prototype(lr=0.02).fit(*arrays[:4])])
    with pytest.raises(ValueError, match=r"scale features or responses differently \(x_mean_\)"):
        MeanEncoder.of([one, prototype().fit(*shifted)])
    other.layer_ = "deep"
    with pytest.raises(ValueError, match="of feature layers None and 'deep'"):
        MeanEncoder.of([one, other])
    with pytest.raises(ValueError, match="seeds is empty"):
        MeanEncoder(prototype(), ()).fit(*arrays[:4])
    assert isinstance(MeanEncoder(), Encoder) and MeanEncoder().single(4).random_state == 4
