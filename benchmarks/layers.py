"""One final layer for all areas, or the best layer of each voxel: which measure shows a hierarchy that is not there.

    .venv/bin/python benchmarks/layers.py             # five cortices in three worlds, one thread, about ten minutes
    .venv/bin/python benchmarks/layers.py --seeds 2

Levels of the synthetic cortex are planted in successive feature layers, with the same noise ceiling; the nonlinear
share in a voxel's own layer is nowhere anything, the same everywhere, or rising. Each is studied with the last layer
and with the best layer of each voxel. Writes results/layers.json.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import click
import numpy as np
import torch
from _common import Results, machine, over_seeds

import jne
from jne._core import code_hash, provenance
from jne.statistics import depth_ratios, depth_table, depth_trends, predicted_voxels, spearman

RESULTS = Path(__file__).parent / "results" / "layers.json"
DATASET = {"thin": 16, "n_train": 2000, "n_validation": 250, "n_test": 250, "layer": "deepening"}
ENCODER = {"hidden_size": 256, "batch_size": 256, "lr": 0.002, "max_epochs": 200}
WORLDS = {"linear": "none", "flat": "flat", "rising": "rising"}
CHOICES = {"last": None, "best": "best"}
"""Choice of the layer -> argument ``layer`` of `jne.run_study`."""


def compare(seed: int, alpha: str) -> dict:
    """Both choices on one dataset: ``{choice: {number: value}}``."""
    data = jne.load_dataset("synthetic", seed=seed, alpha=alpha, **DATASET)
    results, seconds = {}, {}
    for choice, layer in CHOICES.items():
        # In a folder of its own, so that the time is that of computing all of it.
        with tempfile.TemporaryDirectory() as folder:
            start = time.process_time()
            study = jne.run_study(data, layer, encoder_options=ENCODER, seed=seed, linear=False, folder=folder)
            seconds[choice] = time.process_time() - start
            results[choice] = study.result
    found = {choice: {"seconds": seconds[choice]} for choice in CHOICES}
    for name, table in (("ratio", depth_ratios(depth_table(results))), ("rho", depth_trends(results))):
        for choice, row in table.iterrows():
            found[choice] |= {f"{measure}, {name}": float(value) for measure, value in row.items()}
    for choice, result in results.items():
        use = predicted_voxels(result)
        found[choice]["significant"] = float(use.mean())
        if alpha != "none":
            truth = result["true_nonlinearity"].values[use]
            for measure in ("jne", "nonlinear_share"):
                found[choice][f"{measure}, rho with the share"] = spearman(result[measure].values[use], truth)
    found["best"]["right layer"] = float((results["best"]["layer"] == results["best"]["true_layer"]).mean())
    found["best"]["cost"] = seconds["best"] / seconds["last"]
    return found


def summary(found: dict[str, list[dict]]) -> dict:
    """``{world: {choice: {number: {mean, min, max}}}}`` over seeds."""
    numbers: dict = {}
    for world, sections in found.items():
        for choice in CHOICES:
            kept = over_seeds([section[choice] for section in sections])
            numbers.setdefault(world, {})[choice] = kept
            for name, value in kept.items():
                numbers_text = f"{value['mean']:8.3f} [{value['min']:.3f}, {value['max']:.3f}]"
                click.echo(f"{world:8}{choice:6}{name:40}{numbers_text}")
    return numbers


@click.command(help=__doc__)
@click.option("--seeds", default=5, show_default=True, help="Number of cortices in each world.")
@click.option("--fresh", is_flag=True, help="Measure everything again.")
def main(seeds: int, fresh: bool) -> None:
    torch.set_num_threads(1)
    # What torch loads at the first fit is no part of any.
    rows = np.random.default_rng(0).normal(size=(8, 2))
    jne.ResidualEncoder(hidden_size=2, max_epochs=1).fit(rows, rows, rows, rows)
    settings = {"dataset": DATASET, "encoder": ENCODER, "code": code_hash("study"), **provenance()}
    results = Results(RESULTS, settings, fresh)
    found = {
        world: [
            results.section(f"{world}, seed {seed}", lambda a=alpha, s=seed: compare(s, a)) for seed in range(seeds)
        ]
        for world, alpha in WORLDS.items()
    }
    results.finish(machine=machine(1), seeds=seeds, summary=summary(found))


if __name__ == "__main__":
    main()
