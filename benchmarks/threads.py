"""What threads win and cost in a fit: by the size of the problem, by how they wait, quiet and beside a busy process.

One process for each setting, for threads and OMP_WAIT_POLICY are read when torch loads. All stay alive and fit in turn,
so that what slows the machine slows all. Medians over repeats are written to ``results/threads.json`` beside this file.
About five minutes on two cores where nothing else runs::

    python benchmarks/threads.py --repeats 7
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
from pathlib import Path

import click
from _common import Results, machine

from jne._core import code_hash

RESULTS = Path(__file__).parent / "results" / "threads.json"
# Stimuli, features, voxels, hidden units, stimuli in a gradient step (None is all), epochs.
PROBLEMS = {
    "tiny": (400, 24, 100, 64, None, 30),
    "tiny, batches": (400, 24, 100, 64, 64, 8),
    "demo": (2400, 64, 827, 256, None, 2),
    "demo, batches": (2400, 64, 827, 256, 256, 1),
    "NSD": (2000, 768, 3000, 1024, None, 1),
    "NSD, batches": (2000, 768, 3000, 1024, 256, 1),
}
SETTINGS = {"one thread": (1, None), "two threads": (2, None), "two threads, PASSIVE": (2, "PASSIVE")}
FITS = """
import contextlib, json, sys, time
import numpy as np
import torch
import jne
import jne.encoders.residual as residual
residual.threads_for = lambda work: contextlib.nullcontext()  # what is measured is the number that was asked for
n, n_features, n_voxels, hidden, batch, epochs = json.loads(sys.argv[1])
draw = np.random.default_rng(0).standard_normal
X, Y = draw((n, n_features), "float32"), draw((n, n_voxels), "float32")
def fit(epochs):
    options = dict(hidden_size=hidden, batch_size=batch, max_epochs=epochs, patience=epochs, device="cpu")
    jne.ResidualEncoder(**options).fit(X, Y, X[:50], Y[:50])
fit(1)
print("ready", flush=True)
for _ in sys.stdin:
    wall, cpu = time.perf_counter(), time.process_time()
    fit(epochs)
    print(json.dumps([time.perf_counter() - wall, time.process_time() - cpu]), flush=True)
"""
BUSY = "import torch; torch.set_num_threads(1); a = torch.randn(500, 500)\nwhile True: a @ a"


def fitting(problem: tuple, threads: int, policy: str | None) -> subprocess.Popen:
    """A process that fits once for every line it is given."""
    names = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
    environment = {**os.environ, **dict.fromkeys(names, str(threads))}
    environment.pop("OMP_WAIT_POLICY", None)
    if policy:
        environment["OMP_WAIT_POLICY"] = policy
    command = [sys.executable, "-c", FITS, json.dumps(problem)]
    process = subprocess.Popen(command, env=environment, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdout.readline() == "ready\n"
    return process


def measure(problem: tuple, repeats: int, busy: int) -> dict:
    """Wall and CPU seconds of a fit under every setting, beside ``busy`` other processes."""
    others = [subprocess.Popen([sys.executable, "-c", BUSY]) for _ in range(busy)]
    processes = {name: fitting(problem, *setting) for name, setting in SETTINGS.items()}
    seconds = {name: [] for name in processes}
    try:
        for _ in range(repeats):
            for name, process in processes.items():
                process.stdin.write("fit\n")
                process.stdin.flush()
                seconds[name].append(json.loads(process.stdout.readline()))
    finally:
        for process in [*others, *processes.values()]:
            process.kill()
            process.wait()
    return summary(seconds)


def summary(seconds: dict) -> dict:
    """Medians of ``{setting: [(wall, cpu), ...]}``, and of the ratios to one thread in the same repeat."""
    alone = seconds["one thread"]
    return {
        name: {
            "wall": statistics.median(wall for wall, _ in taken),
            "cpu": statistics.median(cpu for _, cpu in taken),
            "wall_to_one_thread": statistics.median(a[0] / b[0] for a, b in zip(taken, alone, strict=True)),
        }
        for name, taken in seconds.items()
    }


@click.command()
@click.option("--repeats", default=7, show_default=True)
@click.option("--fresh", is_flag=True, help="Measure everything again.")
def main(repeats, fresh):
    settings = {"problems": PROBLEMS, "repeats": repeats, "code": code_hash("study")}
    results = Results(RESULTS, settings, fresh)
    for name, problem in PROBLEMS.items():
        for busy, beside in enumerate(("with nothing of ours beside", "beside one busy process")):
            section = results.section(f"{name}, {beside}", lambda p=problem, b=busy: measure(p, repeats, b))
            for setting in SETTINGS:
                print(
                    f"  {setting:22} {section[setting]['wall']:.3f} s, {section[setting]['wall_to_one_thread']:.2f} x"
                )
    results.finish(machine=machine(os.cpu_count()))


if __name__ == "__main__":
    main()
