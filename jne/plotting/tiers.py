"""Tiers of the visual hierarchy: how many voxels have which value, who exceeds whom, and where they are."""

from __future__ import annotations

from collections.abc import Mapping
from textwrap import fill

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap, Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from jne.cortex import TIERS, tiers
from jne.measures import label_of, short_label
from jne.plotting.areas import area_label, level_colors
from jne.plotting.encoder_maps import plot_cortex
from jne.plotting.style import PAGE_WIDTH, SMALL, title
from jne.plotting.surfaces import has_surface
from jne.statistics import in_order, predicted_voxels, tier_area_test, voxel_test

TIER_NAMES = {"PVC": "primary", "IVC": "intermediate", "HVC": "higher"}
LEVEL = 0.05
"""Of the paper's tests."""
_BINS = 30


def tier_colors() -> dict[str, tuple]:
    """A colour for each tier, that of its last level."""
    return {tier: level_colors()[level] for tier, level in zip(TIERS, ("V1", "V4", "higher"), strict=True)}


def figure_tiers(results: Mapping[str, xr.Dataset], measure: str = "jne") -> Figure:
    """Significant voxels by a measure, how they spread, and the areas, all by tier.

    As in Figures 7a, b, d and 18 of the paper. Voxels are those of all subjects together; rings are the subjects'
    means. The map is that of the first subject; without one, the areas of each tier are listed.

    Parameters
    ----------
    results : mapping of str to xarray.Dataset
        One per subject, with ``level``, ``roi`` and the measure ``(voxel)``.
    measure : str
    """
    needs_levels(results)
    first = next(iter(results.values()))
    on_cortex = has_surface(first)
    figure = plt.figure(figsize=(PAGE_WIDTH, 6.4 if on_cortex else 4.4))
    grid = figure.add_gridspec(2, 2, height_ratios=(2.6, 3.6) if on_cortex else (2.6, 1.2), width_ratios=(3, 2))
    counts, spread, where = (figure.add_subplot(grid[place]) for place in ((0, 0), (0, 1), (1, slice(None))))
    subjects = {name: _by_tier(result, measure) for name, result in results.items()}
    known = [tier for tier in TIERS if any(tier in own for own in subjects.values())]
    together = {tier: np.concatenate([own.get(tier, np.empty(0)) for own in subjects.values()]) for tier in known}
    every = np.concatenate(list(together.values()))
    low, high = (float(np.min(every)), float(np.quantile(every, 0.995))) if every.size else (0.0, 1.0)
    edges = np.linspace(low, high if high > low else low + 1, _BINS + 1)
    for place, (tier, values) in enumerate(together.items()):
        color = tier_colors()[tier]
        # What lies beyond the last edge is counted with it.
        number = np.histogram(values.clip(edges[0], edges[-1]), edges)[0]
        label = f"{tier}, {TIER_NAMES[tier]}: {len(values):,}"
        counts.stairs(number, edges, color=color, linewidth=2, label=label)
        if len(values) > 2 and np.ptp(values) > 0:
            (body,) = spread.violinplot([values], [place], widths=0.85, showextrema=False)["bodies"]
            body.set(facecolor=color, alpha=0.45, linewidth=0)
        means = [own[tier].mean() for own in subjects.values() if len(own.get(tier, ()))]
        shift = np.linspace(-0.12, 0.12, len(means)) if len(means) > 1 else np.zeros(len(means))
        spread.scatter(place + shift, means, facecolor="white", edgecolor="0.2", s=26, linewidth=1.1, zorder=3)
    counts.set(xlabel=label_of(measure), ylabel="significant voxels", ylim=(0, None))
    counts.legend(frameon=False, fontsize=SMALL)
    spread.set_xticks(range(len(together)), list(together))
    spread.set(ylabel=short_label(measure), ylim=(min(0, low), 1.05 * edges[-1]))
    _where(where, first, on_cortex)
    figure.suptitle(title(first, f"{short_label(measure)} by tier"))
    return figure


def needs_levels(results: Mapping[str, xr.Dataset]) -> None:
    """Refuse results without tiers."""
    for name, result in results.items():
        if "level" not in result or "roi" not in result or not (tiers(result["level"].values) != "").any():
            raise ValueError(
                f"{name} has no tiers; needed: roi and level (voxel), which datasets with the areas of "
                "jne.cortex.ATLAS_LEVELS get by their names"
            )


def _by_tier(result: xr.Dataset, measure: str) -> dict[str, np.ndarray]:
    values = result[measure].values
    tier = np.where(predicted_voxels(result) & np.isfinite(values), tiers(result["level"].values), "")
    return {name: values[tier == name] for name in TIERS if (tier == name).any()}


