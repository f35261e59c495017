"""Levels by other names than this project's: the paper's tiers, numbers, names with numbers."""

import matplotlib

matplotlib.use("Agg")

import numpy as np
import pytest
import xarray as xr
from conftest import make_content

from jne import plotting
from jne.cortex import LEVELS, early_levels, ordered_levels, tiers
from jne.datasets import EncodingDataset
from jne.statistics import area_table, effect_sizes, level_trend, variance_parts

NAMES = {
    "tiers": ["PVC", "IVC", "HVC"],
    "numbers": ["2", "9", "10"],
    "names with numbers": ["1 core", "2 belt", "3 parabelt"],
    "ours": ["V1", "V4", "higher"],
}


@pytest.fixture(params=NAMES.values(), ids=NAMES)
def result(request):
    """Two areas a level, whose share is 1, 2, ... in the order of levels; ten voxels each, of levels out of order."""
    level = np.repeat(request.param, 20)
    share = np.repeat(np.arange(6) + 1.0, 10)
    content = {"roi": np.repeat(list("abcdef"), 10), "level": level, "nonlinear_share": share, "jne": share / 2}
    content |= {"r2": np.full(60, 0.3), "significant": np.ones(60, bool), "explained": np.full(60, 0.5)}
    content |= {"validated_share": share / 10 + np.tile(np.linspace(0, 0.01, 10), 6)}
    for name in ("roi", "level"):
        content[name] = content[name].astype(object)
    order = np.random.default_rng(0).permutation(60)
    found = xr.Dataset({name: ("voxel", values[order]) for name, values in content.items()}, attrs={"synthetic": 0})
    return found, request.param


def test_every_figure_and_table_of_levels_is_filled_in_their_order(result):
    result, names = result
    assert level_trend(area_table(result, ("jne",)), "jne") == pytest.approx(0.956, abs=1e-3)  # ties of two areas
    figure = plotting.figure_levels({"a": result}, ("jne", "validated_share"))
    assert [label.get_text() for label in figure.axes[-1].get_xticklabels()] == names
    assert all(len(points.get_offsets()) for ax in figure.axes for points in ax.collections[-len(names) :])
    assert list(variance_parts({"a": result}).index) == names
    step = effect_sizes({"a": result, "b": result}, ("jne",)).loc[("jne", "later - early"), "mean"]
    early = [name for name in names if name in early_levels(names)]
    means = {name: (2 * place + 1.5) / 2 for place, name in enumerate(names)}
    later = np.mean([means[name] for name in names if name not in early])
    assert step == pytest.approx(later - np.mean([means[name] for name in early]))
    word = {"2": "level 2", "1 core": "1 core areas"}.get(names[0], names[0])
    assert plotting.level_ends({"a": result}, ("jne",))["JNE.first_level"] == word
    legend = plotting.figure_areas({"a": result}, ("jne",)).legends[0]
    assert [text.get_text() for text in legend.get_texts()] == names


def test_the_order_of_names():
    assert ordered_levels(["higher", "", "V2", "V1"]) == ["V1", "V2", "higher"]
    assert ordered_levels(["IVC", "HVC", "PVC"]) == ["PVC", "IVC", "HVC"]
    assert ordered_levels([10, 9, 1.5]) == ["1.5", "9.0", "10.0"] and ordered_levels(["IT", "IT"]) == ["IT"]
    assert list(plotting.level_colors(["HVC"])) == ["PVC", "IVC", "HVC"] and tuple(plotting.level_colors()) == LEVELS
    assert tiers(["PVC", "V4", "HVC", "x"]).tolist() == ["PVC", "IVC", "HVC", ""]
    for wrong in (["low", "high"], ["V1", "PVC"], ["A1", "B1"], ["layer 1 of 2", "layer 2 of 2"]):
        with pytest.raises(ValueError, match=r"of no known order; accepted: V1, .*PVC, IVC, HVC; numbers; names with"):
            ordered_levels(wrong)


def test_a_dataset_with_levels_of_no_order_is_refused_with_the_names_that_are():
    content = make_content()
    EncodingDataset(content.assign(level=("voxel", np.array(["PVC", "HVC"] * 4, object))))
    EncodingDataset(content.assign(level=("voxel", np.array([1, 2] * 4))))
    with pytest.raises(ValueError, match="level has the values 'down', 'up', of no known order; accepted: V1"):
        EncodingDataset(content.assign(level=("voxel", np.array(["up", "down"] * 4, object))))
