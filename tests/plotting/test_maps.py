"""The flat map draws what it was given, where it belongs."""

import io

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import pytest
import xarray as xr
from matplotlib.collections import LineCollection

from jne.cortex import load_cortex, mesh_areas
from jne.datasets import planted_profile, thinned_vertices
from jne.plotting import figure_strip, plot_flatmap
from jne.plotting.maps import _names


@pytest.fixture(scope="module")
def whole():
    return load_cortex()


def texts(ax):
    return {text.get_text() for text in ax.texts}


def png(ax, dpi=150):
    file = io.BytesIO()
    ax.figure.savefig(file, format="png", dpi=dpi)
    return file.getvalue()


def coloured(ax, limits):
    """Values of the coloured triangles."""
    layers = [c for c in ax.collections if c.norm.vmin == limits[0] and c.norm.vmax == limits[1]]
    return np.concatenate([layer.get_array() for layer in layers]) if layers else np.array([])


def test_map_of_the_whole_visual_cortex_is_light_and_repeatable(whole):
    values = planted_profile("alpha", "rising", 1, 0)
    files = []
    for _ in range(2):
        ax = plot_flatmap(values, whole.vertex, whole.hemisphere, label="share", title="Synthetic responses")
        files.append(png(ax))
    assert files[0] == files[1]
    assert len(files[0]) < 300_000
    assert {"left hemisphere", "right hemisphere", "V1", "V2", "V4", "FFC", "PH"} <= texts(ax)
    assert ax.get_title() == "Synthetic responses"
    assert not any("nearest" in text for text in texts(ax))


def test_names_do_not_run_into_each_other_and_stay_on_the_figure(whole):
    ax = plot_flatmap(whole.vertex, whole.vertex, whole.hemisphere, title="a title")
    png(ax, dpi=100)
    boxes = [text.get_window_extent() for text in ax.texts]
    canvas = ax.figure.bbox
    for i, box in enumerate(boxes):
        assert canvas.x0 <= box.x0 and box.x1 <= canvas.x1 and canvas.y0 <= box.y0 and box.y1 <= canvas.y1
        assert not any(box.overlaps(other) for other in boxes[i + 1 :])


def test_a_name_stands_deep_within_its_area_first():
    """In the middle of each half of a sheet of 7 x 12 vertices, away from its rim and from the other half."""
    corners = np.argwhere(np.ones((7, 12))).astype(float)
    place = np.arange(84).reshape(7, 12)
    cells = [place[:-1, :-1], place[1:, :-1], place[:-1, 1:], place[1:, 1:]]
    triangles = np.concatenate([np.stack(cells[i : i + 3], axis=-1).reshape(-1, 3) for i in range(2)])
    areas = np.where(corners[:, 1] < 6, "V1", "V2")
    found = {name: (size, list(places[0])) for size, name, places in _names(corners, triangles, areas)}
    assert found == {"V1": (42, [3, 3]), "V2": (42, [3, 8])}


def test_values_of_an_area_do_not_leak_over_its_border(whole):
    values = (whole.roi == "V1").astype(float)
    ax = plot_flatmap(values, whole.vertex, whole.hemisphere)
    assert set(coloured(ax, (0, 1))) == {0.0, 1.0}


def test_axes_in_axes_out(whole):
    ax = plt.subplots()[1]
    here = whole.hemisphere == "right"
    assert plot_flatmap(whole.vertex[here], whole.vertex[here], whole.hemisphere[here], ax=ax, label="a label") is ax
    assert "left hemisphere" not in texts(ax)
    assert ax.figure.axes == [ax]
    assert [bar.get_ylabel() for bar in ax.child_axes] == ["a label"]


def test_thinned_vertices_are_filled_and_the_figure_says_so(whole):
    kept = thinned_vertices(8)
    values = planted_profile("alpha", "rising", 1, 0)
    full = plot_flatmap(values, whole.vertex, whole.hemisphere, vmin=0, vmax=1)
    thin = plot_flatmap(values[kept], whole.vertex[kept], whole.hemisphere[kept], vmin=0, vmax=1)
    assert len(coloured(thin, (0, 1))) == len(coloured(full, (0, 1)))
    assert any(f"{len(kept):,} of 9,415 vertices" in text for text in texts(thin))
    bare = plot_flatmap(values[kept], whole.vertex[kept], whole.hemisphere[kept], vmin=0, vmax=1, fill=False)
    assert 0 < len(coloured(bare, (0, 1))) < 0.9 * len(coloured(full, (0, 1)))
    assert not any("nearest" in text for text in texts(bare))


