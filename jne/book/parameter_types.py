"""What a parameter may be: what the chapter's own cell declares, and what takes its options; checked before a run."""

from __future__ import annotations

import ast
import importlib
import inspect
import types
import typing
from collections.abc import Callable, Container, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from numbers import Integral, Real
from pathlib import Path
from typing import Any

from jne.book.yaml_files import line_of

OPTIONS: dict[str, tuple[str, str, tuple[str, ...]]] = {
    "encoder_options": ("jne.encoders", "ResidualEncoder", ()),
    "dataset_options": ("jne.datasets", "synthetic_cortex", ()),
    "cluster_options": ("jne.datasets", "cluster_stimuli", ("datasets", "layer", "random_state")),
    "fit_options": ("jne.simulations", "fit_networks", ("configurations", "encoder_options", "random_state")),
    "scale_options": (
        "jne.simulations", "survey_residual",
        ("activations", "layouts", "distributions", "scales", "laws", "random_state"),
    ),
    "recovery_options": ("jne.simulations", "recover", ("random_state", "n_train")),
    "variation_options": ("jne.simulations", "vary", ("factor", "levels", "random_state")),
    "convergence_options": ("jne.simulations", "converge", ("n_samples", "random_state")),
}  # fmt: skip
"""Parameter of a chapter -> where what takes it stands, its name, and what the chapter gives it otherwise."""

_NULL = type(None)
_WORDS = {int: "a whole number", float: "a number", bool: "true or false", str: "a text", _NULL: "null", None: "null"}


_NAMES = {
    "int": int, "float": float, "bool": bool, "str": str, "Path": str, "list": list, "Sequence": list, "dict": dict,
    "Mapping": dict,
}  # fmt: skip


@dataclass(frozen=True)
class Fault:
    """What is wrong with an entry; ``keys`` lead from the parameter to it."""

    keys: tuple
    text: str


def declared_types(cell: ast.Module) -> dict[str, Any]:
    """Types of the names that a cell assigns: by their annotations, else those of their defaults."""
    found = {}
    for statement in cell.body:
        if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
            found[statement.target.id] = _annotated(statement.annotation)
        elif isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Name):
            with suppress(ValueError, TypeError):
                found[statement.targets[0].id] = _type_of(ast.literal_eval(statement.value))
    return found


def refuse_wrong_types(
    file: Path, place: tuple, name: str, value: Any, declared: Mapping[str, Mapping[str, Any]], chapters: Container[str]
) -> None:
    """Raise a ValueError with the line of ``file`` where a value is of another type than a notebook declares.

    Parameters
    ----------
    file : path
    place : tuple
        Keys that lead to the value in the file.
    name : str
        Of the parameter; with dots, of entries of mappings.
    value
    declared : mapping
        Types of the parameters of each notebook, by `declared_types`.
    chapters : container
        Notebooks of the book, whose options are those of functions.
    """
    first, *inner = name.split(".")
    for key in reversed(inner):
        value = {key: value}
    for notebook, known in declared.items():
        chapter = notebook in chapters
        # A chapter's None is that of a name.
        expected = str | None if chapter and known.get(first) is Any else known.get(first)
        if first in known and (fault := next(faults(first, value, expected, chapter), None)):
            line = line_of(file, *place, *fault.keys[len(inner) :])
            raise ValueError(f"{file}, line {line}: {fault.text}")


def faults(name: str, value: Any, expected: Any, chapter: bool) -> Iterator[Fault]:
    """What is wrong with a parameter's value: its type, and of a chapter's options what their taker says of them."""
    if not fits(value, expected):
        yield Fault((), _mismatch(name, value, expected))
    elif chapter and name in OPTIONS and isinstance(value, Mapping) and value:
        yield from _option_faults(name, value)


def _option_faults(name: str, options: Mapping) -> Iterator[Fault]:
    module, taker, given = OPTIONS[name]
    function = getattr(importlib.import_module(module), taker)
    known = {key: hint for key, hint in _hints(function).items() if key not in given}
    for key, value in options.items():
        if key not in known:
            yield Fault((key,), f"{name} has {key!r}; {taker} takes {', '.join(known)}")
        elif not fits(value, known[key]):
            yield Fault((key,), _mismatch(f"{key} of {name}", value, known[key]))
        elif key in OPTIONS and isinstance(value, Mapping):
            yield from (Fault((key, *fault.keys), fault.text) for fault in _option_faults(key, value))
        elif name == "encoder_options":
            try:
                function(**{key: value})
            except ValueError as error:
                yield Fault((key,), f"{name}: {error}")


def fits(value: Any, hint: Any) -> bool:
    """Whether a value of YAML is of a type; whole numbers are numbers, and a type that is not known takes anything."""
    origin, arguments = typing.get_origin(hint) or hint, typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        return any(fits(value, argument) for argument in arguments)
    if origin in (None, type(None)):
        return value is None
    if origin is bool:
        return isinstance(value, bool)
    if origin in (int, float):
        return isinstance(value, Integral if origin is int else Real) and not isinstance(value, bool)
    if origin is str:
        return isinstance(value, str)
    if origin is list:
        return isinstance(value, list) and all(fits(item, arguments[0]) for item in value if arguments)
    return isinstance(value, Mapping) if origin is dict else True


def _mismatch(name: str, value: Any, hint: Any) -> str:
    text = f"{name} is {value!r}, {_kind(value)}; needed: {_words(hint)}"
    if isinstance(value, str) and _reads_as_number(value):
        return f"{text}. Write it without quotes"
    if isinstance(value, float) and value.is_integer():
        return f"{text}. Write {int(value)}"
    return text


def _reads_as_number(text: str) -> bool:
    with suppress(ValueError):
        float(text)
        return True
    return False


def _kind(value: Any) -> str:
    if isinstance(value, bool | int | float | str | None):
        return _WORDS[type(value)]
    return "a list" if isinstance(value, list) else "a mapping"


def _words(hint: Any) -> str:
    origin, arguments = typing.get_origin(hint) or hint, typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        return " or ".join(_words(argument) for argument in arguments)
    if origin is list:
        return f"a list, each of it {_words(arguments[0])}" if arguments else "a list"
    return "a mapping" if origin is dict else _WORDS[origin]


def _type_of(default: Any) -> Any:
    """Nothing says what may stand in place of None."""
    if default is None:
        return Any
    kinds = {type(item) for item in default} if isinstance(default, list) else set()
    return list[kinds.pop()] if len(kinds) == 1 else type(default)  # type: ignore[misc]


def _annotated(node: ast.expr) -> Any:
    """The type that an annotation of plain names, ``|`` and brackets stands for; Any of every other."""
    if isinstance(node, ast.Name):
        return _NAMES.get(node.id, Any)
    if isinstance(node, ast.Constant):
        return None if node.value is None else Any
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
        return _annotated(node.left) | _annotated(node.right)
    if isinstance(node, ast.Subscript) and isinstance(node.value, ast.Name) and node.value.id in ("list", "Sequence"):
        return list[_annotated(node.slice)]  # type: ignore[misc]  # known when it runs
    return Any


def _hints(function: Callable) -> dict[str, Any]:
    """Annotations of a function's arguments, as types."""
    parameters = inspect.signature(function).parameters
    return {name: _annotated(ast.parse(str(p.annotation), mode="eval").body) for name, p in parameters.items()}
