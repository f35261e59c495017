"""The paper's figures of encoders, areas and tiers draw the numbers that they are made of."""

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pytest
import xarray as xr
from matplotlib.colors import Normalize
from matplotlib.patches import StepPatch

from jne import plotting
from jne.cortex import HEMISPHERES, load_cortex, pixel_vertices, tiers
from jne.plotting.tiers import p_text
from jne.statistics import WHOLE, area_table, encoder_correlations, paper_area_table, subject_interval


def make(seed):
    cortex = load_cortex()
    chosen = np.arange(0, len(cortex), 30)
    rng = np.random.default_rng(seed)
    linear = rng.random(len(chosen))
    content = {"r2_linear": linear, "r2": linear + 0.2 * rng.standard_normal(len(chosen))}
    content["jne"] = 1 + (cortex.level[chosen] == "higher") + 0.2 * rng.random(len(chosen))
    content["significant"] = rng.random(len(chosen)) > 0.3
    for name in ("roi", "hemisphere", "level", "vertex"):
        values = getattr(cortex, name)[chosen]
        content[name] = values.astype(object) if values.dtype.kind == "U" else values
    return xr.Dataset({name: ("voxel", values) for name, values in content.items()}, attrs={"synthetic": 1})


@pytest.fixture(scope="module")
def two():
    return {"subject 1": make(0), "subject 2": make(1)}


def without(results, *names):
    return {name: result.drop_vars(list(names)) for name, result in results.items()}


def bars(figure):
    return [ax._colorbar for ax in figure.axes if ax.get_label() == "<colorbar>"]


def dots(collection):
    return np.asarray(collection.get_offsets())


def test_both_maps_of_r2_have_one_scale_and_the_difference_is_white_where_they_are_alike(two):
    one = two["subject 1"]
    figure = plotting.figure_r2_maps({"subject 1": one})
    r2, difference = (bar.norm for bar in bars(figure))
    assert r2.vmin == 0 and difference.vmin == -difference.vmax < 0
    assert r2.vmax == pytest.approx(np.quantile(np.concatenate([one.r2, one.r2_linear]), 0.99))
    assert [ax.get_title() for ax in figure.axes[:3]] == ["linear", "nonlinear", "nonlinear − linear"]
    assert "plain grey" in figure._supxlabel.get_text() and figure.get_suptitle().startswith("Synthetic")
    gain = 0.1 * (one.level == "V1") - 0.1 * (one.level == "V4")
    planted = one.assign(r2=one.r2_linear + gain, significant=one.significant | True)
    linear, _, difference = (ax.images[0].get_array() for ax in plotting.figure_r2_maps({"a": planted}).axes[:3])
    difference = np.asarray(difference)
    warmth = difference[..., 0] - difference[..., 2]
    here = {level: area_pixels(level) for level in ("V1", "V2", "V4")}
    assert linear.shape == difference.shape
    assert np.median(warmth[here["V1"]]) > 0.2 and np.median(warmth[here["V4"]]) < -0.2
    assert abs(np.median(warmth[here["V2"]])) < 0.05


def area_pixels(area):
    """Pixels of an area in the panel of both hemispheres."""
    cortex = load_cortex()
    whole = xr.Dataset({name: ("voxel", getattr(cortex, name).astype(object)) for name in ("roi", "hemisphere")})
    whole["vertex"] = "voxel", cortex.vertex
    ax = plotting.plot_cortex(whole, cortex.roi == area, norm=Normalize(0, 1), cmap="gray", ax=plt.figure().gca())
    return ax.images[0].get_array()[..., 0] == 1


def test_without_a_place_the_areas_have_their_r2_and_without_areas_voxels_are_counted(two):
    flat = without(two, "vertex")
    left, right = plotting.figure_r2_maps(flat).axes
    table = area_table(two["subject 2"], ("r2", "r2_linear"))
    np.testing.assert_allclose(dots(left.collections[2])[:, 0], table.r2_linear)
    np.testing.assert_allclose(dots(left.collections[3])[:, 0], table.r2)
    np.testing.assert_allclose(dots(right.collections[1])[:, 0], table.r2 - table.r2_linear)
    left, _ = plotting.figure_r2_maps(without(flat, "roi", "level")).axes
    counted = sum(result.sizes["voxel"] for result in two.values())
    # An outline has each count twice.
    outlines = [patch.get_xy() for patch in left.patches]
    assert [xy[1:-1:2, 1].sum() for xy in outlines] == [counted] * 2


def test_where_nothing_is_predicted_no_area_has_a_mean_of_r2(two):
    none = {name: one.assign(significant=one["significant"] & False) for name, one in without(two, "vertex").items()}
    left, _ = plotting.figure_r2_maps(none).axes
    assert left.get_ylabel() == "voxels" and not left.collections


def test_an_inflated_cortex_is_drawn_where_there_is_no_flat_map(two):
    one = two["subject 1"].isel(voxel=slice(None, None, 3))
    one["vertex"].attrs["mesh"] = "fsaverage5"
    one["vertex"] = ("voxel", one.vertex.values % 10242, {"mesh": "fsaverage5"})
    image = plotting.figure_maps({"subject 1": one}).axes[0].images[0].get_array()
    shapes = [pixel_vertices("fsaverage5", s, v)[0].shape for v in ("posterior", "ventral") for s in HEMISPHERES]
    assert image.shape[:2] == (max(h for h, _ in shapes), sum(w for _, w in shapes) + 3 * 12)


