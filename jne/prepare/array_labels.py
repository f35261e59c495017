"""Labels and places that come as arrays: text, or numbers that stand for it, as a dataset holds them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from jne._core import composed_each, decoded_each
from jne.prepare.labels import is_none

LABELS = ("stimulus_id", "further_stimulus_id", "split", "category", "roi", "hemisphere", "level")
_MAY_LACK = ("category", "roi", "level")
"""Labels that a stimulus or voxel need not have; NaN stands for none."""


def as_labels(arrays: Mapping[str, np.ndarray], path: Path) -> dict[str, np.ndarray]:
    """The arrays by role, labels as text, empty for none; folds and vertices as integers, pictures as bytes.

    What cannot be one of these is left as it is, for the check of the dataset to name.
    """
    arrays = dict(arrays)
    for role in arrays:
        if role in LABELS:
            arrays[role] = text(arrays[role], role, path)
        elif role in ("fold", "vertex"):
            arrays[role] = whole_numbers(arrays[role])
    if "roi" in arrays:
        names, inverse = np.unique(arrays["roi"], return_inverse=True)
        arrays["roi"] = np.array(["" if is_none(name) else name for name in names])[
            inverse.reshape(arrays["roi"].shape)
        ]
    if "thumbnail" in arrays and arrays["thumbnail"].dtype.kind in "iu":
        pixels = arrays["thumbnail"]
        if pixels.size and 0 <= pixels.min() and pixels.max() <= 255:
            arrays["thumbnail"] = pixels.astype(np.uint8)
    return arrays


def name_areas(arrays: Mapping[str, np.ndarray], path: Path) -> dict[str, np.ndarray]:
    """Replace a ``roi`` of whole numbers, in which NaN is none, by ``roi_names``."""
    arrays = dict(arrays)
    names = arrays.pop("roi_names", None)
    if names is None:
        return arrays
    roi, names = arrays.get("roi"), text(names, "roi_names", path)
    lacks = np.isnan(roi) if roi is not None and roi.dtype.kind == "f" else np.zeros(np.shape(roi), bool)
    numbers = None if roi is None else whole_numbers(np.where(lacks, 0, roi))
    if numbers is None or numbers.dtype.kind not in "iu":
        raise ValueError(f"roi_names of {path} needs an integer roi that counts into it from 0")
    used = numbers[~lacks]
    if used.size and (used.min() < 0 or used.max() >= len(names)):
        raise ValueError(
            f"roi of {path} ranges from {used.min()} to {used.max()}, and roi_names has {len(names)} areas"
        )
    arrays["roi"] = np.where(lacks, "", names[numbers])
    if empty := sorted(set(names) - set(arrays["roi"])):
        raise ValueError(f"roi of {path}: {len(empty)} of {len(names)} areas have no voxel ({', '.join(empty)})")
    return arrays


def text(values: np.ndarray, role: str, path: Path) -> np.ndarray:
    """Labels as text; whole numbers are written as such, also where they are stored as floats, and NaN is none."""
    if values.dtype.kind == "S":
        values = decoded_each(values, f"{role}: the array of {path}")
    if values.dtype.kind == "f":
        lacks = np.isnan(values)
        whole = whole_numbers(np.where(lacks, 0, values))
        if whole.dtype.kind != "i" or (lacks.any() and role not in _MAY_LACK):
            what = "numbers that are not whole" if whole.dtype.kind != "i" else f"{np.count_nonzero(lacks)} NaN"
            raise ValueError(f"{role}: the array of {path} holds {what}; needed: text, or whole numbers")
        return np.where(lacks, "", whole.astype(str))
    if values.dtype.kind not in "iuU":
        raise ValueError(f"{role}: the array of {path} has type {values.dtype}; needed: text, or whole numbers")
    labels = composed_each(values.astype(str))
    return np.where(values < 0, "", labels) if role == "roi" and values.dtype.kind == "i" else labels


def whole_numbers(values: np.ndarray) -> np.ndarray:
    """Whole numbers stored as floats, as integers; anything else as it is."""
    if values.dtype.kind == "f" and np.isfinite(values).all() and (values == np.round(values)).all():
        return values.astype(np.int64)
    return values
