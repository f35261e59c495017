"""Measures by area and by hierarchy level."""

from __future__ import annotations

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib import pyplot as plt
from matplotlib.axes import Axes

from jne.cortex import LEVELS, STANDS_FOR
from jne.plotting.style import LEVEL_CMAP


def level_colors() -> dict[str, tuple]:
    """A colour for each hierarchy level, dark (V1) to light (higher)."""
    return dict(zip(LEVELS, sns.color_palette(LEVEL_CMAP, len(LEVELS)), strict=True))


def area_label(area: str) -> str:
    """An area's name, with the functional area it stands for in brackets: ``FFC (FFA)``."""
    return f"{area} ({STANDS_FOR[area]})" if area in STANDS_FOR else area


def plot_areas(table: pd.DataFrame, measure: str, *, label: str, ax: Axes | None = None) -> Axes:
    """Mean of a measure in each area as sorted dots, coloured by level where the table has levels.

    Parameters
    ----------
    table : pandas.DataFrame
        From `jne.summaries.area_table`.
    measure : str
        A column of it.
    label : str
        Of the axis, with units.
    """
    ax = ax or plt.gca()
    table = table.sort_values(measure)
    known = level_colors()
    colors = [known.get(level, "0.7") for level in table["level"]] if "level" in table else ["C0"] * len(table)
    positions = np.arange(len(table))
    ax.hlines(positions, 0, table[measure], color="0.85", zorder=1)
    ax.scatter(table[measure], positions, c=colors, s=36, edgecolor="0.2", linewidth=0.5, zorder=2)
    ax.set_yticks(positions, [area_label(area) for area in table.index], fontsize="small")
    ax.set(xlabel=label, ylim=(-0.7, len(table) - 0.3))
    ax.set_xlim(left=min(0, ax.get_xlim()[0]))
    return ax


def plot_levels(table: pd.DataFrame, measure: str, *, label: str, ax: Axes | None = None) -> Axes:
    """A measure along the visual hierarchy: one dot per area, a line through the mean of the areas of each level."""
    ax = ax or plt.gca()
    present = [level for level in LEVELS if (table["level"] == level).any()]
    means = table.groupby("level")[measure].mean().reindex(present)
    ax.plot(range(len(present)), means, color="0.5", linewidth=1.5, zorder=1)
    for position, level in enumerate(present):
        values = table.loc[table["level"] == level, measure].to_numpy()
        spread = np.linspace(-0.18, 0.18, len(values)) if len(values) > 1 else [0]
        color = level_colors()[level]
        ax.scatter(position + np.asarray(spread), values, color=[color], s=30, edgecolor="0.2", linewidth=0.5, zorder=2)
    ax.set_xticks(range(len(present)), present)
    ax.set(ylabel=label, xlim=(-0.5, len(present) - 0.5), ylim=(0, max(ax.get_ylim()[1], 1.1 * table[measure].max())))
    return ax
