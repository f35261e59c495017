"""Measure batches: speed against a plain loop, what survives kills, what stops, overhead, what larger runs cost.

    OMP_NUM_THREADS=1 python benchmarks/batch.py grid kill stop overhead scaling

Each part writes its numbers into benchmarks/results/batch.json, which the page "Many runs" quotes. On a busy machine
take less of each (--subjects, --layers, --runs) and read only the ratios, which come from one call.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import nbformat
import pandas as pd
import psutil
import yaml
from _common import machine

from jne._core import write_json
from jne.batch import read_grid, summary_table
from jne.book import execute_notebook

ROOT = Path(__file__).resolve().parent.parent
RESULTS = Path(__file__).parent / "results" / "batch.json"
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")


class Place:
    """A folder for one batch: its grid file, its cache, its output; notebooks run as in the repository."""

    def __init__(self, folder: Path, content: dict, cache: Path | None = None):
        self.folder, self.cache = folder, cache or folder / "results"
        folder.mkdir(parents=True)
        for name in ("_toc.yml", "_config.yml", "book"):
            (folder / name).symlink_to(ROOT / name)
        self.file = folder / "grid.yml"
        self.file.write_text(yaml.safe_dump(content, sort_keys=False))
        self.out = folder / "out"

    def start(self, *options) -> subprocess.Popen:
        command = [sys.executable, "-m", "jne.cli", "batch", str(self.file), "--out", str(self.out), *map(str, options)]
        log = (self.folder / "log.txt").open("a")
        environment = os.environ | ONE_THREAD | {"JNE_RESULTS": str(self.cache)}
        return subprocess.Popen(command, stdout=log, stderr=log, env=environment)

    def run(self, *options) -> tuple[int, float]:
        start = time.perf_counter()
        return self.start(*options).wait(), time.perf_counter() - start

    def table(self) -> pd.DataFrame:
        return summary_table(read_grid(self.file), self.out)

    def records(self) -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in self.out.glob("runs/*.json")}


def grid_content(subjects: int, layers: int) -> dict:
    return {
        "notebooks": ["spatial_distribution", "hierarchy"],
        "parameters_file": "quick",
        "grid": {
            "subject": list(range(1, subjects + 1)),
            "layer": [f"layer{n}" for n in range(1, layers + 1)],
            "encoder_options.activation": ["relu", "gelu"],
        },
    }


def write_notebook(path: Path, cell: str) -> None:
    v4 = nbformat.v4
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    notebook = v4.new_notebook(metadata=kernel)
    notebook.cells = [v4.new_code_cell("seed = 0", metadata={"tags": ["parameters"]}), v4.new_code_cell(cell)]
    nbformat.write(notebook, path)


def plain_loop(place: Place, cache: bool) -> float:
    """Papermill on one run after the other; without the cache each starts from nothing."""
    grid = read_grid(place.file)
    start = time.perf_counter()
    for number, run in enumerate(grid.runs):
        results = place.folder / "plain" / ("shared" if cache else str(number))
        environment = ONE_THREAD | {"JNE_RESULTS": str(results)}
        executed = place.folder / "plain" / f"{run.name}.ipynb"
        execute_notebook(run.notebook, executed, run.parameters, root=grid.root, environment=environment)
        shutil.rmtree(results, ignore_errors=True)
    return time.perf_counter() - start


def measure_grid(folder: Path, options) -> dict:
    """The quick grid by a plain loop without the cache, and by batches with one and two workers."""
    content = grid_content(options.subjects, options.layers)
    seconds = {"plain loop, no cache": plain_loop(Place(folder / "plain", content), cache=False)}
    tables = []
    for workers in (1, 2):
        place = Place(folder / f"workers{workers}", content)
        status, seconds[f"batch, {workers} worker{'s' * (workers > 1)}"] = place.run("--workers", workers)
        assert status == 0, (place.folder / "log.txt").read_text()
        tables.append(place.table())
    plain, one, two = seconds.values()
    runs = tables[1].groupby("notebook")
    return {
        "runs": len(tables[0]),
        "seconds": seconds,
        "speedup over the plain loop": {"1 worker": plain / one, "2 workers": plain / two},
        "efficiency of 2 workers against the plain loop": plain / (2 * two),
        "efficiency of 2 workers against 1 worker": one / (2 * two),
        "equal results": equal_results(*tables),
        "seconds per run, 2 workers": runs["seconds"].median().to_dict(),
        "peak memory per run, MB": (runs["peak_memory"].max() / 1e6).round().to_dict(),
    }


def equal_results(a: pd.DataFrame, b: pd.DataFrame) -> bool:
    return a.filter(like="result.").equals(b.filter(like="result."))


def measure_kill(folder: Path, options) -> dict:
    """A scheduler and two workers by hand; one worker and the client are killed; the same results in the end."""
    content = grid_content(max(1, options.subjects // 2), max(1, options.layers // 2))
    undisturbed, disturbed = Place(folder / "undisturbed", content), Place(folder / "disturbed", content)
    assert undisturbed.run("--workers", 2)[0] == 0
    log = (folder / "dask.log").open("w")
    file = folder / "scheduler.json"

    def dask(*arguments) -> subprocess.Popen:
        return subprocess.Popen([sys.executable, "-m", "dask", *map(str, arguments)], stdout=log, stderr=log)

    scheduler = dask("scheduler", "--host", "127.0.0.1", "--port", 0, "--scheduler-file", file, "--no-dashboard")
    worker = ("worker", "--scheduler-file", file, "--nthreads", 1, "--memory-limit", 0, "--no-dashboard")
    workers = [dask(*worker, "--local-directory", folder / f"worker{n}") for n in range(2)]
    try:
        _wait(file.exists)
        address = json.loads(file.read_text())["address"]
        n_runs = len(read_grid(disturbed.file).runs)
        client = disturbed.start("--scheduler", address)
        _wait(lambda: len(disturbed.records()) >= n_runs // 4)
        children = psutil.Process(workers[0].pid).children(recursive=True)
        next(child for child in children if "spawn_main" in " ".join(child.cmdline())).send_signal(signal.SIGKILL)
        _wait(lambda: len(disturbed.records()) >= n_runs // 2)
        client.send_signal(signal.SIGKILL)
        client.wait()
        before = disturbed.records()
        status, _ = disturbed.run("--scheduler", address)
    finally:
        for process in (*workers, scheduler):
            process.terminate()
            process.wait(30)
    return {
        "runs": n_runs,
        "done when the client was killed": len(before),
        "exit status of the second client": status,
        "statuses": disturbed.table()["status"].value_counts().to_dict(),
        "records that a second execution replaced": sum(disturbed.records()[n] != text for n, text in before.items()),
        "results equal to an undisturbed batch": equal_results(disturbed.table(), undisturbed.table()),
    }


def _wait(condition, seconds: float = 1800) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError
        time.sleep(0.1)


def measure_stop(folder: Path, options) -> dict:
    """The grid without its last two runs, one notebook with an error and one with an endless cell."""
    content = grid_content(options.subjects, options.layers)
    combinations = list(read_grid(Place(folder / "all", content).file).runs)[:-2]
    write_notebook(folder / "error.ipynb", "raise KeyError('no such area')")
    write_notebook(folder / "endless.ipynb", "while True: pass")
    content["notebooks"] += ["../error.ipynb", "../endless.ipynb"]
    content["runs"] = [{"notebook": "error"}, {"notebook": "endless"}]
    content["runs"] += [{"notebook": run.notebook.stem, **run.varied} for run in combinations]
    del content["grid"]
    content["resources"] = {"timeout": options.timeout}
    place = Place(folder / "stop", content)
    status, seconds = place.run("--workers", 2)
    named = [line for line in (place.folder / "log.txt").read_text().splitlines() if line.startswith("not done: ")]
    return {
        "exit status": status,
        "statuses": place.table()["status"].value_counts().to_dict(),
        "named": named,
        "seconds": seconds,
    }


def measure_overhead(folder: Path, options) -> dict:
    """Trivial runs by a plain loop and by a batch with one worker; the client's memory while it runs."""
    folder.mkdir()
    write_notebook(folder / "trivial.ipynb", "import jne\njne.record('square', seed**2)")
    content = {"notebooks": ["../trivial.ipynb"], "grid": {"seed": list(range(options.runs))}}
    plain = plain_loop(Place(folder / "plain", content), cache=True) / options.runs
    place = Place(folder / "batch", content)
    start, samples = time.perf_counter(), []
    client = place.start("--workers", 1)
    process = psutil.Process(client.pid)

    def sample() -> None:
        while client.poll() is None:
            try:
                samples.append((len(list(place.out.glob("runs/*.json"))), process.memory_info().rss))
            except psutil.NoSuchProcess:
                return
            time.sleep(0.5)

    sampler = threading.Thread(target=sample)
    sampler.start()
    status = client.wait()
    total = time.perf_counter() - start
    sampler.join()
    assert status == 0, (place.folder / "log.txt").read_text()
    memory = pd.DataFrame(samples, columns=["done", "rss"])
    at = {share: memory.loc[memory["done"] >= share * options.runs, "rss"].iloc[0] / 1e6 for share in (0.1, 0.5, 0.9)}
    return {
        "runs": options.runs,
        "seconds per run, plain papermill": plain,
        "seconds per run, batch": place.table()["seconds"].mean(),
        "seconds per run, batch, start and end of the cluster included": total / options.runs,
        "memory of the client in MB, by share of runs done": at,
    }


