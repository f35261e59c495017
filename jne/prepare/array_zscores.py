"""Z-scores of arrays of single trials, within the runs or sessions that another array names."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from jne.prepare.zscores import check_zscore, zscore_groups, zscore_within

_GROUPS = ("session", "run")


def zscored(
    responses: np.ndarray, arrays: dict[str, np.ndarray], zscore: str, path: Path, *, averaged: bool
) -> np.ndarray:
    """Responses ``(n_stimuli, n_voxels)``, z-scored where that is wanted; takes ``run`` and ``session`` out of arrays.

    Raises
    ------
    ValueError
        If runs or sessions are wanted and not given, or if responses are ``averaged`` over repeats.
    """
    given = {role: arrays.pop(role) for role in _GROUPS if role in arrays}
    if check_zscore(zscore) == "none":
        return responses
    if zscore not in given:
        raise ValueError(
            f"zscore={zscore!r}: map says nothing of {zscore}s; add {zscore}=NAME with NAME an array of {path}"
        )
    if averaged:
        raise ValueError(
            f"zscore={zscore!r}: map gives repeats as well, so responses are averages over trials of several runs; "
            "z-score the single trials first, then average them"
        )
    for role, values in given.items():
        if values.dtype.kind == "f" and (unknown := int((~np.isfinite(values)).sum())):
            raise ValueError(f"{role}: the array of {path} is not known for {unknown} stimuli (NaN or infinite)")
    sessions = given.get("session", np.zeros(len(responses), int)).tolist()
    runs = given["run"].tolist() if zscore == "run" else None
    return zscore_within(responses, zscore_groups(sessions, runs, zscore))
