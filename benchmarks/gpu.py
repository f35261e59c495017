"""A whole brain on a CUDA card: 200,000 voxels at 1,000 stimuli, in float32 and in TF32.

The time is that of `jne.nonlinearity` from samples on the host to measures on the host, without the covariance metric
and with it, and its share of the rate that the card reaches in large square products of the same precision.
"""

from __future__ import annotations

import statistics
import sys
import time
from functools import partial
from pathlib import Path

import click
import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).parent))
from _common import Results, machine
from _methods import Case, Problem

from jne import nonlinearity
from jne._core import code_hash, matrix_precision

PRECISIONS = ("float32", "tf32")


def clock(method, repeats: int) -> float:
    """Median seconds of ``method`` after one call that is not counted; the card has finished before and after."""
    seconds = []
    for _ in range(repeats + 1):
        torch.cuda.synchronize()
        start = time.perf_counter()
        method()
        torch.cuda.synchronize()
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds[1:])


def matrix_rate(precision: str, size: int = 8192) -> float:
    """Operations per second of products of square matrices."""
    a, b = torch.randn(2, size, size, device="cuda")
    out = torch.empty_like(a)
    with matrix_precision(precision):
        return 2 * size**3 / clock(lambda: torch.mm(a, b, out=out), 10)


def measure(case: Case, precision: str, max_memory: str, repeats: int) -> dict:
    """Time, share of the card's rate and peak memory, without the covariance metric and with one of full rank."""
    problem = Problem(case, product=False)
    rate = matrix_rate(precision)
    out = {"case": vars(case), "matrix_flops": rate}
    for name, covariance in (("plain", False), ("share, full rank", problem.covariance)):
        options = {"covariance": covariance, "precision": precision, "max_memory": max_memory, "device": "cuda"}
        torch.cuda.reset_peak_memory_stats()
        seconds = clock(partial(nonlinearity, problem.network, problem.X, **options), repeats)
        share = case.flops / seconds / rate
        peak = torch.cuda.max_memory_allocated()
        out[name] = {"seconds": seconds, "share_of_matrix_rate": share, "peak_bytes": peak}
    return out


def measure_accuracy(precision: str) -> dict[str, float]:
    """Largest relative error against float64 on the CPU, of a problem with the same widths."""
    problem = Problem(Case(64, 500), product=False)
    options = {"covariance": problem.covariance}
    exact = nonlinearity(problem.network, problem.X, device="cpu", precision="float64", **options)
    found = nonlinearity(problem.network, problem.X, device="cuda", precision=precision, **options)
    names = ("jne", "mean_deviation", "nonlinear_share")
    return {name: float(np.abs(found[name] / exact[name] - 1).max()) for name in names}


@click.command(help=__doc__)
@click.option("--samples", default=1000, show_default=True)
@click.option("--voxels", default=200_000, show_default=True)
@click.option("--max-memory", default="16GB", show_default=True, help="What jne may work in, on the card.")
@click.option("--repeats", default=3, show_default=True)
@click.option("--fresh", is_flag=True, help="Measure again what an earlier run of these settings has measured.")
@click.option("--out", type=click.Path(path_type=Path), default=Path(__file__).parent / "results/gpu.json")
def main(samples, voxels, max_memory, repeats, fresh, out):
    if not torch.cuda.is_available():
        raise click.ClickException(
            f"torch {torch.__version__} sees no CUDA card here. Run this on a machine with one, with a CUDA build of "
            "torch; the measurements on a CPU are `make bench`."
        )
    case = Case(samples, voxels)
    settings = {"case": vars(case), "max_memory": max_memory, "repeats": repeats, "code": code_hash()}
    settings |= {"torch": torch.__version__, "card": torch.cuda.get_device_name()}
    results = Results(out, settings, fresh)
    card = torch.cuda.get_device_properties(0)
    about = {"card": card.name, "card_bytes": card.total_memory, "cuda": torch.version.cuda}
    for precision in PRECISIONS:
        found = results.section(precision, partial(measure, case, precision, max_memory, repeats))
        error = results.section(f"accuracy, {precision}", partial(measure_accuracy, precision))
        for name in ("plain", "share, full rank"):
            run = found[name]
            print(
                f"{precision}, {name}: {run['seconds']:.1f} s, {run['share_of_matrix_rate']:.0%} of the card's "
                f"{found['matrix_flops'] / 1e12:.0f} TFLOPS, peak {run['peak_bytes'] / 1e9:.1f} GB"
            )
        print(f"{precision}: largest relative error {max(error[name] for name in ('jne', 'nonlinear_share')):.1e}")
    results.finish(machine=machine(torch.get_num_threads()) | about)


if __name__ == "__main__":
    main()