def _where(ax: Axes, result: xr.Dataset, on_cortex: bool) -> None:
    """The cortex coloured by tier, or the names of each tier's areas."""
    tier, colors = tiers(result["level"].values), tier_colors()
    known = [name for name in TIERS if (tier == name).any()]
    if on_cortex:
        place = np.array([known.index(name) if name else np.nan for name in tier], float)
        norm, cmap = Normalize(-0.5, len(known) - 0.5), ListedColormap([colors[name] for name in known])
        plot_cortex(result, place, norm=norm, cmap=cmap, ax=ax)
        patches = [Patch(color=colors[name], label=f"{name}, {TIER_NAMES[name]}") for name in known]
        ax.legend(handles=patches, loc="upper center", bbox_to_anchor=(0.5, 0.02), ncols=3, frameon=False)
        return
    ax.set_axis_off()
    roi = result["roi"].values.astype(str)
    for row, name in enumerate(known):
        areas = in_order(pd.DataFrame(index=np.unique(roi[(tier == name) & (roi != "")]))).index
        text = fill(f"{name}: " + ", ".join(area_label(area) for area in areas), 110)
        ax.text(0, 1 - row / 3, text, va="top", fontsize=SMALL, color="0.1", transform=ax.transAxes)
        ax.scatter([-0.02], [1 - row / 3 - 0.06], color=[colors[name]], transform=ax.transAxes, clip_on=False)
    ax.set(xlim=(0, 1), ylim=(0, 1))


def figure_tier_tests(results: Mapping[str, xr.Dataset], measure: str = "jne", **draws) -> Figure:
    """Which tier exceeds which: tested over voxels, as in Figures 7c and 18 of the paper, and beside it over areas.

    Left: one-sided t-tests over significant voxels (`jne.statistics.voxel_test`), in how many subjects p < 0.05. Right:
    one test over areas, each area's mean over subjects (`jne.statistics.tier_area_test`). The tier of the row above
    that of the column.

    Parameters
    ----------
    results : mapping of str to xarray.Dataset
        One per subject, with ``level``, ``roi`` and the measure ``(voxel)``.
    measure : str
    **draws
        ``n_draws`` and ``random_state`` of the test over areas.
    """
    needs_levels(results)
    tests = [voxel_test(result, measure) for result in results.values()]
    names = [tier for tier in TIERS if any(tier in test for test in tests)]
    tests = [test.reindex(index=names, columns=names) for test in tests]
    called = np.sum([test < LEVEL for test in tests], axis=0)
    tested = np.sum([test.notna() for test in tests], axis=0)
    over_areas = tier_area_test(results, measure, **draws)
    null = {"smooth maps": "against smooth maps", "areas exchanged": "areas exchanged"}[over_areas.attrs["null"]]
    over_areas = over_areas.reindex(index=names, columns=names)
    figure, axes = plt.subplots(1, 2, figsize=(PAGE_WIDTH, 3.4))
    if len(tests) == 1:
        words = tests[0].map(p_text).to_numpy()
    else:
        words = np.array(
            [
                [f"{c} of {n}" if n else "" for c, n in zip(*row, strict=True)]
                for row in zip(called, tested, strict=True)
            ]
        )
    _matrix(axes[0], names, np.where(tested > 0, called / np.maximum(tested, 1), np.nan), words)
    axes[0].set_title("over voxels, as in the paper", fontsize=SMALL)
    shown = np.where(over_areas.notna(), over_areas < LEVEL, np.nan).astype(float)
    _matrix(axes[1], names, shown, over_areas.map(p_text).to_numpy())
    axes[1].set_title(f"over areas, {null}", fontsize=SMALL)
    axes[0].set_ylabel("this tier …")
    for ax in axes:
        ax.set_xlabel("… is above this one")
    figure.suptitle(title(next(iter(results.values())), f"which tier has the higher {short_label(measure)}"))
    return figure


def p_text(p: float) -> str:
    """A p value in a cell; empty where there is none."""
    if not np.isfinite(p):
        return ""
    return "p < 0.001" if p < 0.001 else f"p = {p:.3f}" if p < 0.1 else f"p = {p:.2f}"


def _matrix(ax: Axes, names: list[str], values: np.ndarray, words: np.ndarray) -> None:
    """Cells from not called (light) to called (dark); white where nothing is tested."""
    ax.imshow(values, cmap="Blues", vmin=-0.15, vmax=1.35)
    for row, column in np.ndindex(values.shape):
        color = "white" if values[row, column] > 0.6 else "0.1"
        text = words[row, column] or ("" if row == column else "too few\nareas")
        ax.text(column, row, text, ha="center", va="center", color=color, fontsize=SMALL)
    ax.set_xticks(range(len(names)), names)
    ax.set_yticks(range(len(names)), names)
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
