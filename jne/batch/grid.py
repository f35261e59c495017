"""From a grid file to runs: which notebook with which parameters, each under an id that stays."""

from __future__ import annotations

import copy
import itertools
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from jne._core import check_held, code_hash, hash_parameters, sha256
from jne.batch.resources import Resources, as_mapping, read_resources, read_slurm
from jne.book import (
    declared_parameters,
    declared_types,
    existing_file,
    find_root,
    load_yaml,
    parameters_tree,
    read_contents,
    read_notebook,
    read_parameters,
    refuse_wrong_types,
)  # fmt: skip

_RUN = 50_000
"""Bytes that a run takes while a batch is at work, about: its parameters, task, record and row of the summary."""
_SECTIONS = ("notebooks", "parameters_file", "parameters", "grid", "runs", "resources", "slurm")


@dataclass(frozen=True)
class Run:
    """One notebook with one set of parameters.

    ``id`` changes with the notebook's cells, the parameters, the data file and the code of `jne`; ``varied`` holds the
    parameters that the grid, or the explicit list, sets for this run.
    """

    id: str
    notebook: Path
    parameters: dict
    varied: dict = field(default_factory=dict)

    @property
    def name(self) -> str:
        return f"{self.notebook.stem}-{self.id}"

    @property
    def label(self) -> str:
        return " ".join([self.notebook.stem, *(f"{key}={value}" for key, value in self.varied.items())])


@dataclass(frozen=True)
class Grid:
    """What a grid file says. ``root`` is the folder that notebooks run in."""

    name: str
    root: Path
    runs: tuple[Run, ...]
    resources: Resources
    slurm: dict


def read_grid(file: str | Path) -> Grid:
    """Read a grid file and expand it into runs.

    Parameters
    ----------
    file : path
        YAML with ``notebooks`` (chapters of the book by name, or notebooks by their path relative to this file);
        ``parameters_file`` (a parameter set or a file like those of ``book/params``) and, on top of it,
        ``parameters``; ``grid`` (names with lists of values, of which every combination is run) and ``runs`` (a list
        of single runs); ``resources`` (threads, gpu, memory, timeout) and ``slurm`` (options of the cluster, or a file
        of them). A name with a dot, such as ``encoder_options.activation``, sets one entry of a mapping.

    Raises
    ------
    ValueError
        If a section, a notebook or a parameter is not known, or a value is not of its kind.
    """
    file = existing_file(file, "GRID.yml")
    content = as_mapping(load_yaml(file), f"{file}", _SECTIONS)
    root = _root(file.parent)
    chapters = {name: root / path for name, path in read_contents(root)[0].items()} if _is_book(root) else {}
    selected = _notebooks(content.get("notebooks"), chapters, file)
    values = {name: {} for name in selected}
    if params := content.get("parameters_file"):
        params = file.parent / params if Path(params).suffix in (".yml", ".yaml") else params
        values = read_parameters(params, chapters | selected, root=root)

    shared = as_mapping(content.get("parameters"), f"{file}, parameters")
    grid = as_mapping(content.get("grid"), f"{file}, grid")
    for name, choices in grid.items():
        if not isinstance(choices, list) or not choices:
            raise ValueError(f"{file}, grid: {name} is {choices!r}; expected a list of values, such as [1, 2]")
    singles = content.get("runs") or []
    if not isinstance(singles, list):
        raise ValueError(f"{file}, runs: expected a list of mappings of parameters, with notebook where it is for one")
    declared = {name: set(declared_parameters(path)) for name, path in selected.items()}
    for name in [*shared, *grid]:
        if not any(name.split(".")[0] in names for names in declared.values()):
            accepted = ", ".join(sorted(set().union(*declared.values())))
            raise ValueError(f"{file}: no notebook has a parameter {name.split('.')[0]!r}; they have {accepted}")

    _check_types(file, shared, grid, singles, selected, {*chapters.values()})

    count = len(selected) * math.prod(map(len, grid.values())) + len(selected) * len(singles)
    check_held(_RUN * count, f"{file}: a grid of {count} runs")
    product = [dict(zip(grid, combination, strict=True)) for combination in itertools.product(*grid.values())]
    wanted = [(name, varied) for name in selected for varied in (product if grid or not singles else [])]
    wanted += [pair for single in singles for pair in _single(single, declared, file)]
    runs = {}
    for name, varied in wanted:
        known = {key: value for key, value in varied.items() if key.split(".")[0] in declared[name]}
        base = {key: value for key, value in shared.items() if key.split(".")[0] in declared[name]}
        parameters = _with(_with(values[name], base, file), known, file)
        run = Run(_id(selected[name], parameters), selected[name], parameters, known)
        # A notebook without one of the grid's parameters comes out the same several times.
        runs.setdefault(run.id, run)
    resources = read_resources(content.get("resources"), file)
    return Grid(file.stem, root, tuple(runs.values()), resources, read_slurm(content.get("slurm"), file))


