"""Fits at the size of NSD on a CPU: seconds an epoch against an epoch's matrix products, memory, and one subject.

8,000 stimuli x 768 features -> 15,000 voxels through 1,024 hidden units, simulated, full batch and batches of 256. How
many epochs a fit takes is found with fewer voxels, and Jacobians at 1,000 stimuli are scaled from fewer; both are said
so in the result. About 20 minutes on two cores; nothing else should run::

    python benchmarks/fits.py --threads 2
"""

from __future__ import annotations

import tempfile
import time
from functools import partial
from pathlib import Path
from unittest import mock

import click
import torch
from _common import Results, machine
from _fits import FitCase, fit, measure_epochs, simulate

import jne
from jne._core import code_hash, provenance
from jne.encoders import ResidualEncoder

RESULTS = Path(__file__).parent / "results" / "fits.json"
FULL = {
    "fit": {"n": 8000, "n_val": 1000, "D": 768, "V": 15_000, "H": 1024},
    "batch_size": 256,
    "epochs": [1, 3],
    "stop_voxels": 300,
    "n_test": 1000,
    "n_measured": [8, 40],
    "n_bootstrap": 2000,
    "max_epochs": 512,
}
QUICK = {
    "fit": {"n": 120, "n_val": 40, "D": 12, "V": 30, "H": 16},
    "batch_size": 32,
    "epochs": [1, 3],
    "stop_voxels": 10,
    "n_test": 40,
    "n_measured": [4, 8],
    "n_bootstrap": 20,
    "max_epochs": 5,
}
ACTIVATIONS = {"nonlinear": "relu", "linear": None}


def measure_stop(sizes: dict) -> dict:
    """Epochs of both encoders until they stop early, with fewer voxels than a subject has."""
    case = FitCase(**sizes["fit"] | {"V": sizes["stop_voxels"]})
    arrays, _ = simulate(case)
    options = {"hidden_size": case.H, "max_epochs": sizes["max_epochs"], "device": "cpu"}
    fits = {name: ResidualEncoder(**options, activation=act).fit(*arrays) for name, act in ACTIVATIONS.items()}
    return {"voxels": case.V, "epochs": {name: len(one.history_["train_loss"]) for name, one in fits.items()}}


def measure_checkpoint(sizes: dict) -> dict:
    """Seconds and bytes of the checkpoint of a fit, with the digest that names it and without."""
    case = FitCase(**sizes["fit"])
    arrays, _ = simulate(case)
    seconds, write = [], jne.encoders.checkpoints._write

    def timed(*given):
        start = time.perf_counter()
        write(*given)
        seconds.append(time.perf_counter() - start)

    with tempfile.TemporaryDirectory() as folder:
        with mock.patch.multiple("jne.encoders.checkpoints", SECONDS=0, SHARE=float("inf"), _write=timed):
            start = time.perf_counter()
            fit(case, arrays, 2, "cpu", folder=folder)
            total = time.perf_counter() - start
        (path,) = Path(folder).iterdir()
        return {"bytes": path.stat().st_size, "seconds": seconds, "seconds_of_the_fit": total}


def measure_rest(sizes: dict) -> dict:
    """Everything of a study but its fits: predictions, R² with its bootstrap, and Jacobians, scaled to all stimuli."""
    case = FitCase(**sizes["fit"])
    arrays, (X, Y) = simulate(case, sizes["n_test"])
    encoder, seconds = fit(case, arrays, 1, "cpu"), {}

    def timed(name, method):
        start = time.perf_counter()
        found = method()
        seconds[name] = time.perf_counter() - start
        return found

    predictions = timed("predictions", lambda: encoder.predict(X))
    timed("R² with bootstrap", lambda: jne.bootstrap_r2(Y, predictions, sizes["n_bootstrap"]))
    few, many = sizes["n_measured"]
    for n in (few, many):
        timed(f"nonlinearity at {n} stimuli", partial(jne.nonlinearity, encoder, X[:n], device="cpu"))
    slope = (seconds[f"nonlinearity at {many} stimuli"] - seconds[f"nonlinearity at {few} stimuli"]) / (many - few)
    scaled = seconds[f"nonlinearity at {few} stimuli"] + slope * (sizes["n_test"] - few)
    return {"seconds": seconds, "seconds_nonlinearity_scaled": scaled, "n_test": sizes["n_test"]}


def subject(sections: dict) -> dict:
    """Minutes of one subject's study, from its parts: both fits to their early stop, and the rest."""
    epoch, stop, rest = (sections[name] for name in ("full batch", "epochs until the stop", "the rest of a study"))
    fits = {
        name: epoch["seconds_before"] + number * epoch["seconds_an_epoch"] for name, number in stop["epochs"].items()
    }
    others = rest["seconds_nonlinearity_scaled"] + 2 * rest["seconds"]["predictions"]
    others += rest["seconds"]["R² with bootstrap"]
    return {"fits": {name: s / 60 for name, s in fits.items()}, "minutes": (sum(fits.values()) + others) / 60}


@click.command(help=__doc__)
@click.option("--threads", default=2, show_default=True)
@click.option("--repeats", default=3, show_default=True, help="Of the matrix products.")
@click.option("--quick", is_flag=True, help="Small sizes, whose numbers mean nothing.")
@click.option("--fresh", is_flag=True, help="Measure again what an earlier run of these settings has measured.")
@click.option("--out", type=click.Path(path_type=Path), default=RESULTS)
def main(threads, repeats, quick, fresh, out):
    """Measure what is missing, and write results/fits.json."""
    torch.set_num_threads(threads)
    sizes = QUICK if quick else FULL
    settings = {"sizes": sizes, "quick": quick, "threads": threads, "repeats": repeats, "code": code_hash("study")}
    results = Results(out, {**settings, "machine": machine(threads)}, fresh)
    case = FitCase(**sizes["fit"])
    for name, batch_size in (("full batch", None), ("minibatches", sizes["batch_size"])):

        def epochs(batch_size=batch_size):
            return measure_epochs(case, simulate(case)[0], "cpu", tuple(sizes["epochs"]), repeats, batch_size)

        found = results.section(name, epochs)
        click.echo(f"{name}: {found['seconds_an_epoch']:.2f} s an epoch, {found['in_gemm']:.2f} gemm")
    results.section("checkpoint", partial(measure_checkpoint, sizes))
    results.section("the rest of a study", partial(measure_rest, sizes))
    results.section("epochs until the stop", partial(measure_stop, sizes))
    found = subject(results.content["sections"])
    click.echo(f"one subject: {found['minutes']:.1f} minutes, of which fits {found['fits']}")
    results.finish(machine=machine(threads), versions=provenance(), subject=found)


if __name__ == "__main__":
    main()
