"""`prepare_things` against pandas on a miniature in the format of the study's own files."""

import pickle
import signal
from pathlib import Path

import copies
import h5py
import numpy as np
import pandas as pd
import pytest
import things_tree
from click.testing import CliRunner

from jne import load_dataset
from jne.cli import main
from jne.prepare import prepare_things
from jne.prepare.things.stimuli import concept_of, read_stimuli

SHARED = Path(__file__).parents[3] / "shared"
ORDER = "V1 V2 V3 hV4 OFA FFA STS EBA PPA RSC OPA LOC VO1 VO2 LO1 LO2 TO1 TO2 V3b V3a".split()


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    return things_tree.make_tree(tmp_path_factory.mktemp("things"))


@pytest.fixture(scope="module")
def features(tree):
    return things_tree.write_features(tree, tree.root / "features.h5")


@pytest.fixture(scope="module")
def data(tree, features):
    return prepare_things(tree.root, 1, features, tree.root / "sub01.nc", seed=3)


def columns_of(tree, area):
    """Which voxels the study's table says are in an area, by pandas."""
    area = {"OPA": "TOS", "LO1": "LO1 (prf)", "LO2": "LO2 (prf)"}.get(area, area)
    here = [name for name in tree.voxels if name in (area, f"l{area}", f"r{area}")]
    return (tree.voxels[here] == 1).any(axis=1).to_numpy()


def expected_rows(tree):
    return np.flatnonzero(np.any([columns_of(tree, area) for area in ORDER], axis=0))


def test_responses_are_the_means_of_z_scored_trials(tree, data):
    values = things_tree.zscored(tree, ["session", "run"])[:, expected_rows(tree)]
    means = pd.DataFrame(values).groupby(tree.trials["stimulus"].str.removesuffix(".jpg").to_numpy()).mean()
    np.testing.assert_allclose(data.get("responses"), means.loc[data.get("stimulus_id")], atol=1e-5)


def test_repeats_and_the_ceiling_are_those_of_the_test_pictures(tree, data):
    values = things_tree.zscored(tree, ["session", "run"])[:, expected_rows(tree)]
    test = data.get("stimulus_id")[data.stimuli("test")]
    single = np.stack([values[tree.trials["stimulus"] == f"{name}.jpg"] for name in test])
    assert single.shape == (things_tree.N_TEST, things_tree.N_SESSIONS, data.n_voxels)
    np.testing.assert_allclose(data.content["responses_repeats"].values, single, atol=1e-5)
    # Allen et al. 2022: variance over repeats is noise, what is left of the total is signal.
    noise, total = single.var(axis=1, ddof=1).mean(axis=0), single.var(axis=(0, 1), ddof=1)
    signal = np.maximum(total - noise, 0)
    np.testing.assert_allclose(data.get("noise_ceiling"), signal / (signal + noise / single.shape[1]), atol=1e-5)
    assert data.attrs["noise_ceiling_from"] == "repeats"


def test_split_features_and_categories(tree, data):
    split = pd.Series(data.get("split"), data.get("stimulus_id"))
    kinds = tree.trials.groupby(tree.trials["stimulus"].str.removesuffix(".jpg"))[["trial_type", "concept"]].first()
    assert set(split.index[split == "test"]) == set(kinds.index[kinds["trial_type"] == "test"])
    n_train = int((kinds["trial_type"] == "train").sum())
    assert (split == "validation").sum() == round(n_train / 10) and (split == "train").sum() == n_train * 9 // 10 + 1
    assert data.get("category").tolist() == kinds["concept"].loc[split.index].tolist()
    place = pd.Index(tree.feature_ids)
    np.testing.assert_array_equal(data.get("layer2"), tree.features["layer2"][place.get_indexer(split.index)])
    further = data.content["further_stimulus_id"].values.astype(str)
    assert set(further) == set(tree.feature_ids) - set(split.index)
    np.testing.assert_array_equal(
        data.content["further_layer1"].values, tree.features["layer1"][place.get_indexer(further)]
    )


