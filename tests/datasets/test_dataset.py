"""Dataset files: what goes in comes out, and what is wrong is named."""

import json

import numpy as np
import pytest
import xarray as xr

from jne import EncodingDataset, load_dataset, save_dataset
from jne.datasets.describe import describe, describe_text


def test_a_saved_dataset_comes_back_as_it_was(tiny_content, tmp_path):
    saved = save_dataset(tiny_content, tmp_path / "tiny.nc")
    opened = load_dataset(tmp_path / "tiny.nc")
    for name in tiny_content.data_vars:
        np.testing.assert_array_equal(opened.content[name].values, tiny_content[name].values)
    assert opened.layers == ["early", "deep"] and opened.default_layer == "deep" and opened.synthetic
    assert saved.hash == opened.hash != EncodingDataset(tiny_content).hash


def test_the_same_content_gives_the_same_bytes(tiny_content, tmp_path):
    first, second = (save_dataset(tiny_content, tmp_path / f"{i}.nc").path.read_bytes() for i in range(2))
    assert first == second


def test_splits_and_layers_select_what_they_say(tiny_dataset, tiny_content):
    assert tiny_dataset.features("train").shape == (30, 5) and tiny_dataset.features("all", "early").shape == (60, 4)
    test = tiny_content.split.values == "test"
    np.testing.assert_array_equal(tiny_dataset.responses("test"), tiny_content.responses.values[test])
    assert tiny_dataset.repeats().shape == (20, 3, 8)


def test_without_a_default_all_layers_stand_side_by_side(tiny_content):
    del tiny_content.attrs["default_layer"]
    data = EncodingDataset(tiny_content)
    expected = np.concatenate([tiny_content.early, tiny_content.deep], axis=1)
    np.testing.assert_array_equal(data.features("all"), expected)


def test_the_hash_follows_the_content(tiny_content):
    before = EncodingDataset(tiny_content).hash
    assert EncodingDataset(tiny_content.copy(deep=True)).hash == before
    tiny_content["responses"].values[3, 3] += 1e-3
    assert EncodingDataset(tiny_content).hash != before


def test_the_description_counts_what_is_there(tiny_dataset):
    facts = describe(tiny_dataset)
    assert json.loads(json.dumps(facts)) == facts
    assert facts["splits"] == {"train": 30, "validation": 10, "test": 20} and facts["areas"] == {"V1": 4, "V4": 4}
    assert facts["layers"] == {"early": 4, "deep": 5} and facts["n_repeats"] == 3 and facts["noise_ceiling"] is None
    text = describe_text(tiny_dataset)
    for part in (
        "tiny (synthetic responses)",
        "30 train, 10 validation, 20 test",
        "V1 4, V4 4",
        "licence     not stated",
    ):
        assert part in text


def test_many_categories_are_counted_and_few_are_listed(tiny_content):
    names = [f"thing{i % 50}" for i in range(60)]
    data = EncodingDataset(tiny_content.assign(category=("stimulus", np.array(names, object))))
    text = describe_text(data)
    assert "categories 50 of them, 1 to 2 stimuli each, such as thing0, thing1, thing2, thing3, thing4 ceiling" in (
        " ".join(text.split())
    )
    assert max(map(len, text.splitlines())) <= 79
    assert len(describe(data)["categories"]) == 50


def test_a_missing_dataset_and_a_misplaced_option_are_named(tmp_path, tiny_content):
    with pytest.raises(FileNotFoundError, match=r"no dataset file .*absent\.nc"):
        load_dataset(tmp_path / "absent.nc")
    save_dataset(tiny_content, tmp_path / "a.nc")
    with pytest.raises(ValueError, match=r"options \['thin'\] go with 'synthetic' only"):
        load_dataset(tmp_path / "a.nc", thin=2)


def test_a_newer_format_asks_for_an_update(tiny_content, tmp_path):
    xr.Dataset.to_netcdf(tiny_content.assign_attrs(format_version=99), tmp_path / "new.nc", engine="h5netcdf")
    with pytest.raises(ValueError, match="format_version 99; this jne reads up to 2: update jne"):
        load_dataset(tmp_path / "new.nc")
