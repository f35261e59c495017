"""Clusters of stimuli: where they lie, how many there are, and the stimuli in the order of one axis."""

from __future__ import annotations

import numpy as np
import xarray as xr
from matplotlib import colormaps
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from matplotlib.ticker import MaxNLocator

from jne.plotting.characters import plain
from jne.plotting.style import PAGE_WIDTH, SMALL, title
from jne.statistics import cluster_labels, samples_of

MOST_PICTURES = 60
"""Of a montage; of more stimuli, so many evenly spaced ones are shown."""
_MARKERS = "osD^"
_SEED_COLOURS = ("C0", "C1", "C2", "C4")
_OTHER = "0.88"


def figure_stimulus_clusters(clusters: xr.Dataset, first: xr.Dataset, *, subject: str | None = None) -> Figure:
    """Stimuli on two axes of t-SNE by cluster and, where it is known, by category; silhouette by number of clusters.

    Parameters
    ----------
    clusters : xarray.Dataset
        Of `jne.datasets.cluster_stimuli`. Drawn are those of the first seed; silhouettes are of every seed.
    first : xarray.Dataset
        A result, for the title and the categories.
    subject : str, optional
        Whose result it is; by default the first subject of ``clusters``.
    """
    known = "category" in first
    figure, axes = plt.subplots(1, 2 + known, figsize=(PAGE_WIDTH, 3.1 if known else 3.4))
    tested = clusters["tested"].values
    places = clusters["place"].values[0]
    labels = cluster_labels(clusters)
    for ax in axes[: 1 + known]:
        ax.scatter(*places[~tested].T, s=3, color=_OTHER, linewidth=0, label="not tested")
        ax.set(xticks=[], yticks=[], aspect="equal", xlabel="t-SNE, first axis", ylabel="t-SNE, second axis")
    plot_sorted(places[tested], labels, axes[0])
    axes[0].set_title(f"{labels.max() + 1} clusters")
    if known:
        own = samples_of(clusters, subject)
        names, inverse = np.unique(first["category"].values.astype(str), return_inverse=True)
        plot_sorted(places[tested][own], inverse, axes[1], numbers=False)
        axes[1].set_title(f"{len(names)} categories")
    _plot_silhouette(clusters, axes[-1])
    figure.suptitle(title(first, "stimuli by their features"))
    return figure


def plot_sorted(places: np.ndarray, labels: np.ndarray, ax: Axes, *, numbers: bool = True) -> Axes:
    """Places ``(n_stimuli, 2)`` by label: colours along a scale, markers in turn, a number in the middle of each."""
    colours = _colours(labels.max() + 1)
    for label in range(labels.max() + 1):
        here = places[labels == label]
        style = {"s": 10, "marker": _MARKERS[label % len(_MARKERS)], "linewidth": 0.2, "edgecolor": "0.2"}
        ax.scatter(*here.T, color=colours[label], **style)
        if numbers:
            text = ax.text(*np.median(here, axis=0), str(label + 1), ha="center", va="center", fontsize=SMALL)
            text.set_path_effects([withStroke(linewidth=2, foreground="white")])
    return ax


def _colours(n: int) -> np.ndarray:
    return colormaps["viridis"](np.linspace(0, 1, n))


def _plot_silhouette(clusters: xr.Dataset, ax: Axes) -> None:
    k = clusters["k"].values
    for number, (seed, scores) in enumerate(zip(clusters["seed"].values, clusters["silhouette"].values, strict=True)):
        start = {"pca": "components", "random": "random"}[str(clusters["start"].values[number])]
        colour = _SEED_COLOURS[number % len(_SEED_COLOURS)]
        ax.plot(k, scores, color=colour, linewidth=1.2, label=f"seed {seed}, {start} start")
        chosen = int(clusters["by_silhouette"][number])
        ax.plot(chosen, scores[k == chosen][0], marker=_MARKERS[number % 4], color=colour, markersize=7)
    low, high = float(clusters["silhouette"].min()), float(clusters["silhouette"].max())
    limits = min(0, 1.1 * low), max(0.1, 1.1 * high)
    ax.set(xlabel="number of clusters", ylabel="mean silhouette", title="how many clusters", ylim=limits)
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.legend(frameon=False, fontsize=SMALL, loc="lower left")


def figure_montage(
    clusters: xr.Dataset, result: xr.Dataset, *, subject: str | None = None, columns: int = 12
) -> Figure:
    """Stimuli in the order of t-SNE's one axis: pictures where there are any, else clusters and categories by rank.

    Parameters
    ----------
    clusters : xarray.Dataset
        Of `jne.datasets.cluster_stimuli`; the order is that of the first seed.
    result : xarray.Dataset
        With ``thumbnail (sample, y, x, rgb)``, or with ``category (sample)``, or neither.
    subject : str, optional
        Whose result it is; by default the first of ``clusters``.
    columns : int
        Pictures in a row.
    """
    own = samples_of(clusters, subject)
    tested = np.flatnonzero(clusters["tested"].values)
    labels = cluster_labels(clusters)[own]
    order = np.argsort(clusters["position"].values[0][tested[own]], kind="stable")
    draw = _pictures if "thumbnail" in result else _ranks
    figure = draw(result, order, labels, columns)
    figure.suptitle(title(result, "stimuli in the order of one axis of t-SNE"))
    return figure


def _pictures(result: xr.Dataset, order: np.ndarray, labels: np.ndarray, columns: int) -> Figure:
    n = min(MOST_PICTURES, len(order))
    chosen = order[np.linspace(0, len(order) - 1, n).round().astype(int)]
    rows = -(-n // columns)
    figure, axes = plt.subplots(rows, columns, figsize=(PAGE_WIDTH, 0.5 + rows * (PAGE_WIDTH / columns + 0.12)))
    colours = _colours(labels.max() + 1)
    for ax in axes.flat[n:]:
        ax.set_axis_off()
    for ax, sample in zip(axes.flat, chosen, strict=False):
        ax.imshow(result["thumbnail"].values[sample])
        ax.set(xticks=[], yticks=[])
        ax.set_title(str(labels[sample] + 1), fontsize=SMALL, pad=2)
        ax.spines[:].set(visible=True, color=colours[labels[sample]], linewidth=2)
    return figure


def _ranks(result: xr.Dataset, order: np.ndarray, labels: np.ndarray, columns: int) -> Figure:
    rows = {"cluster": (labels, [str(number + 1) for number in range(labels.max() + 1)])}
    if "category" in result:
        names, inverse = np.unique(result["category"].values.astype(str), return_inverse=True)
        rows["category"] = inverse, [plain(name) for name in names]
    heights = [max(1.0, 0.35 + 0.16 * len(names)) for _, names in rows.values()]
    figure, axes = plt.subplots(len(rows), 1, figsize=(PAGE_WIDTH, 0.9 + sum(heights)), sharex=True, squeeze=False,
                                height_ratios=heights)  # fmt: skip
    for ax, (kind, (groups, names)) in zip(axes.flat, rows.items(), strict=True):
        colours = _colours(len(names))[groups[order]]
        ax.scatter(np.arange(1, len(order) + 1), groups[order], c=colours, marker="|", s=40, linewidth=1.5)
        shown = range(0, len(names), -(-len(names) // 24))
        ax.set_yticks(shown, [names[number] for number in shown], fontsize=SMALL)
        ax.set(ylabel=kind, ylim=(len(names) - 0.4, -0.6))
        ax.grid(axis="y", color="0.92")
        ax.set_axisbelow(True)
    axes[-1, 0].set_xlabel("stimuli in the order of one axis of t-SNE (rank)")
    return figure
