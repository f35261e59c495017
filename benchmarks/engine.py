"""How fast, how lean and how exact `jne.nonlinearity` is, against other ways to the same numbers.

Everything is measured in units of 1 gemm, the plain product of the readout with the trunk Jacobian of every sample
(2 N V H D operations): nothing that forms the Jacobian can be quicker. The problem is a network of the paper's form,
two residual ReLU blocks, at random weights and standard normal features.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import click
import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from _common import LINUX, Results, interleaved, machine, peak_above, ratios
from _methods import (
    Case,
    Problem,
    backward_per_voxel,
    closed_form,
    forward_mode,
    forward_mode_twice,
    gemm,
    ours,
    reverse_mode,
)
from _targets import judge
from oracles import dense_jacobian, of_jacobian

from jne._core import code_hash, results_dir

FULL = {
    "repeats": 5,
    "times": [{"N": 64, "V": 1000}, {"N": 32, "V": 15000}],
    "voxels_timed": 200,
    "lines": {"V": [1000, 2000, 4000, 8000, 16000], "V_at": {"N": 16}, "N": [16, 32, 64, 128], "N_at": {"V": 2000}},
    "growth": {
        "base": {"N": 16, "V": 4000, "D": 384, "H": 512},
        "N": [8, 16, 32, 64],
        "V": [2000, 4000, 8000, 16000],
        "D": [192, 384, 768],
        "H": [256, 512, 1024],
    },
    "memory": [{"N": 64, "V": 1000}, {"N": 32, "V": 15000}],
    "brain": {"N": 50, "V": 200_000},
    "accuracy": {"N": 32, "V": 500},
    "paper": {"N": 1000, "V": 15000},
}
BRIEF = {
    "repeats": 1,
    "times": [{"N": 16, "V": 1000}, {"N": 32, "V": 15000}],
    "voxels_timed": 200,
    "lines": {"V": [1000, 4000, 16000], "V_at": {"N": 16}, "N": [4, 8, 16], "N_at": {"V": 2000}},
    "growth": {
        "base": {"N": 4, "V": 4000, "D": 384, "H": 512},
        "N": [4, 8, 16],
        "V": [2000, 4000, 8000],
        "D": [192, 384, 768],
        "H": [256, 512, 1024],
    },
    "memory": [{"N": 32, "V": 1000}, {"N": 8, "V": 15000}],
    "brain": {"N": 4, "V": 200_000},
    "accuracy": {"N": 16, "V": 200},
    "paper": {"N": 1000, "V": 15000},
}
QUICK = {
    "repeats": 2,
    "times": [{"N": 4, "V": 100, "D": 48, "H": 64}, {"N": 4, "V": 1000, "D": 48, "H": 64}],
    "voxels_timed": 20,
    "lines": {
        "V": [200, 400, 800],
        "V_at": {"N": 4, "D": 48, "H": 64},
        "N": [4, 8],
        "N_at": {"V": 100, "D": 48, "H": 64},
    },
    "growth": {
        "base": {"N": 4, "V": 100, "D": 48, "H": 64},
        "N": [4, 8],
        "V": [100, 200],
        "D": [24, 48],
        "H": [32, 64],
    },
    "memory": [{"N": 32, "V": 300, "D": 96, "H": 128}],
    "brain": {"N": 8, "V": 5000, "D": 96, "H": 128},
    "accuracy": {"N": 8, "V": 20, "D": 48, "H": 64},
    "paper": {"N": 1000, "V": 15000},
}


def variants(problem: Problem) -> dict:
    """`jne.nonlinearity` plain, in the paper's other variants, with errors, and with the share in two metrics."""
    full = problem.covariance
    return {
        "plain": partial(ours, problem, covariance=False),
        "plain, L2": partial(ours, problem, covariance=False, norm="l2"),
        "z-scored, L1": partial(ours, problem, covariance=False, zscore_jacobian=True),
        "z-scored, L2": partial(ours, problem, covariance=False, norm="l2", zscore_jacobian=True),
        "plain, bootstrap": partial(ours, problem, covariance=False, n_bootstrap=200),
        "share, covariance of X": partial(ours, problem),
        "share, full rank": partial(ours, problem, covariance=full),
        "share, full rank, bootstrap": partial(ours, problem, covariance=full, n_bootstrap=200),
    }


def warm_up() -> None:
    """Pay for what only the first call costs."""
    problem = Problem(Case(4, 60, 16, 24))
    for method in (*variants(problem).values(), *(partial(f, problem) for f in OTHERS.values())):
        method()


OTHERS = {
    "closed form": closed_form,
    "backward per voxel": backward_per_voxel,
    "vmap(jacrev)": reverse_mode,
    "vmap(jacfwd)": forward_mode,
    "vmap(jacfwd), two passes": forward_mode_twice,
}
HELD_UP_TO = 1000
"""Voxels up to which the closed form, which keeps the whole Jacobian, is run; beyond, its size stands as a number."""
SCALED = ("backward per voxel", "vmap(jacrev)")
"""Cost is linear in the voxels whose rows are asked for: with many, some are timed and the time is scaled."""