def _is_book(folder: Path) -> bool:
    return (folder / "_toc.yml").is_file()


def _root(folder: Path) -> Path:
    """The book around the grid file, else the one that `jne book` would build, else the file's folder."""
    if around := next((place for place in (folder, *folder.parents) if _is_book(place)), None):
        return around
    try:
        return find_root()
    except ValueError:
        return folder


def _notebooks(names, chapters: dict[str, Path], file: Path) -> dict[str, Path]:
    names = [names] if isinstance(names, str) else names
    if not isinstance(names, list) or not names:
        raise ValueError(f"{file}: notebooks is missing; name chapters ({', '.join(chapters)}) or paths of notebooks")
    found = {}
    for name in map(str, names):
        if not name.endswith(".ipynb") and name not in chapters:
            raise ValueError(
                f"{file}: no chapter {name!r}; there are {', '.join(chapters)}, or give a path to a .ipynb"
            )
        path = chapters.get(name) or existing_file(file.parent / name, f"{file.name}, notebooks").resolve()
        if found.setdefault(path.stem, path) != path:
            raise ValueError(f"{file}: two notebooks are named {path.stem}; rename one")
    return found


def _single(single, declared: Mapping[str, set], file: Path) -> list[tuple[str, dict]]:
    single = dict(as_mapping(single, f"{file}, runs"))
    names = [Path(single.pop("notebook")).stem] if "notebook" in single else list(declared)
    for name in names:
        if name not in declared:
            raise ValueError(f"{file}, runs: {name!r} is not among notebooks ({', '.join(declared)})")
        if unknown := [key for key in single if key.split(".")[0] not in declared[name]]:
            accepted = ", ".join(sorted(declared[name]))
            raise ValueError(f"{file}, runs: {name} has no parameter {unknown[0]!r}; it has {accepted}")
    return [(name, single) for name in names]


def _check_types(
    file: Path, shared: Mapping, grid: Mapping, singles: list, selected: Mapping[str, Path], of_book: set[Path]
) -> None:
    """Refuse values of another kind than the notebooks declare, each with its line."""
    types = {name: declared_types(parameters_tree(path)) for name, path in selected.items()}
    chapters = {name for name, path in selected.items() if path in of_book}
    entries = [(("parameters", name), name, value, types) for name, value in shared.items()]
    for name, choices in grid.items():
        entries += [(("grid", name, i), name, value, types) for i, value in enumerate(choices)]
    for i, single in enumerate(singles):
        single = as_mapping(single, f"{file}, runs")
        only = Path(str(single.get("notebook", ""))).stem
        own = {only: types[only]} if only in types else types
        entries += [(("runs", i, name), name, value, own) for name, value in single.items() if name != "notebook"]
    for place, name, value, own in entries:
        refuse_wrong_types(file, place, name, value, own, chapters)


def _with(values: Mapping, changes: Mapping, file: Path) -> dict:
    """``values`` with ``changes``, where ``a.b`` is the entry b of the mapping a."""
    values = copy.deepcopy(dict(values))
    for name, value in changes.items():
        *outer, last = name.split(".")
        target = values
        for key in outer:
            target = target.setdefault(key, {})
            if not isinstance(target, dict):
                raise ValueError(f"{file}: {name} sets an entry of {key}, which is {target!r} and not a mapping")
        target[last] = value
    if str(data := values.get("data", "")).endswith(".nc"):
        values["data"] = str(existing_file(file.parent / data, f"{file.name}, data"))
    return values


def _id(notebook: Path, parameters: dict) -> str:
    cells = [(cell.cell_type, cell.source) for cell in read_notebook(notebook).cells]
    if str(data := parameters.get("data", "")).endswith(".nc"):
        # The content counts, not where the file lies.
        status = Path(data).stat()
        parameters = parameters | {"data": _content_hash(data, status.st_mtime_ns, status.st_size)}
    return hash_parameters({"cells": cells, "parameters": parameters, "code": code_hash()})[:12]


@cache
def _content_hash(path: str, modified: int, size: int) -> str:
    return sha256(path)
