"""Figures of what the features do to the measures."""

from __future__ import annotations

import pandas as pd
import torch
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from jne.measures import short_label
from jne.plotting.style import PAGE_WIDTH, SMALL

_KINDS = {
    "scale": ("other units", "features multiplied by"),
    "correlation": ("correlated features", "correlation of the features"),
    "rotation": ("rotated features", "angle (degrees)"),
}


def figure_sweeps(frame: pd.DataFrame) -> Figure:
    """JNE and share of one unit as its features are rewritten, relative to the features as they were.

    Parameters
    ----------
    frame : pandas.DataFrame
        From `jne.simulations.sweep_features`: dots are measured, lines are closed forms.
    """
    figure, axes = plt.subplots(1, len(_KINDS), figsize=(PAGE_WIDTH, 3), sharey=True)
    unchanged = frame[(frame["kind"] == "scale") & (frame["value"] == 1)].iloc[0]
    for ax, (kind, (title, label)) in zip(axes, _KINDS.items(), strict=True):
        part = frame[frame["kind"] == kind]
        for number, measure in enumerate(("jne", "nonlinear_share")):
            color, exact = f"C{number}", f"{measure}_exact"
            ax.plot(part["value"], part[exact] / unchanged[exact], color=color, linewidth=1.4)
            style = {"s": 16, "color": color, "marker": "os"[number], "label": short_label(measure)}
            ax.scatter(part["value"], part[measure] / unchanged[measure], **style)
        ax.set(title=title, xlabel=label, yscale="log")
    axes[0].set_xscale("log")
    axes[0].set_xticks([0.25, 1, 4], ["1/4", "1", "4"])
    axes[0].set_yticks([0.25, 0.5, 1, 2, 4], ["1/4", "1/2", "1", "2", "4"])
    for ax in axes:
        ax.minorticks_off()
    axes[2].set_xticks([0, 90, 180])
    axes[0].set_ylabel("value / value before")
    axes[0].legend(frameon=False, fontsize=SMALL, loc="upper right")
    return figure


def figure_clusters(frame: pd.DataFrame, response, features: torch.Tensor) -> Figure:
    """A response on a feature in clusters, and both shares as the clusters widen.

    Parameters
    ----------
    frame : pandas.DataFrame
        From `jne.simulations.clustered_bump`.
    response : callable
        The response, of a tensor.
    features : torch.Tensor ``(n_samples, 1)``
        Samples to show.
    """
    figure, axes = plt.subplots(1, 3, figsize=(PAGE_WIDTH, 3), width_ratios=[1.15, 1, 1])
    x = torch.linspace(-3, 3, 301)
    axes[0].plot(x, response(x), color="0.3", linewidth=1.4)
    shown = features[:150, 0]
    axes[0].scatter(shown, response(shown), s=14, color="C0", alpha=0.6, zorder=2)
    axes[0].set(xlabel="feature x", ylabel="response", title="a bump on three clusters")
    for ax, (kind, part) in zip(axes[1:], frame.groupby("features", sort=False), strict=True):
        for measure, marker, color in (("true_share", "^", "C3"), ("nonlinear_share", "D", "C2")):
            style = {"marker": marker, "color": color, "markersize": 4, "label": short_label(measure)}
            ax.plot(part["width"], part[measure], **style)
        ax.set(xlabel="width of the clusters (SD)", ylim=(0, 1.03), title=f"{kind} feature")
    axes[2].set_xlabel("width (same variance)")
    axes[2].set_yticklabels([])
    axes[1].set_ylabel("share")
    axes[2].legend(frameon=False, fontsize=SMALL, loc="lower center")
    return figure
