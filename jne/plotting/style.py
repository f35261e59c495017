"""One look for every figure, captions that carry their provenance, and notes on what a dataset cannot show."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import seaborn as sns
import xarray as xr
from IPython.display import Markdown, display
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Text

from jne._core import NOT_SHOWN, SAID_FIRST, VOXEL, Scalar, as_written, in_units
from jne.datasets import EncodingDataset, volume_of
from jne.datasets import describe as describe_dataset
from jne.plotting.captions import each, fill
from jne.plotting.characters import make_drawable
from jne.statistics import predicted_voxels, predicting, said_first

LEVEL_CMAP = "viridis"
PAGE_WIDTH = 7.2
"""Inches: a figure this wide fills the book's column without being shrunk, so its text stays readable."""
SMALL = 8.5
"""Points: no letter of a figure is smaller, and a figure of at most `PAGE_WIDTH` is shown as large as it is made."""


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
    paper: str | Sequence[str] = (),
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
        The study drawn; its data, layer, seed and sizes are named beneath the caption, in the book at the page's end.
    alt : str, optional
        What the figure looks like, for readers who do not see it; by default its titles and axes, in words.
    paper : str or sequence of str, optional
        The paper's figures and tables that it is the counterpart of, such as "5" or "table 4"; the page that goes
        through the paper finds it by them.
    **numbers : bool, int, float, str, or a mapping of these
        What the fields of the message stand for: ``{r2:.2f}``, ``{share[V1]:.2f}`` of a mapping or a pandas Series, or
        one piece of text for each entry (`each`). Texts are shown as they are written, not as Markdown.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> from jne.plotting import show
    >>> show(plt.figure(), "Median R² is {median_r2:.2f}.", median_r2=0.3141)  # doctest: +SKIP
    """
    about, unit = ({}, None) if result is None else (_about(result), result.attrs.get("unit"))
    _name_units(figure, unit)
    alt = alt or describe(figure)
    message, recorded = fill(message, numbers)
    message = in_units(message, unit)
    message = " ".join(filter(None, (message, make_drawable(figure))))
    shown = {"caption": message, "alt": alt, "width": page_pixels(figure), "about": about}
    if paper:
        shown["paper"] = [paper] if isinstance(paper, str) else list(paper)
    display(figure, metadata={"jne": shown})
    plt.close(figure)
    facts = "; ".join(f"{name}: {as_written(value)}" for name, value in about.items())
    text = f"*{message}*" + (f"\n\n<small>{facts}</small>" if facts else "")
    display(Markdown(text), metadata={"jne": "caption", **recorded})


def _name_units(figure: Figure, unit: str | None) -> None:
    """Call voxels what they are in every text of a figure."""
    if unit in (None, VOXEL):
        return
    figure.canvas.draw()  # tick labels get their texts here
    for text in figure.findobj(Text):
        if (named := in_units(text.get_text(), unit)) != text.get_text():
            text.set_text(named)
    for ax in figure.axes:  # whose fixed labels are written anew whenever they are drawn
        for labels, write in ((ax.get_xticklabels(), ax.set_xticklabels), (ax.get_yticklabels(), ax.set_yticklabels)):
            words = [label.get_text() for label in labels]
            if VOXEL in " ".join(words):
                write([in_units(word, unit) for word in words])


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
    return {"responses": in_units(", ".join([kind, *sizes]), result.attrs.get("unit")), **named}


def remark(text: str, /, **numbers: Scalar | Mapping[str, Scalar]) -> None:
    """Display a sentence in a notebook; with numbers it is a template, as the message of `show`."""
    text, recorded = fill(text, numbers)
    display(Markdown(text), metadata=recorded)


def not_shown(text: str, /, **numbers: Scalar | Mapping[str, Scalar]) -> None:
    """Display why a chapter does not show something; pages on recordings have these in one list at their end."""
    text, recorded = fill(text, numbers)
    display(Markdown(text), metadata={"jne": NOT_SHOWN, **recorded})


_MISSING = {
    "noise_ceiling": "repeats, so no noise ceiling: accuracy has no upper bound to compare with, and whether a measure "
    "follows the signal-to-noise ratio cannot be seen",
    "vertex": "places on the cortex, so measures are shown by area, or as a histogram, instead of on a map",
    "roi": "areas, so all voxels are taken as one",
    "level": "hierarchy levels, so no trend from V1 up is shown (`jne prepare ... --levels AREA=LEVEL,...` gives them)",
    "category": "categories of stimuli, so no preference for one can be shown; clusters of stimuli, in a section of "
    "their own, stand in for them",
    "thumbnail": "pictures of the stimuli, so the most and least nonlinear stimuli are not shown",
    "true_nonlinearity": "planted truth, so nothing here says how far a measure is from it",
}


def cannot_show(result: xr.Dataset, *variables: str) -> None:
    """Display a remark on what a chapter leaves out because the dataset lacks these variables, if it lacks any."""
    placed = ("vertex",) if volume_of(result) is not None else ()  # on slices
    missing = [_MISSING[name] for name in variables if name not in result and name not in placed]
    if missing:
        not_shown("**What this dataset cannot show.** It has no " + "; and no ".join(missing) + ".")


def say_first(results: Mapping[str, xr.Dataset]) -> bool:
    """Display what must be known before a page of studies is read: where an encoder predicts nothing, or no better.

    Parameters
    ----------
    results : mapping of str to xarray.Dataset
        Subject -> result of `jne.run_study`.

    Returns
    -------
    bool
        Whether anything is predicted, of any subject.
    """
    found = {name: " ".join(said_first(result)) for name, result in results.items()}
    found = {name: text for name, text in found.items() if text}
    kept = predicting(results)
    for name in found.keys() - kept.keys():
        found[name] += f" What follows is without {name}."
    if found:
        text = "{name}: {value}" if len(results) > 1 else "{value}"
        remark(SAID_FIRST + " {said_first}", said_first=each(text, found, " "))
    return any(predicted_voxels(result).any() for result in results.values())


def say_data(datasets: Mapping[str, EncodingDataset]) -> None:
    """Display in a sentence what the datasets of a page are: whose responses, to how many stimuli, which features.

    Parameters
    ----------
    datasets : mapping of str to EncodingDataset
        Subject -> dataset; the first is described, the others are named.
    """
    first, *others = datasets.values()
    facts = describe_dataset(first)
    splits = facts["splits"] or {"folds": facts["n_folds"]}
    message = (
        "{dataset[name]}: {dataset[kind]} responses of {dataset[voxels]:,} voxels to {dataset[stimuli]:,} stimuli "
    )
    message += "({stimuli_for}); features of {layers}."
    message += " Beside it: {other_subjects}." if others else ""
    dataset = {"name": first.name, "kind": "synthetic" if first.synthetic else "recorded"}
    dataset |= {"voxels": first.n_voxels, "stimuli": first.n_stimuli}
    numbers = {"stimuli_for": each("{value:,} {name}", splits), "layers": each("{name} ({value:,})", facts["layers"])}
    numbers |= {"other_subjects": ", ".join(other.name for other in others)} if others else {}
    remark(message, dataset=dataset, **numbers)


def colour_limits(values: np.ndarray, significant: np.ndarray) -> tuple[float, float]:
    """The smallest and largest significant value, of all finite ones where none is significant."""
    shown = values[significant & np.isfinite(values)]
    shown = shown if len(shown) else values[np.isfinite(values)]
    return float(shown.min()), float(shown.max())


def legend_below(figure: Figure, ax: Axes, ncols: int | None = None, fontsize: float | str = SMALL) -> None:
    """What ``ax`` shows, below all panels of its figure; by default in one row."""
    handles, labels = ax.get_legend_handles_labels()
    ncols = ncols or len(labels)
    figure.legend(handles, labels, loc="outside lower center", ncols=ncols, frameon=False, fontsize=fontsize)


def cortical(result: xr.Dataset) -> xr.Dataset:
    """A result without voxels below the cortex, which CIFTI has: they have no hemisphere."""
    if "vertex" not in result or "hemisphere" not in result:
        return result
    on = result["hemisphere"].values.astype(str) != ""
    return result if on.all() else result.isel(voxel=on)
