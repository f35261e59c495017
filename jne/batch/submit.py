"""Send the runs of a grid to a cluster, and follow them until the last has ended."""

from __future__ import annotations

import os
import queue
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path

from distributed import CancelledError, Client, Future
from distributed.comm import CommClosedError
from distributed.scheduler import KilledWorker

from jne._core import code_hash, folder_name, hash_parameters
from jne.batch.cluster import connect
from jne.batch.grid import Grid, Run
from jne.batch.run import execute_run, read_record, write_record
from jne.book import nameable


def batch_folder(grid: Grid, out: str | Path | None = None) -> Path:
    """Where a batch is kept: ``out``, by default ``_build/batch/<name of the grid file>`` in the grid's root."""
    return (
        nameable(Path(out).expanduser().absolute(), "out")
        if out
        else grid.root / "_build/batch" / folder_name(grid.name)
    )


def pending_runs(grid: Grid, folder: Path, retry_failed: bool = False, first: int | None = None) -> list[Run]:
    """The runs that are not done.

    With ``retry_failed`` those among them that were tried before; with ``first`` so many of each notebook.
    """
    records = {run.id: read_record(folder / "runs", run) for run in grid.runs}
    waiting = [run for run in grid.runs if (records[run.id] or {}).get("status") != "done"]
    waiting = [run for run in waiting if records[run.id]] if retry_failed else waiting
    places: Counter = Counter()
    chosen = []
    for run in waiting:
        places[run.notebook] += 1
        if first is None or places[run.notebook] <= first:
            chosen.append(run)
    return chosen


def run_batch(
    grid: Grid,
    folder: Path,
    runs: Iterable[Run],
    *,
    scheduler: str = "local",
    workers: int | None = None,
    connected: Callable[[Client], object] = lambda client: None,
    ended: Callable[[Run, dict], object] = lambda run, record: None,
    waiting: Callable[[int, int], object] = lambda executing, workers: None,
) -> None:
    """Execute ``runs`` and keep their records and executed notebooks in ``folder / "runs"``.

    A run that fails stops no other. A run whose worker dies is given to another worker by the scheduler, a few times
    (Dask's setting ``distributed.scheduler.allowed-failures``), and then recorded as ``killed``.

    Parameters
    ----------
    grid : Grid
    folder : Path
        On a cluster: at the same path on every machine.
    runs : iterable of Run
    scheduler, workers
        As in `connect`.
    connected : callable
        Called with the client, once.
    ended : callable
        Called with every run that has ended and its record.
    waiting : callable
        Called about once a second with the number of runs that are executed at the moment, and of workers.

    Raises
    ------
    ConnectionError
        If the scheduler is lost, or jobs of SLURM end before they begin; what has ended is kept.
    """
    runs = list(runs)
    if not runs:
        return
    environment = {"JNE_RESULTS": os.environ.get("JNE_RESULTS") or str(grid.root / "results")}
    arguments = (folder / "runs", grid.root, grid.resources, environment, code_hash())
    place = hash_parameters({"folder": folder})
    with connect(scheduler, workers, grid.resources, grid.slurm, folder) as client:
        connected(client)
        # Equal keys are one task: a client that comes back finds the runs that workers still execute.
        futures = {
            client.submit(execute_run, run, *arguments, key=f"{run.name}-{place}", pure=False, priority=-number): run
            for number, run in enumerate(runs)
        }
        over: queue.Queue[Future] = queue.Queue()
        for future in futures:
            future.add_done_callback(over.put)
        try:
            while futures:
                with suppress(queue.Empty):
                    future = over.get(timeout=1)
                    run = futures.pop(future)
                    ended(run, _outcome(future, run, folder / "runs"))
                    future.release()
                waiting(*_executing(client))
                if in_vain := getattr(client.cluster, "in_vain", ""):
                    raise ConnectionError(in_vain)
        except (CommClosedError, CancelledError) as error:
            raise ConnectionError(
                "the scheduler is gone. Runs that have ended are kept; give the same command again to go on"
            ) from error


def _executing(client: Client) -> tuple[int, int]:
    if client.status != "running":
        return 0, 0
    workers = client.scheduler_info(n_workers=-1)["workers"].values()
    counts = [worker.get("metrics", {}).get("task_counts", {}).get("executing", 0) for worker in workers]
    return sum(counts), len(counts)


def _outcome(future: Future, run: Run, folder: Path) -> dict:
    if future.status == "finished":
        return future.result()
    if future.status != "error":
        raise CommClosedError(future.status)
    error = future.exception()
    status = "killed" if isinstance(error, KilledWorker) else "failed"
    reason = f"{type(error).__name__}: {error}"
    if status == "killed":
        often = "too little memory, or a job's wall time shorter than the run"
        reason = f"its worker died each time it was tried: most often, {often}. {reason}"
    return write_record(folder, run, status, results={}, error={"cell": "", "reason": reason})
