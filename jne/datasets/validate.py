"""What makes a dataset file valid: each rule names the variable and the numbers that disagree."""

from __future__ import annotations

import numpy as np
import xarray as xr

from jne._core import check_unit, memory_limit, spans
from jne.datasets.further import feature_layers, further_layers, further_problems, same_as_tested
from jne.datasets.validate_labels import label_problems, level_problems, not_folds, place_problems, text_problems

SPLITS = ("train", "validation", "test")
MINIMUM_TEST_STIMULI = 3
"""With fewer, neither R² nor the spread of a Jacobian over stimuli means anything."""

_SCAN_BYTES, _SCAN_COLUMNS = 2 * 2**20, 1024
"""How much of a variable is checked at a time, and the fewest columns of it."""

STIMULUS_VARIABLES = ("responses", "stimulus_id", "split", "fold", "category", "thumbnail")
VOXEL_VARIABLES = ("roi", "level", "hemisphere", "vertex", "ijk", "noise_ceiling", "true_nonlinearity", "true_layer")
_OF_SEVERAL = ("thumbnail", "ijk")
"""Variables with more axes than that of stimuli or voxels."""
CARRIED_VOXEL_VARIABLES = (
    "roi", "hemisphere", "vertex", "ijk", "level", "noise_ceiling", "true_nonlinearity", "true_noise_ceiling",
    "true_layer",
)  # fmt: skip
CARRIED_STIMULUS_VARIABLES = ("stimulus_id", "category", "thumbnail")
"""What results over voxels, and over stimuli, take over from a dataset."""


def structure_problems(content: xr.Dataset) -> list[str]:
    """Every way in which names, dimensions and the split break the format; reads no large variable."""
    problems = []
    for name, dims in {"responses": ("stimulus", "voxel"), "stimulus_id": ("stimulus",)}.items():
        if name not in content:
            problems.append(f"variable {name} {dims} is missing; the file has {', '.join(map(str, content.data_vars))}")
        elif content[name].dims != dims:
            problems.append(f"variable {name} has dimensions {content[name].dims}, needed: {dims}")
    problems += _dimension_problems(content)
    if not feature_layers(content):
        problems.append(
            "no feature layer: needed is at least one variable NAME with dimensions (stimulus, feature_NAME)"
        )
    layer = content.attrs.get("default_layer")
    if layer and layer not in feature_layers(content):
        problems.append(f"default_layer is {layer!r}, the layers are {', '.join(feature_layers(content)) or 'none'}")
    for size in ("stimulus", "voxel"):
        if content.sizes.get(size) == 0:
            problems.append(f"dimension {size} has length 0")
    return (
        problems
        + _split_problems(content)
        + further_problems(content)
        + label_problems(content)
        + place_problems(content)
        + level_problems(content)
        + _unit_problems(content)
    )


def _unit_problems(content: xr.Dataset) -> list[str]:
    try:
        check_unit(content.attrs.get("unit"))
    except ValueError as problem:
        return [f"attribute {problem}"]
    return []


def _dimension_problems(content: xr.Dataset) -> list[str]:
    problems = []
    atlases = tuple(str(name) for name in content.data_vars if str(name).startswith("roi_"))
    for axis, names in (("stimulus", STIMULUS_VARIABLES), ("voxel", VOXEL_VARIABLES + atlases)):
        for name in names:
            if name not in content or name == "responses":
                continue
            dims, more = content[name].dims, name in _OF_SEVERAL
            if dims[:1] != (axis,) or (len(dims) > 1 and not more):
                needed = f"({axis}, ...)" if more else f"({axis},)"
                problems.append(f"variable {name} has dimensions {dims}, needed: {needed}")
    return problems


def _split_problems(content: xr.Dataset) -> list[str]:
    problems = []
    if "split" not in content and "fold" not in content:
        return ["neither split nor fold: say which stimuli are train, validation and test, or give folds"]
    if "split" in content and content["split"].dims == ("stimulus",):
        split = content["split"].values.astype(str)
        unknown = sorted({str(name) for name in split} - set(SPLITS))
        if unknown:
            problems.append(f"split has the values {unknown[:5]}; accepted are {', '.join(SPLITS)}")
        for name, needed in (("train", 2), ("validation", 1), ("test", MINIMUM_TEST_STIMULI)):
            found = int(np.count_nonzero(split == name))
            if found < needed:
                problems.append(f"split has {found} {name} stimuli, needed: at least {needed}")
        if "responses_repeats" in content:
            shape, n_test = content["responses_repeats"].shape, int(np.count_nonzero(split == "test"))
            if len(shape) != 3 or (shape[0], shape[2]) != (n_test, content.sizes.get("voxel")):
                wanted = (n_test, "n_repeats", content.sizes.get("voxel"))
                problems.append(
                    f"responses_repeats has shape {shape}, needed: {wanted} (test stimuli, repeats, voxels)"
                )
        problems += _shared_stimuli(content, split)
    if "fold" in content and content["fold"].dims == ("stimulus",):
        fold = content["fold"].values
        n_folds = len(np.unique(fold.astype(str)))
        if (strange := fold[not_folds(fold)]).size:
            problems.append(
                f"fold has {strange.size} values that name no fold (first: {str(strange[0])!r}); needed: a whole "
                "number for each stimulus"
            )
        elif n_folds < 3:
            problems.append(f"fold has {n_folds} different values, needed: at least 3 (one to test, one to validate)")
    return problems


