"""Values of cortical vertices on the flat map of fsLR-32k."""

from __future__ import annotations

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.colors import LinearSegmentedColormap, ListedColormap, Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.patheffects import withStroke
from scipy.spatial import cKDTree

from jne._core import as_numbers
from jne.cortex import (
    HEMISPHERES,
    MESH,
    N_MESH_VERTICES,
    check_vertices,
    fill_from_nearest,
    mesh_areas,
    sulcal_depth,
    surface,
)
from jne.plotting.characters import plain
from jne.plotting.style import PAGE_WIDTH, SMALL, colour_limits

NOT_SIGNIFICANT = "0.62"
_MARGIN = 12.0  # millimetres of cortex around the data
_SULCI = LinearSegmentedColormap.from_list("sulci", ["0.78", "0.97"], N=6)
N_COLOURS = 24  # too many to tell apart, and a much smaller PNG than with 256
_GAP = 14.0  # millimetres between the hemispheres


def plot_flatmap(
    values,
    vertex,
    hemisphere,
    *,
    ax: Axes | None = None,
    cmap="viridis",
    vmin: float | None = None,
    vmax: float | None = None,
    label: str = "",
    title: str | None = None,
    significant=None,
    outlines: bool = True,
    fill: bool = True,
    mesh: str = MESH,
    categories: Sequence[str] = (),
    small: bool = False,
) -> Axes:
    """Draw values on the flat map of both hemispheres, cropped to the region that holds data.

    Sulci (dark) and gyri (light) show beneath, in light grey. Each triangle has the mean of its vertices in one
    HCP-MMP1.0 area. Where the areas of the data have vertices without a value, as when vertices were thinned for
    fitting, these take the value of the nearest one that has one in the same area and hemisphere; the figure then says
    so.

    Parameters
    ----------
    values : array_like, ``(n_vertices,)``
        NaN is drawn like a vertex without data.
    vertex : array_like of int, ``(n_vertices,)``
        Index within the hemisphere's mesh, 0 to 32,491.
    hemisphere : array_like of str, ``(n_vertices,)``
        ``"left"`` or ``"right"``.
    ax : matplotlib.axes.Axes, optional
        Holds both hemispheres; a new figure's if not given.
    cmap, vmin, vmax
        Colour map and its limits; by default the smallest and largest significant value.
    label : str
        What the colours show, with its unit.
    title : str, optional
    significant : array_like of bool, ``(n_vertices,)``, optional
        The others are drawn in plain grey.
    outlines : bool
        Borders and names of the areas; the smallest areas are not named.
    fill : bool
        False draws nothing but the given vertices.
    mesh : str
        Mesh that ``vertex`` indexes. Only fsLR-32k has a flat map here.
    categories : sequence of str
        Names in their order, where values are places in it: one colour each, and each triangle has the value of one of
        its vertices.
    small : bool
        Nothing but the map: no names, no bar of colours, no notes; borders are thin.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    ValueError
        If the mesh is not fsLR-32k, the arrays have different lengths, or no value is finite.
    """
    if mesh != MESH:
        raise ValueError(f"mesh={mesh!r}: the flat map is that of {MESH}, so vertices of another mesh cannot be drawn")
    values, (vertex, hemisphere) = as_numbers(values, "values", float, missing=True), check_vertices(vertex, hemisphere)
    significant = np.ones(values.shape, bool) if significant is None else np.asarray(significant, bool)
    if not values.shape == significant.shape == vertex.shape:
        shapes = f"values {values.shape}, vertex {vertex.shape}, significant {significant.shape}"
        raise ValueError(f"values, vertex and significant must all be (n_vertices,); given: {shapes}")
    if not np.isfinite(values).any():
        raise ValueError(f"none of the {len(values)} values is finite: there is nothing to draw")
    if ax is None:
        ax = plt.subplots(figsize=(PAGE_WIDTH, 5.2), layout="constrained")[1]
    low, high = colour_limits(values, significant)
    cmap = colormaps.get_cmap(cmap).resampled(len(categories) or N_COLOURS)
    norm = Normalize(low if vmin is None else vmin, high if vmax is None else vmax)
    if categories:
        norm = Normalize(-0.5, len(categories) - 0.5)

    x_next, bottom, names, n_drawn = 0.0, 0.0, [], 0
    for side in (side for side in HEMISPHERES if side in hemisphere):
        here = (hemisphere == side) & np.isfinite(values)
        if not here.any():
            continue
        on_mesh, areas = _on_mesh(values[here], significant[here], vertex[here], side, fill)
        n_drawn += np.count_nonzero(np.isfinite(on_mesh[0]))
        corners, triangles, patch = _crop(side, np.isfinite(on_mesh[0]))
        corners = corners - [corners[patch, 0].min() - x_next, corners[patch, 1].max()]
        x_next = corners[patch, 0].max() + _GAP
        bottom = min(bottom, corners[patch, 1].min())
        # Without filling, a vertex among others that have no value must show all the same.
        _draw(ax, corners, triangles, on_mesh, areas, side, cmap, norm, 2 if fill else 1, blend=not categories)
        if outlines:
            style = {"colors": "k", "linewidths": 0.3 if small else 0.7, "zorder": 3}
            ax.add_collection(LineCollection(_borders(corners, triangles, areas), **style))
            names += _names(corners, triangles, areas)
        if small:
            continue
        middle = (corners[patch, 0].min() + corners[patch, 0].max()) / 2
        ax.text(middle, 4, f"{side} hemisphere", ha="center", va="bottom", fontsize=SMALL)
    ax.set(aspect="equal", xlim=(-2, x_next - _GAP + 2), ylim=(bottom - 2, 2 if small else 16))
    ax.set_axis_off()
    if small:
        return ax
    # Inside the axes' own frame, so that the bar stays beside the map, whatever the shape of the axes.
    bar = ax.inset_axes((1.02, 0.15, 0.03, 0.7))
    bar = ax.figure.colorbar(plt.cm.ScalarMappable(norm, cmap), cax=bar, label=label)
    if categories:
        bar.set_ticks(range(len(categories)), labels=[plain(name) for name in categories])
    if title:
        ax.set_title(title, fontsize=11)
    _say(ax, significant.all(), np.count_nonzero(np.isfinite(values)), n_drawn)
    place_names(ax.figure, [(ax, *entry) for entry in names])
    return ax


