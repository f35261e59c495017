"""What the benchmarks measured, as pieces of text and tables for the pages of the book."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from jne._core import as_written, read_json
from jne.book.planning import markdown_table, memory_table, stimuli_table, stimuli_text, time_table

RESULTS = Path("benchmarks/results")
NOT_YET = "nobody has measured yet"


def measured_texts(root: Path) -> dict[str, str]:
    """Markdown for ``{{name}}`` in the pages.

    ``encoder_difference`` is from `benchmarks/encoders.py`, ``layer_hierarchy`` and ``layer_rise`` are from
    `benchmarks/layers.py`, ``validated_size`` and ``validated_recovery`` from `benchmarks/validated.py`, ``quick_time``
    and ``demo_time`` from `benchmarks/book.py`; ``batch_machine``, ``batch_grid``, ``batch_scaling`` and
    ``batch_overhead`` from `benchmarks/batch.py`. The ``plan_`` texts are of several (`jne.book.planning`).
    """
    batch = _read(root / RESULTS / "batch.json")
    parts = {"grid": _grid, "scaling": _scaling, "overhead": _overhead}
    texts = {f"batch_{name}": text(batch[name]) if name in batch else NOT_YET for name, text in parts.items()}
    texts["batch_machine"] = _machine(batch["grid"]["machine"]) if "grid" in batch else NOT_YET
    encoders = _read(root / RESULTS / "encoders.json")
    texts["encoder_difference"] = _encoders(encoders) if encoders else f"That {NOT_YET}"
    layers = _read(root / RESULTS / "layers.json")
    texts["layer_hierarchy"] = _layer_hierarchy(layers) if layers else f"How much, {NOT_YET}"
    texts["layer_rise"] = _layer_rise(layers) if layers else f"Whether it stays visible, {NOT_YET}"
    validated = _read(root / RESULTS / "validated.json").get("sections", {})
    texts["validated_size"] = _validated_size(validated) if validated else f"How often it is wrong, {NOT_YET}"
    texts["validated_recovery"] = _validated_recovery(validated) if validated else f"How far, {NOT_YET}"
    return texts | _planning(root) | _book_times(_read(root / RESULTS / "book.json"))


def put_in(text: str, values: Mapping[str, str]) -> str:
    """A page's source with ``{{name}}`` replaced for the names in ``values``; nothing else in it is read."""
    return re.sub(r"\{\{ *(\w+) *\}\}", lambda found: values.get(found[1], found[0]), text)


def _read(path: Path) -> dict:
    return read_json(path, "benchmarks") if path.is_file() else {}


def _encoders(part: dict) -> str:
    """The encoder of equation 7 beside the release's, and beside a second fit of the release's."""
    mean = {way: {name: value["mean"] for name, value in row.items()} for way, row in part["summary"].items()}
    release, other, again = (mean[way] for way in ("release", "equation 7", "another seed"))
    share, map_of = "jne, rho with the share", "jne, rho with the release's"
    return (
        f"On {part['seeds']} synthetic cortices (`benchmarks/encoders.py`), median R² is {other['r2']:.3f} with both "
        f"and {release['r2']:.3f} without, and JNE follows the planted share with ρ = {other[share]:.2f} and "
        f"{release[share]:.2f}; their maps of JNE correlate with ρ = {other[map_of]:.2f}, where the same encoder from "
        f"another seed gives {again[map_of]:.2f}"
    )


def _layer_hierarchy(part: dict) -> str:
    """What JNE makes of a cortex without any nonlinearity, from the last layer and from the best ones."""
    ratio = {choice: row["jne, ratio"] for choice, row in part["summary"]["linear"].items()}
    share = {choice: row["nonlinear_share, ratio"]["mean"] for choice, row in part["summary"]["linear"].items()}
    spread = {choice: f"{value['mean']:.2f} times ({value['min']:.2f} to {value['max']:.2f})"
              for choice, value in ratio.items()}  # fmt: skip
    return (
        f"Over {part['seeds']} cortices of this kind (`benchmarks/layers.py`), JNE of the last level is "
        f"{spread['last']} that of the first with the last layer, and {spread['best']} with the best layer of each "
        f"voxel; for the share these are {share['last']:.2f} and {share['best']:.2f}"
    )


def _layer_rise(part: dict) -> str:
    """How a planted rise is seen with the best layers, and what a share that is the same everywhere looks like."""
    rising, flat = ({choice: {name: value["mean"] for name, value in row.items()} for choice, row in world.items()}
                    for world in (part["summary"]["rising"], part["summary"]["flat"]))  # fmt: skip
    rho = {choice: row["nonlinear_share, rho with the share"] for choice, row in rising.items()}
    jne, share = (
        {choice: row[f"{name}, ratio"] for choice, row in flat.items()} for name in ("jne", "nonlinear_share")
    )
    return (
        f"Where the planted share does rise, the measured one follows it over voxels with ρ = {rho['best']:.2f} with "
        f"the best layers and {rho['last']:.2f} with the last. The best layer takes out what a layer does not fit, and "
        "no more: where every level has the same planted share, it is harder to learn in one layer than in another, "
        f"and from first to last level JNE still changes {jne['best']:.2f} times with the best layers "
        f"({jne['last']:.2f} with the last), the share {share['best']:.2f} times ({share['last']:.2f})"
    )


