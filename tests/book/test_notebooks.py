"""Every chapter in the repository keeps the conventions that the book relies on."""

import ast
import re
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import MagicMock

import nbformat
import pandas as pd
import pytest
import yaml

from jne._core import plain_value
from jne.book.build import read_contents
from jne.book.notebooks import declared_parameters, read_parameters
from jne.measures import short_label

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOKS = sorted(path for path in (ROOT / "book").rglob("*.ipynb") if ".ipynb_checkpoints" not in path.parts)
each_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


def code_cells(path):
    return [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]


def test_contents_name_every_notebook():
    chapters, pages = read_contents(ROOT)
    assert sorted(ROOT / path for path in chapters.values()) == NOTEBOOKS
    assert sorted(ROOT / path for path in pages) == sorted((ROOT / "book").glob("*.md"))


@pytest.mark.parametrize("name", ["quick", "demo", "paper"])
def test_parameter_sets_fit_the_notebooks(name):
    chapters, _ = read_contents(ROOT)
    read_parameters(name, {chapter: ROOT / path for chapter, path in chapters.items()}, root=ROOT)


@pytest.mark.parametrize(("name", "n_bootstrap"), [("quick", 2000), ("demo", 2000), ("paper", 200)])
def test_parameter_sets_have_bootstraps_enough_to_call_voxels_but_for_the_papers_own(name, n_bootstrap):
    assert yaml.safe_load((ROOT / f"book/params/{name}.yml").read_text())["all"]["n_bootstrap"] == n_bootstrap
    chapters = [declared_parameters(path) for path in NOTEBOOKS]
    assert {ast.literal_eval(d["n_bootstrap"]) for d in chapters if "n_bootstrap" in d} == {2000}


def test_no_scenario_of_the_hierarchy_has_a_gate():
    # With the gate on, late areas are harder to learn, and "flat, flat" is no null.
    (cell,) = [cell for cell in code_cells(ROOT / "book/hierarchy.ipynb") if "scenarios = {}" in cell.source]
    asked = []
    jne = SimpleNamespace(load_dataset=lambda data, **options: asked.append(options), run_study=MagicMock())
    names = {"data": "synthetic", "subject": 1, "layer": None, "settings": {}, "simulate": True}
    names["synthetic_options"] = {"gate": True}
    exec(cell.source, {**names, "jne": jne})
    assert len(asked) == 4 and [options["gate"] for options in asked] == [False] * 4
    exec(cell.source, {**names, "simulate": False, "jne": SimpleNamespace()})  # nothing is asked for


@pytest.mark.parametrize("rho", [None, 0.5])
def test_a_run_of_the_hierarchy_records_verdicts_and_trends_under_the_same_names_for_every_subject(rho, monkeypatch):
    tail = code_cells(ROOT / "book/hierarchy.ipynb")[-1]
    verdict = {"id": "l2", "verdict": "holds", "value": 0.99}
    monkeypatch.setattr("jne.study.judge_studies", lambda studies: [verdict] if studies == "studies" else [])
    found = {}
    trends = pd.DataFrame({"rho": [rho]}, pd.MultiIndex.from_tuples([("subject 3", "jne")], names=["", "measure"]))
    names = {"has_levels": rho is not None, "scenarios": {}, "claims": True, "studies": "studies", "plain": trends}
    first = SimpleNamespace(attrs={"synthetic": 1})
    jne = SimpleNamespace(record=lambda name, value: found.update({name: plain_value(name, value)}))
    exec(
        tail.source, {**names, "results": {"subject 3": first}, "first": first, "jne": jne, "short_label": short_label}
    )
    trend = {} if rho is None else {"trend": {"JNE": rho}}
    assert found == {"synthetic": True, **trend, "claim": {"l2": "holds"}, "claim value": {"l2": 0.99}}


@each_notebook
def test_parameters_cell(path):
    tags = [tag for cell in code_cells(path) for tag in cell.metadata.get("tags", [])]
    assert tags.count("parameters") == 1 and "injected-parameters" not in tags
    declared = declared_parameters(path)
    assert {"data", "subject", "layer", "seed"} <= set(declared)
    for default in declared.values():
        ast.literal_eval(default)  # a derived value belongs in the next cell


@each_notebook
def test_committed_without_outputs(path):
    for cell in code_cells(path):
        assert not cell.outputs and cell.execution_count is None, cell.source
        assert "papermill" not in cell.metadata and "execution" not in cell.metadata


@each_notebook
def test_reads_well(path):
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    first = notebook.cells[0]
    assert first.cell_type == "markdown" and first.source.startswith("# ")
    for cell in code_cells(path):
        assert len(cell.source.splitlines()) <= 15, cell.source
        assert cell.source.strip(), "an empty cell"


@each_notebook
def test_no_absolute_path(path):
    for cell in nbformat.read(path, as_version=4).cells:
        found = re.search(r"(?<![\w:/.])(?:/(?:home|work|Users|tmp|mnt|data|root)/|[A-Za-z]:\\\\)\S*", cell.source)
        assert found is None, found[0]
