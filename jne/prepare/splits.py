"""What every `prepare` function needs: a path to write to, and a split of the stimuli."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np

from jne._core import alone, existing_parent, memory_told
from jne.datasets import MINIMUM_TEST_STIMULI

_MINIMUM = {"train": 2, "validation": 1, "test": MINIMUM_TEST_STIMULI}


def check_out(out: str | Path) -> Path:
    out = Path(out)
    if out.is_dir():
        raise ValueError(f"out: {out} is a folder; needed: the path of a file that ends in .nc")
    if out.suffix != ".nc":
        raise ValueError(f"out: {out} ends in {out.suffix!r}; needed: the path of a file that ends in '.nc'")
    parent = existing_parent(out)
    if not parent.is_dir():
        raise ValueError(f"out: {out} cannot be written, because {parent} is a file, not a folder")
    return out


Prepare = TypeVar("Prepare", bound=Callable)


def one_at_out(prepare: Prepare) -> Prepare:
    """Let one process at a time make the dataset ``out``; a second one is refused."""

    @functools.wraps(prepare)
    def refusing(*args, **options):
        out = inspect.signature(prepare).bind(*args, **options).arguments["out"]
        with alone(check_out(out)), memory_told("prepare"):
            return prepare(*args, **options)

    return refusing


def check_fractions(test: float, validation: float) -> None:
    if not (0 < test < 1 and 0 < validation < 1 and test + validation < 1):
        raise ValueError(
            f"test_fraction={test} and validation_fraction={validation}; needed: both above 0, their sum below 1"
        )


def split_stimuli(
    identities: Sequence[str], test_fraction: float = 0.2, validation_fraction: float = 0.1, seed: int = 0
) -> np.ndarray:
    """Assign stimuli to train, validation and test at random; stimuli of one identity stay together.

    Parameters
    ----------
    identities : sequence of str ``(n_stimuli,)``
        Equal for stimuli that are the same picture.
    test_fraction, validation_fraction : float
        Shares of the stimuli; groups of equal stimuli that would exceed them go to train.
    seed : int

    Returns
    -------
    array of str ``(n_stimuli,)``
    """
    group, counts = np.unique(np.asarray(identities), return_inverse=True, return_counts=True)[1:]
    room = {"test": round(test_fraction * len(group)), "validation": round(validation_fraction * len(group))}
    split_of_group = np.full(len(counts), "train", dtype="U10")
    for i in np.random.default_rng(seed).permutation(len(counts)):
        for part in room:
            if counts[i] <= room[part]:
                split_of_group[i] = part
                room[part] -= counts[i]
                break
    split = split_of_group[group]
    for part, needed in _MINIMUM.items():
        if (found := int(np.count_nonzero(split == part))) < needed:
            raise ValueError(
                f"{len(group)} stimuli ({len(counts)} different ones) with test_fraction {test_fraction} and "
                f"validation_fraction {validation_fraction} give {found} {part} stimuli, needed: at least {needed}"
            )
    return split