def test_vertices_that_are_not_significant_are_grey_and_named(whole):
    significant = whole.roi == "V1"
    values = np.where(significant, 1.0, 50.0) + 0.001 * whole.vertex
    ax = plot_flatmap(values, whole.vertex, whole.hemisphere, significant=significant)
    limits = values[significant].min(), values[significant].max()
    assert coloured(ax, limits).max() <= limits[1]
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["not significant"]
    assert plot_flatmap(values, whole.vertex, whole.hemisphere).get_legend() is None


def test_nothing_significant_draws_a_grey_map(whole):
    nothing = np.zeros(len(whole), bool)
    ax = plot_flatmap(whole.vertex, whole.vertex, whole.hemisphere, significant=nothing)
    assert ax.get_legend() is not None
    assert png(ax)


def test_nan_is_like_no_data(whole):
    values = np.where(whole.roi == "V1", 1.0, np.nan)
    ax = plot_flatmap(values, whole.vertex, whole.hemisphere, vmin=0, vmax=2)
    assert {"V1", "left hemisphere", "right hemisphere"} == texts(ax)


def test_outlines_can_be_left_out(whole):
    ax = plot_flatmap(whole.vertex, whole.vertex, whole.hemisphere, outlines=False)
    assert texts(ax) == {"left hemisphere", "right hemisphere"}
    assert not any(isinstance(collection, LineCollection) for collection in ax.collections)


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        (([1.0], [1], ["left"]), {"mesh": "fsaverage"}, "mesh='fsaverage'.*fsLR-32k"),
        (([1.0, 2.0], [1], ["left"]), {}, r"values \(2,\), vertex \(1,\)"),
        (([np.nan], [1], ["left"]), {}, "finite"),
        (([1.0], [40000], ["left"]), {}, "0 to 32491"),
        (([1.0], [1], ["lh"]), {}, "lh"),
    ],
)
def test_errors_say_what_was_given(arguments, options, message):
    with pytest.raises(ValueError, match=message):
        plot_flatmap(*arguments, **options)


def strip_result(**more):
    """A result of some vertices of V1 and MT in the left hemisphere, with areas."""
    label = mesh_areas("left")
    vertex = np.concatenate([np.flatnonzero(label == area)[:40] for area in ("V1", "MT")])
    rng = np.random.default_rng(0)
    content = {"roi": np.repeat(["V1", "MT"], 40).astype(object), "hemisphere": np.full(80, "left", object)}
    content |= {name: rng.uniform(0.1, 0.9, 80) for name in ("jne", "nonlinear_share", "noise_ceiling")}
    content |= {"vertex": vertex, "significant": rng.uniform(size=80) < 0.8, "r2": rng.uniform(size=80)} | more
    return xr.Dataset({name: ("voxel", values) for name, values in content.items()}, attrs={"synthetic": 1})


def test_a_strip_has_a_map_for_each_measure_that_is_there_with_its_own_range():
    result = strip_result()
    figure = figure_strip(result)
    bars = [ax for ax in figure.axes if ax.get_label() == "<colorbar>"]
    titles = [ax.get_title() for ax in figure.axes if ax not in bars]
    assert titles == ["JNE", "nonlinear share", "noise ceiling"]
    ends = [[label.get_text() for label in bar.get_xticklabels()][::2] for bar in bars]
    kept = result["jne"].values[result["significant"].values]
    assert ends[0] == [f"{value:.2f}" for value in np.quantile(kept, (0.02, 0.98))]
    # The ceiling is no encoder's, so it is drawn where nothing is significant, too.
    whole = result["noise_ceiling"].values
    assert ends[2] == [f"{value:.2f}" for value in np.quantile(whole, (0.02, 0.98))]
    assert figure.get_suptitle().startswith("Synthetic responses: ")
    by_area = figure_strip(result.drop_vars(["vertex", "hemisphere"]))
    assert [len(ax.get_yticklabels()) for ax in by_area.axes] == [2, 2, 2]
    plain = figure_strip(result.drop_vars(["vertex", "hemisphere", "roi"]))
    assert [ax.get_xlabel() for ax in plain.axes] == ["JNE", "nonlinear share", "noise ceiling"]
    with pytest.raises(ValueError, match="none of true_nonlinearity, jne"):
        figure_strip(result[["roi"]])
