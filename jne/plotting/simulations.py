"""Figures of the simulated networks: activations, their slopes, and a measure over configurations."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import torch
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from jne.plotting.style import PAGE_WIDTH
from jne.simulate import ACTIVATIONS


def plot_activations(names: Sequence[str], *, n_columns: int = 7, random_state: int = 0) -> Figure:
    """Each activation and, beneath it, the distribution of its slope at standard normal inputs."""
    n_bands = -(-len(names) // n_columns)
    figure, axes = plt.subplots(2 * n_bands, n_columns, figsize=(PAGE_WIDTH, 2.6 * n_bands), squeeze=False)
    x = torch.linspace(-3, 3, 201)
    draws = torch.randn(20_000, generator=torch.Generator().manual_seed(random_state)).requires_grad_()
    for number in range(n_bands * n_columns):
        band, column = divmod(number, n_columns)
        upper, lower = axes[2 * band, column], axes[2 * band + 1, column]
        if number >= len(names):
            upper.set_axis_off()
            lower.set_axis_off()
            continue
        activation = ACTIVATIONS[names[number]]
        upper.plot(x, activation(x), color="C0")
        upper.set(xlabel="input", xticks=[-2, 0, 2], ylim=(-3, 3))
        upper.set_title(names[number].replace("_", " "), fontsize="small")
        (slope,) = torch.autograd.grad(activation(draws).sum(), draws)
        share, edges = np.histogram(slope, bins=np.linspace(-2.1, 2.1, 43))
        lower.stairs(share / len(draws), edges, fill=True, color="C1")
        lower.set(xlabel="slope", ylim=(0, 1.05))
        if column == 0:
            upper.set_ylabel("output")
            lower.set_ylabel("share of inputs")
        else:
            upper.set_yticklabels([])
            lower.set_yticklabels([])
    return figure


def plot_measure(
    frame: pd.DataFrame, category: str, value: str, *, label: str, hue: str | None = None, ax: Axes | None = None
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
    ax.set_yticks(np.arange(len(names))[::-1], [str(name).replace("_", " ") for name in names])
    ax.set(xlabel=label, xlim=(min(0, ax.get_xlim()[0]), None))
    ax.grid(axis="y", color="0.93")
    if hue is not None:
        ax.legend(title=hue, frameon=False, fontsize="small", title_fontsize="small")
    return ax
