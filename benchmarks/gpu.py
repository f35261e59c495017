"""What a CUDA card makes of jne, in one call of less than five minutes.

Is it right (every way of the engine, fits and features, in float32 and TF32, against float64 on the CPU)? Is it quick
(200,000 voxels at 1,000 stimuli, as a share of the rate that the card reaches in large square products)? What do fits,
features and a whole subject cost, and would other tiles be quicker? The result is written section by section, so that a
run that is stopped keeps what is done. Needs torch, numpy, scipy, scikit-learn, xarray, h5py, pandas, safetensors,
tqdm, filelock, click and pillow; on a CPU, `--quick --device cpu` goes the same way with little::

    PYTHONPATH=. python benchmarks/gpu.py
"""

from __future__ import annotations

import sys
import traceback
from functools import partial
from pathlib import Path

import click
import torch

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
import paths
from _clock import clock, matrix_rate, memory_rates, peak
from _common import Results, machine
from _features import measure_features
from _fits import FitCase, measure_epochs, simulate
from _methods import Case, Problem
from _subject import measure_subject
from _tiles import measure_engine_tiles, measure_tiles

from jne import nonlinearity
from jne._core import code_hash, matrix_precision, provenance

PRECISIONS = ("float32", "tf32")
FULL = {
    "brain": {"N": 1000, "V": 200_000},
    "few": 8,
    "square": 8192,
    "copy_bytes": 2**30,
    "tiles": {"rows": [2**k for k in range(12, 19)], "samples": 4, "engine_samples": 100},
    "fit": {"n": 8000, "n_val": 1000, "D": 768, "V": 15_000, "H": 1024},
    "n_test": 1000,
    "n_bootstrap": 2000,
    "batch_size": 256,
    "epochs": [5, 105],
    "options": {},
    "images": {"n": 2048, "size": 425, "batch_size": 256},
}
QUICK = {
    "brain": {"N": 12, "V": 300, "D": 24, "H": 32},
    "few": 4,
    "square": 64,
    "copy_bytes": 2**16,
    "tiles": {"rows": [64, 256], "samples": 2, "engine_samples": 12},
    "fit": {"n": 120, "n_val": 40, "D": 12, "V": 30, "H": 16},
    "n_test": 40,
    "n_bootstrap": 20,
    "batch_size": 32,
    "epochs": [1, 3],
    "options": {"max_epochs": 3},
    "images": {"n": 4, "size": 48, "batch_size": 2},
}


def measure_card(sizes: dict, device: torch.device) -> dict:
    """What the device reaches in large square products, and in copies."""
    rates = {precision: matrix_rate(precision, sizes["square"], device) for precision in PRECISIONS}
    found = {"matrix_flops": rates, "bytes_per_second": memory_rates(sizes["copy_bytes"], device)}
    if device.type == "cuda":
        card = torch.cuda.get_device_properties(device)
        found["card"] = {"name": card.name, "bytes": card.total_memory, "processors": card.multi_processor_count}
        found["cuda"] = torch.version.cuda
    return found


def measure_accuracy(precision: str, device: torch.device) -> dict:
    """Largest error of every way of the engine against dense Jacobians in float64; the way that fails is named."""
    errors, failed = {}, {}
    for name, check in paths.CHECKS.items():
        try:
            errors[name] = check(str(device), precision)
        except (RuntimeError, ValueError, AssertionError) as error:
            failed[name] = f"{type(error).__name__}: {error}"
    if precision == "float32":
        for name, batch_size in (("fit, full batch", None), ("fit, minibatches", 64)):
            errors[name] = paths.of_fit(str(device), batch_size)
    return {"largest_relative_error": errors, "failed": failed}


