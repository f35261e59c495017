"""One look for every figure, captions that carry their provenance, and notes on what a dataset cannot show."""

from __future__ import annotations

import matplotlib.pyplot as plt
import seaborn as sns
import xarray as xr
from IPython.display import Markdown, display
from matplotlib.figure import Figure

LEVEL_CMAP = "viridis"
PAGE_WIDTH = 7.2
"""Inches: a figure this wide fills the book's column without being shrunk, so its text stays readable."""


def set_style() -> None:
    """Apply the book's look to all figures that follow: light axes, colour-blind-safe colours, 140 dots per inch."""
    sns.set_theme(context="notebook", style="ticks", palette="colorblind", font_scale=0.8)
    plt.rcParams.update(
        {
            "figure.dpi": 140,
            "figure.constrained_layout.use": True,
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.titlesize": "medium",
            "image.cmap": "viridis",
            "svg.hashsalt": "jne",
        }
    )


def title(result: xr.Dataset, text: str) -> str:
    """A figure's title, which says so where the responses are synthetic."""
    return f"Synthetic responses: {text}" if result.attrs.get("synthetic") else text


def show(figure: Figure, message: str, result: xr.Dataset | None = None) -> None:
    """Display a figure in a notebook with its caption beneath, and close it.

    Parameters
    ----------
    figure : matplotlib Figure
    message : str
        The caption: what one should see. Markdown.
    result : xarray.Dataset, optional
        The study drawn; its data, layer and seed are named beneath the caption.
    """
    display(figure)
    plt.close(figure)
    text = f"*{message}*"
    if result is not None:
        kind = "synthetic" if result.attrs.get("synthetic") else "recorded"
        facts = {name: result.attrs.get(name) for name in ("data", "layer", "seed")}
        named = "; ".join(f"{name}: {value}" for name, value in facts.items() if value is not None)
        evaluation = result.attrs.get("evaluation", "held-out test stimuli")
        sizes = f"{result.sizes['sample']} stimuli ({evaluation}), {result.sizes['voxel']:,} voxels"
        text += f"\n\n<small>{kind} responses; {named}; {sizes}</small>"
    display(Markdown(text))


def remark(text: str) -> None:
    """Display a sentence in a notebook."""
    display(Markdown(text))


_MISSING = {
    "noise_ceiling": "repeats, so no noise ceiling: accuracy has no upper bound to compare with, and whether a measure "
    "follows the signal-to-noise ratio cannot be seen",
    "vertex": "places on the cortex, so measures are shown by area, or as a histogram, instead of on a map",
    "roi": "areas, so all voxels are taken as one",
    "level": "hierarchy levels, so no trend from V1 up is shown",
    "category": "categories of stimuli, so no preference for one can be shown",
    "thumbnail": "pictures of the stimuli, so the most and least nonlinear stimuli are not shown",
    "true_nonlinearity": "planted truth (it was recorded), so nothing here says how far a measure is from it",
}


def cannot_show(result: xr.Dataset, *variables: str) -> None:
    """Display a remark on what a chapter leaves out because the dataset lacks these variables, if it lacks any."""
    missing = [_MISSING[name] for name in variables if name not in result]
    if missing:
        remark("**What this dataset cannot show.** It has no " + "; and no ".join(missing) + ".")
