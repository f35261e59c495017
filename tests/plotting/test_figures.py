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
from jne.measures import VARIANTS
from jne.plotting.simulations import plot_measure
from jne.simulations import (
    bump,
    clustered_bump,
    draw_features,
    follow_amplitude,
    jacobian_clouds,
    kink_windows,
    survey_residual,
    survey_units,
    sweep_features,
    unit_windows,
)
from jne.statistics import agreement_table, area_table


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


@pytest.mark.parametrize("known", [True, False])
def test_variants_are_drawn_with_whatever_is_known(result, known):
    names = [*VARIANTS, "jne_scaled_l1", "jne_scaled_l2", "gain_change"]
    result = result.assign({name: result.jne * (1 + number) for number, name in enumerate(names)})
    if not known:
        result = result.drop_vars(["noise_ceiling", "true_nonlinearity"])
        result["significant"][:] = False
    figure = plotting.figure_variants(result)
    left, right = figure.axes
    assert left.get_title() == "Pearson r" and len(left.texts) == (48 if known else 0)
    assert [label.get_text() for label in right.get_xticklabels()] == ["R²", "noise ceiling", "planted share"][
        : 3 if known else 1
    ]
    assert figure.get_suptitle().startswith("Synthetic")


def test_accuracy_is_drawn_against_the_ceiling_or_without_one_against_the_linear_encoder(result):
    linear, nonlinear, difference = plotting.figure_accuracy(result).axes
    assert [line.get_ydata()[-1] for line in nonlinear.lines] == [1, 0.8]
    share = 100 * float(result.significant.mean())
    assert f"{share:.0f} % significant" in [text.get_text() for text in nonlinear.texts]
    median = float((result.r2 - result.r2_linear).median())
    assert f"median {median:+.3f}" in [text.get_text() for text in difference.get_legend().get_texts()]
    assert linear.get_ylabel() == "R², linear encoder"
    (ax,) = plotting.figure_accuracy(result.drop_vars("noise_ceiling")).axes
    assert ax.get_xlabel() == "R², linear encoder"
    np.testing.assert_allclose(ax.collections[0].get_offsets()[:, 1], result.r2)


def significant_means(result):
    """JNE of every area, from its significant voxels."""
    kept = result[["jne", "roi"]].isel(voxel=result.significant.values)
    return {area: float(voxels.jne.mean()) for area, voxels in kept.groupby("roi")}.values()


def test_a_map_becomes_areas_or_a_histogram_where_voxels_have_no_place(result):
    no_place = result.drop_vars("vertex")
    (ax,) = plotting.figure_map(no_place, "jne").axes
    labels = [label.get_text() for label in ax.get_yticklabels()]
    assert set(labels) == {plotting.area_label(area) for area in result.roi.values} and "FFC (FFA)" in labels
    drawn = ax.collections[1].get_offsets()[:, 0]
    np.testing.assert_allclose(drawn, np.sort(list(significant_means(result))))
    (ax,) = plotting.figure_map(no_place.drop_vars(["roi", "level"]), "jne").axes
    assert sum(bar.get_height() for bar in ax.patches) == result.significant.sum()


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


def test_windows_are_drawn_with_every_derivative_and_jne_beside_its_closed_form():
    units = {name: unit_windows(name, [-1, 0, 1]) for name in ("relu", "gelu")}
    figure = plotting.figure_windows(units, every=1)
    axes = np.array(figure.axes).reshape(4, 2)
    np.testing.assert_allclose(axes[2, 1].lines[1].get_ydata(), units["gelu"].curvature)
    assert len(axes[2, 0].texts) == 1 and not axes[2, 1].texts  # the arrow of the kink
    for ax, unit in zip(axes[3], units.values(), strict=True):
        np.testing.assert_allclose(ax.lines[1].get_ydata(), 1e4 * unit.closed_form)
        np.testing.assert_allclose(ax.collections[0].get_offsets()[:, 1], 1e4 * unit.jne)
    counts = kink_windows([4, 5, 6])
    left, right = plotting.figure_kink(counts, unit_windows("relu", [-5e-4, 0, 5e-4])).axes
    np.testing.assert_allclose(left.lines[1].get_ydata(), counts.jne)
    assert len(right.collections[0].get_offsets()) == 1 and right.collections[0].get_offsets()[0, 0] == 0