def measure_times(case: Case, repeats: int, voxels_timed: int) -> dict:
    """Every method in turn."""
    problem = Problem(case)
    scale = case.V / voxels_timed if case.V > 5 * voxels_timed else 1
    some = {"n_voxels": voxels_timed} if scale > 1 else {}
    methods = {"gemm": partial(gemm, problem), **variants(problem)}
    others = {name: f for name, f in OTHERS.items() if name != "closed form" or case.V <= HELD_UP_TO}
    methods |= {name: partial(f, problem, **(some if name in SCALED else {})) for name, f in others.items()}
    seconds = interleaved(methods, repeats)
    for name in SCALED:
        seconds[name] = {clock: [scale * t for t in times] for clock, times in seconds[name].items()}
    rate = case.flops / float(np.median(seconds["gemm"]["wall"]))
    scaled = {"names": list(SCALED), "voxels": voxels_timed} if scale > 1 else None
    return {"case": vars(case), "seconds": seconds, "in_gemm": ratios(seconds), "gemm_flops": rate, "scaled": scaled}


def measure_line(cases: list[Case], sizes: list[int], repeats: int) -> dict:
    """Plain nonlinearity and gemm over one size, and the straight line through each."""
    out = {"sizes": sizes, "seconds": {"gemm": [], "plain": []}, "cpu_seconds": {"gemm": [], "plain": []}}
    for case in cases:
        problem = Problem(case)
        seconds = interleaved(
            {"gemm": partial(gemm, problem), "plain": partial(ours, problem, covariance=False)}, repeats
        )
        for name, times in seconds.items():
            out["seconds"][name].append(float(np.median(times["wall"])))
            out["cpu_seconds"][name].append(float(np.median(times["cpu"])))
    for clock in ("seconds", "cpu_seconds"):
        fits = {name: _line(sizes, times) for name, times in out[clock].items()}
        out[f"fit_{clock}"] = {**fits, "slope_in_gemm": fits["plain"]["slope"] / fits["gemm"]["slope"]}
    return out


def _line(sizes: list[int], times: list[float]) -> dict[str, float]:
    """Straight line, weighted so that small and large sizes count alike, and its largest relative miss."""
    slope, intercept = np.polyfit(sizes, times, 1, w=1 / np.asarray(times))
    miss = np.abs(np.polyval([slope, intercept], sizes) / times - 1).max()
    return {"slope": slope, "intercept": intercept, "largest_relative_miss": miss}


def measure_growth(settings: dict, repeats: int) -> dict:
    """Exponents p of time ~ size^p around one problem, by least squares on logarithms."""
    out = {"base": settings["base"], "exponents": {}}
    for size in ("N", "V", "D", "H"):
        seconds = []
        for value in settings[size]:
            problem = Problem(Case(**{**settings["base"], size: value}))
            methods = {"gemm": partial(gemm, problem)} | {
                name: method for name, method in variants(problem).items() if name in ("plain", "share, full rank")
            }
            times = interleaved(methods, repeats)
            seconds.append({name: float(np.median(t["cpu"])) for name, t in times.items()})
        out["exponents"][size] = {
            name: float(np.polyfit(np.log(settings[size]), np.log([s[name] for s in seconds]), 1)[0])
            for name in seconds[0]
        }
    return out


def measure_accuracy(case: Case) -> dict:
    """Largest relative error of each method in float32, against Jacobians held in float64."""
    exact, single = Problem(case, torch.float64, product=False), Problem(case, product=False)
    # The same rounded weights and samples in both; samples near a kink of the ReLU belong to no side of it.
    exact.network.load_state_dict(single.network.state_dict())
    exact.X = single.X.double()
    keep = _far_from_kinks(exact)
    exact.X, single.X = exact.X[keep], single.X[keep]
    expected = of_jacobian(dense_jacobian(exact.network, exact.X), single.covariance.numpy())
    truth = {name: expected[name] for name in ("jne", "mean_deviation", "nonlinear_share")}
    results = {
        "plain": ours(single, covariance=False),
        "share, full rank": ours(single, covariance=single.covariance),
        **{name: method(single) for name, method in OTHERS.items()},
    }
    errors = {}
    for name, result in results.items():
        errors[name] = {
            measure: float(np.abs(np.asarray(result[measure]) / value - 1).max())
            for measure, value in truth.items()
            if measure in result
        }
    return {"case": vars(case), "samples_kept": int(keep.sum()), "largest_relative_error": errors}


def _far_from_kinks(problem: Problem) -> torch.Tensor:
    closest = []
    hooks = [
        layer.register_forward_hook(lambda m, a, y: closest.append(y.abs().amin(1)))
        for layer in (problem.network.first, *problem.network.blocks)
    ]
    with torch.no_grad():
        problem.network(problem.X)
    for hook in hooks:
        hook.remove()
    return torch.stack(closest).amin(0) > 1e-5


