"""Figures of architectures and of fitted networks: which layers are nonlinear, and truth against estimate."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from jne.plotting.simulations import SHORT
from jne.plotting.style import PAGE_WIDTH
from jne.simulate import activation_label


def figure_order(frames: Mapping[str, tuple[pd.DataFrame, str]]) -> Figure:
    """Ranks of the subsets of nonlinear layers within each activation, one panel per way of scaling.

    Parameters
    ----------
    frames : mapping of str to (pandas.DataFrame, str)
        Panel title -> frame from `jne.experiments.survey_subsets` and the measure to rank by.
    """
    figure, axes = plt.subplots(1, len(frames), figsize=(PAGE_WIDTH, 4.6), sharey=True, squeeze=False)
    axes = axes[0]
    for ax, (title, (frame, measure)) in zip(axes, frames.items(), strict=True):
        nonlinear = frame[frame["layers"] != "none"]
        order = {column: list(dict.fromkeys(nonlinear[column])) for column in ("layers", "activation")}
        medians = nonlinear.pivot_table(index="layers", columns="activation", values=measure, aggfunc="median")
        ranks = medians.loc[order["layers"], order["activation"]].rank()
        image = ax.imshow(ranks, cmap="viridis", aspect="auto", interpolation="nearest")
        ax.set_xticks(
            range(ranks.shape[1]), [activation_label(name) for name in ranks.columns], rotation=90, fontsize="small"
        )
        ax.set_title(title)
        ax.tick_params(length=0)
    axes[0].set_yticks(range(len(ranks)), ranks.index)
    axes[0].set_ylabel("nonlinear layers (1 is the first)")
    bar = figure.colorbar(image, ax=axes, orientation="horizontal", shrink=0.5, aspect=30, pad=0.02)
    bar.set_label("rank among the 15 (15 = highest JNE)")
    bar.set_ticks([1, 5, 10, len(ranks)])
    return figure


def figure_fitted(
    frame: pd.DataFrame, *, named: Sequence[str], measures: Sequence[str] = ("jne", "nonlinear_share")
) -> Figure:
    """A measure of the fitted encoder against that of the network itself; columns are noise ceilings.

    Parameters
    ----------
    frame : pandas.DataFrame
        From `jne.experiments.fit_networks`.
    named : sequence of str
        Networks that are labelled.
    measures : sequence of str
        One row of panels each.
    """
    ceilings = sorted(frame["noise_ceiling"].unique())
    size, shared = (PAGE_WIDTH, 2.6 * len(measures)), {"sharex": "row", "sharey": "row", "squeeze": False}
    figure, axes = plt.subplots(len(measures), len(ceilings), figsize=size, **shared)
    for row, measure in zip(axes, measures, strict=True):
        for ax, ceiling in zip(row, ceilings, strict=True):
            part = frame[frame["noise_ceiling"] == ceiling]
            _draw_fitted(part, measure, named if ax is row[-1] else (), ax)
            ax.set_xlabel(f"{SHORT[measure]}, network itself")
        row[0].set(ylabel=f"{SHORT[measure]}, fitted encoder", ylim=(0, 1.12 * frame[measure].max()))
    for ax, ceiling in zip(axes[0], ceilings, strict=True):
        ax.set_title(f"noise ceiling {ceiling:g}")
    return figure


def _draw_fitted(part: pd.DataFrame, measure: str, named: Sequence[str], ax: Axes) -> None:
    groups = part.groupby("network", sort=False)
    true, found = groups[f"{measure}_true"].median(), groups[measure]
    low, high = found.min(), found.max()
    ax.axline((0, 0), slope=1, color="0.6", linewidth=1)
    ax.vlines(true, low, high, color="C0", linewidth=1.4)
    ax.scatter(true, found.median(), s=22, color="C0", zorder=2)
    middle = found.median()
    for name in named:
        above = middle[name] > middle.median()
        ax.annotate(
            activation_label(name), (true[name], high[name] if above else low[name]), fontsize="small",
            xytext=(0, 3 if above else -3), textcoords="offset points", va="bottom" if above else "top",
            ha="left" if true[name] < 0.05 * true.max() else "center",
        )  # fmt: skip
    ax.set_xlim(-0.1 * true.max(), 1.1 * true.max())
