"""One strip of cortex: small flat maps of the same voxels in a row."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import xarray as xr
from matplotlib import colormaps
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from jne.cortex import MESH
from jne.measures import short_label
from jne.plotting.areas import plot_areas
from jne.plotting.caption_texts import UNMASKED
from jne.plotting.maps import N_COLOURS, plot_flatmap
from jne.plotting.style import PAGE_WIDTH, set_style, title
from jne.statistics import area_table

STRIP = ("true_nonlinearity", "jne", "nonlinear_share", "noise_ceiling")
"""Planted, JNE, share, ceiling."""


def figure_strip(result: xr.Dataset, measures: Sequence[str] = STRIP, side: str = "left") -> Figure:
    """Measures of one hemisphere as small flat maps in a row; without places on that map, by area or as histograms.

    Each has its own colours, from the 2nd to the 98th percentile of what it draws. What is not
    significant is grey, but for what no encoder has a part in.

    Parameters
    ----------
    result : xarray.Dataset
        Of `jne.run_study`. Measures that it does not have are left out.
    measures : sequence of str
    side : str
        The hemisphere; the other one where no voxel is in it.

    Raises
    ------
    ValueError
        If it has none of the measures.
    """
    shown = [name for name in measures if name in result and np.isfinite(result[name].values).any()]
    on_map = "vertex" in result and result["vertex"].attrs.get("mesh", MESH) == MESH
    if not shown:
        raise ValueError(f"result has none of {', '.join(measures)}; give measures that it has")
    by_area = not on_map and "roi" in result
    height = 3.5 if on_map else 1.2 + 0.16 * len(np.unique(result["roi"].values.astype(str))) if by_area else 2
    hemisphere = result["hemisphere"].values.astype(str) if on_map else np.array([""])
    side = side if (hemisphere == side).any() else hemisphere[0]
    figure, axes = plt.subplots(1, len(shown), figsize=(PAGE_WIDTH, height), squeeze=False)
    for name, ax in zip(shown, axes[0], strict=True):
        if on_map:
            _small_map(result, name, side, ax)
        elif by_area:
            significant = name not in UNMASKED and bool(result["significant"].any())
            table = area_table(result, (name,), significant=significant).dropna(subset=name)
            plot_areas(table, name, label=short_label(name), ax=ax)
        else:
            ax.hist(result[name].values[np.isfinite(result[name].values)], bins=20, color="C0")
            ax.set(xlabel=short_label(name), ylabel="voxels")
    text = f"{side} hemisphere, flat, V1 at the {'right' if side == 'left' else 'left'}"
    text = text if on_map else "the measures side by side"
    figure.suptitle(title(result, text), fontsize="medium")
    return figure


def _small_map(result: xr.Dataset, name: str, side: str, ax: Axes) -> None:
    hemisphere = result["hemisphere"].values.astype(str)
    here = hemisphere == side
    values, vertex = result[name].values[here], result["vertex"].values[here]
    mask = np.ones(len(values), bool) if name in UNMASKED else result["significant"].values[here]
    kept = values[mask & np.isfinite(values)]
    low, high = np.quantile(kept if len(kept) else values[np.isfinite(values)], (0.02, 0.98))
    plot_flatmap(values, vertex, hemisphere[here], ax=ax, vmin=low, vmax=high, significant=mask, small=True)
    ax.set_title(short_label(name))
    scale = ScalarMappable(Normalize(low, high), colormaps["viridis"].resampled(N_COLOURS))
    bar = ax.figure.colorbar(scale, ax=ax, location="bottom", shrink=0.9, aspect=12, pad=0.03)
    middle = (low + high) / 2
    bar.set_ticks([low, middle, high], labels=[f"{value:.2f}" for value in (low, middle, high)])


def draw_strip(result: xr.Dataset, path: str | Path | None = None) -> np.ndarray:
    """Draw `figure_strip` as pixels ``(height, width, 3)``, 0 to 255; as a PNG to ``path`` where one is given."""
    with plt.rc_context():
        set_style()
        figure = figure_strip(result)
        figure.canvas.draw()
        pixels = np.asarray(figure.canvas.buffer_rgba())[..., :3].copy()
        plt.close(figure)
    if path is not None:
        from PIL import Image

        image = Image.fromarray(pixels).quantize(256, Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
        image.save(path, "PNG", optimize=True)
    return pixels
