"""Tables of trials with columns and ids of other names, and what is said of columns that are not used."""

import nibabel
import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from map_studies import AFFINE, SHAPE, make_study

import jne
from jne.cli import main
from jne.datasets import describe_text
from jne.prepare.table_columns import named_columns
from jne.prepare.trials import read_trials


@pytest.fixture
def study(tmp_path):
    study = make_study(tmp_path)
    maps = study.maps(int(np.prod(SHAPE)))
    nibabel.save(nibabel.Nifti1Image(maps.T.reshape(*SHAPE, -1), AFFINE), tmp_path / "betas.nii.gz")
    nibabel.save(nibabel.Nifti1Image(np.ones(SHAPE, "u1"), AFFINE), tmp_path / "mask.nii.gz")
    return study, maps


def prepare(folder, table, *more):
    command = ["prepare", "nifti", "--stimuli", f"{folder}/{table}", "--features", f"{folder}/features.npz"]
    command += ["--maps", f"{folder}/betas.nii.gz", "--mask", f"{folder}/mask.nii.gz", "--out", f"{folder}/out.nc"]
    return CliRunner().invoke(main, [*command, *more])


def test_columns_and_ids_of_other_names(study):
    study, maps = study
    table = pd.read_csv(study.write_table(("id", "split", "session", "run")))
    # as an events file has them: the picture with its folder, and an onset that nobody needs
    table["id"] = [f"images/{name}" for name in study.table["name"]]
    table = table.rename(columns={"id": "stim_file", "split": "set", "run": "block"}).assign(onset=1.5)
    table.to_csv(study.folder / "lab.csv", index=False)
    named = ("--id-column", "stim_file", "--split-column", "set", "--run-column", "block", "--zscore", "run")
    named += ("--unit", "electrode")
    run = prepare(study.folder, "lab.csv", *named)
    assert run.exit_code == 0, run.output
    assert "Columns of lab.csv that are not used: onset." in run.output and "drawn" not in run.output
    assert "Ids are matched without folder and ending: images/" in run.output
    data = jne.load_dataset(study.folder / "out.nc")
    study.check(data, maps, zscore="run")
    assert data.attrs["unit"] == "electrode" and "120 electrodes" in repr(data)
    assert "electrodes  120" in describe_text(data)


def test_a_split_of_another_name_is_not_lost_in_silence(study):
    study, _ = study
    pd.read_csv(study.write_table()).rename(columns={"split": "set"}).to_csv(study.folder / "lab.csv", index=False)
    run = prepare(study.folder, "lab.csv")
    assert run.exit_code == 0, run.output
    assert "No column split: which stimuli are tested is drawn by the seed; --split-column set takes" in run.output
    assert "that are not used: set." in run.output


def test_a_default_column_that_gives_way_is_named(tmp_path):
    (tmp_path / "t.csv").write_text("id,split,mine\na,train,test\nb,test,train\n")
    said = []
    trials = read_trials(tmp_path / "t.csv", {"split": "mine"}, report=said.append)
    assert list(trials.of_stimuli("split")) == ["test", "train"]
    assert "not used: split (not used)" in said[0]


@pytest.mark.parametrize("columns", [{"id": "split", "split": "id"}, {"id": "name", "split": "id"}])
def test_columns_that_trade_names_are_all_kept(tmp_path, columns):
    table = pd.DataFrame({"id": ["train", "test"], "split": ["a", "b"], "name": ["a", "b"]})
    found = named_columns(table, columns, tmp_path / "t.csv")
    assert found["id"].tolist() == ["a", "b"] and found["split"].tolist() == ["train", "test"]
    assert found.shape == table.shape


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"id": "name"}, "id_column: .* has no column 'name'; it has id, split, set"),
        ({"split": "set", "run": "set"}, "'set' of .* is to say several things"),
    ],
)
def test_columns_that_are_not_there(tmp_path, columns, message):
    (tmp_path / "t.csv").write_text("id,split,set\na,train,test\n")
    with pytest.raises(ValueError, match=message):
        read_trials(tmp_path / "t.csv", columns)
    (tmp_path / "t.txt").write_text("a.png\nb.png\n")
    with pytest.raises(ValueError, match="a list of pictures, without columns"):
        read_trials(tmp_path / "t.txt", columns)


def test_ids_that_may_be_several_are_refused(study):
    study, _ = study
    table = pd.read_csv(study.write_table())
    first = table["id"][0]
    table.loc[table.index[table["id"] == first][:1], "id"] = f"x/{first}.jpg"
    other = table["id"].iloc[-1] if table["id"].iloc[-1] != first else table["id"].iloc[-2]
    table.loc[len(table) - 1, "id"] = f"y/{first}.png"
    table.drop(columns="split").to_csv(study.folder / "lab.csv", index=False)
    run = prepare(study.folder, "lab.csv")
    assert run.exit_code and f"would both be '{first}'" in run.output and other
    features = dict(np.load(study.folder / "features.npz"))
    ids = features["stimulus_id"].astype("U60")
    ids[:2] = "a/same.jpg", "b/same.png"
    np.savez(study.folder / "features.npz", **{**features, "stimulus_id": ids})
    (study.folder / "lab.csv").write_text("id\n" + "same\n" * 40)
    assert "'same' of" in (out := prepare(study.folder, "lab.csv").output) and "may be 'a/same.jpg' or" in out
