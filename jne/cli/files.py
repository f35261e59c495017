"""`jne info` and `jne validate`: what is in a dataset file, and what is wrong with it."""

from __future__ import annotations

import json

import click

import jne
from jne.cli._main import main


@main.command()
@click.argument("file")
@click.option("--json", "as_json", is_flag=True, help="Print JSON for a program.")
def info(file, as_json):
    """Say what is in the dataset FILE: counts, layers, areas, noise ceiling, splits, licence, hash."""
    from jne.datasets import describe, describe_text

    data = jne.load_dataset(file)
    click.echo(json.dumps(describe(data), indent=2) if as_json else describe_text(data))


@main.command()
@click.argument("file")
def validate(file):
    """List everything in FILE that breaks the dataset format; exit status 1 if anything does."""
    from jne.datasets import open_content, structure_problems, value_problems

    with open_content(file) as content:
        problems = structure_problems(content) + value_problems(content)
    for problem in problems:
        click.echo(f"- {problem}")
    if problems:
        raise click.ClickException(f"{file} breaks the format in {len(problems)} way{'s' * (len(problems) > 1)}")
    click.echo(f"{file} is a valid dataset.")