def test_residual_networks_are_drawn_with_their_skips_and_a_box_for_each_place():
    frame = survey_residual(["relu", "silu"], n_draws=3, n_samples=20, n_features=8)
    figure = plotting.figure_residual(frame)
    sketches, boxes = figure.axes[:3], figure.axes[3:]
    assert [len(ax.patches) for ax in sketches] == [0, 1, 2]
    assert [ax.get_title() for ax in sketches] == ["no skip", "skip: second layer", "skip: each hidden layer"]
    assert [len(ax.patches) for ax in boxes] == [8, 8, 8]
    assert {"none", "Loc1", "Loc2", "both"} == {text.get_text() for text in figure.legends[0].get_texts()}


def test_amplitudes_are_drawn_with_their_limit_and_correlations_beside_the_closed_form():
    followed = follow_amplitude([4, 8, 16], n_points=9, n_features=8)
    left, right = plotting.figure_amplitude(followed).axes
    np.testing.assert_allclose(left.lines[0].get_ydata(), followed.jne[0])
    np.testing.assert_allclose(left.lines[2].get_ydata(), followed.limit)
    np.testing.assert_allclose(right.lines[0].get_ydata(), followed.closed_form)
    np.testing.assert_allclose(right.collections[0].get_offsets()[:, 1], followed.correlation)


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


def test_many_voxels_are_drawn_as_their_density():
    rng = np.random.default_rng(0)
    x, y = rng.random(2000), rng.random(2000) * 0.5
    ax = plotting.plot_accuracy(x, y, significant=np.arange(2000) % 4 > 0)
    counts = ax.collections[1].get_array()
    # The most extreme percent on either side may fall outside.
    assert 0.97 * 1500 <= counts.sum() <= 1500 and counts.min() >= 1
    assert len(ax.collections[0].get_offsets()) == 500


def test_sorted_areas_have_intervals_over_subjects_or_over_voxels(result):
    other = result.assign(jne=result.jne + 0.2)
    figure = plotting.figure_areas({"subject 1": result, "subject 2": other}, ("jne",))
    (ax,) = figure.axes
    means = ax.collections[1].get_offsets()[:, 0]
    alone = np.sort(list(significant_means(result)))
    np.testing.assert_allclose(means, alone + 0.1)
    # Student's t with one degree of freedom: 12.7 standard errors of 0.1.
    lines = np.array(ax.collections[0].get_segments())[:, :, 0]
    np.testing.assert_allclose(np.ptp(lines, axis=1), 2 * 12.706 * 0.1, rtol=1e-3)
    (ax,) = plotting.figure_areas({"subject 1": result}, ("jne",)).axes
    lines = np.array(ax.collections[0].get_segments())[:, :, 0]
    assert np.ptp(lines, axis=1).max() < 1


def test_more_areas_than_fit_go_into_columns(result):
    n = 180
    names = [f"area {number}" for number in range(n)]
    many = xr.Dataset({"roi": ("voxel", np.repeat(names, 3).astype(object)), "jne": ("voxel", np.arange(3.0 * n))})
    figure = plotting.figure_areas({"subject 1": many}, ("jne",))
    assert [len(ax.get_yticks()) for ax in figure.axes] == [60, 60, 60]
    assert figure.axes[0].get_yticklabels()[-1].get_text() == "area 179"


def test_levels_show_every_subject_and_all_together(result):
    figure = plotting.figure_levels({"subject 1": result, "subject 2": result}, ("jne", "nonlinear_share"))
    assert [ax.get_title() for ax in figure.axes[:3]] == ["subject 1", "subject 2", "all subjects"]
    dots = [c for c in figure.axes[0].collections if type(c).__name__ == "PathCollection"]
    assert sum(len(c.get_offsets()) for c in dots) == len(set(result.roi.values))
    alone = plotting.figure_levels({"subject 1": result}, ("jne",))
    assert len(alone.axes) == 1


def test_layers_mark_the_best_of_each_area(result):
    table = pd.DataFrame({"early": [0.1, 0.5], "late": [0.4, 0.2]}, index=["V1", "FFC"])
    ax = plotting.figure_layers({"r2": table}, result).axes[0]
    np.testing.assert_allclose(ax.collections[1].get_offsets(), [[1.5, 0.5], [0.5, 1.5]])
    assert [label.get_text() for label in ax.get_yticklabels()] == ["V1", "FFC (FFA)"]


