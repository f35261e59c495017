"""What a dataset says of its stimuli and voxels: labels that are text, places that the cortex has."""

from __future__ import annotations

import numpy as np
import xarray as xr

from jne._core import N_VERTICES, listed
from jne.cortex import HEMISPHERES, MESH

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
        if found.ndim != 4 or found.shape[-1] != 3 or found.dtype != np.uint8:
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


def place_problems(content: xr.Dataset) -> list[str]:
    """Hemispheres and vertices that no figure of the cortex could place, or that it would place wrongly."""
    problems = []
    side = content["hemisphere"].values.astype(str) if "hemisphere" in content else None
    if side is not None and (unknown := sorted(set(side.ravel()) - set(HEMISPHERES))):
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
