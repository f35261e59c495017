"""No path of the machine on a page, whatever characters it has and wherever it stands."""

import ast
import html
import json
import sys
from pathlib import Path

import nbformat
import pytest

from jne._core import as_written
from jne.book import make_presentable
from jne.book.machine_paths import path_hider, presentable
from jne.book.notebooks import declared_parameters

FOLDERS = (
    "plain",
    "two words",
    "it's",
    'a "b"',
    'it\'s "c"',
    "back\\slash",
    "tab\there",
    "line\nbreak",
    "a{b}",
    "a&b <c>",
    "é",
)


def executed(path, outputs):
    v4 = nbformat.v4
    tagged = v4.new_code_cell("data = 'x'\nsubjects = [1]\noptions = {}", metadata={"tags": ["parameters"]})
    cells = [tagged, v4.new_code_cell("", outputs=outputs), v4.new_markdown_cell("Text.")]
    nbformat.write(v4.new_notebook(cells=cells), path)


@pytest.mark.parametrize("name", FOLDERS, ids=ascii)
def test_paths_are_hidden(tmp_path, name):
    v4 = nbformat.v4
    root, folder = tmp_path / f"clone {name}", tmp_path / name
    files = [folder / "one.nc", folder / "second file.nc"]
    for made in (root, folder):
        made.mkdir()
    for file in files:
        file.write_text("")
    values = {"data": str(files[0]), "subjects": [1, str(files[1])], "options": {"deep": {"file": str(files[1])}}}
    written = [str(files[0]), str(root / "book/a.ipynb"), str(root), str(Path.home() / "x"), sys.prefix + "/lib/x.py"]
    ways = [
        str,
        repr,
        json.dumps,
        html.escape,
        as_written,
        lambda text: str(ValueError([text])),
        lambda text: f"({text!r},)",
    ]
    texts = [way(text) for way in ways for text in written]
    outputs = [v4.new_output("stream", text="\n".join(texts))]
    outputs += [v4.new_output("display_data", data={"text/html": text, "text/markdown": text}) for text in texts]
    outputs += [v4.new_output("error", ename="E", evalue=texts[0], traceback=texts)]
    path = tmp_path / "executed.ipynb"
    executed(path, outputs)
    make_presentable(path, values, root)
    shown = nbformat.read(path, as_version=4)
    nbformat.validate(shown)
    cell = declared_parameters(shown)
    assert ast.literal_eval(cell["data"]) == "one.nc" and ast.literal_eval(cell["subjects"]) == [1, "second file.nc"]
    assert ast.literal_eval(cell["options"]) == {"deep": {"file": "second file.nc"}}
    assert "pytest-of" not in path.read_text() and str(tmp_path) not in path.read_text()
    lines = shown.cells[1].outputs[0].text
    assert "one.nc" in lines and "book/a.ipynb" in lines and "~/x" in lines and "lib/x.py" in lines


def test_what_is_no_path_stays(tmp_path):
    values = {"layer": "/conv/1", "note": "/", "long": "/" + "a" * 5000, "odd": "/\0", "n": 1, "data": "synthetic"}
    assert presentable(values) == values
    hide = path_hider([values], tmp_path)
    assert hide("layer /conv/1 of / and a/b") == "layer /conv/1 of / and a/b"
    assert hide(f"{tmp_path}-other and {tmp_path}/x and {tmp_path}") == f"{tmp_path}-other and x and ."
