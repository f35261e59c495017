"""The page *The package* lists what chapters import, and gives every docstring in full."""

import ast
import importlib
import inspect
import json
import pydoc
import re
from functools import cache
from pathlib import Path
from unittest.mock import MagicMock

import nbformat
import pytest

import jne
from jne.book.sphinx_extension import setup

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "book/api.md").read_text()
CALLED = re.findall(r"^ +~?(jne\.[\w.]+)$", PAGE, re.MULTILINE)
CONSTANTS = re.findall(r"^\.\. py:data:: ([\w.]+)$", PAGE, re.MULTILINE)
NOTEBOOKS = sorted((ROOT / "book").glob("*.ipynb"))


def imported_names(path: Path) -> set[str]:
    """Whatever a notebook takes from jne, by import or as an attribute of what it imported, by its dotted name."""
    cells = ["".join(cell["source"]) for cell in json.loads(path.read_text())["cells"] if cell["cell_type"] == "code"]
    nodes = list(ast.walk(ast.parse("\n".join(cells))))
    modules, names = {}, set()
    for node in nodes:
        if isinstance(node, ast.Import):
            modules |= {alias.asname or alias.name: alias.name for alias in node.names if alias.name == "jne"}
        elif isinstance(node, ast.ImportFrom) and node.module.split(".")[0] == "jne":
            for alias in node.names:
                name = f"{node.module}.{alias.name}"
                if inspect.ismodule(pydoc.locate(name)):
                    modules[alias.asname or alias.name] = name
                else:
                    names.add(name)
    for node in nodes:
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in modules:
            names.add(f"{modules[node.value.id]}.{node.attr}")
    return names


@cache
def listed() -> set[int]:
    return {id(pydoc.locate(name)) for name in CALLED}


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_what_a_chapter_imports_is_on_the_page(path):
    imported = {name: id(pydoc.locate(name)) for name in imported_names(path) - set(CONSTANTS)}
    assert not [name for name, value in imported.items() if value not in listed()]


def test_imports_are_found_in_every_way_of_writing_them(tmp_path):
    code = (
        "import jne\nfrom jne import simulations as s\nfrom jne.statistics import spearman as r\ns.vary\njne.record(r)"
    )
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(code)])
    nbformat.write(notebook, tmp_path / "one.ipynb")
    assert imported_names(tmp_path / "one.ipynb") == {"jne.simulations.vary", "jne.statistics.spearman", "jne.record"}


def test_every_name_on_the_page_is_a_public_one_with_a_docstring_and_is_there_once():
    for name in (*CALLED, *CONSTANTS):
        module, _, last = name.rpartition(".")
        assert last in getattr(importlib.import_module(module), "__all__", [last]), name
        assert pydoc.locate(name) is not None, name
    assert {f"jne.{name}" for name in jne.__all__} <= {*CALLED, "jne.__version__"}
    assert len({id(pydoc.locate(name)) for name in CALLED}) == len(CALLED) and len(set(CONSTANTS)) == len(CONSTANTS)
    first = {name: (inspect.getdoc(pydoc.locate(name)) or "").split("\n")[0] for name in CALLED}
    assert not [name for name, line in first.items() if not line.endswith(".")]


def test_every_listed_name_stands_under_the_heading_of_its_part():
    heading = None
    for line in PAGE.splitlines():
        if found := re.fullmatch(r"### .*`(jne\.[\w.]+)`", line):
            heading = found[1]
        elif found := re.fullmatch(r" +jne\.(\w+)", line):
            module = pydoc.locate(f"jne.{found[1]}").__module__
            # What several wings share is at the ground, and listed where it is used.
            assert f"{module}.".startswith((f"{heading}.", "jne._core.")), line
        elif found := re.fullmatch(r"(?: +~|\.\. py:data:: )(jne\.[\w.]+)", line):
            assert found[1].rpartition(".")[0] == heading, line


def test_docstrings_follow_the_lists_with_inherited_methods():
    hooks = {}
    app = MagicMock()
    app.connect = lambda event, hook, **_: hooks.setdefault(event, hook)
    setup(app)
    source = [
        "## At a glance\n\n### Encoders\n\n.. autosummary::\n\n   jne.RidgeEncoder\n   ~jne.statistics.spearman\n"
    ]
    hooks["source-read"](None, "book/api", source)
    full = source[0].partition("\n## Encoders\n")[2]
    assert ".. autoclass:: jne.RidgeEncoder\n   :members:\n   :inherited-members: BaseEstimator\n" in full
    assert ".. autofunction:: jne.statistics.spearman\n```" in full
    other = ["# A page without lists\n"]
    hooks["source-read"](None, "book/method", other)
    assert other == ["# A page without lists\n"]


def test_page_of_commands_begins_with_a_list_and_keeps_the_indents_of_examples():
    hooks = {}
    app = MagicMock()
    app.connect = lambda event, hook, **_: hooks.setdefault(event, []).append(hook)
    setup(app)
    source = [(ROOT / "book/cli.md").read_text()]
    for hook in hooks["source-read"]:
        hook(None, "book/cli", source)
    listed = re.findall(r'^\| <a href="#([\w-]+)"><code>(jne [\w ]+)</code></a> \| \w.*\. \|$', source[0], re.MULTILINE)
    assert ("jne-prepare-nsd", "jne prepare nsd") in listed and ("jne-batch", "jne batch") in listed
    assert source[0].index("jne prepare nsd") < source[0].index(".. click::")

    (mend,) = hooks["sphinx-click-process-description"]
    lines = ["Runs.", "", "| A GRID.yml:", "|   grid:", "|     x: [1]", "", "| Example:", "|   jne batch \\", ""]
    mend(None, None, lines)
    assert lines == [
        "Runs.", "", "A GRID.yml:", "", ".. code-block:: text", "", "   grid:", "     x: [1]", "", "",
        "Example:", "", ".. code-block:: shell", "", "   jne batch \\", "", "",
    ]  # fmt: skip


def test_references_of_docstrings_have_plain_numbers():
    hooks = {}
    app = MagicMock()
    app.connect = lambda event, hook, **_: hooks.update({event: hook})
    setup(app)
    context = {"script_files": [], "body": "<p>As published <span>[R45afec85dff4-1]</span>.</p>"}
    hooks["html-page-context"](app, "book/api", "page.html", context, None)
    assert context["body"] == "<p>As published <span>[1]</span>.</p>"
