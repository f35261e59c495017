"""One value per voxel against another: accuracy against the noise ceiling, an estimate against the truth."""

from __future__ import annotations

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from jne._core import as_numbers
from jne.plotting.style import SMALL
from jne.statistics import spearman

N_DENSE = 400
"""With more voxels than this, dots hide each other: their density is drawn instead."""


def plot_accuracy(
    noise_ceiling: np.ndarray, r2: np.ndarray, *, label: str = "R²", significant=None, ax: Axes | None = None
) -> Axes:
    """R² of every voxel against its noise ceiling, with the lines of 100 % and 80 % of what can be explained.

    Parameters
    ----------
    noise_ceiling, r2 : array ``(n_voxels,)``
    label : str
        Of the vertical axis.
    significant : array of bool ``(n_voxels,)``, optional
        The others are drawn in grey, and the share of the significant ones is written into the axes.
    """
    ax = ax or plt.gca()
    shown = np.ones(len(r2), bool) if significant is None else np.asarray(significant, bool)
    _cloud(noise_ceiling, r2, shown, ax)
    for share, dash in ((1, "-"), (0.8, "--")):
        ax.plot([0, 1], [0, share], "k", linestyle=dash, linewidth=1, label=f"{100 * share:.0f} %")
    low, high = _range(r2)
    ax.set(xlabel="noise ceiling", ylabel=label, xlim=(0, 1), ylim=(min(-0.05, low), max(1, high)))
    ax.legend(loc="upper left", frameon=False, fontsize=SMALL, handlelength=1.6)
    if significant is not None:
        ax.text(
            0.98, 0.02, f"{100 * shown.mean():.0f} % significant", transform=ax.transAxes, ha="right", fontsize=SMALL
        )
    return ax


def plot_difference(
    noise_ceiling: np.ndarray, r2_linear: np.ndarray, r2: np.ndarray, *, significant=None, ax: Axes | None = None
) -> Axes:
    """What the nonlinear encoder predicts more than the linear one, per voxel, against the noise ceiling."""
    ax = ax or plt.gca()
    r2, r2_linear = as_numbers(r2, "r2", missing=True), as_numbers(r2_linear, "r2_linear", missing=True)
    difference = r2 - r2_linear
    shown = np.ones(len(r2), bool) if significant is None else np.asarray(significant, bool)
    _cloud(noise_ceiling, difference, shown, ax)
    ax.axhline(0, color="k", linewidth=1)
    median = np.nanmedian(difference)
    ax.axhline(median, color="C3", linewidth=1.5, linestyle=":", label=f"median {median:+.3f}")
    low, high = _range(difference)
    ax.set(xlabel="noise ceiling", ylabel="R² nonlinear − linear", xlim=(0, 1), ylim=(min(-0.05, low), high))
    ax.legend(loc="upper left", frameon=False, fontsize=SMALL, handlelength=1.6)
    return ax


def _range(values: np.ndarray) -> tuple[float, float]:
    """All but the most extreme percent, with a margin."""
    finite = np.asarray(values)[np.isfinite(values)]
    if not finite.size:
        return 0.0, 1.0
    low, high = np.quantile(finite, [0.01, 0.99])
    return low - 0.1 * (high - low) - 0.02, high + 0.4 * (high - low) + 0.02


def _cloud(x: np.ndarray, y: np.ndarray, shown: np.ndarray, ax: Axes) -> None:
    """Grey dots for what is not shown; above them the others as dots, or as the density of their dots."""
    dense = len(y) > N_DENSE
    style = {"s": 8 if dense else 20, "linewidth": 0, "rasterized": True}
    ax.scatter(x[~shown], y[~shown], color="0.6", alpha=0.5, **style)
    finite = shown & np.isfinite(x) & np.isfinite(y)
    if not dense or not finite.any():
        ax.scatter(x[finite], y[finite], color="C0", alpha=0.5, **style)
        return
    low, high = _range(y[finite])
    cells = ax.hexbin(
        x[finite], y[finite], gridsize=(32, 22), extent=(0, 1, low, high), mincnt=1, cmap="viridis", linewidths=0.1
    )
    bar = ax.figure.colorbar(cells, ax=ax, location="top", shrink=0.7, aspect=25, pad=0.02)
    bar.set_label("voxels per cell", fontsize=SMALL, labelpad=2)
    bar.ax.tick_params(labelsize=SMALL, pad=1)
    bar.ax.xaxis.set_major_locator(MaxNLocator(4, integer=True))


def plot_against(
    x: np.ndarray,
    y: np.ndarray,
    *,
    xlabel: str,
    ylabel: str,
    color: np.ndarray | None = None,
    color_label: str = "",
    ax: Axes | None = None,
) -> Axes:
    """Scatter of two values per voxel (or area) with their Spearman correlation above the axes.

    Parameters
    ----------
    x, y : array ``(n,)``
    xlabel, ylabel, color_label : str
        With units.
    color : array ``(n,)``, optional
        A third value, such as the noise ceiling, on a perceptually uniform scale.
    """
    ax = ax or plt.gca()
    size = 10 if len(x) > 200 else 26
    style = {"s": size, "alpha": 0.6, "linewidth": 0, "rasterized": True}
    if color is None:
        ax.scatter(x, y, color="C0", **style)
    else:
        points = ax.scatter(x, y, c=color, cmap="cividis", **style)
        ax.figure.colorbar(points, ax=ax, label=color_label, shrink=0.85).solids.set_alpha(1)
    ax.set(xlabel=xlabel, ylabel=ylabel)
    ax.set_title(f"Spearman ρ = {spearman(x, y):.2f}", fontsize=SMALL, loc="right")
    return ax
