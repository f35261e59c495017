"""Figures of the chapter on trust: blind spots, and which variable each measure follows."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from jne.plotting.scatter import plot_against
from jne.plotting.style import PAGE_WIDTH


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
        lower.text(0.5, 0.93, f"JNE = {jne:.3f}", transform=lower.transAxes, ha="center", va="top")
        lower.set(xlabel="feature x")
    axes[0, 0].set(ylabel="response", ylim=(-2.5, 4))
    axes[1, 0].set(ylabel="L1 deviation δ", ylim=(0, 4.6))
    return figure


def plot_followed(table: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Each measure as one dot per simulation: how it follows the noise ceiling (x) and the planted share (y).

    Parameters
    ----------
    table : pandas.DataFrame
        From `jne.experiments.recovery_table`.
    """
    ax = ax or plt.gca()
    ax.axvline(0, color="0.8", linewidth=1, zorder=0)
    for number, (measure, rows) in enumerate(table.groupby("measure", sort=False)):
        style = {"color": f"C{number}", "marker": "osD^vPX"[number]}
        ax.scatter(rows["partial_ceiling"], rows["partial_alpha"], s=34, alpha=0.8, label=measure, **style)
    ax.set(xlim=(-1, 1), ylim=(-0.2, 1.03))
    ax.set(xlabel="ρ with the noise ceiling, given the share", ylabel="ρ with the share, given the ceiling")
    ax.legend(loc="center left", bbox_to_anchor=(1.02, 0.5), frameon=False, fontsize="small")
    return ax


def figure_recovery(result: xr.Dataset, measures: Mapping[str, str]) -> Figure:
    """Each measure against the planted share, coloured by the noise ceiling.

    Parameters
    ----------
    result : xarray.Dataset
        From `jne.experiments.recover`.
    measures : mapping of str to str
        Variable -> label.
    """
    n_columns = min(3, len(measures))
    n_rows = -(-len(measures) // n_columns)
    figure, axes = plt.subplots(n_rows, n_columns, figsize=(PAGE_WIDTH / 3 * n_columns, 2.3 * n_rows), squeeze=False)
    for ax, (name, label) in zip(axes.flat, measures.items(), strict=False):
        color = {"color": result["noise_ceiling"].values, "color_label": "noise ceiling"}
        plot_against(result["alpha"].values, result[name].values, xlabel="planted share", ylabel=label, ax=ax, **color)
    for ax in axes.flat[len(measures) :]:
        ax.set_axis_off()
    return figure
