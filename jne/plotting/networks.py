"""Figures of architectures and of fitted networks: which layers are nonlinear, and truth against estimate."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from jne.measures import short_label
from jne.plotting.style import PAGE_WIDTH, SMALL
from jne.simulations import activation_label


def figure_order(frames: Mapping[str, tuple[pd.DataFrame, str]]) -> Figure:
    """Ranks of the subsets of nonlinear layers within each activation, one panel per way of scaling.

    Parameters
    ----------
    frames : mapping of str to (pandas.DataFrame, str)
        Panel title -> frame from `jne.simulations.survey_subsets` and the measure to rank by.
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
            range(ranks.shape[1]), [activation_label(name) for name in ranks.columns], rotation=90, fontsize=SMALL
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
        From `jne.simulations.fit_networks`.
    named : sequence of str
        Networks to tell apart, at most seven.
    measures : sequence of str
        One row of panels each.
    """
    ceilings = sorted(frame["noise_ceiling"].unique())
    size, shared = (PAGE_WIDTH, 2.6 * len(measures)), {"sharex": "row", "sharey": "row", "squeeze": False}
    figure, axes = plt.subplots(len(measures), len(ceilings), figsize=size, **shared)
    for row, measure in zip(axes, measures, strict=True):
        for ax, ceiling in zip(row, ceilings, strict=True):
            _draw_fitted(frame[frame["noise_ceiling"] == ceiling], measure, named, ax)
            ax.set_xlabel(f"{short_label(measure)}, network itself")
        row[0].set(ylabel=f"{short_label(measure)}, fitted encoder", ylim=(0, 1.12 * frame[measure].max()))
    for ax, ceiling in zip(axes[0], ceilings, strict=True):
        ax.set_title(f"noise ceiling {ceiling:g}")
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels), frameon=False, handletextpad=0.2)
    return figure


def _draw_fitted(part: pd.DataFrame, measure: str, named: Sequence[str], ax: Axes) -> None:
    """Medians over seeds with their range; the networks that are named in a colour and a shape of their own."""
    spread = part.groupby("network", sort=False)[measure].agg(["min", "median", "max"])
    true = part.groupby("network", sort=False)[f"{measure}_true"].median()
    ax.axline((0, 0), slope=1, color="0.6", linewidth=1)
    styles = {name: {"color": f"C{n}", "marker": "oD^svPX"[n], "s": 34} for n, name in enumerate(named)}
    for name in [*spread.index.drop(named), *named]:
        style = styles.get(name, {"color": "0.55", "marker": "o", "s": 14})
        ax.vlines(true[name], spread["min"][name], spread["max"][name], color=style["color"], linewidth=1.4)
        label = activation_label(name) if name in styles else None
        ax.scatter(true[name], spread["median"][name], label=label, zorder=2 + (name in styles), **style)
    ax.set_xlim(-0.1 * true.max(), 1.1 * true.max())
