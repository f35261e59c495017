"""Batches on a real SLURM of one node, which `slurm_node` starts: jobs that end before their time, and what stays of them."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
import slurm_node
from slurm_node import ask
from test_batch import GOOD, HUNGRY, write_grid, write_notebook

from jne.batch import batch_folder, read_grid, summary_table

pytestmark = [pytest.mark.slurm, pytest.mark.slow]

# Says that it has begun; with the option `once`, its first attempt ends with its job alone.
NOTED = """\
import jne, pathlib, time
begun = pathlib.Path('begun')
first = str(seed) not in (begun.read_text().split() if begun.exists() else [])
begun.open('a').write(f'{seed}\\n')
time.sleep(600 if first and seed == options.get('once') else options.get('seconds', 0))
jne.record('square', seed**2)"""
MODEST = "import jne, time\nblock = b'x' * 200_000_000\ntime.sleep(3)\njne.record('square', seed**2)"


@pytest.fixture(scope="module")
def slurm():
    if missing := slurm_node.missing():
        pytest.skip(f"no SLURM here ({', '.join(missing)}): apt-get install --no-install-recommends slurm-wlm munge")
    with slurm_node.slurm_node() as conf:
        yield conf


class Batch:
    """`jne batch` on SLURM in a folder of its own, as a process."""

    def __init__(self, conf, folder, cell, **content):
        folder.mkdir()
        (folder / "_toc.yml").write_text("format: jb-book\nroot: index\n")
        (folder / "index.md").write_text("# Nothing\n")
        write_notebook(folder / "a.ipynb", cell)
        own = {"interface": "lo", "local_directory": str(folder / "dask")}
        content = {"notebooks": ["a.ipynb"], **content, "slurm": own | content.get("slurm", {})}
        self.conf, self.folder, self.file = conf, folder, write_grid(folder, content)
        self.out = batch_folder(read_grid(self.file))

    def start(self, workers=1):
        command = [sys.executable, "-m", "jne.cli", "batch", self.file, "--scheduler", "slurm", "--workers", workers]
        environment = os.environ | {"SLURM_CONF": str(self.conf), "COLUMNS": "160"}
        with (self.folder / "printed").open("w") as printed:
            options = {"cwd": self.folder, "env": environment, "stdout": printed, "stderr": subprocess.STDOUT}
            self.process = subprocess.Popen([*map(str, command)], **options)
        return self

    def end(self, seconds=150):
        """Wait for it; its exit status and what it printed."""
        try:
            status = self.process.wait(seconds)
        finally:
            self.process.kill()
        return status, (self.folder / "printed").read_text()

    def wait_for(self, condition, seconds=90):
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, (self.folder / "printed").read_text() + self.logs()
            time.sleep(0.1)

    def records(self):
        return {path.name: path.read_bytes() for path in self.out.glob("runs/a-*.json")}

    def begun(self):
        path = self.folder / "begun"
        return sorted(map(int, path.read_text().split())) if path.exists() else []

    def jobs(self):
        """What SLURM knows of its jobs, those that have ended too."""
        known = ask(self.conf, "scontrol", "show", "jobs").split("\n\n")
        return [job for job in known if f"StdOut={self.out}/" in job]

    def running(self):
        return [re.search(r"JobId=(\d+)", job)[1] for job in self.jobs() if "JobState=RUNNING" in job]

    def logs(self):
        return "".join(path.read_text() for path in sorted(self.out.glob("logs/*")))

    def table(self):
        return summary_table(read_grid(self.file), self.out)

    def is_done(self, n):
        table = self.table()
        assert table["status"].tolist() == ["done"] * n, self.logs()
        assert table["result.square"].tolist() == [i**2 for i in range(n)]
        assert len(self.records()) == n


@pytest.fixture(scope="module", autouse=True)
def beyond_its_time(slurm, tmp_path_factory):
    """A batch whose first job meets its wall time in the second run: begun first, as SLURM counts in minutes."""
    content = {"grid": {"seed": [0, 1, 2]}, "parameters": {"options": {"once": 1}}, "slurm": {"walltime": "00:01:00"}}
    batch = Batch(slurm, tmp_path_factory.mktemp("slurm") / "late", NOTED, **content).start()
    yield batch
    batch.process.kill()


def test_a_grid_to_its_end_with_hours_as_they_are_written(slurm, tmp_path):
    batch = Batch(slurm, tmp_path / "whole", NOTED, grid={"seed": [0, 1, 2]}, resources={"threads": 2})
    text = batch.file.read_text()
    batch.file.write_text(text.replace("slurm:\n", "slurm:\n  walltime: 12:00:00\n"))
    batch.start(workers=2)
    batch.wait_for(batch.running)
    (job,) = batch.running()[:1]
    assert ask(slurm, "squeue", "-h", "-j", job, "-o", "%l %C").split() == ["12:00:00", "2"]
    assert "TimeLimit=12:00:00 " in ask(slurm, "scontrol", "show", "job", job)
    status, printed = batch.end()
    assert status == 0 and "3 done" in printed, printed + batch.logs()
    batch.is_done(3)
    assert batch.begun() == [0, 1, 2]
    # What SLURM prints of a job is with the batch, and nothing is where the command was given.
    assert "Start worker" in batch.logs()
    assert {path.name for path in batch.folder.iterdir()} == {
        *("_build", "_toc.yml", "a.ipynb", "begun", "dask", "grid.yml", "index.md", "printed"),
    }
    batch.wait_for(lambda: not batch.running())
