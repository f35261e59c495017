"""Levels by the names of areas, where a dataset has none."""

import numpy as np
import xarray as xr

from jne.study.levels import with_levels


def of(*areas, **more):
    return xr.Dataset({"roi": ("voxel", np.array(areas, object)), **more})


def test_levels_are_those_of_the_names_where_these_are_a_hierarchy():
    found = with_levels(of("V1", "V2", "hV4", "EBA", "elsewhere", ""))
    assert found["level"].values.tolist() == ["V1", "V2", "V4", "higher", "", ""]


def test_what_is_no_hierarchy_or_known_already_stays():
    assert "level" not in with_levels(of("EBA", "PPA", "RSC", "OPA"))
    assert "level" not in with_levels(of("V1", "V2", "V3"))
    assert "level" not in with_levels(xr.Dataset({"jne": ("voxel", [1.0])}))
    own = with_levels(of("V1", "V2", "V3", "EBA", level=("voxel", ["a", "b", "c", "d"])))
    assert own["level"].values.tolist() == ["a", "b", "c", "d"]