def measure_wide(sizes: dict, precision: str, device: torch.device) -> dict:
    """Errors at the widths of the paper, against the same in float64 on the CPU."""
    problem = Problem(Case(**{**sizes["brain"], "N": 32, "V": min(500, sizes["brain"]["V"])}), product=False)
    problem.X = paths.away_from_kinks(problem.network, problem.X)
    options = {"covariance": problem.covariance}
    exact = nonlinearity(problem.network, problem.X, device="cpu", precision="float64", **options)
    found = nonlinearity(problem.network, problem.X, device=str(device), precision=precision, **options)
    names = ("jne", "mean_deviation", "gain", "nonlinear_share")
    return {name: float(abs(found[name] / exact[name] - 1).max()) for name in names}


def measure_brain(
    sizes: dict, rate: float, precision: str, device: torch.device, max_memory: str, repeats: int
) -> dict:
    """A whole brain from samples on the host to measures on the host: seconds, share of the matrix rate, memory."""
    case = Case(**sizes["brain"])
    problem = Problem(case, product=False)
    out = {"case": vars(case), "matrix_flops": rate}
    ways = {
        "plain": {"covariance": False},
        "plain, no samples": {"covariance": False, "return_samples": False},
        "share, full rank": {"covariance": problem.covariance},
    }
    for name, options in ways.items():
        options |= {"precision": precision, "max_memory": max_memory, "device": str(device)}
        few = partial(nonlinearity, problem.network, problem.X[: sizes["few"]], **options)
        run = partial(nonlinearity, problem.network, problem.X, **options)
        overhead, seconds = clock(few, device, 1), []
        highest = peak(lambda run=run, seconds=seconds: seconds.append(clock(run, device, repeats, warm=False)), device)
        seconds = seconds[0]
        # What grows with the samples; the rest is copying the model and looking at it before.
        slope = (seconds - overhead) / (case.N - sizes["few"])
        out[name] = {
            "seconds": seconds,
            "seconds_few": overhead,
            "peak_bytes": highest,
            "share_of_matrix_rate": case.flops / seconds / rate,
            "share_of_matrix_rate_growth": case.flops / case.N / slope / rate,
        }
    return out


def measure_fits(sizes: dict, device: torch.device) -> dict:
    """Seconds an epoch, full batch and minibatches; and where TF32 is allowed, which jne does not do by itself."""
    case = FitCase(**sizes["fit"])
    arrays, _ = simulate(case)
    out = {}
    for name, batch_size in (("full batch", None), ("minibatches", sizes["batch_size"])):
        for precision in PRECISIONS:
            with matrix_precision(precision):
                found = measure_epochs(case, arrays, str(device), tuple(sizes["epochs"]), 3, batch_size)
            out[f"{name}, {precision}"] = found
    return out


@click.command(help=__doc__)
@click.option("--device", default="cuda", show_default=True, help="cuda, or cpu to try the script.")
@click.option("--quick", is_flag=True, help="Small sizes, whose numbers mean nothing.")
@click.option("--samples", type=int, help="Stimuli of the whole brain.  [default: 1000]")
@click.option("--voxels", type=int, help="Voxels of the whole brain.  [default: 200000]")
@click.option("--max-memory", default="16GB", show_default=True, help="What jne may work in, on the card.")
@click.option("--repeats", default=2, show_default=True)
@click.option("--fresh", is_flag=True, help="Measure again what an earlier run of these settings has measured.")
@click.option("--out", type=click.Path(path_type=Path), default=Path(__file__).parent / "results/gpu.json")
def main(device, quick, samples, voxels, max_memory, repeats, fresh, out):
    if device.startswith("cuda") and not torch.cuda.is_available():
        raise click.ClickException(
            f"torch {torch.__version__} sees no CUDA card here. Run this on a machine with one, with a CUDA build of "
            "torch; --device cpu --quick tries the script, and the measurements on a CPU are `make bench`."
        )
    device, sizes = torch.device(device), dict(QUICK if quick else FULL)
    given = {"N": samples, "V": voxels}
    sizes["brain"] = sizes["brain"] | {name: size for name, size in given.items() if size}
    settings = {"sizes": sizes, "quick": quick, "max_memory": max_memory, "repeats": repeats, "code": code_hash()}
    settings |= {"torch": torch.__version__, "device": device_name(device)}
    results, failed = Results(out, settings, fresh), {}
    rates = results.section("card", partial(measure_card, sizes, device))["matrix_flops"]
    for name, measure in parts(sizes, rates, device, max_memory, repeats).items():
        try:
            results.section(name, measure)
        # What fails on a card that was lent for minutes must not take the rest with it.
        except (RuntimeError, ValueError, TypeError, AttributeError, KeyError, ImportError) as error:
            traceback.print_exc()
            failed[name] = f"{type(error).__name__}: {error}"
    results.finish(machine=machine(torch.get_num_threads()), versions=provenance(), failed=failed)
    tell(results.content["sections"])
    if failed:
        raise click.ClickException(f"not measured: {', '.join(failed)}; the others are written")


