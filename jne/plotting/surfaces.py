"""Values of cortical vertices on inflated surfaces: still views, and one surface to turn with the mouse."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from html import escape
from pathlib import Path

import numpy as np
import xarray as xr
from IPython.display import IFrame, display
from matplotlib import colormaps
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize, to_rgb
from matplotlib.figure import Figure

from jne._core import as_numbers, atomic_path, hash_parameters
from jne.cortex import FSAVERAGE, HEMISPHERES, MESH, VIEWS, drawn_mesh, fill_from_nearest, pixel_vertices
from jne.measures import label_of, short_label
from jne.plotting.maps import NOT_SIGNIFICANT
from jne.plotting.style import PAGE_WIDTH, title

_SULCUS, _GYRUS, _BORDER = 0.74, 0.92, 0.2
_GAP = 8.0  # millimetres between each hemisphere and the middle


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
    drawn = drawn_mesh(mesh, side)
    vertex, facing = pixel_vertices(mesh, side, view)
    norm = norm or Normalize(np.nanmin(values), np.nanmax(values))
    grey = np.where(np.nan_to_num(drawn.depth) > 0, _GYRUS, _SULCUS)
    colours = np.repeat(grey[:, None], 3, axis=1)
    colours[np.isfinite(values)] = to_rgb(NOT_SIGNIFICANT)
    shown = np.isfinite(values) & significant
    colours[shown] = colormaps.get_cmap(cmap)(norm(values[shown]))[:, :3]
    image = colours[vertex] * (0.8 + 0.2 * facing[..., None])
    if drawn.areas is not None:
        image[_borders(np.where(np.isfinite(values), drawn.areas, "")[vertex])] = _BORDER
    image = np.dstack([image, vertex >= 0])
    ax.imshow(image, interpolation="antialiased")
    ax.set_axis_off()
    return ax


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
    result: xr.Dataset, measures: Sequence[str], *, side: str = "left", unmasked: Sequence[str] = ()
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
    """
    measures = [measure for measure in measures if measure in result]
    mesh = result["vertex"].attrs.get("mesh", MESH)
    widths = [pixel_vertices(mesh, side, view)[0].shape[1] for view in VIEWS]
    size = (PAGE_WIDTH, 1.3 * len(measures) + 0.75)
    figure, axes = plt.subplots(len(measures), len(VIEWS), figsize=size, squeeze=False, width_ratios=widths)
    for ax, view in zip(axes[0], VIEWS, strict=True):
        ax.set_title(view, fontsize="small")
    all_drawn = np.ones(result.sizes["voxel"], bool)
    for row, measure in zip(axes, measures, strict=True):
        mask = all_drawn if measure in unmasked or "significant" not in result else result["significant"].values
        place = (result["vertex"].values, result["hemisphere"].values)
        values, significant = on_surface(result[measure].values, mask, *place, mesh=mesh, side=side)
        norm = _limits(values[significant & np.isfinite(values)])
        for ax, view in zip(row, VIEWS, strict=True):
            plot_surface(values, significant, mesh=mesh, side=side, view=view, norm=norm, ax=ax)
        bar = figure.colorbar(ScalarMappable(norm, "viridis"), ax=list(row), shrink=0.8, aspect=12, pad=0.01)
        bar.set_label(short_label(measure), fontsize="small")
        bar.ax.tick_params(labelsize="x-small")
    figure.suptitle(title(result, f"{side} hemisphere, inflated"))
    figure.supxlabel(_note(result, mesh, side), fontsize="x-small", color="0.3")
    return figure


def _limits(values: np.ndarray) -> Normalize:
    """From the 1st to the 99th percentile, so that a few vertices do not take the whole scale."""
    return Normalize(*np.quantile(values, [0.01, 0.99])) if values.size else Normalize(0, 1)


def _note(result: xr.Dataset, mesh: str, side: str) -> str:
    drawn = drawn_mesh(mesh, side)
    parts = []
    if "significant" in result and not result["significant"].values.all():
        parts.append("plain grey: not significant")
    if drawn.n_data > len(drawn.coordinates):
        parts.append(f"{mesh} drawn on {drawn.name}: every vertex that both have")
    elif drawn.areas is not None:
        n = np.count_nonzero(result["hemisphere"].values.astype(str) == side)
        filled = np.isin(drawn.areas, result["roi"].values.astype(str)).sum() if "roi" in result else n
        if filled > n:
            parts.append(f"{n:,} of {filled:,} vertices were fitted; the others show the nearest one in their area")
    return "; ".join(parts)


def surface_page(result: xr.Dataset, measure: str) -> str:
    """A page that shows a measure on both inflated hemispheres, to be turned and zoomed; it needs no network.

    Parameters
    ----------
    result : xarray.Dataset
    measure : str

    Returns
    -------
    str
        HTML of several megabytes: `show_surface` puts it into a file of its own.
    """
    try:
        from nilearn.plotting import view_surf

        mesh = result["vertex"].attrs.get("mesh", MESH)
        coordinates, triangles, values, depth, offset = [], [], [], [], 0
        for side in HEMISPHERES:
            drawn = drawn_mesh(mesh, side)
            mask = result["significant"].values if "significant" in result else np.ones(result.sizes["voxel"], bool)
            place = (result["vertex"].values, result["hemisphere"].values)
            here, significant = on_surface(result[measure].values, mask, *place, mesh=mesh, side=side)
            values.append(np.where(significant, here, np.nan))
            x = drawn.coordinates[:, 0]
            apart = -x.max() - _GAP if side == "left" else -x.min() + _GAP
            coordinates.append(drawn.coordinates + np.array([apart, 0, 0]))
            triangles.append(drawn.triangles + offset)
            depth.append(-np.nan_to_num(drawn.depth))
            offset += len(drawn.coordinates)
        values = np.concatenate(values)
        norm = _limits(values[np.isfinite(values)])
        view = view_surf(
            (np.concatenate(coordinates), np.concatenate(triangles)),
            np.clip(values, norm.vmin, norm.vmax),
            bg_map=np.concatenate(depth),
            cmap="viridis",
            symmetric_cmap=False,
            vmin=norm.vmin,
            vmax=norm.vmax,
            title=title(result, label_of(measure)),
            title_fontsize=14,
            colorbar_fontsize=14,
            view="back",
        )
    except ImportError as missing:
        raise ModuleNotFoundError(f"the rotatable surface needs plotly ({missing}): pip install plotly") from missing
    return _without_network(view.html)


def show_surface(result: xr.Dataset, measure: str) -> None:
    """Display `surface_page` in a frame that a browser loads when it comes into view.

    The page is a file beside the notebook, in ``_static/views/``, or in the folder that the book is built in.
    """
    folder, source = Path.cwd(), "_static"
    if stage := os.environ.get("JNE_PAGE_FOLDER"):
        folder, source = Path(stage), "../_static"
    facts = [str(result.attrs.get(name, "")) for name in ("data", "layer", "seed", "data_hash")]
    name = f"{measure}-{hash_parameters({'measure': measure, 'facts': facts})}.html"
    with atomic_path(folder / "_static/views" / name) as part:
        part.write_text(surface_page(result, measure), encoding="utf-8")
    words = escape(f"Inflated cortex to turn with the mouse: {title(result, label_of(measure))}")
    extras = ['loading="lazy"', f'title="{words}"', 'class="jne-view"']
    display(IFrame(f"{source}/views/{name}", width="100%", height=460, extras=extras))


def _without_network(page: str) -> str:
    """The page without the icon that it would fetch."""
    return re.sub(r'<link[^>]*href="https?://[^>]*>', "", page)
