"""The paper's areas in names of other atlases, and what is averaged and correlated over them."""

import numpy as np
import pytest
import xarray as xr

from jne.statistics import (
    WHOLE,
    area_members,
    by_paper_area,
    encoder_correlations,
    extreme_areas,
    members_of,
    paper_area_table,
)

SIZES = {"V1": 30, "V4": 9, "MT": 20, "FST": 10, "LO1": 12, "": 7}


@pytest.fixture
def result():
    rng = np.random.default_rng(0)
    roi = np.repeat(list(SIZES), list(SIZES.values())).astype(object)
    linear = rng.random(len(roi))
    content = {"roi": roi, "r2_linear": linear, "r2": linear + 0.2 * rng.random(len(roi)), "jne": rng.random(len(roi))}
    content["significant"] = rng.random(len(roi)) < 0.7
    return xr.Dataset({name: ("voxel", values) for name, values in content.items()})


def test_stand_ins_are_named_and_areas_that_the_paper_lacks_are_not_there(result):
    assert area_members({"one": result}) == {"V1": ("V1",), "V4": ("V4",), "EBA": ("MT", "FST")}
    assert members_of(result, ("MT", "FST")).sum() == 30
    assert set(by_paper_area(result).roi.values) == {"V1", "V4", "EBA", ""}


def test_without_the_papers_areas_the_files_own_largest_are_taken(result):
    names = {f"area {number}": number + 1 for number in range(14)}
    own = xr.Dataset({"roi": ("voxel", np.repeat(list(names), list(names.values())).astype(object))})
    found = area_members({"one": own})
    assert list(found.values()) == [(name,) for name in found] and set(found) == set(list(names)[3:])
    assert area_members({"one": result.drop_vars("roi")}) == {}


def test_means_are_over_significant_voxels_and_those_of_r2_over_all(result):
    jne = paper_area_table({"one": result, "two": result}).loc[:, "two"]
    eba = np.isin(result.roi.values.astype(str), ["MT", "FST"])
    assert list(jne.index) == [WHOLE, "V1", "V4", "EBA"]
    assert jne["EBA"] == pytest.approx(result.jne.values[eba & result.significant.values].mean())
    assert jne[WHOLE] == pytest.approx(result.jne.values[result.significant.values].mean())
    assert paper_area_table({"one": result}, "r2").loc["EBA", "one"] == pytest.approx(result.r2.values[eba].mean())


def test_correlations_are_pearsons_and_not_taken_over_few_voxels(result):
    found = encoder_correlations(result)
    v1 = result.roi.values == "V1"
    assert list(found) == [WHOLE, "V1", "EBA"]
    assert found["V1"] == pytest.approx(np.corrcoef(result.r2.values[v1], result.r2_linear.values[v1])[0, 1])
    assert np.isnan(encoder_correlations(result.assign(r2=result.r2 * 0))[WHOLE])


def test_the_extremes_are_areas_and_all_voxels_only_where_there_are_none(result):
    values = {WHOLE: -1.0, "V1": 0.2, "V2": np.nan, "EBA": 0.1}
    assert extreme_areas(values) == {"low": "EBA", "high": "V1"}
    assert extreme_areas({WHOLE: 0.3, "V1": np.nan}) == {"low": WHOLE, "high": WHOLE}
    # Where nothing is predicted no area has a mean.
    silent = result.assign(significant=("voxel", np.zeros(result.sizes["voxel"], bool)))
    assert extreme_areas(paper_area_table({"one": silent}).mean(axis=1)) == {"low": WHOLE, "high": WHOLE}
