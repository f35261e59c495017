"""Features of stimuli without responses: what goes in comes out, is no layer, and is checked."""

import numpy as np
import pytest
from click.testing import CliRunner
from conftest import make_content

import jne
from jne.cli import main
from jne.datasets import describe, describe_text
from jne.study import best_layers, run_study

EARLY = np.arange(28, dtype="f4").reshape(7, 4)
DEEP = -np.arange(35, dtype="f4").reshape(7, 5)


def with_further(**changed):
    content = make_content()
    variables = {
        "further_early": (("further_stimulus", "feature_early"), EARLY),
        "further_deep": (("further_stimulus", "feature_deep"), DEEP),
        "further_stimulus_id": ("further_stimulus", np.array([f"more{i}" for i in range(7)], object)),
    }
    return content.assign({name: value for name, value in (variables | changed).items() if value is not None})


def test_they_follow_the_rule_of_features_and_are_no_layers(tmp_path):
    data = jne.save_dataset(with_further(), tmp_path / "a.nc")
    assert data.layers == ["early", "deep"] and data.n_stimuli == 60 and data.n_further == 7
    np.testing.assert_array_equal(data.further(), DEEP)
    np.testing.assert_array_equal(data.further("early"), EARLY)
    content = with_further()
    del content.attrs["default_layer"]
    np.testing.assert_array_equal(jne.EncodingDataset(content).further(), np.concatenate([EARLY, DEEP], axis=1))
    with pytest.raises(ValueError, match="no layer 'further_deep'; the layers are early, deep"):
        data.further("further_deep")


def test_without_them_there_is_none(tiny_dataset):
    assert tiny_dataset.further() is None and tiny_dataset.further("early") is None and tiny_dataset.n_further == 0
    with pytest.raises(ValueError, match="no layer 'late'"):
        tiny_dataset.further("late")


def test_a_layer_may_be_called_further():
    named = {"early": "further_deep", "feature_early": "feature_further_deep"}
    content = make_content().rename(named)
    data = jne.EncodingDataset(content)
    data.check_values()
    assert data.layers == ["further_deep", "deep"] and data.further() is None
    # Its own further stimuli have its whole name, and those of the layer deep have no name left.
    of_it = content.assign(further_further_deep=(("further_stimulus", "feature_further_deep"), EARLY))
    with pytest.raises(ValueError, match="further_further_deep without further_deep; needed"):
        jne.EncodingDataset(of_it)
    alone = jne.EncodingDataset(of_it.drop_vars("deep").assign_attrs(default_layer="further_deep"))
    np.testing.assert_array_equal(alone.further(), EARLY)
    assert alone.layers == ["further_deep"] and alone.n_further == 7


def test_the_hash_and_the_description_know_them(tmp_path):
    with_them, without = jne.EncodingDataset(with_further()), jne.EncodingDataset(make_content())
    assert with_them.hash != without.hash
    assert describe(with_them)["n_further"] == 7 and describe(without)["n_further"] == 0
    assert "up to 3 times; 7 more without responses" in " ".join(describe_text(with_them).split())
    assert "also of 7 stimuli without responses" in " ".join(repr(with_them).split())
    path = jne.save_dataset(with_further(), tmp_path / "a.nc").path
    assert "7 more without responses" in CliRunner().invoke(main, ["info", str(path)]).output
    assert CliRunner().invoke(main, ["validate", str(path)]).exit_code == 0


def test_studies_of_some_voxels_keep_those_of_their_layer(monkeypatch):
    content = with_further()
    content["responses"].values[:, :4] = content["early"].values
    monkeypatch.setattr("jne.study.best_layer.LEAST_VOXELS", 1)
    data = jne.EncodingDataset(content)
    assert set(best_layers(data)[:4]) == {"early"}
    options = {"encoder": jne.RidgeEncoder, "n_bootstrap": 20, "linear": False}
    study = run_study(data, "best", **options)
    np.testing.assert_array_equal(study.studies["early"].data.further(), EARLY)
    np.testing.assert_array_equal(study.studies["deep"].data.further(), DEEP)


def row_of_test(layer, index):
    return make_content()[layer].values[40 + index]


def replaced(values, row, by):
    values = values.copy()
    values[row] = by
    return values


def over(dim, values):
    return ("further_stimulus", f"feature_{dim}"), values


BAD = {
    "no layer": ({"further_late": (("further_stimulus", "feature_late"), EARLY)}, "variable further_late has dimensi"),
    "other features": ({"further_deep": (("further_stimulus", "feature_mine"), DEEP[:, :4])}, "needed: further_NAME"),
    "over stimuli": ({"further_deep": ("stimulus", np.zeros(60))}, "variable further_deep has dimensions"),
    "one layer only": ({"further_early": None}, "further_deep without further_early; needed: those of every layer"),
    "ids twice": ({"further_stimulus_id": ("further_stimulus", np.array([*"aabcdef"], object))}, "more than once .a."),
    "own ids": (
        {"further_stimulus_id": ("further_stimulus", np.array(["image041", *"abcdef"], object))},
        "1 stimuli are in stimulus_id as well .image041.",
    ),
    "ids of stimuli": ({"further_stimulus_id": ("stimulus", np.arange(60))}, "needed: .further_stimulus."),
    "ids as doubles": ({"further_stimulus_id": ("further_stimulus", np.arange(7.0))}, "type float64, needed: text"),
    "not finite": ({"further_deep": over("deep", replaced(DEEP, (2, 3), np.nan))}, "further stimulus 2, feature 3"),
    "text": ({"further_deep": over("deep", DEEP.astype(str))}, "further_deep has type <U32, needed: numbers"),
    "tested": (
        {
            "further_early": over("early", replaced(EARLY, 5, row_of_test("early", 2))),
            "further_deep": over("deep", replaced(DEEP, 5, row_of_test("deep", 2))),
        },
        r"further stimuli: 1 have the features of a test stimulus \(first: 5\)",
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", BAD)
def test_what_is_wrong_with_them_is_named(kind):
    changed, message = BAD[kind]
    with pytest.raises(ValueError, match=message):
        jne.EncodingDataset(with_further(**changed)).check_values()


def test_equal_in_one_layer_or_to_a_training_stimulus_is_no_test_stimulus():
    train = {name: make_content()[name].values[0] for name in ("early", "deep")}
    for changed in (
        {"further_deep": over("deep", replaced(DEEP, 5, row_of_test("deep", 2)))},
        {
            "further_early": over("early", replaced(EARLY, 5, train["early"])),
            "further_deep": over("deep", replaced(DEEP, 5, train["deep"])),
        },
    ):
        jne.EncodingDataset(with_further(**changed)).check_values()
    # With folds every stimulus is tested.
    folds = with_further(**changed).drop_vars(["split", "responses_repeats"])
    with pytest.raises(ValueError, match="1 have the features of a test stimulus"):
        jne.EncodingDataset(folds.assign(fold=("stimulus", np.arange(60) % 3))).check_values()
