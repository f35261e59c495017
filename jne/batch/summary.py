"""All runs of a grid as one table: status, time, memory, parameters, and what the notebooks recorded."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pandas as pd

from jne._core import atomic_path
from jne.batch.grid import Grid
from jne.batch.run import read_record


def summary_table(grid: Grid, folder: Path) -> pd.DataFrame:
    """One row per run of the grid.

    Returns
    -------
    pandas.DataFrame
        Indexed by the run's id: ``notebook``, ``status`` (one of `STATES`), ``seconds``, ``peak_memory`` (bytes),
        ``error`` and the cell it came from, the executed notebook relative to ``folder``, then a column for each
        parameter (entries of mappings as ``mapping.entry``) and for each recorded result (``result.name``).
    """
    rows = []
    for run in grid.runs:
        record = read_record(folder / "runs", run) or {"status": "missing"}
        executed = Path("runs") / f"{run.name}.ipynb"
        error = record.get("error", {})
        row = {"id": run.id, "notebook": run.notebook.stem, "status": record["status"]}
        row |= {"seconds": record.get("seconds"), "peak_memory": record.get("peak_memory")}
        row |= {"error": error.get("reason"), "cell": error.get("cell")}
        row["executed"] = str(executed) if (folder / executed).is_file() else None
        row |= flatten(run.parameters)
        row |= {f"result.{name}": value for name, value in record.get("results", {}).items()}
        rows.append(row)
    return pd.DataFrame(rows).set_index("id")


def flatten(parameters: dict, prefix: str = "") -> dict:
    """Entries of mappings under names with dots; lists as text."""
    flat = {}
    for name, value in parameters.items():
        if isinstance(value, dict):
            flat |= flatten(value, f"{prefix}{name}.")
        else:
            flat[f"{prefix}{name}"] = str(value) if isinstance(value, list) else value
    return flat


def write_summary(table: pd.DataFrame, folder: Path) -> list[Path]:
    """Write ``summary.csv`` and, where pyarrow is installed, ``summary.parquet``; the files written."""
    written = [folder / "summary.csv"]
    with atomic_path(written[0]) as part:
        table.to_csv(part)
    if importlib.util.find_spec("pyarrow"):
        written.append(folder / "summary.parquet")
        # A column of mixed kinds, such as a layer that is a name or nothing at all, is text in a typed file.
        typed = table.apply(lambda column: column.infer_objects() if column.dtype == object else column)
        mixed = [name for name in typed if typed[name].dtype == object]
        typed[mixed] = typed[mixed].map(str, na_action="ignore")
        with atomic_path(written[1]) as part:
            typed.to_parquet(part, engine="pyarrow")
    return written
