"""Measures by area and by hierarchy level."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import seaborn as sns
import xarray as xr
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import ArrayLike

from jne.cortex import LEVELS, STANDS_FOR, all_levels, ordered_levels
from jne.measures import short_label
from jne.plotting.characters import plain
from jne.plotting.style import LEVEL_CMAP, PAGE_WIDTH, SMALL, title
from jne.statistics import area_intervals, area_table, predicted_voxels


def level_colors(levels: ArrayLike = LEVELS) -> dict[str, tuple]:
    """A colour for each hierarchy level of the scale that these are of, dark (lowest) to light."""
    scale = all_levels(levels)
    return dict(zip(scale, sns.color_palette(LEVEL_CMAP, len(scale)), strict=True))


def area_label(area: str) -> str:
    """An area's name, with the functional area it stands for in brackets: ``FFC (FFA)``, ``MT (EBA)``."""
    return f"{area} ({STANDS_FOR[area].split(' (')[0]})" if area in STANDS_FOR else plain(area)


def plot_areas(
    table: pd.DataFrame,
    measure: str,
    *,
    label: str,
    interval: tuple[str, str] | None = None,
    counts: str | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Mean of a measure in each area as sorted dots, coloured by level where the table has levels.

    Parameters
    ----------
    table : pandas.DataFrame
        From `jne.statistics.area_table`.
    measure : str
        A column of it.
    interval : pair of str, optional
        Columns with the lower and the upper end of a line through each dot.
    counts : str, optional
        Column with the number of voxels of each area, written at the right.
    label : str
        Of the axis, with units.
    """
    ax = ax or plt.gca()
    table = table.sort_values(measure)
    known = level_colors(table["level"]) if "level" in table else {}
    colors = [known.get(level, "0.7") for level in table["level"]] if "level" in table else ["C0"] * len(table)
    positions = np.arange(len(table))
    if interval is None:
        ax.hlines(positions, 0, table[measure], color="0.85", zorder=1)
    else:
        low, high = (table[name] for name in interval)
        ax.hlines(positions, low, high, color=colors, linewidth=2, zorder=1)
    ax.scatter(table[measure], positions, c=colors, s=36, edgecolor="0.2", linewidth=0.5, zorder=2)
    ax.set_yticks(positions, [area_label(area) for area in table.index], fontsize=SMALL)
    if counts:
        right = ax.secondary_yaxis("right")
        right.set_yticks(positions, [f"{n:.0f}" for n in table[counts]], fontsize=SMALL, color="0.4")
        right.tick_params(length=0)
        right.spines[:].set_visible(False)
    ax.set(xlabel=label, ylim=(-0.7, len(table) - 0.3))
    ax.set_xlim(left=min(0, ax.get_xlim()[0]))
    return ax


def plot_levels(table: pd.DataFrame, measure: str, *, label: str, ax: Axes | None = None) -> Axes:
    """A measure along the visual hierarchy: one dot per area, a line through the mean of the areas of each level."""
    ax = ax or plt.gca()
    present, colors = ordered_levels(table["level"]), level_colors(table["level"])
    means = table.groupby("level")[measure].mean().reindex(present)
    ax.plot(range(len(present)), means, color="0.5", linewidth=1.5, zorder=1)
    for position, level in enumerate(present):
        values = table.loc[table["level"] == level, measure].to_numpy()
        spread = np.linspace(-0.18, 0.18, len(values)) if len(values) > 1 else [0]
        color = colors[level]
        ax.scatter(position + np.asarray(spread), values, color=[color], s=30, edgecolor="0.2", linewidth=0.5, zorder=2)
    ax.set_xticks(range(len(present)), present)
    ax.set(ylabel=label, xlim=(-0.5, len(present) - 0.5), ylim=(0, max(ax.get_ylim()[1], 1.1 * table[measure].max())))
    return ax


AREAS_PER_COLUMN = 60


def figure_areas(results: Mapping[str, xr.Dataset], measures: Sequence[str]) -> Figure:
    """Every area's mean, sorted, with intervals (`jne.statistics.area_intervals`) and its number of significant voxels.

    Parameters
    ----------
    results : mapping of str to xarray.Dataset
        One per subject; all with ``roi``.
    measures : sequence of str
    """
    tables = {measure: area_intervals(results, measure) for measure in measures}
    n = max(map(len, tables.values()))
    parts = -(-n // AREAS_PER_COLUMN)
    per_column = -(-n // parts)
    # A column each where all areas fit into one; else a row each.
    shape = (1, len(measures)) if parts == 1 else (len(measures), parts)
    size = (PAGE_WIDTH, shape[0] * (1.0 + 0.17 * per_column))
    figure, axes = plt.subplots(*shape, figsize=size, squeeze=False)
    for number, (measure, table) in enumerate(tables.items()):
        table = table.dropna(subset="mean").sort_values("mean", ascending=False)
        row = [axes[0, number]] if parts == 1 else axes[number]
        for column, ax in enumerate(row):
            some = table.iloc[column * per_column : (column + 1) * per_column]
            if len(some):
                plot_areas(some, "mean", label=short_label(measure), interval=("low", "high"), counts="n_voxels", ax=ax)
                ax.set_xlim(_span(table))
            else:
                ax.set_axis_off()
    first = next(iter(results.values()))
    if "level" in first:
        _level_legend(figure, ordered_levels(first["level"].values))
    figure.suptitle(title(first, "areas, sorted"))
    return figure


def _span(table: pd.DataFrame) -> tuple[float, float]:
    """Room for all means and for intervals of a reasonable width; with two subjects some are not."""
    if table.empty:
        return 0.0, 1.0
    low, high = min(0, table["mean"].min()), table["mean"].max()
    return low, min(table[["high", "mean"]].max().max(), low + 1.6 * (high - low)) + 0.05 * (high - low)


def _level_legend(figure: Figure, levels: list[str]) -> None:
    colors = level_colors(levels)
    dots = [Line2D([], [], marker="o", linestyle="", color=colors[level], markeredgecolor="0.2") for level in levels]
    figure.legend(dots, levels, loc="outside lower center", ncols=len(levels), frameon=False, fontsize=SMALL)


def plot_distribution(result: xr.Dataset, measure: str, *, label: str = "", ax: Axes | None = None) -> Axes:
    """A measure by hierarchy level: how its significant voxels spread (violins) and the mean of each area (dots).

    Parameters
    ----------
    result : xarray.Dataset
        With ``level``, ``roi`` and the measure ``(voxel)``.
    measure, label : str
    """
    ax = ax or plt.gca()
    table = area_table(result, (measure,))
    levels, colors = ordered_levels(table["level"]), level_colors(table["level"])
    kept = predicted_voxels(result)
    values, level_of = result[measure].values[kept], result["level"].values.astype(str)[kept]
    groups = [values[(level_of == level) & np.isfinite(values)] for level in levels]
    shown = [(place, group) for place, group in enumerate(groups) if len(group) > 1 and np.ptp(group) > 0]
    if shown:
        places, content = zip(*shown, strict=True)
        bodies = ax.violinplot(list(content), places, widths=0.85, showextrema=False)["bodies"]
        for place, body in zip(places, bodies, strict=True):
            body.set(facecolor=colors[levels[place]], alpha=0.35, linewidth=0)
    for place, level in enumerate(levels):
        means = table.loc[table["level"] == level, measure].to_numpy()
        spread = np.linspace(-0.2, 0.2, len(means)) if len(means) > 1 else np.zeros(1)
        ax.scatter(place + spread, means, color=[colors[level]], s=14, edgecolor="0.2", linewidth=0.4, zorder=2)
    top = np.nanquantile(values, 0.995) if np.isfinite(values).any() else 1
    ax.set(ylabel=label, xlim=(-0.6, len(levels) - 0.4), ylim=(0, 1.08 * top))
    ax.set_xticks(range(len(levels)), levels, rotation=60, ha="right", rotation_mode="anchor", fontsize=SMALL)
    return ax
