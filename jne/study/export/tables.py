"""What of a result fits into a table with a row for each voxel, and into a summary. Pure: no file is written."""

from __future__ import annotations

import ast
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from jne._core import VOXEL, in_units, plain, plural, printable
from jne.datasets import Surface, Volume
from jne.measures import REGISTRY
from jne.statistics import predicted_voxels, said_first

_OF_PLACES = ("vertex", "hemisphere", "ijk")
_TEXTS = ("roi", "level", "layer")
_BEGINS_A_FORMULA = tuple("=+-@\t\r")
OF_ALL = (
    "r2", "r2_low", "r2_high", "r2_linear", "r2_linearised", "noise_ceiling", "explained", "correlation", "p_value",
    "p_value_release",
)  # fmt: skip
"""What says how well a voxel is predicted has its median over all voxels; whatever else, over significant ones."""


def values_of(result: xr.Dataset) -> dict[str, np.ndarray]:
    """Every number that a result has for each voxel, in its own type; truth values are 0 and 1."""
    found = {}
    for name, variable in result.variables.items():
        if variable.dims == ("voxel",) and variable.dtype.kind in "fiub" and name not in (*_OF_PLACES, "voxel"):
            values = np.asarray(variable.values)
            found[str(name)] = values.astype(np.uint8) if values.dtype.kind == "b" else values
    return found


def voxel_table(result: xr.Dataset, place: Volume | Surface | None) -> pd.DataFrame:
    """One row a voxel: where it is, its texts (area, level, layer), its numbers."""
    columns: dict[str, Any] = {"voxel": np.arange(result.sizes["voxel"])}
    if isinstance(place, Volume):
        columns |= dict(zip("ijk", place.ijk.T, strict=True))
        columns |= {f"{axis}_mm": values for axis, values in zip("xyz", place.xyz.T, strict=True)}
    else:
        known = [name for name in ("hemisphere", "vertex") if name in result]
        columns |= {name: result[name].values for name in known}
    texts = [str(name) for name, variable in result.variables.items() if variable.dims == ("voxel",)
             and variable.dtype.kind in "OSUT" and name not in _OF_PLACES]  # fmt: skip
    for name in sorted(texts, key=lambda name: (name not in _TEXTS, _TEXTS.index(name) if name in _TEXTS else 0)):
        columns[name] = [_cell(text) for text in result[name].values.astype(str)]
    return pd.DataFrame(columns | values_of(result))


def csv_text(table: pd.DataFrame) -> str:
    """A table as text; a number has as many digits as tell it from every other of its type, NaN is empty."""
    return table.to_csv(index=False, lineterminator="\n")


def _cell(text: str) -> str:
    """A text that no program for tables takes for a formula, without characters that cannot be shown."""
    text = printable(text)
    return f"'{text}" if text.startswith(_BEGINS_A_FORMULA) else text


def summary_of(result: xr.Dataset, place: Volume | Surface | None, why_not: str) -> dict[str, Any]:
    """Ready for JSON: what must be known first, how many voxels, where, quartiles of each number, parameters.

    Names of entries are the same whatever the responses are of; sentences call them by their ``unit``.
    """
    unit = str(result.attrs.get("unit", VOXEL))
    predicted = predicted_voxels(result)
    voxels = {"all": int(result.sizes["voxel"])}
    voxels |= {name: int(result[name].sum()) for name in ("significant",) if name in result}
    if "confirmed" in result and "significant" in result:
        voxels["confirmed"] = int((result["confirmed"].astype(bool) & result["significant"].astype(bool)).sum())
    first = [in_units(text, unit) for text in said_first(result)]
    return {
        **({"first": first} if first else {}),
        "unit": unit,
        "voxels": voxels,
        "place": _described(place) if place is not None else {"kind": "none", "reason": in_units(why_not, unit)},
        "values": {name: _quartiles(name, values, predicted, unit) for name, values in values_of(result).items()},
        "parameters": {str(name): _readable(str(name), value) for name, value in result.attrs.items()},
    }


def _described(place: Volume | Surface) -> dict[str, Any]:
    if isinstance(place, Volume):
        return {"kind": "volume", "shape": list(place.shape), "affine": place.affine.tolist()}
    return {"kind": "surface", "mesh": place.mesh, "n_vertices": dict(place.n_vertices)}


def _quartiles(name: str, values: np.ndarray, predicted: np.ndarray, unit: str) -> dict[str, Any]:
    entry, all_voxels = REGISTRY.get(name), name in (*OF_ALL, "significant", "confirmed")
    label = {"label": entry.label, "definition": in_units(entry.definition, unit)} if entry else {}
    over = {"over": f"{'all' if all_voxels or predicted.all() else 'significant'} {plural(unit)}"}
    if np.isin(values, (0, 1)).all() and values.dtype.kind in "iu":
        return {**label, "n": len(values), "n_true": int(values.sum())}
    kept = values[np.isfinite(values) & (predicted | all_voxels)].astype(float)
    numbers = np.quantile(kept, [0.25, 0.5, 0.75]).tolist() if len(kept) else [None] * 3
    return {**label, **over, "n": len(kept), **dict(zip(("q25", "median", "q75"), numbers, strict=True))}


def _readable(name: str, value: Any) -> Any:
    """An attribute as JSON has it; options, a mapping that files keep as text, are a mapping again."""
    value = value.tolist() if isinstance(value, np.ndarray) else plain(value)
    if name == "encoder_options" and isinstance(value, str):
        return ast.literal_eval(value)
    if isinstance(value, float) and not np.isfinite(value):
        return None
    return printable(value) if isinstance(value, str) else value
