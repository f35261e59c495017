"""The page *Data*: its example runs, its commands have the options that it names, its table knows every variable."""

import re
import shlex
from pathlib import Path

import pytest

import jne
from jne.cli import main
from jne.datasets import MINIMUM_TEST_STIMULI, SPLITS, STIMULUS_VARIABLES, VOXEL_VARIABLES, describe

PAGE = (Path(__file__).parents[1] / "book" / "data.md").read_text()


def blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


def test_the_example_writes_a_valid_dataset(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (example,) = blocks("python")
    names = {}
    exec(compile(example, "data.md", "exec"), names)
    data = jne.load_dataset("study.nc")
    data.check_values()
    facts = describe(data)
    assert facts["splits"] == {"train": 350, "validation": 50, "test": 100}
    assert (facts["n_voxels"], facts["layers"], facts["synthetic"]) == (30, {"clip": 20}, True)
    assert names["data"].hash == data.hash


COMMANDS = [
    shlex.split(line)
    for block in blocks("shell")
    for line in block.replace("\\\n", " ").splitlines()
    if line.lstrip().startswith("jne ")
]


@pytest.mark.parametrize("words", COMMANDS, ids=lambda words: " ".join(words[:3]))
def test_commands_have_the_options_that_the_page_names(words):
    command = main.commands[words[1]]
    command = command.commands[words[2]] if words[1] == "prepare" else command
    known = {option for parameter in command.params for option in parameter.opts}
    given = {word for word in words if word.startswith("--")}
    assert given and given <= known


def test_the_page_has_every_variable_of_the_format():
    table = PAGE[PAGE.index("## The dataset file") :]
    for name in (*STIMULUS_VARIABLES, *VOXEL_VARIABLES, "responses_repeats"):
        assert f"| `{name}` |" in table
    for name in SPLITS:
        assert name in table
    assert f"test ({MINIMUM_TEST_STIMULI})" in table
