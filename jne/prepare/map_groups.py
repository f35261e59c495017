"""Runs and sessions within which maps are z-scored: from the table of trials, or from the names of files."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd

from jne.prepare.trials import Trials
from jne.prepare.zscores import zscore_groups


def map_groups(zscore: str, trials: Trials, named: pd.DataFrame, report: Callable[[str], object]) -> np.ndarray | None:
    """The group of each map, ``(n_maps,)``, from 0; None where nothing is z-scored.

    Parameters
    ----------
    zscore : {"none", "run", "session"}
    trials : Trials
        Its columns ``session`` and ``run`` come before what names of files say.
    named : pandas.DataFrame
        ``session`` and ``run`` of each map, as far as the names say them.
    report : callable
        Told how many groups there are, and of how many maps.

    Raises
    ------
    ValueError
        If the runs or sessions are not known, or runs of several sessions have one number.
    """
    if zscore == "none":
        return None
    found: dict[str, np.ndarray] = {}
    for column in ("session", "run"):
        for table, where in ((trials.table, f"the column {column} of {trials.path}"), (named, "names of files")):
            if column in table and column not in found:
                found[column] = table[column].to_numpy(str)
                report(f"zscore: the {column} of each map is from {where}.")
    if zscore not in found:
        raise ValueError(
            f"zscore={zscore!r}: the {zscore} of each map is not known; add a column {zscore} to {trials.path}, or "
            f"name the files as fMRIPrep does (..._{'ses' if zscore == 'session' else 'run'}-1_...)"
        )
    session = found.get("session")
    if session is None:
        starts = found["run"][np.flatnonzero(np.append(True, found["run"][1:] != found["run"][:-1]))]
        again = pd.Series(starts)[pd.Series(starts).duplicated()]
        if len(again):
            raise ValueError(
                f"zscore='run': run {again.iloc[0]} comes again after another one, so runs of several sessions seem to "
                f"have one number; add a column session to {trials.path}"
            )
    groups = zscore_groups(np.full(len(trials.table), "1") if session is None else session, found.get("run"), zscore)
    counts = np.bincount(groups)
    size = f"{counts.min()}" if counts.min() == counts.max() else f"{counts.min()} to {counts.max()}"
    report(f"zscore: within {len(counts)} {zscore}s of {size} maps.")
    return groups
