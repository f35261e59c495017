"""What a study is asked for: checked before the first fit, and as the parameters that name its results."""

from __future__ import annotations

import inspect
import json
from collections.abc import Mapping
from typing import Any

from sklearn.base import clone

from jne._core import code_hash, parse_bytes, plain, real_number, whole_number
from jne.datasets import EncodingDataset
from jne.encoders import Encoder, ResidualEncoder


def check_settings(encoder_options: Any, n_bootstrap: Any, q: Any, max_memory: Any) -> None:
    """Refuse before the first fit what would fail after it."""
    whole_number(n_bootstrap, "n_bootstrap", 1)
    if not 0 < real_number(q, "q") < 1:
        raise ValueError(f"q={q}; needed: a false discovery rate between 0 and 1, such as 0.05")
    parse_bytes(max_memory)
    if not isinstance(encoder_options, Mapping | None):
        raise ValueError(f'encoder_options={encoder_options!r}; needed: names and values, such as {{"hidden_size": 8}}')


def study_parameters(
    data: EncodingDataset, layer: str, prototype: Encoder, encoder_options: Mapping | None, **settings
) -> dict:
    """What a study is known by: the key of its folder, and its attributes."""
    return {
        "layer": layer,
        "encoder": prototype.describe(),
        **plain({"encoder_options": dict(encoder_options or {}), **settings}),
        "data": data.name,
        "data_hash": data.hash,
        "code_hash": code_hash("study"),
    }


def prototypes(encoder: Encoder | type[Encoder], options: dict, seed: int) -> tuple[Encoder, Encoder]:
    """The unfitted encoder of a study, and its linear reference."""
    kind = encoder if isinstance(encoder, type) else type(encoder)
    if not issubclass(kind, Encoder):
        raise ValueError(f"encoder={encoder!r}; give an encoder (a subclass of jne.encoders.Encoder), or its class")
    known = inspect.signature(kind).parameters
    if unknown := [name for name in options if name not in known]:
        raise ValueError(f"encoder_options names {unknown[0]!r}; {kind.__name__} has {', '.join(known)}")
    prototype = encoder(**options) if isinstance(encoder, type) else clone(encoder).set_params(**options)
    _refuse_unsaved(prototype)
    if "random_state" not in options:
        prototype = prototype.with_seed(seed)
    residual = prototype if isinstance(prototype, ResidualEncoder) else ResidualEncoder(random_state=seed)
    return prototype, clone(residual).set_params(activation=None)


def _refuse_unsaved(encoder: Encoder) -> None:
    """Refuse parameters that no file can hold, before a fit is lost to them."""
    for name, value in plain(encoder.get_params(deep=False)).items():
        try:
            _refuse_unsaved(value) if isinstance(value, Encoder) else json.dumps(value)
        except TypeError as error:
            raise ValueError(
                f"{name}={value!r} of {type(encoder).__name__} cannot be saved with its fit; give numbers, texts or "
                "sequences of them"
            ) from error