def _on_mesh(values, significant, vertex, side: str, fill: bool) -> tuple[np.ndarray, np.ndarray]:
    """Values and significance at every mesh vertex ``(2, 32492)``, NaN where none; and the area of each, or empty."""
    label = mesh_areas(side)
    areas = np.where(np.isin(label, np.unique(label[vertex])), label, "")
    out = np.full((2, N_MESH_VERTICES), np.nan)
    both = np.stack([values, significant], axis=1)
    if fill:
        target = np.flatnonzero(areas != "")
        sides = (np.full(len(vertex), side), np.full(len(target), side))
        out[:, target] = fill_from_nearest(both, (vertex, sides[0]), (target, sides[1])).T
    out[:, vertex] = both.T
    return out, areas


def _crop(side: str, has_value: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Flat coordinates, triangles near the data, and the mesh vertices these use."""
    corners, triangles = surface("flat", side)
    low = corners[has_value].min(axis=0) - _MARGIN
    high = corners[has_value].max(axis=0) + _MARGIN
    inside = ((corners >= low) & (corners <= high)).all(axis=1)
    triangles = triangles[inside[triangles].all(axis=1)]
    return corners, triangles, np.unique(triangles)


def _draw(ax, corners, triangles, on_mesh, areas, side, cmap, norm, n_corners, *, blend) -> None:
    """Sulci, and above them the triangles of which at least ``n_corners`` corners have a value: their mean, or one."""
    depth = sulcal_depth(side)[triangles].mean(axis=1)
    common = {"antialiased": False, "rasterized": True}
    ax.tripcolor(*corners.T, triangles, facecolors=depth, cmap=_SULCI, vmin=-1.2, vmax=1.0, **common)
    label = areas[triangles]
    majority = np.where(label[:, 1] == label[:, 2], label[:, 1], label[:, 0])
    has_value = np.isfinite(on_mesh[0][triangles])
    use = (label == majority[:, None]) & has_value & (majority != "")[:, None]
    count = use.sum(axis=1)
    drawn = (count > 0) & (has_value.sum(axis=1) >= n_corners)
    if not blend:
        use &= np.cumsum(use, axis=1) == 1
        count = use.sum(axis=1)
    mean, share = (np.where(use, values[triangles], 0).sum(axis=1)[drawn] / count[drawn] for values in on_mesh)
    faces = triangles[drawn]
    if (share >= 0.5).any():
        coloured = share >= 0.5
        ax.tripcolor(*corners.T, faces[coloured], facecolors=mean[coloured], cmap=cmap, norm=norm, zorder=2, **common)
    if (share < 0.5).any():
        grey = faces[share < 0.5]
        plain = ListedColormap([NOT_SIGNIFICANT])
        ax.tripcolor(*corners.T, grey, facecolors=np.zeros(len(grey)), cmap=plain, zorder=2, **common)


def _borders(corners: np.ndarray, triangles: np.ndarray, areas: np.ndarray) -> np.ndarray:
    """Segments ``(n_segments, 2, 2)`` that separate areas, through the middles of the edges they cut."""
    label = areas[triangles]
    cut = label != np.roll(label, -1, axis=1)
    middle = (corners[triangles] + corners[np.roll(triangles, -1, axis=1)]) / 2
    two, three = cut.sum(axis=1) == 2, cut.all(axis=1)
    segments = [middle[two][cut[two]].reshape(-1, 2, 2)]
    centre = np.broadcast_to(corners[triangles[three]].mean(axis=1)[:, None], middle[three].shape)
    segments.append(np.stack([middle[three], centre], axis=2).reshape(-1, 2, 2))
    return np.concatenate(segments)


def _names(corners: np.ndarray, triangles: np.ndarray, areas: np.ndarray) -> list[tuple[int, str, np.ndarray]]:
    """Size and name of each area, and where its name may stand: vertices deep within it first, ``(n, 2)``."""
    edges = np.sort(triangles[:, [[0, 1], [1, 2], [2, 0]]].reshape(-1, 2), axis=1)
    _, first, count = np.unique(edges @ [len(corners), 1], return_index=True, return_counts=True)
    near, rim = np.unique(triangles), np.unique(edges[first[count == 1]])
    names, number = np.unique(areas[near], return_inverse=True)
    on_rim, out = np.isin(near, rim), []
    for i, name in enumerate(names):
        if not name:
            continue
        members = near[number == i]
        outside = cKDTree(corners[near[(number != i) | on_rim]], compact_nodes=False, balanced_tree=False)
        deep = np.argsort(-outside.query(corners[members])[0])[: max(1, len(members) // 3)]
        out.append((len(members), str(name), corners[members[deep]][:: max(1, len(deep) // 12)]))
    return out


def place_names(figure: Figure, names: list[tuple[Axes, int, str, np.ndarray]]) -> None:
    """Write the names of areas (axes, size, name, places), largest first, leaving out what would run into another."""
    # The layout must be known before the size of a text can be compared with that of its area.
    figure.draw_without_rendering()
    room = figure.dpi / 72  # half the width of what is white around a letter
    taken = []
    for ax, _, name, places in sorted(names, key=lambda entry: -entry[1]):
        text = ax.text(*places[0], name, ha="center", va="center", fontsize=SMALL, zorder=4)
        text.set_path_effects([withStroke(linewidth=2, foreground="white")])
        for place in places:
            text.set_position(place)
            box = text.get_window_extent().padded(room)
            if not any(box.overlaps(other) for other in taken):
                taken.append(box)
                break
        else:
            text.remove()


def _say(ax: Axes, all_significant: bool, n_given: int, n_drawn: int) -> None:
    """Below the map: what grey means, and that vertices were filled."""
    if not all_significant:
        grey = Patch(facecolor=NOT_SIGNIFICANT, edgecolor="k", linewidth=0.5, label="not significant")
        ax.legend(handles=[grey], loc="upper center", bbox_to_anchor=(0.5, 0.0), frameon=False, fontsize=SMALL)
    if n_drawn > n_given:
        note = f"{n_given:,} of {n_drawn:,} vertices have a value; the others show the nearest one in their area"
        ax.annotate(
            note, (0.5, 0), (0, -2 if all_significant else -18), xycoords="axes fraction",
            textcoords="offset points", ha="center", va="top", fontsize=SMALL, color="0.3",
        )  # fmt: skip
