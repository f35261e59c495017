"""The figure of the variants of JNE: how they agree, and what each follows."""

from __future__ import annotations

import pandas as pd
import seaborn as sns
import xarray as xr
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from jne.measures import short_label
from jne.plotting.style import PAGE_WIDTH, SMALL, title
from jne.statistics import followed_table, variant_correlations

_NAMES = {"jne": "L1, as published"}


def figure_variants(result: xr.Dataset) -> Figure:
    """Correlations over voxels with the variants (left), and with R², noise ceiling and planted share (right).

    Parameters
    ----------
    result : xarray.Dataset
        From `jne.Study.variants`.
    """
    tables = variant_correlations(result), followed_table(result)
    widths = [len(table.columns) for table in tables]
    figure, axes = plt.subplots(1, 2, figsize=(PAGE_WIDTH, 4.4), sharey=True, width_ratios=widths)
    for ax, table, name in zip(axes, tables, ("Pearson r", "Spearman ρ"), strict=True):
        _heatmap(table, ax)
        ax.set_title(name)
    figure.suptitle(title(result, "variants of JNE, and what they follow"))
    return figure


def _heatmap(table: pd.DataFrame, ax: plt.Axes) -> None:
    style = {
        "cmap": "PuOr_r",
        "vmin": -1,
        "vmax": 1,
        "linewidths": 0.5,
        "cbar": False,
        "annot_kws": {"fontsize": SMALL},
    }
    name = lambda key: _NAMES.get(key, short_label(key))  # noqa: E731
    sns.heatmap(table.rename(index=name, columns=name), ax=ax, annot=True, fmt=".2f", **style)
    ax.tick_params(length=0, labelsize=SMALL)
    ax.set_xticks(ax.get_xticks(), ax.get_xticklabels(), rotation=40, ha="right", rotation_mode="anchor")
