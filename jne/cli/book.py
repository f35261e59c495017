"""`jne book`."""

from __future__ import annotations

import click

from jne.cli._main import main


@main.command()
@click.option("--params", default="demo", help="Parameter set: quick, demo, paper, or a YAML file of your own.")
@click.option("--data", metavar="FILE.nc", help="Dataset for all chapters.  [default: synthetic responses]")
@click.option("--out", metavar="DIR", help="Folder of the HTML.  [default: _build/html, _build/<dataset>/html]")
@click.option("--only", metavar="CHAPTER", multiple=True, help="Run this chapter only; may be given several times.")
def book(params, data, out, only):
    """Run the chapters and build the book, in a clone of the repository."""
    from jne.book import BookError, build_book

    try:
        build_book(params, data, out, only=only, report=click.echo)
    except BookError as error:
        raise click.ClickException(str(error)) from error
