"""Numbers that a notebook states are recorded under their names, and read from the executed notebook."""

import ast
from pathlib import Path

import nbformat
import pytest

from jne.book import execute_notebook, read_records

NOTEBOOKS = sorted((Path(__file__).resolve().parents[2] / "book").glob("*.ipynb"))
SHOWN = ("show", "remark", "Markdown")


def computed_texts(source):
    """Lines on which a text with a computed part goes to a caption or a remark: as it is, or by a variable."""
    tree = ast.parse(source)
    made = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign | ast.AugAssign):
            for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
                if isinstance(target, ast.Name):
                    made.setdefault(target.id, []).append(node.value)

    def is_computed(node, seen=()):
        for part in ast.walk(node):
            if isinstance(part, ast.JoinedStr) or (isinstance(part, ast.Attribute) and part.attr in ("format", "join")):
                return True
            if isinstance(part, ast.BinOp) and isinstance(part.op, ast.Mod):
                return True
            if isinstance(part, ast.Call) and isinstance(part.func, ast.Name) and part.func.id == "str":
                return True
            if isinstance(part, ast.Name) and part.id in made and part.id not in seen:
                if any(is_computed(value, (*seen, part.id)) for value in made[part.id]):
                    return True
        return False

    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in SHOWN:
            messages = node.args[1:2] if node.func.id == "show" else node.args[:1]
            found += [node.lineno for message in messages if is_computed(message)]
    return found


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_captions_of_chapters_are_templates(path):
    cells = [cell.source for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]
    assert [(number, computed_texts(source)) for number, source in enumerate(cells) if computed_texts(source)] == []


@pytest.mark.parametrize(
    "source",
    [
        'show(figure, f"R² is {r2:.2f}.")',
        'text = "R² is {}."\nremark(text.format(r2))',
        'text = "R²"\ntext += f" is {r2}."\nif r2:\n    show(figure, text, result, r2=r2)',
        'words = ", ".join(names)\nremark("Called: " + words)',
        'remark("R² is %.2f." % r2)',
        'remark("R² is " + str(r2))',
    ],
)
def test_a_computed_caption_is_found(source):
    assert computed_texts(source)


@pytest.mark.slow
def test_an_executed_notebook_has_what_its_captions_state(tmp_path):
    source = (
        "import jne, matplotlib.pyplot as plt\nfrom jne.plotting import each, remark, show\n"
        "show(plt.figure(), 'Median R² is {median_r2:.2f}.', median_r2=0.3141)\n"
        "remark('{n} areas: {share}', n=2, share=each('{name} {value:.1f}', {'V2': 0.25, 'V1': 0.125}))\n"
        "remark('no {fields}')\njne.record('last', 1)"
    )
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    notebook = nbformat.v4.new_notebook(metadata=kernel, cells=[nbformat.v4.new_code_cell(source)])
    nbformat.write(notebook, tmp_path / "a.ipynb")
    execute_notebook(tmp_path / "a.ipynb", tmp_path / "out/a.ipynb", {}, root=tmp_path)
    assert list(read_records(tmp_path / "out/a.ipynb").items()) == [
        ("last", 1), ("median_r2", 0.3141), ("n", 2), ("share.V2", 0.25), ("share.V1", 0.125)
    ]  # fmt: skip
    outputs = nbformat.read(tmp_path / "out/a.ipynb", as_version=4).cells[-1].outputs
    texts = [output.data.get("text/markdown") for output in outputs]
    assert texts == [None, "*Median R² is 0.31.*", "2 areas: V2 0.2, V1 0.1", "no {fields}", None]