def test_the_seed_draws_the_validation_pictures(tree, features, data):
    other = prepare_things(tree.root, 1, features, tree.root / "seed.nc", seed=4, rois=["V1"])
    assert set(other.get("split")) == {"train", "validation", "test"}
    assert (other.get("split") != data.get("split")).any()
    assert (other.stimuli("test") == data.stimuli("test")).all()


def test_areas_come_from_the_first_of_the_order_that_a_voxel_is_in(tree, data):
    inside = pd.DataFrame({area: columns_of(tree, area) for area in ORDER}).iloc[expected_rows(tree)]
    assert (inside.sum(axis=1) > 1).any()
    assert data.get("roi").tolist() == inside.idxmax(axis=1).tolist()
    maps = inside[["V1", "V2", "V3", "hV4", "VO1", "VO2", "LO1", "LO2", "TO1", "TO2", "V3b", "V3a"]]
    assert data.get("roi_prf-visualrois").tolist() == np.where(maps.any(axis=1), maps.idxmax(axis=1), "").tolist()
    levels = dict(zip(data.get("roi"), data.get("level"), strict=True))
    assert (levels["V1"], levels["hV4"], levels["OPA"], levels["V3a"]) == ("V1", "V4", "higher", "intermediate")


def test_rois_and_their_order(tree, features):
    path = tree.root / "some.nc"
    data = prepare_things(tree.root, 1, features, path, rois=["FFA", "TOS"], roi_order=["OPA"])
    opa, ffa = columns_of(tree, "OPA"), columns_of(tree, "FFA")
    rows = np.flatnonzero(opa | ffa)
    assert data.get("roi").tolist() == np.where(opa[rows], "OPA", "FFA").tolist()
    with pytest.raises(ValueError, match=r"rois: .* has no area 'V9'; it has V1, V2, .*glasser-a24pr"):
        prepare_things(tree.root, 1, features, path, rois=["V9"])
    with pytest.raises(ValueError, match="rois and all_voxels: one of the two"):
        prepare_things(tree.root, 1, features, path, rois=["V1"], all_voxels=True)


def test_all_voxels_and_the_areas_of_hcp(tree, features):
    data = prepare_things(tree.root, 1, features, tree.root / "all.nc", all_voxels=True, noise_ceiling="nc_testset")
    assert data.n_voxels == len(tree.voxels)
    names = ["V1", "FFC", "V3A", "a24pr", ""]
    assert data.get("roi_HCP_MMP1").tolist() == [names[i % 5] for i in range(data.n_voxels)]
    roi = data.get("roi")
    assert "FFC" in roi and "V1 (HCP_MMP1)" in roi and "V3A (HCP_MMP1)" in roi and "a24pr" in roi
    # The study has percent.
    np.testing.assert_allclose(data.get("noise_ceiling"), tree.voxels["nc_testset"] / 100, rtol=1e-6)
    assert data.attrs["noise_ceiling_from"] == "nc_testset" and "percent" in data.attrs["noise_ceiling_note"]


def test_places_are_the_indices_of_the_table_with_the_affine_of_the_mask(tree, data):
    place = tree.voxels[["voxel_x", "voxel_y", "voxel_z"]].to_numpy()[expected_rows(tree)]
    np.testing.assert_array_equal(data.get("ijk"), place)
    np.testing.assert_array_equal(data.content["ijk"].attrs["affine"], things_tree.AFFINE.ravel())
    assert tuple(data.content["ijk"].attrs["shape"]) == things_tree.SHAPE


def test_openneuro_names_commas_in_tsv_float64_and_version_1(tmp_path, tree, features, data):
    """The same study under its other names gives the same dataset."""
    other = things_tree.make_tree(tmp_path, names="openneuro", dtype=np.float64, version=1, brainmask=False)
    lines = []
    same = prepare_things(tmp_path, 1, features, tmp_path / "o.nc", seed=3, report=lines.append)
    for name in ("responses", "noise_ceiling", "layer1"):
        np.testing.assert_allclose(same.get(name), data.get(name), atol=1e-5)
    for name in ("stimulus_id", "split", "category", "roi", "level"):
        assert same.get(name).tolist() == data.get(name).tolist()
    assert other.path.name == "sub-01_task-things_voxel-wise-responses.h5"
    assert "affine" not in same.content["ijk"].attrs
    assert any("indices only" in line for line in lines) and any("It takes about" in line for line in lines)


