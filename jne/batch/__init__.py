"""Many notebooks with many parameters: a grid file, expanded into runs, sent to a Dask cluster, summed up."""

import sys

try:
    import distributed  # noqa: F401
    import psutil  # noqa: F401
    import rich  # noqa: F401
except ModuleNotFoundError as missing:
    raise ModuleNotFoundError(
        f"a batch needs {missing.name}, which is not installed. In the repository's folder, run: "
        f"{sys.executable} -m pip install -e '.[batch]'"
    ) from missing

from jne.batch.grid import Grid, Run, read_grid
from jne.batch.resources import Resources
from jne.batch.submit import batch_folder, pending_runs, run_batch
from jne.batch.summary import summary_table, write_summary

__all__ = [
    "Grid",
    "Resources",
    "Run",
    "batch_folder",
    "pending_runs",
    "read_grid",
    "run_batch",
    "summary_table",
    "write_summary",
]
