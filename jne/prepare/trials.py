"""The table of a study's maps: which stimulus each one is a response to; repeats of a stimulus are averaged."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from jne._core import RefusedError, listed, plain_file, read_table
from jne.datasets import SPLITS

COLUMNS = ("id", "split", "category", "repeat")


@dataclass(frozen=True)
class Trials:
    """One row per map.

    Attributes
    ----------
    path : Path
    table : pandas.DataFrame
        Text: ``id``, and where the file has them ``split``, ``category``, ``repeat`` and columns of file names.
    ids : array of str ``(n_stimuli,)``
        Different ids, in the order of their first row.
    row : array of int ``(n_maps,)``
        Place in ``ids`` of each map's stimulus.
    """

    path: Path
    table: pd.DataFrame
    ids: np.ndarray
    row: np.ndarray

    def files(self, column: str) -> list[Path]:
        """The files that a column names, relative to the table's folder."""
        if column not in self.table:
            raise ValueError(
                f"stimuli: {self.path} has no column {column}, which would name the file of each row's map; add it, or "
                f"give the files as an option. It has {', '.join(self.table)}"
            )
        return [self.path.parent / name for name in self.table[column]]

    def of_stimuli(self, column: str) -> np.ndarray | None:
        """A column's value of each stimulus ``(n_stimuli,)``, or None where there is no such column."""
        if column not in self.table:
            return None
        return self.table[column].to_numpy(str)[np.unique(self.row, return_index=True)[1]]

    def average(self, maps: np.ndarray) -> np.ndarray:
        """Mean over the repeats of each stimulus ``(n_stimuli, n_voxels)``, of maps ``(n_maps, n_voxels)``."""
        total = np.zeros((len(self.ids), maps.shape[1]), np.float64)
        for place, values in zip(self.row, maps, strict=True):
            total[place] += values
        return (total / np.bincount(self.row)[:, None]).astype(np.float32)

    def repeats(self, maps: np.ndarray, stimuli: np.ndarray) -> np.ndarray | None:
        """The single maps of some stimuli, ``(n_chosen, n_repeats, n_voxels)``; NaN where one was shown less often.

        None if none of them was shown twice.
        """
        rank = self._rank()
        chosen = np.full(len(self.ids), -1)
        chosen[stimuli] = np.arange(len(stimuli))
        place = chosen[self.row]
        n_repeats = int(rank[place >= 0].max(initial=0)) + 1
        if n_repeats == 1:
            return None
        single = np.full((len(stimuli), n_repeats, maps.shape[1]), np.nan, np.float32)
        single[place[place >= 0], rank[place >= 0]] = maps[place >= 0]
        return single

    def _rank(self) -> np.ndarray:
        """Which repeat of its stimulus each map is, from 0."""
        frame = pd.DataFrame({"row": self.row})
        frame["repeat"] = self.table["repeat"].astype(int) if "repeat" in self.table else np.arange(len(frame))
        return frame.groupby("row")["repeat"].rank(method="first").to_numpy(int) - 1


def read_trials(path: str | Path) -> Trials:
    """Read a table of maps.

    Parameters
    ----------
    path : path
        CSV, or TSV where it ends in .tsv, with a row per map in the order of the maps. Columns: ``id`` (needed),
        ``split`` (train, validation, test), ``category``, ``repeat`` (a number, different within an id).

    Raises
    ------
    ValueError
        If the column ``id`` is missing or has gaps, if a stimulus is in two splits or categories, or if a repeat comes
        twice.
    """
    path = Path(path)
    if not plain_file(path, "stimuli").is_file():
        raise ValueError(f"stimuli: there is no file {path}")
    try:
        table = read_table(
            path, "stimuli", sep="\t" if path.suffix == ".tsv" else ",", dtype=str, keep_default_na=False
        )
    except RefusedError:
        raise
    except (ValueError, UnicodeDecodeError) as error:  # pandas' own errors are ValueErrors
        raise ValueError(f"stimuli: {path} cannot be read as a table ({error})") from error
    if "id" not in table:
        raise ValueError(
            f"stimuli: {path} has no column id; it has {', '.join(map(str, table))}. Columns: {', '.join(COLUMNS)}"
        )
    if table.empty or (table["id"] == "").any():
        raise ValueError(f"stimuli: {path} has {len(table)} rows, {int((table['id'] == '').sum())} of them without id")
    row, ids = pd.factorize(table["id"])
    for column in ("split", "category"):
        if column in table and (table.groupby(row)[column].nunique() > 1).any():
            several = ids[(table.groupby(row)[column].nunique() > 1).to_numpy()]
            raise ValueError(f"stimuli: {len(several)} ids of {path} have more than one {column} ({listed(several)})")
    if "split" in table and (unknown := sorted(set(table["split"]) - set(SPLITS))):
        raise ValueError(f"stimuli: split of {path} has {listed(unknown)!r}; accepted are {', '.join(SPLITS)}")
    if "repeat" in table:
        _check_repeats(table, path)
    return Trials(path, table, np.asarray(ids, str), row)


def _check_repeats(table: pd.DataFrame, path: Path) -> None:
    whole = table["repeat"].str.fullmatch(r"\d+")
    if not whole.all():
        raise ValueError(
            f"stimuli: repeat of {path} has {listed(table['repeat'][~whole].unique())!r}; needed: whole numbers"
        )
    if (twice := table.duplicated(["id", "repeat"])).any():
        raise ValueError(
            f"stimuli: {int(twice.sum())} repeats of {path} come twice (first: id {table['id'][twice].iloc[0]}, repeat "
            f"{table['repeat'][twice].iloc[0]})"
        )


def check_count(trials: Trials, n_maps: int, what: str) -> None:
    if n_maps != len(trials.table):
        raise ValueError(f"stimuli: {trials.path} has {len(trials.table)} rows, and there are {n_maps} {what}")


def check_files(files: Sequence[Path], what: str) -> None:
    if missing := [str(file) for file in files if not file.is_file()]:
        raise ValueError(f"{what}: {len(missing)} of {len(files)} files are not there ({listed(missing)})")
