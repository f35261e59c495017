"""One value per voxel against another: accuracy against the noise ceiling, an estimate against the truth."""

from __future__ import annotations

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from jne.summaries import spearman


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
        The others are drawn in grey.
    """
    ax = ax or plt.gca()
    shown = np.ones(len(r2), bool) if significant is None else np.asarray(significant, bool)
    style = {"s": 8 if len(r2) > 200 else 24, "alpha": 0.4, "linewidth": 0, "rasterized": True}
    ax.scatter(noise_ceiling[~shown], r2[~shown], color="0.6", **style)
    ax.scatter(noise_ceiling[shown], r2[shown], color="C0", **style)
    lines = [
        ax.plot([0, 1], [0, share], "k", linestyle=dash, linewidth=1)[0] for share, dash in ((1, "-"), (0.8, "--"))
    ]
    finite = r2[np.isfinite(r2)]
    low = min(-0.05, np.quantile(finite, 0.01) - 0.02) if finite.size else -0.05
    ax.set(xlabel="noise ceiling (share of variance)", ylabel=label, xlim=(0, 1), ylim=(low, 1))
    marks = [Line2D([], [], marker="o", linestyle="", color="C0", markersize=4)]
    names = ["voxel (significant)" if significant is not None else "voxel", "100 % of the ceiling", "80 %"]
    ax.legend(marks + lines, names, loc="upper left", frameon=False, fontsize="small", handlelength=1.6)
    return ax


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
    ax.set_title(f"Spearman ρ = {spearman(x, y):.2f}", fontsize="small", loc="right")
    return ax
