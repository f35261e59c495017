"""One look for every figure, captions that carry their provenance, and notes on what a dataset cannot show."""

from __future__ import annotations

from collections.abc import Mapping

import matplotlib.pyplot as plt
import seaborn as sns
import xarray as xr
from IPython.display import Markdown, display
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from jne._core import Scalar, as_written
from jne.plotting.captions import fill
from jne.plotting.characters import make_drawable

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


def show(
    figure: Figure,
    message: str,
    /,
    result: xr.Dataset | None = None,
    *,
    alt: str | None = None,
    **numbers: Scalar | Mapping[str, Scalar],
) -> None:
    """Display a figure in a notebook with its caption beneath, and close it.

    The book makes of it a numbered figure, and adds the notebook, the parameters and the version. Names in characters
    that no font has become numbers, and the caption says what they stand for (`make_drawable`).

    The numbers that a caption states are given as keywords: the message is then a template of `str.format`, and each
    number is recorded under its keyword, not rounded, as by `jne.record` but without a line of text.

    Parameters
    ----------
    figure : matplotlib Figure
    message : str
        The caption: what one should see. Markdown.
    result : xarray.Dataset, optional
        The study drawn; its data, layer, seed and sizes are named beneath the caption.
    alt : str, optional
        What the figure looks like, for readers who do not see it; by default its titles and axes, in words.
    **numbers : bool, int, float, str, or a mapping of these
        What the fields of the message stand for: ``{r2:.2f}``, ``{share[V1]:.2f}`` of a mapping or a pandas Series, or
        one piece of text for each entry (`each`). Texts are shown as they are written, not as Markdown.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> from jne.plotting import show
    >>> show(plt.figure(), "Median R² is {median_r2:.2f}.", median_r2=0.3141)  # doctest: +SKIP
    """
    about = {} if result is None else _about(result)
    alt = alt or describe(figure)
    message, recorded = fill(message, numbers)
    message = " ".join(filter(None, (message, make_drawable(figure))))
    shown = {"caption": message, "alt": alt, "width": page_pixels(figure), "about": about}
    display(figure, metadata={"jne": shown})
    plt.close(figure)
    facts = "; ".join(f"{name}: {as_written(value)}" for name, value in about.items())
    text = f"*{message}*" + (f"\n\n<small>{facts}</small>" if facts else "")
    display(Markdown(text), metadata={"jne": "caption", **recorded})


def page_pixels(figure: Figure) -> int:
    """How wide a page shows a figure, so that text is as large in every one."""
    return round(96 * figure.get_figwidth())


def describe(figure: Figure) -> str:
    """A figure in words: its title, and for every pair of axes what is drawn over what."""
    parts = [figure.get_suptitle()]
    for ax in figure.axes:
        if ax.get_label() == "<colorbar>":
            parts.append(f"Colour: {ax.get_ylabel() or ax.get_xlabel()}")
            continue
        labels = " against ".join(filter(None, (ax.get_ylabel(), ax.get_xlabel()))) if ax.axison else ""
        parts.append(": ".join(filter(None, (ax.get_title(), labels))))
    text = ". ".join(dict.fromkeys(part.strip().rstrip(".") for part in parts if part.strip()))
    words = text.replace("\\$", "$").split()  # as `plain` has left them
    return " ".join(words) + "." if words else "Figure without title."


def _about(result: xr.Dataset) -> dict[str, str]:
    named = {name: str(result.attrs[name]) for name in ("data", "layer", "seed") if name in result.attrs}
    sizes = []
    if "sample" in result.sizes:
        sizes.append(f"{result.sizes['sample']:,} stimuli ({result.attrs.get('evaluation', 'held-out test stimuli')})")
    if "voxel" in result.sizes:
        sizes.append(f"{result.sizes['voxel']:,} voxels")
    kind = "synthetic" if result.attrs.get("synthetic") else "recorded"
    return {"responses": ", ".join([kind, *sizes]), **named}


def remark(text: str, /, **numbers: Scalar | Mapping[str, Scalar]) -> None:
    """Display a sentence in a notebook; with numbers it is a template, as the message of `show`."""
    text, recorded = fill(text, numbers)
    display(Markdown(text), metadata=recorded)


_MISSING = {
    "noise_ceiling": "repeats, so no noise ceiling: accuracy has no upper bound to compare with, and whether a measure "
    "follows the signal-to-noise ratio cannot be seen",
    "vertex": "places on the cortex, so measures are shown by area, or as a histogram, instead of on a map",
    "roi": "areas, so all voxels are taken as one",
    "level": "hierarchy levels, so no trend from V1 up is shown",
    "category": "categories of stimuli, so no preference for one can be shown",
    "thumbnail": "pictures of the stimuli, so the most and least nonlinear stimuli are not shown",
    "true_nonlinearity": "planted truth, so nothing here says how far a measure is from it",
}


def cannot_show(result: xr.Dataset, *variables: str) -> None:
    """Display a remark on what a chapter leaves out because the dataset lacks these variables, if it lacks any."""
    missing = [_MISSING[name] for name in variables if name not in result]
    if missing:
        remark("**What this dataset cannot show.** It has no " + "; and no ".join(missing) + ".")


def legend_below(figure: Figure, ax: Axes, ncols: int | None = None, fontsize: str = "small") -> None:
    """What ``ax`` shows, below all panels of its figure; by default in one row."""
    handles, labels = ax.get_legend_handles_labels()
    ncols = ncols or len(labels)
    figure.legend(handles, labels, loc="outside lower center", ncols=ncols, frameon=False, fontsize=fontsize)
