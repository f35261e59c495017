"""Memory and reading rate of `jne prepare nsd` on sessions of NSD's own length (750 trials), simulated.

One session of betas is written, then linked under the names of twelve. Each measurement is a process of its own, so
that its peak resident memory is its own. Rates are ratios within one run: reading the wanted voxels of one session
against unpacking the same file with gzip alone (by the clock, and by processor time, which other processes disturb
less), and against reading the same bytes from disk (after a first reading of both, so mostly from memory). Written to
``results/nsd_memory.json`` beside this file::

    OMP_NUM_THREADS=1 python benchmarks/nsd_memory.py --shape 60,60,44
"""

from __future__ import annotations

import gzip
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import click
import numpy as np
import pandas as pd
from _common import machine

from jne._core import code_hash, provenance, write_json

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from nsd_tree import BETAS, make_tree

RESULTS = Path(__file__).parent / "results" / "nsd_memory.json"
CALL = """
import re, sys, time
from pathlib import Path
from jne.prepare.nsd import prepare_nsd

def peak():
    # Not ru_maxrss, which begins with that of the process that started this one.
    return re.search(r"VmHWM:\\s*(\\d+) kB", Path("/proc/self/status").read_text())[1]

root, out, sessions, space = sys.argv[1:]
start, before = time.perf_counter(), peak()
prepare_nsd(root, 1, root + "/features.npz", out, sessions=sessions, space=space, test_repeats=1)
print(time.perf_counter() - start, before, peak())
"""


def extend(root: Path, n_sessions: int) -> None:
    """Link the betas of session 1 as those of all sessions, whose trials show other images."""
    path = root / "nsddata/ppdata/subj01/behav/responses.tsv"
    one, rng = pd.read_csv(path, sep="\t"), np.random.default_rng(0)
    ids = rng.permutation(73_000)[: len(one) * n_sessions // 3]
    table = pd.concat([one.assign(SESSION=session) for session in range(1, n_sessions + 1)])
    table["73KID"] = rng.permutation(np.repeat(ids, 3)) + 1
    table.to_csv(path, sep="\t", index=False)
    np.savez(root / "features.npz", stimulus_id=ids, layer=rng.standard_normal((len(ids), 64)).astype(np.float32))
    for first in (root / "nsddata_betas/ppdata/subj01").glob(f"*/{BETAS}/*betas_session01*"):
        for session in range(2, n_sessions + 1):
            os.link(first, first.with_name(first.name.replace("session01", f"session{session:02d}")))


def prepare(root: Path, sessions: str, space: str) -> dict[str, float]:
    command = [sys.executable, "-c", CALL, str(root), str(root / "out.nc"), sessions, space]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    seconds, before, peak = map(float, output.split())
    return {"seconds": seconds, "MB_before": before / 1024, "MB_peak": peak / 1024}


def rates(root: Path, repeats: int) -> dict[str, float]:
    """Seconds to read a session from .nc.gz, to unpack it, and to read its bytes: medians, taken in turn."""
    from jne.prepare import Layout, read_session, read_space

    layout = Layout(root, 1)
    (path,), space = layout.session(1), read_space(layout)
    n_trials = 750

    def unpack():
        with gzip.open(path) as file:
            while file.read(2**24):
                pass

    def read():
        with open(path, "rb") as file:
            while file.read(2**24):
                pass

    ways = {
        "read_session": lambda: read_session([path], space.shapes, space.points, n_trials),
        "gzip": unpack,
        "disk": read,
    }
    seconds, busy = ({name: [] for name in ways} for _ in range(2))
    for _ in range(repeats + 1):
        for name, way in ways.items():
            start, worked = time.perf_counter(), time.process_time()
            way()
            seconds[name].append(time.perf_counter() - start)
            busy[name].append(time.process_time() - worked)
    medians, work = ({n: statistics.median(v[1:]) for n, v in times.items()} for times in (seconds, busy))
    unpacked = np.prod(space.shapes[0]) * n_trials * 2
    return {
        "MB_compressed": path.stat().st_size / 1e6,
        "MB_unpacked": float(unpacked / 1e6),
        **{f"seconds_{name}": value for name, value in medians.items()},
        "MB_per_second_unpacked": float(unpacked / 1e6 / medians["read_session"]),
        "rate_over_gzip": medians["gzip"] / medians["read_session"],
        "rate_over_gzip_by_processor_time": work["gzip"] / work["read_session"],
        "rate_over_disk": medians["disk"] / medians["read_session"],
    }


@click.command()
@click.option("--shape", default="60,60,44", help="Of the volume; subject 1 of NSD has 81,104,83.")
@click.option("--repeats", default=3)
@click.option("--surface/--no-surface", default=True)
@click.option("--folder", type=Path, help="Where the tree is written for the while.  [default: the temporary folder]")
def main(shape, repeats, surface, folder):
    shape = tuple(map(int, shape.split(",")))
    result = {"shape": list(shape), "trials_per_session": 750}
    with tempfile.TemporaryDirectory(dir=folder) as root:
        root = Path(root)
        make_tree(
            root,
            subjects=(1,),
            n_sessions=1,
            trials_per_run=(63, 62),
            shape=shape,
            formats=(".nii.gz",),
            surface=surface,
        )
        extend(root, 12)
        result["rates"] = rates(root, repeats)
        for space in ("func1pt8mm", "fsaverage")[: 1 + surface]:
            result[space] = {n: prepare(root, f"1-{n}", space) for n in (3, 12)}
            click.echo(f"{space}: {result[space]}")
    click.echo(str(result["rates"]))
    RESULTS.parent.mkdir(exist_ok=True)
    write_json({**result, "machine": machine(1), "code_hash": code_hash(), **provenance()}, RESULTS)


if __name__ == "__main__":
    main()
