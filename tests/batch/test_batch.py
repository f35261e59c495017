"""Batches: grid files, single runs and their limits, records, locks, clusters, pages."""

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import nbformat
import numpy as np
import pandas as pd
import psutil
import pytest
import yaml
from click.testing import CliRunner
from distributed import Client, Security

import jne
from jne._core import code_hash, one_at_a_time
from jne.batch import Resources, Run, batch_folder, pending_runs, read_grid, summary_table, write_summary
from jne.batch.cluster import connect, default_workers, visible_gpus, worker_environments
from jne.batch.run import execute_run, read_record, write_record
from jne.book import read_records
from jne.cli import main
from jne.plotting import figure_grid, figure_scalars

ROOT = Path(__file__).resolve().parents[2]
PARAMETERS = "seed = 0\noptions = {}"
GOOD = "import jne\njne.record('square', seed**2)"
BAD = "import jne\njne.record('before', 1)\nraise KeyError('no such area [/x]')"
# With a process of its own, which must not stay behind either.
ENDLESS = (
    "import subprocess, time\nprint(subprocess.Popen(['sleep', '613']).pid, flush=True)\nwhile True: time.sleep(0.1)"
)
HUNGRY = "import time\nblock = bytearray(400_000_000)\nblock[::4096] = b'x' * len(block[::4096])\ntime.sleep(60)"


