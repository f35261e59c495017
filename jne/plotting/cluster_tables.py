"""JNE-SS by cluster of stimuli: on the cortex, by area with and without scaling, and what scaling makes of nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from jne.plotting.areas import area_label
from jne.plotting.characters import plain
from jne.plotting.style import PAGE_WIDTH, SMALL, title
from jne.plotting.surfaces import figure_surfaces, has_surface
from jne.statistics import HIGH, apparent_selectivity, cluster_areas, cluster_maps, min_max, predicted_voxels

UNSCALED = "mean JNE-SS (squared units of JNE)"
SCALED = "mean JNE-SS, 0 to 1 within each area"
_MOST_LABELS = 15
_MOST_IN_A_THIRD = 10  # clusters of two digits, in a third of a page
_UNKNOWN = "0.85"


def figure_cluster_maps(result: xr.Dataset, names: Sequence[str]) -> Figure:
    """Mean JNE-SS over the stimuli of some clusters on the inflated cortex, on one scale; without places, by area.

    Parameters
    ----------
    result : xarray.Dataset
        Of `jne.statistics.with_clusters`.
    names : sequence of str
        Clusters, one row each.
    """
    if not has_surface(result):
        table = cluster_areas(result)[list(names)]
        figure, ax = plt.subplots(figsize=(PAGE_WIDTH * 0.7, 1.4 + 0.19 * len(table)))
        plot_cluster_areas(table, label=UNSCALED, ax=ax)
        figure.suptitle(title(result, "JNE-SS by area, some clusters"))
        return figure
    maps = cluster_maps(result).sel(category=list(names)).values
    shown = maps[:, predicted_voxels(result)]
    # From the 1st to the 99th percentile of all rows: clusters are to be compared.
    norm = Normalize(*np.quantile(shown, [0.01, 0.99])) if shown.size else Normalize(0, 1)
    rows = {f"cluster {name}": ("voxel", values) for name, values in zip(names, maps, strict=True)}
    figure = figure_surfaces(result.assign(rows), list(rows), norm=norm)
    figure.suptitle(title(result, "mean JNE-SS over a cluster's stimuli (squared units of JNE)"))
    return figure


def plot_cluster_areas(
    table: pd.DataFrame, *, label: str, limits: tuple[float, float] | None = None, ax: Axes | None = None
) -> Axes:
    """Areas (rows) by clusters (columns), dark for low and light for high; grey where nothing is known.

    Parameters
    ----------
    table : pandas.DataFrame
        Of `jne.statistics.cluster_areas` or `jne.statistics.min_max`.
    label : str
        Of the colour bar, with units.
    limits : pair of float, optional
        Of the colours; by default the smallest and the largest value.
    ax : matplotlib Axes, optional
    """
    ax = ax or plt.gca()
    values = np.ma.masked_invalid(table.to_numpy(float))
    ax.set_facecolor(_UNKNOWN)
    low, high = limits or (values.min(), values.max())
    image = ax.pcolormesh(values, cmap="viridis", vmin=low, vmax=high)
    n = table.shape[1]
    shown = range(0, n, -(-n // _MOST_LABELS))
    ax.set_xticks([i + 0.5 for i in shown], [plain(table.columns[i]) for i in shown], fontsize=SMALL)
    ax.set_yticks(np.arange(len(table)) + 0.5, [area_label(area) for area in table.index], fontsize=SMALL)
    ax.set(xlabel="cluster", ylim=(len(table), 0))
    ax.tick_params(length=0)
    bar = ax.figure.colorbar(image, ax=ax, location="bottom", shrink=0.85, aspect=30, pad=0.02)
    bar.set_label(label, fontsize=SMALL)
    bar.ax.tick_params(labelsize=SMALL)
    return ax


def figure_cluster_areas(tables: Mapping[str, pd.DataFrame], first: xr.Dataset) -> Figure:
    """Mean JNE-SS by area and cluster, scaled within each area and not, one row of panels per subject.

    Parameters
    ----------
    tables : mapping of str to pandas.DataFrame
        Subject -> `jne.statistics.cluster_areas`.
    first : xarray.Dataset
        One of the results, for the title.
    """
    heights = [1.1 + 0.16 * len(table) for table in tables.values()]
    size = (PAGE_WIDTH, 0.5 + sum(heights))
    figure, axes = plt.subplots(len(tables), 2, figsize=size, squeeze=False, height_ratios=heights)
    for row, (name, table) in zip(axes, tables.items(), strict=True):
        for ax, label in zip(row, (SCALED, UNSCALED), strict=True):
            scaled = label == SCALED
            plot_cluster_areas(
                min_max(table) if scaled else table, label=label, limits=(0, 1) if scaled else None, ax=ax
            )
            ax.set_title(f"{name}, {'as in Figure 8c' if scaled else 'as in Table 5'}", fontsize=SMALL)
        row[1].set_yticklabels([])
    figure.suptitle(title(first, "areas by clusters of stimuli"))
    return figure


def figure_scaled_null(
    observed: Mapping[str, pd.DataFrame], shuffled: Sequence[pd.DataFrame], first: xr.Dataset
) -> Figure:
    """Tables scaled within each area, of the data and of shuffled stimuli, and what a reader counts in them.

    Parameters
    ----------
    observed : mapping of str to pandas.DataFrame
        Name -> `jne.statistics.cluster_areas`; the first is drawn, all are counted.
    shuffled : sequence of pandas.DataFrame
        Of `jne.statistics.shuffled_areas`; the first is drawn, all are counted.
    first : xarray.Dataset
        One of the results, for the title.
    """
    name, table = next(iter(observed.items()))
    figure = plt.figure(figsize=(PAGE_WIDTH, max(3.4, 1.2 + 0.16 * len(table))))
    grid = figure.add_gridspec(2, 3, width_ratios=(1, 1, 0.9))
    for place, (label, one) in enumerate({name: table, "shuffled stimuli": shuffled[0]}.items()):
        ax = figure.add_subplot(grid[:, place])
        plot_cluster_areas(min_max(one), label=SCALED.replace(", ", ",\n"), limits=(0, 1), ax=ax)
        if one.shape[1] > _MOST_IN_A_THIRD:
            ax.set_xticks(ax.get_xticks()[::2], ax.get_xticklabels()[::2])
        ax.set_title(label, fontsize=SMALL)
        if place:
            ax.set_yticklabels([])
    counts = pd.DataFrame([apparent_selectivity(one) for one in shuffled])
    own = {label: apparent_selectivity(one) for label, one in observed.items()}
    labels = {"n_high": f"cells at {HIGH} or more", "n_preferred": "different highest clusters"}
    for place, (count, words) in enumerate(labels.items()):
        _plot_counts(figure.add_subplot(grid[place, 2]), counts[count].to_numpy(), own, count, words)
    figure.suptitle(title(first, "scaling within areas makes preferences of nothing"))
    return figure


def _plot_counts(ax: Axes, shuffled: np.ndarray, own: Mapping[str, Mapping], count: str, words: str) -> None:
    names = [*own, "shuffled"]
    spread = np.linspace(-0.2, 0.2, len(shuffled))
    ax.scatter(shuffled, len(own) + spread, s=12, color="0.5", linewidth=0)
    for row, (values, marker) in enumerate(zip(own.values(), "osD^", strict=False)):
        ax.scatter(values[count], row, s=44, color=f"C{row}", marker=marker, zorder=2)
    ax.set_yticks(range(len(names)), [plain(name) for name in names], fontsize=SMALL)
    ax.set(xlabel=words, ylim=(len(names) - 0.5, -0.5))
    ax.xaxis.label.set_fontsize(SMALL)
    ax.set_xlim(0, 1.1 * max(shuffled.max(), *(values[count] for values in own.values()), 1))
    ax.xaxis.set_major_locator(MaxNLocator(4, integer=True))
    ax.grid(axis="y", color="0.92")
    ax.set_axisbelow(True)
