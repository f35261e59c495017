"""What arrays of the input stand for: their roles, read by the map, with axes that fit one another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from jne.prepare.array_files import to_float32
from jne.prepare.array_labels import LABELS
from jne.prepare.array_sources import load_named
from jne.prepare.matlab_arrays import MATLAB_ENDING, as_vector

AXES = {
    "features": "stimulus, feature",
    "responses": "stimulus, voxel",
    "repeats": "stimulus, repeat, voxel",
    "stimulus_id": "stimulus",
    "further": "further stimulus, feature",
    "further_stimulus_id": "further stimulus",
    "split": "stimulus",
    "fold": "stimulus",
    "run": "stimulus",
    "session": "stimulus",
    "category": "stimulus",
    "thumbnail": "stimulus, y, x, rgb",
    "roi": "voxel",
    "roi_names": "area",
    "hemisphere": "voxel",
    "vertex": "voxel",
    "level": "voxel",
    "noise_ceiling": "voxel",
}
"""What an array of the input can stand for, with the axes that it needs."""


def parse_map(text: str) -> list[tuple[str, str]]:
    """Read ``features=a,features=b,responses=c`` as pairs of what it stands for and the array's name."""
    pairs = []
    for part in filter(None, (part.strip() for part in text.split(","))):
        role, equals, name = part.partition("=")
        if not equals or not name:
            raise ValueError(f"map: {part!r} is not of the form ROLE=ARRAY, such as features=clip_layer_9")
        pairs.append((role.strip(), name.strip()))
    return pairs


def read_mapped(
    path: Path, mapping: Sequence[tuple[str, str]]
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray], list[np.ndarray]]:
    """Arrays by role, feature layers by name, and features of further stimuli in the order of the layers."""
    roles = [role for role, _ in mapping]
    for role in roles:
        if role not in AXES:
            raise ValueError(f"map: {role!r} is not a role; accepted are {', '.join(AXES)}")
        if role not in ("features", "further") and roles.count(role) > 1:
            raise ValueError(
                f"map: {role} is given {roles.count(role)} times; only features and further may come more than once"
            )
    for needed in ("features", "responses"):
        if needed not in roles:
            raise ValueError(f"map: {needed} is missing; add {needed}=NAME with NAME an array of {path}")
    found = load_named(path, [name for _, name in mapping])
    if path.suffix == MATLAB_ENDING:
        vectors = {name for role, name in mapping if "," not in AXES[role]}
        found = {name: as_vector(values) if name in vectors else values for name, values in found.items()}
    arrays = {role: found[name] for role, name in mapping if role not in ("features", "further")}
    more = [(f"further {name}", found[name]) for role, name in mapping if role == "further"]
    layers = {name.strip("/").replace("/", "_"): found[name] for role, name in mapping if role == "features"}
    for role, values in [
        *arrays.items(),
        *((f"features {name}", values) for name, values in layers.items()),
        *more,
    ]:
        if role.split()[0] not in (*LABELS, "roi_names") and values.dtype.kind not in "fiub":
            raise ValueError(f"{role}: the array of {path} has type {values.dtype}, needed: real numbers")
        if role.split()[0] in ("responses", "features", "further"):
            wanted = AXES[role.split()[0]]
            if values.ndim != 2 or not values.size:
                raise ValueError(
                    f"{role}: the array of {path} has shape {values.shape}; needed: ({wanted}), none empty"
                )
    return (
        arrays,
        {name: to_float32(values) for name, values in layers.items()},
        [to_float32(values) for _, values in more],
    )


def orient(values: np.ndarray, n_stimuli: int, path: Path, units_first: bool | None) -> np.ndarray:
    """Responses as ``(n_stimuli, n_voxels)``, float32."""
    if units_first is None and values.shape == (n_stimuli, n_stimuli):
        raise ValueError(
            f"responses: the array of {path} has shape {values.shape}, as many voxels as stimuli, so say which comes "
            "first: --units-first or --stimuli-first (in Python units_first=True or False)"
        )
    axes = (0, 1) if units_first is None else (1,) if units_first else (0,)
    found = [axis for axis in axes if values.shape[axis] == n_stimuli]
    if not found:
        raise ValueError(
            f"responses: the array of {path} has shape {values.shape}, and the features have {n_stimuli} stimuli; "
            "one of its axes must be the stimuli"
        )
    return to_float32(values.T if found[0] == 1 else values)


def check_axes(role: str, values: np.ndarray, counts: Mapping[str, int], path: Path) -> None:
    axes = AXES[role.split()[0]].split(", ")
    if values.ndim != len(axes):
        raise ValueError(f"{role}: the array of {path} has shape {values.shape}; needed: ({', '.join(axes)})")
    for axis, size in zip(axes, values.shape, strict=True):
        if axis in counts and size != counts[axis]:
            raise ValueError(
                f"{role}: the array of {path} has {size} along the {axis} axis, and there are {counts[axis]} "
                f"{'stimuli' if axis == 'stimulus' else 'voxels'}"
            )


def of_tested(
    repeats: np.ndarray, split: np.ndarray | None, given: bool, counts: Mapping[str, int], path: Path
) -> np.ndarray:
    """Repeats of the stimuli that R² is computed on: of the test stimuli, or of all where there are folds.

    Parameters
    ----------
    repeats : array
        ``(n_stimuli, n_repeats, n_voxels)``, or of the test stimuli alone, in their order.
    split : array of str, optional
        None where there are folds.
    given : bool
        Whether the split is the input's own; to one that was drawn, repeats of some stimuli cannot belong.
    """
    n_test = None if split is None else int(np.count_nonzero(split == "test"))
    test_only = given and repeats.ndim == 3 and repeats.shape[0] == n_test
    if not test_only and repeats.ndim == 3 and repeats.shape[0] != counts["stimulus"]:
        what = (
            f", or of the {n_test} test stimuli" if given else "; for those of test stimuli alone, map a split as well"
        )
        raise ValueError(
            f"repeats: the array of {path} has {repeats.shape[0]} along the stimulus axis; needed: repeats of all "
            f"{counts['stimulus']} stimuli{what}"
        )
    check_axes("repeats", repeats, {"voxel": counts["voxel"]}, path)
    return to_float32(repeats if split is None or test_only else repeats[split == "test"])
