"""Masked arrays at every door of the package: refused by name, never read under the mask."""

import numpy as np
import pytest
import torch
import xarray as xr

import jne
from jne import statistics

rng = np.random.default_rng(0)
X, Y = rng.normal(size=(60, 4)), rng.normal(size=(60, 2))


def masked(values):
    """The values, 1e4 beneath a mask of three of them."""
    values = np.array(values, float)
    values.flat[:3] = 1e4
    mask = np.zeros(values.shape, bool)
    mask.flat[:3] = True
    return np.ma.masked_array(values, mask)


@pytest.fixture(scope="module")
def ridge():
    return jne.RidgeEncoder().fit(X[:40], Y[:40], X[40:], Y[40:])


model = torch.nn.Linear(4, 2)
DOORS = {
    "nonlinearity": ("X", lambda _: jne.nonlinearity(model, masked(X))),
    "nonlinearity of an encoder": ("X", lambda ridge: jne.nonlinearity(ridge, masked(X))),
    "covariance": ("covariance", lambda _: jne.nonlinearity(model, X, covariance=masked(np.eye(4)))),
    "readout": (
        "the weight of readout",
        lambda _: jne.nonlinearity(model, X, readout=(torch.nn.Identity(), masked(model.weight.detach()))),
    ),
    "jacobian": ("X", lambda _: jne.jacobian(model, masked(X))),
    "fit": ("X", lambda _: jne.RidgeEncoder().fit(masked(X), Y, X, Y)),
    "fit, responses": ("Y", lambda _: jne.ResidualEncoder().fit(X, masked(Y), X, Y)),
    "fit, validation": ("Y_val", lambda _: jne.RidgeEncoder().fit(X, Y, X, masked(Y))),
    "predict": ("X", lambda ridge: ridge.predict(masked(X))),
    "score": ("Y", lambda ridge: ridge.score(X, masked(Y))),
    "crossfit": ("X_test", lambda _: jne.crossfit_nonlinearity(lambda seed: None, (X, Y, X, Y, masked(X)))),
    "r2_score": ("responses", lambda _: jne.r2_score(masked(Y), Y)),
    "correlation": ("predictions", lambda _: jne.accuracy.correlation_score(Y, masked(Y))),
    "bootstrap": ("responses", lambda _: jne.bootstrap_r2(masked(Y), Y, 10)),
    "prediction_share": ("X", lambda _: jne.prediction_share(masked(X), Y)),
    "images": (r"images\[0\]", lambda _: jne.extract_features(masked(np.zeros((2, 8, 8, 3))).astype("u1"))),
}


@pytest.mark.parametrize("door", DOORS)
def test_a_masked_array_is_refused_by_name(door, ridge):
    name, call = DOORS[door]
    with pytest.raises(ValueError, match=f"^{name} is a masked array"):
        call(ridge)


def test_masked_repeats_are_repeats_that_do_not_exist():
    repeats = rng.normal(size=(20, 3, 2)) + rng.normal(size=(20, 1, 2))
    hidden = np.array(masked(repeats).filled(np.nan))
    np.testing.assert_array_equal(jne.noise_ceiling(masked(repeats)), jne.noise_ceiling(hidden))


def test_masked_p_values_and_areas_are_left_out():
    p_values = np.ma.masked_array([0.0, 0.001], [True, False])
    np.testing.assert_array_equal(jne.significant_voxels(p_values), [False, True])
    a = np.ma.masked_array([9.0, 1, 2, 3], [True, False, False, False])
    assert statistics.spearman(a, [1.0, 2, 3, 4]) == 1


def content(responses):
    return xr.Dataset(
        {
            "deep": (("stimulus", "feature_deep"), X),
            "responses": (("stimulus", "voxel"), responses),
            "split": ("stimulus", ["train"] * 40 + ["validation"] * 10 + ["test"] * 10),
            "stimulus_id": ("stimulus", [f"image{i}" for i in range(60)]),
        }
    )


@pytest.mark.parametrize(
    ("responses", "message"),
    [
        (masked(Y), "responses holds 3 non-finite"),
        (Y + 1j, "responses has dtype complex128"),
        (Y * 1e39, "responses holds 60 values beyond"),
    ],
    ids=["masked", "complex", "beyond float32"],
)
def test_a_dataset_does_not_read_what_are_no_float32_numbers(responses, message):
    data = jne.EncodingDataset(content(responses))
    with pytest.raises(ValueError, match=message):
        jne.RidgeEncoder().fit(data)
