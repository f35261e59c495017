"""What was shown in which trial of THINGS-fMRI, and the concept of each picture."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from jne._core import listed
from jne.prepare.nsd.categories import NO_CATEGORY
from jne.prepare.table_columns import CATCH
from jne.prepare.things.layout import read_comma_or_tab
from jne.prepare.trials import Trials

_COLUMNS = ("trial_type", "session", "run", "subject_id", "trial_id", "stimulus")
_SHOWN = ("train", "test")


@dataclass(frozen=True)
class Shown:
    """Trials in which a picture was shown.

    Attributes
    ----------
    trials : Trials
        ``id`` (the picture's name without ending), ``split`` (train or test) and ``category`` of each.
    column : array of int ``(n_trials,)``
        Place of each trial among the responses, from 0.
    session, run : arrays of int ``(n_trials,)``
    n_columns : int
        Trials that the responses have, catch trials among them.
    """

    trials: Trials
    column: np.ndarray
    session: np.ndarray
    run: np.ndarray
    n_columns: int


def read_stimuli(path: Path, subject: int, categories: str | Path | None = None) -> Shown:
    """Read the table of trials.

    Parameters
    ----------
    path : Path
        Columns ``trial_type`` (train or test; what is neither, or has no stimulus, is left out, as catch trials are),
        ``session``, ``run``, ``subject_id``, ``trial_id`` (the column of the responses), ``stimulus`` and, from version
        2 on, ``concept``.
    subject : int
    categories : path, optional
        CSV with the columns ``concept`` and ``category``; without it the concept is the category.

    Raises
    ------
    ValueError
        If the table lacks a column, is of another subject, or its trials are not 0, 1, 2, ... each once.
    """
    table = read_comma_or_tab(path, "stimuli", keep_default_na=False, dtype=str)
    if missing := [name for name in _COLUMNS if name not in table]:
        raise ValueError(f"stimuli: {path} has no column {', '.join(missing)}; it has {', '.join(table)}")
    whole = table[["session", "run", "subject_id", "trial_id"]].apply(pd.to_numeric, errors="coerce")
    if table.empty or (bad := whole.isna().any(axis=1)).any():
        where = "no row" if table.empty else f"no whole numbers in row {int(np.argmax(bad)) + 2}"
        raise ValueError(f"stimuli: {path} has {where}; needed: session, run, subject_id and trial_id of each trial")
    whole = whole.astype(int)
    if (other := whole["subject_id"] != subject).any():
        raise ValueError(
            f"stimuli: {path} holds trials of subject {whole['subject_id'][other].iloc[0]}; needed: subject {subject}"
        )
    if not np.array_equal(np.sort(whole["trial_id"]), np.arange(len(whole))):
        raise ValueError(
            f"stimuli: trial_id of {path} are not the numbers from 0 to {len(whole) - 1}, each once; they say which "
            "column of the responses each trial is"
        )
    kind = table["trial_type"].str.strip().str.lower()
    name = table["stimulus"].str.strip().map(lambda name: Path(name).stem)
    concept = table["concept"] if "concept" in table else name.map(concept_of)
    if categories is not None:
        concept = _categories(Path(categories), concept)
    split = kind.where(kind.isin(_SHOWN), CATCH)
    trials = Trials.of(path, pd.DataFrame({"id": name, "split": split, "category": concept}))
    if not len(trials.ids):
        raise ValueError(f"stimuli: trial_type of {path} is {listed(sorted(set(kind)))!r}; needed: train and test")
    for column in ("split", "category"):
        if (several := trials.table.groupby(trials.row)[column].nunique() > 1).any():
            raise ValueError(
                f"stimuli: {int(several.sum())} stimuli of {path} have more than one {column} "
                f"({listed(trials.ids[several.to_numpy()].tolist())})"
            )
    of_trials = (whole[column][trials.shown].to_numpy() for column in ("trial_id", "session", "run"))
    return Shown(trials, *of_trials, len(table))


def concept_of(name: str) -> str:
    """``camera1`` of ``camera1_12s``, as version 1 of the study has no column for it."""
    return re.sub(r"_\d+[a-z]*$", "", name)


def _categories(path: Path, concept: pd.Series) -> pd.Series:
    table = read_comma_or_tab(path, "categories", keep_default_na=False, dtype=str)
    if missing := [name for name in ("concept", "category") if name not in table]:
        raise ValueError(f"categories: {path} has no column {missing[0]}; needed: concept and category")
    if (twice := table["concept"].duplicated()).any():
        raise ValueError(
            f"categories: {path} has {int(twice.sum())} concepts more than once (first: "
            f"{table['concept'][twice].iloc[0]!r})"
        )
    found = concept.map(table.set_index("concept")["category"].replace("", np.nan))
    if found.isna().all():
        raise ValueError(f"categories: {path} has none of the {concept.nunique()} concepts, such as {concept.iloc[0]}")
    return found.fillna(NO_CATEGORY)
