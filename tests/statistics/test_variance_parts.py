"""Explainable variance in three parts, by hand."""

import numpy as np
import pytest
import xarray as xr

from jne.statistics import area_table
from jne.statistics.variance_parts import PARTS, variance_parts


def study(**changes):
    values = {
        "roi": ["V1", "V1", "V1", "V2", "V2", "FFC"],
        "level": ["V1", "V1", "V1", "V2", "V2", "higher"],
        "significant": [True, True, False, True, True, False],
        "r2": [0.2, 0.1, 0.0, 0.3, 0.1, 0.0],
        "noise_ceiling": [0.4, 0.4, 0.2, 0.4, 0.4, 0.5],
        "validated_nonlinear": [0.05, 0.01, 9.0, 0.1, 0.1, 9.0],
        "validated_predicted": [0.2, 0.1, 0.1, 0.3, 0.1, 0.1],
    } | changes
    result = xr.Dataset({name: ("voxel", np.array(value)) for name, value in values.items()})
    result["explained"] = result["r2"] / result["noise_ceiling"]
    result["validated_share"] = result["validated_nonlinear"] / result["validated_predicted"]
    return result


def test_three_parts_by_hand():
    parts = variance_parts({"S1": study()})
    # E over all voxels, .3 / 1.0 and .4 / .8; s over the significant ones, .06 / .3 and .2 / .4.
    assert list(parts.columns) == list(PARTS)
    np.testing.assert_allclose(parts.loc["V1"], [0.3 * 0.8, 0.3 * 0.2, 0.7])
    np.testing.assert_allclose(parts.loc["V2"], [0.5 * 0.5, 0.5 * 0.5, 0.5])


def test_they_sum_to_one_also_where_an_area_has_no_share():
    roi = ["V1", "V1", "V1", "V2", "V2", "V2b"]  # of one level, and nothing significant in the last
    parts = variance_parts({"S1": study(roi=roi, level=["V1"] * 3 + ["V2"] * 3), "S2": study()})
    np.testing.assert_allclose(parts.sum(axis=1), 1)
    np.testing.assert_allclose(parts.loc["V2"], [0.25, 0.25, 0.5])
    assert "higher" not in parts.index


def test_a_voxel_whose_ceiling_is_not_known_is_in_neither_sum():
    table = area_table(study(noise_ceiling=[0.4, 0.4, np.nan, np.nan, 0.4, 0.5]), ("explained",))
    assert table.loc["V1", "explained"] == pytest.approx(0.3 / 0.8)
    assert table.loc["V2", "explained"] == pytest.approx(0.1 / 0.4)
