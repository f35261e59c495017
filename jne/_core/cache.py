"""Results that are kept: where, under which key, and which code has a part in them."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import warnings
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from functools import cache
from pathlib import Path
from typing import Any, TypeVar, overload

import numpy as np
import xarray as xr

from jne._core.damage import DamagedError, reading
from jne._core.files import locked, one_at_a_time, provenance
from jne._core.hdf5_streams import write_netcdf
from jne._core.memory import check_held
from jne._core.opening import open_netcdf
from jne._core.plain_values import plain

Made = TypeVar("Made")
Read = TypeVar("Read")

_MEASURED = ("_core", "accuracy", "cortex", "datasets", "jacobians", "encoders", "measures")
MADE_BY = {
    "dataset": ("_core", "accuracy", "cortex", "datasets"),
    "clusters": ("_core", "accuracy", "cortex", "datasets"),
    "session": ("_core", "prepare"),
    "smooth-maps": ("_core", "cortex"),
    "fit": ("_core", "accuracy", "cortex", "datasets", "encoders"),
    "crossfit": _MEASURED,
    "study": (*_MEASURED, "study"),
    "selectivity-null": (*_MEASURED, "statistics", "study"),
    "simulation": (*_MEASURED, "statistics", "simulations"),
    "run": (*_MEASURED, "features", "prepare", "statistics", "study", "simulations"),
    "chapter": (*_MEASURED, "features", "prepare", "statistics", "study", "simulations", "plotting", "book"),
}
"""Kinds of what is kept, and the wings of this package that have a part in it; what comes after them has none."""


def hash_parameters(parameters: Mapping) -> str:
    """Sixteen hexadecimal digits that change with any parameter, JSON-able or an array."""
    text = json.dumps(_with_text_keys(parameters), sort_keys=True, default=_as_text)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _with_text_keys(value: Any) -> Any:
    """The same with texts as keys, which JSON sorts; of 1 and "1" two."""
    if isinstance(value, Mapping):
        named = {key if isinstance(key, str) else f"\0{plain(key)!r}": item for key, item in value.items()}
        return {key: _with_text_keys(item) for key, item in named.items()}
    return [_with_text_keys(item) for item in value] if isinstance(value, list | tuple) else value


def _as_text(value: Any) -> Any:
    """What JSON cannot hold; of an array a digest, as its text leaves most of it out."""
    if isinstance(value, np.generic):
        return plain(value)
    if isinstance(value, np.ndarray):
        return hashlib.sha256(np.ascontiguousarray(value).data).hexdigest() + str(value.shape)
    return str(value)


@cache
def code_hash(kind: str = "run") -> str:
    """Sixteen hexadecimal digits that change with any source file that has a part in this kind of result."""
    digest = hashlib.sha256()
    package = Path(__file__).parent.parent
    for wing in MADE_BY[kind]:
        sources = sorted(path for path in (package / wing).rglob("*") if path.suffix in (".py", ".html"))
        for source in sources or [package / f"{wing}.py"]:
            digest.update(str(source.relative_to(package)).encode() + b"\0" + source.read_bytes() + b"\0")
    return digest.hexdigest()[:16]


def read_netcdf(path: Path) -> xr.Dataset:
    """A NetCDF file of this package, in memory."""
    with open_netcdf(path, "result") as result, reading(path, "result", "a NetCDF-4 file"):
        check_held(result.nbytes, f"result: {path}")
        return result.load()


@overload
def kept(
    path: Path,
    compute: Callable[[], xr.Dataset],
    *,
    lock: Callable[[Path], AbstractContextManager] = ...,
    beside: Path | None = ...,
) -> xr.Dataset: ...
@overload
def kept(
    path: Path,
    compute: Callable[[], Made],
    *,
    read: Callable[[Path], Read],
    write: Callable[[Made, Path], object],
    lock: Callable[[Path], AbstractContextManager] = ...,
    beside: Path | None = ...,
) -> Read: ...
def kept(
    path: Path,
    compute: Callable[[], Any],
    *,
    read: Callable[[Path], Any] = read_netcdf,
    write: Callable[[Any, Path], object] = write_netcdf,
    lock: Callable[[Path], AbstractContextManager] = one_at_a_time,
    beside: Path | None = None,
) -> Any:
    """What ``path`` holds; where it is not there yet, it is computed and written first.

    Of several processes that ask at the same moment one computes and the others wait, by ``lock``. What is returned has
    been read in any case, so that it is the same the first time and later. A file that is damaged is named in a
    warning, set aside under ``NAME.damaged``, and made again. ``beside`` is a folder of what an interrupted computation
    goes on from; it is removed when the result is there.
    """
    with lock(path):
        if not path.exists():
            write(compute(), path)
    try:
        found = read(path)
    except DamagedError:
        # By one process, which looks again: another may have made it anew while this one waited.
        with locked(path):
            try:
                return read(path)
            except DamagedError as error:
                set_aside(path, error)
                write(compute(), path)
        found = read(path)
    if beside is not None:
        shutil.rmtree(beside, ignore_errors=True)
    return found


def set_aside(path: Path, error: Exception) -> None:
    """Give what is damaged another name, where it can be looked at, and say so."""
    aside = path.with_name(f"{path.name}.damaged")
    if path.is_dir():
        shutil.rmtree(aside, ignore_errors=True)
    os.replace(path, aside)
    warnings.warn(f"{error}. It is set aside as {aside.name}, and made again", stacklevel=3)


def cached(
    kind: str, name: str, parameters: Mapping, compute: Callable[[], xr.Dataset], *, beside: Path | None = None
) -> xr.Dataset:
    """The result of ``compute``, from ``results/<name>/`` where these parameters and this code have made it before.

    ``beside`` is as in `kept`.
    """
    key = {**parameters, "code_hash": code_hash(kind)}
    attributes = {name: value if isinstance(value, int | float | str) else str(value) for name, value in key.items()}
    path = results_dir() / name / f"{hash_parameters(key)}.nc"
    return kept(path, lambda: compute().assign_attrs(**attributes, **provenance()), beside=beside)


def results_dir() -> Path:
    """Where results are cached: ``$JNE_RESULTS``, else ``results/`` in the book's root, else in the working folder."""
    if folder := os.environ.get("JNE_RESULTS"):
        return Path(folder)
    here = Path.cwd()
    root = next((p for p in (here, *here.parents) if (p / "_toc.yml").exists()), here)
    return root / "results"
