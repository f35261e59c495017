"""What a dataset says of its stimuli and voxels: labels that are text, places that the cortex has."""

from __future__ import annotations

import numpy as np
import xarray as xr

from jne._core import N_VERTICES, listed
from jne.cortex import HEMISPHERES, MESH, ordered_levels
from jne.datasets.places import place_of

TEXT_VARIABLES = ("stimulus_id", "further_stimulus_id", "split", "category", "roi", "hemisphere", "level")


def label_problems(content: xr.Dataset) -> list[str]:
    """Labels that are no text, which would be shown as "1.0" or "nan", and pictures that cannot be shown."""
    problems = []
    for name in _text_variables(content):
        if content[name].dtype.kind not in "OSUTiu":
            none = ", empty for no area" if name.startswith("roi") else ""
            problems.append(f"variable {name} has type {content[name].dtype}, needed: text{none}")
    if "thumbnail" in content:
        found = content["thumbnail"]
        if found.ndim != 4 or found.shape[-1] != 3 or found.dtype != np.uint8 or not found.size:
            problems.append(
                f"variable thumbnail has shape {found.shape}, {found.dtype}; needed: (stimulus, y, x, rgb) with rgb of "
                "length 3, 8 bits a channel (uint8, 0 to 255)"
            )
    return problems


def text_problems(content: xr.Dataset) -> list[str]:
    """Labels among which are other things than text, such as the NaN of a table; reads them all."""
    problems = []
    for name in _text_variables(content):
        if content[name].dtype.kind == "O":
            others = [value for value in content[name].values.ravel() if not isinstance(value, (str, bytes))]
            if others:
                problems.append(f"variable {name} has {len(others)} values that are no text (first: {others[0]!r})")
    return problems


def _text_variables(content: xr.Dataset) -> list[str]:
    return [str(name) for name in content.data_vars if name in TEXT_VARIABLES or str(name).startswith("roi_")]


def level_problems(content: xr.Dataset) -> list[str]:
    """Levels of which no figure could know which is the higher."""
    if "level" not in content or content["level"].dtype.kind not in "OSUTiu":
        return []
    try:
        ordered_levels(content["level"].values)
    except ValueError as problem:
        return [str(problem)]
    return []


def place_problems(content: xr.Dataset) -> list[str]:
    """Voxels, hemispheres and vertices that no figure could place, or that it would place wrongly."""
    problems = _volume_problems(content)
    side = content["hemisphere"].values.astype(str) if "hemisphere" in content else None
    below = _below_cortex(content)
    if side is not None and (unknown := sorted(set(side[~below] if side.shape == below.shape else side.ravel())
                                               - set(HEMISPHERES))):  # fmt: skip
        problems.append(
            f"hemisphere has the values {listed([repr(str(u)) for u in unknown])}; accepted are left and right"
        )
    if "vertex" not in content or content["vertex"].dims != ("voxel",):
        return problems
    if side is None:
        return [*problems, "vertex without hemisphere: say for each voxel whether it is left or right"]
    vertex = content["vertex"].values
    if (strange := vertex[~_whole(vertex)]).size or vertex.dtype.kind not in "iu":
        first = f" (first: {strange[0]!s})" if strange.size else ""
        return [
            *problems,
            f"vertex has type {vertex.dtype} and {strange.size} values that are not whole numbers{first}; needed: "
            "integers, the index within the hemisphere's mesh, from 0",
        ]
    vertex, side = (values[~below] if values.shape == below.shape else values for values in (vertex, side))
    mesh = content["vertex"].attrs.get("mesh", MESH)
    size = N_VERTICES.get(mesh)
    if vertex.size and (vertex.min() < 0 or (size and vertex.max() >= size)):
        said = f"{mesh} has the indices 0 to {size - 1}" if size else "indices count from 0"
        named = "" if "mesh" in content["vertex"].attrs else f" (the attribute mesh is not given, which means {MESH})"
        problems.append(
            f"vertex runs from {vertex.min()} to {vertex.max()}, and {said}{named}. Subtract 1 if it counts from 1"
        )
    elif side.shape == vertex.shape:
        problems += [problem for one in HEMISPHERES for problem in _order_problems(one, vertex[side == one])]
    return problems


def _volume_problems(content: xr.Dataset) -> list[str]:
    if "ijk" not in content or content["ijk"].dims[:1] != ("voxel",):
        return []
    try:
        places = content[["ijk"]].copy()  # the positions are not kept: a file may be checked within a limit
        if "vertex" in content and "hemisphere" in content and places["ijk"].ndim == 2:
            # Vertices beside voxels, as CIFTI has them, have no place in the volume.
            places = places.isel(voxel=np.flatnonzero((places["ijk"].values != -1).any(axis=1)))
        place_of(places)
    except ValueError as problem:
        return [str(problem)]
    return []


def _below_cortex(content: xr.Dataset) -> np.ndarray:
    """Which voxels have no hemisphere and the vertex -1, as those of CIFTI that lie below the cortex, but a place."""
    names = ("hemisphere", "vertex", "ijk")
    if any(name not in content or content[name].dims[:1] != ("voxel",) for name in names):
        return np.zeros(content.sizes.get("voxel", 0), bool)
    side, vertex, ijk = (content[name].values for name in names)
    if vertex.ndim != 1 or ijk.ndim != 2 or ijk.dtype.kind not in "iu":
        return np.zeros(content.sizes["voxel"], bool)
    return (side.astype(str) == "") & (vertex == -1) & (ijk >= 0).all(axis=1)


def _order_problems(side: str, vertex: np.ndarray) -> list[str]:
    unique = np.unique(vertex)
    if len(unique) < len(vertex):
        return [f"vertex of the {side} hemisphere has {len(vertex) - len(unique)} vertices more than once"]
    if len(unique) > 2 and unique[0] == 1 and unique[-1] == len(unique):
        return [f"vertex of the {side} hemisphere is every number from 1 to {unique[-1]}: subtract 1, to count from 0"]
    return []


def _whole(values: np.ndarray) -> np.ndarray:
    """Which values are whole numbers."""
    if values.dtype.kind in "iu":
        return np.ones(values.shape, bool)
    if values.dtype.kind != "f":
        return np.zeros(values.shape, bool)
    return np.isfinite(values) & (values == np.round(values))


def not_folds(fold: np.ndarray) -> np.ndarray:
    """Which values cannot be the name of a fold: numbers that are not whole, and text that stands for none."""
    if fold.dtype.kind in "OSUT":
        return np.isin(np.char.lower(np.char.strip(fold.astype(str))), ("", "nan", "none", "<na>"))
    return ~_whole(fold)
