"""Values of a volume's voxels on slices in three directions."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import matplotlib.pyplot as plt
import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.collections import LineCollection
from matplotlib.colors import Normalize, to_rgba
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from jne._core import as_numbers
from jne.datasets import Volume
from jne.plotting.characters import plain
from jne.plotting.maps import N_COLOURS, NOT_SIGNIFICANT, place_names
from jne.plotting.style import PAGE_WIDTH, SMALL, colour_limits

if TYPE_CHECKING:
    from nibabel import Nifti1Image

_DIRECTIONS = {"x": "sagittal", "y": "coronal", "z": "axial"}
_MARGIN, _MARGIN_OF_BACKGROUND = 1, 8
"""Voxels around those of the data."""


def plot_volume(
    values,
    place: Volume,
    *,
    roi=None,
    significant=None,
    label: str = "",
    background: str | Path | Nifti1Image | None = None,
    n_slices: int = 5,
) -> Figure:
    """Draw values of voxels on sagittal, coronal and axial slices, with the outlines of areas.

    Left is left. An oblique grid is brought to the axes by nearest neighbour.

    Parameters
    ----------
    values : array_like, ``(n_voxels,)``
        NaN is drawn like a voxel without data.
    place : Volume
        From `jne.datasets.place_of`.
    roi : array_like of str, ``(n_voxels,)``, optional
        Areas, which are outlined; an area's name stands in the slice of each direction that has most of it.
    significant : array_like of bool, ``(n_voxels,)``, optional
        The others are drawn in plain grey.
    label : str
        What the colours show, with its unit.
    background : path or image, optional
        An anatomical image in the same space; by default there is none.
    n_slices : int
        In each direction, spread over those that have voxels.

    Returns
    -------
    matplotlib Figure

    Raises
    ------
    ValueError
        If the arrays have different lengths, or no value is finite.
    """
    values = as_numbers(values, "values", float, missing=True)
    significant = np.ones(values.shape, bool) if significant is None else np.asarray(significant, bool)
    roi = np.full(values.shape, "") if roi is None else np.asarray(roi).astype(str)
    if not values.shape == significant.shape == roi.shape == place.ijk.shape[:1]:
        shapes = f"values {values.shape}, significant {significant.shape}, roi {roi.shape}, voxels {len(place.ijk)}"
        raise ValueError(f"values, significant and roi must all be (n_voxels,); given: {shapes}")
    known = np.isfinite(values)
    if not known.any():
        raise ValueError(f"none of the {len(values)} values is finite: there is nothing to draw")
    norm, cmap = Normalize(*colour_limits(values, significant)), colormaps["viridis"].resampled(N_COLOURS)
    colours = _colours(values, significant, norm, cmap)
    names, codes = np.unique(np.append(roi, ""), return_inverse=True)
    number, affine = _upright(place, _MARGIN if background is None else _MARGIN_OF_BACKGROUND)
    beneath = None if background is None else _beneath(background, number, affine)
    figure, rows = _panels(number.shape, affine, n_slices)
    labels: list[tuple[Axes, int, str, np.ndarray]] = []
    for axis, row in enumerate(rows):
        planes = _planes(number, axis, len(row))
        for ax, plane in zip(row, planes, strict=False):
            _draw(ax, axis, plane, number, affine, colours, codes, beneath)
        for ax in row[len(planes) :]:
            ax.set_visible(False)
        labels += _labels(row, axis, planes, number, affine, codes, names)
    bar = figure.colorbar(ScalarMappable(norm, cmap), ax=list(rows.ravel()), shrink=0.7, aspect=30, pad=0.01)
    bar.set_label(label, fontsize=SMALL)
    if not significant.all():
        grey = Patch(facecolor=NOT_SIGNIFICANT, edgecolor="k", linewidth=0.5, label="not significant")
        figure.legend(handles=[grey], loc="outside lower center", frameon=False, fontsize=SMALL)
    place_names(figure, labels)
    return figure


def plot_slices(values, place: Volume, axes, norm: Normalize, *, roi=None, significant=None) -> None:
    """Draw horizontal slices of values, one in each of a row of axes, without names of areas and bar of colours.

    Parameters
    ----------
    values, place, roi, significant
        As of `plot_volume`.
    axes : sequence of matplotlib Axes
    norm : matplotlib Normalize
        Limits of the colours.
    """
    values = as_numbers(values, "values", float, missing=True)
    significant = np.ones(values.shape, bool) if significant is None else np.asarray(significant, bool)
    names = np.full(values.shape, "") if roi is None else np.asarray(roi).astype(str)
    codes = np.unique(np.append(names, ""), return_inverse=True)[1]
    number, affine = _upright(place, _MARGIN)
    planes = _planes(number, 2, len(axes))
    colours = _colours(values, significant, norm, colormaps["viridis"].resampled(N_COLOURS))
    for ax, plane in zip(axes, planes, strict=False):
        _draw(ax, 2, plane, number, affine, colours, codes, None)
    for ax in axes[len(planes) :]:
        ax.set_visible(False)


def _colours(values: np.ndarray, significant: np.ndarray, norm: Normalize, cmap) -> np.ndarray:
    """What is drawn of each voxel ``(n_voxels + 1, 4)``; the last row is of none."""
    known = np.isfinite(values)
    colours = np.zeros((len(values) + 1, 4))
    colours[:-1][known] = np.where(significant[known, None], cmap(norm(values[known])), to_rgba(NOT_SIGNIFICANT))
    return colours


def _upright(place: Volume, margin: int) -> tuple[np.ndarray, np.ndarray]:
    """Which voxel is where, -1 for none, on a grid along the axes of space; and its affine."""
    import nibabel
    from nilearn.image import reorder_img

    # From 1: around a turned grid there are zeros.
    near, affine = _box(place.ijk, np.arange(len(place.ijk), dtype=np.int32) + 1, place.affine, 1)
    image = reorder_img(nibabel.Nifti1Image(near, affine), resample="nearest", copy_header=True)
    turned = np.asarray(image.dataobj)
    ijk = np.argwhere(turned)
    number, affine = _box(ijk, turned[tuple(ijk.T)], image.affine, margin)
    return number.astype(int) - 1, affine


def _box(ijk: np.ndarray, values: np.ndarray, affine: np.ndarray, margin: int) -> tuple[np.ndarray, np.ndarray]:
    """Values in the part of the grid that holds them, with a margin of zeros, and its affine."""
    start = ijk.min(axis=0) - margin
    shape = tuple((ijk.max(axis=0) - start + 1 + margin).tolist())
    moved = affine.copy()
    moved[:3, 3] += affine[:3, :3] @ start
    return Volume(ijk - start, shape, moved).fill(values, values.dtype, 0), moved


def _beneath(background: str | Path | Nifti1Image, number: np.ndarray, affine: np.ndarray) -> np.ndarray:
    """An anatomical image on the same grid, from 0 to 1."""
    import nibabel
    from nilearn.image import resample_img

    image = background if hasattr(background, "affine") else nibabel.load(background)
    options = {"interpolation": "linear", "copy_header": True, "force_resample": True}
    values = resample_img(image, target_affine=affine, target_shape=number.shape, **options).get_fdata()
    low, high = np.quantile(values, [0.02, 0.98])
    return np.clip((values - low) / ((high - low) or 1), 0, 1)


def _panels(shape: tuple[int, ...], affine: np.ndarray, n_slices: int) -> tuple[Figure, np.ndarray]:
    """Axes ``(3, n_slices)``, as high as what is drawn in them."""
    width, depth, height = np.array(shape) * np.abs(np.diag(affine)[:3])
    heights, widths = np.array([height, height, depth]), np.array([depth, width, width])
    inches = 0.82 * PAGE_WIDTH / n_slices * heights / widths
    size = (PAGE_WIDTH, min(9.0, inches.sum() + 1.2))
    options = {"squeeze": False, "height_ratios": inches, "layout": "constrained"}
    figure, rows = plt.subplots(3, n_slices, figsize=size, **options)
    return figure, rows


def _planes(number: np.ndarray, axis: int, n_slices: int) -> np.ndarray:
    """Slices evenly spread over those that have voxels, without the outermost."""
    planes = np.flatnonzero((number >= 0).any(axis=tuple(other for other in range(3) if other != axis)))
    places = np.linspace(0, len(planes) - 1, n_slices + 2)[1:-1]
    return planes[np.unique(places.round().astype(int))]


def _draw(ax: Axes, axis: int, plane: int, number, affine, colours, codes, beneath) -> None:
    """One slice: what is beneath, the voxels, the outlines of areas."""
    cut = np.take(number, plane, axis).T
    xy = [other for other in range(3) if other != axis]
    step, first = np.diag(affine)[xy], affine[xy, 3]
    edges = [first[i] - step[i] / 2 + step[i] * np.arange(cut.shape[1 - i] + 1) for i in range(2)]
    extent = (edges[0][0], edges[0][-1], edges[1][0], edges[1][-1])
    common = {"origin": "lower", "extent": extent, "interpolation": "nearest"}
    if beneath is not None:
        ax.imshow(np.take(beneath, plane, axis).T, cmap="gray", vmin=0, vmax=1, **common)
    ax.imshow(colours[cut], **common)
    ax.add_collection(LineCollection(_outlines(codes[cut], edges), colors="k", linewidths=0.4))
    ax.set_title(f"{'xyz'[axis]} = {affine[axis, 3] + plane * affine[axis, axis]:z.0f} mm", fontsize=SMALL, pad=2)
    ax.set_axis_off()
    if axis != 0:
        for side, x in (("L", 0.02), ("R", 0.98)):
            ax.text(x, 0.98, side, transform=ax.transAxes, ha="center", va="top", fontsize=SMALL, color="0.4")


def _outlines(areas: np.ndarray, edges: list[np.ndarray]) -> np.ndarray:
    """Segments ``(n, 2, 2)`` along the edges of pixels whose area is another; 0 is none."""
    x, y = edges
    row, column = np.nonzero(areas[:, 1:] != areas[:, :-1])
    upright = np.stack([np.stack([x[column + 1], y[row]], 1), np.stack([x[column + 1], y[row + 1]], 1)], 1)
    row, column = np.nonzero(areas[1:] != areas[:-1])
    level = np.stack([np.stack([x[column], y[row + 1]], 1), np.stack([x[column + 1], y[row + 1]], 1)], 1)
    return np.concatenate([upright, level])


def _labels(row, axis: int, planes, number, affine, codes, names) -> list[tuple[Axes, int, str, np.ndarray]]:
    """Axes, size and name of each area, once, and where in the slice that has most of it the name may stand."""
    found = []
    xy = [other for other in range(3) if other != axis]
    areas = [codes[np.take(number, plane, axis)] for plane in planes]
    for code, name in enumerate(names):
        sizes = [int((cut == code).sum()) for cut in areas]
        if name and max(sizes):
            best = int(np.argmax(sizes))
            points = np.argwhere(areas[best] == code) * np.diag(affine)[xy] + affine[xy, 3]
            # One of its pixels, not the middle of both hemispheres.
            order = np.argsort(np.abs(points - np.median(points, axis=0)).sum(axis=1))
            found.append((row[best], sizes[best], plain(str(name)), points[order][:: max(1, len(order) // 12)]))
    return found
