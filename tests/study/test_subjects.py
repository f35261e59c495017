"""Several subjects and layers: which datasets and layers the chapters take."""

import subprocess
import sys
import threading

import pytest
from filelock import FileLock

from jne.datasets import save_dataset
from jne.encoders import ResidualEncoder
from jne.study.study import run_study
from jne.study.subjects import choose_layers, load_subjects, run_subjects

OPTIONS = {"thin": 200, "n_train": 40, "n_validation": 10, "n_test": 10, "n_features": 16, "cache": False}


def test_subjects_of_the_synthetic_cortex_come_once_each_in_the_order_given():
    subjects = load_subjects("synthetic", [2, 1, 2], OPTIONS)
    assert list(subjects) == ["subject 2", "subject 1"]
    assert subjects["subject 1"].attrs["subject"] == 1
    with pytest.raises(ValueError, match="subjects is empty"):
        load_subjects("synthetic", [])


def test_a_file_is_the_first_subject_and_numbers_are_passed_over(tiny_content, tmp_path):
    files = [str(tmp_path / name) for name in ("one.nc", "two.nc")]
    for file in files:
        save_dataset(tiny_content, file)
    assert [one.path.name for one in load_subjects(files[0], [1, 2, 3]).values()] == ["one.nc"]
    both = load_subjects(files[0], [1, files[1]], OPTIONS)
    assert list(both) == ["subject 1", "subject 2"] and both["subject 2"].path.name == "two.nc"


def test_layers_are_spread_evenly_and_hold_the_default(tiny_dataset):
    synthetic = next(iter(load_subjects("synthetic", [1], OPTIONS).values()))
    assert choose_layers(synthetic, 3) == ["layer1", "layer3", "layer4"]
    assert choose_layers(synthetic, 2) == ["layer1", "layer3"]
    assert choose_layers(synthetic, 1) == ["layer3"]
    assert choose_layers(synthetic, 12) == synthetic.layers
    assert choose_layers(synthetic, ["layer4"]) == ["layer4"]
    assert choose_layers(tiny_dataset, 1) == ["deep"]
    with pytest.raises(ValueError, match="no layer 'layer9'; it has layer1, layer2"):
        choose_layers(synthetic, ["layer9"])
    with pytest.raises(ValueError, match="layers=0; needed: at least 1"):
        choose_layers(synthetic, 0)


def test_two_processes_share_the_studies_of_several_subjects(tmp_path, monkeypatch):
    """One that finds a study taken goes on with the next; nothing is fitted twice."""
    monkeypatch.setenv("JNE_RESULTS", str(tmp_path))
    options = {"thin": 64, "n_train": 200, "n_validation": 50, "n_test": 50}
    datasets = load_subjects("synthetic", [1, 2, 3], options)
    settings = {"encoder_options": {"hidden_size": 8, "max_epochs": 2}, "n_bootstrap": 10}
    order = []
    inner = ResidualEncoder.fit
    monkeypatch.setattr(
        ResidualEncoder, "fit", lambda self, data, **k: order.append(data.name) or inner(self, data, **k)
    )
    first = run_study(datasets["subject 1"], **settings)
    (first.folder / "study.nc").rename(first.folder / "there.nc")
    order.clear()
    # The other process has the study, and ends a little later.
    other = "import sys, time, pathlib\nfrom jne._core import one_at_a_time\npath = pathlib.Path(sys.argv[1])\n"
    other += "with one_at_a_time(path):\n    print('has it', flush=True)\n    sys.stdin.readline()\n"
    other += "    path.with_name('there.nc').rename(path)"
    streams = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen([sys.executable, "-c", other, str(first.folder / "study.nc")], **streams) as process:
        assert process.stdout.readline() == "has it\n"
        ending = threading.Timer(1, lambda: process.communicate("go\n"))
        ending.start()
        studies = run_subjects(datasets, **settings)
        ending.join()
    assert list(studies) == list(datasets)
    assert [name for name in order if name == datasets["subject 1"].name] == []
    assert len(order) == 4  # two encoders of each of the others


def test_a_study_that_another_process_is_at_is_not_waited_for_where_that_is_not_wanted(tmp_path):
    data = load_subjects("synthetic", [1], {"thin": 64, "n_train": 200, "n_validation": 50, "n_test": 50})["subject 1"]
    settings = {"encoder_options": {"hidden_size": 8, "max_epochs": 2}, "n_bootstrap": 10, "folder": tmp_path}
    study = run_study(data, **settings)
    (study.folder / "study.nc").unlink()
    with FileLock(study.folder / ".study.nc.lock"), pytest.raises(BlockingIOError, match="another process writes"):
        run_study(data, **settings, wait=False)
