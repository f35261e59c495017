"""YAML that a person wrote means what YAML 1.2 says, in parameter files and in grid files."""

import math
from pathlib import Path

import pytest
import yaml

from jne.batch import read_grid
from jne.book.build import read_contents
from jne.book.notebooks import read_parameters
from jne.book.yaml_files import load_yaml

ROOT = Path(__file__).resolve().parents[2]
CHAPTERS = {name: ROOT / path for name, path in read_contents(ROOT)[0].items()}


@pytest.fixture
def read(tmp_path):
    def read(content):
        path = tmp_path / "mine.yml"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return load_yaml(path)

    return read


MEANINGS = {
    "walltime: 12:00:00": {"walltime": "12:00:00"},
    "[1:30, 00:10:00, 190:20:30]": ["1:30", "00:10:00", "190:20:30"],
    "subject: [01, 08, 010]": {"subject": [1, 8, 10]},
    "[0o17, 0x1F, +7, -0, 0777]": [15, 31, 7, 0, 777],
    "lr: 1e-3": {"lr": 1e-3},
    "[1E-3, 1.e3, .5, -2.5e+1, -.inf]": [1e-3, 1000.0, 0.5, -25.0, -math.inf],
    "[true, False, TRUE]": [True, False, True],
    "[~, null, ]": [None, None],
    "date: 2023-05-01": {"date": "2023-05-01"},
    "[V1, '010', \"1e-3\", 'yes', y, n, 1.2.3, 1 2]": ["V1", "010", "1e-3", "yes", "y", "n", "1.2.3", "1 2"],
    "a: &x {k: 1}\nb: {<<: *x, k: 2}": {"a": {"k": 1}, "b": {"k": 2}},
    "名: 視覚野": {"名": "視覚野"},
    "": None,
}


@pytest.mark.parametrize("content", MEANINGS)
def test_plain_words_mean_what_yaml_1_2_says(read, content):
    found = read(content)
    assert found == MEANINGS[content] and repr(found) == repr(MEANINGS[content])


def test_a_byte_order_mark_is_no_part_of_the_first_name(read):
    assert read(b"\xef\xbb\xbfseed: 1") == {"seed": 1}


REFUSED = {
    "seed: 1\nlayer: x\nseed: 2": "'seed' is given twice, in lines 1 and 3; keep one",
    "options: {lr: 1, lr: 2}": "'lr' is given twice",
    "1: a\n01: b": "1 is given twice",
    "a: yes": "yes is text to YAML 1.2 and true to YAML 1.1; write true, or 'yes' in quotes",
    "a: Off": "write false, or 'Off' in quotes",
    "a: 1_000": "write 1000, or '1_000' in quotes",
    "a: 0b101": "write 5",
    "a: &x [*x]": "recursive",
    "? [a, b]\n: 1": "unhashable key",
    "a: !!python/name:os.system x": "could not determine a constructor",
    "a: !!timestamp 2023-05-01": "could not determine a constructor",
    "a: !!int x": "invalid literal",
    "a: [1": "line 1",
    "a: 1\n---\nb: 2": "single document",
    b"a: M\xfcller": "is not in UTF-8: line 1 has 'a: Müller'",
    "[" * 3000: "nested too deeply",
}


@pytest.mark.parametrize("content", REFUSED, ids=lambda content: str(content)[:20])
def test_what_is_ambiguous_or_broken_is_refused_with_the_file(read, content):
    with pytest.raises(ValueError, match=r"mine\.yml") as error:
        read(content)
    assert REFUSED[content] in str(error.value)


def test_the_files_of_the_repository_mean_the_same_as_before():
    files = [*(ROOT / "book/params").glob("*.yml"), *(ROOT / "book/grids").glob("*.yml"), ROOT / "examples/slurm.yml"]
    assert len(files) >= 6
    for file in files:
        assert load_yaml(file) == yaml.safe_load(file.read_text())


def test_parameter_files_come_in_by_this_reader(tmp_path):
    (tmp_path / "mine.yml").write_text("all: {seed: 010}")
    assert read_parameters(tmp_path / "mine.yml", CHAPTERS, root=ROOT)["trust"]["seed"] == 10
    (tmp_path / "mine.yml").write_text("all: {seed: 1, seed: 2}")
    with pytest.raises(ValueError, match="'seed' is given twice"):
        read_parameters(tmp_path / "mine.yml", CHAPTERS, root=ROOT)


def test_grid_files_and_options_of_a_cluster_come_in_by_this_reader(tmp_path):
    (tmp_path / "slurm.yml").write_text("walltime: 12:00:00\ncores: 08")
    grid = "notebooks: [trust]\ngrid:\n  seed: [01, 08, 010]\nslurm: slurm.yml\n"
    (tmp_path / "grid.yml").write_text(grid)
    found = read_grid(tmp_path / "grid.yml")
    assert found.slurm == {"walltime": "12:00:00", "cores": 8}
    assert [run.varied["seed"] for run in found.runs] == [1, 8, 10]
    (tmp_path / "grid.yml").write_text(grid + "notebooks: [intro]\n")
    with pytest.raises(ValueError, match="'notebooks' is given twice, in lines 1 and 5"):
        read_grid(tmp_path / "grid.yml")
