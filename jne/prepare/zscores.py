"""Z-scores within runs or sessions, which take out slow drifts before repeats are averaged."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from jne._core import spans
from jne.prepare.choices import check_choice

ZSCORES = ("run", "session", "none")
_BLOCK_BYTES = 16 * 2**20


def check_zscore(zscore: str) -> str:
    check_choice("zscore", zscore, ZSCORES)
    return zscore


def zscore_groups(sessions: Sequence, runs: Sequence | None, zscore: str) -> np.ndarray | None:
    """The group within which each trial is z-scored.

    Parameters
    ----------
    sessions : sequence ``(n_trials,)``
    runs : sequence ``(n_trials,)``, optional
        Run of each trial; runs of different sessions are different, also where they have one number. Needed for
        ``run`` only.
    zscore : {"run", "session", "none"}

    Returns
    -------
    array of int ``(n_trials,)``
        Numbers from 0 in the order of the first trial of each group; None for ``none``.

    Raises
    ------
    ValueError
        If ``zscore`` is none of these, runs are needed and not known, or a group has one trial only, whose z-score is
        not defined.
    """
    if check_zscore(zscore) == "none":
        return None
    if zscore == "run" and runs is None:
        raise ValueError("zscore='run': the runs of the trials are not known; accepted here: session, none")
    names = [
        (str(session), *([str(run)] if zscore == "run" else []))
        for session, run in zip(sessions, sessions if runs is None else runs, strict=True)
    ]
    numbers = {name: number for number, name in enumerate(dict.fromkeys(names))}
    groups = np.array([numbers[name] for name in names], int)
    if (counts := np.bincount(groups)).size and counts.min() < 2:
        name = list(numbers)[int(np.argmin(counts))]
        what = " of session ".join(reversed(name)) if zscore == "run" else name[0]
        raise ValueError(
            f"zscore={zscore!r}: {zscore} {what} has one trial, of which there is no z-score; needed: at least 2. "
            f"Leave it out, or take {'session or none' if zscore == 'run' else 'none'}"
        )
    return groups


def zscore_within(values: np.ndarray, groups: np.ndarray | None) -> np.ndarray:
    """Z-scores within groups of trials, with the population's standard deviation, computed in float64.

    Parameters
    ----------
    values : array ``(n_trials, n_voxels)``
    groups : array of int ``(n_trials,)``, optional
        From `zscore_groups`; None leaves values as they are.

    Returns
    -------
    array ``(n_trials, n_voxels)``, float32
        In standard deviations within a group; NaN where a voxel is constant or not finite in a group.
    """
    if groups is None:
        return np.asarray(values, np.float32)
    out = np.empty(values.shape, np.float32)
    rows_of = [np.flatnonzero(groups == group) for group in np.unique(groups)]
    for voxels in spans(values.shape[1], max(1, _BLOCK_BYTES // (8 * len(values)))):
        for rows in rows_of:
            part = np.asarray(values[rows, voxels], np.float64)
            with np.errstate(invalid="ignore"):
                # By range, as the spread of equal numbers can differ from 0 by rounding.
                spread = np.where(np.ptp(part, axis=0) > 0, part.std(axis=0), np.nan)
                out[rows, voxels] = (part - part.mean(axis=0)) / spread
    return out
