"""Figures of the simulated networks: activations with their slopes and Jacobians, and measures over configurations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import torch
import xarray as xr
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from jne.measures import short_label
from jne.plotting.style import PAGE_WIDTH, SMALL
from jne.simulations import ACTIVATIONS, activation_label, closed_form

UNIT_MEASURES = ("jne", "mean_deviation", "nonlinear_share", "true_share")


def figure_activations(clouds: Mapping[str, xr.Dataset], *, n_columns: int = 5, random_state: int = 0) -> Figure:
    """Each activation, the distribution of its slope at normal inputs, and the Jacobians of a network of two features.

    Parameters
    ----------
    clouds : mapping of str to xarray.Dataset
        From `jne.simulations.jacobian_clouds`.
    """
    n_bands = -(-len(clouds) // n_columns)
    figure, axes = plt.subplots(
        3 * n_bands,
        n_columns,
        figsize=(PAGE_WIDTH, 3.5 * n_bands),
        squeeze=False,
        height_ratios=[1, 0.5, 1.6] * n_bands,
    )
    draws = torch.randn(20_000, generator=torch.Generator().manual_seed(random_state)).requires_grad_()
    for number in range(n_bands * n_columns):
        band, column = divmod(number, n_columns)
        panels = axes[3 * band : 3 * band + 3, column]
        if number >= len(clouds):
            for ax in panels:
                ax.set_axis_off()
            continue
        name, cloud = list(clouds.items())[number]
        _draw_curve(name, panels[0])
        _draw_slopes(name, draws, panels[1])
        _draw_cloud(cloud, panels[2])
        labels = ("output", "how\noften", "slope along\nfeature 2")
        for ax, label in zip(panels, labels if column == 0 else ("",) * 3, strict=True):
            ax.set_ylabel(label)
        labels = ("input", "slope", "slope along\nfeature 1")
        for ax, label in zip(panels, labels if band == n_bands - 1 else ("",) * 3, strict=True):
            ax.set_xlabel(label)
    figure.align_ylabels(axes[:, 0])
    handles, labels = axes[2, 0].get_legend_handles_labels()
    axes[-1, -1].legend(handles, labels, loc="center", frameon=False, fontsize=SMALL, handlelength=1.2)
    return figure


def _draw_curve(name: str, ax: Axes) -> None:
    x = torch.linspace(-3, 3, 201)
    ax.axhline(0, color="0.85", linewidth=0.8)
    ax.plot(x, ACTIVATIONS[name](x), color="C0", linewidth=2)
    ax.set(xlim=(-3, 3), ylim=(-3, 3), xticks=[-2, 0, 2], yticks=[-2, 0, 2])
    ax.set_title(activation_label(name))


def _draw_slopes(name: str, draws: torch.Tensor, ax: Axes) -> None:
    (slope,) = torch.autograd.grad(ACTIVATIONS[name](draws).sum(), draws)
    share, edges = np.histogram(slope, bins=np.linspace(-3.1, 3.1, 32))
    ax.stairs(share, edges, fill=True, color="C1")
    ax.set(xlim=(-3, 3), xticks=[-2, 0, 2], yticks=[])


def _draw_cloud(cloud: xr.Dataset, ax: Axes) -> None:
    """The cloud, the origin, and the square of all points whose deviation is the mean deviation."""
    J, radius = cloud["jacobian"].values, float(cloud["delta"].mean())
    mean = J.mean(axis=0)
    square = mean + radius * np.array([[1, 0], [0, 1], [-1, 0], [0, -1], [1, 0]])
    limit = 1.15 * max(np.abs(J).max(), np.abs(square).max())
    for line in (ax.axhline, ax.axvline):
        line(0, color="0.85", linewidth=0.8)
    ax.scatter(*J.T, s=9, color="C2", alpha=0.5, linewidths=0, label="one input")
    ax.scatter(*mean, marker="+", s=60, color="k", linewidths=1.4, label="mean")
    ax.plot(*square.T, color="0.25", linewidth=0.9, linestyle="--", label="δ = its mean")
    ax.set(xlim=(-limit, limit), ylim=(-limit, limit), aspect="equal")
    tick = 10 ** np.floor(np.log10(limit))
    tick *= max(step for step in (1, 2, 5) if step * tick <= limit)
    labels = ["0", f"{tick:g}"]
    ax.set_xticks([0, tick], labels)
    ax.set_yticks([0, tick], labels)
    text = f"JNE {float(cloud['jne']):.2f}\nshare {float(cloud['nonlinear_share']):.2f}"
    ax.set_title(text, fontsize=SMALL, pad=3)


def figure_units(frame: pd.DataFrame, measures: Sequence[str] = UNIT_MEASURES) -> Figure:
    """A single unit: measures over seeds as dots with the central 95 % as lines, closed forms as curves.

    Parameters
    ----------
    frame : pandas.DataFrame
        From `jne.simulations.survey_units`.
    measures : sequence of str
    """
    arguments = {
        "leaky_relu": ("slope", "slope at negative inputs"),
        "relu": ("p_active", "share of inputs above threshold"),
    }
    names = {"leaky_relu": "leaky ReLU", "relu": "ReLU with a threshold"}
    figure, axes = plt.subplots(1, len(arguments), figsize=(PAGE_WIDTH, 3.6), sharey=True)
    for ax, (response, (argument, label)) in zip(axes, arguments.items(), strict=True):
        part = frame[frame["response"] == response]
        dense = np.linspace(part["value"].min(), part["value"].max(), 201)
        for number, measure in enumerate(measures):
            exact = [closed_form(response, **{argument: value})[measure] for value in dense]
            ax.plot(dense, exact, color=f"C{number}", linewidth=1.4)
            spread = part.groupby("value")[measure].quantile([0.025, 0.5, 0.975]).unstack()
            ax.vlines(spread.index, spread[0.025], spread[0.975], color=f"C{number}", linewidth=2)
            style = {"color": f"C{number}", "marker": "osD^"[number], "label": short_label(measure)}
            ax.scatter(spread.index, spread[0.5], s=26, **style)
        ax.set(xlabel=label, title=names[response])
    axes[0].set_ylabel("value of the measure")
    axes[0].legend(frameon=False, fontsize=SMALL)
    return figure


def plot_measure(
    frame: pd.DataFrame,
    category: str,
    value: str,
    *,
    label: str,
    hue: str | None = None,
    expected: Mapping[str, float] | None = None,
    ax: Axes | None = None,
) -> Axes:
    """A value for each category over random seeds: the median as a dot, the range of the central 95 % as a line.

    Parameters
    ----------
    frame : pandas.DataFrame
        One row per category (and hue) and seed.
    category, value, hue : str
        Its columns.
    label : str
        Of the value's axis, with units.
    expected : mapping of str to float, optional
        Category -> what theory says, drawn as a short upright line.
    """
    ax = ax or plt.gca()
    names = list(dict.fromkeys(frame[category]))
    groups = [None] if hue is None else list(dict.fromkeys(frame[hue]))
    offsets = np.linspace(-0.25, 0.25, len(groups)) if len(groups) > 1 else [0.0]
    markers = "osD^vPX"
    for number, (group, offset) in enumerate(zip(groups, offsets, strict=True)):
        part = frame if group is None else frame[frame[hue] == group]
        spread = part.groupby(category)[value].quantile([0.025, 0.5, 0.975]).unstack().reindex(names)
        positions = np.arange(len(names))[::-1] - offset
        ax.hlines(positions, spread[0.025], spread[0.975], color=f"C{number}", linewidth=2)
        ax.scatter(spread[0.5], positions, color=f"C{number}", marker=markers[number], s=28, zorder=2, label=group)
    if expected is not None:
        positions = {name: len(names) - 1 - number for number, name in enumerate(names)}
        theory = [(expected[name], position) for name, position in positions.items() if name in expected]
        ax.scatter(*zip(*theory, strict=True), marker="|", s=150, color="k", linewidths=1.2, zorder=3)
    ax.set_yticks(np.arange(len(names))[::-1], [activation_label(name) for name in names])
    ax.set(xlabel=label, xlim=(min(0, ax.get_xlim()[0]), None))
    ax.grid(axis="y", color="0.93")
    if hue is not None:
        ax.legend(title=hue, frameon=False, fontsize=SMALL, title_fontsize=SMALL)
    return ax
