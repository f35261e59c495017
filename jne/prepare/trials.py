"""The table of a study's maps: which stimulus each one is a response to; repeats of a stimulus are averaged."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd

from jne._core import RefusedError, composed, listed, plain_file, read_table
from jne.datasets import SPLITS
from jne.prepare.table_columns import CATCH, named_columns, unused_columns
from jne.prepare.trial_lists import is_list, read_list

COLUMNS = ("id", "split", "category", "repeat", "session", "run")


@dataclass(frozen=True)
class Trials:
    """One row per map of a stimulus.

    Attributes
    ----------
    path : Path
    table : pandas.DataFrame
        Text: ``id``, and where the file has them ``split``, ``category``, ``repeat``, ``session``, ``run`` and columns
        of file names.
    ids : array of str ``(n_stimuli,)``
        Different ids, in the order of their first row.
    row : array of int ``(n_maps,)``
        Place in ``ids`` of each map's stimulus.
    shown : array of bool ``(n_rows,)``
        Which rows of the file these are; the others are catch trials, without id or with the split none.
    """

    path: Path
    table: pd.DataFrame
    ids: np.ndarray
    row: np.ndarray
    shown: np.ndarray

    @classmethod
    def of(cls, path: Path, table: pd.DataFrame) -> Trials:
        """Of a table with all rows, those that show a stimulus."""
        shown = (table["id"].str.strip() != "").to_numpy()
        if "split" in table:
            shown = shown & (table["split"] != CATCH).to_numpy()
        table = table[shown].reset_index(drop=True)
        for column in {"id", "category"} & set(table):
            table[column] = table[column].map(composed)
        row, ids = pd.factorize(table["id"])
        return cls(path, table, np.asarray(ids, str), row, shown)

    def files(self, column: str) -> list[Path]:
        """The files that a column names, relative to the table's folder."""
        if column not in self.table:
            raise ValueError(
                f"stimuli: {self.path} has no column {column}, which would name the file of each row's map; add it, or "
                f"give the files as an option. It has {', '.join(self.table)}"
            )
        return [_on_disk(self.path.parent / name) for name in self.table[column]]

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

    def repeats(self, maps: np.ndarray, stimuli: np.ndarray) -> np.ndarray:
        """The single maps of some stimuli, ``(n_chosen, n_repeats, n_voxels)``; NaN where one was shown less often."""
        rank, chosen = self._rank, np.full(len(self.ids), -1)
        chosen[stimuli] = np.arange(len(stimuli))
        place = chosen[self.row]
        n_repeats = int(rank[place >= 0].max(initial=0)) + 1
        single = np.full((len(stimuli), n_repeats, maps.shape[1]), np.nan, np.float32)
        single[place[place >= 0], rank[place >= 0]] = maps[place >= 0]
        return single

    @cached_property
    def _rank(self) -> np.ndarray:
        """Which repeat of its stimulus each map is, from 0."""
        frame = pd.DataFrame({"row": self.row})
        frame["repeat"] = self.table["repeat"].astype(int) if "repeat" in self.table else np.arange(len(frame))
        return frame.groupby("row")["repeat"].rank(method="first").to_numpy(int) - 1


def _on_disk(path: Path) -> Path:
    """The file of this name, which a disk may have in the other form of the same letters."""
    if path.exists() or str(path).isascii():
        return path
    others = (path.parent / unicodedata.normalize(form, path.name) for form in ("NFC", "NFD"))
    return next((other for other in others if other.exists()), path)


def read_trials(
    path: str | Path,
    columns: Mapping[str, str | None] | None = None,
    *,
    files: Sequence[str] = (),
    report: Callable[[str], object] = lambda line: None,
) -> Trials:
    """Read a table of maps.

    Parameters
    ----------
    path : path
        CSV, or TSV where it ends in .tsv, with a row per map in the order of the maps. Columns: ``id`` (needed),
        ``split`` (train, validation, test), ``category``, ``repeat`` (a number, different within an id), ``session``
        and ``run``. A row without id, or of split none, is a catch trial, whose map is left out. Or a plain list of
        names, see `jne.prepare.trial_lists.read_list`.
    columns : mapping, optional
        Names of the columns that say ``id``, ``split`` or ``run``, where they are others.
    files : sequence of str
        Columns of file names that are used.
    report : callable
        Told which columns are not used.

    Raises
    ------
    ValueError
        If the column ``id`` is missing or empty, if a stimulus is in two splits or categories, or if a repeat comes
        twice.
    """
    path = Path(path)
    if not plain_file(path, "stimuli").is_file():
        raise ValueError(f"stimuli: there is no file {path}")
    if is_list(path):
        if named := [f"{said}_column" for said, name in (columns or {}).items() if name is not None]:
            raise ValueError(f"{', '.join(named)}: {path} is a list of pictures, without columns; give a table")
        return Trials.of(path, read_list(path))
    try:
        table = read_table(
            path, "stimuli", sep="\t" if path.suffix == ".tsv" else ",", dtype=str, keep_default_na=False
        )
    except RefusedError:
        raise
    except ValueError as error:  # pandas' own errors are ValueErrors
        raise ValueError(f"stimuli: {path} cannot be read as a table ({error})") from error
    table = named_columns(table, columns or {}, path)
    if "id" not in table:
        raise ValueError(
            f"stimuli: {path} has no column id; it has {', '.join(map(str, table))}. Columns: {', '.join(COLUMNS)}; "
            "--id-column names that of the stimulus"
        )
    for line in unused_columns(table, (*COLUMNS, *files), path):
        report(line)
    trials = Trials.of(path, table)
    if not len(trials.ids):
        raise ValueError(
            f"stimuli: {path} has {len(table)} rows, and none of them is a stimulus: without id, or with the split "
            f"{CATCH}, they are catch trials"
        )
    _check(trials)
    return trials


def _check(trials: Trials) -> None:
    path, table, ids, row = trials.path, trials.table, trials.ids, trials.row
    for column in ("split", "category"):
        if column in table and (table.groupby(row)[column].nunique() > 1).any():
            several = ids[(table.groupby(row)[column].nunique() > 1).to_numpy()]
            raise ValueError(f"stimuli: {len(several)} ids of {path} have more than one {column} ({listed(several)})")
    if "split" in table and (unknown := sorted(set(table["split"]) - set(SPLITS))):
        raise ValueError(
            f"stimuli: split of {path} has {listed(unknown)!r}; accepted are {', '.join(SPLITS)}, and {CATCH} for "
            "catch trials"
        )
    if "repeat" in table:
        _check_repeats(table, path)


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


def check_count(trials: Trials, n_maps: int, what: str) -> np.ndarray:
    """Which of the maps belong to a stimulus, ``(n_maps,)``: all of them, or all but those of catch trials.

    Raises
    ------
    ValueError
        If there are neither as many maps as rows nor as many as rows that show a stimulus.
    """
    if n_maps == len(trials.shown):
        return trials.shown
    if n_maps == len(trials.table):
        return np.ones(n_maps, bool)
    catch = len(trials.shown) - len(trials.table)
    without = f" ({len(trials.table)} without the {catch} catch trials)" if catch else ""
    raise ValueError(f"stimuli: {trials.path} has {len(trials.shown)} rows{without}, and there are {n_maps} {what}")


def check_files(files: Sequence[Path], what: str) -> None:
    if missing := [str(file) for file in files if not file.is_file()]:
        raise ValueError(f"{what}: {len(missing)} of {len(files)} files are not there ({listed(missing)})")
