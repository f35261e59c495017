"""What a folder of a transformers model may name: files in it, and nothing that brings code or another model along."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from jne._core import RefusedError, check_held, plain_file, read_json

CONFIGS = ("config.json", "preprocessor_config.json")
_ALSO_READ = ("processor_config.json", "generation_config.json")
_ADAPTER = "adapter_config.json"
_ATTENTION = ("eager", "sdpa")
_OTHER_MODELS = ("backbone", "architecture", "transformers_weights", "base_model_name_or_path")
_COUNTS = re.compile(r"(layers|depths?|blocks|stages)$")
_MOST_LAYERS = 1000


def check_model_folder(folder: Path, model: str) -> None:
    """Refuse a folder of which transformers would wait, run code, or open what is not in it.

    Parameters
    ----------
    folder : path
        Where `CONFIGS` are.
    model : str
        What errors call it.

    Raises
    ------
    RefusedError
        If a file that is read is no plain one or too large, or `config.json` names another model, an attention whose
        code is fetched, or more layers than any model has.
    ValueError
        If a file is no JSON.
    """
    for name in (*CONFIGS, *_ALSO_READ):
        if plain_file(folder / name, f"model {model}").is_file():
            for place, value in _entries(_object(folder / name, model)):
                _check_entry(place, value, f"model {model}: {folder / name}")
    if plain_file(folder / _ADAPTER, f"model {model}").is_file():
        raise RefusedError(
            f"model {model}: {folder / _ADAPTER} makes the folder an adapter of another model, which is not opened; "
            "needed: a folder with all weights. Merge the adapter into its model and save that"
        )


def _object(path: Path, model: str) -> dict[str, Any]:
    content = read_json(path, f"model {model}")
    if not isinstance(content, dict):
        raise ValueError(f"model {model}: {path} is no JSON object; needed: names and their values")
    return content


def shards(index: Path, model: str) -> list[Path]:
    """The files that hold the weights which ``index`` lists, by name.

    Raises
    ------
    RefusedError
        If it names anything but files beside it, which are safetensors.
    """
    names = _object(index, model).get("weight_map")
    if not isinstance(names, dict) or not names:
        raise ValueError(f"model {model}: {index} has no weight_map of arrays and their files")
    for name in names.values():
        if not isinstance(name, str) or not re.fullmatch(r"[^/\\:\0]+\.safetensors", name):
            raise RefusedError(
                f"model {model}: {index} names the file {name!r}; needed: the name of a file in that folder, which "
                "ends in .safetensors"
            )
    return [index.with_name(name) for name in sorted(set(names.values()))]


def check_weights(files: Sequence[Path], model: str) -> None:
    """Refuse weights that are no plain files, or together take more memory than is allowed."""
    size = sum(_unpacked(plain_file(file, f"model {model}")) for file in files)
    check_held(size, f"model {model}: the weights in {files[0].parent}")


def _unpacked(file: Path) -> int:
    if file.suffix == ".bin" and zipfile.is_zipfile(file):
        with zipfile.ZipFile(file) as content:
            return sum(info.file_size for info in content.infolist())
    return file.stat().st_size


def _entries(content: object) -> Iterator[tuple[str, object]]:
    """All names of an object and of what is in it, with their values."""
    waiting: list[object] = [content]
    while waiting:
        item = waiting.pop()
        if isinstance(item, dict):
            yield from item.items()
        waiting += item.values() if isinstance(item, dict) else item if isinstance(item, list) else ()


def _check_entry(name: str, value: object, place: str) -> None:
    values = list(value.values()) if isinstance(value, dict) else value if isinstance(value, list) else [value]
    if name in _OTHER_MODELS and isinstance(value, str):
        raise RefusedError(f"{place}: {name}={value!r} names another model or file, which is not opened")
    if name in ("attn_implementation", "_attn_implementation"):
        if unknown := [item for item in values if item is not None and item not in _ATTENTION]:
            raise RefusedError(
                f"{place}: {name}={unknown[0]!r} needs code from elsewhere; accepted: {' and '.join(_ATTENTION)}"
            )
    if _COUNTS.search(name) and any(isinstance(item, int) and item > _MOST_LAYERS for item in values):
        raise RefusedError(f"{place}: {name}={value!r} is too many; accepted: at most {_MOST_LAYERS} layers")
