"""`jne book`."""

from __future__ import annotations

import click

from jne.cli._main import main
from jne.cli._telling import say


@main.command()
@click.option("--params", default="demo", help="Parameter set: quick, demo, paper, or a YAML file of your own.")
@click.option("--data", metavar="FILE.nc", help="Dataset for all chapters.  [default: synthetic responses]")
@click.option("--out", metavar="DIR", help="Folder of the HTML.  [default: _build/html, _build/<dataset>/html]")
@click.option("--only", metavar="CHAPTER", multiple=True, help="Run this chapter only; may be given several times.")
@click.option("--jobs", type=click.IntRange(1), help="Chapters at a time.  [default: one per core, 1 with a GPU]")
@click.option("--rerun", is_flag=True, help="Run even chapters that an earlier build ran from the same things.")
def book(params, data, out, only, jobs, rerun):
    """Run the chapters and build the book, in a clone of the repository."""
    from rich.console import Console

    from jne.book import BookError, build_book

    console = Console(stderr=True)
    report = console.out if console.is_terminal else say
    try:
        build_book(params, data, out, only=only, jobs=jobs, rerun=rerun, report=report, console=console)
    except BookError as error:
        raise click.ClickException(str(error)) from error
