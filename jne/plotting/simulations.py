"""Figures of the simulated networks: activations, their slopes, and a measure over configurations."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import torch
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from jne.simulate import ACTIVATIONS


def plot_activations(names: Sequence[str], *, random_state: int = 0) -> Figure:
    """Each activation (upper row) and the distribution of its slope at standard normal inputs (lower row)."""
    figure, axes = plt.subplots(2, len(names), figsize=(1.75 * len(names), 3.6), sharey="row")
    x = torch.linspace(-3, 3, 201)
    draws = torch.randn(20_000, generator=torch.Generator().manual_seed(random_state)).requires_grad_()
    for (upper, lower), name in zip(axes.T, names, strict=True):
        upper.plot(x, ACTIVATIONS[name](x), color="C0")
        upper.set(title=name.replace("_", " "), xlabel="input", ylim=(-3, 3))
        (slope,) = torch.autograd.grad(ACTIVATIONS[name](draws).sum(), draws)
        share, edges = np.histogram(slope, bins=np.linspace(-2.1, 2.1, 43))
        lower.stairs(share / len(draws), edges, fill=True, color="C1")
        lower.set(xlabel="slope")
    axes[0, 0].set_ylabel("output")
    axes[1, 0].set_ylabel("share of inputs")
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
