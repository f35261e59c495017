"""The trends of several scenarios in one figure."""

from __future__ import annotations

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib import pyplot as plt
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from jne.measures import short_label
from jne.plotting.caption_texts import SMALL_P, trend_p
from jne.plotting.style import PAGE_WIDTH, SMALL, title

_GIVEN = ("true_nonlinearity", "noise_ceiling", "explained")  # drawn in grey: no measure of nonlinearity


def figure_scenario_trends(table: pd.DataFrame, first: xr.Dataset) -> Figure:
    """Rank correlation with the level of what was planted and of each measure (rows), one panel per scenario.

    Filled where chance gives one as far from zero in fewer than 5 % of smooth maps; of permuted areas, where there are
    no smooth maps.

    Parameters
    ----------
    table : pandas.DataFrame
        From `jne.statistics.trend_tests`.
    first : xarray.Dataset
        One of the results, for the title.
    """
    names, measures = (list(table.index.unique(level)) for level in (0, 1))
    size = (PAGE_WIDTH, 1.5 + 0.3 * len(measures))
    figure, axes = plt.subplots(1, len(names), figsize=size, sharey=True, squeeze=False)
    colours = dict(zip((m for m in measures if m not in _GIVEN), ("C1", "C0", "C2", "C4", "C3"), strict=False))
    places = -np.arange(len(measures))
    for ax, name in zip(axes[0], names, strict=True):
        rows = table.loc[name].reindex(measures)
        p = trend_p(rows)
        ax.axvline(0, color="0.6", linewidth=1, zorder=0)
        for place, (measure, row) in zip(places, rows.iterrows(), strict=True):
            colour = colours.get(measure, "0.45")
            ax.plot([0, row["rho"]], [place, place], color=colour, linewidth=2, zorder=1)
            face = colour if p[measure] < SMALL_P else "white"
            ax.scatter(row["rho"], place, s=44, facecolor=face, edgecolor=colour, linewidth=1.6, zorder=2)
        ax.set(xlim=(-1.15, 1.15), ylim=(places[-1] - 0.6, 0.6))
        ax.set_xticks([-1, 0, 1])
        ax.set_title(name, fontsize=SMALL)
    axes[0, 0].set_yticks(places, [short_label(measure).replace("\n", " ") for measure in measures])
    figure.supxlabel("Spearman ρ over areas with the level", fontsize="medium")
    dots = [Line2D([], [], marker="o", linestyle="", color="0.3", markerfacecolor=face) for face in ("0.3", "white")]
    words = [f"p < {SMALL_P:g}", f"p ≥ {SMALL_P:g}"]
    figure.legend(dots, words, loc="outside upper right", ncols=2, frameon=False, fontsize=SMALL)
    figure.suptitle(title(first, "what rises, by scenario"), x=0.02, ha="left")
    return figure
