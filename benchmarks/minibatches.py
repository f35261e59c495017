"""Fits in larger and smaller steps: their price, their accuracy, and what each measure makes of them.

    .venv/bin/python benchmarks/minibatches.py             # five seeds, one thread, about ten minutes
    .venv/bin/python benchmarks/minibatches.py --seeds 2

Full batches against batches of 256 on the synthetic cortex, and two learning rates on simulated voxels, at the sizes of
the parameter set demo, whose settings this decides. Writes results/minibatches.json.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click
import numpy as np
import torch
from _common import Results, machine

import jne
from jne._core import code_hash, provenance
from jne.simulations import MEASURES as RECOVERED
from jne.simulations import recover, recovery_table
from jne.statistics import partial_spearman, spearman

RESULTS = Path(__file__).parent / "results" / "minibatches.json"
DATASET = {"thin": 12, "n_train": 2400, "n_validation": 300, "n_test": 300}
COMMON = {"hidden_size": 256, "max_epochs": 200}
WAYS = {"full batch": {"lr": 0.003}, "batches of 256": {"batch_size": 256, "lr": 0.002}}
VOXELS = {"n_train": 3000, "n_validation": 400, "n_test": 200, "n_features": 64, "n_voxels": 200}
VOXEL_WAYS = {
    "lr 0.001": {"hidden_size": 128, "batch_size": 128},
    "lr 0.004": {"hidden_size": 128, "batch_size": 256, "lr": 0.004},
}
MEASURES = ("jne", "mean_deviation", "relative", "nonlinear_share")


def compare(seed: int) -> dict:
    """Both ways with one seed of dataset and encoder: ``{way: {number: value}}``."""
    data = jne.load_dataset("synthetic", seed=seed, **DATASET)
    X, truth, ceiling = data.features("test"), data.get("true_nonlinearity"), data.get("noise_ceiling")
    found = {}
    for way, options in WAYS.items():
        start = time.process_time()
        encoder = jne.ResidualEncoder(**COMMON, **options, random_state=seed).fit(data)
        seconds = time.process_time() - start
        result = jne.nonlinearity(encoder, X)
        row = {"cpu_seconds": seconds, "epochs": len(encoder.history_["train_loss"])}
        row["r2"] = float(np.median(encoder.score(data)))
        for name in MEASURES:
            values = result[name].values
            row |= {f"{name}, median": float(np.median(values)), f"{name}, rho with the share": spearman(truth, values)}
            row[f"{name}, rho with the ceiling, share taken out"] = partial_spearman(values, ceiling, truth)
        found[way] = row
    return found


def compare_voxels(seed: int) -> dict:
    """As `compare`, of simulated voxels with their cross-fitted shares; seven fits more each."""
    found = {}
    for way, options in VOXEL_WAYS.items():
        with tempfile.TemporaryDirectory() as folder, _results_in(folder):
            start = time.process_time()
            result = recover(seed, encoder_options=options, **VOXELS)
            row = {"cpu_seconds": time.process_time() - start}
        row["r2"] = float(result["r2"].median())
        table = recovery_table([result]).set_index("measure")
        for name, label in RECOVERED.items():
            row[f"{name}, median"] = float(result[name].median())
            row[f"{name}, rho with the share"] = float(table.loc[label, "with_truth"])
            ceiling = float(table.loc[label, "partial_ceiling"])
            row[f"{name}, rho with the ceiling, share taken out"] = ceiling
        found[way] = row
    return found


@contextmanager
def _results_in(folder: str) -> Iterator[None]:
    """An empty cache, or the price would be that of reading."""
    before = os.environ.get("JNE_RESULTS")
    os.environ["JNE_RESULTS"] = folder
    try:
        yield
    finally:
        os.environ.pop("JNE_RESULTS")
        if before is not None:
            os.environ["JNE_RESULTS"] = before


def summary(found: list[dict]) -> dict:
    """``{number: {way: [mean, least, greatest]}}`` over seeds, printed."""
    means: dict = {}
    for number in found[0][next(iter(found[0]))]:
        columns = {way: [section[way][number] for section in found] for way in found[0]}
        means[number] = {way: [float(np.mean(v)), float(np.min(v)), float(np.max(v))] for way, v in columns.items()}
        texts = "   ".join(
            f"{way} {mean:8.3f} [{low:.3f}, {high:.3f}]" for way, (mean, low, high) in means[number].items()
        )
        click.echo(f"{number:<64}{texts}")
    return means


@click.command()
@click.option("--seeds", default=5, show_default=True, help="Number of datasets, each with a seed of its own.")
@click.option("--fresh", is_flag=True, help="Measure everything again.")
def main(seeds: int, fresh: bool) -> None:
    """Measure what is missing, print the means over seeds, write results/minibatches.json."""
    torch.set_num_threads(1)
    settings = {"dataset": DATASET, "common": COMMON, "ways": WAYS, "voxels": VOXELS, "voxel_ways": VOXEL_WAYS}
    settings |= {"code": code_hash("study"), "machine": machine(1)}
    results = Results(RESULTS, {**settings, **provenance()}, fresh)
    cortex = [results.section(f"seed {seed}", lambda seed=seed: compare(seed)) for seed in range(seeds)]
    voxels = [results.section(f"voxels, seed {seed}", lambda seed=seed: compare_voxels(seed)) for seed in range(seeds)]
    results.finish(means=summary(cortex), voxels=summary(voxels))


if __name__ == "__main__":
    main()
