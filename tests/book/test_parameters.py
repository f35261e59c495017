"""Parameters as people write them: cells with lines of IPython, values of other kinds than a chapter's, any key."""

import math
from pathlib import Path

import nbformat
import pytest
from papermill.translators import papermill_translators

from jne._core import hash_parameters
from jne.batch import read_grid
from jne.book import execute
from jne.book.build import read_contents
from jne.book.notebooks import declared_parameters, make_presentable, read_parameters
from jne.book.parameter_cells import parse_cell
from jne.book.parameter_types import declared_types, fits

ROOT = Path(__file__).resolve().parents[2]
CHAPTERS = {name: ROOT / path for name, path in read_contents(ROOT)[0].items()}


def notebook(folder, source):
    cell = nbformat.v4.new_code_cell(source, metadata={"tags": ["parameters"]})
    path = folder / "mine.ipynb"
    nbformat.write(nbformat.v4.new_notebook(cells=[cell]), path)
    return path


MAGICS = {
    "a line": "%matplotlib inline\nsize = 1",
    "several": "size = 1\n%load_ext autoreload\n%autoreload 2",
    "of the whole cell": "%%time\nsize = 1",
    "a shell": "!ls -l\nsize = 1",
    "a question": "size = 1\n?size\nsize??",
    "in a block": "if True:\n    %pwd\nsize = 1",
    "over two lines": "%run \\\n    other.py\nsize = 1",
    "assigned": "files = !ls\nhome = %env HOME\nsize = 1",
    "awaited": "await thing()\nsize = 1",
    "none at all": "text = '''\n%no magic\n'''\nsize = 1 % 2",
}


@pytest.mark.parametrize("kind", MAGICS)
def test_lines_of_ipython_in_a_cell_of_parameters_are_no_python_and_no_error(tmp_path, kind):
    path = notebook(tmp_path, MAGICS[kind])
    names = {"assigned": ["files", "home", "size"], "none at all": ["text", "size"]}.get(kind, ["size"])
    assert list(declared_parameters(path)) == names
    make_presentable(path, {"size": 12345}, tmp_path)
    assert nbformat.read(path, 4).cells[0].source == MAGICS[kind].replace("size = 1", "size = 12345").replace(
        " % 2", ""
    )


def test_what_a_line_of_ipython_gives_is_replaced_as_any_default(tmp_path):
    path = notebook(tmp_path, "files = !ls *.é\nsize = 1")
    make_presentable(path, {"files": ["a"], "size": 2}, tmp_path)
    assert nbformat.read(path, 4).cells[0].source == "files = ['a']\nsize = 2"


NO_PYTHON = {
    "size = 1 +": "invalid syntax, in its line 1: size = 1 +",
    "a = 1\nsize = (": r"was never closed, in its line 2: size = \(",
    "a = 1\n  size = 2": "unexpected indent, in its line 2",
    "%%bash\necho hello": "invalid syntax, in its line 2: echo hello",
    "print 'hello'": "Missing parentheses",
    "size = " + "[" * 999 + "]" * 999: "too many nested parentheses",
    "size = '\0'": "null bytes",
}


@pytest.mark.parametrize("source", NO_PYTHON, ids=lambda source: source[:12])
def test_a_cell_that_is_no_python_is_named_with_its_line(tmp_path, source):
    with pytest.raises(ValueError, match=f"mine.ipynb: the cell tagged parameters is no Python.*{NO_PYTHON[source]}"):
        declared_parameters(notebook(tmp_path, source))


# Types --------------------------------------------------------------------------------

WRONG = {
    "all:\n  seed: 1\n  encoder_options:\n    lr: '1e-3'": "line 4: lr of encoder_options is '1e-3', a text; needed: a "
    "number. Write it without quotes",
    "all: {encoder_options: {lr: -1}}": "line 1: encoder_options: lr=-1; accepted is a number at least 0",
    "all: {encoder_options: {hiden_size: 3}}": "has 'hiden_size'; ResidualEncoder takes hidden_size, n_blocks,",
    "all: {encoder_options: {hidden_size: true}}": "hidden_size of encoder_options is True, true or false; needed: a",
    "all: {encoder_options: {activation: swish}}": "activation='swish'; accepted are 'relu',",
    "all: {encoder_options: null}": "encoder_options is None, null; needed: a mapping",
    "all: {n_bootstrap: 2e3}": "n_bootstrap is 2000.0, a number; needed: a whole number. Write 2000",
    "all: {seed: 12:00:00}": "seed is '12:00:00', a text; needed: a whole number",
    "all: {subjects: 3}": "needed: a list, each of it a whole number or a text",
    "all: {layer: 3}": "layer is 3, a whole number; needed: a text or null",
    "all: {dataset_options: {thin: '8'}}": "thin of dataset_options is '8', a text",
    "hierarchy:\n\n  layers: layer1": "line 3: layers is 'layer1', a text; needed: a whole number or a list,",
    "trust: {train_sizes: [100, 2.5]}": r"train_sizes is [100, 2.5], a list; needed: a list, each of it a whole number",
    "trust: {recovery_options: {encoder_options: {lr: x}}}": "lr of encoder_options is 'x'",
    "trust: {recovery_options: {n_train: 3}}": "recovery_options has 'n_train'; recover takes n_validation,",
    "paper: {best_layer: 1}": "best_layer is 1, a whole number; needed: true or false",
    "sample_selectivity: {cluster_options: {most: null}}": "most of cluster_options is None, null; needed: a whole",
}


