"""The ungated generator's parts."""

import numpy as np

from jne.study.selectivity_null import _weights


def test_units_of_an_area_are_as_alike_as_its_linear_predictions():
    rng = np.random.default_rng(0)
    own = np.linalg.qr(np.column_stack([np.ones(40), rng.standard_normal((40, 5))]))[0][:, 1:] * np.sqrt(40)
    linear = 0.6 * own[:, :1] + 0.8 * own[:, 1:4]  # any two of three voxels correlate at .36
    linear = np.column_stack([linear, own[:, 4]])
    weights = np.concatenate([_weights(linear, np.array(["a", "a", "a", "b"]), rng) for _ in range(400)])
    expected = np.eye(4)
    expected[:3, :3] += 0.36 * (1 - np.eye(3))
    np.testing.assert_allclose(np.corrcoef(weights.T), expected, atol=0.03)
