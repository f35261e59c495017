"""JNE-SS by area and category, and the stimuli behind it."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
import seaborn as sns
import xarray as xr
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from jne.plotting.areas import area_label
from jne.plotting.characters import plain
from jne.plotting.style import PAGE_WIDTH, SMALL, title

MOST_CATEGORIES = 24
"""More do not fit on a page: those with the largest values of either sign are shown."""


def plot_category_heatmap(
    table: pd.DataFrame, *, label: str, limit: float | None = None, marked: pd.DataFrame | None = None, ax=None
) -> Axes:
    """Areas (rows) by categories (columns), on a diverging scale around zero.

    Parameters
    ----------
    table : pandas.DataFrame
        From `jne.statistics.category_table`.
    label : str
        Of the colour bar, with units.
    limit : float, optional
        End of the scale on either side; by default the largest value.
    marked : pandas.DataFrame of bool, optional
        Cells that get a dot.
    ax : matplotlib Axes, optional
    """
    ax = ax or plt.gca()
    limit = limit or np.nanmax(np.abs(table.to_numpy()))
    bar = {"label": label, "location": "bottom", "shrink": 0.8, "pad": 0.02, "aspect": 30}
    style = {"cmap": "PuOr_r", "vmin": -limit, "vmax": limit, "linewidths": 0.5, "cbar_kws": bar}
    sns.heatmap(table.rename(index=area_label, columns=plain), ax=ax, **style)
    if marked is not None:
        rows, columns = np.nonzero(marked.loc[table.index, table.columns].to_numpy())
        ax.scatter(columns + 0.5, rows + 0.5, s=14, color="k", zorder=3)
    ax.set(xlabel="", ylabel="")
    ax.xaxis.tick_top()
    ax.tick_params(length=0, labelsize=SMALL)
    ax.set_xticks(
        np.arange(table.shape[1]) + 0.5,
        [plain(name) for name in table.columns],
        rotation=40,
        ha="left",
        rotation_mode="anchor",
    )
    ax.set_yticks(np.arange(len(table)) + 0.5, [area_label(area) for area in table.index], rotation=0)
    return ax


def figure_categories(
    panels: Mapping[str, pd.DataFrame], first: xr.Dataset, *, marked: Mapping[str, pd.DataFrame] | None = None
) -> Figure:
    """Tables of areas and categories side by side, each with colours of its own.

    Parameters
    ----------
    panels : mapping of str to pandas.DataFrame
        What the colours say -> table, such as one of `jne.statistics.category_table`.
    first : xarray.Dataset
        One of the results, for the title.
    marked : mapping of str to pandas.DataFrame of bool, optional
        Cells of a panel that get a dot.
    """
    scores, note, marked = next(iter(panels.values())), "", marked or {}
    n_categories = scores.shape[1]
    if n_categories > MOST_CATEGORIES:
        largest = np.argsort(-scores.abs().max(axis=0).to_numpy(), kind="stable")[:MOST_CATEGORIES]
        names = scores.columns[np.sort(largest)]
        panels = {label: table[names] for label, table in panels.items()}
        marked = {label: table[names] for label, table in marked.items()}
        note = f"{MOST_CATEGORIES} of {n_categories} categories: those with the largest values"
    many = n_categories > 12
    height = 1.9 + 0.18 * len(scores)
    n_panels = len(panels)
    shape, size = ((n_panels, 1), (PAGE_WIDTH, n_panels * height)) if many else ((1, n_panels), (PAGE_WIDTH, height))
    figure, axes = plt.subplots(*shape, figsize=size, sharey=not many, squeeze=False)
    for ax, (label, table) in zip(axes.flat, panels.items(), strict=True):
        plot_category_heatmap(table, label=label, marked=marked.get(label), ax=ax)
    if note:
        figure.supxlabel(note, fontsize=SMALL, color="0.3")
    figure.suptitle(title(first, "areas by category of stimuli"))
    return figure


def plot_category_profile(table: pd.DataFrame, area: str, *, label: str, ax: Axes | None = None) -> Axes:
    """One area's row of `plot_category_heatmap` as dots on lines from zero."""
    ax = ax or plt.gca()
    values = table.loc[area]
    positions = np.arange(len(values))[::-1]
    ax.axvline(0, color="0.4", linewidth=1)
    ax.hlines(positions, 0, values, color="0.8")
    ax.scatter(values, positions, s=36, color="C0", zorder=2)
    ax.set_yticks(positions, values.index)
    ax.set(xlabel=label, title=area_label(area))
    return ax


