"""Chapters as functions: which parameters a notebook takes, and what a reader sees of those that were used."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from pathlib import Path
from pprint import pformat

from jne._core import encodable, install_extra, plain_file


def install_hint(missing: ModuleNotFoundError) -> str:
    """What to run when a package that only the book needs is missing."""
    return f"building the book needs {missing.name}, which is not installed; {install_extra('book')}"


try:
    import nbformat

    from jne.book.machine_paths import hide_in, path_hider, presentable
    from jne.book.notebook_files import read_notebook
    from jne.book.parameter_cells import parse_cell
    from jne.book.parameter_types import declared_types, refuse_wrong_types
    from jne.book.yaml_files import load_yaml
except ModuleNotFoundError as missing:
    raise ModuleNotFoundError(install_hint(missing)) from missing


def declared_parameters(notebook: str | Path | nbformat.NotebookNode) -> dict[str, ast.expr]:
    """Names assigned in the cell tagged ``parameters``, with the expressions of their defaults.

    Raises
    ------
    ValueError
        If the file is no notebook, or that cell no Python.
    """
    declared: dict[str, ast.expr] = {}
    for statement in parameters_tree(notebook).body:
        if isinstance(statement, ast.Assign | ast.AnnAssign) and statement.value is not None:
            target = statement.targets[0] if isinstance(statement, ast.Assign) else statement.target
            if isinstance(target, ast.Name):
                declared[target.id] = statement.value
    return declared


def parameters_tree(notebook: str | Path | nbformat.NotebookNode) -> ast.Module:
    """The syntax tree of the cell tagged ``parameters``, empty where there is none; errors as `declared_parameters`."""
    # Papermill's own inspection goes line by line and misses defaults that hold an equals sign.
    where = "the cell tagged parameters"
    if not isinstance(notebook, nbformat.NotebookNode):
        where = f"{notebook}: {where}"
        notebook = read_notebook(notebook)
    cell = _tagged(notebook, "parameters")
    return parse_cell(cell.source if cell else "", where)


def read_parameters(
    params: str | Path, notebooks: Mapping[str, Path], *, data: Path | None = None, root: Path
) -> dict[str, dict]:
    """Parameters of each notebook, from a YAML file with a section ``all`` and one per notebook.

    ``all`` goes to every notebook that declares the name, and a notebook's own section wins over it. A name that no
    cell tagged ``parameters`` declares is refused, and so is a value of another kind than it declares. In a file, a
    dataset's path is relative to that file.
    """
    sets = sorted((root / "book/params").glob("*.yml"))
    file = next((path for path in sets if path.stem == str(params)), None)
    if file is None and Path(params).suffix not in (".yml", ".yaml"):
        known = ", ".join(path.stem for path in sets)
        raise ValueError(f"params: no parameter set {str(params)!r}; there are {known}, or give a YAML file")
    file = file or existing_file(params, "params", content=False)
    sections = load_yaml(file) or {}
    if not isinstance(sections, dict) or not all(isinstance(s, dict | None) for s in sections.values()):
        raise ValueError(f"{file}: expected sections (all, {', '.join(notebooks)}), each with names and values")
    sections = {section: dict(content or {}) for section, content in sections.items()}
    if unknown := [section for section in sections if section not in {"all", *notebooks}]:
        raise ValueError(f"{file}: no notebook {unknown[0]!r}; sections are all, {', '.join(notebooks)}")
    for content in sections.values():
        if str(content.get("data", "")).endswith(".nc"):
            content["data"] = str(existing_file(file.parent / content["data"], f"{file.name}, data"))

    declared = {name: list(declared_parameters(path)) for name, path in notebooks.items()}
    shared = sections.pop("all", {}) | ({"data": str(data)} if data else {})
    for parameter in shared:
        if not any(parameter in names for names in declared.values()):
            accepted = ", ".join(dict.fromkeys(name for names in declared.values() for name in names))
            raise ValueError(f"{file}: no notebook has a parameter {parameter!r}; they have {accepted}")
    for section, content in sections.items():
        for parameter in content:
            if parameter not in declared[section]:
                accepted = ", ".join(declared[section])
                raise ValueError(f"{file}: the notebook {section} has no parameter {parameter!r}; it has {accepted}")
    types = {name: declared_types(parameters_tree(path)) for name, path in notebooks.items()}
    chapters = {name for name, path in notebooks.items() if path.is_relative_to(root / "book")}
    for section, content in (("all", shared), *sections.items()):
        own = types if section == "all" else {section: types[section]}
        for parameter, value in content.items():
            refuse_wrong_types(file, (section, parameter), parameter, value, own, chapters)
    values = {}
    for name, names in declared.items():
        values[name] = {key: value for key, value in shared.items() if key in names} | sections.get(name, {})
        if data and "data" in names:
            values[name]["data"] = str(data)
    return values


def make_presentable(path: Path, values: Mapping, root: Path) -> None:
    """Show the parameters that were used in place of the defaults, and no path of this machine."""
    notebook = read_notebook(path)
    notebook.cells = [cell for cell in notebook.cells if "injected-parameters" not in cell.metadata.get("tags", [])]
    if cell := _tagged(notebook, "parameters"):
        # Columns in a syntax tree count bytes.
        lines = [line.encode() for line in cell.source.splitlines(keepends=True)]
        starts = [sum(map(len, lines[:i])) for i in range(len(lines))]
        source = b"".join(lines)
        declared = declared_parameters(notebook)
        for name, node in sorted(declared.items(), key=lambda item: -item[1].lineno):
            if name in values:
                first = starts[node.lineno - 1] + node.col_offset
                last = starts[node.end_lineno - 1] + node.end_col_offset
                value = pformat(presentable(values[name]), width=80 - node.col_offset, sort_dicts=False)
                value = value.replace("\n", "\n" + " " * node.col_offset)
                source = source[:first] + value.encode() + source[last:]
        cell.source = source.decode()
    for node in (notebook, *notebook.cells):
        node.metadata.pop("papermill", None)
    nbformat.write(hide_in(notebook, path_hider([values], root)), path)


def existing_file(path: str | Path, argument: str, *, content: bool = True) -> Path:
    """The absolute path of a file that notebooks are told of, as `jne._core.plain_file`."""
    path = plain_file(nameable(Path(path).expanduser().absolute(), argument), argument, content=content)
    if not path.is_file():
        raise FileNotFoundError(f"{argument}: there is no file {path}")
    return path


def nameable(path: Path, argument: str) -> Path:
    """``path``, unless notebooks and pages cannot hold its name.

    Raises
    ------
    ValueError
        If the name is not in UTF-8.
    """
    if encodable(str(path)) != str(path):
        raise ValueError(
            f"{argument}: the path {encodable(str(path))} is not in UTF-8, as it must be in notebooks and pages; "
            "rename it, or give a link to it: ln -s PATH NAME"
        )
    return path


def _tagged(notebook: nbformat.NotebookNode, tag: str) -> nbformat.NotebookNode | None:
    return next((cell for cell in notebook.cells if tag in cell.metadata.get("tags", [])), None)
