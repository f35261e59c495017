"""Tensors and a header in one safetensors file: no pickle."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from jne._core.files import atomic_path
from jne._core.opening import plain_file


def write_tensors(tensors: Mapping[str, torch.Tensor], header: Mapping, path: str | Path, where: str) -> Path:
    """Write tensors, and a header of what JSON can hold (NumPy's as JSON's), atomically.

    Raises
    ------
    TypeError
        If JSON cannot hold a value; ``where`` says in which part of the header that may be.
    """

    def as_json(value: Any) -> Any:
        if isinstance(value, np.ndarray | np.generic):
            return value.tolist()
        raise TypeError(f"{value!r}, {where}, cannot be saved; give numbers, texts or sequences of them")

    text = json.dumps(header, default=as_json)
    tensors = {name: tensor.contiguous().cpu() for name, tensor in tensors.items()}
    with atomic_path(path, len(text) + sum(tensor.nbytes for tensor in tensors.values())) as part:
        save_file(tensors, part, metadata={"jne": text})
    return Path(path)


def read_tensors(path: str | Path, what: str = "encoder") -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
    """The header (empty in a file that `write_tensors` did not write) and the tensors, on the CPU.

    Raises
    ------
    ValueError
        If the file is damaged.
    """
    try:
        with safe_open(str(plain_file(path, what)), framework="pt") as file:
            header = json.loads((file.metadata() or {}).get("jne", "{}"))
            return header, {name: file.get_tensor(name) for name in file.keys()}
    # Of a header, JSON's own error is a ValueError that names no file.
    except (SafetensorError, json.JSONDecodeError) as error:
        raise ValueError(f"{path} is not a readable safetensors file: {error}") from error
