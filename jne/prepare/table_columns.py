"""Columns of a table of trials: which one says what, and those that are not used, by name."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path

import pandas as pd

from jne._core import listed
from jne.datasets import SPLITS

CATCH = "none"
"""The split of what is no stimulus of the study, such as a catch trial."""


def named_columns(table: pd.DataFrame, columns: Mapping[str, str | None], path: Path) -> pd.DataFrame:
    """The table with its columns called by what they say; a column that had such a name is then called by its file's.

    Parameters
    ----------
    table : pandas.DataFrame
    columns : mapping
        What a column says (id, split, run) -> its name in the file; None where that is the same.
    path : Path
        What errors name.

    Raises
    ------
    ValueError
        If there is no such column, or one is to say two things.
    """
    columns = {said: name for said, name in columns.items() if name is not None and name != said}
    for said, name in columns.items():
        if name not in table:
            raise ValueError(
                f"{said}_column: {path} has no column {name!r}; it has {', '.join(map(str, table))}. Give one of these "
                f"as --{said}-column"
            )
        if list(columns.values()).count(name) > 1:
            raise ValueError(
                f"{said}_column: the column {name!r} of {path} is to say several things; give one for each"
            )
    taken = {name: said for said, name in columns.items()}
    aside = {said: f"{said} (not used)" for said in columns if said in table and said not in taken}
    return table.rename(columns={**aside, **taken})


def unused_columns(table: pd.DataFrame, used: Collection[str], path: Path) -> list[str]:
    """Sentences that name what is not used of a table, and what it would be used as; none where all is used."""
    unused = [str(name) for name in table if name not in used]
    said = []
    if "split" not in table:
        like = [name for name in unused if set(table[name]) <= {*SPLITS, CATCH, ""} and table[name].nunique() > 1]
        hint = f"; --split-column {like[0]} takes that of the table" if like else ""
        said.append(f"No column split: which stimuli are tested is drawn by the seed{hint}.")
    if unused:
        said.append(
            f"Columns of {path.name} that are not used: {listed(unused)}. --id-column, --split-column and --run-column "
            "say what a column of another name is."
        )
    return said
