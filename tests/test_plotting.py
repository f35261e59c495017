"""Figures draw what the data has, and say what it is; how they look is judged by eye."""

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import xarray as xr

from jne import plotting
from jne.cortex import LEVELS, load_cortex
from jne.experiments import clustered_bump, jacobian_clouds, survey_units, sweep_features
from jne.experiments.inputs import bump, draw_features
from jne.plotting.simulations import plot_measure
from jne.summaries import area_table


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


@pytest.fixture
def result():
    cortex = load_cortex()
    chosen = np.arange(0, len(cortex), 40)
    rng = np.random.default_rng(0)
    names = ("r2", "r2_linear", "noise_ceiling", "jne", "nonlinear_share", "true_nonlinearity")
    content = {name: ("voxel", rng.random(len(chosen))) for name in names}
    for name in ("roi", "hemisphere", "level", "vertex"):
        values = getattr(cortex, name)[chosen]
        content[name] = "voxel", values.astype(object) if values.dtype.kind == "U" else values
    content["significant"] = "voxel", rng.random(len(chosen)) > 0.3
    content["thumbnail"] = ("sample", "y", "x", "rgb"), rng.integers(0, 255, (14, 8, 8, 3), np.uint8)
    content["jne_ss"] = ("sample", "voxel"), rng.random((14, len(chosen)))
    return xr.Dataset(content, attrs={"synthetic": 1, "data": "test", "layer": "deep", "seed": 0})


def texts(figure):
    return [text.get_text() for text in figure.findobj(matplotlib.text.Text) if text.get_text()]


@pytest.mark.parametrize("synthetic", [0, 1])
def test_synthetic_is_called_synthetic_in_every_title(result, synthetic):
    result.attrs["synthetic"] = synthetic
    figures = [
        plotting.figure_accuracy(result),
        plotting.figure_map(result, "jne"),
        plotting.figure_confound(result),
        plotting.figure_hierarchy({"one": result}),
    ]
    assert [figure.get_suptitle().startswith("Synthetic") for figure in figures] == [bool(synthetic)] * 4


def test_accuracy_is_drawn_against_the_ceiling_or_without_one_against_the_linear_encoder(result):
    assert len(plotting.figure_accuracy(result).axes) == 2
    (ax,) = plotting.figure_accuracy(result.drop_vars("noise_ceiling")).axes
    assert ax.get_xlabel() == "R², linear encoder"
    np.testing.assert_allclose(ax.collections[0].get_offsets()[:, 1], result.r2)


def test_a_map_becomes_areas_or_a_histogram_where_voxels_have_no_place(result):
    no_place = result.drop_vars("vertex")
    (ax,) = plotting.figure_map(no_place, "jne").axes
    labels = [label.get_text() for label in ax.get_yticklabels()]
    assert set(labels) == {plotting.area_label(area) for area in result.roi.values} and "FFC (FFA)" in labels
    drawn = ax.collections[1].get_offsets()[:, 0]
    np.testing.assert_allclose(drawn, np.sort([v.jne.mean() for _, v in result[["jne", "roi"]].groupby("roi")]))
    (ax,) = plotting.figure_map(no_place.drop_vars(["roi", "level"]), "jne").axes
    assert sum(bar.get_height() for bar in ax.patches) == result.sizes["voxel"]


def test_voxels_without_an_area_are_no_area_and_areas_without_a_level_are_grey(result):
    whole = len(area_table(result))
    roi, level = result["roi"].values, result["level"].values
    outside, unknown = roi == "V1", roi == "V2"
    roi[outside], level[outside | unknown] = "", ""
    assert len(area_table(result)) == whole - 1
    (ax,) = plotting.figure_map(result.drop_vars("vertex"), "jne").axes
    colors = dict(
        zip([label.get_text() for label in ax.get_yticklabels()], ax.collections[-1].get_facecolor(), strict=True)
    )
    assert "" not in colors and np.ptp(colors["V2"][:3]) == 0 and np.ptp(colors["V3"][:3]) > 0


def test_the_hierarchy_has_a_panel_per_measure_and_all_points_in_view(result):
    figure = plotting.figure_hierarchy({"a": result, "b": result})
    assert len(figure.axes) == 8
    assert [label.get_text() for label in figure.axes[-1].get_xticklabels()] == list(LEVELS)
    for ax in figure.axes:
        tops = [points.get_offsets()[:, 1].max() for points in ax.collections]
        assert max(tops) < ax.get_ylim()[1] and ax.get_ylim()[0] == 0


def test_stimuli_are_sorted_by_score(result):
    scores = np.random.default_rng(1).permutation(14).astype(float)
    figure = plotting.plot_stimuli(result, scores, n_stimuli=3)
    assert [ax.get_title() for ax in figure.axes] == ["+13.0", "+12.0", "+11.0", "+0.0", "+1.0", "+2.0"]
    np.testing.assert_array_equal(figure.axes[0].images[0].get_array(), result.thumbnail.values[scores.argmax()])


