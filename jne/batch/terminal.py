"""What `jne batch` does and shows: the runs, live progress, and the table at the end."""

from __future__ import annotations

import time
from collections import Counter
from contextlib import nullcontext

import pandas as pd
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from jne._core import printable
from jne.batch.cluster import at_a_time, dashboard
from jne.batch.estimate import estimate
from jne.batch.grid import Grid, Run, read_grid
from jne.batch.run import STATES
from jne.batch.submit import batch_folder, pending_runs, run_batch
from jne.batch.summary import summary_table, write_summary

_MOST_ROWS = 60
_ALONE = 60


def batch_command(
    grid_file: str,
    workers: int | None = None,
    scheduler: str = "local",
    out: str | None = None,
    retry_failed: bool = False,
    dry_run: bool = False,
    book: bool = False,
    first: int | None = None,
) -> int:
    """The command `jne batch`; returns its exit status."""
    console = Console(highlight=False, soft_wrap=True)
    grid = read_grid(grid_file)
    folder = batch_folder(grid, out)
    runs = pending_runs(grid, folder, retry_failed, first)
    console.print(f"{len(grid.runs)} runs, {len(runs)} to do; results in {folder}", markup=False)
    if dry_run:
        for run in runs:
            console.print(f"  {run.id}  {printable(run.label)}", markup=False)
        if runs:
            console.print(estimate(summary_table(grid, folder), runs, at_a_time(scheduler, workers, grid.resources)))
        return 0
    try:
        with _Follow(console, runs) as follow:
            run_batch(
                grid,
                folder,
                runs,
                scheduler=scheduler,
                workers=workers,
                connected=lambda client: console.print(dashboard(client), markup=False),
                ended=follow.ended,
                waiting=follow.waiting,
            )
    except KeyboardInterrupt:
        console.print("Stopped. Runs that have ended are kept; the same command goes on.")
        raise
    finally:
        table = summary_table(grid, folder)
        files = write_summary(table, folder) if (folder / "runs").is_dir() else []
    asked = table[table["status"] != "missing"] if first else table
    console.print(_table(asked, grid))
    counts = Counter(table["status"])
    console.print(", ".join(f"{counts[status]} {status}" for status in STATES if counts[status]))
    console.print("Summary: " + ", ".join(map(str, files)), markup=False)
    if len(files) == 1:
        console.print("For summary.parquet: python -m pip install pyarrow")
    if book:
        from jne.batch.pages import build_pages

        console.print(f"Pages: {build_pages(grid, folder, table)}", markup=False)
    for label in (
        printable(run.label) for run in grid.runs if run.id in asked.index and table["status"][run.id] != "done"
    ):
        console.print(f"not done: {label}", markup=False)
    return int(set(asked["status"]) != {"done"})


class _Follow:
    """Progress: a live line in a terminal, one line per run elsewhere."""

    def __init__(self, console: Console, runs: list[Run]):
        self.console, self.total, self.counts = console, len(runs), Counter()
        self.progress, self.alone_since = None, time.monotonic()
        if console.is_terminal and runs:
            columns = [TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()]
            self.progress = Progress(*columns, TextColumn("left"), TimeRemainingColumn(), console=console)
            self.task = self.progress.add_task("starting", total=self.total)

    def __enter__(self) -> _Follow:
        (self.progress or nullcontext()).__enter__()
        return self

    def __exit__(self, *error) -> None:
        if self.progress:
            self.progress.__exit__(*error)

    def ended(self, run: Run, record: dict) -> None:
        good = record["status"] == "done"
        self.counts["done" if good else "failed"] += 1
        if self.progress:
            self.progress.advance(self.task)
        if not self.progress or not good:
            took = "" if record.get("seconds") is None else f" {record['seconds']:.1f} s"
            reason = "" if good else f": {printable(record['error']['reason'].splitlines()[0])}"
            place = f"[{sum(self.counts.values())}/{self.total}]"
            self.console.print(f"{place} {record['status']}{took}  {printable(run.label)}{reason}", markup=False)

    def waiting(self, executing: int, workers: int) -> None:
        if workers:
            self.alone_since = time.monotonic()
        elif time.monotonic() - self.alone_since > _ALONE:
            self.alone_since = float("inf")
            self.console.print(
                "There is no worker: jobs may still wait in a queue; if they ended at once, their logs say why "
                "(with SLURM in the folder logs of the results)."
            )
        if self.progress:
            text = f"{self.counts['done']} done, {executing} running, {self.counts['failed']} failed"
            self.progress.update(self.task, description=text)


def _table(table: pd.DataFrame, grid: Grid) -> Table:
    varied = list(dict.fromkeys(name for run in grid.runs for name in run.varied))
    shown = Table("notebook", *(name.split(".")[-1] for name in varied), "status", "seconds", "peak memory", "why")
    runs = {run.id: run for run in grid.runs}
    rows = table
    if len(table) > _MOST_ROWS:
        rows = table[table["status"] != "done"]
        shown.caption = f"{len(table) - len(rows)} runs that are done are not shown"
    for identity, row in rows.iterrows():
        cells = [row["notebook"], *(str(runs[identity].varied.get(name, "")) for name in varied)]
        status = Text(row["status"], style="" if row["status"] == "done" else "bold red")
        measured = ["", ""]
        if not pd.isna(row["seconds"]):
            measured = [f"{row['seconds']:.1f}", f"{row['peak_memory'] / 1e6:.0f} MB"]
        why = "" if pd.isna(row["error"]) else printable(row["error"].splitlines()[0])
        # As text: brackets in a value or an error are no markup.
        shown.add_row(*(Text(printable(cell)) for cell in cells), status, *measured, Text(why))
    return shown
