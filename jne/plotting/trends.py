"""Measures along the hierarchy, over subjects and over feature layers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import seaborn as sns
import xarray as xr
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from jne.measures import short_label
from jne.plotting.areas import area_label, plot_distribution, plot_levels
from jne.plotting.characters import plain
from jne.plotting.style import PAGE_WIDTH, SMALL, legend_below, title
from jne.statistics import PARTS, POOLED, predicted_voxels, subject_interval


def figure_levels(results: Mapping[str, xr.Dataset], measures: Sequence[str]) -> Figure:
    """Measures (rows) by hierarchy level, one column per subject and one for all subjects' significant voxels together.

    Parameters
    ----------
    results : mapping of str to xarray.Dataset
        One per subject.
    measures : sequence of str
    """
    results = {name: result.isel(voxel=predicted_voxels(result)) for name, result in results.items()}
    columns = dict(results)
    if len(results) > 1:
        names = ["roi", "level", *measures]
        columns[POOLED] = xr.concat([result[names] for result in results.values()], "voxel")
    size = (min(PAGE_WIDTH, 1.2 + 1.9 * len(columns)), 0.9 + 1.6 * len(measures))
    figure, axes = plt.subplots(len(measures), len(columns), figsize=size, sharex=True, sharey="row", squeeze=False)
    for column, (name, result) in zip(axes.T, columns.items(), strict=True):
        for ax, measure in zip(column, measures, strict=True):
            plot_distribution(result, measure, label=short_label(measure) if ax in axes[:, 0] else "", ax=ax)
        column[0].set_title(name, fontsize=SMALL)
    # With shared axes the last one drawn sets the limit of all.
    for row, measure in zip(axes, measures, strict=True):
        known = [values for r in results.values() if np.isfinite(values := r[measure].values).any()]
        low, high = ([np.nanquantile(values, q) for values in known] for q in (0.005, 0.995))
        row[0].set_ylim(1.08 * min([0, *low]), 1.08 * max([0, *high]) or 1)
    figure.suptitle(title(next(iter(results.values())), "levels of the visual hierarchy"))
    return figure


def figure_trends(
    plain: pd.DataFrame, matched: pd.DataFrame | None, measures: Sequence[str], first: xr.Dataset
) -> Figure:
    """Rank correlation with the level: a dot per subject, and mean and 95 % interval over subjects.

    Parameters
    ----------
    plain, matched : pandas.DataFrame
        From `jne.statistics.trend_tests`; matched on the noise ceiling, or None. Pooled rows are not drawn.
    measures : sequence of str
    first : xarray.Dataset
        One of the results, for the title.

    Returns
    -------
    matplotlib Figure
    """
    panels = [("areas as they are", plain)] + (
        [("matched on the noise ceiling", matched)] if matched is not None else []
    )
    size = (PAGE_WIDTH, 1.3 + 0.42 * len(measures))
    figure, axes = plt.subplots(1, len(panels), figsize=size, sharey=True, squeeze=False)
    for ax, (name, table) in zip(axes[0], panels, strict=True):
        subjects = table.drop(index=POOLED, level="name", errors="ignore")
        known = table.index.unique("measure")
        rhos = {m: subjects.xs(m, level="measure")["rho"].to_numpy() if m in known else np.array([]) for m in measures}
        plot_intervals(rhos, ax=ax)
        ax.set(title=name, xlabel="Spearman ρ with the level", xlim=(-1.05, 1.05))
    figure.suptitle(title(first, "trend over areas, subject by subject"))
    return figure


def plot_intervals(values: Mapping[str, np.ndarray], *, ax: Axes | None = None) -> Axes:
    """Correlations of each measure: one ring per subject, mean and 95 % interval beneath."""
    ax = ax or plt.gca()
    ax.axvline(0, color="0.6", linewidth=1, zorder=0)
    for place, rhos in enumerate(values.values()):
        if len(rhos) == 0:
            continue
        mean, low, high = subject_interval(rhos, correlation=True)
        ax.scatter(
            rhos, np.full(len(rhos), -place + 0.16), s=26, facecolor="none", edgecolor=f"C{place}", linewidth=1.2
        )
        ax.plot([low, high], [-place - 0.16] * 2, color=f"C{place}", linewidth=2)
        ax.scatter([mean], [-place - 0.16], marker="D", s=28, color=f"C{place}", zorder=2)
    ax.set_yticks(-np.arange(len(values)), [short_label(measure) for measure in values])
    ax.set_ylim(-len(values) + 0.4, 0.6)
    return ax


def figure_layers(tables: Mapping[str, pd.DataFrame], first: xr.Dataset) -> Figure:
    """Heat maps of measures by area and feature layer; a ring marks the layer with the highest value of each area.

    Parameters
    ----------
    tables : mapping of measure to pandas.DataFrame
        From `jne.statistics.layer_table`.
    first : xarray.Dataset
        One of the results, for the title.
    """
    n_areas = len(next(iter(tables.values())))
    size = (PAGE_WIDTH, 1.7 + 0.17 * n_areas)
    figure, axes = plt.subplots(1, len(tables), figsize=size, sharey=True, squeeze=False)
    for ax, (measure, table) in zip(axes[0], tables.items(), strict=True):
        bar = {"label": short_label(measure), "location": "bottom", "shrink": 0.8, "pad": 0.02}
        sns.heatmap(table.rename(index=area_label, columns=plain), ax=ax, cmap="viridis", linewidths=0.4, cbar_kws=bar)
        known = np.flatnonzero(table.notna().any(axis=1))
        best = table.fillna(-np.inf).to_numpy().argmax(axis=1)[known]
        style = {"s": 26, "facecolor": "none", "edgecolor": "white", "linewidth": 1.2}
        ax.scatter(best + 0.5, known + 0.5, **style)
        ax.set(xlabel="", ylabel="")
        ax.xaxis.tick_top()
        ax.tick_params(length=0, labelsize=SMALL)
        ax.set_xticks(ax.get_xticks(), ax.get_xticklabels(), rotation=35, ha="left", rotation_mode="anchor")
        ax.set_yticks(np.arange(n_areas) + 0.5, [area_label(area) for area in table.index], rotation=0)
    figure.suptitle(title(first, "areas by feature layer, mean over subjects"))
    return figure


def figure_layer_trends(trends: pd.DataFrame, measures: Sequence[str], first: xr.Dataset) -> Figure:
    """The trend over areas in each feature layer: a thin line per subject, a thick one for their mean.

    Parameters
    ----------
    trends : pandas.DataFrame
        ``layer``, ``subject``, ``measure`` and ``rho``.
    measures : sequence of str
    first : xarray.Dataset
    """
    layers = list(dict.fromkeys(trends["layer"]))
    figure, axes = plt.subplots(1, len(measures), figsize=(PAGE_WIDTH, 2.5), sharey=True, squeeze=False)
    for place, (ax, measure) in enumerate(zip(axes[0], measures, strict=True)):
        rows = trends[trends["measure"] == measure].pivot(index="layer", columns="subject", values="rho").loc[layers]
        ax.axhline(0, color="0.6", linewidth=1)
        ax.plot(range(len(layers)), rows, color=f"C{place}", alpha=0.4, linewidth=1, marker="o", markersize=3)
        ax.plot(range(len(layers)), rows.mean(axis=1), color=f"C{place}", linewidth=2.5, marker="o")
        ax.set_xticks(range(len(layers)), layers, rotation=35 if len(layers) > 4 else 0)
        ax.set(title=short_label(measure), ylim=(-1.05, 1.05), xlim=(-0.3, len(layers) - 0.7))
    axes[0, 0].set_ylabel("Spearman ρ with the level")
    figure.suptitle(title(first, "does the trend depend on the feature layer?"))
    return figure


def figure_agreement(table: pd.DataFrame, first: xr.Dataset) -> Figure:
    """How maps of each measure agree, over areas (left) and over voxels (right); one dot per pair.

    Parameters
    ----------
    table : pandas.DataFrame
        From `jne.statistics.agreement_table`.
    first : xarray.Dataset
        One of the results, for the title.
    """
    pairs, measures = (list(dict.fromkeys(table[name])) for name in ("pair", "measure"))
    panels = [over for over in ("areas", "voxels") if (table["over"] == over).any()]
    size = (PAGE_WIDTH, 1.4 + 0.45 * len(pairs))
    figure, axes = plt.subplots(1, len(panels), figsize=size, sharey=True, squeeze=False)
    for ax, over in zip(axes[0], panels, strict=True):
        ax.axvline(0, color="0.6", linewidth=1, zorder=0)
        for number, measure in enumerate(measures):
            rows = table[(table["over"] == over) & (table["measure"] == measure)]
            height = [-pairs.index(pair) + 0.3 * (0.5 - (number + 0.5) / len(measures)) * 2 for pair in rows["pair"]]
            style = {"s": 26, "facecolor": "none", "edgecolor": f"C{number}", "linewidth": 1.3}
            ax.scatter(rows["rho"], height, marker="osD^"[number % 4], label=short_label(measure), **style)
        ax.set(title=f"over {over}", xlabel="Spearman ρ", xlim=(-1.05, 1.05), ylim=(-len(pairs) + 0.4, 0.6))
        ax.set_yticks(-np.arange(len(pairs)), pairs)
    legend_below(figure, axes[0, 0])
    figure.suptitle(title(first, "how maps of the measures agree"))
    return figure


def figure_shares(tables: Sequence[pd.DataFrame], measures: Sequence[str], first: xr.Dataset) -> Figure:
    """Measures by level, one panel each on one scale, each area's mean over subjects.

    Parameters
    ----------
    tables : sequence of pandas.DataFrame
        By area, one per subject, with ``level`` and the measures.
    measures : sequence of str
    first : xarray.Dataset
        One of the results, for the title.
    """
    figure, axes = plt.subplots(1, len(measures), figsize=(PAGE_WIDTH, 2.7), squeeze=False, sharey=True)
    mean = pd.concat([table[list(measures)] for table in tables]).groupby(level=0, sort=False).mean()
    for ax, measure in zip(axes[0], measures, strict=True):
        plot_levels(mean.assign(level=tables[0]["level"]), measure, label=short_label(measure), ax=ax)
        ax.set_ylim(min(0, 1.1 * np.nanmin(mean)), 1.1 * np.nanmax(mean))
        ax.set_xticks(ax.get_xticks(), ax.get_xticklabels(), rotation=40, ha="right", rotation_mode="anchor")
    figure.suptitle(title(first, "how much of the share the responses confirm"))
    return figure


def figure_parts(parts: pd.DataFrame, first: xr.Dataset) -> Figure:
    """The explainable variance of each level: linear, nonlinear and confirmed, unexplained.

    Parameters
    ----------
    parts : pandas.DataFrame
        From `jne.statistics.variance_parts`.
    first : xarray.Dataset
        One of the results, for the title.
    """
    figure, ax = plt.subplots(figsize=(PAGE_WIDTH, 2.6))
    below = np.zeros(len(parts))
    for (name, label), color in zip(PARTS.items(), ("C0", "C1", "0.85"), strict=True):
        ax.bar(parts.index, parts[name], bottom=below, color=color, width=0.7, label=label)
        below += parts[name].to_numpy()
    ax.set_ylabel("share of the\nexplainable variance")
    legend_below(figure, ax)
    figure.suptitle(title(first, "what is predicted, and what of it is nonlinear"))
    return figure
