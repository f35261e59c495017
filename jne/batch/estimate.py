"""How long the rest of a batch takes and how much memory, by those of its runs that are done."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from jne.batch.grid import Run


def estimate(table: pd.DataFrame, runs: Sequence[Run], workers: int) -> str:
    """A sentence on what ``runs`` will take.

    Each run is taken to need the median time of the runs of its notebook that are done, and what the largest of them
    needed of memory.

    Parameters
    ----------
    table : pandas.DataFrame
        As `summary_table` returns it.
    runs : sequence of Run
        Those to do.
    workers : int
        Runs at a time.
    """
    done = table[table["status"] == "done"]
    names = list(dict.fromkeys(run.notebook.stem for run in runs))
    done = done[done["notebook"].isin(names)]
    seconds = done.groupby("notebook")["seconds"].median()
    if unknown := [name for name in names if name not in seconds]:
        return (
            f"Time and memory are not known before a run of {', '.join(unknown)} is done. With --first 1, one of each "
            "notebook is."
        )
    workers = min(workers, len(runs))
    total, peak = sum(seconds[run.notebook.stem] for run in runs), done["peak_memory"].max()
    together = f", {_time(total / workers)} with {workers} workers" if workers > 1 else ""
    memory = f"{peak / 1e6:.0f} MB a run" + (f", {workers * peak / 1e9:.1f} GB together" if workers > 1 else "")
    by = f"{len(done)} run that is" if len(done) == 1 else f"{len(done)} runs that are"
    return f"About {_time(total)} of one worker{together}; {memory}. By the {by} done."


def _time(seconds: float) -> str:
    for unit, scale in (("h", 3600), ("min", 60)):
        if seconds >= 1.5 * scale:
            return f"{seconds / scale:.3g} {unit}"
    return f"{seconds:.0f} s"
