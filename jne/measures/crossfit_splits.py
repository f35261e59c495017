"""How cross-fitting divides the stimuli: groups for the jackknife, halves made of whole groups, and seeds."""

from __future__ import annotations

from math import comb
from typing import NamedTuple

import numpy as np

N_TEST_GROUPS = 8
"""Groups of test stimuli that are left out in turn, for their part in standard errors."""


class Split(NamedTuple):
    """One division in two: the training groups and validation stimuli of each half, and the seed of its encoder."""

    groups: tuple[np.ndarray, np.ndarray]
    validation: tuple[np.ndarray, np.ndarray]
    seeds: tuple[int, int]


def draw_groups(n_samples: int, n_groups: int, folds: np.ndarray | None, random_state: int) -> np.ndarray:
    """Group of each training stimulus ``(n_samples,)``, of nearly equal sizes.

    At random; with folds, neighbours in the order of the folds stay together, as their noise may not be independent.
    """
    if n_samples < 2 * n_groups:
        raise ValueError(
            f"n_groups={n_groups} with {n_samples} training stimuli; accepted is at most {n_samples // 2} here"
        )
    if folds is None:
        order = np.random.default_rng([random_state, 0]).permutation(n_samples)
    else:
        order = np.argsort(folds, kind="stable")
    groups = np.empty(n_samples, int)
    groups[order] = np.arange(n_samples) * n_groups // n_samples
    return groups


def draw_splits(
    n_groups: int, n_splits: int, n_validation: int, folds: np.ndarray | None, random_state: int
) -> list[Split]:
    """Different divisions of the groups in two; the first ones are the same whatever ``n_splits`` is."""
    half = n_groups // 2
    different = comb(n_groups, half) // (2 if 2 * half == n_groups else 1)
    if n_splits > different:
        raise ValueError(
            f"n_splits={n_splits}, and {n_groups} groups can be halved in {different} ways only; raise n_groups"
        )
    if n_validation < 2:
        raise ValueError(f"there are {n_validation} validation stimuli; each half needs its own, so give at least 2")
    splits: list[Split] = []
    seen = set()
    rng = np.random.default_rng([random_state, 1])
    while len(splits) < n_splits:
        order = rng.permutation(n_groups)
        groups = np.sort(order[:half]), np.sort(order[half:])
        if (key := frozenset(map(tuple, groups))) in seen:
            continue
        seen.add(key)
        state = [random_state, 2, len(splits)]
        shuffled = np.random.default_rng(state).permutation(n_validation) if folds is None else np.arange(n_validation)
        middle = n_validation // 2
        one, two = np.random.SeedSequence(state).generate_state(2)
        validation = np.sort(shuffled[:middle]), np.sort(shuffled[middle:])
        splits.append(Split(groups, validation, (int(one), int(two))))
    return splits