def test_within_sessions_or_not_at_all(tree, features):
    for zscore, by in (("session", ["session"]), ("none", None)):
        data = prepare_things(tree.root, 1, features, tree.root / "z.nc", zscore=zscore, rois=["V1"])
        values = tree.responses.T.astype(float) if by is None else things_tree.zscored(tree, by)
        means = pd.DataFrame(values).groupby(tree.trials["stimulus"].str.removesuffix(".jpg").to_numpy()).mean()
        means = means.loc[data.get("stimulus_id"), columns_of(tree, "V1")]
        np.testing.assert_allclose(data.get("responses"), means, atol=1e-5)
        assert data.attrs["zscore"] == zscore


def test_pickles_are_never_opened(tree, data):
    with h5py.File(tree.path) as file:
        for name in ("axis0", "block0_items", "block1_items"):
            content = file["ResponseData"][name][0].tobytes()
            assert b"opened" in content and content[:1] == b"\x80"
    assert not (tree.root / "opened").exists()
    pickle.loads(content)  # noqa: S301, so that the test would notice
    assert (tree.root / "opened").exists()
    (tree.root / "opened").unlink()


def test_chunked_responses_are_read_as_well(tmp_path, tree, features):
    other = things_tree.make_tree(tmp_path)
    with h5py.File(other.path, "r+") as file:
        group = file["ResponseData"]
        del group["block0_values"]
        group.create_dataset("block0_values", data=other.responses, chunks=(8, 50), compression="gzip")
    found = prepare_things(tmp_path, 1, features, tmp_path / "o.nc", rois=["PPA", "V1"])
    again = prepare_things(tree.root, 1, features, tmp_path / "again.nc", rois=["PPA", "V1"])
    np.testing.assert_array_equal(found.get("responses"), again.get("responses"))


def test_trials_that_are_neither_train_nor_test_are_left_out(tmp_path, features):
    tree = things_tree.make_tree(tmp_path)
    path = next(tmp_path.rglob("*StimulusMetadata.csv"))
    table = tree.trials.astype({"stimulus": object})
    table.loc[5, "trial_type"] = "none"
    table.loc[40, ["stimulus", "concept"]] = ""
    table.to_csv(path, index=False)
    data = prepare_things(tmp_path, 1, features, tmp_path / "o.nc", rois=["V1"])
    kept = table.index.difference([5, 40])
    frame = pd.DataFrame(tree.responses.T.astype(float)[:, columns_of(tree, "V1")]).loc[kept]
    values = frame.groupby([table["session"], table["run"]]).transform(
        lambda part: (part - part.mean()) / part.std(ddof=0)
    )
    means = values.groupby(table["stimulus"][kept].str.removesuffix(".jpg")).mean().loc[data.get("stimulus_id")]
    np.testing.assert_allclose(data.get("responses"), means, atol=1e-5)
    assert data.attrs["n_trials"] == len(kept)


@pytest.mark.parametrize(("column", "other", "named"), [("trial_type", "train", "split"), ("concept", "a", "category")])
def test_a_picture_that_is_two_things_is_refused(tmp_path, features, column, other, named):
    tree = things_tree.make_tree(tmp_path)
    path = next(tmp_path.rglob("*StimulusMetadata.csv"))
    table = tree.trials.astype({column: object})
    first = table.index[table["trial_type"] == "test"][0]
    name = table.loc[first, "stimulus"].removesuffix(".jpg")
    table.loc[first, column] = other
    table.to_csv(path, index=False)
    with pytest.raises(ValueError, match=rf"1 stimuli of .*Metadata.csv have more than one {named} \({name}\)"):
        prepare_things(tmp_path, 1, features, tmp_path / "o.nc")


