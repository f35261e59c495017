"""The paper's claims over many runs: the verdicts that notebooks of a batch recorded, counted by what was varied."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from jne._core import read_table, reading
from jne.study.claims import CLAIMS, VERDICTS
from jne.study.claims.verdicts import DOES_NOT, HOLDS, ONLY_IF, UNTESTED, sentence
from jne.study.replicate import ABOUT

VERDICT, VALUE = "claim", "claim value"
"""Names under which a run records each claim's verdict and number (`jne.record`)."""
_NEEDED = "Give the summary.csv of a batch whose notebooks recorded verdicts (Hierarchy with claims: true)"
_OF_RUNS = ["id", "notebook", "status", "seconds", "peak_memory", "error", "cell", "executed"]


def recorded_claims(verdicts: Sequence[dict]) -> dict[str, dict[str, Any]]:
    """What a notebook records (`jne.record`) so that `claims_of_runs` can count it.

    Parameters
    ----------
    verdicts : sequence of dict
        Of `judge_studies`.

    Returns
    -------
    dict
        Name of a record -> id of a claim -> its verdict, or its number where there is one.
    """
    numbers = {verdict["id"]: verdict["value"] for verdict in verdicts if verdict["value"] is not None}
    return {VERDICT: {verdict["id"]: verdict["verdict"] for verdict in verdicts}, VALUE: numbers}


def read_runs(path: str | Path) -> pd.DataFrame:
    """The ``summary.csv`` of a batch whose runs recorded verdicts, as text.

    Raises
    ------
    ValueError
        If it is no such table.
    """
    with reading(path, "runs", "the summary.csv of a batch", _NEEDED):
        table = read_table(path, "runs", dtype=str, keep_default_na=False)
        for name in set(table) & {_column(VALUE, claim) for claim in CLAIMS}:
            table[name] = pd.to_numeric(table[name].mask(table[name] == ""))
    if "status" not in table or not any(_column(VERDICT, name) in table for name in CLAIMS):
        raise ValueError(f"{path} has no verdicts of runs. {_NEEDED}")
    return table


def claims_of_runs(table: pd.DataFrame) -> list[dict]:
    """Judge each claim over the runs of a batch, every run one trial of it.

    A claim *holds* where it does in every run that can test it, whatever the subject, layer or seed; *does not hold*
    where no run shows it; else it *holds only if*: in which part of the runs, by each parameter that was varied.

    Parameters
    ----------
    table : pandas.DataFrame
        Of `read_runs`: one row a run.

    Returns
    -------
    list of dict
        As of `replicate`, ``value`` being the median over runs; further ``runs``, verdict -> number of runs, and
        ``shown``, parameter -> its value -> [runs that show the claim, runs that can test it]. ``first`` says how many
        runs have no verdict.

    Raises
    ------
    ValueError
        If some runs are of recordings and some of synthetic responses.
    """
    verdicts = pd.DataFrame({name: table.get(_column(VERDICT, name), "") for name in CLAIMS}, table.index)
    judged = verdicts.isin(VERDICTS).any(axis=1)
    without = f"{len(table) - judged.sum()} of {len(table)} runs are not done, or recorded no verdict."
    first = {} if judged.all() else {"first": [without]}
    table, verdicts = table[judged], verdicts[judged]
    synthetic = set(table.get("result.synthetic", pd.Series("false", table.index)).str.lower())
    if len(synthetic) > 1:
        raise ValueError("the runs are of recordings and of synthetic responses; give a table of either")
    parameters = [name for name in table if name not in _OF_RUNS and not name.startswith("result.")]
    varied = table[[name for name in parameters if table[name].nunique() > 1]]
    about = {"about": ABOUT[synthetic == {"true"}]}
    unknown = pd.Series(np.nan, table.index)
    values = {name: table.get(_column(VALUE, name), unknown) for name in CLAIMS}
    return [{**_claim(name, verdicts[name], values[name], varied), **about, **first} for name in CLAIMS]


def _column(recorded: str, claim: str) -> str:
    return f"result.{recorded}.{claim}"


def _claim(claim: str, verdicts: pd.Series, values: pd.Series, varied: pd.DataFrame) -> dict:
    runs = {word: int((verdicts == word).sum()) for word in VERDICTS}
    tested, shows = verdicts.isin([HOLDS, ONLY_IF, DOES_NOT]), verdicts.isin([HOLDS, ONLY_IF])
    shown = {
        name: {
            value: [int(shows[rows].sum()), int(tested[rows].sum())]
            for value, rows in varied.groupby(name, sort=False).groups.items()
        }
        for name in varied
    }
    values = values[tested].dropna()
    n_tested, n_shown = int(tested.sum()), int(shows.sum())
    verdict, words = UNTESTED, f"in none of {len(verdicts)} runs"
    if n_tested:
        verdict = HOLDS if runs[HOLDS] == n_tested else ONLY_IF if n_shown else DOES_NOT
        words = f"shown in {n_shown} of {n_tested} runs that can test it"
    if len(values):
        words += f"; value {values.median():.2f} ({values.min():.2f} to {values.max():.2f})"
    if runs[ONLY_IF]:
        words += f"; in {runs[ONLY_IF]} of them only if something is left out"
    if 0 < n_shown < n_tested:
        words += "".join(f". By {name}: {_listed(counts)}" for name, counts in shown.items())
    found = {"id": claim, "claim": CLAIMS[claim], "verdict": verdict, "reason": sentence(words)}
    return found | {"value": float(values.median()) if len(values) else None, "runs": runs, "shown": shown}


def _listed(counts: dict[str, list[int]]) -> str:
    return ", ".join(f"{value or 'default'} ({n} of {n_tested})" for value, (n, n_tested) in counts.items() if n_tested)
