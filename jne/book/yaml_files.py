"""The one reader of YAML that a person wrote: parameter files, grid files, options of a cluster.

It reads what YAML 1.2 says. By YAML 1.1, which PyYAML follows, ``12:00:00`` is 43200, ``010`` is 8, ``08`` and ``1e-3``
are text, ``no`` is false, and of a name that is there twice the last one counts.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, ClassVar

import yaml
from yaml.constructor import ConstructorError
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from jne._core import check_held, read_text

_TAG = "tag:yaml.org,2002:"
_MERGE = f"{_TAG}merge"
_PLAIN = {  # the core schema, and the kinds of first characters
    "null": (r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    "bool": (r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    "int": (r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+", list("-+0123456789")),
    "float": (
        r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)",
        list("-+.0123456789"),
    ),
    "merge": ("<<", ["<"]),
}


class _Loader(yaml.SafeLoader):
    """YAML 1.2's plain scalars; no name twice; nothing but mappings, lists, texts, numbers, truth values and null."""

    yaml_implicit_resolvers: ClassVar[dict] = {}
    yaml_constructors: ClassVar[dict] = {}

    def construct_mapping(self, node: MappingNode, deep: bool = False) -> dict:
        if isinstance(node, MappingNode):
            self._refuse_twice(node)
        return super().construct_mapping(node, deep=True)

    def _refuse_twice(self, node: MappingNode) -> None:
        lines = {}
        for key_node, _ in node.value:
            if key_node.tag == _MERGE:
                continue
            key, line = self.construct_object(key_node, deep=True), key_node.start_mark.line + 1
            # A key that is a list is told by the reader itself.
            known = id(key_node) if isinstance(key, list | dict) else key
            if known in lines:
                told = f"{key!r} is given twice, in lines {lines[known]} and {line}; keep one"
                raise ConstructorError(None, None, told, key_node.start_mark)
            lines[known] = line

    def text(self, node: ScalarNode) -> str:
        value = self.construct_scalar(node)
        if node.style is None and (other := _by_yaml_1_1(value)) is not None:
            told = f"{value} is text to YAML 1.2 and {other} to YAML 1.1; write {other}, or '{value}' in quotes"
            raise ConstructorError(None, None, told, node.start_mark)
        return value

    def whole(self, node: ScalarNode) -> int:
        value = self.construct_scalar(node)
        return int(value, {"0o": 8, "0x": 16}.get(value[:2], 10))

    def number(self, node: ScalarNode) -> float:
        return float(self.construct_scalar(node).lower().replace(".inf", "inf").replace(".nan", "nan"))


for _name, (_pattern, _first) in _PLAIN.items():
    _Loader.add_implicit_resolver(f"{_TAG}{_name}", re.compile(f"^(?:{_pattern})$"), _first)
for _name, _construct in {
    "null": yaml.SafeLoader.construct_yaml_null,
    "bool": yaml.SafeLoader.construct_yaml_bool,
    "int": _Loader.whole,
    "float": _Loader.number,
    "str": _Loader.text,
    "seq": lambda loader, node: loader.construct_sequence(node, deep=True),
    "map": _Loader.construct_mapping,
}.items():
    _Loader.add_constructor(f"{_TAG}{_name}", _construct)
_Loader.add_constructor(None, yaml.SafeLoader.construct_undefined)


def _by_yaml_1_1(value: str) -> str | None:
    """What PyYAML made of a plain text that looks like a truth value or a number to YAML 1.1."""
    if value.lower() in ("yes", "on"):
        return "true"
    if value.lower() in ("no", "off"):
        return "false"
    # Times (12:00:00) and dates are meant as text.
    if ":" in value or not re.match(r"[-+]?[0-9.]", value):
        return None
    number = yaml.safe_load(value)
    return repr(number) if isinstance(number, int | float) else None


_VALUE = 10_000
"""Bytes that a value of a parameter takes in the end: in a run, its notebook, its record and its page."""


def _check_written_out(node: Node) -> None:
    """Refuse a file that becomes too large where `*name` stands for what `&name` was."""
    sizes: dict[int, int] = {}

    def size(node: Node) -> int:
        if id(node) in sizes:
            return sizes[id(node)]
        sizes[id(node)] = 0  # of a list within itself, which the constructor refuses
        if isinstance(node, ScalarNode):
            found = _VALUE + len(node.value)
        else:
            pairs = isinstance(node, MappingNode)
            found = sum(size(item) for entry in node.value for item in (entry if pairs else (entry,)))
        sizes[id(node)] = found
        return found

    check_held(size(node), "with every alias (*name) written out, it")


def line_of(file: Path, *keys: Any) -> int | None:
    """The line, from 1, at which an entry of a file that `load_yaml` read begins; ``keys`` lead to it."""
    loader = _Loader(read_text(file, "YAML"))
    node, line = loader.get_single_node(), None
    for key in keys:
        if isinstance(node, MappingNode):
            named = [(k, v) for k, v in node.value if loader.construct_object(k, deep=True) == key]
            if not named:
                return line
            line, node = named[-1][0].start_mark.line + 1, named[-1][1]
        elif isinstance(node, SequenceNode) and isinstance(key, int) and key < len(node.value):
            node = node.value[key]
            line = node.start_mark.line + 1
        else:
            return line
    return line


def load_yaml(file: Path):
    """The content of a YAML file, by YAML 1.2.

    Raises
    ------
    ValueError
        If it is not YAML, has a name twice in one mapping, or a word that YAML 1.1 and 1.2 read differently and both
        are in use (``yes``, ``off``, ``1_000``); the message names the file and the line.
    """
    if file.is_file() and not file.stat().st_size:
        return None
    text = read_text(file, "YAML")
    try:
        loader = _Loader(text)
        loader.name = str(file)
        node = loader.get_single_node()
        if node is None:
            return None
        _check_written_out(node)
        return loader.construct_document(node)
    except (yaml.YAMLError, ValueError, KeyError) as error:
        raise ValueError(f"{file}: {error}") from error
    except RecursionError:
        raise ValueError(f"{file}: lists and mappings are nested too deeply to be read") from None
