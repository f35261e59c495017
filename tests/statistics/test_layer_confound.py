"""Measures by level for choices of the layer, from numbers that are known."""

import numpy as np
import pytest
import xarray as xr

from jne.statistics import PREDICTED, depth_ratios, depth_table, depth_trends


def result(scale, **more):
    level = np.repeat(["higher", "V1", "V4"], 2)
    values = {
        "r2": scale * np.array([0.4, 0.2, 0.1, 0.1, 0.2, 0.2]),
        "noise_ceiling": np.full(6, 0.5),
        "explained": scale * np.array([0.8, 0.4, 0.2, 0.2, 0.4, 0.4]),
        "jne": np.array([4.0, 9.0, 1.0, 1.0, 2.0, 2.0]),
        "significant": np.array([1, 0, 1, 1, 1, 1], bool),
        **more,
    }
    return xr.Dataset({name: ("voxel", value) for name, value in {"level": level, **values}.items()})


def test_levels_come_in_order_with_means_over_significant_voxels():
    table = depth_table({"last": result(1.0), "best": result(2.0)})
    assert table["level"].tolist() == ["V1", "V4", "higher"] * 2
    assert table["n_voxels"].tolist() == [2, 2, 1] * 2 and table["jne"].tolist() == [1, 2, 4] * 2
    np.testing.assert_allclose(table[PREDICTED], [0.2, 0.4, 0.6, 0.4, 0.8, 1.2])  # of all voxels: sums of R²
    ratios = depth_ratios(table)
    assert ratios.loc["best", "jne"] == 4 and ratios.loc["last", PREDICTED] == pytest.approx(3)


def test_a_measure_that_one_result_lacks_is_left_out_and_shown_when_all_have_it():
    has = {"validated_share": np.full(6, 0.3)}
    assert "validated_share" not in depth_table({"last": result(1.0, **has), "best": result(1.0)})
    table = depth_table({"last": result(1.0, **has), "best": result(1.0, **has)})
    assert list(table) == ["layers", "level", "n_voxels", PREDICTED, "jne", "validated_share"]


def test_trends_are_rank_correlations_over_voxels_with_the_level():
    trends = depth_trends({"last": result(1.0)})
    assert trends.loc["last", "jne"] == pytest.approx(1) and trends.loc["last", PREDICTED] == pytest.approx(1)
