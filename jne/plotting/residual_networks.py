"""Figures of random residual networks by place of the activation, and of Jacobians of a known amplitude."""

from __future__ import annotations

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch

from jne.plotting.style import PAGE_WIDTH, SMALL, legend_below
from jne.simulations import LAYOUTS, activation_label

_COLORS = {"none": "0.45", "Loc1": "C0", "Loc2": "C1", "both": "C2"}


def figure_residual(frame: pd.DataFrame) -> Figure:
    """JNE by activation and by its place, one panel for each layout of skips: boxes over draws of the weights.

    Parameters
    ----------
    frame : pandas.DataFrame
        From `jne.simulations.survey_residual`, of one law, distribution and scale.
    """
    layouts = list(dict.fromkeys(frame["layout"]))
    size = {"figsize": (PAGE_WIDTH, 4.0), "height_ratios": [1, 4.2]}
    figure, axes = plt.subplots(2, len(layouts), sharey="row", squeeze=False, **size)
    for (sketch, ax), layout in zip(axes.T, layouts, strict=True):
        _sketch(LAYOUTS[layout], sketch)
        sketch.set_title(f"skip: {layout}" if LAYOUTS[layout] else layout)
        _draw_boxes(frame[frame["layout"] == layout], ax)
    axes[1, 0].set(ylabel="JNE\n(response per unit of feature)", ylim=(-0.03 * frame["jne"].max(), None))
    handles = [plt.Rectangle((0, 0), 1, 1, color=color) for color in _COLORS.values()]
    style = {"loc": "outside lower center", "ncols": len(_COLORS), "frameon": False}
    figure.legend(handles, list(_COLORS), title="activation at", **style)
    return figure


def _draw_boxes(part: pd.DataFrame, ax: Axes) -> None:
    """Boxes from the lower to the upper quartile, whiskers over all draws."""
    activations = list(dict.fromkeys(part["activation"]))
    for number, (place, color) in enumerate(_COLORS.items()):
        at_place = part[part["place"] == place].groupby("activation")["jne"]
        low, lower, middle, upper, high = (at_place.quantile(q)[activations] for q in (0, 0.25, 0.5, 0.75, 1))
        positions = np.arange(len(activations)) + 0.22 * (number - 1.5)
        ax.vlines(positions, low, high, color=color, linewidth=1)
        ax.bar(positions, upper - lower, bottom=lower, width=0.19, color=color, edgecolor=color, linewidth=1)
        line = {"color": color if place == "none" else "white", "linewidth": 0.9}
        ax.hlines(middle, positions - 0.1, positions + 0.1, **line)
    ax.set_xticks(range(len(activations)), [activation_label(a).replace(" ", "\n") for a in activations])
    ax.tick_params(axis="x", length=0)


def _sketch(skips: tuple[int, ...], ax: Axes) -> None:
    """The network from left to right: three layers, the two places for an activation, and the skips as arcs."""
    ax.set(xlim=(-0.3, 6.3), ylim=(-0.6, 1.3))
    ax.set_axis_off()
    ax.plot([-0.2, 6.2], [0, 0], color="0.6", linewidth=1, zorder=0)
    for number, place in enumerate((0.8, 2.9, 5.0), start=1):
        box = {"boxstyle": "square,pad=0.45", "facecolor": "white", "edgecolor": "0.3"}
        ax.text(place, 0, str(number), ha="center", va="center", fontsize=SMALL, bbox=box)
        if number < 3:
            ax.scatter(place + 0.95, 0, s=70, color=_COLORS[f"Loc{number}"], zorder=2)
        if number in skips:
            ends = (place - 0.7, 0), (place + 1.4, 0)
            arc = {"connectionstyle": "arc3,rad=-0.6", "arrowstyle": "-|>", "mutation_scale": 8, "color": "0.2"}
            ax.add_patch(FancyArrowPatch(*ends, shrinkA=0, shrinkB=0, **arc))


def figure_amplitude(followed: xr.Dataset) -> Figure:
    """JNE along the known amplitude of the Jacobians, and its correlation with it by the number of Jacobians.

    Parameters
    ----------
    followed : xarray.Dataset
        From `jne.simulations.follow_amplitude`. Curves are drawn of the smallest and the largest number.
    """
    figure, (left, right) = plt.subplots(1, 2, figsize=(PAGE_WIDTH, 3.0), width_ratios=[1.6, 1])
    ends = followed.isel(n_jacobians=[0, -1])
    for color, (n, curve) in zip(("C0", "C1"), ends["jne"].groupby("n_jacobians"), strict=True):
        left.plot(followed["x"], curve.squeeze(), color=color, linewidth=0.9, label=f"N = {n:,}")
    left.plot(followed["x"], followed["limit"], color="k", linewidth=1.2, label="limit of many")
    left.set(xlabel="x", ylabel="JNE", ylim=(0, 1.35 * float(ends["jne"].max())))
    left.legend(frameon=False, fontsize=SMALL, loc="upper center", ncols=3, handlelength=1.2, columnspacing=1)
    numbers = followed["n_jacobians"]
    right.plot(numbers, followed["closed_form"], color="0.25", linewidth=1, label="closed form")
    right.scatter(numbers, followed["correlation"], color="C3", s=26, zorder=3, label="measured")
    right.set_xscale("log")
    right.set_xticks(numbers, [f"{n:,}" for n in numbers.values])
    right.set_xticks([], minor=True)
    right.set(xlabel="Jacobians, N", ylabel="r of JNE with |sin x|", ylim=(None, 1.005))
    right.legend(frameon=False, fontsize=SMALL, loc="lower right")
    return figure


def figure_scales(means: pd.DataFrame) -> Figure:
    """Mean JNE of networks over the scale of their inputs, one panel per activation.

    Parameters
    ----------
    means : pandas.DataFrame
        From `jne.simulations.scale_means`.
    """
    activations, places = (list(means.index.unique(level)) for level in (0, 1))
    figure, axes = plt.subplots(1, len(activations), figsize=(PAGE_WIDTH, 3.0), sharey=True, squeeze=False)
    for ax, activation in zip(axes[0], activations, strict=True):
        for distribution, line in zip(means.columns.unique(0), ("-", "--", ":"), strict=False):
            for number, place in enumerate(places):
                values, label = means.loc[(activation, place), distribution], f"{place}, {distribution}"
                look = {"color": _COLORS.get(place, "0.2"), "marker": "os^"[number % 3], "markersize": 4}
                ax.plot(values.index, values, line, label=label, **look)
        ax.set_xscale("log")
        ax.set(title=activation_label(activation), ylim=(0, 1.08 * means.to_numpy().max()))
        ax.minorticks_off()
        ax.set_xticks([1, 100, 10_000], ["1", "100", "10,000"])
        ax.set_xlabel("scale of inputs")
    axes[0, 0].set_ylabel("JNE")
    legend_below(figure, axes[0, 0], ncols=len(places))
    return figure
