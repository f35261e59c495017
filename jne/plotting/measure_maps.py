"""Measures of one result side by side, those of one unit on one scale."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import xarray as xr
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from jne.datasets import volume_of
from jne.measures import REGISTRY, label_of, short_label
from jne.plotting.areas import plot_areas
from jne.plotting.caption_texts import UNMASKED, kept_voxels
from jne.plotting.encoder_maps import ABOVE, plot_cortex
from jne.plotting.style import PAGE_WIDTH, SMALL, title
from jne.plotting.surfaces import has_surface, limits, map_note
from jne.plotting.volumes import plot_slices
from jne.statistics import area_table

_COLUMNS = 2


def figure_measures(result: xr.Dataset, measures: Sequence[str]) -> Figure:
    """Measures side by side, two in a row; those of one unit have one scale.

    On the cortex as of `plot_cortex`, in a volume as horizontal slices, a row each; without places the areas' means;
    without areas, how many voxels have which value.

    Parameters
    ----------
    result : xarray.Dataset
        Of `jne.run_study`. Measures that it does not have are left out.
    measures : sequence of str

    Raises
    ------
    ValueError
        If it has none of the measures.
    """
    shown = [name for name in measures if name in result and np.isfinite(result[name].values).any()]
    if not shown:
        raise ValueError(f"result has none of {', '.join(measures)}; give measures that it has")
    if has_surface(result):
        figure = _on_cortex(result, shown)
    elif volume_of(result) is not None:
        figure = _on_slices(result, shown)
    else:
        rows = len(np.unique(result["roi"].values.astype(str))) if "roi" in result else 9
        figure, axes = _panels(len(shown), 0.9 + 0.19 * rows)
        for ax, name in zip(axes.flat, shown, strict=False):
            (_by_area if "roi" in result else _counted)(result, name, ax)
    figure.suptitle(title(result, "the measures side by side"))
    return figure


def _panels(n_panels: int, height: float) -> tuple[Figure, np.ndarray]:
    rows, columns = -(-n_panels // _COLUMNS), min(n_panels, _COLUMNS)
    figure, axes = plt.subplots(rows, columns, figsize=(PAGE_WIDTH, 0.7 + rows * height), squeeze=False)
    for ax in axes.flat[n_panels:]:
        ax.set_axis_off()
    return figure, axes


def _norms(result: xr.Dataset, measures: Sequence[str]) -> dict[str, Normalize]:
    """One scale for each unit, from all values that are drawn in colour."""
    units = {name: REGISTRY[name].unit if name in REGISTRY else name for name in measures}
    values: dict[str, list[np.ndarray]] = {}
    for name, unit in units.items():
        own = result[name].values[kept_voxels(result, name)]
        values.setdefault(unit, []).append(own[np.isfinite(own)])
    scales = {unit: limits(np.concatenate(own)) for unit, own in values.items()}
    return {name: scales[unit] for name, unit in units.items()}


def _on_cortex(result: xr.Dataset, measures: Sequence[str]) -> Figure:
    figure, axes = _panels(len(measures), 3.1)
    norms = _norms(result, measures)
    for ax, name in zip(axes.flat, measures, strict=False):
        plot_cortex(result, result[name].values, norm=norms[name], significant=kept_voxels(result, name), ax=ax)
        ax.set_title(short_label(name), pad=ABOVE)
        bar = {"location": "bottom", "shrink": 0.8, "aspect": 25, "pad": 0.02, "label": _unit(name)}
        figure.colorbar(ScalarMappable(norms[name], "viridis"), ax=ax, extend="both", **bar)
    figure.supxlabel(map_note(result), fontsize=SMALL, color="0.3")
    return figure


def _unit(name: str) -> str:
    """What stands beneath a bar whose panel has the measure's name: its unit, if it has one."""
    label, short = label_of(name), short_label(name)
    return label.removeprefix(short).strip(" ()") if label.startswith(short) else ""


def _on_slices(result: xr.Dataset, measures: Sequence[str], n_slices: int = 5) -> Figure:
    figure, axes = plt.subplots(len(measures), n_slices, figsize=(PAGE_WIDTH, 0.8 + 1.5 * len(measures)), squeeze=False)
    norms = _norms(result, measures)
    roi = result["roi"].values if "roi" in result else None
    for row, name in zip(axes, measures, strict=True):
        plot_slices(
            result[name].values, volume_of(result), row, norms[name], roi=roi, significant=kept_voxels(result, name)
        )
        bar = figure.colorbar(ScalarMappable(norms[name], "viridis"), ax=list(row), shrink=0.8, aspect=12, pad=0.01)
        bar.set_label(short_label(name), fontsize=SMALL)
        bar.ax.tick_params(labelsize=SMALL)
    return figure


def _by_area(result: xr.Dataset, name: str, ax: Axes) -> None:
    table = area_table(result, (name,), significant=name not in UNMASKED).dropna(subset=name)
    plot_areas(table, name, label=f"{short_label(name)}, mean of area", ax=ax)


def _counted(result: xr.Dataset, name: str, ax: Axes) -> None:
    values = result[name].values[kept_voxels(result, name)]
    ax.hist(values[np.isfinite(values)], bins=20, color="C0")
    ax.set(xlabel=label_of(name), ylabel="voxels")
