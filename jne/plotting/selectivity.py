"""JNE-SS by area and category, and the stimuli behind it."""

from __future__ import annotations

import numpy as np
import pandas as pd
import seaborn as sns
import xarray as xr
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from jne.plotting.areas import area_label


def plot_category_heatmap(table: pd.DataFrame, *, label: str, ax: Axes | None = None) -> Axes:
    """Areas (rows) by categories (columns), on a diverging scale around zero.

    Parameters
    ----------
    table : pandas.DataFrame
        From `jne.summaries.category_table`.
    label : str
        Of the colour bar, with units.
    """
    ax = ax or plt.gca()
    limit = np.nanmax(np.abs(table.to_numpy()))
    renamed = table.rename(index=area_label)
    sns.heatmap(
        renamed, ax=ax, cmap="PuOr_r", vmin=-limit, vmax=limit, linewidths=0.5, cbar_kws={"label": label, "shrink": 0.6}
    )
    ax.set(xlabel="", ylabel="")
    ax.tick_params(length=0)
    ax.set_xticklabels(ax.get_xticklabels(), rotation=35, ha="right", rotation_mode="anchor")
    return ax


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


def plot_stimuli(result: xr.Dataset, scores: np.ndarray, *, n_stimuli: int = 6) -> Figure:
    """Thumbnails of the stimuli with the highest (upper row) and the lowest (lower row) scores.

    Parameters
    ----------
    result : xarray.Dataset
        With ``thumbnail (sample, y, x, rgb)``.
    scores : array ``(n_samples,)``
    n_stimuli : int
        In each row.
    """
    order = np.argsort(scores)
    n_stimuli = min(n_stimuli, len(order) // 2)
    figure, rows = plt.subplots(2, n_stimuli, figsize=(1.15 * n_stimuli, 2.8), squeeze=False)
    for row, chosen, name in zip(rows, (order[::-1], order), ("most", "least"), strict=True):
        for ax, sample in zip(row, chosen[:n_stimuli], strict=True):
            ax.imshow(result["thumbnail"].values[sample])
            ax.set_title(f"{scores[sample]:+.1f}", fontsize="small")
            ax.set(xticks=[], yticks=[])
            sns.despine(ax=ax, left=True, bottom=True)
        row[0].set_ylabel(name)
    return figure
