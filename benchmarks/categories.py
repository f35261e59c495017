"""Which categories an area's nonlinearity is for: what JNE-SS says, and what the responses confirm.

Synthetic cortices with their gate on: does the table of areas and categories, less the means of its rows and columns,
follow the planted one? And with their gate off: how often does the test call a cell when the categories of the test
stimuli are shuffled? Written to ``results/categories.json`` beside this file. About five minutes on one core::

    OMP_NUM_THREADS=1 python benchmarks/categories.py
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import click
import numpy as np
import pandas as pd
import torch
from _common import Results, machine

import jne
from jne._core import code_hash, provenance
from jne.statistics import category_table, confirmed_table, confirmed_test, double_centred, shuffle_test, spearman

RESULTS = Path(__file__).parent / "results" / "categories.json"
DATASET = {"thin": 12, "n_train": 2400, "n_validation": 300, "n_test": 300}
ENCODER = {"hidden_size": 256, "batch_size": 256, "lr": 0.002, "max_epochs": 200}
GATES = {"faces": ("faces",), "scenes": ("indoor scenes", "outdoor scenes"), "bodies": ("bodies",)}
"""Planted gate -> the categories of stimuli that open it."""


def study(seed: int, gate: bool):
    data = jne.load_dataset("synthetic", seed=seed, gate=gate, **DATASET)
    with tempfile.TemporaryDirectory() as folder:
        result = jne.run_study(data, encoder_options=ENCODER, seed=seed, linear=False, folder=folder).result
    return result.assign(gate_category=("voxel", data.get("gate_category").astype(str)))


def gated(seed: int) -> dict:
    """Rank correlation over cells with the planted table, and what is called."""
    result = study(seed, True)
    confirmed, scores = confirmed_table(result), category_table(result)
    areas = [area for area in confirmed.index if area in scores.index]
    confirmed, scores = confirmed.loc[areas], scores.loc[areas, confirmed.columns]
    gate = dict(zip(result["roi"].values.astype(str), result["gate_category"].values.astype(str), strict=True))
    planted = pd.DataFrame(
        [[float(name in GATES.get(gate[area], ())) for name in confirmed] for area in areas], areas, confirmed.columns
    )
    found = {"confirmed": confirmed, "JNE-SS": scores}
    rho = {name: spearman(double_centred(table), double_centred(planted)) for name, table in found.items()}
    cells = confirmed_test([result])["selective"].unstack("category").loc[areas, confirmed.columns].to_numpy()
    open_, total = planted.to_numpy() > 0, planted.to_numpy().sum()
    called = {"called of planted": float(cells[open_].sum() / total), "called beside": int(cells[~open_].sum())}
    return {"rho": rho, **called, "cells": int(cells.size)}


def shuffled(seed: int, n: int) -> dict:
    """Without a gate: what is called with the categories as they are, and how often with them shuffled."""
    result, rng, calls, single = study(seed, False), np.random.default_rng(seed), 0, []
    as_they_are = int(confirmed_test([result])["selective"].sum())
    by_shuffling = float((shuffle_test(result) < 0.05).to_numpy().mean())
    for number in range(n):
        null = result.assign(category=("sample", rng.permutation(result["category"].values)))
        cells = confirmed_test([null], 199, random_state=number)
        calls += bool(cells["selective"].any())
        single.append(float((cells["z"] > 1.645).mean()))
    return {"called as they are": as_they_are, "JNE-SS, shuffled stimuli, cells at p < 0.05": by_shuffling,
            "tables with a call, shuffled": calls / n, "cells beyond 1.645": float(np.mean(single))}  # fmt: skip


@click.command(help=__doc__)
@click.option("--seeds", default=5, show_default=True)
@click.option("--shuffles", default=1000, show_default=True)
@click.option("--fresh", is_flag=True, help="Measure everything again.")
def main(seeds: int, shuffles: int, fresh: bool) -> None:
    torch.set_num_threads(1)
    settings = {"dataset": DATASET, "encoder": ENCODER, "code": code_hash("study"), **provenance()}
    results = Results(RESULTS, settings, fresh)
    for seed in range(seeds):
        print(results.section(f"gate on, seed {seed}", lambda s=seed: gated(s)))
    print(results.section("gate off", lambda: shuffled(0, shuffles)))
    results.finish(machine=machine(1))


if __name__ == "__main__":
    main()