@pytest.mark.parametrize("content", WRONG)
def test_a_value_of_another_kind_is_told_before_anything_runs(tmp_path, content):
    (tmp_path / "mine.yml").write_text(content)
    with pytest.raises(ValueError, match=r"mine\.yml, line \d") as error:
        read_parameters(tmp_path / "mine.yml", CHAPTERS, root=ROOT)
    assert WRONG[content] in str(error.value)


def test_what_chapters_declare_is_taken(tmp_path):
    (tmp_path / "mine.yml").write_text(
        "all: {encoder_options: {lr: 1e-3, weight_decay: 0, batch_size: null, activation: null}, subjects: [1, b.nc]}\n"
        "hierarchy: {layers: [layer1], layer: null}\nsimulations: {fit_options: {noise_ceilings: [0.1, 1]}}\n"
        "sample_selectivity: {cluster_options: {n_stimuli: null}}\n"
    )
    assert read_parameters(tmp_path / "mine.yml", CHAPTERS, root=ROOT)["hierarchy"]["layers"] == ["layer1"]


GRIDS = {
    "grid:\n  size:\n  - 1\n  - '2'": "line 5: size is '2', a text; needed: a whole number",
    "parameters: {rate: x}": "line 2: rate is 'x', a text; needed: a number",
    "parameters: {options.rate: [1]}\ngrid: {names: [a]}": "line 3: names is 'a', a text; needed: a list, each",
    "runs:\n- size: 1\n- {size: 2, flag: 0}": "line 4: flag is 0, a whole number; needed: true or false",
    "grid: {size.x: [1]}": "size is {'x': 1}, a mapping; needed: a whole number",
}


@pytest.fixture
def grid(tmp_path):
    notebook(
        tmp_path, "size = 1\nrate = 0.5\nflag = False\nnames = ['a']\noptions = {}\nanything = None\nmade = len('a')"
    )

    def read(content):
        (tmp_path / "grid.yml").write_text(f"notebooks: [mine.ipynb]\n{content}\n")
        return read_grid(tmp_path / "grid.yml")

    return read


@pytest.mark.parametrize("content", GRIDS)
def test_grids_are_checked_by_the_types_of_the_defaults(grid, content):
    with pytest.raises(ValueError, match=r"grid\.yml, line \d") as error:
        grid(content)
    assert GRIDS[content] in str(error.value)


def test_whole_numbers_are_numbers_and_none_and_expressions_say_nothing(grid):
    content = "parameters: {rate: 1, made: x, options.rate: x}\ngrid: {anything: [1, x, [2]], size: [010]}"
    assert [run.parameters["anything"] for run in grid(content).runs] == [1, "x", [2]]


def test_annotations_are_types_and_no_calls_are_made():
    source = "a: int | None = None\nb: list[int | str] = []\nc: open('x') = 1\nd: 'int' = 1\ne: dict[str, int] = {}"
    found = declared_types(parse_cell(source, "cell"))
    assert [fits(value, found["a"]) for value in (1, None, "x", 1.5)] == [True, True, False, False]
    assert [fits(value, found["b"]) for value in ([1, "x"], [], [None], "x")] == [True, True, False, False]
    assert all(fits(value, found[name]) for value in (1, "x", None) for name in "cd")


# Keys that are no texts --------------------------------------------------------------------------------

MAPPINGS = [
    {1: "a", 2: {3: [{4: None}]}},
    {"1": "x", 1: "y", 1.5: True, None: -math.inf},
    {-1: 'a"b\n{c}\\'},
    {"a": [0.1, math.inf]},
]


@pytest.mark.parametrize("value", MAPPINGS, ids=str)
def test_a_notebook_gets_mappings_with_the_keys_that_they_have(value):
    source = papermill_translators.find_translator("python3", "python").codify({"given": execute._written(value)})
    found = {}
    exec(source, found)  # as the kernel does
    assert found["given"] == value and repr(found["given"]) == repr(value)


@pytest.mark.parametrize("value", MAPPINGS, ids=str)
def test_keys_of_any_kind_have_a_place_in_the_id_of_a_run(value):
    assert hash_parameters({"p": value}) == hash_parameters({"p": dict(reversed(value.items()))})
    assert hash_parameters({"p": {1: 2}}) != hash_parameters({"p": {"1": 2}})
