"""Two commands that make the same dataset at the same time: one makes it, the other says so."""

import copies
import pytest
from nsd_tree import make_tree, write_features

import jne
from jne._core import alone
from jne.prepare import (
    prepare_algonauts,
    prepare_arrays,
    prepare_fsaverage,
    prepare_images,
    prepare_nifti,
    prepare_nsd,
    prepare_things,
)

MAKERS = {
    "arrays": lambda out: prepare_arrays("a.npz", [], out),
    "images": lambda out: prepare_images("images", "r.npy", out=out),
    "nifti": lambda out: prepare_nifti("s.csv", "f.h5", out),
    "fsaverage": lambda out: prepare_fsaverage("s.csv", "f.h5", out),
    "nsd": lambda out: prepare_nsd("root", 1, "f.h5", out),
    "things": lambda out: prepare_things("root", 1, "f.h5", out),
    "algonauts": lambda out: prepare_algonauts("root", 1, "f.h5", out),
}


@pytest.mark.parametrize("kind", MAKERS)
@pytest.mark.parametrize("there", [False, True])
def test_a_second_one_is_refused(tmp_path, kind, there):
    out = tmp_path / "out.nc"
    if there:
        out.write_text("of an earlier run")
    with alone(out), pytest.raises(BlockingIOError, match=r"another process writes .*out\.nc; wait until it has ended"):
        MAKERS[kind](out)
    with pytest.raises(ValueError, match=r"there is no|missing|has no folder"):
        MAKERS[kind](out)
    assert [path.name for path in tmp_path.iterdir()] == (["out.nc"] if there else [])


COMMAND = """
import sys
from jne.cli import main

_, text, *command = sys.argv
sys.stderr = open(text, "w")
main(command)
"""


@pytest.mark.slow
def test_of_two_commands_at_once_one_makes_the_dataset(tmp_path):
    write_features(make_tree(tmp_path / "nsd", subjects=(1,), surface=False), tmp_path / "f.h5")
    command = ["prepare", "nsd", "--root", tmp_path / "nsd", "--subject", 1, "--features", tmp_path / "f.h5"]
    said = [tmp_path / f"{number}.txt" for number in range(2)]
    runs = [copies.start(COMMAND, text, *command, "--out", tmp_path / "out.nc") for text in said]
    for run in runs:
        run.join(120)
    texts = [text.read_text() for text in said]
    # One that comes after the first has ended makes it once more.
    assert {run.exitcode for run in runs} <= {0, 1} and any(run.exitcode == 0 for run in runs), texts
    for run, text in zip(runs, texts, strict=True):
        assert (run.exitcode == 1) == ("another process writes" in text), text
    assert jne.load_dataset(tmp_path / "out.nc").n_stimuli
    assert sorted(path.name for path in tmp_path.iterdir()) == ["0.txt", "1.txt", "f.h5", "nsd", "out.nc"]