def test_agreement_compares_the_right_pairs(result):
    rng = np.random.default_rng(1)
    seeds = {0: result, 1: result.assign(jne=result.jne + 1)}
    subjects = {"a": result, "b": result.assign(jne=("voxel", rng.random(result.sizes["voxel"])))}
    table = agreement_table(subjects, seeds, ("jne",)).set_index(["pair", "over"])["rho"]
    assert table["two seeds", "voxels"].item() == pytest.approx(1)
    assert abs(table["two subjects", "voxels"].item()) < 0.3
    assert len(table["noise ceiling"]["voxels"]) == 2
    figure = plotting.figure_agreement(table.reset_index().assign(measure="jne"), result)
    assert [ax.get_title() for ax in figure.axes] == ["over areas", "over voxels"]
    seeds = {seed: one.drop_vars("vertex").assign_attrs(data_hash="x") for seed, one in seeds.items()}
    assert "voxels" in set(agreement_table({}, seeds, ("jne",))["over"])
    moved = {"a": result, "b": result.isel(voxel=slice(1, None))}
    assert set(agreement_table(moved, {0: result}, ("jne",)).query("pair == 'two subjects'")["over"]) == {"areas"}


def test_stimuli_without_pictures_are_chips_with_their_category(result):
    categories = np.array(["faces", "outdoor scenes"] * 7, object)
    chips = result.drop_vars("thumbnail").assign(category=("sample", categories))
    figure = plotting.plot_stimuli(chips, np.arange(14.0), n_stimuli=2)
    assert [ax.texts[0].get_text() for ax in figure.axes] == ["outdoor\nscenes", "faces", "faces", "outdoor\nscenes"]


def test_many_categories_are_cut_to_the_largest(result):
    rng = np.random.default_rng(2)
    table = pd.DataFrame(rng.standard_normal((3, 81)), ["V1", "V2", "FFC"], [f"object {n}" for n in range(81)])
    table["object 80"] = 9.0
    figure = plotting.figure_categories({"JNE-SS": table, "signed": table}, result)
    labels = [label.get_text() for label in figure.axes[0].get_xticklabels()]
    assert len(labels) == 24 and labels[-1] == "object 80"
    assert figure.get_supxlabel().startswith("24 of 81 categories")


def test_tables_name_measures_and_hide_nothing(monkeypatch):
    shown = []
    monkeypatch.setattr("jne.plotting.tables.display", shown.append)
    index = pd.MultiIndex.from_tuples([("subject 1", "jne"), ("all\nsubjects", "nonlinear_share")])
    numbers = {"rho": [0.5, np.nan], "p": [0.0001, 1], "p_smooth": [np.nan, 0.5], "n_areas": 32, "n_voxels": [827, 90]}
    plain = pd.DataFrame(numbers, index)
    plotting.show_trends(plain)
    html = shown[0].to_html()
    for text in (
        "subject 1, JNE",
        "all subjects, nonlinear share",
        "+0.50",
        "0.0001",
        "1.000",
        "–",
        "p (smooth maps)",
        "827",
    ):
        assert text in html
    plotting.show_trends(plain.assign(p_smooth=np.nan))
    assert "smooth" not in shown[1].to_html()


def test_shares_are_averaged_over_subjects(result):
    one = pd.DataFrame({"level": ["V1", "V2"], "nonlinear_share": [0.2, 0.4]}, ["V1", "V2"])
    other = one.assign(nonlinear_share=[0.4, np.nan])
    tables = [table.assign(validated_share=table.nonlinear_share / 2) for table in (one, other)]
    figure = plotting.figure_shares(tables, ("nonlinear_share", "validated_share"), result)
    heights = [[points.get_offsets()[0, 1] for points in ax.collections] for ax in figure.axes]
    np.testing.assert_allclose(heights, [[0.3, 0.4], [0.15, 0.2]])
    assert [ax.get_ylabel() for ax in figure.axes] == ["nonlinear share", "validated share"]


def test_voxels_below_the_cortex_are_on_no_map(result):
    """CIFTI has them: without hemisphere, with the vertex -1. Maps are those of the cortex alone."""
    below = result.isel(voxel=slice(9)).copy()
    below["hemisphere"], below["vertex"] = ("voxel", np.full(9, "", object)), ("voxel", np.full(9, -1))
    whole = xr.concat([below, result], "voxel", data_vars="minimal")
    drawn = [plotting.figure_map(part, "jne").axes[0] for part in (result, whole)]
    one, other = ([c.get_array() for c in ax.collections if c.get_array() is not None] for ax in drawn)
    assert one and all(np.array_equal(a, b, equal_nan=True) for a, b in zip(one, other, strict=True))
    result["layer"] = "voxel", np.full(result.sizes["voxel"], "deep", object)
    whole["layer"] = "voxel", np.full(whole.sizes["voxel"], "deep", object)
    plotting.figure_best_layers(whole)
    plotting.figure_surfaces(whole, ["jne"])
