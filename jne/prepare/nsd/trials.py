"""Which image was shown when, and which images are for training, validation and test.

Images are named by ``nsdId``, which counts from 0 as in ``nsd_stim_info_merged.csv``; the 73k ids of ``responses.tsv``
and of ``sharedix`` count from 1.
"""

from __future__ import annotations

import re
from io import BytesIO
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.io import loadmat

from jne._core import plain_file, read_table, reading
from jne.datasets import MINIMUM_TEST_STIMULI
from jne.prepare.matlab_files import check_matlab
from jne.prepare.nsd.layout import AGAIN, N_SESSIONS

N_IMAGES = 73_000
_COLUMNS = ("SESSION", "RUN", "73KID")


def parse_sessions(text: str) -> list[int]:
    """Numbers of ``"1-10,12"``, ascending."""
    sessions = set()
    for part in text.split(","):
        match = re.fullmatch(r"\s*(\d+)\s*(?:-\s*(\d+)\s*)?", part)
        first, last = (int(match[1]), int(match[2] or match[1])) if match else (1, 0)
        if not 1 <= first <= last:
            raise ValueError(f"sessions={text!r} is not a list of sessions; give for example 1-40, or 1-10,12")
        sessions.update(range(first, last + 1))
    return sorted(sessions)


def read_trials(path: Path, subject: int, sessions: str | None = None) -> pd.DataFrame:
    """Stimulus trials of the sessions, in the order of the betas.

    Parameters
    ----------
    path : path
        ``responses.tsv`` of the subject.
    subject : int
    sessions : str, optional
        Such as ``"1-40"``; by default all that the table has.

    Returns
    -------
    pandas.DataFrame
        ``session``, ``run`` (within the session), ``trial`` (place within the session's betas, from 0) and
        ``nsd_id`` (from 0).

    Raises
    ------
    ValueError
        If the table is not one of this subject, or has no such session.
    """
    with reading(path, "trials", "a table", AGAIN):
        table = read_table(path, "trials", sep="\t")
    missing = [name for name in _COLUMNS if name not in table]
    if missing:
        raise ValueError(f"{path} has no column {', '.join(missing)}; it has {', '.join(map(str, table.columns))}")
    if "SUBJECT" in table and (table["SUBJECT"] != subject).any():
        raise ValueError(f"{path} holds trials of subject {table['SUBJECT'].iloc[0]}, needed: subject {subject}")
    whole = table[list(_COLUMNS)].apply(pd.to_numeric, errors="coerce")
    if (bad := whole.isna().any(axis=1) | ~whole["73KID"].between(1, N_IMAGES)).any():
        raise ValueError(
            f"{path}: {int(bad.sum())} rows, the first in line {int(np.argmax(bad)) + 2}, have no whole SESSION, RUN "
            f"and 73KID from 1 to {N_IMAGES}. Download it again"
        )
    whole = whole.astype(int)
    there = sorted(whole["SESSION"].unique().tolist())
    wanted = there if sessions is None else parse_sessions(sessions)
    if absent := sorted(set(wanted) - set(there)):
        raise ValueError(
            f"sessions={sessions!r}: subject {subject} has no session {absent[0]}; {path} has {there[0]} to "
            f"{there[-1]} (NSD: {N_SESSIONS[subject - 1]})"
        )
    whole = whole[whole["SESSION"].isin(wanted)].sort_values("SESSION", kind="stable")
    by_session = whole.groupby("SESSION", sort=False)
    if not by_session["RUN"].apply(lambda run: run.is_monotonic_increasing).all():
        raise ValueError(f"{path}: the runs of a session are not in order, so rows cannot be matched to betas")
    return pd.DataFrame(
        {
            "session": whole["SESSION"].to_numpy(),
            "run": whole["RUN"].to_numpy(),
            "trial": by_session.cumcount().to_numpy(),
            "nsd_id": whole["73KID"].to_numpy() - 1,
        }
    )


