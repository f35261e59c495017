"""Small multiples over a grid of parameters."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure

from jne.measures import REGISTRY, short_label
from jne.plotting.style import LEVEL_CMAP, PAGE_WIDTH, SMALL

SIGNED_CMAP = "vlag"
LETTERS = 90
"""That fit side by side under a figure of the page's width."""


def figure_grid(table: pd.DataFrame, result: str, varied: list[str], title: str) -> Figure:
    """Heat maps of a result that has one value per key, such as per area: key x parameter x parameter.

    Parameters
    ----------
    table : pandas.DataFrame
        One row per run; columns ``<result>.<key>`` and those of ``varied``.
    result : str
    varied : list of str
        Parameters that differ between runs. Within a panel from left to right: ``layer`` where it varies, else the
        last; panels from left to right: ``subject`` where it varies, else the first that is left; from top to bottom:
        the others.
    title : str

    Returns
    -------
    matplotlib Figure
        One colour scale for all panels; empty where a run is missing.
    """
    keys = [name for name in table if name.startswith(f"{result}.")]
    across, columns, rows = _axes(varied)
    values = table[keys].to_numpy(float)
    colours = _colours(values)
    panels = [_groups(table, names) for names in (rows, columns)]
    shape = (len(panels[0]), len(panels[1]))
    height = 0.7 + shape[0] * (0.55 + 0.16 * max(len(keys), 6))
    figure, axes = plt.subplots(
        *shape, figsize=(PAGE_WIDTH, max(height, 1.8)), squeeze=False, sharex=True, sharey=True, layout="constrained"
    )
    for (row_label, row), axes_row in zip(panels[0], axes, strict=True):
        for (column_label, column), ax in zip(panels[1], axes_row, strict=True):
            chosen = table.loc[row.intersection(column)]
            labels = chosen[across].astype(str) if across else pd.Series("", index=chosen.index)
            image = chosen[keys].astype(float).groupby(labels, sort=False).mean().T
            image.index = [key.removeprefix(f"{result}.") for key in keys]
            sns.heatmap(image, ax=ax, cbar=False, xticklabels=True, yticklabels=True, **colours)
            ax.set(title="\n".join(filter(None, (row_label, column_label))), xlabel="", ylabel="")
            ax.title.set_fontsize(SMALL)
            ax.tick_params(labelsize=SMALL, length=0)
            crowded = image.columns.str.len().max() * image.shape[1] > LETTERS / shape[1]
            ax.tick_params(axis="x", rotation=90 if crowded else 0)
    bar = figure.colorbar(axes[0, 0].collections[0], ax=axes)
    bar.set_label(result_label(result), size=SMALL)
    bar.ax.tick_params(labelsize=SMALL)
    figure.supxlabel(across or "", fontsize=SMALL)
    figure.suptitle(title)
    return figure


def figure_scalars(table: pd.DataFrame, results: list[str], varied: list[str], title: str) -> Figure:
    """A panel for each result of one value per run, over the parameters that differ.

    Parameters
    ----------
    table : pandas.DataFrame
        One row per run; columns ``results`` and ``varied``.
    results, varied : list of str
        ``varied`` as in `figure_grid`; colour stands for what are its columns and rows there.
    title : str

    Returns
    -------
    matplotlib Figure
    """
    across, columns, rows = _axes(varied)
    position = table[across].astype(str) if across else pd.Series("", index=table.index)
    group = pd.Series(dtype=object, index=table.index)
    for label, members in _groups(table, columns + rows):
        group[members] = label
    n_columns = min(3, len(results))
    n_rows = -(-len(results) // n_columns)
    figure, axes = plt.subplots(
        n_rows, n_columns, figsize=(PAGE_WIDTH, 0.5 + 2.1 * n_rows), squeeze=False, layout="constrained"
    )
    for ax, name in zip(axes.flat, results, strict=False):
        several = group.nunique() > 1
        hue = {"hue": group, "palette": "colorblind" if group.nunique() <= 10 else LEVEL_CMAP} if several else {}
        sns.stripplot(
            x=position, y=table[name].astype(float), ax=ax, size=4, jitter=False, dodge=several, legend=False, **hue
        )
        ax.set_xlabel(across or "", fontsize=SMALL)
        ax.set_ylabel(result_label(name), fontsize=SMALL)
        ax.tick_params(labelsize=SMALL)
    for ax in axes.flat[len(results) :]:
        ax.remove()
    if several:
        names = list(dict.fromkeys(group))
        colors = sns.color_palette(hue["palette"], len(names))
        handles = [plt.Line2D([], [], marker="o", ls="", ms=4, color=color) for color in colors]
        figure.legend(
            handles, names, loc="outside lower center", ncols=min(4, len(names)), fontsize=SMALL, frameon=False
        )
    figure.suptitle(title)
    return figure


def result_label(name: str) -> str:
    """A recorded name in words: a measure's, ``<measure>_vs_<what>``, or its own."""
    measure, between, other = name.partition("_vs_")
    words = short_label(measure) if measure in REGISTRY else _words(measure)
    return f"{words} vs {_words(other)}" if between else words


def _words(name: str) -> str:
    return " ".join("JNE" if word == "jne" else word for word in name.split("_"))


def _colours(values: np.ndarray) -> dict:
    """Limits and colour map of a heat map; values of both signs are centred on zero."""
    low, high = np.nanmin(values), np.nanmax(values)
    if low < 0 < high:
        most = max(-low, high)
        return {"cmap": SIGNED_CMAP, "vmin": -most, "vmax": most}
    return {"cmap": LEVEL_CMAP, "vmin": low, "vmax": high}


def _axes(varied: list[str]) -> tuple[str | None, list[str], list[str]]:
    """The parameter within a panel, those of the columns and those of the rows."""
    across = "layer" if "layer" in varied else (varied[-1] if varied else None)
    left = [name for name in varied if name != across]
    columns = ["subject"] if "subject" in left else left[:1]
    return across, columns, [name for name in left if name not in columns]


def _groups(table: pd.DataFrame, names: list[str]) -> list[tuple[str, pd.Index]]:
    """Rows of the table that agree in ``names``, under their label."""
    if not names:
        return [("", table.index)]
    return [
        (", ".join(f"{name.split('.')[-1]} {value}" for name, value in zip(names, values, strict=True)), group.index)
        for values, group in table[names].astype(str).groupby(names, sort=False)
    ]
