"""Values of cortical vertices on inflated surfaces, as still views."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import xarray as xr
from matplotlib import colormaps
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize, to_rgb
from matplotlib.figure import Figure

from jne._core import as_numbers
from jne.cortex import FSAVERAGE, HEMISPHERES, MESH, VIEWS, drawn_mesh, fill_from_nearest, pixel_vertices
from jne.measures import short_label
from jne.plotting.caption_texts import UNMASKED
from jne.plotting.maps import NOT_SIGNIFICANT
from jne.plotting.style import PAGE_WIDTH, SMALL, cortical, title

SULCUS, GYRUS = 0.74, 0.92
"""Greys of cortex without a value."""
_BORDER = 0.2


def on_surface(
    values, significant, vertex, hemisphere, *, mesh: str = MESH, side: str = "left"
) -> tuple[np.ndarray, np.ndarray]:
    """Values and significance at every vertex of the drawn mesh of one hemisphere.

    On fsLR-32k, vertices without a value take that of the nearest one in the same area; on fsaverage, vertices that the
    drawn mesh does not have are left out.

    Returns
    -------
    values : array ``(n_vertices,)``
        NaN where there is none.
    significant : array of bool ``(n_vertices,)``
    """
    drawn = drawn_mesh(mesh, side)
    values, vertex = as_numbers(values, "values", float, missing=True), as_numbers(vertex, "vertex", int)
    if vertex.size and not 0 <= vertex.min() <= vertex.max() < drawn.n_data:
        raise ValueError(
            f"vertex runs from {vertex.min()} to {vertex.max()}; {mesh} has the indices 0 to {drawn.n_data - 1}"
        )
    use = (np.asarray(hemisphere).astype(str) == side) & np.isfinite(values) & (vertex < len(drawn.coordinates))
    out = np.full((len(drawn.coordinates), 2), np.nan)
    both = np.stack([values[use], np.asarray(significant, float)[use]], axis=1)
    if drawn.areas is not None and use.any():
        here = np.isin(drawn.areas, np.unique(drawn.areas[vertex[use]])) & (drawn.areas != "")
        target = np.flatnonzero(here)
        sides = (np.full(len(both), side), np.full(len(target), side))
        out[target] = fill_from_nearest(both, (vertex[use], sides[0]), (target, sides[1]))
    out[vertex[use]] = both
    return out[:, 0], out[:, 1] == 1


def plot_surface(
    values: np.ndarray,
    significant: np.ndarray,
    *,
    mesh: str = MESH,
    side: str = "left",
    view: str = "lateral",
    cmap="viridis",
    norm: Normalize | None = None,
    ax: Axes | None = None,
) -> Axes:
    """One view of one hemisphere. Sulci are dark, what is not significant is plain grey, borders of areas are lines.

    Parameters
    ----------
    values, significant : arrays ``(n_vertices,)``
        From `on_surface`.
    mesh, side, view : str
        `view` is lateral, medial, ventral or posterior.
    cmap, norm
        Colour map and its limits.
    ax : matplotlib Axes, optional
    """
    ax = ax or plt.gca()
    norm = norm or Normalize(np.nanmin(values), np.nanmax(values))
    ax.imshow(surface_image(values, significant, norm, cmap, mesh, side, view), interpolation="antialiased")
    ax.set_axis_off()
    return ax


def surface_image(values, significant, norm: Normalize, cmap, mesh: str, side: str, view: str) -> np.ndarray:
    """What `plot_surface` draws ``(height, width, 4)``, clear beside the cortex."""
    drawn = drawn_mesh(mesh, side)
    vertex, facing = pixel_vertices(mesh, side, view)
    grey = np.where(np.nan_to_num(drawn.depth) > 0, GYRUS, SULCUS)
    colours = np.repeat(grey[:, None], 3, axis=1)
    colours[np.isfinite(values)] = to_rgb(NOT_SIGNIFICANT)
    shown = np.isfinite(values) & significant
    colours[shown] = colormaps.get_cmap(cmap)(norm(values[shown]))[:, :3]
    image = colours[vertex] * (0.8 + 0.2 * facing[..., None])
    if drawn.areas is not None:
        image[_borders(np.where(np.isfinite(values), drawn.areas, "")[vertex])] = _BORDER
    return np.dstack([image, vertex >= 0])


def _borders(areas: np.ndarray) -> np.ndarray:
    """Pixels of an area beside one that is not."""
    edge = np.zeros(areas.shape, bool)
    edge[:, 1:] |= areas[:, 1:] != areas[:, :-1]
    edge[1:] |= areas[1:] != areas[:-1]
    return edge & (areas != "")


def has_surface(result: xr.Dataset) -> bool:
    """Whether the voxels of a result are vertices of a mesh that can be drawn here."""
    mesh = result["vertex"].attrs.get("mesh", MESH) if "vertex" in result and "hemisphere" in result else None
    return mesh in (MESH, *FSAVERAGE)


def figure_surfaces(
    result: xr.Dataset,
    measures: Sequence[str],
    *,
    side: str = "left",
    unmasked: Sequence[str] = UNMASKED,
    norm: Normalize | None = None,
) -> Figure:
    """Measures (rows) on the inflated surface of one hemisphere, seen from four sides (columns).

    Parameters
    ----------
    result : xarray.Dataset
        With ``vertex`` and ``hemisphere (voxel)``.
    measures : sequence of str
        Variables of the result; those it does not have are left out.
    side : {"left", "right"}
    unmasked : sequence of str
        Measures that are drawn where R² is not significant, too.
    norm : matplotlib Normalize, optional
        Limits of the colours of all rows; by default each row has its own.
    """
    result, measures = cortical(result), [measure for measure in measures if measure in result]
    mesh = _mesh(result)
    widths = [pixel_vertices(mesh, side, view)[0].shape[1] for view in VIEWS]
    size = (PAGE_WIDTH, 1.3 * len(measures) + 0.75)
    figure, axes = plt.subplots(len(measures), len(VIEWS), figsize=size, squeeze=False, width_ratios=widths)
    for ax, view in zip(axes[0], VIEWS, strict=True):
        ax.set_title(view, fontsize=SMALL)
    all_drawn = np.ones(result.sizes["voxel"], bool)
    for row, measure in zip(axes, measures, strict=True):
        mask = all_drawn if measure in unmasked or "significant" not in result else result["significant"].values
        place = (result["vertex"].values, result["hemisphere"].values)
        values, significant = on_surface(result[measure].values, mask, *place, mesh=mesh, side=side)
        own = norm or limits(values[significant & np.isfinite(values)])
        for ax, view in zip(row, VIEWS, strict=True):
            plot_surface(values, significant, mesh=mesh, side=side, view=view, norm=own, ax=ax)
        bar = figure.colorbar(ScalarMappable(own, "viridis"), ax=list(row), shrink=0.8, aspect=12, pad=0.01)
        bar.set_label(short_label(measure), fontsize=SMALL)
        bar.ax.tick_params(labelsize=SMALL)
    figure.suptitle(title(result, f"{side} hemisphere, inflated"))
    figure.supxlabel(map_note(result, [side]), fontsize=SMALL, color="0.3")
    return figure


def limits(values: np.ndarray) -> Normalize:
    """From the 1st to the 99th percentile, so that a few vertices do not take the whole scale."""
    return Normalize(*np.quantile(values, [0.01, 0.99])) if values.size else Normalize(0, 1)


def map_note(result: xr.Dataset, sides: Sequence[str] = HEMISPHERES) -> str:
    """What is grey on these hemispheres, and how many vertices have a value of their own, in words."""
    mesh = _mesh(result)
    drawn, parts = drawn_mesh(mesh, sides[0]), []
    if "significant" in result and not result["significant"].values.all():
        parts.append("plain grey: not significant")
    if drawn.n_data > len(drawn.coordinates):
        parts.append(f"{mesh} drawn on {drawn.name}: every vertex that both have")
    elif drawn.areas is not None and "roi" in result:
        n = np.isin(result["hemisphere"].values.astype(str), list(sides)).sum()
        filled = sum(np.isin(drawn_mesh(mesh, side).areas, result["roi"].values.astype(str)).sum() for side in sides)
        if filled > n:
            parts.append(f"{n:,} of {filled:,} vertices were fitted; the others show the nearest one in their area")
    return "; ".join(parts)


def _mesh(result: xr.Dataset) -> str:
    return result["vertex"].attrs.get("mesh", MESH)
