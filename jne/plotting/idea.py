"""The idea of the measure in one picture: the tangents of a line, and those of a curve."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from jne.plotting.style import PAGE_WIDTH, SMALL, set_style


def figure_idea() -> Figure:
    """A linear and a nonlinear response of one feature, with tangents at five stimuli, and their slopes beneath."""
    stimuli = np.array([-2.2, -1.1, 0.0, 1.1, 2.2])
    responses = {
        "linear: one tangent for all stimuli": (lambda x: 0.5 * x, lambda x: np.full_like(x, 0.5)),
        "nonlinear: a tangent for each": (lambda x: 0.3 * x**2 + 0.5 * x - 0.8, lambda x: 0.6 * x + 0.5),
    }
    figure, axes = plt.subplots(
        2, 2, figsize=(PAGE_WIDTH, 4.4), sharex=True, sharey="row", height_ratios=[3, 2], layout="constrained"
    )
    x = np.linspace(-3, 3, 121)
    for (upper, lower), (name, (response, slope)) in zip(axes.T, responses.items(), strict=True):
        slopes, mean = slope(stimuli), slope(stimuli).mean()
        upper.plot(x, response(x), color="0.6", linewidth=3, zorder=1)
        for at, value in zip(stimuli, slopes, strict=True):
            ends = at + np.array([-1, 1]) * 1.1 / np.hypot(1, value)
            upper.plot(ends, response(at) + value * (ends - at), color="C0", linewidth=1.8)
        upper.plot(stimuli, response(stimuli), "o", color="C0", markersize=6)
        upper.set_title(name)
        lower.axhline(mean, color="k", linestyle="--", linewidth=1)
        lower.vlines(stimuli, np.minimum(slopes, mean), np.maximum(slopes, mean), color="C1", linewidth=4)
        lower.plot(stimuli, slopes, "o", color="C0", markersize=6)
        lower.set(xlabel="stimulus x (one feature)", ylim=(-1.1, 2.1))
        lower.text(-2.95, mean + 0.08, "mean slope", ha="left", va="bottom", fontsize=SMALL)
    axes[0, 0].set_ylabel("predicted response")
    axes[1, 0].set_ylabel("slope J")
    return figure


def draw_idea(path: str | Path | None = None) -> str:
    """Draw `figure_idea` as SVG, the same bytes each time; written to ``path`` where one is given."""
    with plt.rc_context():
        set_style()
        figure = figure_idea()
        text = io.StringIO()
        figure.savefig(text, format="svg", metadata={"Date": None, "Creator": None})
        plt.close(figure)
    if path is not None:
        Path(path).write_text(text.getvalue())
    return text.getvalue()