def test_r_stands_in_every_panel_with_the_voxels_it_is_of(two):
    figure = plotting.figure_r2_by_area(two)
    panels = {ax.get_title().replace("\n", " "): ax for ax in figure.axes if ax.axison}
    named = "EBA (V4t, MT, MST, FST)"
    assert list(panels) == [WHOLE, "V1", "V2", "V3", "V4", named, "PPA (PHA1, PHA2, PHA3)",
                            "RSC (POS1, DVT, ProS)", "FFA-1 (FFC)"]  # fmt: skip
    rs = [encoder_correlations(result)["EBA"] for result in two.values()]
    assert panels[named].texts[0].get_text() == f"r = {min(rs):.2f} to {max(rs):.2f}"
    v1 = two["subject 2"].roi.values == "V1"
    np.testing.assert_allclose(dots(panels["V1"].collections[1])[:, 1], two["subject 2"].r2.values[v1])
    whole = plotting.figure_r2_by_area(without({"a": two["subject 1"]}, "roi")).axes[0]
    assert whole.texts[0].get_text() == f"r = {encoder_correlations(two['subject 1'])[WHOLE]:.2f}"
    with pytest.raises(ValueError, match=r"a has no r2_linear.*linear=True"):
        plotting.figure_r2_by_area(without({"a": two["subject 1"]}, "r2_linear"))


def test_maps_of_all_subjects_have_one_scale_and_without_a_place_are_a_table_of_areas(two):
    figure = plotting.figure_maps(two)
    (bar,) = bars(figure)
    kept = np.concatenate([result.jne.values[result.significant.values] for result in two.values()])
    assert (bar.norm.vmin, bar.norm.vmax) == pytest.approx(tuple(np.quantile(kept, [0.01, 0.99])))
    assert [ax.get_title() for ax in figure.axes[:2]] == list(two)
    table = plotting.figure_maps(without(two, "vertex")).axes[0]
    drawn = np.asarray(table.collections[0].get_array()).reshape(-1, 2)
    np.testing.assert_allclose(drawn[:, 1], area_table(two["subject 2"], ("jne",)).jne)
    (ax,) = plotting.figure_maps(without(two, "vertex", "roi", "level")).axes
    assert len(ax.patches) == 2


def test_areas_beside_all_voxels_have_the_means_of_their_significant_voxels(two):
    top, below = plotting.figure_paper_areas(two).axes
    table = paper_area_table(two)
    pooled = np.concatenate([r.jne.values[r.significant.values & (r.roi.values == "V1")] for r in two.values()])
    means = [dots(c)[0, 1] for c in top.collections if len(c.get_offsets()) == 1 and len(dots(c)[0])]
    assert pytest.approx(pooled.mean()) in means
    assert f"{len(pooled):,}" in [text.get_text() for text in top.texts]
    rings = [dots(c)[:, 1] for c in below.collections if len(c.get_offsets()) == 2]
    np.testing.assert_allclose(rings, table)
    assert below.get_xticklabels()[0].get_text() == WHOLE
    # No interval of two subjects is cut.
    low, high = np.transpose([subject_interval(row)[1:] for row in table.to_numpy()])
    assert below.get_ylim()[0] <= low.min() and below.get_ylim()[1] >= high.max()
    assert len(plotting.figure_paper_areas({"a": two["subject 1"]}).axes) == 1


def test_every_significant_voxel_of_a_tier_is_counted(two):
    counts, spread, where = plotting.figure_tiers(two).axes
    tier = np.concatenate([tiers(result.level.values)[result.significant.values] for result in two.values()])
    steps = [patch.get_data().values.sum() for patch in counts.patches if isinstance(patch, StepPatch)]
    assert steps == [(tier == name).sum() for name in ("PVC", "IVC", "HVC")]
    labels = [label.get_text() for label in spread.get_xticklabels()]
    assert labels == ["PVC", "IVC", "HVC"]
    legend = [text.get_text() for text in where.get_legend().get_texts()]
    assert legend[0] == "PVC, primary"
    listed = plotting.figure_tiers(without(two, "vertex")).axes[2]
    assert listed.texts[0].get_text() == "PVC: V1"


def test_a_planted_step_is_called_over_voxels_and_over_areas_and_what_has_no_tiers_is_refused(two):
    # Without places there is no covariance of smooth maps to compute.
    voxels, areas = plotting.figure_tier_tests(without(two, "vertex"), n_draws=999).axes
    cells = [text.get_text() for text in voxels.texts]
    # Rows PVC, IVC, HVC; only the higher tier was planted above.
    assert cells[6:8] == ["2 of 2", "2 of 2"] and cells[1:3] == ["0 of 2", "0 of 2"]
    assert areas.get_title() == "over areas, areas exchanged" and areas.images[0].get_array()[2, 1] == 1
    with pytest.raises(ValueError, match="subject 1 has no tiers; needed: roi and level"):
        plotting.figure_tier_tests(without(two, "level"))
    assert [p_text(p) for p in (1e-5, 0.0441, 0.6, np.nan)] == ["p < 0.001", "p = 0.044", "p = 0.60", ""]


def test_encoders_alike_have_their_r_their_means_and_the_measure(two):
    one = {"planted": two["subject 1"]}
    left, middle, right = plotting.figure_alike(one).axes
    assert left.texts[0].get_text() == f"r = {encoder_correlations(one['planted'])[WHOLE]:.2f}"
    for collection, name in zip(middle.collections, ("r2_linear", "r2"), strict=True):
        np.testing.assert_allclose(dots(collection)[:, 0], paper_area_table(one, name)["planted"])
    np.testing.assert_allclose(dots(right.collections[1])[:, 0], paper_area_table(one)["planted"])
    assert right.get_xlim()[1] > dots(right.collections[1])[:, 0].max()
