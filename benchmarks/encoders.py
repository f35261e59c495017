"""The release's encoder against that of the paper's equation 7: biases and Adam for AdamW, or another seed.

    .venv/bin/python benchmarks/encoders.py             # three cortices, one thread, about ten minutes
    .venv/bin/python benchmarks/encoders.py --seeds 2

Synthetic cortex, full batches, small sizes. Each encoder is compared with the release's on the same data, and a second
fit of the release's, from another seed, says what is a difference and what is chance. Writes results/encoders.json.
"""

from __future__ import annotations

from pathlib import Path

import click
import numpy as np
import torch
from _common import Results, machine, over_seeds

import jne
from jne._core import code_hash, provenance
from jne.statistics import spearman

RESULTS = Path(__file__).parent / "results" / "encoders.json"
DATASET = {"thin": 16, "n_train": 2000, "n_validation": 250, "n_test": 250}
COMMON = {"hidden_size": 192, "max_epochs": 200, "lr": 0.003}
WAYS = {"release": {}, "equation 7": {"bias": True, "optimizer": "adam"}, "another seed": {}}
MEASURES = ("jne", "nonlinear_share")


def compare(seed: int) -> dict:
    """All ways on one dataset: ``{way: {number: value}}``; rho is Spearman's, over vertices."""
    data = jne.load_dataset("synthetic", seed=seed, **DATASET)
    truth, found, maps = data.get("true_nonlinearity"), {}, {}
    for way, options in WAYS.items():
        start = seed + 1000 * (way == "another seed")
        encoder = jne.ResidualEncoder(**COMMON, **options, random_state=start).fit(data)
        maps[way] = jne.nonlinearity(encoder, data.features("test"), return_samples=False)
        row = {"r2": float(np.median(encoder.score(data))), "epochs": len(encoder.history_["train_loss"])}
        for name in MEASURES:
            values, release = maps[way][name].values, maps["release"][name].values
            row |= {f"{name}, median": float(np.median(values)), f"{name}, rho with the share": spearman(truth, values)}
            row[f"{name}, rho with the release's"] = spearman(release, values)
        found[way] = row
    return found


def summary(found: list[dict]) -> dict:
    """``{way: {number: {mean, min, max}}}`` over seeds."""
    numbers = {}
    for way in WAYS:
        numbers[way] = over_seeds([section[way] for section in found])
        for number, value in numbers[way].items():
            click.echo(f"{way:14} {number:40} {value['mean']:8.3f} [{value['min']:.3f}, {value['max']:.3f}]")
    return numbers


@click.command(help=__doc__)
@click.option("--seeds", default=3, show_default=True, help="Number of datasets, each with a seed of its own.")
@click.option("--fresh", is_flag=True, help="Measure everything again.")
def main(seeds: int, fresh: bool) -> None:
    torch.set_num_threads(1)
    settings = {"dataset": DATASET, "common": COMMON, "ways": WAYS, "code": code_hash("study"), **provenance()}
    results = Results(RESULTS, settings, fresh)
    sections = [results.section(f"seed {seed}", lambda seed=seed: compare(seed)) for seed in range(seeds)]
    results.finish(machine=machine(1), seeds=seeds, summary=summary(sections))


if __name__ == "__main__":
    main()
