"""Many notebooks with many parameters: a grid file, expanded into runs, sent to a Dask cluster, summed up."""

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
