"""`jne info` and `jne validate`: what is in a dataset file, and what is wrong with it."""

from __future__ import annotations

import click

import jne
from jne.cli._main import main
from jne.cli._telling import say, say_json


@main.command()
@click.argument("file")
@click.option("--json", "as_json", is_flag=True, help="Print JSON for a program.")
def info(file, as_json):
    """Say what is in the dataset FILE: counts, layers, areas, noise ceiling, splits, licence, hash."""
    from jne.datasets import describe, describe_text

    data = jne.load_dataset(file)
    say_json(describe(data)) if as_json else say(describe_text(data))


@main.command()
@click.argument("file")
@click.option("--deep", is_flag=True, help="Compare FILE with its digest even if it is larger than 1 GB.")
def validate(file, deep):
    """List everything in FILE that breaks the dataset format; exit status 1 if anything does. Of a valid one, say
    what figures will be empty, as no areas or levels of theirs are known.

    A file is compared with the digest of all that is in it whenever it is opened, up to 1 GB. FILE may be a features
    file (.h5), too.
    """
    from jne._core import HDF5_ENDINGS
    from jne.datasets import dataset_notes, open_content, structure_problems, value_problems
    from jne.features import read_feature_file

    if file.endswith(HDF5_ENDINGS):
        found = read_feature_file(file, deep=deep)
        say(f"{file} is a valid features file: {len(found.stimulus_id)} images, {', '.join(found.layers)}.")
        return
    with open_content(file, deep=deep) as content:
        problems = structure_problems(content) + value_problems(content)
        notes = [] if problems else dataset_notes(content)
    for problem in problems:
        say(f"- {problem}")
    if problems:
        raise click.ClickException(f"{file} breaks the format in {len(problems)} way{'s' * (len(problems) > 1)}")
    say(f"{file} is a valid dataset.")
    for note in notes:
        say(f"Note: {note}.")
