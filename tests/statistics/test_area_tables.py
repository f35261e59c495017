"""Areas are made of voxels that are predicted: what an encoder does in the others is fitting noise."""

from html import unescape

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from jne import plotting
from jne.statistics import (
    agreement_table,
    area_intervals,
    area_samples,
    area_table,
    can_test,
    category_table,
    effect_sizes,
    headline,
    in_order,
    layer_table,
    level_trend,
    predicting,
    said_first,
    trend_tests,
)

AREAS = ["V1", "V2", "V3", "V4", "FFC"]
TRUTH = np.arange(1.0, 6)


@pytest.fixture
def result():
    """Ten voxels an area, of which the first five have the area's value and the others, unpredicted, a huge one."""
    roi, predicted = np.repeat(AREAS, 10), np.tile(np.arange(10) < 5, 5)
    spread = np.tile([-0.2, -0.1, 0, 0.1, 0.2, 0, 0, 0, 0, 0], 5)
    jne = np.where(predicted, np.repeat(TRUTH, 10) + spread, 100 - np.repeat(TRUTH, 10))
    scores = np.where(predicted, np.arange(8)[:, None], 50.0 * (np.arange(8)[:, None] == 0))
    content = {
        "roi": roi.astype(object),
        "level": np.where(roi == "FFC", "higher", roi).astype(object),
        "significant": predicted,
        "jne": jne,
        "nonlinear_share": jne / 200,
        "noise_ceiling": np.where(predicted, np.repeat(TRUTH, 10) / 10, 0.9),
        "r2": np.where(predicted, 0.4, -0.2),
        "r2_linear": np.where(predicted, 0.3, -0.1),
        "vertex": np.arange(50),
        "hemisphere": np.full(50, "left", object),
    }
    data = xr.Dataset({name: ("voxel", values) for name, values in content.items()})
    data["jne_ss"] = ("sample", "voxel"), scores
    data["deviation_sign"] = ("sample", "voxel"), np.ones_like(scores, dtype=np.int8)
    data["category"] = "sample", np.repeat(["faces", "food"], 4).astype(object)
    return data


def test_an_area_is_the_mean_of_its_significant_voxels_and_says_how_many_they_are(result):
    table = area_table(result, ("jne", "r2"))
    np.testing.assert_allclose(table["jne"], TRUTH)
    assert list(table["n_voxels"]) == [10] * 5 and list(table["n_significant"]) == [5] * 5
    # Accuracy is that of all voxels: over those with R² above zero the worse encoder would look the better one.
    np.testing.assert_allclose(table["r2"], 0.1)
    whole = area_table(result, ("jne",), significant=False)
    np.testing.assert_allclose(whole["jne"], 50)
    assert "n_significant" not in whole
    np.testing.assert_allclose(area_table(result.drop_vars("significant"), ("jne",))["jne"], 50)


def test_where_nothing_is_predicted_no_area_has_a_mean_and_a_page_says_so_first(result, monkeypatch):
    """A tenth of the voxels is enough, if the median of R² is not below zero; one less, or a median below, is not."""
    enough = result.assign(significant=("voxel", np.arange(50) % 10 == 0), r2=result["r2"] + 0.3)
    assert np.isfinite(area_table(enough, ("jne",))["jne"]).all() and not said_first(enough)
    few = enough.assign(significant=enough["significant"] & (np.arange(50) > 0))
    below = result.assign(r2=result["r2"] - 0.3)
    said = []
    monkeypatch.setattr("jne.plotting.style.remark", lambda text, **numbers: said.append(numbers["said_first"].text))
    for one in (few, below):
        assert area_table(one, ("jne", "nonlinear_share"))[["jne", "nonlinear_share"]].isna().all(axis=None)
        assert all(np.isnan(value) for value in headline(one)["jne"].values())
        assert plotting.say_first({"subject 1": enough, "subject 2": one})
        assert not plotting.say_first({"subject 2": one})
    assert len(said) == 4 and "subject 1" not in " ".join(said)
    assert all("subject 2" in text for text in said[::2])
    assert all("Nothing is" in text and "subject" not in text for text in said[1::2])  # one study needs no name
    assert "4 of 50" in unescape(said[0]) and "median R² -0.200" in unescape(said[2])


def test_an_area_without_a_significant_voxel_is_there_without_a_value(result):
    result["significant"][:10] = False
    table = area_table(result, ("jne",))
    assert np.isnan(table.loc["V1", "jne"]) and table.loc["V1", "n_significant"] == 0
    trend = trend_tests({"one": result}, ("jne",), n_draws=99).loc[("one", "jne")]
    assert trend["n_areas"] == 4 and trend["n_voxels"] == 20 and trend["rho"] == pytest.approx(1)
    assert list(area_samples(result)) == AREAS[1:]
    assert len(plotting.figure_areas({"one": result}, ("jne",)).axes[0].get_yticklabels()) == 4


