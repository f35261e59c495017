"""Measures of one unit have one scale, and captions say what the numbers say."""

import matplotlib

matplotlib.use("Agg")

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from jne import plotting
from jne.plotting import area_ends, change, level_ends, spreads, tier_means, trend_words

MEASURES = ("jne", "nonlinear_share", "validated_share", "true_nonlinearity")


@pytest.fixture
def result():
    """Two areas of three voxels, of which the last is not significant: JNE 1, 2, (9) and 3, 5, (9)."""
    content = {
        "roi": np.repeat(["V1", "MT"], 3).astype(object),
        "level": np.repeat(["V1", "higher"], 3).astype(object),
        "significant": np.tile([True, True, False], 2),
        "jne": np.array([1.0, 2, 9, 3, 5, 9]),
        "nonlinear_share": np.array([0.4, 0.4, 1, 0.4, 0.42, 0]),
        "validated_share": np.array([0.3, 0.3, 1, 0.1, 0.1, 1]),
        "true_nonlinearity": np.array([0.1, 0.2, 0.9, 0.3, 0.3, 0.9]),
    }
    return xr.Dataset({name: ("voxel", values) for name, values in content.items()}, attrs={"synthetic": 1})


def test_spreads_are_of_significant_voxels_and_of_the_truth_of_all(result):
    found = spreads(result, ("jne", "true_nonlinearity", "noise_ceiling"))
    assert found.text == (
        "JNE from 1.50 in V1 to 4.00 in MT, 2.50 in the median voxel; "
        "planted share from 0.40 in V1 to 0.50 in MT, 0.30 in the median voxel"
    )
    assert found["JNE.low"] == 1.5 and found["JNE.high_area"] == "MT"
    alone = spreads(result.drop_vars(["roi", "level"]), ("jne",))
    assert alone.text == "JNE with a median of 2.50 and its middle half from 1.75 to 3.50"
    nothing = result.assign(significant=("voxel", np.zeros(6, bool)))
    assert "0 voxels" in spreads(nothing, ("jne",)).text


def test_words_follow_the_numbers(result):
    two = {"one": result, "two": result.assign(jne=result.jne * 2)}
    assert area_ends(two, ("jne",)).text == "JNE from 2.25 in V1 to 6.00 in MT"
    assert tier_means(two).text == "2.25 in PVC, 6.00 in HVC"
    assert level_ends(two, ("jne", "nonlinear_share", "validated_share")).text == (
        "JNE rises from 2.25 in V1 to 6.00 in higher areas; nonlinear share hardly changes from 0.40 in V1 to 0.41 in "
        "higher areas; validated share falls from 0.30 in V1 to 0.10 in higher areas"
    )
    assert [change(*pair) for pair in ((0, 0), (-1, 1), (1, 1.09), (1, 0.8))] == [
        "hardly changes", "rises", "hardly changes", "falls",
    ]  # fmt: skip


def test_a_trend_is_one_where_smooth_maps_have_none_like_it(result):
    rows = {
        "rho": [0.7, -0.6, 0.8, np.nan],
        "p": [0.01, 0.0001, 0.01, np.nan],
        "p_smooth": [0.2, 0.0001, np.nan, np.nan],
    }
    names = ["jne", "nonlinear_share", "validated_share", "noise_ceiling"]
    table = pd.DataFrame(rows, index=names)
    assert trend_words(table).text == (
        "JNE has no trend beyond chance (ρ = +0.70, p = 0.2); nonlinear share falls (ρ = -0.60, p = 0.0001); "
        "validated share rises (ρ = +0.80, p = 0.01)"
    )
    table.index = pd.MultiIndex.from_product([["all"], names], names=["name", "measure"])
    figure = plotting.figure_scenario_trends(table, result)
    (ax,) = figure.axes
    faces = [tuple(dots.get_facecolor()[0][:3]) for dots in ax.collections]
    assert [face == (1, 1, 1) for face in faces] == [True, False, False, True]
    np.testing.assert_allclose([dots.get_offsets()[0][0] for dots in ax.collections[:3]], [0.7, -0.6, 0.8])


def test_measures_of_one_unit_have_one_scale(result):
    place = {"shape": (3, 2, 1), "affine": np.diag([2.0, 2, 2, 1]).ravel()}
    volume = result.assign(ijk=(("voxel", "axis"), np.argwhere(np.ones((3, 2, 1))), place))
    figure = plotting.figure_measures(volume, MEASURES)
    bars = [ax for ax in figure.axes if ax.get_label() == "<colorbar>"]
    scales = [bar.get_ylim() for bar in bars]
    shares = [0.4, 0.4, 0.4, 0.42, 0.3, 0.3, 0.1, 0.1, 0.1, 0.2, 0.9, 0.3, 0.3, 0.9]
    np.testing.assert_allclose(scales[0], np.quantile([1, 2, 3, 5], [0.01, 0.99]))
    np.testing.assert_allclose(scales[1:], [np.quantile(shares, [0.01, 0.99])] * 3)
    assert figure.get_suptitle().startswith("Synthetic responses: ")


def test_without_places_areas_are_drawn_and_without_areas_counts(result):
    by_area = plotting.figure_measures(result, (*MEASURES, "noise_ceiling"))
    assert [len(ax.get_yticklabels()) for ax in by_area.axes] == [2] * 4
    counted = plotting.figure_measures(result.drop_vars("roi"), MEASURES[:3])
    assert [ax.get_ylabel() for ax in counted.axes[:3]] == ["voxels"] * 3 and not counted.axes[3].axison
    with pytest.raises(ValueError, match="none of noise_ceiling; give measures that it has"):
        plotting.figure_measures(result, ("noise_ceiling",))


def test_scales_of_the_inputs_are_drawn_place_by_place():
    index = pd.MultiIndex.from_product([["relu", "gelu"], ["Loc1", "both"]], names=["activation", "place"])
    columns = pd.MultiIndex.from_product([["uniform", "normal"], [1, 10, 100]], names=["distribution", "scale"])
    means = pd.DataFrame(np.arange(24.0).reshape(4, 6), index=index, columns=columns)
    figure = plotting.figure_scales(means)
    assert [ax.get_title() for ax in figure.axes] == ["ReLU", "GELU"]
    np.testing.assert_array_equal([line.get_ydata() for line in figure.axes[1].lines][2], means.iloc[2, 3:])
