"""Tensors and a header in one safetensors file: no pickle."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from jne._core.damage import reading
from jne._core.digests import DIGEST, compare, guarded, parts_digest
from jne._core.files import atomic_path
from jne._core.opening import plain_file
from jne._core.plain_values import plain
from jne._core.versions import FORMAT_VERSION

_HEADER, _VERSION = "jne", "format_version"


def write_tensors(tensors: Mapping[str, torch.Tensor], header: Mapping, path: str | Path, where: str) -> Path:
    """Write tensors, and a header of what JSON can hold (NumPy's and torch's as JSON's), atomically.

    Raises
    ------
    TypeError
        If JSON cannot hold a value; ``where`` says in which part of the header that may be.
    """

    def refuse(value: Any) -> NoReturn:
        raise TypeError(f"{value!r}, {where}, cannot be saved; give numbers, texts or sequences of them")

    content = json.loads(json.dumps(plain({_VERSION: FORMAT_VERSION, **header}), default=refuse))
    tensors = {name: tensor.contiguous().cpu() for name, tensor in tensors.items()}
    # One entry: the library writes several in any order, and the same content gives the same bytes.
    text = json.dumps({**content, DIGEST: _digest(content, tensors)})
    with atomic_path(path, len(text) + sum(tensor.nbytes for tensor in tensors.values())) as part:
        save_file(tensors, part, metadata={_HEADER: text})
    return Path(path)


def read_tensors(path: str | Path, what: str = "encoder") -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
    """The header (empty in a file that `write_tensors` did not write) and the tensors, on the CPU.

    Raises
    ------
    DamagedError
        If the file is damaged, or not what was written.
    """
    with reading(path, what, "a safetensors file"):
        with safe_open(str(plain_file(path, what)), framework="pt") as file:
            text = (file.metadata() or {}).get(_HEADER)
            tensors = {name: file.get_tensor(name) for name in file.keys()}
        if text is None:
            return {}, tensors
        header = json.loads(text)
        given = header.pop(DIGEST, None)
        if guarded(given, header.get(_VERSION), path, what):
            compare(_digest(header, tensors), given, path, what)
        return header, tensors


def _digest(header: Mapping[str, Any], tensors: Mapping[str, torch.Tensor]) -> str:
    parts: dict[str, str | np.ndarray] = {"header": json.dumps(header)}
    for name, tensor in tensors.items():
        parts[f"tensor {name}"] = f"{tensor.dtype} {tuple(tensor.shape)}"
        parts[f"values {name}"] = tensor.reshape(-1).view(torch.uint8).numpy()
    return parts_digest(parts)