def read_shared(path: Path) -> np.ndarray:
    """``nsdId`` of the images that all subjects saw, from ``sharedix`` of ``nsd_expdesign.mat``; ascending.

    A file that is not packed has no checksum: each row of ``subjectim``, a subject's images, must have all of them.

    Raises
    ------
    ValueError
        If the file is damaged.
    """
    with reading(path, "shared images", "MATLAB's nsd_expdesign.mat", AGAIN):
        # All of it: whether a file was cut shows at its end.
        content = plain_file(path, "shared images").read_bytes()
        check_matlab(content, f"shared images: {path}")
        design = loadmat(BytesIO(content))
        shared, images = design["sharedix"], design.get("subjectim", [])
    ids = np.sort(shared.ravel().astype(int)) - 1
    if ids.size == 0 or ids[0] < 0 or ids[-1] >= N_IMAGES or len(np.unique(ids)) != len(ids):
        raise ValueError(f"{path}: sharedix must hold different whole numbers from 1 to {N_IMAGES}. {AGAIN}")
    for number, row in enumerate(images, start=1):
        if len(other := np.setdiff1d(ids + 1, row)):
            raise ValueError(
                f"{path} is damaged: sharedix has the image {other[0]}, which subjectim does not have for subject "
                f"{number}; one of the two is wrong. {AGAIN}"
            )
    return ids


def split_images(
    trials: pd.DataFrame,
    shared: np.ndarray,
    *,
    test_repeats: int = 3,
    n_train: int | None = None,
    n_validation: int | None = None,
    n_test: int | None = None,
    seed: int = 0,
) -> pd.DataFrame:
    """Assign images to train, validation and test.

    The test images are shared images seen at least ``test_repeats`` times. Shared images seen less often are left out:
    in other subjects they may be test images. The rest is split at random, 8 : 1 by default.

    Returns
    -------
    pandas.DataFrame
        ``nsd_id``, ``split``, ``count`` (presentations), sorted by split (train, validation, test), then by image.
    """
    if test_repeats < 1:
        raise ValueError(f"test_repeats={test_repeats}; needed: at least 1")
    counts = trials["nsd_id"].value_counts().sort_index()
    is_shared = counts.index.isin(shared)
    rng = np.random.default_rng(seed)
    test = counts.index[is_shared & (counts >= test_repeats)].to_numpy()
    needed = max(MINIMUM_TEST_STIMULI, n_test or 0)
    if len(test) < needed:
        seen = counts[is_shared].value_counts().sort_index(ascending=False)
        known = ", ".join(f"{n} seen {times} time{'s' * (times > 1)}" for times, n in seen.items()) or "none seen"
        raise ValueError(
            f"test set: {len(test)} shared images were seen at least {test_repeats} times in the {_sessions(trials)} "
            f"used, needed: {needed}. Shared images: {known}. Use more sessions (--sessions), fewer repeats "
            "(--test-repeats) or fewer test images (--n-test)"
        )
    if n_test is not None:
        test = np.sort(rng.permutation(test)[:n_test])
    rest = rng.permutation(counts.index[~is_shared].to_numpy())
    n_validation = round(len(rest) / 9) if n_validation is None else n_validation
    n_train = len(rest) - n_validation if n_train is None else n_train
    if n_validation < 1 or n_train < 2 or n_train + n_validation > len(rest):
        raise ValueError(
            f"--n-train {n_train} and --n-validation {n_validation}; needed: at least 2 and 1, together at most "
            f"{len(rest)}, the images of the {_sessions(trials)} used that are not shared. Change them, or --sessions"
        )
    parts = {"train": rest[:n_train], "validation": rest[n_train : n_train + n_validation], "test": test}
    images = pd.concat([pd.DataFrame({"nsd_id": np.sort(ids), "split": name}) for name, ids in parts.items()])
    return images.assign(count=counts.loc[images["nsd_id"]].to_numpy()).reset_index(drop=True)


def _sessions(trials: pd.DataFrame) -> str:
    n = trials["session"].nunique()
    return f"{n} session{'s' * (n > 1)}"
