"""Each voxel's best layer on the cortex, and measures by level with the last layer and with the best one."""

from __future__ import annotations

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib import colormaps
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from jne.cortex import MESH
from jne.measures import short_label
from jne.plotting.areas import area_label
from jne.plotting.characters import plain
from jne.plotting.maps import plot_flatmap
from jne.plotting.style import LEVEL_CMAP, PAGE_WIDTH, SMALL, cortical, legend_below, title
from jne.statistics import area_table, as_one_area, depth_ratios, predicted_voxels

_LOOKS = (("C1", "--", "s"), ("C0", "-", "o"), ("C2", ":", "^"), ("C4", "-.", "D"))


def figure_best_layers(result: xr.Dataset) -> Figure:
    """Each voxel's layer, dark (first) to light (last): a map, or, without places on the map, shares of each area.

    Parameters
    ----------
    result : xarray.Dataset
        Of `jne.run_study` with ``layer="best"``.
    """
    if "layer" not in result:
        raise ValueError("result has no layer (voxel); give one of jne.run_study(data, layer='best')")
    on_map = "vertex" in result and result["vertex"].attrs.get("mesh", MESH) == MESH
    if on_map:
        result = cortical(result)
    layer = result["layer"].values.astype(str)
    names = [str(name) for name in np.atleast_1d(result["layer"].attrs.get("layers", np.unique(layer)))]
    place = np.array([names.index(name) for name in layer])
    if on_map:
        figure, ax = plt.subplots(figsize=(PAGE_WIDTH, 5.4))
        where = result["vertex"].values, result["hemisphere"].values.astype(str)
        significant = result["significant"].values if "significant" in result else None
        plot_flatmap(place, *where, significant=significant, label="best layer", categories=names, ax=ax)
    else:
        chosen = result.isel(voxel=predicted_voxels(result))
        one_hot = {f"layer {number}": ("voxel", (place == number).astype(float)) for number in range(len(names))}
        shares = as_one_area(result)[["roi"]].assign(one_hot).isel(voxel=predicted_voxels(result))
        table = area_table(shares, tuple(one_hot)).iloc[::-1]
        figure, ax = plt.subplots(figsize=(PAGE_WIDTH, 1.6 + 0.24 * len(table)))
        colours = colormaps.get_cmap(LEVEL_CMAP).resampled(len(names))
        left = np.zeros(len(table))
        for number, name in enumerate(names):
            width = table[f"layer {number}"].to_numpy()
            ax.barh(range(len(table)), width, left=left, color=colours(number), label=plain(name))
            left = left + width
        ax.set_yticks(range(len(table)), [area_label(area) for area in table.index], fontsize=SMALL)
        ax.set_ylim(-0.6, len(table) - 0.4)
        ax.set(xlabel=f"share of {chosen.sizes['voxel']:,} significant voxels, by area", xlim=(0, 1))
        figure.legend(loc="outside lower center", ncols=min(len(names), 6), frameon=False, fontsize=SMALL)
    figure.suptitle(title(result, "the layer that a linear encoder predicts each voxel from best"))
    return figure


def figure_depth(
    table: pd.DataFrame, first: xr.Dataset, heading: str = "measures by level and choice of layer"
) -> Figure:
    """Measures by level, one panel each, a line for each choice of the feature layer; axes start at zero.

    Above the lines stands what the last level has, in multiples of the first, where all are above zero. Shares have one
    scale.

    Parameters
    ----------
    table : pandas.DataFrame
        From `jne.statistics.depth_table`.
    first : xarray.Dataset
        One of the results, for the title.
    heading : str
        Of the title.
    """
    ratios = depth_ratios(table)
    measures = [name for name in table if name not in ("layers", "level", "n_voxels")]
    figure, axes = plt.subplots(1, len(measures), figsize=(PAGE_WIDTH, 3.1), squeeze=False)
    for ax, measure in zip(axes[0], measures, strict=True):
        for (choice, rows), (color, line, marker) in zip(table.groupby("layers", sort=False), _LOOKS, strict=False):
            ax.plot(rows["level"], rows[measure], line, color=color, marker=marker, markersize=5, label=choice)
        values = table[[name for name in measures if name.endswith("share")] if measure.endswith("share") else measure]
        low, top = np.nanmin(values), np.nanmax(values)
        shown = ratios[measure] if table[measure].min() > 0 else []
        for number, (ratio, look) in enumerate(zip(shown, _LOOKS, strict=False)):
            place = {"x": 0.04 + 0.5 * number, "y": 0.99, "transform": ax.transAxes, "va": "top"}
            ax.text(s=f"× {ratio:.2f}", color=look[0], fontweight="bold", **place)
        ax.set(title=short_label(measure), ylim=(min(0, 1.25 * low), 1.25 * top))
        ax.set_xticks(ax.get_xticks(), ax.get_xticklabels(), rotation=45, ha="right", rotation_mode="anchor")
        ax.tick_params(labelsize=SMALL)
    legend_below(figure, axes[0, 0], fontsize="medium")
    figure.suptitle(title(first, heading))
    return figure
