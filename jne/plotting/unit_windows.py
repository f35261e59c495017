"""Figures of a single unit, window by window: derivatives and JNE along the input, and the window at a kink."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import xarray as xr
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from jne.measures import short_label
from jne.plotting.style import PAGE_WIDTH, SMALL
from jne.simulations import activation_label


def figure_windows(windows: Mapping[str, xr.Dataset], *, every: int = 10) -> Figure:
    """Response, slope and second derivative of each unit along its input, and beneath them JNE in a narrow window.

    Parameters
    ----------
    windows : mapping of str to xarray.Dataset
        Activation -> from `jne.simulations.unit_windows`. Measured JNE is drawn as dots, its closed form as a line.
    every : int, default=10
        Every so many windows have a dot.
    """
    size = {"figsize": (PAGE_WIDTH, 5.6), "height_ratios": [1, 1, 1, 1.3]}
    figure, axes = plt.subplots(4, len(windows), sharex=True, sharey="row", squeeze=False, **size)
    for column, (name, unit) in zip(axes.T, windows.items(), strict=True):
        for ax, line, color in zip(column, ("response", "slope", "curvature"), ("C0", "C1", "C2"), strict=False):
            ax.axhline(0, color="0.85", linewidth=0.8)
            ax.plot(unit["x"], unit[line], color=color)
        _mark_step(unit, column[2])
        dots = unit.isel(x=slice(None, None, every))
        column[3].axhline(0, color="0.85", linewidth=0.8)
        column[3].plot(unit["x"], 1e4 * unit["closed_form"], color="0.25", linewidth=1, label="closed form")
        column[3].scatter(dots["x"], 1e4 * dots["jne"], s=9, color="C3", linewidths=0, zorder=3, label="measured")
        column[0].set_title(activation_label(name))
    labels = ("response", "slope", "second\nderivative", "JNE in the\nwindow / 10⁻⁴")
    for ax, label in zip(axes[:, 0], labels, strict=True):
        ax.set_ylabel(label)
    axes[2, 0].set_ylim(-0.2, 1.1)
    figure.align_ylabels(axes[:, 0])
    figure.supxlabel("input x, centre of the window", fontsize="medium")
    axes[3, -1].legend(frameon=False, fontsize=SMALL, handlelength=1.2, loc="upper left", borderpad=0)
    return figure


def _mark_step(unit: xr.Dataset, ax: Axes) -> None:
    """An arrow where the slope steps: there the second derivative is without bounds."""
    if unit.attrs["kink"]:
        ax.annotate(
            "", xy=(0, 0.95), xytext=(0, 0), arrowprops={"arrowstyle": "-|>", "color": "C2", "shrinkA": 0, "shrinkB": 0}
        )


def figure_kink(counts: xr.Dataset, across: xr.Dataset) -> Figure:
    """The window at the kink of a ReLU: centred on it with more and more inputs, and moved across it.

    Parameters
    ----------
    counts : xarray.Dataset
        From `jne.simulations.kink_windows`.
    across : xarray.Dataset
        From `jne.simulations.unit_windows` with centres round 0.
    """
    figure, (left, right) = plt.subplots(1, 2, figsize=(PAGE_WIDTH, 3.1), sharey=True)
    names = {"mean_deviation": "C2", "jne": "C3"}
    numbers = counts["n_inputs"].values
    for name, color in names.items():
        left.plot(numbers, counts[name], color=color, linewidth=0.8)
        for parity, marker, text in ((1, "o", "odd"), (0, "s", "even")):
            some = counts.isel(n_inputs=numbers % 2 == parity)
            style = {"color": color, "s": 22, "marker": marker, "facecolors": color if parity else "white", "zorder": 3}
            left.scatter(some["n_inputs"], some[name], label=f"{short_label(name)}, {text}", **style)
        right.plot(1e3 * across["x"], across[name], color=color, label=short_label(name))
    style = {"color": "0.25", "linewidth": 1, "linestyle": ":"}
    right.plot(1e3 * across["x"], across["closed_form"], label="JNE, closed form", **style)
    middle = across.isel(x=int(np.abs(across["x"]).argmin("x")))
    right.scatter(1e3 * middle["x"], middle["jne"], color="C3", zorder=3, label="centre on the kink")
    left.set(xlabel="inputs in a window centred on the kink", ylabel="value of the measure", ylim=(-0.02, 0.72))
    right.set(xlabel="centre of the window (10⁻³)")
    for ax in (left, right):
        ax.legend(frameon=False, fontsize=SMALL, ncols=2, loc="upper center", columnspacing=1, handlelength=1.4)
    return figure