def test_categories_of_a_table_of_ones_own(tree, features):
    path = tree.root / "categories.csv"
    path.write_text("concept,category\ndog,animal\nmango,food\n")
    data = prepare_things(tree.root, 1, features, tree.root / "c.nc", rois=["V1"], categories=path)
    found = {name.split("_")[0]: kind for name, kind in zip(data.get("stimulus_id"), data.get("category"), strict=True)}
    assert (found["dog"], found["mango"], found["camera1"]) == ("animal", "food", "no category")
    path.write_text("concept,category\nhund,animal\n")
    with pytest.raises(ValueError, match="has none of the 8 concepts"):
        prepare_things(tree.root, 1, features, tree.root / "c.nc", categories=path)


def test_concepts_by_name():
    names = ["dog_12s", "t-shirt_05s", "ice_cream_bar_03n", "camera1_12s", "ping-pong_table_14s", "bow2_01b"]
    assert [concept_of(name) for name in names] == [
        "dog", "t-shirt", "ice_cream_bar", "camera1", "ping-pong_table", "bow2",
    ]  # fmt: skip


@pytest.mark.skipif(not SHARED.is_dir(), reason="the study's own table is not here")
def test_the_real_table_of_trials():
    shown = read_stimuli(SHARED / "data/things/sub-01_StimulusMetadata.csv", 1)
    trials = shown.trials
    assert len(shown.column) == shown.n_columns == 9840 and len(trials.ids) == 8740
    split = trials.of_stimuli("split")
    assert ((split == "train").sum(), (split == "test").sum()) == (8640, 100)
    assert np.unique(np.bincount(trials.row)[split == "test"]).tolist() == [12]
    assert len(set(zip(shown.session.tolist(), shown.run.tolist(), strict=True))) == 120
    assert len(set(trials.of_stimuli("category"))) == 720
    assert [concept_of(name) for name in trials.ids] == trials.of_stimuli("category").tolist()


