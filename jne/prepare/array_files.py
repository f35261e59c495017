"""Response arrays from `.npy` files: read without pickles, turned the right way round, and checked."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from jne._core import listed, open_npy, plain_file
from jne.features import ImageFiles


def load_array(path: Path, what: str, n_dims: int) -> np.ndarray:
    if not plain_file(path, what).is_file():
        raise ValueError(f"{what}: there is no file {path}")
    size = path.stat().st_size
    try:
        array = open_npy(path, what)
    except (OSError, ValueError, TypeError, EOFError, OverflowError, MemoryError) as error:
        raise ValueError(
            f"{what}: {path} ({size} bytes) is not a whole .npy file of numbers: {error}. "
            "Save the array with numpy.save(file, array)"
        ) from error
    if array.dtype.kind not in "fiub":
        raise ValueError(f"{what}: {path} has type {array.dtype}, needed: real numbers")
    if array.ndim != n_dims or array.size == 0:
        axes = ", ".join(("images", "units", "repeats")[:n_dims]) if n_dims > 1 else "one value for each unit"
        raise ValueError(
            f"{what}: {path} has shape {array.shape}, {array.ndim} dimensions; needed: {n_dims} ({axes}), none empty"
        )
    return array


def to_float32(array: np.ndarray) -> np.ndarray:
    # A number too large for float32 becomes infinite and is then reported as such.
    with np.errstate(over="ignore"):
        return np.ascontiguousarray(array, np.float32)


def find_orientation(shape: tuple, path: Path, files: ImageFiles, units_first: bool | None) -> bool:
    n = len(files)
    if units_first is None and shape[0] == shape[1] == n:
        raise ValueError(
            f"responses: {path} has shape {shape}, as many units as images, so say which comes first: --units-first or "
            "--images-first (in Python units_first=True or False)"
        )
    axes = (0, 1) if units_first is None else (1,) if units_first else (0,)
    found = [axis for axis in axes if shape[axis] == n]
    if not found:
        counts = " or ".join(str(shape[axis]) for axis in axes)
        said = "" if units_first is None else f" with {'units' if units_first else 'images'} first"
        ignored = f" (left out: {listed(files.ignored)})" if files.ignored else ""
        raise ValueError(
            f"responses: {path} has shape {shape}, which{said} means {counts} images, and {files.path} holds {n} "
            f"images{ignored}"
        )
    return found[0] == 1


def load_repeats(path: Path, values: np.ndarray, responses: Path, units_first: bool) -> np.ndarray:
    """Single repeats ``(n_images, n_repeats, n_units)``, float32, which must belong to the responses."""
    array, (n, units) = load_array(path, "repeats", 3), values.shape
    if array.shape[:2] not in ((n, units), (units, n)):
        raise ValueError(
            f"repeats: {path} has shape {array.shape}, and {responses} has {units} units and {n} images; needed: "
            f"({units}, {n}, n_repeats) or ({n}, {units}, n_repeats)"
        )
    units_first = units_first if n == units else array.shape[0] == units
    trials = to_float32(array.transpose((1, 2, 0) if units_first else (0, 2, 1)))
    if infinite := int(np.isinf(trials).sum()):
        raise ValueError(f"repeats: {path} holds {infinite} infinite values of {trials.size}; NaN is no such repeat")
    counts = np.isfinite(trials).sum(axis=1)
    if counts.max() < 2:
        raise ValueError(
            f"repeats: {path} holds at most {counts.max()} repeats of an image (NaN is no such repeat), needed: 2"
        )
    check_belong(trials, values, path, str(responses))
    return trials


def check_belong(trials: np.ndarray, values: np.ndarray, path: Path, responses: str) -> None:
    """An error where repeats ``(n, n_repeats, n_units)`` are not those that responses ``(n, n_units)`` are means of."""
    counts = np.isfinite(trials).sum(axis=1)
    means = np.where(np.isfinite(trials), trials, 0).sum(axis=1, dtype=np.float64) / np.maximum(counts, 1)
    r = _correlations(np.where(counts > 0, means, np.nan), values)
    if r.size and np.median(r) < 0.5:
        raise ValueError(
            f"repeats: the means of {path} over repeats correlate with {responses} at a median of r = "
            f"{np.median(r):.2f} over {r.size} units, needed: 0.5. They have another order of images or units, or come "
            "from another recording"
        )


def _correlations(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Correlation over the images that both know, of each unit for which it is defined."""
    both = np.isfinite(a) & np.isfinite(b)
    n = np.maximum(both.sum(axis=0), 1)
    a, b = (np.where(both, x, 0).astype(np.float64) for x in (a, b))
    a, b = (np.where(both, x - x.sum(axis=0) / n, 0) for x in (a, b))
    scale = np.sqrt((a**2).sum(axis=0) * (b**2).sum(axis=0))
    return (a * b).sum(axis=0)[scale > 0] / scale[scale > 0]


def unusable(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Which units of ``values (n_samples, n_units)`` are not finite, and which of the others are constant."""
    finite = np.isfinite(values)
    constant = np.ptp(np.where(finite, values, 0), axis=0) == 0
    return ~finite.all(axis=0), constant & finite.all(axis=0)


def mark_bad(bad: np.ndarray, values: np.ndarray, where: str, path: Path, drop: bool) -> None:
    """Mark units that are not finite or constant in ``bad``; an error unless they are to be dropped."""
    for found, what in zip(unusable(values), ("hold non-finite values", f"are constant{where}"), strict=True):
        add_bad(bad, found, what, path, drop)


def add_bad(bad: np.ndarray, found: np.ndarray, what: str, path: Path, drop: bool) -> None:
    """Mark ``found`` in ``bad``; an error unless they are to be dropped, or if nothing would be left."""
    new = found & ~bad
    if new.any() and not drop:
        raise ValueError(
            f"responses: {np.count_nonzero(new)} of {bad.size} units of {path} {what} (first: unit "
            f"{int(np.argmax(new))}); correct them, or leave them out with --drop-bad-voxels (drop_bad_voxels=True)"
        )
    bad |= found
    if bad.all():
        raise ValueError(f"responses: all {bad.size} units of {path} are constant or not finite: nothing is left")
