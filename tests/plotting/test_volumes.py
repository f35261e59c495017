"""Maps of volumes: every voxel on its slice, at its place in millimetres."""

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import nibabel
import numpy as np
import pytest
import xarray as xr
from matplotlib.collections import LineCollection
from matplotlib.colors import to_rgba

from jne import plotting
from jne.datasets import Volume
from jne.plotting.maps import NOT_SIGNIFICANT
from jne.plotting.volumes import plot_volume

SHAPE = (6, 8, 5)
AFFINE = np.array([[-2.0, 0, 0, 20], [0, 2, 0, -30], [0, 0, 3, 40], [0, 0, 0, 1]])
"""The first axis runs from right to left, as in many files."""


@pytest.fixture(scope="module")
def result():
    """A block of 3 x 4 x 3 voxels, two areas along the first axis, of which one voxel is not significant."""
    ijk = np.argwhere(np.ones((3, 4, 3), bool)) + np.array([2, 3, 1])
    roi = np.where(ijk[:, 0] < 4, "V1", "V2").astype(object)
    significant = np.ones(len(ijk), bool)
    significant[np.flatnonzero((ijk == [3, 4, 2]).all(axis=1))] = False
    place = {"affine": AFFINE.ravel(), "shape": list(SHAPE)}
    content = {"ijk": (("voxel", "axis"), ijk, place), "jne": ("voxel", ijk @ [100.0, 10.0, 1.0])}
    content |= {"roi": ("voxel", roi), "significant": ("voxel", significant)}
    return xr.Dataset(content, attrs={"synthetic": 0})


def slices(figure):
    """Direction, millimetres, and axes of every slice."""
    for ax in figure.axes:
        if ax.get_visible() and " = " in ax.get_title():
            direction, _, where, _ = ax.get_title().split()
            yield "xyz".index(direction), float(where), ax


def colour_at(ax, x, y):
    """What the topmost image shows at a point of the axes, as a colour."""
    image = ax.images[-1]
    left, right, bottom, top = image.get_extent()
    rows, columns = image.get_array().shape[:2]
    column, row = (x - left) / (right - left) * columns, (y - bottom) / (top - bottom) * rows
    return image.get_array()[int(row), int(column)]


@pytest.fixture(scope="module")
def figure(result):
    return plotting.figure_map(result, "jne")


def test_every_voxel_stands_where_the_affine_says(result, figure):
    xyz = nibabel.affines.apply_affine(AFFINE, result.ijk.values)
    cmap = plt.colormaps["viridis"].resampled(24)
    shown = result.jne.values[result.significant.values]
    seen, drawn = 0, list(slices(figure))
    assert {axis for axis, _, _ in drawn} == {0, 1, 2}
    for axis, where, ax in drawn:
        others = [i for i in range(3) if i != axis]
        for point, value, significant in zip(xyz, result.jne.values, result.significant.values, strict=True):
            if abs(point[axis] - where) < 0.5:
                wanted = cmap((value - shown.min()) / np.ptp(shown)) if significant else to_rgba(NOT_SIGNIFICANT)
                for shift in (-0.9, 0, 0.9):  # all of the voxel, not only its middle
                    np.testing.assert_allclose(colour_at(ax, *(point[others] + shift)), wanted)
                seen += 1
        inside = (ax.images[-1].get_array()[..., 3] > 0).sum()
        assert inside == np.count_nonzero(np.abs(xyz[:, axis] - where) < 0.5)
    assert seen > len(xyz)
    assert "not significant" in [text.get_text() for text in figure.legends[0].get_texts()]


def test_a_voxel_without_a_value_is_left_out_and_the_frame_stays(result, figure):
    empty = result.assign(jne=result.jne.where(result.ijk[:, 2] == 1))
    drawn, whole = (list(slices(one)) for one in (plotting.figure_map(empty, "jne"), figure))
    assert [(axis, where) for axis, where, _ in drawn] == [(axis, where) for axis, where, _ in whole]
    shown = {where: (ax.images[-1].get_array()[..., 3] > 0).sum() for axis, where, ax in drawn if axis == 2}
    assert shown.pop(AFFINE[2, 3] + AFFINE[2, 2]) == 12 and set(shown.values()) == {0}


def test_areas_are_outlined_and_named_once_a_direction(figure):
    names = [text.get_text() for ax in figure.axes for text in ax.texts if text.get_text() in ("V1", "V2")]
    assert sorted(names) == ["V1"] * 3 + ["V2"] * 3
    ax = next(ax for axis, _, ax in slices(figure) if axis == 2)
    (lines,) = (item for item in ax.collections if isinstance(item, LineCollection))
    segments = np.array(lines.get_segments())
    # Around 3 x 4 voxels of 2 mm there are 14 edges, and 4 between the areas, at the border of i = 3 and i = 4.
    assert len(segments) == 14 + 4
    between = AFFINE[0, 3] + 3.5 * AFFINE[0, 0]
    assert (segments[..., 0] == between).all(axis=1).sum() == 4


def test_a_turned_grid_is_drawn_upright_and_a_background_beneath(result):
    """Turned by 90 degrees about x, every voxel has a place of its own on the axes."""
    turn = np.array([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]])
    affine = AFFINE.copy()
    affine[:3, :3] = turn @ AFFINE[:3, :3]
    turned = result.assign(ijk=(("voxel", "axis"), result.ijk.values, {**result.ijk.attrs, "affine": affine.ravel()}))
    background = nibabel.Nifti1Image(np.arange(np.prod(SHAPE), dtype=float).reshape(SHAPE), affine)
    figure = plotting.figure_map(turned, "jne", background=background)
    xyz = nibabel.affines.apply_affine(affine, result.ijk.values)
    for axis, where, ax in slices(figure):
        assert len(ax.images) == 2 and ax.images[0].get_cmap().name == "gray"
        inside = (ax.images[-1].get_array()[..., 3] > 0).sum()
        assert inside == np.count_nonzero(np.abs(xyz[:, axis] - where) < 0.5)


def test_a_chapter_does_not_say_that_a_volume_has_no_places(result, monkeypatch):
    said = []
    monkeypatch.setattr("jne.plotting.style.not_shown", said.append)
    plotting.cannot_show(result, "vertex")
    assert not said
    plotting.cannot_show(result.drop_vars("ijk"), "vertex")
    assert "places on the cortex" in said[0]


def test_what_cannot_be_drawn_is_refused_and_without_a_grid_areas_are_drawn(result):
    place = Volume(result.ijk.values, SHAPE, AFFINE)
    with pytest.raises(ValueError, match="none of the 36 values is finite"):
        plot_volume(np.full(36, np.nan), place)
    with pytest.raises(ValueError, match=r"given: values \(35,\)"):
        plot_volume(np.zeros(35), place)
    no_grid = result.assign(ijk=(("voxel", "axis"), result.ijk.values))
    assert len(plotting.figure_map(no_grid, "jne").axes) == 1