def test_errors_name_the_file_and_what_to_do(tmp_path, features):
    tree = things_tree.make_tree(tmp_path)

    def call(**options):
        return prepare_things(tmp_path, options.pop("subject", 1), features, tmp_path / "o.nc", **options)

    with pytest.raises(FileNotFoundError, match=r"neither sub-02_ResponseData.h5 nor sub-02_task.*figshare\+"):
        call(subject=2)
    with pytest.raises(ValueError, match="zscore='block'; accepted: run, session, none"):
        call(zscore="block")
    with pytest.raises(ValueError, match="noise_ceiling='ncsnr'; accepted: repeats, nc_testset"):
        call(noise_ceiling="ncsnr")
    with pytest.raises(ValueError, match="default_layer='layer3'; accepted: None, layer1, layer2"):
        call(default_layer="layer3")
    table = next(tmp_path.rglob("*VoxelMetadata.csv"))
    share = tree.voxels.assign(nc_testset=tree.voxels["nc_testset"] / 100)
    share.to_csv(table, index=False)
    with pytest.raises(ValueError, match=r"nc_testset .* goes from 0\.\d+ to 0\.\d+; THINGS has percent there"):
        call(noise_ceiling="nc_testset")
    tree.voxels.assign(V2=2).to_csv(table, index=False)
    with pytest.raises(ValueError, match=r"column 'V2' .* holds 2; needed: 0, 1 or nothing"):
        call()
    tree.voxels.iloc[:-1].to_csv(table, index=False)
    with pytest.raises(ValueError, match=r"no array \(149 voxels of .*block0_values \(150, 136\) float32"):
        call()
    tree.voxels.assign(voxel_x=0).to_csv(table, index=False)
    with pytest.raises(ValueError, match="does not hold the voxels"):
        call()
    tree.voxels.to_csv(table, index=False)
    stimuli = next(tmp_path.rglob("*StimulusMetadata.csv"))
    trials = pd.read_csv(stimuli, dtype=str)
    for change, message in (
        (trials[:0], "has no row; needed: session, run"),
        (trials.assign(run=trials["run"].where(trials.index != 3, "one")), "has no whole numbers in row 5"),
    ):
        change.to_csv(stimuli, index=False)
        with pytest.raises(ValueError, match=rf"stimuli: .*{message}"):
            call()
    trials.to_csv(stimuli, index=False)
    (tmp_path / "copy").mkdir()
    (tmp_path / "copy" / stimuli.name).write_bytes(stimuli.read_bytes())
    with pytest.raises(ValueError, match=r"stimuli: 2 files below .* may be meant: .*Give the folder of one"):
        call()
    (tmp_path / "copy" / stimuli.name).unlink()
    content = tree.path.read_bytes()
    tree.path.write_bytes(content[: len(content) // 2])
    with pytest.raises(ValueError, match=r"ResponseData.h5 \(\d+ bytes\) cannot be read as HDF5"):
        call()
    assert not (tmp_path / "o.nc").exists()


def test_constant_voxels_are_refused_or_dropped(tmp_path, features):
    tree = things_tree.make_tree(tmp_path)
    row = int(np.flatnonzero(columns_of(tree, "V1"))[2])
    run = ((tree.trials["session"] == 2) & (tree.trials["run"] == 1)).to_numpy()
    with h5py.File(tree.path, "r+") as file:
        values = file["ResponseData/block0_values"][row]
        file["ResponseData/block0_values"][row] = np.where(run, 0.1, values)
    with pytest.raises(ValueError, match=r"1 of .* hold non-finite values .* --drop-bad-voxels"):
        prepare_things(tmp_path, 1, features, tmp_path / "o.nc", rois=["V1"])
    data = prepare_things(tmp_path, 1, features, tmp_path / "o.nc", rois=["V1"], drop_bad_voxels=True)
    assert data.attrs["n_dropped_voxels"] == 1
    assert data.n_voxels == np.count_nonzero(columns_of(tree, "V1")) - 1


KILLED = """
import os, signal, sys
from jne.prepare.things import store
from jne.prepare import prepare_things
store.BLOCK, write, done = 16, store.hdf5_stream, []
def slow(path, size):
    done.append(path)
    if len(done) == 4:
        os.kill(os.getpid(), signal.SIGKILL)
    return write(path, size)
store.hdf5_stream = slow
prepare_things(sys.argv[1], 1, sys.argv[2], sys.argv[3], seed=3)
"""


def test_a_killed_call_goes_on_with_the_same_result(tree, features, data, monkeypatch):
    out = tree.root / "killed.nc"
    assert copies.run(KILLED, tree.root, features, out) == -signal.SIGKILL
    done = {path: path.stat().st_mtime_ns for path in Path(f"{out}.work").glob("voxels_*.h5")}
    assert len(done) == 3 and not out.exists()
    monkeypatch.setattr("jne.prepare.things.store.BLOCK", 16)
    removed = []
    monkeypatch.setattr(
        "jne.prepare.things.prepare.shutil.rmtree",
        lambda folder: removed.append({path: path.stat().st_mtime_ns for path in folder.glob("voxels_*.h5")}),
    )
    again = prepare_things(tree.root, 1, features, out, seed=3)
    assert len(removed[0]) == 8 and all(removed[0][path] == when for path, when in done.items())
    assert again.hash == data.hash


def test_the_command(tree, features):
    out = tree.root / "cli.nc"
    options = ["--root", tree.root, "--subject", 1, "--features", features, "--out", out, "--rois", "V1, TOS"]
    result = CliRunner().invoke(main, ["prepare", "things", *map(str, options), "--further", "5"])
    assert result.exit_code == 0, result.output
    assert "It takes about" in result.output and f"Wrote {out}" in result.output
    assert not out.with_name("cli.nc.work").exists()
    checked = CliRunner().invoke(main, ["validate", str(out)])
    assert checked.exit_code == 0, checked.output
    shown = CliRunner().invoke(main, ["info", str(out)])
    assert shown.exit_code == 0 and "5 more without responses" in shown.output and "CC0" in shown.output
    assert load_dataset(out).n_voxels == np.count_nonzero(columns_of(tree, "V1") | columns_of(tree, "OPA"))
