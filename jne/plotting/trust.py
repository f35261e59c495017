"""Figures of the chapter on trust: blind spots, what each measure follows, what is reproducible, how many stimuli."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
import seaborn as sns
import xarray as xr
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from jne.measures import short_label
from jne.plotting.style import PAGE_WIDTH, SMALL, legend_below
from jne.statistics import spearman

_MARKERS = "osD^vPXd<>p"


def figure_blind_spots(x: np.ndarray, responses: Mapping[str, tuple[np.ndarray, np.ndarray, float]]) -> Figure:
    """One-dimensional responses (upper row) and the deviation of their slope from its mean (lower row).

    Parameters
    ----------
    x : array ``(n_samples,)``
        Inputs, one feature.
    responses : mapping of str to (response, slope, JNE)
        The first two ``(n_samples,)``.
    """
    order = np.argsort(x)
    figure, axes = plt.subplots(2, len(responses), figsize=(PAGE_WIDTH, 3.6), sharex=True, sharey="row")
    for (upper, lower), (name, (response, slope, jne)) in zip(axes.T, responses.items(), strict=True):
        upper.plot(x[order], response[order], color="C0")
        upper.set_title(name)
        lower.plot(x[order], np.abs(slope - slope.mean())[order], color="C1")
        lower.text(0.5, 0.93, f"JNE = {jne:.3f}", transform=lower.transAxes, ha="center", va="top", backgroundcolor="w")
        lower.set(xlabel="feature x")
    axes[0, 0].set(ylabel="response", ylim=(-2.5, 4))
    axes[1, 0].set(ylabel="L1 deviation δ", ylim=(0, 4.6))
    return figure


def figure_followed(table: pd.DataFrame) -> Figure:
    """Each measure as one dot per simulation: how it follows the noise ceiling (x) and the planted share (y).

    Parameters
    ----------
    table : pandas.DataFrame
        From `jne.simulations.recovery_table`; one panel for each ``n_train``.
    """
    sizes = sorted(table["n_train"].unique())
    shape = {"ncols": len(sizes), "figsize": (PAGE_WIDTH, 3.9), "sharex": True, "sharey": True, "squeeze": False}
    figure, axes = plt.subplots(**shape)
    for ax, size in zip(axes.flat, sizes, strict=True):
        plot_followed(table[table["n_train"] == size], ax=ax)
        ax.set_title(f"{size:,} training stimuli")
        ax.set_ylabel(ax.get_ylabel() if ax is axes.flat[0] else "")
        ax.get_legend().remove()
    legend_below(figure, ax, ncols=3)
    return figure


def plot_followed(table: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """One panel of `figure_followed`."""
    ax = ax or plt.gca()
    ax.axvline(0, color="0.8", linewidth=1, zorder=0)
    for number, (measure, rows) in enumerate(table.groupby("measure", sort=False)):
        style = {"color": f"C{number}", "marker": _MARKERS[number]}
        ax.scatter(rows["partial_ceiling"], rows["partial_truth"], s=34, alpha=0.8, label=measure, **style)
    ax.set(xlim=(-1, 1), xticks=[-1, -0.5, 0, 0.5, 1], ylim=(min(-0.05, table["partial_truth"].min() - 0.05), 1.03))
    ax.set(xlabel="ρ with the noise ceiling, given the share", ylabel="ρ with the share, given the ceiling")
    ax.legend(loc="center left", bbox_to_anchor=(1.02, 0.5), frameon=False, fontsize=SMALL)
    return ax


def figure_recovery(result: xr.Dataset, measures: Mapping[str, str]) -> Figure:
    """Each measure against the planted share, coloured by the noise ceiling.

    Parameters
    ----------
    result : xarray.Dataset
        From `jne.simulations.recover`.
    measures : mapping of str to str
        Variable -> label.
    """
    n_columns = min(3, len(measures))
    n_rows = -(-len(measures) // n_columns)
    size = (PAGE_WIDTH / 3 * n_columns, 2.3 * n_rows)
    figure, axes = plt.subplots(n_rows, n_columns, figsize=size, squeeze=False, sharex=True)
    alpha = result["true_nonlinearity"].values
    for ax, (name, label) in zip(axes.flat, measures.items(), strict=False):
        values = result[name].values
        points = ax.scatter(alpha, values, c=result["noise_ceiling"].values, cmap="cividis", s=9, linewidth=0)
        if name.endswith("share"):
            ax.axline((0, 0), slope=1, color="k", linewidth=0.8)
        ax.set_ylabel(label)
        ax.set_title(f"Spearman ρ = {spearman(alpha, values):.2f}", fontsize=SMALL, loc="right")
    for ax in axes[-1]:
        ax.set_xlabel(short_label("true_nonlinearity"))
    for ax in axes.flat[len(measures) :]:
        ax.set_axis_off()
    figure.colorbar(points, ax=axes, label=short_label("noise_ceiling"), shrink=0.6, aspect=30)
    return figure


def figure_bias(tables: Mapping[str, pd.DataFrame]) -> Figure:
    """Estimate less planted share, by bins of the noise ceiling, one panel per table.

    Parameters
    ----------
    tables : mapping of str to pandas.DataFrame
        Title -> a table of `jne.simulations.bias_table`.
    """
    shape = {"ncols": len(tables), "figsize": (PAGE_WIDTH, 3.6), "sharey": True, "squeeze": False}
    figure, axes = plt.subplots(**shape)
    for ax, (name, table) in zip(axes.flat, tables.items(), strict=True):
        sns.boxplot(table, x="ceiling", y="bias", hue="measure", ax=ax, fliersize=0, linewidth=0.8, whis=(5, 95))
        ax.axhline(0, color="k", linewidth=0.8, zorder=0)
        ax.set(title=name, xlabel=short_label("noise_ceiling"), ylabel=f"estimate − {short_label('true_nonlinearity')}")
        ax.get_legend().remove()
    low, high = np.quantile(np.concatenate([table["bias"] for table in tables.values()]), [0.01, 0.99])
    axes[0, 0].set_ylim(low - 0.1, high + 0.1)
    legend_below(figure, ax, ncols=4)
    return figure


def figure_varied(table: pd.DataFrame, kind: str, factors: Mapping[str, str], measures: Mapping[str, str]) -> Figure:
    """Shares of one kind of voxel as one setting of the encoder changes, one panel per setting.

    Parameters
    ----------
    table : pandas.DataFrame
        Of `jne.simulations.vary`, for one or several factors.
    kind : str
        Of voxels; its planted share is drawn as a line.
    factors, measures : mapping of str to str
        Column or factor -> label.
    """
    n_columns = min(3, len(factors))
    n_rows = -(-len(factors) // n_columns)
    size = (PAGE_WIDTH, 0.7 + 1.9 * n_rows)
    figure, axes = plt.subplots(n_rows, n_columns, figsize=size, sharey=True, squeeze=False)
    for ax, (factor, factor_label) in zip(axes.flat, factors.items(), strict=False):
        rows = table[(table["factor"] == factor) & (table["kind"] == kind)]
        positions = np.arange(len(rows))
        ax.axhline(rows["true_nonlinearity"].iloc[0], color="k", linewidth=0.8, label="planted")
        for number, (name, label) in enumerate(measures.items()):
            ax.plot(positions, rows[name], f"{_MARKERS[number]}-", color=f"C{number}", markersize=4, label=label)
        ax.set_xticks(positions, [f"{level:g}" for level in rows["level"]])
        ax.set(xlabel=factor_label, xlim=(-0.3, len(rows) - 0.7))
    for ax in axes[:, 0]:
        ax.set_ylabel("share")
    for ax in axes.flat[len(factors) :]:
        ax.set_axis_off()
    legend_below(figure, axes[0, 0], ncols=3)
    return figure


def figure_convergence(table: pd.DataFrame, measures: Mapping[str, str]) -> Figure:
    """Error of each measure (left) and coverage of the intervals that have one (right) by the number of test stimuli.

    Parameters
    ----------
    table : pandas.DataFrame
        From `jne.simulations.converge`.
    measures : mapping of str to str
        Of the table -> label.
    """
    figure, (left, right) = plt.subplots(1, 2, figsize=(PAGE_WIDTH, 3.4))
    means = table.groupby(["measure", "n_samples"])[["error", "coverage"]].mean()
    right.axhspan(0.92, 0.98, color="0.92", zorder=0)
    right.axhline(0.95, color="k", linewidth=0.8)
    for number, (name, label) in enumerate(measures.items()):
        rows = means.loc[name]
        style = {"marker": _MARKERS[number], "color": f"C{number}", "markersize": 4, "label": label}
        left.plot(rows.index, rows["error"], **style)
        if rows["coverage"].notna().all():
            right.plot(rows.index, rows["coverage"], **style)
    left.set(xscale="log", yscale="log", xlabel="test stimuli", ylabel="relative error (r.m.s.)")
    right.set(xscale="log", ylim=(0.85, 1), xlabel="test stimuli", ylabel="coverage of 95 % intervals")
    sizes = sorted(table["n_samples"].unique())
    for ax in (left, right):
        ax.set_xticks(sizes, [str(size) for size in sizes])
        ax.minorticks_off()
    ticks = [tick for tick in (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2) if left.get_ylim()[0] < tick < left.get_ylim()[1]]
    left.set_yticks(ticks, [f"{100 * tick:g} %" for tick in ticks])
    legend_below(figure, left, ncols=4)
    return figure
