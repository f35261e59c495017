"""Maps side by side: both encoders' R² and their difference, and one measure of several subjects."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import seaborn as sns
import xarray as xr
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from jne.cortex import FLAT, HEMISPHERES, MESH, PIXEL, pixel_vertices
from jne.measures import label_of, short_label
from jne.plotting.areas import area_label
from jne.plotting.characters import plain
from jne.plotting.style import PAGE_WIDTH, SMALL, legend_below, title
from jne.plotting.surfaces import has_surface, limits, map_note, on_surface, surface_image
from jne.statistics import area_table, predicted_voxels

DIVERGING = "RdBu_r"
ABOVE = 16
"""Points from a map of `plot_cortex` to its title, which stands above the hemispheres' names."""
_GAP = 12  # pixels between two views
_MARGIN = 12.0  # millimetres of flat cortex around the data


def plot_cortex(
    result: xr.Dataset,
    values: np.ndarray,
    *,
    norm: Normalize,
    cmap="viridis",
    significant: np.ndarray | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Both hemispheres in one small panel: the flat map; on fsaverage the inflated cortex, from behind and from below.

    Without names of areas, bar of colours and notes, which `plot_flatmap` has. The flat map is cut to where data are.

    Parameters
    ----------
    result : xarray.Dataset
        Of which `has_surface` is true.
    values : array ``(n_voxels,)``
        As in `on_surface`, vertices without one take that of the nearest in the same area.
    norm, cmap
        Limits and colours.
    significant : array of bool ``(n_voxels,)``, optional
        The others are plain grey.
    """
    ax = ax or plt.gca()
    values = np.asarray(values, float)
    significant = np.ones(values.shape, bool) if significant is None else np.asarray(significant, bool)
    mesh, hemisphere = result["vertex"].attrs.get("mesh", MESH), result["hemisphere"].values.astype(str)
    sides = [side for side in HEMISPHERES if side in hemisphere]
    place = result["vertex"].values, hemisphere
    shown = {side: on_surface(values, significant, *place, mesh=mesh, side=side) for side in sides}
    views = [(view, side) for view in ((FLAT,) if mesh == MESH else ("posterior", "ventral")) for side in sides]
    images = [surface_image(*shown[side], norm, cmap, mesh, side, view) for view, side in views]
    if mesh == MESH:
        known = [np.isfinite(shown[side][0])[pixel_vertices(mesh, side, FLAT)[0]] for side in sides]
        images = [_cut(*pair) for pair in zip(images, known, strict=True)]
    ax.imshow(_beside(images), interpolation="antialiased")
    starts = np.cumsum([0, *(image.shape[1] + _GAP for image in images)])
    for (_, side), start, image in zip(views, starts[:-1], images, strict=True):
        ax.text(start + image.shape[1] / 2, -4, side, ha="center", va="bottom", fontsize=SMALL)
    ax.set_axis_off()
    return ax


def _cut(image: np.ndarray, has_value: np.ndarray) -> np.ndarray:
    """The part of an image around its pixels that have a value."""
    if not has_value.any():
        return image
    edge = round(_MARGIN / PIXEL)
    (top, bottom), (left, right) = ((places.min(), places.max()) for places in np.nonzero(has_value))
    return image[max(0, top - edge) : bottom + edge, max(0, left - edge) : right + edge]


def _beside(images: Sequence[np.ndarray]) -> np.ndarray:
    """Images in a row, with clear pixels between them, and above and below the smaller ones."""
    height = max(len(image) for image in images)
    rooms = [height - len(image) for image in images]
    padded = [
        np.pad(image, ((room // 2, room - room // 2), (0, _GAP), (0, 0)))
        for image, room in zip(images, rooms, strict=True)
    ]
    return np.concatenate(padded, axis=1)[:, :-_GAP]


def figure_r2_maps(results: Mapping[str, xr.Dataset]) -> Figure:
    """R² of the linear and of the nonlinear encoder on one scale, and their difference, one row per subject.

    As in Figures 4, 13 and 14 of the paper. Where voxels have no place on a mesh that is known here: the areas' means,
    over all voxels; without areas, or where nothing is predicted, how many voxels have which R².

    Parameters
    ----------
    results : mapping of str to xarray.Dataset
        One per subject, with ``r2`` and ``r2_linear (voxel)``.

    Returns
    -------
    matplotlib Figure
    """
    both_encoders(results)
    if all(map(has_surface, results.values())):
        figure = _r2_on_cortex(results)
    elif all("roi" in result and predicted_voxels(result).any() for result in results.values()):
        figure = _r2_of_areas(results)
    else:
        figure = _r2_histograms(results)
    figure.suptitle(title(next(iter(results.values())), "what each encoder predicts"))
    return figure


def both_encoders(results: Mapping[str, xr.Dataset]) -> None:
    """Refuse results of studies without the linear encoder."""
    if without := [name for name, result in results.items() if "r2_linear" not in result]:
        raise ValueError(f"{without[0]} has no r2_linear; give results of jne.run_study(..., linear=True)")


def _r2_on_cortex(results: Mapping[str, xr.Dataset]) -> Figure:
    linear, nonlinear = ([result[name].values for result in results.values()] for name in ("r2_linear", "r2"))
    gain = [own - other for own, other in zip(nonlinear, linear, strict=True)]
    scale = Normalize(0, _top([*linear, *nonlinear]))
    span = _top([np.abs(values) for values in gain])
    difference = Normalize(-span, span)
    size = (PAGE_WIDTH, 1.0 + 2.1 * len(results))
    figure, axes = plt.subplots(len(results), 3, figsize=size, squeeze=False)
    for row, (name, result), *values in zip(axes, results.items(), linear, nonlinear, gain, strict=True):
        looks = (scale, "viridis"), (scale, "viridis"), (difference, DIVERGING)
        for ax, shown, (norm, cmap) in zip(row, values, looks, strict=True):
            plot_cortex(result, shown, norm=norm, cmap=cmap, significant=predicted_voxels(result), ax=ax)
        if len(results) > 1:
            row[0].text(-0.02, 0.5, plain(name), rotation=90, va="center", ha="right", transform=row[0].transAxes)
    for ax, name in zip(axes[0], ("linear", "nonlinear", "nonlinear − linear"), strict=True):
        ax.set_title(name, fontsize=SMALL, pad=ABOVE)
    for norm, cmap, under, label in (
        (scale, "viridis", axes[:, :2], "R²"),
        (difference, DIVERGING, axes[:, 2:], "difference of R²"),
    ):
        bar = {"location": "bottom", "shrink": 0.6, "aspect": 25, "pad": 0.02, "label": label}
        figure.colorbar(ScalarMappable(norm, cmap), ax=list(under.flat), extend="both", **bar)
    figure.supxlabel(map_note(next(iter(results.values()))), fontsize=SMALL, color="0.3")
    return figure


def _top(values: Sequence[np.ndarray]) -> float:
    """What all but one percent of the finite values stay below, at least a little above zero."""
    whole = np.concatenate(values)
    return max(float(np.quantile(whole[np.isfinite(whole)], 0.99)), 0.01) if np.isfinite(whole).any() else 1.0


def _r2_of_areas(results: Mapping[str, xr.Dataset]) -> Figure:
    tables = [area_table(result, ("r2", "r2_linear")) for result in results.values()]
    areas = tables[0].index
    figure, axes = plt.subplots(1, 2, figsize=(PAGE_WIDTH, 1.4 + 0.19 * len(areas)), sharey=True)
    place = -np.arange(len(areas))
    for number, table in enumerate(tables):
        table = table.reindex(areas)
        style = {"s": 22, "linewidth": 1.1, "alpha": 0.9}
        label = dict(zip(("r2_linear", "r2"), ("linear", "nonlinear"), strict=True)) if not number else {}
        for measure, marker, color in (("r2_linear", "o", "C1"), ("r2", "D", "C0")):
            name = label.get(measure)
            axes[0].scatter(
                table[measure], place, marker=marker, facecolor="none", edgecolor=color, label=name, **style
            )
        axes[1].scatter(table["r2"] - table["r2_linear"], place, facecolor="none", edgecolor="0.2", **style)
    axes[1].axvline(0, color="0.6", linewidth=1, zorder=0)
    axes[0].set_yticks(place, [area_label(area) for area in areas], fontsize=SMALL)
    axes[0].set(xlabel="R², mean of area", ylim=(-len(areas) + 0.4, 0.6))
    axes[1].set_xlabel("R² nonlinear − linear, mean of area")
    legend_below(figure, axes[0])
    return figure


def _r2_histograms(results: Mapping[str, xr.Dataset]) -> Figure:
    figure, axes = plt.subplots(1, 2, figsize=(PAGE_WIDTH, 2.8), sharey=True)
    linear, nonlinear = (np.concatenate([r[name].values for r in results.values()]) for name in ("r2_linear", "r2"))
    for values, name, color in ((linear, "linear", "C1"), (nonlinear, "nonlinear", "C0")):
        axes[0].hist(values, bins=30, histtype="step", color=color, linewidth=1.5, label=name)
    axes[1].hist(nonlinear - linear, bins=30, histtype="step", color="0.2", linewidth=1.5)
    axes[1].axvline(0, color="0.6", linewidth=1, zorder=0)
    axes[0].set(xlabel="R²", ylabel="voxels")
    axes[1].set_xlabel("R² nonlinear − linear")
    legend_below(figure, axes[0])
    return figure


def figure_maps(results: Mapping[str, xr.Dataset], measure: str = "jne") -> Figure:
    """A measure on the cortex of every subject, on one scale, as in Figure 16 of the paper.

    Where voxels have no place on a mesh that is known here: areas by subjects; without areas, how many voxels have
    which value.

    Parameters
    ----------
    results : mapping of str to xarray.Dataset
        One per subject.
    measure : str
    """
    values = {name: result[measure].values for name, result in results.items()}
    kept = {name: values[name][predicted_voxels(result)] for name, result in results.items()}
    if all(map(has_surface, results.values())):
        columns = min(len(results), 2)
        rows = -(-len(results) // columns)
        size = (PAGE_WIDTH, 1.1 + rows * (4.2 if columns == 1 else 2.9))
        figure, axes = plt.subplots(rows, columns, figsize=size, squeeze=False)
        shown = np.concatenate(list(kept.values()))
        norm = limits(shown[np.isfinite(shown)])
        for ax in axes.flat[len(results) :]:
            ax.set_axis_off()
        for ax, (name, result) in zip(axes.flat, results.items(), strict=False):
            plot_cortex(result, values[name], norm=norm, significant=predicted_voxels(result), ax=ax)
            ax.set_title(plain(name), fontsize=SMALL, pad=ABOVE)
        bar = {"location": "bottom", "shrink": 0.5, "aspect": 30, "pad": 0.02, "label": label_of(measure)}
        figure.colorbar(ScalarMappable(norm, "viridis"), ax=list(axes.flat), extend="both", **bar)
        figure.supxlabel(map_note(next(iter(results.values()))), fontsize=SMALL, color="0.3")
    elif all("roi" in result for result in results.values()):
        columns = {name: area_table(result, (measure,))[measure] for name, result in results.items()}
        table = pd.DataFrame(columns).loc[next(iter(columns.values())).index]
        figure, ax = plt.subplots(figsize=(min(PAGE_WIDTH, 3.2 + 0.9 * len(results)), 1.4 + 0.19 * len(table)))
        bar = {"label": f"{short_label(measure)}, mean of area"}
        known = table.to_numpy()[table.notna().to_numpy()]
        span = dict(zip(("vmin", "vmax"), (known.min(), known.max()) if known.size else (0, 1), strict=True))
        named = table.rename(index=area_label, columns=plain)
        sns.heatmap(named, ax=ax, cmap="viridis", linewidths=0.4, cbar_kws=bar, **span)
        ax.set(xlabel="", ylabel="")
        ax.set_yticks(np.arange(len(table)) + 0.5, [area_label(area) for area in table.index], rotation=0)
    else:
        figure, ax = plt.subplots(figsize=(6, 3))
        for number, (name, own) in enumerate(kept.items()):
            ax.hist(own[np.isfinite(own)], bins=30, histtype="step", color=f"C{number}", label=plain(name))
        ax.set(xlabel=label_of(measure), ylabel="significant voxels")
        legend_below(figure, ax)
    figure.suptitle(title(next(iter(results.values())), f"{short_label(measure)}, subject by subject"))
    return figure
