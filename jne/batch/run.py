"""One run: papermill on one notebook, watched, its outcome kept in a record beside the executed notebook."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import nbformat
from filelock import FileLock

from jne._core import (
    DamagedError,
    DiskFullError,
    code_hash,
    is_full,
    read_sealed_json,
    reading,
    set_aside,
    sha256,
    thread_environment,
    write_sealed_json,
)
from jne.batch.grid import Run
from jne.batch.resources import Resources
from jne.batch.watch import Watch
from jne.book import BookError, execute_notebook, read_notebook, read_records

STATES = ("done", "failed", "timeout", "memory", "killed", "missing")


def read_record(folder: Path, run: Run) -> dict | None:
    """The record of a run that has ended, None where there is none.

    One that is damaged is named in a warning and set aside, so that the run is done again.

    Raises
    ------
    ValueError
        If the file is no plain file, or too large.
    """
    path = folder / f"{run.name}.json"
    try:
        record = read_sealed_json(path, "record of a run")
        with reading(path, "record of a run", "a record"):
            _check_record(record)
    except FileNotFoundError:
        return None
    except DamagedError as error:
        set_aside(path, error)
        return None
    return record


def _check_record(record: dict) -> None:
    if record["status"] not in STATES:
        raise ValueError(f"status {record['status']!r}; known are {', '.join(STATES)}")
    for name in ("seconds", "peak_memory"):
        if not isinstance(record.get(name, 0), int | float):
            raise ValueError(f"{name} {record[name]!r} is no number")
    for name in ("parameters", "results", "error"):
        if not isinstance(record.get(name, {}), dict):
            raise ValueError(f"{name} {record[name]!r} is no mapping")
    if not isinstance(record.get("error", {}).get("reason", ""), str):
        raise ValueError(f"reason {record['error']['reason']!r} is no text")
    for name, value in record.get("results", {}).items():
        if not isinstance(value, bool | int | float | str | None):
            raise ValueError(f"result {name!r} is a {type(value).__name__}")


def write_record(folder: Path, run: Run, status: str, **facts) -> dict:
    """Keep how a run ended; written last and in one step, so that it stands for a complete run."""
    content = {"id": run.id, "notebook": run.notebook.name, "label": run.label, "parameters": run.parameters}
    content |= {"varied": run.varied, "status": status, "host": platform.node(), "ended": datetime.now(UTC).isoformat()}
    # The order of recorded results, such as areas, means something.
    write_sealed_json(content | facts, folder / f"{run.name}.json")
    return content | facts


def execute_run(
    run: Run, folder: Path, root: Path, resources: Resources, environment: Mapping[str, str], code: str
) -> dict:
    """Execute a run and return its record; this is what a worker does.

    A run that is done is not executed again, whoever asks and however often: another attempt at the same run (of a
    client that was killed, say) waits for the first to end, and finds its record.

    Parameters
    ----------
    run : Run
    folder : Path
        Of the executed notebooks and the records; the same for all workers.
    root : Path
        The folder that the notebook runs in.
    resources : Resources
    environment : mapping
        Variables for the notebook's process.
    code : str
        Hash of the client's `jne`.

    Returns
    -------
    dict
        The record. Its ``status`` is ``done``, ``failed``, ``timeout`` or ``memory``.

    Raises
    ------
    ValueError
        If the worker runs another version of `jne` than the client.
    """
    if code != code_hash():
        raise ValueError(f"the worker on {platform.node()} runs another version of jne than the client; restart it")
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / f".{run.name}.lock"):
        record = read_record(folder, run)
        if record and record["status"] == "done":
            return record
        return _execute(run, folder, root, resources, environment)


def _execute(run: Run, folder: Path, root: Path, resources: Resources, environment: Mapping[str, str]) -> dict:
    working, executed = folder / f".{run.name}.ipynb", folder / f"{run.name}.ipynb"
    status, error, log = "done", {}, folder / f"{run.name}.log"
    for path in (working, log):  # of an earlier attempt, or a link to another file
        path.unlink(missing_ok=True)
    with _no_part(working, executed), Watch(resources) as watch, log.open("x") as printed:
        try:
            threads = thread_environment(resources.threads)
            gpu = {"CUDA_VISIBLE_DEVICES": ""} if resources.gpu == 0 else {}
            environment = {**threads, **gpu, **environment}
            options = {"environment": environment, "started": watch.started, "log": printed}
            execute_notebook(run.notebook, working, run.parameters, root=root, **options)
        except BookError as stopped:
            status = watch.reason or "failed"
            error = {"cell": stopped.cell, "reason": watch.explanation or stopped.reason}
            _mark(working, status, error["reason"])
    results = read_records(working)
    os.replace(working, executed)
    if status == "done" or not log.stat().st_size:
        log.unlink()
    facts = {"seconds": round(watch.seconds, 3), "peak_memory": watch.peak, "worker": os.getpid()}
    facts["notebook_sha256"] = sha256(executed)
    return write_record(folder, run, status, results=results, **facts, **({"error": error} if error else {}))


@contextmanager
def _no_part(working: Path, executed: Path) -> Iterator[None]:
    """Where the disk is full, nothing is left of the notebook."""
    try:
        yield
    except OSError as error:
        working.unlink(missing_ok=True)
        if is_full(error):
            raise DiskFullError(executed, 0) from error
        raise


def _mark(path: Path, status: str, reason: str) -> None:
    """Show in the notebook where a process that was killed stood; papermill marks only what the notebook raised."""
    notebook = read_notebook(path)
    if any(output.output_type == "error" for cell in notebook.cells for output in cell.get("outputs", ())):
        return
    started = [cell for cell in notebook.cells if cell.metadata.get("papermill", {}).get("start_time")]
    code = [cell for cell in started if cell.cell_type == "code"]
    if code:
        error = nbformat.v4.new_output("error", ename=status, evalue=reason, traceback=[f"{status}: {reason}"])
        code[-1].outputs.append(error)
        code[-1].metadata.papermill.update(exception=True, status="failed")
        nbformat.write(notebook, path)