def measure_scaling(folder: Path, options) -> dict:
    """One chapter, one subject and a fixed number of epochs; then one size at a time 4 and 16 times as large."""
    size = {"dataset_options.thin": 16, "dataset_options.n_train": 1000, "encoder_options.hidden_size": 128}
    fixed = {"n_seeds": 1, "encoder_options.max_epochs": 50, "encoder_options.patience": 50}
    larger = [
        {name: value // factor if name.endswith("thin") else value * factor}
        for name, value in size.items()
        for factor in (4, 16)
    ]
    content = {
        "notebooks": ["spatial_distribution"],
        "parameters_file": "quick",
        "parameters": {"subjects": [1]},
        "runs": [{"notebook": "spatial_distribution", **size, **fixed, **change} for change in ({}, *larger)],
    }
    place = Place(folder / "scaling", content)
    status, _ = place.run("--workers", 1)
    assert status == 0, (place.folder / "log.txt").read_text()
    columns = ["seconds", "peak_memory", *size]
    return {"runs": place.table()[columns].to_dict("records")}


PARTS = {
    "grid": measure_grid,
    "kill": measure_kill,
    "stop": measure_stop,
    "overhead": measure_overhead,
    "scaling": measure_scaling,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="+", choices=PARTS)
    parser.add_argument("--subjects", type=int, default=4)
    parser.add_argument("--layers", type=int, default=3)
    parser.add_argument("--runs", type=int, default=300, help="trivial runs, for overhead")
    parser.add_argument("--timeout", type=int, default=300, help="seconds for each run, for stop")
    parser.add_argument("--out", type=Path, default=RESULTS)
    options = parser.parse_args()
    for part in options.parts:
        with tempfile.TemporaryDirectory() as folder:
            load = os.getloadavg()[0]
            measured = PARTS[part](Path(folder) / part, options)
        results = json.loads(options.out.read_text()) if options.out.exists() else {}
        results[part] = measured | {"machine": machine(1) | {"load before": load}}
        write_json(results, options.out)
        print(json.dumps({part: measured}, indent=2))


if __name__ == "__main__":
    main()
