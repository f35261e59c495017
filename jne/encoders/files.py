"""The file of an encoder: weights, scaling, parameters and training curves in safetensors; it names the class."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from jne._core import (
    FORMAT_VERSION,
    DamagedError,
    RefusedError,
    new_session,
    provenance,
    read_tensors,
    reading,
    write_tensors,
)

if TYPE_CHECKING:
    from jne.encoders.base import Encoder

ARRAYS = ("x_mean_", "x_scale_", "y_mean_", "y_scale_", "covariance_")
"""What a fit sets beside the module."""

_CLASSES: dict[str, type[Encoder]] = {}


def register(cls: type[Encoder]) -> None:
    """Remember the class that files name, or a TypeError where another module has one of that name."""
    known = _CLASSES.get(cls.__name__, cls)
    if known.__module__ != cls.__module__:
        raise TypeError(
            f"{known.__module__} has an encoder class {cls.__name__} already, and files name their class; "
            "give this one another name"
        )
    _CLASSES[cls.__name__] = cls


def save_encoder(encoder: Encoder, path: str | Path) -> Path:
    """Write a fitted encoder to one file."""
    tensors = {f"module.{name}": value for name, value in encoder.module_.state_dict().items()}
    tensors |= {name: torch.from_numpy(np.ascontiguousarray(getattr(encoder, name))) for name in ARRAYS}
    header = {
        "class": type(encoder).__name__,
        "parameters": _plain(encoder.get_params(deep=False)),
        "layer": encoder.layer_,
        "history": encoder.history_,
        **provenance(),
    }
    return write_tensors(tensors, header, path, where="in a parameter or in history_")


@new_session()
def load_encoder(path: str | Path) -> Encoder:
    """Read an encoder of any class from its safetensors file.

    Raises
    ------
    ValueError
        If the file is damaged, is no encoder, comes from a newer version, or holds an encoder of a class of your own
        that is not defined yet.

    Examples
    --------
    >>> import tempfile, numpy as np, jne
    >>> X = np.random.default_rng(0).normal(size=(100, 4))
    >>> encoder = jne.RidgeEncoder().fit(X[:80], X[:80, :2], X[80:], X[80:, :2])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     again = jne.load_encoder(encoder.save(f"{folder}/ridge.safetensors"))
    >>> bool((again.predict(X) == encoder.predict(X)).all())
    True
    """
    header, tensors = read_tensors(path)
    if "class" not in header:
        raise DamagedError(f"{path} is a safetensors file, but not one written by an encoder of jne")
    with reading(path, "encoder", "an encoder's file"):
        if header["format_version"] > FORMAT_VERSION:
            raise RefusedError(f"{path} has format_version {header['format_version']}; update jne to read it")
        encoder = _made(path, header["class"], header["parameters"])
        encoder.layer_, encoder.history_ = header["layer"], header["history"]
        if not isinstance(encoder.layer_, str | None) or not isinstance(encoder.history_, dict):
            raise ValueError(f"layer {encoder.layer_!r}, history {encoder.history_!r}")
        arrays = {name: tensors.pop(name).numpy() for name in ARRAYS}
        _check_shapes(arrays)
        for name, values in arrays.items():
            setattr(encoder, name, values)
        encoder.module_ = encoder._make_module(len(encoder.x_mean_), len(encoder.y_mean_))
        encoder.module_.load_state_dict({name.removeprefix("module."): value for name, value in tensors.items()})
    encoder.module_.eval()
    return encoder


def _check_shapes(arrays: Mapping[str, np.ndarray]) -> None:
    for name, values in arrays.items():
        first = arrays[f"{name[0]}_mean_" if name[1] == "_" else "x_mean_"]
        if values.ndim != 1 + (name == "covariance_") or len(values) != len(first) or values.dtype.kind != "f":
            raise ValueError(f"{name} is {values.shape}, {values.dtype}")


def _plain(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Parameters as a file holds them: of an unfitted encoder among them its class and its own."""
    return {
        name: _description(value) if hasattr(value, "_make_module") else value for name, value in parameters.items()
    }


def _description(encoder: Encoder) -> dict[str, Any]:
    return {"class": type(encoder).__name__, "parameters": _plain(encoder.get_params(deep=False))}


def _made(path: str | Path, name: str, parameters: Mapping[str, Any]) -> Encoder:
    """An unfitted encoder from the name of its class and its parameters, as `_plain` gives them."""
    if name not in _CLASSES:
        raise RefusedError(f"{path} holds a {name}; define that class, or import its module, and load again")

    def restored(value: Any) -> Any:
        if isinstance(value, dict) and value.keys() == {"class", "parameters"}:
            return _made(path, value["class"], value["parameters"])
        # JSON has no tuples, which sequences among parameters are by default.
        return tuple(value) if isinstance(value, list) else value

    return _CLASSES[name](**{key: restored(value) for key, value in parameters.items()})
