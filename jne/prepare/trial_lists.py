"""A plain list of the pictures that were shown, one a line, in place of a table of trials."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from jne._core import read_text
from jne.datasets import MINIMUM_TEST_STIMULI
from jne.features import picture_id

_ENDINGS = (".txt", ".lst", "")
_REPEAT = "rep_"


def is_list(path: Path) -> bool:
    """Whether a file of trials is a list of names, by its ending and its first line, and no table."""
    if path.suffix.lower() not in _ENDINGS:
        return False
    head = read_text(path, "stimuli").split("\n", 1)[0]
    return not ({",", "\t"} & set(head) or head.strip().strip('"') == "id")


def read_list(path: Path) -> pd.DataFrame:
    """A table of trials, ``id`` and ``split``, of a list of file names; the id is the name without folder and ending.

    Pictures that were shown more than once are the test stimuli, for which alone a noise ceiling is known, and the
    others are trained on. Where that would leave fewer than half of the pictures to train on, or too few to test on,
    there is no column ``split``. An empty line, but not at the end, is a catch trial. ``rep_`` before some of the
    names, which marks repeats in BOLD5000's lists of presentations, is no part of them.

    Raises
    ------
    ValueError
        If it is empty or no text.
    """
    lines = read_text(path, "stimuli").rstrip().splitlines()
    names = [picture_id(line.strip()) if line.strip() else "" for line in lines]
    if not all(name.startswith(_REPEAT) for name in names):
        names = [name.removeprefix(_REPEAT) for name in names]
    table = pd.DataFrame({"id": names}, dtype=str)
    shown = table["id"][table["id"] != ""]
    if shown.empty:
        raise ValueError(f"stimuli: {path} names no picture; needed: a file name in each line")
    counts = shown.value_counts()
    n_repeated = int((counts > 1).sum())
    if MINIMUM_TEST_STIMULI <= n_repeated < len(counts) / 2:
        table["split"] = table["id"].map(counts).gt(1).map({True: "test", False: "train"})
    return table