def child(name: str, case: Case) -> dict:
    """In a process of its own: how much memory one method takes above its inputs, and how long it took."""
    warm_up()
    problem = Problem(case, product=False)
    run = partial(OTHERS[name], problem) if name in OTHERS else variants(problem)[name]
    start = time.perf_counter(), time.process_time()
    kept: list = []
    peak = peak_above(lambda: kept.append(run()))
    wall, cpu = time.perf_counter() - start[0], time.process_time() - start[1]
    outputs = kept[0].nbytes if name not in OTHERS else 0
    return {"peak_bytes": peak, "output_bytes": outputs, "wall": wall, "cpu": cpu}


def in_child(name: str, case: Case, threads: int) -> dict:
    task = json.dumps({"name": name, "case": vars(case), "threads": threads})
    run = subprocess.run([sys.executable, __file__, "--child", task], stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(run.stdout.splitlines()[-1])


def measure_memory(case: Case, names: list[str], threads: int) -> dict:
    """Peak above the inputs, one process per method; beside it the size of the Jacobian itself."""
    methods = {name: in_child(name, case, threads) for name in names}
    return {"case": vars(case), "methods": methods, "jacobian_bytes": case.jacobian_bytes}


@click.command(help=__doc__, epilog="A full run takes about 11 minutes on two quiet cores; stopped, it resumes.")
@click.option("--brief", is_flag=True, help="Fewer samples, once: the same voxels and widths in about three minutes.")
@click.option("--quick", is_flag=True, help="Tiny sizes, seconds: whether the benchmark works, not how fast jne is.")
@click.option("--threads", default=torch.get_num_threads(), show_default=True, help="Threads of torch.")
@click.option("--repeats", type=int, help="Interleaved repeats.  [default: 5; brief 1, quick 2]")
@click.option("--fresh", is_flag=True, help="Measure again what an earlier run of these settings has measured.")
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    help="JSON file.  [default: benchmarks/results/engine.json; results/brief.json, results/quick.json]",
)
@click.option("--child", "task", hidden=True)
def main(brief, quick, threads, repeats, fresh, out, task):
    if task:
        task = json.loads(task)
        torch.set_num_threads(task["threads"])
        print(json.dumps(child(task["name"], Case(**task["case"]))))
        return
    torch.set_num_threads(threads)
    sizes = QUICK if quick else BRIEF if brief else FULL
    repeats = repeats or sizes["repeats"]
    name = "quick" if quick else "brief" if brief else "engine"
    out = out or (Path(__file__).parent / "results" if name == "engine" else results_dir()) / f"{name}.json"
    settings = {
        "threads": threads,
        "repeats": repeats,
        "quick": quick,
        "brief": brief,
        "sizes": sizes,
        "code": code_hash(),
    }
    settings |= {"torch": torch.__version__, "cpu": machine(threads)["cpu"]}
    results = Results(out, settings, fresh)
    warm_up()
    for case in (Case(**sizes) for sizes in sizes["times"]):
        results.section(f"times, V={case.V}", partial(measure_times, case, repeats, sizes["voxels_timed"]))
    results.section("accuracy", partial(measure_accuracy, Case(**sizes["accuracy"])))
    for size in ("V", "N"):
        values = sizes["lines"][size]
        cases = [Case(**{**sizes["lines"][f"{size}_at"], size: value}) for value in values]
        results.section(f"line, {size}", partial(measure_line, cases, values, repeats))
    results.section("growth", partial(measure_growth, sizes["growth"], repeats))
    if LINUX:
        small, *large = (Case(**case) for case in sizes["memory"])
        names = ["plain", "z-scored, L1", "share, full rank", *OTHERS]
        results.section(f"memory, V={small.V}", partial(measure_memory, small, names, threads))
        for case in large:
            names = ["plain", "share, full rank", "vmap(jacfwd)"]
            results.section(f"memory, V={case.V}", partial(measure_memory, case, names, threads))
        brain = Case(**sizes["brain"])
        results.section("whole brain", partial(measure_memory, brain, ["plain"], threads))
    else:
        print("memory: not measured, peaks are read from Linux's /proc")
    targets = judge(results.content["sections"], "cpu" if threads == 1 else "wall")
    for target in targets if not quick else ():
        verdict = "met   " if target["met"] else "MISSED"
        print(f"{verdict} {target['what']}: {target['value']:.3g} ({target['sign']} {target['limit']:g})")
    paper = Case(**sizes["paper"])
    whole = {"case": vars(paper), "jacobian_bytes": paper.jacobian_bytes}
    results.finish(machine=machine(threads), targets=targets, paper=whole)
    if quick:
        print("It works. Sizes this small say nothing of speed.")


if __name__ == "__main__":
    main()
