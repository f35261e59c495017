"""Full-batch and minibatch fits of the synthetic cortex: price, accuracy, and what each measure makes of them.

    .venv/bin/python benchmarks/minibatches.py             # five seeds, one thread, about five minutes
    .venv/bin/python benchmarks/minibatches.py --seeds 2

The sizes are those of the parameter set demo, whose batch size this decides. Writes results/minibatches.json.
"""

from __future__ import annotations

import time
from pathlib import Path

import click
import numpy as np
import torch
from _common import Results, machine

import jne
from jne._core import code_hash, provenance
from jne.statistics import partial_spearman, spearman

RESULTS = Path(__file__).parent / "results" / "minibatches.json"
DATASET = {"thin": 12, "n_train": 2400, "n_validation": 300, "n_test": 300}
COMMON = {"hidden_size": 256, "max_epochs": 200}
WAYS = {"full batch": {"lr": 0.003}, "batches of 256": {"batch_size": 256, "lr": 0.002}}
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


@click.command()
@click.option("--seeds", default=5, show_default=True, help="Number of datasets, each with a seed of its own.")
@click.option("--fresh", is_flag=True, help="Measure everything again.")
def main(seeds: int, fresh: bool) -> None:
    """Measure what is missing, print the means over seeds, write results/minibatches.json."""
    torch.set_num_threads(1)
    settings = {"dataset": DATASET, "common": COMMON, "ways": WAYS, "code": code_hash("study"), "machine": machine(1)}
    results = Results(RESULTS, {**settings, **provenance()}, fresh)
    found = [results.section(f"seed {seed}", lambda seed=seed: compare(seed)) for seed in range(seeds)]
    means = {}
    for number in found[0]["full batch"]:
        columns = {way: [section[way][number] for section in found] for way in WAYS}
        means[number] = {way: [float(np.mean(v)), float(np.min(v)), float(np.max(v))] for way, v in columns.items()}
        texts = "   ".join(
            f"{way} {mean:8.3f} [{low:.3f}, {high:.3f}]" for way, (mean, low, high) in means[number].items()
        )
        click.echo(f"{number:<52}{texts}")
    results.finish(means=means)


if __name__ == "__main__":
    main()