def figure_profiles(tables: Mapping[str, pd.DataFrame], areas: list[str], first: xr.Dataset) -> Figure:
    """Category profiles of some areas (columns), one row per table.

    Parameters
    ----------
    tables : mapping of str to pandas.DataFrame
        Such as ``{"gated": ..., "gate off": ...}``.
    areas : list of str
    first : xarray.Dataset
        One of the results, for the title.
    """
    size = (PAGE_WIDTH, 0.9 + 1.9 * len(tables))
    figure, axes = plt.subplots(len(tables), len(areas), figsize=size, sharex=True, sharey=True, squeeze=False)
    for row, (name, table) in zip(axes, tables.items(), strict=True):
        for ax, area in zip(row, areas, strict=True):
            plot_category_profile(table, area, label="", ax=ax)
            ax.set_title(f"{area_label(area).replace(' (', chr(10) + '(')}\n{name}", fontsize=SMALL)
    figure.supxlabel("JNE-SS (z-score over stimuli)", fontsize="medium")
    figure.suptitle(title(first, "category profiles"))
    return figure


def figure_called(rates: pd.DataFrame, first: xr.Dataset) -> Figure:
    """Share of the cells that each test calls significant, where nothing is gated and where the gate is on.

    Parameters
    ----------
    rates : pandas.DataFrame
        Tests (rows) by kinds of cells (columns), shares between 0 and 1.
    first : xarray.Dataset
    """
    figure, ax = plt.subplots(figsize=(PAGE_WIDTH * 0.75, 1.2 + 0.45 * len(rates)))
    for number, kind in enumerate(rates.columns):
        place = -np.arange(len(rates)) + 0.12 - 0.24 * number
        marker = "osD"[number % 3]
        ax.scatter(100 * rates[kind], place, s=44, color=f"C{number}", marker=marker, label=kind, zorder=2)
    ax.axvline(5, color="k", linewidth=1, linestyle="--")
    ax.text(5.4, 0.55, "5 %: what p < 0.05 promises", fontsize=SMALL, va="top")
    ax.set_yticks(-np.arange(len(rates)), rates.index)
    ax.set(
        xlabel="cells with p < 0.05 (%)", xlim=(0, max(30, 105 * rates.to_numpy().max())), ylim=(-len(rates) + 0.4, 0.6)
    )
    ax.legend(frameon=False, fontsize=SMALL, loc="upper left", bbox_to_anchor=(0, -0.42), ncols=2)
    figure.suptitle(title(first, "how often each test calls a cell selective"))
    return figure


def plot_stimuli(result: xr.Dataset, scores: np.ndarray, *, n_stimuli: int = 6) -> Figure:
    """The stimuli with the highest (upper row) and the lowest (lower row) scores: pictures, or chips with a category.

    Parameters
    ----------
    result : xarray.Dataset
        With ``thumbnail (sample, y, x, rgb)``, or with ``category (sample)``.
    scores : array ``(n_samples,)``
    n_stimuli : int
        In each row.
    """
    order = np.argsort(scores, kind="stable")
    n_stimuli = min(n_stimuli, len(order) // 2)
    figure, rows = plt.subplots(2, n_stimuli, figsize=(1.15 * n_stimuli, 2.8), squeeze=False)
    for row, chosen, name in zip(rows, (order[::-1], order), ("most", "least"), strict=True):
        for ax, sample in zip(row, chosen[:n_stimuli], strict=True):
            if "thumbnail" in result:
                ax.imshow(result["thumbnail"].values[sample])
            else:
                _chip(ax, str(result["category"].values[sample]), sorted(set(result["category"].values.astype(str))))
            ax.set_title(f"{scores[sample]:+.1f}", fontsize=SMALL)
            ax.set(xticks=[], yticks=[])
            sns.despine(ax=ax, left=True, bottom=True)
        row[0].set_ylabel(name)
    return figure


def _chip(ax: Axes, category: str, categories: list[str]) -> None:
    """A coloured square with the name of a category, one word per line."""
    colors = sns.color_palette("colorblind", 10)
    color = colors[categories.index(category) % len(colors)]
    ax.add_patch(Rectangle((0.03, 0.1), 0.94, 0.8, facecolor=(*color, 0.35), edgecolor=color, linewidth=2))
    words = "\n".join(word[:12] for word in category.replace("_", " ").split()[:3])
    ax.text(0.5, 0.5, words, ha="center", va="center", fontsize=SMALL)
    ax.set(xlim=(0, 1), ylim=(0, 1), aspect="equal")
