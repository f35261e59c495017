"""The chapters' figures, each one call on a result: whatever the dataset has is drawn, in the best form it allows."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from jne.cortex import MESH
from jne.datasets import volume_of
from jne.measures import REGISTRY, label_of, short_label
from jne.plotting.areas import plot_areas, plot_levels
from jne.plotting.maps import plot_flatmap
from jne.plotting.scatter import plot_accuracy, plot_against, plot_difference
from jne.plotting.style import PAGE_WIDTH, cortical, title
from jne.plotting.volumes import plot_volume
from jne.statistics import area_table, predicted_voxels

if TYPE_CHECKING:
    from nibabel import Nifti1Image


def figure_accuracy(result: xr.Dataset) -> Figure:
    """R² of the linear and of the nonlinear encoder against the noise ceiling, and their difference per voxel.

    Without a noise ceiling, the two against each other.
    """
    if "noise_ceiling" not in result:
        figure, ax = plt.subplots(figsize=(4.6, 4.2))
        labels = {"xlabel": REGISTRY["r2_linear"].label, "ylabel": REGISTRY["r2"].label}
        plot_against(result.r2_linear, result.r2, ax=ax, **labels)
        ax.axline((0, 0), slope=1, color="k", linewidth=1)
    else:
        figure, axes = plt.subplots(1, 3, figsize=(PAGE_WIDTH, 3.3))
        ceiling, linear, nonlinear = (result[name].values for name in ("noise_ceiling", "r2_linear", "r2"))
        significant = result.significant.values
        plot_accuracy(ceiling, linear, label=REGISTRY["r2_linear"].label, ax=axes[0])
        plot_accuracy(ceiling, nonlinear, label=REGISTRY["r2"].label, significant=significant, ax=axes[1])
        plot_difference(ceiling, linear, nonlinear, significant=significant, ax=axes[2])
    figure.suptitle(title(result, "prediction accuracy per voxel"))
    return figure


def figure_map(
    result: xr.Dataset,
    measure: str,
    *,
    significant: bool = True,
    background: str | Path | Nifti1Image | None = None,
) -> Figure:
    """A measure on the flat map of fsLR-32k, or on slices of a volume; else by area, or as a histogram.

    Parameters
    ----------
    result : xarray.Dataset
    measure : str
    significant : bool
        Whether what is not significant is grey, or not counted.
    background : path or image, optional
        An anatomical image in the space of a volume, to be drawn beneath.
    """
    label, volume = label_of(measure), volume_of(result)
    if "vertex" in result and result["vertex"].attrs.get("mesh", MESH) == MESH:
        figure, ax = plt.subplots(figsize=(PAGE_WIDTH, 5.4))
        result = cortical(result)
        mask = result.significant.values if significant else None
        hemisphere = result.hemisphere.values.astype(str)
        plot_flatmap(result[measure].values, result.vertex.values, hemisphere, significant=mask, label=label, ax=ax)
    elif volume is not None and np.isfinite(result[measure]).any():
        mask = result.significant.values if significant else None
        roi = result["roi"].values if "roi" in result else None
        values = result[measure].values
        figure = plot_volume(values, volume, roi=roi, significant=mask, label=label, background=background)
    elif "roi" in result:
        table = area_table(result, (measure,), significant=significant).dropna(subset=measure)
        figure, ax = plt.subplots(figsize=(6, 1.4 + 0.28 * len(table)))
        plot_areas(table, measure, label=f"{label}, mean of area", ax=ax)
    else:
        figure, ax = plt.subplots(figsize=(6, 3))
        kept = predicted_voxels(result) if significant else slice(None)
        ax.hist(result[measure].values[kept], bins=20, color="C0")
        ax.set(xlabel=label, ylabel="voxels")
    figure.suptitle(title(result, short_label(measure)))
    return figure


def figure_confound(result: xr.Dataset) -> Figure:
    """Measures of significant voxels against the noise ceiling and, where it is known, the planted share."""
    result = result.isel(voxel=predicted_voxels(result))
    rows = [name for name in ("noise_ceiling", "true_nonlinearity") if name in result]
    rows = rows or ["r2"]
    measures = [name for name in ("jne", "nonlinear_share", "validated_share") if name in result]
    size = (PAGE_WIDTH, 2.6 * len(rows))
    figure, axes = plt.subplots(len(rows), len(measures), figsize=size, squeeze=False)
    for row, against in zip(axes, rows, strict=True):
        for ax, measure in zip(row, measures, strict=True):
            labels = {"xlabel": short_label(against), "ylabel": short_label(measure)}
            plot_against(result[against].values, result[measure].values, ax=ax, **labels)
    figure.suptitle(title(result, "what the measures follow, voxel by voxel"))
    return figure


def figure_hierarchy(results: Mapping[str, xr.Dataset]) -> Figure:
    """What was planted, what is predicted, and the measures by hierarchy level, one column per result.

    Parameters
    ----------
    results : mapping of str to xarray.Dataset
        Column title -> result; all with ``level (voxel)``.
    """
    first = next(iter(results.values()))
    rows = ("true_nonlinearity", "noise_ceiling", "explained", "jne", "nonlinear_share", "validated_share")
    rows = [name for name in rows if name in first]
    if len(results) == 1:  # one result reads better along the page than down it
        figure, axes = plt.subplots(1, len(rows), figsize=(PAGE_WIDTH, 2.4), squeeze=False)
        axes = axes.T
    else:
        size = (PAGE_WIDTH, 0.6 + 1.55 * len(rows))
        figure, axes = plt.subplots(len(rows), len(results), figsize=size, sharex=True, sharey="row", squeeze=False)
    for column, (name, result) in zip(axes.T, results.items(), strict=True):
        table = area_table(result, tuple(rows))
        for ax, measure in zip(column, rows, strict=True):
            plot_levels(table, measure, label=short_label(measure) if ax in axes[:, 0] else "", ax=ax)
            ax.set_xticks(ax.get_xticks(), ax.get_xticklabels(), rotation=40, ha="right", rotation_mode="anchor")
        if len(results) > 1:
            column[0].set_title(name)
    figure.suptitle(title(first, "areas along the visual hierarchy"))
    return figure
