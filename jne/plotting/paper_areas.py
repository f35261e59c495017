"""All voxels and the paper's areas: the encoders' R² against each other, and how a measure spreads."""

from __future__ import annotations

from collections.abc import Mapping
from textwrap import fill

import numpy as np
import xarray as xr
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from jne.cortex import LEVELS
from jne.measures import REGISTRY, label_of, short_label
from jne.plotting.areas import level_colors
from jne.plotting.characters import plain
from jne.plotting.encoder_maps import both_encoders
from jne.plotting.style import PAGE_WIDTH, SMALL, legend_below, title
from jne.statistics import (
    WHOLE,
    area_members,
    encoder_correlations,
    members_of,
    paper_area_table,
    predicted_voxels,
    subject_interval,
)

_COLUMNS = (4, 3)
"""Of small panels: whichever leaves fewer places empty."""


def members_label(area: str, members: tuple[str, ...], width: int = 16) -> str:
    """An area with what stands in for it in a second line: ``EBA``, ``(V4t, MT)``."""
    if members in ((), (area,)):
        return plain(area)
    return f"{plain(area)}\n" + fill(f"({', '.join(plain(name) for name in members)})", width)


def figure_r2_by_area(results: Mapping[str, xr.Dataset]) -> Figure:
    """R² of the nonlinear against that of the linear encoder: one panel for all voxels, one for each area, with r.

    As in Figures 5 and 15 of the paper. All voxels are drawn, significant or not. The areas are those of
    `jne.statistics.area_members`; what stands in for one of the paper's is named. Of several subjects the lowest and
    the highest Pearson r are written into a panel.

    Parameters
    ----------
    results : mapping of str to xarray.Dataset
        One per subject, with ``r2`` and ``r2_linear (voxel)``.

    Returns
    -------
    matplotlib Figure
    """
    both_encoders(results)
    areas = area_members(results)
    panels = {WHOLE: ()} | areas
    found = [encoder_correlations(result) for result in results.values()]
    columns = min(min(_COLUMNS, key=lambda n: -len(panels) % n), len(panels))
    rows = -(-len(panels) // columns)
    size = (PAGE_WIDTH if columns > 2 else 2.6 * columns + 1, 0.9 + 1.95 * rows)
    figure, axes = plt.subplots(rows, columns, figsize=size, sharex=True, sharey=True, squeeze=False)
    low, high = _shared_range(results)
    for ax in axes.flat[len(panels) :]:
        ax.set_axis_off()
    for ax, (area, members) in zip(axes.flat, panels.items(), strict=False):
        for number, (name, result) in enumerate(results.items()):
            here = members_of(result, members) if members else np.ones(result.sizes["voxel"], bool)
            x, y = result["r2_linear"].values[here], result["r2"].values[here]
            style = {"s": 3 if area == WHOLE else 6, "alpha": 0.5, "linewidth": 0, "rasterized": True}
            ax.scatter(x, y, color=f"C{number}", label=plain(name), **style)
        ax.axline((low, low), slope=1, color="0.3", linewidth=0.8)
        ax.set_title(members_label(area, members, 72 // columns), fontsize=SMALL)
        rs = [own[area] for own in found if np.isfinite(own.get(area, np.nan))]
        ax.text(0.97, 0.04, _r_text(rs), transform=ax.transAxes, ha="right", fontsize=SMALL)
        ax.tick_params(labelsize=SMALL)
    axes[0, 0].set(xlim=(low, high), ylim=(low, high))
    # Below the last panel of a column nothing may stand.
    for ax in axes.flat[max(0, len(panels) - columns) : len(panels)]:
        ax.xaxis.set_tick_params(labelbottom=True)
        ax.set_xlabel(REGISTRY["r2_linear"].label, fontsize=SMALL)
    for ax in axes[:, 0]:
        ax.set_ylabel(REGISTRY["r2"].label, fontsize=SMALL)
    if len(results) > 1:
        place = {"loc": "outside lower center", "ncols": len(results), "frameon": False, "fontsize": SMALL}
        figure.legend(*axes[0, 0].get_legend_handles_labels(), markerscale=4, **place)
    figure.suptitle(title(next(iter(results.values())), "do the encoders predict alike?"))
    return figure


def _r_text(rs: list[float]) -> str:
    if not rs:
        return "too few voxels"
    return f"r = {min(rs):.2f}" + (f" to {max(rs):.2f}" if len(rs) > 1 else "")


def _shared_range(results: Mapping[str, xr.Dataset]) -> tuple[float, float]:
    values = np.concatenate([result[name].values for result in results.values() for name in ("r2", "r2_linear")])
    values = values[np.isfinite(values)]
    low, high = np.quantile(values, [0.002, 0.998]) if values.size else (0, 1)
    margin = 0.05 * (high - low) + 0.01
    return float(low - margin), float(high + margin)


def figure_paper_areas(results: Mapping[str, xr.Dataset], measure: str = "jne") -> Figure:
    """How a measure spreads over the significant voxels of all and of each area and, for several subjects, their means.

    As in Figures 6b-c and 17 of the paper. Above: voxels of all subjects together as shapes, with their mean (dot) and
    middle half (line), and their number. Below: a ring per subject, the mean over subjects and its 95 % interval.

    Parameters
    ----------
    results : mapping of str to xarray.Dataset
        One per subject.
    measure : str
    """
    areas = area_members(results)
    table = paper_area_table(results, measure)
    several = len(results) > 1
    size = (PAGE_WIDTH, 5.4 if several else 3.2)
    figure, axes = plt.subplots(
        1 + several, 1, figsize=size, sharex=True, squeeze=False, height_ratios=[3, 2][: 1 + several]
    )
    top = axes[0, 0]
    place = {name: number + 0.4 * (name != WHOLE) for number, name in enumerate(table.index)}
    colors = {name: _area_color(name) for name in table.index}
    parts = {name: _significant(results, measure, areas.get(name, ())) for name in table.index}
    for name, values in parts.items():
        _violin(top, place[name], values, colors[name])
    every = parts[WHOLE]
    low, high = np.quantile(every, [0.002, 0.998]) if every.size else (0, 1)
    top.set(ylabel=label_of(measure) if len(label_of(measure)) < 30 else short_label(measure))
    top.set_ylim(min(0, low), high + 0.12 * (high - min(0, low)))
    for name, values in parts.items():
        style = {"transform": top.get_xaxis_transform(), "ha": "center", "fontsize": SMALL, "color": "0.4"}
        top.text(place[name], 0.97, f"{len(values):,}", va="top", **style)
    if several:
        for name, row in table.iterrows():
            _subjects(axes[1, 0], place[name], row.to_numpy(), colors[name])
        # As above, and as far as the intervals reach: of two subjects they are wide.
        means = axes[1, 0].dataLim.intervaly
        axes[1, 0].set_ylim(min(top.get_ylim()[0], means[0]), max(top.get_ylim()[1], means[1]))
        axes[1, 0].set_ylabel(f"{short_label(measure)},\nmean of each subject")
    last = axes[-1, 0]
    ticks = [members_label(name, areas.get(name, ()), 9) for name in table.index]
    last.set_xticks(list(place.values()), ticks, fontsize=SMALL)
    last.set_xlim(-0.6, max(place.values()) + 0.6)
    figure.suptitle(title(next(iter(results.values())), f"{short_label(measure)}, all voxels and areas"))
    return figure


def _area_color(name: str) -> tuple | str:
    if name == WHOLE:
        return "0.5"
    return level_colors()[name if name in LEVELS else "higher"]


def _significant(results: Mapping[str, xr.Dataset], measure: str, members: tuple[str, ...]) -> np.ndarray:
    """Finite values of all subjects' significant voxels, of some areas or of all voxels."""
    out = []
    for result in results.values():
        kept = predicted_voxels(result)
        out.append(result[measure].values[kept & members_of(result, members) if members else kept])
    values = np.concatenate(out)
    return values[np.isfinite(values)]


def _violin(ax: Axes, place: float, values: np.ndarray, color) -> None:
    if not values.size:
        return
    if values.size > 2 and np.ptp(values) > 0:
        (body,) = ax.violinplot([values], [place], widths=0.8, showextrema=False)["bodies"]
        body.set(facecolor=color, alpha=0.4, linewidth=0)
    ax.plot([place] * 2, np.quantile(values, [0.25, 0.75]), color=color, linewidth=3, solid_capstyle="butt")
    ax.scatter([place], [values.mean()], color=[color], s=26, edgecolor="0.2", linewidth=0.6, zorder=3)


def _subjects(ax: Axes, place: float, values: np.ndarray, color) -> None:
    mean, low, high = subject_interval(values)
    ax.scatter(np.full(len(values), place - 0.13), values, s=22, facecolor="none", edgecolor=color, linewidth=1.2)
    ax.plot([place + 0.13] * 2, [low, high], color=color, linewidth=2)
    ax.scatter([place + 0.13], [mean], marker="D", color=[color], s=26, edgecolor="0.2", linewidth=0.6, zorder=3)


def figure_alike(results: Mapping[str, xr.Dataset], measure: str = "jne") -> Figure:
    """The paper's premise: both encoders' R² against each other, R² of both by area, and a measure by area.

    Parameters
    ----------
    results : mapping of str to xarray.Dataset
        A row each: subjects, or scenarios. With ``r2`` and ``r2_linear (voxel)``. R² is over all voxels, the measure
        over significant ones.
    measure : str
    """
    both_encoders(results)
    areas = area_members(results)
    names = [WHOLE, *areas]
    size = (PAGE_WIDTH, 0.9 + len(results) * (1.1 + 0.16 * len(names)))
    figure, axes = plt.subplots(len(results), 3, figsize=size, squeeze=False, sharex="col")
    low, high = _shared_range(results)
    place = -np.arange(len(names))
    accuracy: list[np.ndarray] = []
    measured: list[np.ndarray] = []
    for (left, middle, right), (name, result) in zip(axes, results.items(), strict=True):
        style = {"s": 6, "alpha": 0.5, "linewidth": 0, "rasterized": True}
        left.scatter(result["r2_linear"], result["r2"], color="C0", **style)
        left.axline((low, low), slope=1, color="0.3", linewidth=0.8)
        left.set(xlim=(low, high), ylim=(low, high))
        left.set_ylabel(REGISTRY["r2"].label, fontsize=SMALL)
        r = encoder_correlations(result)[WHOLE]
        left.text(
            0.97, 0.04, _r_text([r] if np.isfinite(r) else []), transform=left.transAxes, ha="right", fontsize=SMALL
        )
        one = {name: result}
        for key, marker, color, label in (("r2_linear", "o", "C1", "linear"), ("r2", "D", "C0", "nonlinear")):
            values = paper_area_table(one, key).reindex(names)[name]
            accuracy.append(values.to_numpy())
            middle.scatter(values, place, marker=marker, facecolor="none", edgecolor=color, label=label)
        values = paper_area_table(one, measure).reindex(names)[name]
        measured.append(values.to_numpy())
        right.hlines(place, 0, values, color="0.85", zorder=1)
        right.scatter(values, place, color=["0.3", *["C0"] * len(areas)], zorder=2)
        for ax, ticks in ((middle, [plain(name) for name in names]), (right, [""] * len(names))):
            ax.set_yticks(place, ticks, fontsize=SMALL)
            ax.set_ylim(-len(names) + 0.4, 0.6)
        if len(results) > 1:
            left.set_title(plain(name), fontsize=SMALL, loc="left")
    labels = REGISTRY["r2_linear"].label, "mean R²", f"mean {short_label(measure)}"
    for ax, label in zip(axes[-1], labels, strict=True):
        ax.set_xlabel(label, fontsize=SMALL)
    for ax, shown in zip(axes[-1, 1:], (accuracy, measured), strict=True):
        shown = np.concatenate(shown)
        top, bottom = (edge(shown[np.isfinite(shown)], initial=0) for edge in (np.max, np.min))
        margin = 0.06 * (top - bottom or 1)
        ax.set_xlim(bottom - margin * (bottom < 0), top + margin)
    legend_below(figure, axes[0, 1])
    figure.suptitle(title(next(iter(results.values())), "encoders that predict alike, and what is measured"))
    return figure