def _validated_size(sections: dict) -> str:
    """How often the test of the validated share calls voxels that are linear."""
    rates = [100 * part["rate"] for name, part in sections.items() if name.startswith("size: ")]
    return (
        "On simulated voxels that are linear (Gaussian and clustered features; noise that is Gaussian, heavy-tailed, "
        f"or grows with the signal; up to half as many features as stimuli) p is below 0.05 in {min(rates):.1f} to "
        f"{max(rates):.1f} % (`benchmarks/validated.py`)"
    )


def _validated_recovery(sections: dict) -> str:
    """What the validated share follows at the size of an experiment, one fit and the mean of three."""
    size, one, three = (sections["recovery: size of NSD"][name] for name in ("size", "1 fits", "3 fits"))
    share, jne = one["validated_share"], one["jne"]
    few = sections["recovery: 1000 training stimuli, 384 features"]["1 fits"]["validated_share"]
    return (
        f"In simulations of the size of NSD ({size['n_train']:,} training and {size['n_test']:,} test stimuli, "
        f"{size['n_features']} features; `benchmarks/validated.py`) it follows the planted share with ρ = "
        f"{share['with_share']:.2f} and, given that, the noise ceiling with {share['partial_ceiling']:+.2f} (JNE: "
        f"{jne['with_share']:.2f} and {jne['partial_ceiling']:+.2f}); its median error is "
        f"{share['bias']:+.2f}, with the mean of three fits "
        f"{three['validated_share']['bias']:+.2f}, and with 1,000 training stimuli of 384 features {few['bias']:+.2f}"
    )


def _planning(root: Path) -> dict[str, str]:
    parts = {
        "plan_stimuli": (stimuli_table, "validated"),
        "plan_enough": (stimuli_text, "validated"),
        "plan_time": (time_table, "engine", "gpu", "features"),
        "plan_memory": (memory_table, "engine", "gpu", "nsd_memory"),
    }
    read = {name: [_read(root / RESULTS / f"{file}.json") for file in files] for name, (_, *files) in parts.items()}
    return {name: parts[name][0](*found) if all(found) else f"That {NOT_YET}" for name, found in read.items()}


def _book_times(book: dict) -> dict[str, str]:
    times = {f"{name}_time": f"a time that {NOT_YET}" for name in ("quick", "demo")}
    busy = book.get("builds_busy", {})
    for name, run in book.get("builds", {}).items():
        times[f"{name}_time"] = f"{_duration(run['seconds'])} on {run['machine']['cores']} processor cores"
        if name in busy:
            times[f"{name}_time"] += f" ({_duration(busy[name]['seconds'])} beside one busy process)"
    return times


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} seconds" if seconds < 120 else f"{seconds / 60:.0f} minutes"


def _machine(machine: dict) -> str:
    return f"{as_written(machine['cpu'])}, {machine['cores']} cores, one thread per run"


def _grid(part: dict) -> str:
    """Wall time of the grid in each way of running it."""
    ways = sorted(part["seconds"].items(), key=lambda way: -way[1])
    plain = part["seconds"]["plain loop, no cache"]
    rows = [(way, f"{seconds / 60:.1f}", f"{plain / seconds:.1f}") for way, seconds in ways]
    return markdown_table((f"{part['runs']} runs", "minutes", "times as fast"), rows)


def _scaling(part: dict) -> str:
    """Time and memory of one run, one of its sizes larger at a time."""
    sizes = {
        "dataset_options.thin": "vertices",
        "dataset_options.n_train": "training stimuli",
        "encoder_options.hidden_size": "hidden units",
    }
    first, *others = part["runs"]
    rows = [("the quick parameters, 50 epochs", f"{first['seconds']:.0f}", _megabytes(first))]
    for run in others:
        # Every size only grows; thinning grows as its number falls.
        factors = {name: max(run[key] / first[key], first[key] / run[key]) for key, name in sizes.items()}
        what = ", ".join(f"{factor:.0f} times the {name}" for name, factor in factors.items() if factor != 1)
        rows.append((what, f"{run['seconds']:.0f}", _megabytes(run)))
    return markdown_table(("one run of *Spatial distribution*", "seconds", "peak memory, MB"), rows)


def _megabytes(run: dict) -> str:
    return f"{run['peak_memory'] / 1e6:.0f}"


def _overhead(part: dict) -> str:
    ours, alone = part["seconds per run, batch"], part["seconds per run, plain papermill"]
    memory = part["memory of the client in MB, by share of runs done"]
    return (
        f"{ours - alone:.2f} seconds a run over papermill alone ({part['runs']} runs of a notebook that does nothing, "
        f"{alone:.1f} seconds each), and {memory['0.9']:.0f} MB for the command itself"
    )
