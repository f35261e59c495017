"""What a study's responses confirm: voxels without an area count in the whole, folds are said."""

import numpy as np
import pytest

import jne
from jne.study.validation import confirmed


def test_significant_voxels_without_an_area_count_in_the_whole():
    data = jne.load_dataset("synthetic", thin=64, n_train=200, n_validation=50, n_test=50, cache=False)
    data.content["roi"] = (
        "voxel",
        np.where(np.arange(data.n_voxels) % 3, data.get("roi").astype(str), "").astype(object),
    )
    encoder = jne.ResidualEncoder(16, max_epochs=3, random_state=0).fit(data)
    predictions = encoder.predict(data.features("test"))
    significant = np.arange(data.n_voxels) % 2 == 0
    slopes = jne.nonlinearity(encoder, data.features("test"), mean_jacobian=True).mean_jacobian.values
    found = confirmed(data, encoder, predictions, slopes, significant, 0.05)
    for whole, part in (
        ("validated_products", "validated_nonlinear"),
        ("validated_predicted_sum", "validated_predicted"),
    ):
        over_voxels = float(found[part].values[significant].sum())
        assert float(found[whole].mean()) == pytest.approx(over_voxels, rel=1e-6, abs=1e-9)
    assert not set(found["area"].values) & {"", "(no area)"} and found.attrs["validated_dependence"] == 1