def parts(sizes: dict, rates: dict, device: torch.device, max_memory: str, repeats: int) -> dict:
    """What is measured, in the order of its weight; ``rates`` are those of square products in each precision."""
    found, case, fit = {}, Case(**sizes["brain"]), FitCase(**sizes["fit"])
    for precision in PRECISIONS:
        found[f"accuracy, {precision}"] = partial(measure_accuracy, precision, device)
        found[f"accuracy at these widths, {precision}"] = partial(measure_wide, sizes, precision, device)
    for precision, rate in rates.items():
        brain = partial(measure_brain, sizes, rate, precision, device, max_memory, repeats)
        found[f"brain, {precision}"] = brain
    for precision, rate in rates.items():
        tiles = case, sizes["tiles"], precision, device, rate
        found[f"tiles, {precision}"] = partial(measure_tiles, *tiles)
        found[f"tiles of the engine, {precision}"] = partial(measure_engine_tiles, *tiles, max_memory)
    found["fits"] = partial(measure_fits, sizes, device)
    found["features"] = partial(measure_features, sizes["images"], device)
    subject = fit, sizes["n_test"], str(device), sizes["n_bootstrap"], sizes["options"]
    found["subject"] = partial(measure_subject, *subject)
    return found


def device_name(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu"


def tell(sections: dict) -> None:
    """The numbers that matter, a line each, of the sections that are there."""
    for precision in PRECISIONS:
        if errors := sections.get(f"accuracy, {precision}"):
            error, name = max((max(e.values()), name) for name, e in errors["largest_relative_error"].items())
            print(f"{precision}: largest relative error {error:.1e} ({name}); failed: {errors['failed'] or 'none'}")
        brain = sections.get(f"brain, {precision}", {})
        for name, run in brain.items():
            if isinstance(run, dict) and "seconds" in run:
                memory = "" if run["peak_bytes"] is None else f", peak {run['peak_bytes'] / 1e9:.1f} GB"
                print(
                    f"{precision}, {name}: {run['seconds']:.2f} s, {run['share_of_matrix_rate']:.0%} of "
                    f"{brain['matrix_flops'] / 1e12:.3g} TFLOPS ({run['share_of_matrix_rate_growth']:.0%} without "
                    f"what does not grow){memory}"
                )
        for part in ("tiles", "tiles of the engine"):
            for name, shares in sections.get(f"{part}, {precision}", {}).get("share_of_matrix_rate", {}).items():
                print(f"{precision}, {part}, {name}: " + ", ".join(f"{r}: {share:.0%}" for r, share in shares.items()))
    for name, fit in sections.get("fits", {}).items():
        if isinstance(fit, dict):
            print(f"fit, {name}: {fit['seconds_an_epoch']:.4f} s an epoch, {fit['in_gemm']:.2f} gemm")
    if found := sections.get("features"):
        print(f"features: {found['images_per_second']:.0f} images/s, forward {found['forward_per_second']:.0f}")
    if found := sections.get("subject"):
        seconds = ", ".join(f"{name} {value:.1f}" for name, value in found["seconds"].items())
        print(f"subject: {found['minutes_of_a_study']:.2f} minutes; seconds: {seconds}; epochs {found['epochs']}")


if __name__ == "__main__":
    main()
