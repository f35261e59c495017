"""`jne batch`."""

from __future__ import annotations

import click

from jne.cli._main import main


@main.command()
@click.argument("grid_file", metavar="GRID.yml")
@click.option("--workers", type=click.IntRange(1), metavar="N", help="Runs at a time.  [default: as many as fit]")
@click.option("--scheduler", default="local", help="local, slurm, or the address of a Dask scheduler: tcp://host:8786.")
@click.option("--out", metavar="DIR", help="Where results go.  [default: _build/batch/<name of the grid>]")
@click.option("--retry-failed", is_flag=True, help="Only what was tried and failed, not what is missing.")
@click.option("--first", type=click.IntRange(1), metavar="N", help="Only the first N runs to do of each notebook.")
@click.option("--dry-run", is_flag=True, help="Say what would run and how long, by what is done, and run nothing.")
@click.option("--book", is_flag=True, help="Also make pages: a summary, and every executed notebook.")
def batch(grid_file, workers, scheduler, out, retry_failed, first, dry_run, book):
    """Run many notebooks with many parameters, on this machine or a cluster.

    GRID.yml names notebooks and the values of their parameters; every combination is one run.

    \b
    Example of a GRID.yml:
      notebooks: [spatial_distribution, hierarchy]
      parameters_file: quick
      grid:
        subject: [1, 2, 3, 4]
        encoder_options.activation: [relu, gelu]
      resources: {threads: 1, memory: 4GB, timeout: 30min}

    A run that fails stops no other, and leaves its notebook with the cell that failed. The same command again does
    what is missing, changed or failed, so it also goes on after a stop. The exit status is 1 if any run is not done.
    """
    from jne.batch import batch_command
    from jne.book import BookError

    try:
        status = batch_command(grid_file, workers, scheduler, out, retry_failed, dry_run, book, first)
    except BookError as error:
        raise click.ClickException(str(error)) from error
    raise SystemExit(status)