def test_levels_intervals_and_the_headline_are_of_significant_voxels(result):
    assert level_trend(area_table(result, ("jne",)), "jne") == pytest.approx(1)
    numbers = headline(result)
    assert numbers["jne"] == pytest.approx(dict(zip(AREAS, TRUTH, strict=True)))
    assert numbers["jne_vs_level"] == pytest.approx(1) and numbers["jne_vs_ceiling"] > 0.9
    assert numbers["n_significant"] == 25 and numbers["n_voxels"] == 50
    one = area_intervals({"one": result}, "jne")
    np.testing.assert_allclose(one[["low", "high"]], TRUTH[:, None] + [-0.1, 0.1])
    both = area_intervals({"one": result, "two": result.assign(jne=result.jne + 1)}, "jne")
    np.testing.assert_allclose(both["mean"], TRUTH + 0.5)
    assert set(both["n_voxels"]) == {10}


def test_pooled_trends_count_the_voxels_of_all_subjects(result):
    table = trend_tests({"one": result, "two": result}, ("jne",), pooled="both", n_draws=99)
    assert list(table["n_voxels"]) == [25, 25, 50] and list(table["n_areas"]) == [5, 5, 5]


def test_maps_are_compared_where_both_are_significant(result):
    other = result.assign(significant=("voxel", np.arange(50) % 10 < 4))
    table = agreement_table({"one": result, "two": other}, {}, ("jne",)).set_index(["pair", "over"])["rho"]
    np.testing.assert_allclose(table["two subjects", "voxels"], 1)
    np.testing.assert_allclose(table["two subjects", "areas"], 1)
    assert (table["noise ceiling", "voxels"] > 0.9).all()


def test_stimuli_are_scored_by_significant_voxels(result):
    expected = (np.arange(8) - 3.5) / np.arange(8).std()
    np.testing.assert_allclose(area_samples(result)["FFC"], expected)
    assert category_table(result).loc["V1", "faces"] < 0
    assert can_test({"one": result}, n_least=4) == ""
    nothing = result.assign(significant=("voxel", np.zeros(50, bool)))
    assert can_test({"one": nothing}) == "no voxel is predicted better than by chance"
    assert area_samples(nothing).shape == (8, 0)


def test_figures_draw_significant_voxels_only(result):
    np.testing.assert_allclose(plotting.figure_confound(result).axes[0].collections[0].get_offsets()[:, 1].max(), 5.2)
    axes = plotting.figure_levels({"one": result, "two": result}, ("jne",)).axes
    assert all(ax.get_ylim()[1] < 6 and ax.get_ylim()[0] == 0 for ax in axes)
    low = result["jne"].values[result["significant"].values].min()
    below = plotting.figure_levels({"one": result.assign(jne=result["jne"] - low - 1)}, ("jne",)).axes[0]
    assert below.get_ylim()[0] < -1 and (below.collections[-1].get_offsets()[:, 1] > below.get_ylim()[0]).all()
    no_place = result.drop_vars(["vertex", "roi"])
    assert plotting.figure_map(no_place, "jne").axes[0].get_xlim()[1] < 6
    assert plotting.figure_map(no_place, "jne", significant=False).axes[0].get_xlim()[1] > 90


def test_a_subject_of_whom_nothing_is_predicted_is_left_out_and_named(result, monkeypatch):
    enough = result.assign(r2=result["r2"] + 0.3)
    few = enough.assign(significant=enough["significant"] & (np.arange(50) < 2))
    said = []
    monkeypatch.setattr("jne.plotting.style.remark", lambda text, **numbers: said.append(numbers["said_first"].text))
    both = {"subject 1": few, "subject 2": enough}
    assert plotting.say_first(both) and list(predicting(both)) == ["subject 2"]
    assert "subject 1" in unescape(said[0]) and "What follows is without subject 1." in unescape(said[0])
    assert list(predicting({"subject 1": few})) == ["subject 1"]
    # Means over subjects are those of the others, and say of how many.
    effects = effect_sizes(both, ("jne",))
    assert list(effects["n_subjects"]) == [1, 1]
    assert effects.loc[("jne", "later - early"), "mean"] == pytest.approx(TRUTH[-1] - TRUTH[:-1].mean())


def test_a_column_of_layers_is_the_mean_over_subjects(result):
    threefold = result.assign(jne=3 * result["jne"])
    table = layer_table({"one": {"S1": result, "S2": threefold}, "two": {"S1": threefold}}, "jne")
    np.testing.assert_allclose(table["one"], 2 * TRUTH)
    np.testing.assert_allclose(table["two"], 3 * TRUTH)
    assert list(table.index) == AREAS and list(table) == ["one", "two"]


def test_areas_that_are_not_known_come_last_in_the_order_they_have():
    names = [f"region {number}" for number in np.random.default_rng(0).permutation(200)]
    table = in_order(pd.DataFrame(index=[*names[:100], "V2", *names[100:], "V1"]))
    assert list(table.index) == ["V1", "V2", *names]
