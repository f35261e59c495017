"""The map of best layers, and measures by level and choice of layer."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from matplotlib import colormaps
from matplotlib import pyplot as plt

from jne.cortex import load_cortex
from jne.datasets import thinned_vertices
from jne.plotting import figure_best_layers, figure_depth

NAMES = ["layer1", "layer2", "layer3"]


def result():
    cortex, kept = load_cortex(), thinned_vertices(64)
    layer = np.where(cortex.roi[kept] == "V1", "layer1", "layer3").astype(object)
    places = {"vertex": cortex.vertex[kept], "hemisphere": cortex.hemisphere[kept], "roi": cortex.roi[kept]}
    variables = {name: ("voxel", values) for name, values in places.items()}
    return xr.Dataset({**variables, "layer": ("voxel", layer, {"layers": NAMES})}, attrs={"synthetic": 1})


def test_the_map_has_the_colours_of_layers_that_were_chosen_and_no_blend_of_them():
    figure = figure_best_layers(result())
    shown = colormaps["viridis"].resampled(3)(np.array([0, 1, 2]))
    maps = [c for c in figure.axes[0].collections if c.norm.vmax == 2.5 and c.get_array() is not None]
    drawn = np.unique(np.concatenate([c.to_rgba(c.get_array()) for c in maps]), axis=0)
    assert {tuple(colour) for colour in drawn} == {tuple(shown[0]), tuple(shown[2])}
    bar = next(ax for ax in figure.axes[0].child_axes)
    assert [label.get_text() for label in bar.get_yticklabels()] == NAMES
    assert figure.get_suptitle().startswith("Synthetic")
    plt.close(figure)


def test_without_places_it_is_shares_of_the_areas():
    figure = figure_best_layers(result().drop_vars("vertex"))
    widths = {bar.get_label(): [patch.get_width() for patch in bar] for bar in figure.axes[0].containers}
    areas = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert widths["layer1"] == [float(area == "V1") for area in areas] and not any(widths["layer2"])
    plt.close(figure)


def test_a_result_of_one_layer_is_refused():
    with pytest.raises(ValueError, match=r"no layer \(voxel\).*layer='best'"):
        figure_best_layers(result().drop_vars("layer"))


def test_lines_by_choice_with_what_the_last_level_has_of_the_first():
    rows = {
        "layers": ["last"] * 2 + ["best"] * 2,
        "level": ["V1", "V4"] * 2,
        "n_voxels": 3,
        "jne": [1.0, 1.5, 2.0, 2.0],
    }
    figure = figure_depth(pd.DataFrame(rows), xr.Dataset(attrs={"synthetic": 1}))
    assert [line.get_ydata().tolist() for line in figure.axes[0].lines] == [[1.0, 1.5], [2.0, 2.0]]
    assert [text.get_text() for text in figure.axes[0].texts] == ["× 1.50", "× 1.00"]
    assert figure.axes[0].get_ylim()[0] == 0
    plt.close(figure)