def _shared_stimuli(content: xr.Dataset, split: np.ndarray) -> list[str]:
    if "stimulus_id" not in content or content["stimulus_id"].dims != ("stimulus",):
        return []
    ids = content["stimulus_id"].values.astype(str)
    unique, inverse = np.unique(ids, return_inverse=True)
    first = np.full(len(unique), -1)
    codes = np.unique(split, return_inverse=True)[1]
    shared = set()
    for identity, code in zip(inverse, codes, strict=True):
        if first[identity] not in (-1, code):
            shared.add(str(unique[identity]))
        first[identity] = code
    if not shared:
        return []
    return [f"stimulus_id: {len(shared)} stimuli are in more than one split (first: {sorted(shared)[0]})"]


def value_problems(content: xr.Dataset) -> list[str]:
    """Every non-finite or constant variable; reads the whole file, a block of columns at a time."""
    problems = text_problems(content)
    further = further_layers(content).values()
    for name in [*feature_layers(content), "responses", *further]:
        if name not in content:
            continue
        if content[name].dtype.kind not in "fiu":
            problems.append(f"variable {name} has type {content[name].dtype}, needed: numbers")
            continue
        n_bad, first, bad, constant = _scan_columns(content[name])
        unit = "voxels" if name == "responses" else "features"
        row = f"{'further ' * (name in further)}stimulus"
        if n_bad:
            problems.append(
                f"variable {name}: {n_bad} non-finite values of {content[name].size}, in {np.count_nonzero(bad)} of "
                f"{bad.size} {unit} (first: {row} {first[0]}, {unit[:-1]} {first[1]})"
            )
        if name == "responses" and constant.any():
            problems.append(
                f"variable {name}: {np.count_nonzero(constant)} of {constant.size} {unit} are constant (first: "
                f"{int(np.argmax(constant))})"
            )
        if name in feature_layers(content) and constant.all():
            problems.append(f"variable {name}: all {constant.size} {unit} are constant")
    problems += same_as_tested(content)
    if "noise_ceiling" in content:
        ceiling = content["noise_ceiling"].values
        if ceiling.dtype.kind not in "fiu":
            return [*problems, f"variable noise_ceiling has type {ceiling.dtype}, needed: numbers from 0 to 1"]
        outside = np.count_nonzero((ceiling < 0) | (ceiling > 1))
        if outside:
            percent = ceiling.min(initial=0, where=~np.isnan(ceiling)) >= 0 and 2 < np.nanmax(ceiling) <= 100
            hint = "; they seem to be in percent: divide by 100" if percent else ""
            problems.append(f"variable noise_ceiling: {outside} of {ceiling.size} values are outside [0, 1]{hint}")
    return problems


def _scan_columns(variable: xr.DataArray) -> tuple[int, tuple[int, int] | None, np.ndarray, np.ndarray]:
    """How many values are not finite, the place of the first, the columns with such values, and constant columns."""
    rows, columns = variable.shape
    bad, constant = np.zeros(columns, bool), np.zeros(columns, bool)
    n_bad, places = 0, []
    fit = memory_limit() // (4 * variable.dtype.itemsize * max(rows, 1))
    for block in spans(columns, max(1, min(fit, max(_SCAN_COLUMNS, _SCAN_BYTES // (4 * max(rows, 1)))))):
        values = variable[:, block].values
        strange = ~np.isfinite(values)
        bad[block] = strange.any(axis=0)
        constant[block] = np.ptp(np.where(strange, 0, values), axis=0) == 0
        if bad[block].any():
            n_bad += np.count_nonzero(strange)
            row, column = np.argwhere(strange)[0].tolist()
            places.append((row, block.start + column))
    return n_bad, min(places, default=None), bad, constant