def test_category_figures_show_the_table():
    table = pd.DataFrame([[1.0, -2.0], [0.5, 0.25]], index=["V1", "FFC"], columns=["faces", "food"])
    ax = plotting.plot_category_heatmap(table, label="z")
    assert ax.collections[0].get_clim() == (-2, 2)
    _, profile = plt.subplots()
    plotting.plot_category_profile(table, "FFC", label="z", ax=profile)
    np.testing.assert_allclose(sorted(profile.collections[-1].get_offsets()[:, 0]), [0.25, 0.5])
    assert profile.get_title() == "FFC (FFA)"


def test_measures_are_medians_over_seeds():
    frame = pd.DataFrame({"network": ["a"] * 5 + ["b"] * 5, "jne": [1, 2, 3, 4, 100, 0, 0, 0, 0, 0]})
    ax = plot_measure(frame, "network", "jne", label="JNE")
    np.testing.assert_allclose(ax.collections[1].get_offsets()[:, 0], [3, 0])
    _, other = plt.subplots()
    plot_measure(frame, "network", "jne", label="JNE", expected={"b": 0.5}, ax=other)
    np.testing.assert_allclose(other.collections[-1].get_offsets(), [[0.5, 0]])


def test_order_shows_ranks_within_each_activation():
    frame = pd.DataFrame(
        {
            "layers": ["none", *"1212"],
            "activation": ["identity", "relu", "relu", "tanh", "tanh"],
            "jne": [0, 3, 1, 5, 9],
        }
    )
    figure = plotting.figure_order({"as drawn": (frame, "jne")})
    np.testing.assert_array_equal(figure.axes[0].images[0].get_array(), [[2, 1], [1, 2]])


def test_fitted_networks_are_drawn_as_truth_against_estimate():
    content = {"noise_ceiling": 0.5, "network": ["relu"] * 3 + ["sin"] * 3, "jne": [1, 2, 6, 4, 4, 5]}
    frame = pd.DataFrame(content | {"jne_true": [1, 2, 3, 7, 8, 9]}).assign(seed=0)
    figure = plotting.figure_fitted(frame, named=["relu"], measures=["jne"])
    points = [c.get_offsets() for c in figure.axes[0].findobj(matplotlib.collections.PathCollection)]
    np.testing.assert_allclose(np.concatenate(points), [[8, 4], [2, 2]])
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["ReLU"]


def test_clouds_are_drawn_with_all_points_and_their_values():
    clouds = jacobian_clouds(["relu", "identity"], n_samples=30)
    figure = plotting.figure_activations(clouds, n_columns=2)
    points = figure.axes[4].collections[0].get_offsets()
    np.testing.assert_allclose(points, clouds["relu"]["jacobian"])
    assert any(text.startswith("JNE 0.00\nshare 0.00") for text in texts(figure))


def test_units_and_features_are_drawn_beside_their_closed_forms():
    figure = plotting.figure_units(survey_units([0, 1], [0.3, 0.6], n_seeds=2, n_samples=100))
    assert [len(ax.lines) for ax in figure.axes] == [4, 4]
    sweeps = sweep_features(n_samples=100)
    jne, share = plotting.figure_sweeps(sweeps).axes[0].lines
    np.testing.assert_allclose(jne.get_ydata() * jne.get_xdata(), 1)
    np.testing.assert_allclose(share.get_ydata(), 1)
    figure = plotting.figure_clusters(clustered_bump([0.1, 0.5], n_samples=300), bump, draw_features(0.1, 30, 0))
    assert [ax.get_title() for ax in figure.axes][1:] == ["clustered feature", "Gaussian feature"]


def test_captions_name_the_data_and_remarks_name_what_is_missing(result, monkeypatch):
    shown = []
    monkeypatch.setattr("jne.plotting.style.display", lambda what, **options: shown.append(what))
    plotting.show(plt.figure(), "See this.", result)
    assert shown[1].data.startswith("*See this.*")
    assert (
        f"responses: synthetic, 14 stimuli (held-out test stimuli), {result.sizes['voxel']} voxels; data: test; "
        in shown[1].data
    )
    assert not plt.get_fignums()
    plotting.cannot_show(result, "jne")
    assert len(shown) == 2
    plotting.cannot_show(result, "jne", "category")
    assert "categories of stimuli" in shown[2].data


def test_a_figure_is_the_same_for_the_same_data(result):
    images = []
    for _ in range(2):
        figure = plotting.figure_confound(result)
        figure.canvas.draw()
        images.append(np.asarray(figure.canvas.buffer_rgba()).copy())
    np.testing.assert_array_equal(*images)