def write_notebook(path, *cells, parameters=PARAMETERS):
    v4 = nbformat.v4
    notebook = v4.new_notebook(
        metadata={"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    )
    tagged = v4.new_code_cell(parameters, metadata={"tags": ["parameters"]})
    notebook.cells = [v4.new_markdown_cell(f"# {path.stem}"), tagged, *map(v4.new_code_cell, cells)]
    nbformat.write(notebook, path)
    return path


def write_grid(folder, content, name="grid"):
    (folder / f"{name}.yml").write_text(yaml.safe_dump(content, sort_keys=False))
    return folder / f"{name}.yml"


@pytest.fixture
def alone(tmp_path, monkeypatch):
    """A folder that is in no book."""
    (tmp_path / "_toc.yml").write_text("format: jb-book\nroot: index\n")
    (tmp_path / "index.md").write_text("# Nothing\n")
    return tmp_path


# Grid files


def test_grid_is_the_product_over_notebooks(alone):
    write_notebook(alone / "a.ipynb", GOOD)
    write_notebook(alone / "b.ipynb", GOOD)
    content = {"notebooks": ["a.ipynb", "b.ipynb"], "parameters": {"options": {"x": 1, "y": 2}}}
    content |= {"grid": {"seed": [1, 2, 3], "options.x": ["p", "q"]}}
    grid = read_grid(write_grid(alone, content))
    assert [run.notebook.stem for run in grid.runs] == ["a"] * 6 + ["b"] * 6
    assert grid.runs[1].parameters == {"seed": 1, "options": {"x": "q", "y": 2}}
    assert grid.runs[1].varied == {"seed": 1, "options.x": "q"} and grid.runs[1].label == "a seed=1 options.x=q"
    assert len({run.id for run in grid.runs}) == 12
    assert batch_folder(grid) == alone / "_build/batch/grid"


def test_a_parameter_counts_for_the_notebooks_that_have_it(alone):
    write_notebook(alone / "a.ipynb", GOOD)
    write_notebook(alone / "b.ipynb", GOOD, parameters="other = 1")
    grid = read_grid(write_grid(alone, {"notebooks": ["a.ipynb", "b.ipynb"], "grid": {"seed": [1, 2, 3]}}))
    assert [(run.notebook.stem, run.parameters) for run in grid.runs] == [
        ("a", {"seed": 1}),
        ("a", {"seed": 2}),
        ("a", {"seed": 3}),
        ("b", {}),
    ]


def test_single_runs(alone):
    write_notebook(alone / "a.ipynb", GOOD)
    write_notebook(alone / "b.ipynb", GOOD)
    runs = [{"notebook": "b", "seed": 5}, {"options.x": 1}]
    grid = read_grid(write_grid(alone, {"notebooks": ["a.ipynb", "b.ipynb"], "parameters": {"seed": 4}, "runs": runs}))
    assert [(run.notebook.stem, run.parameters) for run in grid.runs] == [
        ("b", {"seed": 5}),
        ("a", {"seed": 4, "options": {"x": 1}}),
        ("b", {"seed": 4, "options": {"x": 1}}),
    ]


@pytest.mark.parametrize(("name", "n_runs"), [("quick", 4), ("paper", 96), ("study", 160)])
def test_grids_of_the_repository(name, n_runs):
    grid = read_grid(ROOT / f"book/grids/{name}.yml")
    assert len(grid.runs) == n_runs and grid.root == ROOT
    assert all(run.parameters["data"] == "synthetic" for run in grid.runs)
    if name == "study":
        varied = [[run.varied[key] for run in grid.runs] for key in grid.runs[0].varied]
        assert [len(set(values)) for values in varied] == [4, 4, 5, 2] and len({run.id for run in grid.runs}) == 160
    if name == "paper":
        assert grid.runs[1].parameters["encoder_options"]["hidden_size"] == 1024
        assert grid.runs[1].parameters["encoder_options"]["activation"] == "gelu"
        assert grid.slurm["walltime"] == "12:00:00"


def test_id_changes_with_what_can_change_the_result_and_with_nothing_else(alone, monkeypatch):
    def current(**parameters):
        content = {"notebooks": ["a.ipynb"], "parameters": {"data": "d.nc", **parameters}}
        return read_grid(write_grid(alone, content)).runs[0].id

    notebook = write_notebook(alone / "a.ipynb", GOOD, parameters='data = ""\nseed = 0')
    (alone / "d.nc").write_bytes(b"one")
    first = current()
    assert current() == first

    content = nbformat.read(notebook, as_version=4)
    content.cells[2].outputs = [nbformat.v4.new_output("stream", text="old")]
    content.metadata["anything"] = 1
    nbformat.write(content, notebook)
    assert current() == first
    content.cells[2].source += "\n"
    nbformat.write(content, notebook)
    ids = {first, current()}
    ids.add(current(seed=1))
    (alone / "d.nc").write_bytes(b"two")
    ids.add(current())
    monkeypatch.setattr("jne.batch.grid.code_hash", lambda: "other")
    ids.add(current())
    assert len(ids) == 5


BROKEN = {
    "nothing": (None, "notebooks is missing"),
    "section": ({"notebook": "a.ipynb"}, "'notebook' is not known; accepted are notebooks, parameters_file"),
    "file": ({"notebooks": ["c.ipynb"]}, "there is no file"),
    "chapter": ({"notebooks": ["hierachy"]}, "no chapter 'hierachy'"),
    "parameter": ({"notebooks": ["a.ipynb"], "parameters": {"sed": 1}}, "parameter 'sed'; they have options, seed"),
    "grid name": ({"notebooks": ["a.ipynb"], "grid": {"sed": [1]}}, "parameter 'sed'; they have options, seed"),
    "grid value": ({"notebooks": ["a.ipynb"], "grid": {"seed": 1}}, "seed is 1; expected a list"),
    "entry": (
        {"notebooks": ["a.ipynb"], "parameters": {"seed": 1, "seed.x": 2}},
        r"seed is \{'x': 2\}, a mapping",
    ),
    "run": ({"notebooks": ["a.ipynb"], "runs": [{"sed": 1}]}, "a has no parameter 'sed'; it has options, seed"),
    "run's notebook": ({"notebooks": ["a.ipynb"], "runs": [{"notebook": "b"}]}, "'b' is not among notebooks"),
    "runs": ({"notebooks": ["a.ipynb"], "runs": {"seed": 1}}, "expected a list"),
    "threads": (
        {"notebooks": ["a.ipynb"], "resources": {"threads": 0}},
        "threads=0 is not a whole number",
    ),
    "gpu": ({"notebooks": ["a.ipynb"], "resources": {"gpu": 2}}, "gpu is 2; accepted are 0 and 1"),
    "memory": ({"notebooks": ["a.ipynb"], "resources": {"memory": "much"}}, "'much' is not a size"),
    "timeout": ({"notebooks": ["a.ipynb"], "resources": {"timeout": "soon"}}, "timeout is 'soon'; accepted are"),
    "resource": ({"notebooks": ["a.ipynb"], "resources": {"cores": 1}}, "'cores' is not known; accepted are threads"),
}


@pytest.mark.parametrize(("content", "message"), BROKEN.values(), ids=BROKEN)
def test_what_a_grid_file_must_not_say(alone, content, message):
    write_notebook(alone / "a.ipynb", GOOD)
    with pytest.raises((ValueError, OSError), match=message):
        read_grid(write_grid(alone, content))


# Records


def test_record_outside_a_notebook_does_nothing_but_checks(capsys):
    jne.record("r2", 0.5)
    assert capsys.readouterr().out == ""
    for name, value in [("", 1), ("a.b", 1), ("r2", [1, 2]), ("r2", {"V1": None}), ("r2", np.zeros(2))]:
        with pytest.raises(ValueError, match=r"name=|value of"):
            jne.record(name, value)


def test_records_are_read_from_the_executed_notebook(tmp_path):
    cell = (
        "import jne, numpy as np\njne.record('share', 0.1)\njne.record('share', np.float32(0.25))\n"
        "jne.record('areas', {'V2': 1, 'V1': np.array(float('nan'))})\njne.record('synthetic', True)"
    )
    run = Run("x", write_notebook(tmp_path / "a.ipynb", cell), {})
    record = execute_run(run, tmp_path, tmp_path, Resources(), {}, code_hash())
    expected = {"share": 0.25, "areas.V2": 1, "areas.V1": None, "synthetic": True}
    assert record["results"] == expected and list(record["results"]) == list(expected)
    outputs = nbformat.read(tmp_path / "a-x.ipynb", as_version=4).cells[-1].outputs
    assert [output.data["text/plain"] for output in outputs[:2]] == ["share = 0.1", "share = 0.25"]
    assert read_records(tmp_path / "a.ipynb") == {}


# Single runs


def execute(folder, cell, **resources):
    run = Run("x", write_notebook(folder / "a.ipynb", cell), {"seed": 3})
    return run, execute_run(run, folder / "runs", folder, Resources(**resources), {}, code_hash())


def last_error(folder):
    cell = nbformat.read(folder / "runs/a-x.ipynb", as_version=4).cells[-1]
    assert cell.metadata.papermill.exception is True
    return next(output for output in cell.outputs if output.output_type == "error")


def test_a_failing_run_keeps_its_notebook_and_what_it_recorded(tmp_path):
    run, record = execute(tmp_path, BAD)
    assert record["status"] == "failed" and record["results"] == {"before": 1}
    assert record["error"] == {"cell": BAD, "reason": "KeyError: 'no such area [/x]'"}
    assert last_error(tmp_path).ename == "KeyError"
    assert read_record(tmp_path / "runs", run) == record
    write_notebook(tmp_path / "a.ipynb", GOOD)
    record = execute_run(run, tmp_path / "runs", tmp_path, Resources(), {}, code_hash())
    assert record["status"] == "done" and record["results"] == {"square": 9}


def test_an_endless_run_is_stopped_with_all_its_processes(tmp_path):
    _, record = execute(tmp_path, ENDLESS, timeout=2.5)
    assert record["status"] == "timeout" and 2.5 <= record["seconds"] < 10
    assert last_error(tmp_path).evalue == "stopped after 2.5 s, its timeout"
    cell = nbformat.read(tmp_path / "runs/a-x.ipynb", as_version=4).cells[-1]
    child = int(cell.outputs[0].text)
    assert not psutil.pid_exists(child) or psutil.Process(child).status() == psutil.STATUS_ZOMBIE


def test_a_run_over_its_memory_is_stopped(tmp_path):
    _, record = execute(tmp_path, HUNGRY, memory=300_000_000)
    assert record["status"] == "memory" and record["peak_memory"] > 300_000_000 and record["seconds"] < 30
    assert "its limit is 300 MB" in last_error(tmp_path).evalue


def test_the_kernel_has_the_threads_and_the_gpu_of_its_worker(tmp_path, monkeypatch):
    cell = "import jne, os\nfor name in ('OMP_NUM_THREADS', 'MKL_NUM_THREADS', 'CUDA_VISIBLE_DEVICES', 'EXTRA'):\n"
    cell += "    jne.record(name, os.environ.get(name, 'unset'))"
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    run = Run("x", write_notebook(tmp_path / "a.ipynb", cell), {})
    arguments = (tmp_path, {"EXTRA": "yes"}, code_hash())
    results = execute_run(run, tmp_path / "r", arguments[0], Resources(threads=3), *arguments[1:])["results"]
    assert results == {"OMP_NUM_THREADS": "3", "MKL_NUM_THREADS": "3", "CUDA_VISIBLE_DEVICES": "1", "EXTRA": "yes"}
    results = execute_run(run, tmp_path / "s", arguments[0], Resources(gpu=0), *arguments[1:])["results"]
    assert results["CUDA_VISIBLE_DEVICES"] == "" and results["OMP_NUM_THREADS"] == "1"


def test_a_worker_with_other_code_is_refused(tmp_path):
    run = Run("x", write_notebook(tmp_path / "a.ipynb", GOOD), {})
    with pytest.raises(ValueError, match="another version of jne"):
        execute_run(run, tmp_path, tmp_path, Resources(), {}, "other")
    assert read_record(tmp_path, run) is None


def test_a_run_is_executed_once_by_two_who_want_it_at_the_same_moment(tmp_path):
    run = Run("x", write_notebook(tmp_path / "a.ipynb", "open('log', 'a').write('ran ')"), {})
    outcomes = []

    def attempt():
        outcomes.append(execute_run(run, tmp_path / "runs", tmp_path, Resources(), {}, code_hash()))

    threads = [threading.Thread(target=attempt) for _ in range(2)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    assert outcomes[0] == outcomes[1] and outcomes[0]["status"] == "done"
    assert (tmp_path / "log").read_text() == "ran "


# Locks


def test_a_study_is_computed_once_by_two_who_want_it_at_the_same_moment(tiny_dataset, tmp_path, monkeypatch):
    fits, fit = [], jne.ResidualEncoder.fit

    def counted(self, *arguments, **options):
        fits.append(self.activation)
        time.sleep(0.2)
        return fit(self, *arguments, **options)

    monkeypatch.setattr(jne.ResidualEncoder, "fit", counted)
    options = {"encoder_options": {"hidden_size": 4, "max_epochs": 2}, "n_bootstrap": 5, "folder": tmp_path}
    results = []
    threads = [
        threading.Thread(target=lambda: results.append(jne.run_study(tiny_dataset, **options).result)) for _ in range(3)
    ]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    assert sorted(map(str, fits)) == ["None", "relu"]
    assert len(results) == 3 and all(result.identical(results[0]) for result in results)


def test_the_lock_of_a_dead_process_is_free(tmp_path):
    code = (
        "import sys, time\nfrom jne._core import one_at_a_time\n"
        "with one_at_a_time(sys.argv[1]):\n    print('in', flush=True)\n    time.sleep(60)"
    )
    holder = subprocess.Popen([sys.executable, "-c", code, str(tmp_path / "x")], stdout=subprocess.PIPE)
    assert holder.stdout.readline() == b"in\n"
    entered = threading.Event()

    def enter():
        with one_at_a_time(tmp_path / "x"):
            entered.set()

    waiting = threading.Thread(target=enter)
    waiting.start()
    assert not entered.wait(0.5)
    holder.kill()
    assert entered.wait(5)
    holder.wait()
    waiting.join()


def test_nothing_of_a_batch_is_in_the_code_hash():
    sources = [path.relative_to(ROOT / "jne") for path in (ROOT / "jne/batch").glob("*.py")]
    assert len(sources) > 5
    before = code_hash()
    code_hash.cache_clear()
    original = Path.read_bytes
    try:
        Path.read_bytes = lambda self: b"changed" if self.parent.name == "batch" else original(self)
        assert code_hash() == before
    finally:
        Path.read_bytes = original
        code_hash.cache_clear()


# Clusters


def test_workers_follow_threads_memory_and_gpus(monkeypatch):
    monkeypatch.setattr("os.sched_getaffinity", lambda pid: set(range(16)), raising=False)
    total = psutil.virtual_memory().total
    assert default_workers(Resources(), 0) == 16
    assert default_workers(Resources(threads=4), 0) == 4
    assert default_workers(Resources(threads=32), 0) == 1
    assert default_workers(Resources(memory=total // 4), 0) == 3
    assert default_workers(Resources(threads=4), 2) == 2
    assert worker_environments(3, ["0", "1"]) == [{"CUDA_VISIBLE_DEVICES": number} for number in "010"]
    assert worker_environments(2, []) == [{}, {}]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2,3")
    assert visible_gpus() == ["2", "3"]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert visible_gpus() == []
    with pytest.raises(ValueError, match="CUDA finds none"), connect(resources=Resources(gpu=1)):
        pass


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"scheduler": "pbs"}, "accepted are local, slurm, or an address"),
        ({"scheduler": "tcp://127.0.0.1:1", "workers": 2}, "a scheduler at an address has its workers"),
    ],
)
def test_what_a_cluster_cannot_be(options, message):
    with pytest.raises(ValueError, match=message), connect(**options):
        pass


def jne_batch(*arguments):
    command = [sys.executable, "-m", "jne.cli", "batch", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, env=os.environ | {"COLUMNS": "160"}, timeout=150)


@pytest.fixture
def small_book(tmp_path):
    """The book's settings around no chapters."""
    for name in ("_config.yml", "book/_static/jne.css", "book/references.bib"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes((ROOT / name).read_bytes())
    (tmp_path / "_toc.yml").write_text("format: jb-book\nroot: book/intro\n")
    (tmp_path / "book/intro.md").write_text("# Intro\n")
    return tmp_path


@pytest.mark.slow
def test_one_error_and_one_endless_cell_stop_no_other_run(small_book, monkeypatch):
    folder = small_book / "book"
    good = GOOD + "\njne.record('share', {'V2': seed, 'V1': 2 * seed})"
    for name, cell in [("good", good), ("bad", BAD), ("endless", ENDLESS)]:
        write_notebook(folder / f"{name}.ipynb", cell, parameters=PARAMETERS + "\ndata = 'synthetic'")
    runs = [{"notebook": "endless"}, {"notebook": "bad"}, {"notebook": "good", "seed": 1}]
    runs += [{"notebook": "good", "seed": 2}]
    content = {"notebooks": [f"{n}.ipynb" for n in ("good", "bad", "endless")], "runs": runs}
    content |= {"parameters": {"data": "synthetic", "options": {"thin": 3}}, "resources": {"timeout": 10}}
    file = write_grid(folder, content)
    dry = CliRunner().invoke(main, ["batch", str(file), "--dry-run"])
    assert dry.exit_code == 0 and dry.output.startswith("4 runs, 4 to do") and not (small_book / "_build").exists()

    monkeypatch.setenv("COLUMNS", "160")
    first = CliRunner().invoke(main, ["batch", str(file), "--workers", "1", "--book"])
    assert first.exit_code == 1, first.output
    assert "2 done, 1 failed, 1 timeout" in first.stdout and "127.0.0.1" in first.stdout
    assert {"not done: bad", "not done: endless"} <= set(first.stdout.splitlines())
    grid, out = read_grid(file), small_book / "_build/batch/grid"
    table = summary_table(grid, out)
    assert table["status"].tolist() == ["timeout", "failed", "done", "done"]
    assert table["result.square"].dropna().tolist() == [1, 4] and (table["peak_memory"] > 10**7).all()
    saved = pd.read_csv(out / "summary.csv", index_col="id")
    pd.testing.assert_frame_equal(saved, table, check_dtype=False)
    assert all((out / name).is_file() for name in table["executed"])
    check_pages(out, small_book)

    done = {path: path.read_bytes() for path in out.glob("runs/good-*.json")}
    for name in ("bad", "endless"):
        write_notebook(folder / f"{name}.ipynb", GOOD, parameters=PARAMETERS + "\ndata = 'synthetic'")
    changed = read_grid(file)
    assert len(pending_runs(changed, out)) == 2 and pending_runs(changed, out, retry_failed=True) == []
    second = CliRunner().invoke(main, ["batch", str(file), "--workers", "1"])
    assert second.exit_code == 0 and "4 runs, 2 to do" in second.stdout and "4 done" in second.stdout
    assert {path: path.read_bytes() for path in out.glob("runs/good-*.json")} == done


def check_pages(out, root):
    def shown(page):
        return re.sub(r"<[^>]+>", "", page.read_text()).replace("&#39;", "'")

    html = out / "html"
    assert "unknown_mime_type" not in (out / "sphinx/log.txt").read_text()
    index = shown(html / "index.html")
    assert "4 runs: 2 done" in index and "KeyError: 'no such area [/x]'" in index
    assert "data: synthetic" in index and "options.thin: 3" in index  # as in a YAML file, not as NumPy writes it
    page = (html / "good.html").read_text()
    links = [path for path in html.glob("runs/*.html") if f'href="runs/{path.name}"' in page]
    assert len(links) == 4 and page.count("<img") >= 2
    assert 'alt="Synthetic responses: share' in page and "Colour: share" in page
    assert any("good: seed 2" in shown(path) and "share.V1 = 4" in shown(path) for path in links)
    failed = next(html.glob("runs/bad-*.html"))
    assert "no such area [/x]" in shown(failed) and str(root) not in failed.read_text()


def test_retrying_what_failed(alone):
    write_notebook(alone / "a.ipynb", GOOD)
    grid = read_grid(write_grid(alone, {"notebooks": ["a.ipynb"], "grid": {"seed": [1, 2, 3]}}))
    folder = batch_folder(grid) / "runs"
    folder.mkdir(parents=True)
    for run, status in zip(grid.runs, ("done", "failed"), strict=False):
        (folder / f"{run.name}.json").write_text(json.dumps({"status": status, "error": {"reason": "x", "cell": ""}}))
    waiting = pending_runs(grid, batch_folder(grid))
    assert [run.parameters["seed"] for run in waiting] == [2, 3]
    assert [run.parameters["seed"] for run in pending_runs(grid, batch_folder(grid), retry_failed=True)] == [2]
    result = CliRunner().invoke(main, ["batch", str(alone / "grid.yml"), "--dry-run", "--retry-failed"])
    assert result.exit_code == 0 and "3 runs, 1 to do" in result.output and "a seed=2" in result.output


def test_a_dry_run_says_how_long_by_what_is_done(alone):
    for name in ("a", "b"):
        write_notebook(alone / f"{name}.ipynb", GOOD)
    content = {"notebooks": ["a.ipynb", "b.ipynb"], "grid": {"seed": list(range(10))}}
    file = write_grid(alone, content)
    grid = read_grid(file)
    out = batch_folder(grid)
    (out / "runs").mkdir(parents=True)

    def dry(*options):
        result = CliRunner().invoke(main, ["batch", str(file), "--dry-run", "--workers", "4", *options])
        assert result.exit_code == 0, result.output
        return result.output.splitlines()

    def end(run, seconds, peak):
        write_record(out / "runs", run, "done", seconds=seconds, peak_memory=peak)

    assert dry()[-1].startswith("Time and memory are not known before a run of a, b is done. With --first 1")
    assert [line.split()[1:] for line in dry("--first", "1")[1:3]] == [["a", "seed=0"], ["b", "seed=0"]]
    end(grid.runs[0], 60.0, 500_000_000)
    assert dry()[-1].startswith("Time and memory are not known before a run of b is done")
    end(grid.runs[10], 1200.0, 700_000_000)
    # 9 of a at a minute each, 9 of b at 20: 189 minutes, by 4 workers 47.25; 4 times the larger one's memory.
    time_and_memory = "About 3.15 h of one worker, 47.2 min with 4 workers; 700 MB a run, 2.8 GB together."
    assert dry()[-1] == f"{time_and_memory} By the 2 runs that are done."
    end(grid.runs[11], 600.0, 600_000_000)
    end(grid.runs[12], 900.0, 600_000_000)
    # The middle one of three: 9 minutes of a, and 7 times 15 of b.
    assert dry()[-1].startswith("About 1.9 h of one worker, 28.5 min with 4 workers")
    assert dry("--first", "1")[-1].startswith("About 16 min of one worker, 8 min with 2 workers")


# A cluster that stands already


@pytest.fixture
def by_hand(tmp_path):
    """A scheduler and two workers, started as processes of their own; the scheduler's address and the workers."""
    started, log = [], (tmp_path / "dask.log").open("w")

    def start(*arguments):
        command = [sys.executable, "-m", "dask", *map(str, arguments), "--no-dashboard"]
        started.append(subprocess.Popen(command, stdout=log, stderr=log, cwd=tmp_path))
        return started[-1]

    file = tmp_path / "scheduler.json"
    start("scheduler", "--host", "127.0.0.1", "--port", 0, "--scheduler-file", file)
    options = ("--scheduler-file", file, "--nthreads", 1, "--memory-limit", 0, "--local-directory", tmp_path / "dask")
    workers = [start("worker", *options) for _ in range(2)]
    deadline = time.monotonic() + 60
    while not file.exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    yield json.loads(file.read_text())["address"], workers
    for process in reversed(started):
        process.terminate()
    for process in started:
        process.wait(20)
    log.close()


@pytest.mark.slow
def test_a_killed_worker_and_a_killed_client_lose_nothing(alone, by_hand):
    address, workers = by_hand
    cell = "import jne, time\nopen('started', 'a').write(f'{seed}\\n')\ntime.sleep(1)\njne.record('square', seed**2)"
    write_notebook(alone / "slow.ipynb", cell)
    file = write_grid(alone, {"notebooks": ["slow.ipynb"], "grid": {"seed": list(range(5))}})
    folder = alone / "_build/batch/grid/runs"

    def records():
        return {path: path.read_bytes() for path in folder.glob("slow-*.json")}

    def wait_for(condition):
        deadline = time.monotonic() + 90
        while not condition():
            assert time.monotonic() < deadline
            time.sleep(0.05)

    client = subprocess.Popen(
        [sys.executable, "-m", "jne.cli", "batch", str(file), "--scheduler", address], stdout=subprocess.DEVNULL
    )
    wait_for(lambda: len(records()) >= 2)
    descendants = psutil.Process(workers[0].pid).children(recursive=True)
    running = [process for process in descendants if any("ipykernel" in part for part in process.cmdline())]
    victim = next(process for process in descendants if "spawn_main" in " ".join(process.cmdline()))
    victim.send_signal(signal.SIGKILL)
    wait_for(lambda: len(records()) >= 3)
    client.send_signal(signal.SIGKILL)
    client.wait()
    before = records()
    assert len(before) < 5
    wait_for(lambda: not any(p.is_running() and p.status() != psutil.STATUS_ZOMBIE for p in running))

    again = jne_batch(file, "--scheduler", address)
    assert again.returncode == 0, again.stdout + again.stderr
    grid = read_grid(file)
    table = summary_table(grid, folder.parent)
    assert table["status"].tolist() == ["done"] * 5 and table["result.square"].tolist() == [n**2 for n in range(5)]
    assert before.items() <= records().items()
    # Beside the run of the worker that was killed, none was begun twice.
    begun = (alone / "started").read_text().split()
    assert set(begun) == set(map(str, range(5))) and len(begun) <= 6


@pytest.mark.slow
def test_two_local_workers_that_are_killed_lose_nothing(alone):
    cell = "import jne, pathlib, time\nplace = pathlib.Path(f'begun-{layer}')\nfirst = not place.exists()\n"
    cell += "place.open('a').write('x')\ntime.sleep(600 * first)\njne.record('square', seed**2)"
    write_notebook(alone / "a.ipynb", cell, parameters=PARAMETERS + "\nlayer = ''")
    file = write_grid(alone, {"notebooks": ["a.ipynb"], "grid": {"layer": ["layer1", "layer2"], "seed": [3]}})
    command = [sys.executable, "-m", "jne.cli", "batch", str(file), "--workers", "2"]
    client = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 60
        while len(list(alone.glob("begun-*"))) < 2:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        children = psutil.Process(client.pid).children(recursive=True)
        kernels = [child for child in children if any("ipykernel" in part for part in child.cmdline())]
        for worker in {kernel.parent() for kernel in kernels}:
            worker.kill()
        assert len(kernels) == 2 and client.wait(60) == 0
    finally:
        client.terminate()
        client.wait(60)
    grid = read_grid(file)
    table = summary_table(grid, batch_folder(grid))
    assert table["status"].tolist() == ["done"] * 2 and table["result.square"].tolist() == [9, 9]
    # Each of the two was cut off once, and executed once to its end.
    assert [path.read_text() for path in alone.glob("begun-*")] == ["xx", "xx"]
    assert len(list((batch_folder(grid) / "runs").glob("*.json"))) == 2


def test_no_scheduler_at_the_address(alone, monkeypatch):
    write_notebook(alone / "a.ipynb", GOOD)
    monkeypatch.setattr("jne.batch.cluster.WAIT", 0.5)
    result = CliRunner().invoke(
        main, ["batch", str(write_grid(alone, {"notebooks": ["a.ipynb"]})), "--scheduler", "tcp://127.0.0.1:9"]
    )
    assert result.exit_code == 1 and "nothing answers at tcp://127.0.0.1:9" in result.output


def test_a_scheduler_takes_functions_of_its_own_client_alone():
    with connect(workers=1) as client:
        address = client.scheduler.address
        assert address.startswith("tls://127.0.0.1:") and client.submit(sum, [1, 2]).result() == 3
        workers = list(client.scheduler_info()["workers"])
        assert all(worker.startswith("tls://") for worker in workers)
        refused = []
        for stranger in (None, Security.temporary()):
            for place in (address, address.replace("tls", "tcp")):
                try:
                    with Client(place, security=stranger, timeout=5, set_as_default=False) as other:
                        other.submit(os.getpid).result(timeout=5)
                except (OSError, RuntimeError, TypeError, ValueError) as error:  # each way in has its own
                    refused.append(error)
        assert len(refused) == 4
        assert client.submit(sum, [2, 2]).result() == 4


def test_without_certificates_a_batch_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "cryptography", None)
    with pytest.raises(ModuleNotFoundError, match=r"other users of this machine could .* install"):
        with connect(workers=1):
            pass


def test_a_grid_of_too_many_runs_is_refused(alone, monkeypatch):
    monkeypatch.setenv("JNE_MAX_MEMORY", "100MB")
    write_notebook(alone / "a.ipynb", GOOD)
    file = write_grid(alone, {"notebooks": ["a.ipynb"], "grid": {"seed": list(range(3000)), "options": [{}, {}]}})
    with pytest.raises(ValueError, match=r"a grid of 6000 runs takes 300 MB .* JNE_MAX_MEMORY=1GB"):
        read_grid(file)
    names = {name: list(range(100)) for name in ("seed", "options.a", "options.b", "options.c", "options.d")}
    start = time.monotonic()
    with pytest.raises(ValueError, match="a grid of 10000000000 runs"):
        read_grid(write_grid(alone, {"notebooks": ["a.ipynb"], "grid": names}))
    assert time.monotonic() - start < 20
    assert len(read_grid(write_grid(alone, {"notebooks": ["a.ipynb"], "grid": {"seed": list(range(20))}})).runs) == 20


@pytest.mark.parametrize("name", ["..", ".", "...", ".hidden"])
def test_the_name_of_a_grid_leads_nowhere_else(alone, name):
    write_notebook(alone / "a.ipynb", GOOD)
    folder = batch_folder(read_grid(write_grid(alone, {"notebooks": ["a.ipynb"]}, name)))
    assert folder.resolve().parent == alone / "_build/batch" and not folder.name.startswith(".")


# A stand-in for SLURM's commands: a job is a process of this machine.
SBATCH = """#!{python}
import os, pathlib, subprocess, sys
script = pathlib.Path(sys.argv[-1]).read_text()
job = subprocess.Popen(["bash", "-c", script], stdout=open({log!r}, "a"), stderr=subprocess.STDOUT,
                       start_new_session=True)
pathlib.Path({log!r} + f".{{job.pid}}.sh").write_text(script)
print(f"Submitted batch job {{job.pid}}")
"""
SCANCEL = """#!{python}
import os, signal, sys
for job in sys.argv[1:]:
    try:
        os.killpg(int(job), signal.SIGTERM)
    except ProcessLookupError:
        pass
"""


@pytest.mark.slow
def test_slurm_jobs_carry_the_runs(alone, monkeypatch):
    pytest.importorskip("dask_jobqueue")
    commands = alone / "bin"
    commands.mkdir()
    for name, text in (("sbatch", SBATCH), ("scancel", SCANCEL), ("squeue", "#!/bin/sh\nexit 1\n")):
        (commands / name).write_text(text.format(python=sys.executable, log=str(alone / "job")))
        (commands / name).chmod(0o755)
    write_notebook(alone / "a.ipynb", GOOD)
    slurm = yaml.safe_load((ROOT / "examples/slurm.yml").read_text())
    slurm |= {"local_directory": str(alone / "dask"), "interface": "lo"}
    content = {"notebooks": ["a.ipynb"], "grid": {"seed": [1, 2]}, "slurm": "slurm.yml"}
    content["resources"] = {"threads": 2, "memory": "3GB", "gpu": 1}
    (alone / "slurm.yml").write_text(yaml.safe_dump(slurm))
    monkeypatch.setenv("PATH", f"{commands}:{os.environ['PATH']}")
    result = jne_batch(write_grid(alone, content), "--scheduler", "slurm", "--workers", 1)
    assert result.returncode == 0 and "2 done" in result.stdout, result.stdout + result.stderr
    scripts = [path.read_text() for path in alone.glob("job.*.sh")]
    # Certificates for this batch alone, which nobody else can read, and which are gone after it.
    files = re.findall(r"--tls-[a-z-]+ (\S+)", scripts[0])
    assert len(files) == 3 and all(Path(file).parent == batch_folder(read_grid(alone / "grid.yml")) for file in files)
    assert not any(Path(file).exists() for file in files)
    logs = batch_folder(read_grid(alone / "grid.yml")) / "logs"
    expected = (
        "-p normal",
        "--cpus-per-task=2",
        "--mem=4G",
        "-t 12:00:00",
        "--gres=gpu:1",
        "--nice=100",
        f"-o {logs}/",
    )
    assert scripts and all(f"#SBATCH {line}" in scripts[0] for line in expected), scripts


def test_a_folder_that_a_job_script_does_not_take_is_refused(alone):
    pytest.importorskip("dask_jobqueue")
    with pytest.raises(ValueError, match=r"has ' ', which a job's script does not take; give another --out"):
        with connect("slurm", folder=alone / "with a space"):
            pass


def test_without_slurm_commands_a_batch_says_what_it_needs(alone, monkeypatch):
    pytest.importorskip("dask_jobqueue")
    monkeypatch.setenv("PATH", str(alone))
    with pytest.raises(OSError, match=r"needs the command sbatch, .*login node"):
        with connect("slurm", slurm={"interface": "lo"}, folder=alone / "out"):
            pass


# Summary and figures


def grid_results():
    rows = [(s, layer, e) for e in ("relu", "gelu") for s in (1, 2, 3) for layer in ("early", "late")]
    table = pd.DataFrame(rows, columns=["subject", "layer", "options.activation"])
    table["share.V1"], table["share.V2"], table["r2"] = np.arange(12.0), np.arange(12.0) + 100, np.arange(12.0)
    return table


def test_small_multiples_show_every_value_once():
    figure = figure_grid(grid_results(), "share", ["options.activation", "subject", "layer"], "A title")
    axes = figure.axes[:6]
    assert axes[0].get_title() == "activation relu\nsubject 1" and axes[5].get_title() == "activation gelu\nsubject 3"
    shown = [ax.collections[0].get_array().reshape(2, 2) for ax in axes]
    np.testing.assert_array_equal(shown[0], [[0, 1], [100, 101]])
    np.testing.assert_array_equal(np.sort(np.ravel(shown)), np.sort([*range(12), *range(100, 112)]))
    assert {ax.collections[0].get_clim() for ax in axes} == {(0, 111)}
    assert [label.get_text() for label in axes[3].get_xticklabels()] == ["early", "late"]
    assert [label.get_text() for label in axes[0].get_yticklabels()] == ["V1", "V2"]
    assert figure.get_suptitle() == "A title" and figure.axes[6].get_ylabel() == "share"


def test_values_of_both_signs_are_centred_on_zero():
    table = grid_results()
    table[["share.V1", "share.V2"]] -= 50
    limits = figure_grid(table, "share", ["subject", "layer"], "A title").axes[0].collections[0].get_clim()
    assert limits == (-61, 61)


def test_scalars_one_dot_per_run():
    figure = figure_scalars(grid_results(), ["r2"], ["options.activation", "subject", "layer"], "A title")
    dots = np.concatenate([c.get_offsets() for c in figure.axes[0].collections if len(c.get_offsets())])
    assert sorted(dots[:, 1]) == list(range(12))
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert len(labels) == 6 and labels[0] == "subject 1, activation relu"


def test_parquet_is_the_table(alone):
    pytest.importorskip("pyarrow")
    write_notebook(alone / "a.ipynb", GOOD)
    grid = read_grid(write_grid(alone, {"notebooks": ["a.ipynb"], "grid": {"seed": [1, "two", None, [1, 2]]}}))
    (alone / "out").mkdir()
    table = summary_table(grid, alone / "out")
    assert [path.name for path in write_summary(table, alone / "out")] == ["summary.csv", "summary.parquet"]
    stored = pd.read_parquet(alone / "out/summary.parquet")
    seeds = stored["seed"].tolist()
    assert seeds[:2] == ["1", "two"] and pd.isna(seeds[2]) and seeds[3] == "[1, 2]"
    assert stored["status"].tolist() == ["missing"] * 4 and stored.index.tolist() == [run.id for run in grid.runs]


# Continuous integration


def test_workflows_are_valid_and_say_what_the_script_says():
    files = sorted((ROOT / ".github/workflows").glob("*.yml"))
    assert [file.stem for file in files] == ["newest", "publish", "tests"]
    check = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.github-workflows"]
    checked = subprocess.run([*check, *map(str, files)], capture_output=True, text=True)
    assert checked.returncode == 0, checked.stdout
    script = (ROOT / ".ci/run").read_text()
    assert [line.strip() for line in script.splitlines() if line.strip().startswith("make ")] == [
        "make test",
        "make types",
        "make batch GRID=quick",
        "make check-slurm",
        "make book PARAMS=quick",
        "make check-book",
    ]
    steps = {file.stem: yaml.safe_load(file.read_text())["jobs"] for file in files}
    for name, command in (("tests", ".ci/run"), ("newest", ".ci/run"), ("publish", "make book PARAMS=demo")):
        job = next(iter(steps[name].values()))
        commands = [step.get("run") for step in job["steps"]]
        assert command in commands, commands
        assert any(step.get("if") == "failure()" and "upload-artifact" in step.get("uses", "") for step in job["steps"])
