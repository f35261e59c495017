"""The layer for all voxels: against R² written out, and blind to test stimuli."""

import numpy as np
import pytest
from conftest import make_content

from jne import EncodingDataset, RidgeEncoder
from jne.encoders import best_single_layer, layer_scores


def planted(layer, n_stimuli=200, noise=0.5):
    """All voxels linear in one of the two layers."""
    content = make_content(n_stimuli)
    signal = content[layer].values @ np.random.default_rng(5).normal(size=(content[layer].shape[1], 8))
    noisy = signal + noise * signal.std() * np.random.default_rng(6).normal(size=signal.shape)
    return content.assign(responses=(("stimulus", "voxel"), noisy.astype("f4")))


@pytest.mark.parametrize("layer", ["early", "deep"])
def test_the_planted_layer_is_found(layer):
    content = planted(layer)
    scores = layer_scores(EncodingDataset(content))
    assert best_single_layer(EncodingDataset(content)) == layer
    # Signal of variance 1 and noise of variance 1/4 over all voxels, whose own signals differ.
    assert scores[layer] == pytest.approx(0.8, abs=0.12) and scores[{"early": "deep", "deep": "early"}[layer]] < 0.15


def test_scores_are_those_of_an_encoder_fitted_to_training_stimuli():
    data = EncodingDataset(planted("deep"))
    for layer, score in layer_scores(data).items():
        X, Y = data.features("train", layer), data.responses("train")
        ridge = RidgeEncoder().fit(X[:-1], Y[:-1], X[-1:], Y[-1:])  # which joins the two
        wrong = data.responses("validation") - ridge.predict(data.features("validation", layer))
        held = data.responses("validation")
        r2 = [1 - (e**2).sum() / ((y - y.mean()) ** 2).sum() for e, y in zip(wrong.T, held.T, strict=True)]
        assert score == pytest.approx(np.mean(r2), abs=1e-5)


def test_test_stimuli_have_no_part():
    content = planted("deep")
    before = layer_scores(EncodingDataset(content))
    content["responses"].values[-20:] = content["early"].values[-20:, :1] * 100
    content["early"].values[-20:] *= 7
    assert layer_scores(EncodingDataset(content)) == before


def test_folds_one_layer_and_few_stimuli():
    folds = planted("early").drop_vars(["split", "responses_repeats"]).assign(fold=("stimulus", np.arange(200) % 4))
    assert best_single_layer(EncodingDataset(folds)) == "early"
    alone = make_content().drop_vars("early")
    assert best_single_layer(EncodingDataset(alone)) == "deep"
    few = make_content()
    few = few.isel(stimulus=[0, 1, 2, 30, *range(40, 60)])  # three to train on, one for validation
    with pytest.raises(ValueError, match=r"no voxel varies .*\(3 and 1\).*name one"):
        best_single_layer(EncodingDataset(few))
    few = make_content().isel(stimulus=[0, 1, 2, 30, 31, *range(40, 60)])
    few["responses"].values[:3, 0] = [1, 1, 2]  # constant but for the last: it has no part
    assert best_single_layer(EncodingDataset(few)) in ("early", "deep")
