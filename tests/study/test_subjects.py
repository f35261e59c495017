"""Several subjects and layers: which datasets and layers the chapters take."""

import pytest

from jne.datasets import save_dataset
from jne.study.subjects import choose_layers, load_subjects

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
