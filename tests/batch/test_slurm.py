"""Batches on a real SLURM of one node, started by `slurm_node`: jobs that end early, and what stays of them."""

import os
import re
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import psutil
import pytest
import slurm_node
from slurm_node import ask
from test_batch import GOOD, HUNGRY, write_grid, write_notebook

from jne.batch import batch_folder, read_grid, summary_table

pytestmark = [pytest.mark.slurm, pytest.mark.slow]

# Says that it has begun; the seed `once` ends its first attempt with its job alone, the seed `until` waits for a file.
NOTED = """\
import jne, pathlib, time
begun = pathlib.Path('begun')
first = str(seed) not in (begun.read_text().split() if begun.exists() else [])
begun.open('a').write(f'{seed}\\n')
time.sleep(600 if first and seed == options.get('once') else 0)
while seed == options.get('until') and not pathlib.Path('go').exists():
    time.sleep(0.1)
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
        _wait_for(condition, seconds, lambda: (self.folder / "printed").read_text() + self.logs())

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
def halted(slurm, tmp_path_factory):
    """Batches that stand in their second run until their wall time (a minute at least) or a test; one cannot begin."""
    folder, grid = tmp_path_factory.mktemp("slurm"), {"seed": [0, 1, 2]}
    once, until = ({"parameters": {"options": {name: 1}}, "grid": grid} for name in ("once", "until"))
    broken = {"job_script_prologue": ["echo no such module", "exit 3"]}
    batches = {
        "late": Batch(slurm, folder / "late", NOTED, **once, slurm={"walltime": "00:01:00"}),
        "cancelled": Batch(slurm, folder / "cancelled", NOTED, **once),
        "killed": Batch(slurm, folder / "killed", NOTED, **until),
        "broken": Batch(slurm, folder / "broken", GOOD, slurm=broken),
    }
    yield {name: batch.start() for name, batch in batches.items()}
    for batch in batches.values():
        batch.process.kill()


def test_a_grid_to_its_end_with_hours_as_they_are_written(slurm, tmp_path):
    batch = Batch(slurm, tmp_path / "whole", NOTED, grid={"seed": [0, 1, 2]}, resources={"threads": 2})
    text = batch.file.read_text()
    batch.file.write_text(text.replace("slurm:\n", "slurm:\n  walltime: 12:00:00\n"))
    batch.start(workers=2)
    batch.wait_for(batch.running)
    job = batch.running()[0]
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


def test_the_run_of_a_cancelled_job_is_taken_over(slurm, halted):
    batch = halted["cancelled"]
    batch.wait_for(lambda: len(batch.records()) == 1 and 1 in batch.begun())
    (job,) = batch.running()
    before = batch.records()
    ask(slurm, "scancel", job)
    status, printed = batch.end()
    assert status == 0 and "3 done" in printed, printed + batch.logs()
    batch.is_done(3)
    assert before.items() <= batch.records().items()
    # Only what was cut off was begun again, in another job.
    assert batch.begun() == [0, 1, 1, 2] and len(batch.jobs()) == 2


def test_a_run_over_its_memory_is_named_and_its_job_goes_on(slurm, tmp_path):
    cell = "if seed == 0:\n" + textwrap.indent(HUNGRY, "    ") + "\n" + MODEST
    batch = Batch(slurm, tmp_path / "memory", cell, grid={"seed": [0, 1]}, resources={"memory": "300MB"}).start()
    status, printed = batch.end()
    assert status == 1 and "1 done, 1 memory" in printed, printed + batch.logs()
    table = batch.table()
    assert table["status"].tolist() == ["memory", "done"] and "its limit is 300 MB" in table["error"].iloc[0]
    # The job has memory for its worker too, so that SLURM does not end it for a run that keeps within its own.
    assert 200_000_000 < table["peak_memory"].iloc[1] < 300_000_000 and len(batch.jobs()) == 1


def test_a_client_that_is_killed_and_started_again(halted):
    batch = halted["killed"]
    batch.wait_for(lambda: len(batch.records()) == 1 and batch.begun() == [0, 1])
    batch.process.kill()
    batch.process.wait()
    before = batch.records()
    (batch.folder / "go").touch()  # what a worker has begun, it ends, if that takes less than half a minute
    status, printed = batch.start().end()
    assert status == 0 and "3 done" in printed, printed + batch.logs()
    batch.is_done(3)
    assert before.items() <= batch.records().items()
    assert batch.begun() == [0, 1, 2]
    batch.wait_for(lambda: not batch.running())


def test_a_partition_that_is_not_there_is_refused_before_a_job_is_submitted(slurm, tmp_path):
    batch = Batch(slurm, tmp_path / "refused", GOOD, slurm={"queue": "nosuch"}).start()
    status, printed = batch.end(60)
    assert status == 1 and "SLURM refuses the job: invalid partition specified: nosuch" in printed, printed
    assert "Traceback" not in printed and not batch.jobs() and not batch.records()


def test_jobs_that_end_before_they_begin_are_not_waited_for(halted):
    batch = halted["broken"]
    status, printed = batch.end()
    assert status == 1 and "jobs ended before their worker began" in printed and str(batch.out / "logs") in printed
    assert len(batch.jobs()) == 3 and batch.logs() == "no such module\n" * 3 and not batch.running()


def test_ctrl_c_is_no_success_and_ends_the_jobs(slurm, tmp_path):
    batch = Batch(slurm, tmp_path / "stopped", NOTED, parameters={"options": {"once": 0}}).start()
    batch.wait_for(batch.begun)
    batch.process.send_signal(signal.SIGINT)
    status, printed = batch.end(60)
    assert status == 1 and "Stopped. Runs that have ended are kept" in printed
    batch.wait_for(lambda: not batch.running())
    # Certificates are for this batch alone.
    assert not list(batch.out.glob(".dask-jobqueue*"))


def test_a_job_that_meets_its_wall_time_is_replaced(halted):
    batch = halted["late"]
    status, printed = batch.end(240)
    assert status == 0 and "3 done" in printed, printed + batch.logs()
    batch.is_done(3)
    assert batch.begun() == [0, 1, 1, 2] and len(batch.jobs()) == 2 and "DUE TO TIME LIMIT" in batch.logs()


@pytest.fixture
def another(slurm, tmp_path):
    """Starts a script beside a SLURM of its own, beside that of the other tests; the process and the configuration."""
    started = []

    def start(script):
        command = [sys.executable, slurm_node.__file__, "bash", "-c", f"echo $SLURM_CONF; {script}"]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=tmp_path)
        started.append((process, Path(process.stdout.readline().strip())))
        return started[-1]

    yield start
    for process, conf in started:
        process.terminate()
        process.wait(60)
        shutil.rmtree(conf.parent, ignore_errors=True)  # where it was killed


JOB = "sbatch --wrap 'touch begun; sleep 611'; exec sleep 612"


@pytest.mark.parametrize(
    ("end", "script"), [("SIGINT", JOB), ("SIGTERM", JOB), ("SIGKILL", "touch begun; exec sleep 3")]
)
def test_no_daemon_is_left(slurm, another, tmp_path, end, script):
    process, conf = another(script)
    assert conf.is_file() and conf != slurm
    _wait_for((tmp_path / "begun").exists)
    ours = {child.pid for child in psutil.Process(process.pid).children(recursive=True)}
    started, names = [], set()
    for found in psutil.process_iter(["name", "environ"]):
        if found.pid in ours or (found.info["environ"] or {}).get("SLURM_CONF") == str(conf):
            started.append(found)
            names.add(found.info["name"])
            if found.info["name"] == "slurm_script":
                started.append(found.parent())  # its slurmstepd
    assert {"munged", "slurmctld", "slurmd"} <= names and ("slurm_script" in names) == (script == JOB)
    process.send_signal(signal.Signals[end])
    process.wait(60)
    _wait_for(lambda: not any(map(_lives, started)))
    assert end == "SIGKILL" or not conf.parent.exists()


def _wait_for(condition, seconds=20, told=str):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, told()
        time.sleep(0.1)


def _lives(process):
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
