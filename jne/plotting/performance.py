"""Figures of the chapter on performance, from the JSON file that the benchmark writes."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.axes import Axes

LABELS = {
    "plain": "jne",
    "share, full rank": "jne, with the nonlinear share",
    "closed form": "closed form, Jacobian kept",
    "vmap(jacfwd)": "vmap(jacfwd), Jacobian kept",
    "vmap(jacfwd), two passes": "vmap(jacfwd), in two passes",
    "vmap(jacrev)": "vmap(jacrev)",
    "backward per voxel": "one backward pass per voxel",
}
"""Methods of a benchmark that are drawn, where they were measured, and what the figures call them."""
NOT_DRAWN = {"plain, L2": "jne, L2 norm", "z-scored, L1": "jne, z-scored", "z-scored, L2": "jne, z-scored, L2 norm"}
"""Methods that are in tables alone."""


def clock_of(benchmark: Mapping) -> str:
    """``wall`` or, measured with one thread, ``cpu``: what other processes take is then not counted."""
    return "cpu" if benchmark["settings"]["threads"] == 1 else "wall"


def describe(benchmark: Mapping) -> tuple[str, dict[str, float | str]]:
    """On what machine and how the numbers were measured: a template of a sentence or two, and what it states."""
    settings, machine = benchmark["settings"], benchmark["machine"]
    numbers = {name: machine[name] for name in ("cpu", "cores", "torch")}
    numbers |= {"memory_gb": machine["memory_bytes"] / 1e9, "blas": machine["blas"].upper()}
    numbers |= {name: settings[name] for name in ("threads", "repeats")}
    text = "Measured on {cpu} ({cores} cores, {memory_gb:.0f} GB) with torch {torch} ({blas}), {threads} thread"
    text += "s" * (settings["threads"] > 1)
    text += {"cpu": "; processor time, ", "wall": "; time by the clock, "}[clock_of(benchmark)]
    many = settings["repeats"] > 1
    text += "median of {repeats} repeats with all methods in turn." if many else "measured once."
    numbers["load"] = max(section["load_before"] for section in benchmark["sections"].values())
    if numbers["load"] > 2 * machine["cores"]:
        text += " The machine was busy with other work (load {load:.0f}), which no clock leaves out entirely."
    return text + " **A brief run** with few stimuli: its numbers are rough." * settings["brief"], numbers


def times_table(benchmark: Mapping) -> pd.DataFrame:
    """Time of every method in gemm, one column per number of voxels.

    Parameters
    ----------
    benchmark : mapping
        Content of ``benchmarks/results/engine.json``.
    """
    sections = [s for name, s in benchmark["sections"].items() if name.startswith("times")]
    columns = {
        f"{section['case']['V']:,} voxels, {section['case']['N']} stimuli": {
            name: ratio[clock_of(benchmark)] for name, ratio in section["in_gemm"].items() if name != "gemm"
        }
        for section in sorted(sections, key=lambda section: section["case"]["V"])
    }
    return pd.DataFrame(columns)


def plot_times(table: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Bars on a logarithmic axis: time in gemm (the line at 1) by method and number of voxels; none where not run."""
    ax = ax or plt.gca()
    rows = table.loc[[name for name in LABELS if name in table.index]]
    height = 0.8 / len(rows.columns)
    for i, column in enumerate(rows.columns):
        places = np.arange(len(rows)) + height * i
        bars = ax.barh(places, rows[column], height=0.92 * height, color=f"C{i}", label=column)
        texts = ["" if np.isnan(time) else f"{time:.2g}" for time in rows[column]]
        ax.bar_label(bars, texts, padding=3, fontsize="small")
    ax.axvline(1, color="0.3", linewidth=1, linestyle="--")
    ax.set(xscale="log", xlabel="time, in plain matrix products (gemm)", xlim=(0.7, 2 * np.nanmax(rows.to_numpy())))
    ax.set_yticks(np.arange(len(rows)) + height * (len(rows.columns) - 1) / 2, [LABELS[name] for name in rows.index])
    ax.invert_yaxis()
    ax.legend(frameon=False)
    return ax


def plot_line(benchmark: Mapping, size: str, label: str, *, ax: Axes | None = None) -> Axes:
    """Time of jne and of gemm against one size (``"V"`` or ``"N"``), with the straight lines fitted to them."""
    ax = ax or plt.gca()
    section = benchmark["sections"][f"line, {size}"]
    seconds = "cpu_seconds" if clock_of(benchmark) == "cpu" else "seconds"
    for name, text, style in (("plain", "jne", "C0o"), ("gemm", "gemm", "C1s")):
        fit = section[f"fit_{seconds}"][name]
        ends = np.array([0, max(section["sizes"])])
        ax.plot(ends, fit["intercept"] + fit["slope"] * ends, color=style[:2], linewidth=1)
        ax.plot(section["sizes"], section[seconds][name], style[2], color=style[:2], label=text)
    ax.set(xlabel=label, ylabel="seconds", xlim=(0, None), ylim=(0, None))
    ax.legend(frameon=False)
    return ax


def memory_table(benchmark: Mapping) -> pd.DataFrame:
    """Peak memory above the inputs in GB, with samples and voxels, and the size that the whole Jacobian has."""
    rows = []
    for name, section in benchmark["sections"].items():
        if name.startswith("memory") or name == "whole brain":
            case, gigabytes = section["case"], section["jacobian_bytes"] / 1e9
            for method, run in section["methods"].items():
                peak = run["peak_bytes"] / 1e9
                rows.append([case["N"], case["V"], (LABELS | NOT_DRAWN)[method], round(peak, 2), round(gigabytes, 2)])
    columns = ["samples", "voxels", "method", "peak (GB)", "Jacobian (GB)"]
    return pd.DataFrame(rows, columns=columns).sort_values(["voxels", "peak (GB)"], ignore_index=True)
