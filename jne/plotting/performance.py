"""Figures of the chapter on performance, from the JSON file that the benchmark writes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.axes import Axes

from jne.plotting.style import SMALL

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
_BROUGHT = Path(__file__).resolve().parents[1] / "_measured"
"""Where a wheel has the files of ``benchmarks/results`` (pyproject.toml)."""


def read(path: Path) -> dict | None:
    """What a benchmark has written; None where it has not run.

    A notebook that runs outside a clone has no ``benchmarks/results``: then what an installed package brings of it.
    """
    if not path.is_file() and path.parts[-3:-1] == ("benchmarks", "results"):
        path = _BROUGHT / path.name
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None


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
        ax.bar_label(bars, texts, padding=3, fontsize=SMALL)
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


def fits_table(fits: Mapping[str, Mapping]) -> pd.DataFrame:
    """Seconds an epoch of fits, in units of its matrix products alone (gemm), and what they reach and take.

    Parameters
    ----------
    fits : mapping
        Of names to sections of ``benchmarks/results/fits.json`` or ``gpu.json``; what is no fit is left out.
    """
    columns = {
        "seconds an epoch": ("seconds_an_epoch", 1),
        "in gemm": ("in_gemm", 1),
        "GFLOPS": ("flops_per_second", 1e9),
        "peak above the arrays (GB)": ("peak_bytes", 1e9),
    }
    rows = {
        name: {column: fit[key] / unit for column, (key, unit) in columns.items()}
        for name, fit in fits.items()
        if isinstance(fit, Mapping) and "in_gemm" in fit
    }
    names = {row: _name_of_fit(row, fits[row]["batch_size"]) for row in rows}
    return pd.DataFrame.from_dict(rows, orient="index").rename(index=names)


def _name_of_fit(name: str, batch_size: int | None) -> str:
    return name.replace("minibatches", f"batches of {batch_size}").replace("tf32", "TF32 allowed")


def describe_fits(benchmark: Mapping) -> tuple[str, dict[str, float | str]]:
    """What a subject costs on a CPU and on which: a template of a few sentences, and what it states.

    Parameters
    ----------
    benchmark : mapping
        Content of ``benchmarks/results/fits.json``.
    """
    sections, subject = benchmark["sections"], benchmark["subject"]
    stop, checkpoint, rest = (sections[n] for n in ("epochs until the stop", "checkpoint", "the rest of a study"))
    numbers = {name: benchmark["machine"][name] for name in ("cpu", "torch", "threads")}
    numbers |= {"minutes": subject["minutes"], "n_test": rest["n_test"], "stop_voxels": stop["voxels"]}
    numbers |= {f"{name}_minutes": value for name, value in subject["fits"].items()}
    numbers |= {f"{name}_epochs": value for name, value in stop["epochs"].items()}
    numbers |= {"mb": checkpoint["bytes"] / 1e6, "checkpoint_seconds": max(checkpoint["seconds"])}
    numbers |= {"nonlinearity_minutes": rest["seconds_nonlinearity_scaled"] / 60}
    text = "Measured on {cpu} with torch {torch}, {threads} thread" + "s" * (numbers["threads"] > 1)
    text += (
        ". One subject takes {minutes:.0f} minutes: the nonlinear "
        "encoder {nonlinear_minutes:.0f} ({nonlinear_epochs} epochs), the linear one {linear_minutes:.0f} "
        "({linear_epochs}), and the measures at {n_test:,} stimuli {nonlinearity_minutes:.0f}. The epochs until the "
        "early stop are those of {stop_voxels} simulated voxels, and the measures are scaled from fewer stimuli. A "
        "checkpoint has {mb:.0f} MB and takes {checkpoint_seconds:.1f} s; together they may take a hundredth of a fit."
    )
    return text, numbers


def card_table(benchmark: Mapping) -> pd.DataFrame:
    """Seconds of a whole brain on a card, their share of its rate of large products, and the memory.

    Parameters
    ----------
    benchmark : mapping
        Content of ``benchmarks/results/gpu.json``.
    """
    labels = {"plain": "jne", "plain, no samples": "jne, no JNE-SS", "share, full rank": LABELS["share, full rank"]}
    rows = {}
    for precision, name in (("float32", "float32"), ("tf32", "TF32")):
        for way, run in benchmark["sections"].get(f"brain, {precision}", {}).items():
            if way in labels:
                rows[f"{labels[way]}, {name}"] = {
                    "seconds": run["seconds"],
                    "of the rate (%)": 100 * run["share_of_matrix_rate"],
                    "without what does not grow (%)": 100 * run["share_of_matrix_rate_growth"],
                    "peak (GB)": run["peak_bytes"] / 1e9,
                }
    return pd.DataFrame.from_dict(rows, orient="index")


def describe_card(benchmark: Mapping) -> tuple[str, dict[str, float | str]]:
    """Which card, how exact and how quick: a template of a few sentences, and what it states."""
    sections = benchmark["sections"]
    numbers: dict[str, float | str] = {"torch": benchmark["settings"]["torch"], "card": benchmark["settings"]["device"]}
    text = "Measured on one {card} with torch {torch}."
    for precision, name in (("float32", "float32"), ("tf32", "TF32")):
        numbers[f"{precision}_tflops"] = sections["card"]["matrix_flops"][precision] / 1e12
        text += f" Large square products reach {{{precision}_tflops:.0f}} TFLOPS in {name}"
        errors = sections.get(f"accuracy, {precision}", {}).get("largest_relative_error")
        if errors:
            numbers[f"{precision}_error"], way = max((max(e.values()), way) for way, e in errors.items())
            numbers[f"{precision}_way"] = way
            text += (
                f", and the largest error of any way of the engine is {{{precision}_error:.0e}} ({{{precision}_way}})"
            )
        text += "."
        if tiles := sections.get(f"tiles of the engine, {precision}"):
            shares = tiles["share_of_matrix_rate"]["rows"]
            numbers[f"{precision}_rows"] = int(max(shares, key=shares.get))
            numbers[f"{precision}_tile_share"] = 100 * max(shares.values())
            text += f" Of all tiles, {{{precision}_rows:,}} rows at a time are quickest"
            text += f" ({{{precision}_tile_share:.0f}} % of that rate)."
    if found := sections.get("features"):
        numbers |= {"images": found["images_per_second"], "minutes_73k": found["minutes_of_73000_images"]}
        text += (
            " EfficientNet-Lite0 takes {images:,.0f} images a second from memory, 73,000 in {minutes_73k:.1f} minutes."
        )
    if found := sections.get("subject"):
        numbers |= {"minutes": found["minutes_of_a_study"], "subject_voxels": found["case"]["V"]}
        text += (
            " One simulated subject of {subject_voxels:,} voxels takes {minutes:.1f} minutes from arrays to measures."
        )
    failed = {f"accuracy, {p}, {way}" for p in ("float32", "tf32") for way in _failed(sections, p)}
    if failed := sorted(failed | set(benchmark.get("failed", {}))):
        numbers["failed"] = ", ".join(failed)
        text += " **Not measured, or failed:** {failed}."
    return text, numbers


def _failed(sections: Mapping, precision: str) -> Mapping:
    return sections.get(f"accuracy, {precision}", {}).get("failed", {})
