"""What the documentation says runs: the examples of every public name, the README's lines, the committed picture."""

import doctest
import inspect
import re
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import nbformat
import numpy as np
import pytest
from PIL import Image

import jne
from jne.book import SUMMARY, measured_texts, minutes_text, read_summary, summary_text
from jne.plotting import draw_idea, draw_strip

ROOT = Path(__file__).resolve().parent.parent
NUMBER = re.compile(r"-?\d+\.\d+")


@pytest.mark.parametrize("name", [name for name in jne.__all__ if name != "__version__"])
def test_examples_of_every_public_name_run(name):
    value = getattr(jne, name)
    text = inspect.getdoc(value)
    assert "Examples\n--------" in text, f"jne.{name} has no example in its docstring"
    test = doctest.DocTestParser().get_doctest(text, {}, f"jne.{name}", None, None)
    runner = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE)
    runner.run(test)
    assert test.examples and runner.tries and not runner.failures


def test_committed_picture_is_what_its_code_draws():
    committed, drawn = (ROOT / "book/_static/idea.svg").read_text(), draw_idea()
    # Coordinates may differ in the last digit from one processor to another.
    assert NUMBER.sub("#", committed) == NUMBER.sub("#", drawn)
    numbers = [np.array(NUMBER.findall(text), float) for text in (committed, drawn)]
    np.testing.assert_allclose(*numbers, atol=1e-4)


def test_the_readme_has_the_verdicts_and_the_strip_of_cortex_that_were_kept():
    """What `benchmarks/claims.py` wrote is what its code makes of what it kept."""
    verdicts, strip = read_summary(ROOT / SUMMARY)
    readme = (ROOT / "README.md").read_text()
    assert summary_text(verdicts) in readme and minutes_text(measured_texts(ROOT)) in readme
    committed = np.asarray(Image.open(ROOT / "book/_static/cortex.png").convert("RGB"), float)
    drawn = draw_strip(strip)
    # Fonts and rounding differ between machines, and the file has a palette.
    assert committed.shape == drawn.shape and np.abs(committed - drawn).mean() < 4


@pytest.mark.slow
def test_first_lines_of_the_readme_run_and_are_those_of_the_first_steps(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (block,) = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    cells = nbformat.read(ROOT / "book/first_steps.ipynb", as_version=4).cells
    lines = [
        line for cell in cells if "show-input" in cell.metadata.get("tags", []) for line in cell.source.splitlines()
    ]
    assert set(block.splitlines()[:7]) <= {*lines, ""}
    names = {}
    exec(block, names)
    result, data = names["result"], names["data"]
    assert result.jne.shape == (len(data.get("roi")),) and result.jne_ss.shape[0] == len(data.stimuli("test"))
    truth = np.argsort(np.argsort(data.get("true_nonlinearity")))
    rank = np.argsort(np.argsort(result.nonlinear_share.values))
    assert np.corrcoef(truth, rank)[0, 1] > 0.6
    assert names["own"].sizes == {"voxel": 10, "sample": 1000}


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md"])
def test_files_that_a_page_names_exist(page):
    text = (ROOT / page).read_text()
    named = set(re.findall(r"`((?:jne|book|tests|benchmarks|binder|\.ci)/[\w./]*)`", text))
    assert len(named) > 3
    assert not [path for path in named if not (ROOT / path).exists()]
    linked = [target for target in re.findall(r"\]\(([^)]+)\)", text) if not re.match(r"https?:|#", target)]
    assert not [target for target in linked if not (ROOT / target).exists()]
