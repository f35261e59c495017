"""`jne prepare nsd`: what was planted in a miniature of NSD comes back, and what is wrong is named."""

import errno
import gzip
import hashlib
import os
import re
import shutil
import signal
import sys
import tracemalloc
from collections import namedtuple
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from uuid import uuid4

import copies
import h5py
import nibabel as nib
import nsd_tree
import numpy as np
import pandas as pd
import pytest
import scipy.stats
from click.testing import CliRunner
from nsd_tree import (
    AREAS,
    BETAS,
    CATEGORIES,
    ON_FSAVERAGE,
    SURFACE,
    by_image,
    kept_voxels,
    make_tree,
    nsd_ids,
    planted_names,
    write_categories,
    write_features,
    zscored,
)
from scipy.io import savemat

import jne
from jne.accuracy import noise_ceiling
from jne.cli import main
from jne.datasets import value_problems
from jne.prepare.nsd import prepare_nsd
from jne.prepare.nsd import sessions as session_module
from jne.prepare.nsd.estimate import Estimate
from jne.prepare.nsd.layout import N_SESSIONS, Layout
from jne.prepare.nsd.rois import ROI_ORDER, read_names
from jne.prepare.nsd.space import Space
from jne.prepare.nsd.trials import parse_sessions, split_images


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    """Subject 1 in .nii.gz, subject 2 in both formats, both on fsaverage; a path that is not ASCII and has spaces."""
    root = tmp_path_factory.mktemp("nsd") / "Höhle der Daten"
    tree = make_tree(root)
    write_features(tree, root / "features.h5")
    write_categories(tree, root / "categories.csv")
    return tree


@pytest.fixture
def prepare(tree, tmp_path):
    def run(subject=1, **options):
        options = {"features": tree.root / "features.h5", "out": tmp_path / "naïve.nc"} | options
        return prepare_nsd(tree.root, subject, **options)

    return run


@pytest.fixture(scope="module")
def once(tree, tmp_path_factory):
    """What is only looked at, made once."""
    folder = tmp_path_factory.mktemp("once")

    @cache
    def run(subject=1, **options):
        return prepare_nsd(tree.root, subject, tree.root / "features.h5", folder / f"{uuid4()}.nc", **options)

    return lambda subject=1, zscore="run", mask=None, **options: run(subject, zscore=zscore, mask=mask, **options)


def expected_split(tree, subject, test_repeats=3):
    """Test images and all others, from the table that prepare does not read."""
    info = pd.read_csv(tree.root / "nsddata/experiments/nsd/nsd_stim_info_merged.csv").set_index("nsdId")
    counts = (tree.subjects[subject].trials["73KID"] - 1).value_counts()
    shared = info.loc[counts.index, "shared1000"].to_numpy()
    return set(counts.index[shared & (counts >= test_repeats)]), set(counts.index[~shared])


def assert_planted(data, values, trials, tolerance):
    """Averages of all images and repeats of the test images are those of ``values (n_trials, n_voxels)``."""
    single, ids = by_image(values, trials), nsd_ids(data)
    means = np.stack([single[image].mean(axis=0) for image in ids])
    assert data.responses().dtype == np.float32
    np.testing.assert_allclose(data.responses(), means, rtol=0, atol=tolerance)
    repeats = data.repeats()
    for found, image in zip(repeats, ids[data.stimuli("test")], strict=True):
        n = len(single[image])
        np.testing.assert_allclose(found[:n], single[image], rtol=0, atol=tolerance)
        assert np.isnan(found[n:]).all()


@pytest.mark.parametrize("number", [1, 2], ids=["nii.gz", "mixed"])
@pytest.mark.parametrize("by", ["run", "session"])
def test_planted_betas_come_back(tree, once, number, by):
    data, subject = once(number, zscore=by), tree.subjects[number]
    kept = kept_voxels(subject)
    percent = subject.percent["func1pt8mm"][:, kept]
    stored = np.round(percent * 300) / 300
    assert_planted(data, zscored(stored, subject.trials, by), subject.trials, 1e-5)
    # What int16 can change: half a step in the value and in the mean, over the smallest spread of a run.
    spread = min(
        percent[rows].std(axis=0).min() for rows in subject.trials.groupby(["SESSION", "RUN"]).indices.values()
    )
    assert_planted(data, zscored(percent, subject.trials, by), subject.trials, 4 * (0.5 / 300) / spread)
    assert data.attrs["n_dropped_voxels"] == 2 and data.attrs["voxels_without_data"] == "session 2: 2"
    assert value_problems(data.content) == []


def test_without_zscores_betas_are_percent(tree, once):
    data, subject = once(zscore="none"), tree.subjects[1]
    percent = subject.percent["func1pt8mm"][:, kept_voxels(subject)]
    assert_planted(data, percent, subject.trials, 0.5 / 300 + 1e-6)
    assert data.content["responses"].attrs["units"] == "percent signal change"


@pytest.mark.parametrize("number", [1, 2])
def test_the_test_set_is_what_the_stimulus_table_calls_shared(tree, once, prepare, number):
    data = once(number)
    test, others = expected_split(tree, number)
    ids, split = nsd_ids(data), data.get("split")
    assert set(ids[split == "test"]) == test and len(ids) == len(set(ids))
    assert set(ids[split != "test"]) == others
    assert np.count_nonzero(split == "validation") == round(len(others) / 9)
    assert 0 in test and (number == 2 or 72_999 in others)  # both ends of the ids, so no count is off by one
    again = prepare(number, seed=1)
    assert set(nsd_ids(again)) == set(ids) and (nsd_ids(again) != ids).any()


def test_sizes_repeats_and_sessions_of_the_split(tree, once, prepare):
    data = prepare(n_train=20, n_validation=5, n_test=4, test_repeats=2)
    assert [len(data.stimuli(part)) for part in ("train", "validation", "test")] == [20, 5, 4]
    shown = tree.subjects[1].trials["73KID"].nunique()
    assert data.attrs["n_images_left_out"] == shown - 29 and data.attrs["test_repeats"] == 2
    data = once(sessions="1,3", test_repeats=2)
    trials = tree.subjects[1].trials
    assert data.attrs["sessions"] == "1,3" and data.attrs["n_trials"] == 132
    assert data.attrs["n_dropped_voxels"] == 0  # the two voxels lack session 2
    assert set(nsd_ids(data)) <= set(trials["73KID"][trials["SESSION"] != 2] - 1)


def test_every_part_of_a_split_is_drawn_by_the_seed():
    trials = pd.DataFrame({"nsd_id": np.repeat(np.arange(400), 3), "session": 1})
    sizes = {"n_train": 50, "n_validation": 20, "n_test": 30}
    one, again, other = (split_images(trials, np.arange(100), **sizes, seed=seed) for seed in (0, 0, 1))
    assert one.equals(again)
    for part, size in zip(("train", "validation", "test"), sizes.values(), strict=True):
        ids, others = ([*images.nsd_id[images.split == part]] for images in (one, other))
        assert len(ids) == size and ids != others and np.ptp(ids) > 2 * size  # not a run of neighbours


@pytest.mark.parametrize("space", ["func1pt8mm", "fsaverage"])
def test_noise_ceilings_are_those_of_the_planted_ncsnr(tree, once, prepare, space):
    subject, mask = tree.subjects[1], "nsdgeneral" if space == "fsaverage" else None
    kept = kept_voxels(subject) if mask is None else np.arange(1, 210, 2)
    planted = subject.ncsnr[space][kept]
    ceiling = once(space=space, mask=mask).get("noise_ceiling")
    np.testing.assert_allclose(ceiling, 3 * planted**2 / (3 * planted**2 + 1), rtol=1e-5)
    data = prepare(space=space, mask=mask, test_repeats=2)
    inverse = np.mean(1 / np.isfinite(data.repeats()).all(axis=2).sum(axis=1))
    assert 1 / 3 < inverse < 1 / 2
    np.testing.assert_allclose(data.get("noise_ceiling"), planted**2 / (planted**2 + inverse), rtol=1e-5)


def test_noise_ceilings_from_repeats(tree, once):
    data = once(noise_ceiling="repeats")
    expected = noise_ceiling(data.repeats())
    np.testing.assert_allclose(data.get("noise_ceiling"), expected, rtol=1e-6)
    planted = tree.subjects[1].ncsnr["func1pt8mm"][kept_voxels(tree.subjects[1])] ** 2
    assert np.corrcoef(expected, 3 * planted / (3 * planted + 1))[0, 1] > 0.5


def test_areas_are_the_planted_ones(tree, once, prepare):
    data, subject = once(), tree.subjects[1]
    kept = kept_voxels(subject)
    names = {atlas: planted_names(subject, "func1pt8mm", atlas)[kept] for atlas in AREAS}
    for atlas, expected in names.items():
        np.testing.assert_array_equal(data.get(f"roi_{atlas}"), expected)
    assert {"V1", "V2", "V3", "hV4", ""} == set(names["prf-visualrois"])
    order = ("prf-visualrois", "floc-faces", "floc-places", "floc-bodies", "HCP_MMP1")
    first = [next((n for n in column if n), "") for column in zip(*(names[a] for a in order), strict=True)]
    functional = np.any([names[a] != "" for a in order[:-1]], axis=0)
    twice = np.isin(first, ["V1", "V2", "V3", "RSC"]) & ~functional
    assert twice.any()
    first = np.where(twice, [f"{name} (HCP_MMP1)" for name in first], first)
    np.testing.assert_array_equal(data.get("roi"), first)
    np.testing.assert_array_equal(prepare(roi_order=["streams"]).get("roi"), names["streams"])
    level = dict(zip(data.get("roi"), data.get("level"), strict=True))
    areas = ("V1", "V1 (HCP_MMP1)", "hV4", "V7", "FFA-1", "RSC", "RSC (HCP_MMP1)", "FEF", "")
    assert [level[area] for area in areas] == ["V1", "V1", "V4", "intermediate", "higher", "higher", "", "", ""]
    ijk = data.get("ijk")
    np.testing.assert_array_equal(np.ravel_multi_index(ijk.T, tree.shape, order="F"), kept)
    affine = nib.load(tree.root / "nsddata/ppdata/subj01/func1pt8mm/brainmask.nii.gz").affine
    np.testing.assert_array_equal(data.content["ijk"].attrs["affine"].reshape(4, 4), affine)


def test_surface_betas_are_not_divided_and_vertices_are_known(tree, once):
    subject = tree.subjects[1]
    percent, odd = subject.percent["fsaverage"], np.arange(1, 210, 2)
    data = once(space="fsaverage", mask="nsdgeneral")
    assert_planted(data, zscored(percent[:, odd], subject.trials, "run"), subject.trials, 1e-5)
    data, kept = once(space="fsaverage", zscore="none"), np.delete(np.arange(percent.shape[1]), 120)
    assert_planted(data, percent[:, kept], subject.trials, 1e-6)
    n_left = SURFACE["lh"].stop - SURFACE["lh"].start
    np.testing.assert_array_equal(data.get("hemisphere"), np.repeat(["left", "right"], [n_left, len(kept) - n_left]))
    vertices = np.concatenate([np.arange(here.start, here.stop) for here in SURFACE.values()])
    np.testing.assert_array_equal(data.get("vertex"), np.delete(vertices, n_left))
    assert data.content["vertex"].attrs["mesh"] == "fsaverage"
    np.testing.assert_array_equal(data.get("roi_HCP_MMP1"), planted_names(subject, "fsaverage", "HCP_MMP1")[kept])
    assert "roi_floc-faces" not in data.content
    assert data.attrs["n_dropped_voxels"] == 2 * 163_842 - len(kept)


def test_masks(tree, once, prepare, tmp_path):
    subject = tree.subjects[1]
    kept = np.setdiff1d(np.flatnonzero(subject.nsdgeneral), subject.lost)
    data = once(mask="nsdgeneral")
    np.testing.assert_array_equal(np.ravel_multi_index(data.get("ijk").T, tree.shape, order="F"), kept)
    own = np.zeros(tree.shape, np.uint8)
    own[4, 5, 2:5] = 1
    nib.save(nib.Nifti1Image(own, np.eye(4)), tmp_path / "mine.nii.gz")
    data = prepare(mask=str(tmp_path / "mine.nii.gz"))
    np.testing.assert_array_equal(data.get("ijk"), [[4, 5, 2], [4, 5, 3], [4, 5, 4]])
    data = once(space="fsaverage", mask="nsdgeneral")
    assert data.n_voxels == 105 and (data.get("vertex") % 2 == 1).all()
    label = tree.root / "nsddata/freesurfer/fsaverage/label/lh.nsdgeneral.mgz"
    again = prepare(space="fsaverage", mask=str(label))
    np.testing.assert_array_equal(again.get("vertex"), data.get("vertex"))


@pytest.mark.parametrize("ending", [".h5", ".npz"])
def test_features(tree, prepare, tmp_path, ending):
    path = write_features(tree, tmp_path / f"features{ending}")
    data = prepare(features=path, default_layer="block1")
    rows = pd.Index(tree.feature_ids).get_indexer(nsd_ids(data))
    for layer, values in tree.features.items():
        np.testing.assert_array_equal(data.features(layer=layer), values[rows].astype(np.float32))
    assert data.default_layer == "block1" and data.attrs["features_file"] == path.name
    assert data.attrs["feature_model"] == ("planted" if ending == ".h5" else "not stated")


def test_a_features_file_in_its_own_order_keeps_it_and_an_unfinished_one_is_refused(tree, prepare, tmp_path):
    path = write_features(tree, tmp_path / "features.h5")
    with h5py.File(path, "a") as file:
        file.attrs.update(layers="block2,block1", n_done=len(tree.feature_ids), preprocessing_sha256="ab")
        del file["stimulus_id"]
        file["stimulus_id"] = tree.feature_ids
    data = prepare(features=path)
    assert data.layers == ["block2", "block1"] and data.attrs["preprocessing_sha256"] == "ab"
    with h5py.File(path, "a") as file:
        file.attrs["n_done"] = 7
    with pytest.raises(ValueError, match=r"holds 7 of \d+ images; finish it with `jne features`"):
        prepare(features=path)


def test_features_zscored_within_runs_are_averaged_over_presentations(tree, once):
    data, trials = once(zscore_features=True), tree.subjects[1].trials
    rows = pd.Index(tree.feature_ids).get_indexer(trials["73KID"] - 1)
    for layer, values in tree.features.items():
        single = by_image(zscored(values[rows], trials, "run"), trials)
        means = np.stack([single[image].mean(axis=0) for image in nsd_ids(data)])
        np.testing.assert_allclose(data.features(layer=layer), means, rtol=0, atol=1e-6)


def not_shown(tree, subject=1):
    """Rows, in the features file, of images without trials."""
    return np.flatnonzero(~np.isin(tree.feature_ids, tree.subjects[subject].trials["73KID"] - 1))


def further_rows(tree, data):
    """Rows, in the features file, of what a dataset has beside its own images."""
    ids = [int(name.removeprefix("nsd")) for name in data.get("further_stimulus_id")]
    return pd.Index(tree.feature_ids).get_indexer(ids)


@pytest.mark.parametrize("ending", [".h5", ".npz"])
def test_features_of_images_that_were_not_shown(tree, prepare, tmp_path, ending, monkeypatch):
    """Twenty for each feature of the widest layer, the same images for all layers, blocks of any size."""
    monkeypatch.setattr("jne.features.feature_file._BLOCK", 100)
    path, lines = write_features(tree, tmp_path / f"features{ending}"), []
    data = prepare(features=path, report=lines.append)
    rows = further_rows(tree, data)
    assert len(rows) == data.n_further == data.attrs["n_further"] == 20 * 16 < len(not_shown(tree))
    assert set(rows) <= set(not_shown(tree)) and "features of 320 images that were not shown" in lines[-2]
    for layer, values in tree.features.items():
        np.testing.assert_array_equal(data.further(layer), values[rows].astype(np.float32))
    assert value_problems(data.content) == []
    other = further_rows(tree, prepare(features=path, seed=1))
    assert len(set(other) & set(rows)) < 320 and data.attrs["further_seed"] == 0
    few = prepare(features=path, further=7)
    assert set(further_rows(tree, few)) <= set(rows) and few.n_further == 7
    none = prepare(features=path, further=0)
    assert none.further() is None and none.attrs["n_further"] == 0 and "further_seed" not in none.attrs


def test_pictures_of_test_images_and_what_is_not_finite_are_left_out(tree, once, prepare, tmp_path):
    data, rows = once(), not_shown(tree)
    tested, trained = (
        pd.Index(tree.feature_ids).get_indexer(nsd_ids(data)[data.stimuli(split)]) for split in ("test", "train")
    )
    path = write_features(tree, tmp_path / "features.h5")
    with h5py.File(path, "a") as file:
        for layer in tree.features:
            values = file[layer][:]
            values[rows[0]], values[rows[1]] = values[tested[2]], values[trained[0]]
            file[layer][:] = values
        file["block2"][int(rows[2]), 3] = np.nan
        file["block1"][int(rows[3])] = file["block1"][int(tested[0])]  # in one layer alone: another picture
    data = prepare(features=path, further=10**6)
    assert set(rows) - set(further_rows(tree, data)) == {rows[0], rows[2]}
    assert value_problems(data.content) == []


def test_features_of_images_that_were_not_shown_are_zscored_by_all_runs(tree, once):
    data, trials = once(zscore_features=True), tree.subjects[1].trials
    shown = pd.Index(tree.feature_ids).get_indexer(trials["73KID"] - 1)
    for layer, values in tree.features.items():
        unseen, runs = values[further_rows(tree, data)].astype(float), []
        for trial in trials.groupby(["SESSION", "RUN"]).indices.values():
            own = values[shown[trial]].astype(float)
            runs.append((unseen - own.mean(axis=0)) / own.std(axis=0))
        np.testing.assert_allclose(data.further(layer), np.mean(runs, axis=0), rtol=0, atol=1e-5)


def test_a_layer_with_the_name_of_further_features_is_refused(tree, prepare, tmp_path):
    path = tmp_path / "features.npz"
    layers = {"block1": tree.features["block1"], "further_block1": tree.features["block1"]}
    np.savez(path, stimulus_id=tree.feature_ids, **layers)
    with pytest.raises(ValueError, match=r"has a layer 'further_block1', .*--further 0"):
        prepare(features=path)
    assert prepare(features=path, further=0).layers == list(layers)


def test_categories(tree, prepare, tmp_path):
    data = prepare(categories=tree.root / "categories.csv")
    np.testing.assert_array_equal(data.get("category"), [CATEGORIES[i % 4] for i in nsd_ids(data)])
    few = pd.read_csv(tree.root / "categories.csv").set_index("nsdId").drop(index=nsd_ids(data)[:2])
    few.to_csv(tmp_path / "few.csv")
    assert list(prepare(categories=tmp_path / "few.csv").get("category")[:2]) == ["no category"] * 2


def test_the_file_says_where_it_is_from(tree, once, prepare):
    attrs = once().attrs
    assert attrs["synthetic"] == 0 and attrs["subject"] == "subj01" and "data access agreement" in attrs["licence"]
    assert (attrs["space"], attrs["zscore"], attrs["betas"]) == ("func1pt8mm", "run", BETAS)
    assert attrs["features_sha256"] == jne._core.files.sha256(tree.root / "features.h5")
    attrs = prepare(synthetic=True).attrs
    assert attrs["synthetic"] == 1 and "simulated" in attrs["source"] and "NSD data" not in attrs["licence"]


def test_the_command_and_its_progress(tree, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    command = ["prepare", "nsd", "--root", str(tree.root), "--subject", "1", "--out", "out.nc", "--features"]
    result = CliRunner().invoke(main, [*command, str(tree.root / "features.h5"), "--roi-order", "streams,HCP_MMP1"])
    assert result.exit_code == 0, result.output
    assert "198 trials of 3 sessions, 99 images, 336 voxels" in result.output
    assert "Left out: 2 voxels without data (session 2: 2)" in result.output
    assert [path.name for path in tmp_path.iterdir()] == ["out.nc"]
    assert CliRunner().invoke(main, ["validate", "out.nc"]).exit_code == 0
    assert re.search(r"areas .*none \d+", CliRunner().invoke(main, ["info", "out.nc"]).output)


def test_parse_sessions():
    assert parse_sessions("1-3, 7,9-9") == [1, 2, 3, 7, 9]
    for text in ("", "0-3", "3-1", "one", "1-2-3"):
        with pytest.raises(ValueError, match="is not a list of sessions"):
            parse_sessions(text)


def test_area_names(tmp_path):
    path = tmp_path / "a.mgz.ctab"
    path.write_text("  0  Unknown  0 0 0 0\n  1  V1v  10 20 30 0\n 2 V3d 1 2 3 0\n3 V3A\n4 L_FFC_ROI\n5 hV4\n")
    assert read_names(path) == {1: "V1", 2: "V3", 3: "V3A", 4: "FFC", 5: "hV4"}


@pytest.mark.parametrize("form", ["shared{i:04d}_nsd{id:05d}", "nsd/shared1000/shared{i:04d}_NSD{id:05d}"])
def test_names_of_nsds_own_pictures_count_from_1(tree, prepare, tmp_path, form):
    """Shared images under the names of their files, the others under nsdIds, which count from 0."""
    names = [
        form.format(i=i, id=image + 1) if image in set(tree.shared) else f"nsd{image:05d}"
        for i, image in enumerate(tree.feature_ids.tolist(), 1)
    ]
    np.savez(tmp_path / "names.npz", stimulus_id=names, **tree.features)
    data = prepare(features=tmp_path / "names.npz")
    rows = pd.Index(tree.feature_ids).get_indexer(nsd_ids(data))
    for layer, values in tree.features.items():
        np.testing.assert_array_equal(data.features(layer=layer), values[rows].astype(np.float32))


def test_clipped_betas_are_counted_and_said(tree, once, tmp_path):
    attrs = once().attrs
    assert attrs["n_clipped_betas"] == len(tree.subjects[1].clipped) == 3 and attrs["n_clipped_voxels"] == 2
    kept = np.count_nonzero(tree.subjects[1].trials["SESSION"].to_numpy()[tree.subjects[1].clipped[:, 0]] != 2)
    assert once(sessions="1,3", test_repeats=2).attrs["n_clipped_betas"] == kept == 2
    assert once(space="fsaverage", mask="nsdgeneral").attrs["n_clipped_betas"] == 0
    command = ["prepare", "nsd", "--root", str(tree.root), "--subject", "1", "--out", str(tmp_path / "out.nc")]
    output = CliRunner().invoke(main, [*command, "--features", str(tree.root / "features.h5")]).output
    assert re.search(r"Clipped: 3 betas, in 2 voxels, .*109\.2 %", output), output


def test_what_ncsnr_is_of_is_said(tree, prepare):
    lines = []
    note = "betas z-scored within sessions"
    assert note in prepare(report=lines.append).attrs["noise_ceiling_note"]
    assert any(note in line and "--noise-ceiling repeats" in line for line in lines)
    assert "noise_ceiling_note" not in prepare(noise_ceiling="repeats", report=lines.append).attrs


def test_areas_on_fsaverage_come_from_its_own_atlases(tree, prepare):
    subject, lines = tree.subjects[1], []
    data = prepare(space="fsaverage", zscore="none", report=lines.append)
    kept = np.delete(np.arange(subject.percent["fsaverage"].shape[1]), 120)
    names = {atlas: planted_names(subject, "fsaverage", atlas)[kept] for atlas in ON_FSAVERAGE}
    for atlas, expected in names.items():
        np.testing.assert_array_equal(data.get(f"roi_{atlas}"), expected)
    assert data.attrs["roi_order"] == "Kastner2015,HCP_MMP1,streams"
    kastner = names["Kastner2015"] != ""
    np.testing.assert_array_equal(data.get("roi")[kastner], names["Kastner2015"][kastner])
    other = data.get("roi")[~kastner & (names["HCP_MMP1"] != "")]
    assert {"MST", "V3A (HCP_MMP1)"} <= set(other)
    assert any(
        line.startswith("Not on fsaverage, but drawn on each subject's own surface: prf-visualrois") for line in lines
    )
    assert not any(line.startswith("Not in this tree") for line in lines)


def test_drawn_areas_on_fsaverage_come_from_masks_of_algonauts(tree, prepare, tmp_path):
    """FFA, PPA and EBA, which NSD has none of there, as ``lh.floc-faces_fsaverage_space.npy``."""
    subject, rng = tree.subjects[1], np.random.default_rng(0)
    folder = tmp_path / "subj01" / "roi_masks"
    folder.mkdir(parents=True)
    given, names, odd = {"left": [], "right": []}, {}, np.arange(1, 210, 2)
    for atlas in ("floc-bodies", "floc-faces", "floc-places"):
        numbers = rng.integers(1, len(AREAS[atlas]) + 1, 2 * nsd_tree.N_VERTICES)
        numbers[rng.random(len(numbers)) < 0.6] = 0
        for side, half in zip(("left", "right"), np.split(numbers, 2), strict=True):
            given[side].append(folder / f"{side[0]}h.{atlas}_fsaverage_space.npy")
            np.save(given[side][-1], half)
        names[atlas] = np.array(["", *AREAS[atlas]])[numbers[tree.vertices()[odd]]]
    lines = []
    data = prepare(space="fsaverage", mask="nsdgeneral", atlases=given, report=lines.append)
    for atlas, expected in names.items():
        assert data.get(f"roi_{atlas}").tolist() == expected.tolist()
    names["Kastner2015"] = planted_names(subject, "fsaverage", "Kastner2015")[odd]
    order = ["floc-faces", "floc-places", "floc-bodies", "Kastner2015"]
    first = [next((name for name in column if name), "") for column in zip(*(names[a] for a in order), strict=True)]
    here = np.array(first) != ""
    assert data.get("roi")[here].tolist() == [name for name in first if name]
    assert {"FFA-1", "PPA"} <= set(data.get("roi")) and set(AREAS["floc-bodies"]) & set(data.get("roi"))
    assert data.attrs["roi_order"] == "floc-faces,floc-places,floc-bodies,Kastner2015,HCP_MMP1,streams"
    assert any(line.endswith("surface: prf-visualrois, floc-words") for line in lines)
    with pytest.raises(ValueError, match=r"needed: the same different atlases, in one order"):
        prepare(space="fsaverage", atlases={"left": given["left"], "right": given["right"][::-1]})
    with pytest.raises(ValueError, match=r"is of subj01, and the subject is subj02"):
        prepare(2, space="fsaverage", atlases=given)
    with pytest.raises(ValueError, match=r"atlases: they lie on fsaverage, and the space is a volume"):
        prepare(atlases=given)


@pytest.mark.parametrize(("zscore", "by"), [("run", ["SESSION", "RUN"]), ("session", ["SESSION"])])
def test_z_scores_are_those_of_scipy(tree, once, zscore, by):
    subject = tree.subjects[1]
    stored = np.round(subject.percent["func1pt8mm"][:, kept_voxels(subject)] * 300) / 300
    values = np.empty(stored.shape)
    for rows in subject.trials.groupby(by).indices.values():
        values[rows] = scipy.stats.zscore(stored[rows], axis=0)
    assert_planted(once(zscore=zscore), values, subject.trials, 1e-5)


@pytest.mark.parametrize("space", ["func1pt8mm", "fsaverage"])
def test_levels_of_kastner2015_and_streams(tree, prepare, space):
    mask = {"mask": "nsdgeneral"} if space == "fsaverage" else {}
    data = prepare(space=space, roi_order=["Kastner2015"], **mask)
    level = dict(zip(data.get("roi"), data.get("level"), strict=True))
    higher, intermediate = ("PHC1", "PHC2", "TO1", "TO2"), ("VO1", "VO2", "LO1", "LO2", "V3A", "V3B", "IPS0", "IPS1")
    expected = {"V1": "V1", "V2": "V2", "V3": "V3", "hV4": "V4"} | dict.fromkeys(higher, "higher")
    expected |= dict.fromkeys(intermediate, "intermediate")
    expected |= dict.fromkeys(("", "IPS2", "IPS3", "IPS4", "IPS5", "SPL1", "FEF"), "")
    assert level == {area: expected[area] for area in level} and len(level) > 15
    data = prepare(space=space, roi_order=["streams"], **mask)
    level = dict(zip(data.get("roi"), data.get("level"), strict=True))
    assert (level["early"], level["midventral"], level["parietal"]) == ("", "intermediate", "higher")


def test_the_miniature_has_the_traits_of_nsds_own_files(tree):
    """What a reader of the true files may stumble over."""
    folder = tree.root / "nsddata/ppdata/subj01"
    table = pd.read_csv(folder / "behav/responses.tsv", sep="\t", dtype=str)
    assert len(table.columns) == 19 and table["TIME"].str.len().max() >= 20 and table["RT"].isna().any()
    mask = folder / "func1pt8mm/brainmask.nii.gz"
    header = nib.load(mask).header
    assert (header["qform_code"], header["sform_code"]) == (0, 1)
    assert gzip.decompress(mask.read_bytes())[112:120] == bytes(8)  # scl_slope and scl_inter
    areas = nib.load(folder / "func1pt8mm/roi/streams.nii.gz")
    assert areas.get_data_dtype() == np.float64 and areas.get_fdata().min() == -1
    formats = {p.suffix for p in (tree.root / HDF5).glob("betas_session*")}
    assert formats == {".hdf5", ".gz"}
    surface = tree.root / FSAVERAGE / "lh.betas_session01.mgh"
    assert surface.stat().st_size == 284 + 4 * 66 * 163_842 + 16
    ncsnr = nib.load(tree.root / VOLUME / "ncsnr.nii.gz").get_fdata()
    assert np.isnan(ncsnr).any() and np.isfinite(ncsnr).any()
    stored = np.concatenate([np.asarray(nib.load(p).dataobj).ravel() for p in (tree.root / VOLUME).glob("betas*")])
    assert stored.max() == 32767 and stored.min() == -32768


# What may be wrong


@pytest.fixture
def copy(tree, tmp_path, monkeypatch):
    """A copy of the tree, of hard links, in the working folder; `change` replaces a file."""
    shutil.copytree(tree.root, tmp_path / "nsd", copy_function=os.link)
    monkeypatch.chdir(tmp_path)
    return Path("nsd")


def change(path, content):
    path.unlink()
    path.write_bytes(content)


def truncate(path, share=0.6):
    return lambda root: change(root / path, (root / path).read_bytes()[: int((root / path).stat().st_size * share)])


def remove(path):
    return lambda root: (root / path).unlink()


def flip(path):
    """One wrong byte in the middle of what a .gz holds: only its checksum tells."""

    def do(root):
        with gzip.open(root / path) as file:
            content = bytearray(file.read())
        compressed = bytearray(gzip.compress(bytes(content), compresslevel=0))
        compressed[len(compressed) // 2] ^= 1
        change(root / path, bytes(compressed))

    return do


def resave(path, edit, dtype=None):
    def do(root):
        image = nib.load(root / path)
        values = edit(np.asanyarray(image.dataobj))
        (root / path).unlink()
        kind = nib.MGHImage if path.endswith((".mgh", ".mgz")) else nib.Nifti1Image
        nib.save(kind(values.astype(dtype or values.dtype), image.affine), root / path)

    return do


def edit_table(path, edit, **options):
    def do(root):
        table = edit(pd.read_csv(root / path, sep=options.get("sep", ",")))
        (root / path).unlink()
        table.to_csv(root / path, index=False, **options)

    return do


def edit_features(edit):
    def do(root):
        with h5py.File(root / "features.h5") as file:
            content = {name: file[name][...] for name in file}
        edit(content)
        (root / "features.h5").unlink()
        with h5py.File(root / "features.h5", "w") as file:
            for name, values in content.items():
                file[name] = values

    return do


def put(name, *where, value):
    def edit(content):
        content[name][where] = value

    return edit


def save_mat(root):
    (root / EXPERIMENT / "nsd_expdesign.mat").unlink()
    savemat(root / EXPERIMENT / "nsd_expdesign.mat", {"sharedix": np.array([[0, 5, 7]])})


def append(path, text):
    return lambda root: change(root / path, (root / path).read_bytes() + text.encode())


def nothing(root):
    pass


def nsd(*options, subject=1):
    return ["--subject", str(subject), *options]


SURFACE_OPTIONS = nsd("--space", "fsaverage")
VOLUME = f"nsddata_betas/ppdata/subj01/func1pt8mm/{BETAS}"
HDF5 = f"nsddata_betas/ppdata/subj02/func1pt8mm/{BETAS}"
FSAVERAGE = f"nsddata_betas/ppdata/subj01/fsaverage/{BETAS}"
PPDATA, LABELS = "nsddata/ppdata/subj01", "nsddata/freesurfer/fsaverage/label"
RESPONSES, EXPERIMENT = f"{PPDATA}/behav/responses.tsv", "nsddata/experiments/nsd"
ROIS = f"{PPDATA}/func1pt8mm/roi"

BAD = {
    "root: another folder": (lambda root: root.rename("else"), nsd(), r"nsd has no folder nsddata; needed"),
    "betas: truncated": (
        truncate(f"{VOLUME}/betas_session02.nii.gz"),
        nsd(),
        r"betas_session02\.nii\.gz \(\d+ bytes\) cannot be read .*: it is truncated.*download it again",
    ),
    "betas: last bytes missing": (
        truncate(f"{VOLUME}/betas_session02.nii.gz", 0.9999),
        nsd(),
        r"betas_session02\.nii\.gz \(\d+ bytes\) cannot be read",
    ),
    "betas: one wrong byte": (flip(f"{VOLUME}/betas_session03.nii.gz"), nsd(), r"session03\.nii\.gz.*CRC check failed"),
    "betas: truncated HDF5": (
        truncate(f"{HDF5}/betas_session01.hdf5"),
        nsd(subject=2),
        r"betas_session01\.hdf5 \(\d+ bytes\) cannot be read",
    ),
    "betas: truncated MGH": (
        truncate(f"{FSAVERAGE}/rh.betas_session01.mgh"),
        SURFACE_OPTIONS,
        r"rh\.betas_session01\.mgh.*it ends in trial \d+ of 66",
    ),
    "betas: a session is missing": (
        remove(f"{VOLUME}/betas_session02.nii.gz"),
        nsd(),
        r"no betas of session 2.*aws s3 cp --no-sign-request s3://natural-scenes-dataset/nsddata_betas/ppdata/subj01/"
        r"func1pt8mm/betas_fithrf_GLMdenoise_RR/betas_session02\.nii\.gz.*--sessions without 2 \(.*folder: 1, 3\)",
    ),
    "betas: a hemisphere is missing": (
        remove(f"{FSAVERAGE}/rh.betas_session03.mgh"),
        SURFACE_OPTIONS,
        r"no betas of session 3: there is no .*rh\.betas_session03\.mgh",
    ),
    "betas: fewer trials than responses.tsv": (
        resave(f"{VOLUME}/betas_session01.nii.gz", lambda a: a[..., :-1]),
        nsd(),
        r"betas_session01\.nii\.gz holds 65 trials, and responses\.tsv has 66",
    ),
    "betas: another shape": (
        resave(f"{VOLUME}/betas_session01.nii.gz", lambda a: a[:-1]),
        nsd(),
        r"betas_session01\.nii\.gz has shape \(8, 10, 8\); needed: \(9, 10, 8\), the shape of the mask",
    ),
    "betas: another type": (
        resave(f"{VOLUME}/betas_session01.nii.gz", lambda a: a / 300, np.float32),
        nsd(),
        r"holds float32; needed: int16, as NSD stores volume betas",
    ),
    "betas: of the subject's own surface": (
        resave(f"{FSAVERAGE}/lh.betas_session01.mgh", lambda a: a[:140_000]),
        SURFACE_OPTIONS,
        r"shape \(140000, 1, 1\); needed: \(163842, 1, 1\).*140000 is not fsaverage's number of vertices",
    ),
    "responses.tsv: missing": (remove(RESPONSES), nsd(), r"there is no .*responses\.tsv\. Download it with aws s3 cp"),
    "responses.tsv: of another subject": (
        edit_table(RESPONSES, lambda t: t.assign(SUBJECT=3), sep="\t"),
        nsd(),
        r"trials of subject 3, needed: subject 1",
    ),
    "responses.tsv: no image ids": (
        edit_table(RESPONSES, lambda t: t.drop(columns="73KID"), sep="\t"),
        nsd(),
        r"no column 73KID",
    ),
    "responses.tsv: ids from 0": (
        edit_table(RESPONSES, lambda t: t.assign(**{"73KID": t["73KID"] - 1}), sep="\t"),
        nsd(),
        r"3 rows, the first in line \d+, have no whole SESSION, RUN and 73KID from 1 to 73000",
    ),
    "responses.tsv: one trial less": (
        edit_table(RESPONSES, lambda t: t.drop(index=70), sep="\t"),
        nsd(),
        r"betas_session02\.nii\.gz holds 66 trials, and responses\.tsv has 65",
    ),
    "responses.tsv: rows in another order": (
        edit_table(RESPONSES, lambda t: t.iloc[::-1], sep="\t"),
        nsd(),
        r"runs of a session are not in order",
    ),
    "design: missing": (
        remove(f"{EXPERIMENT}/nsd_expdesign.mat"),
        nsd(),
        r"shared images: there is no .*expdesign\.mat",
    ),
    "design: truncated": (
        truncate(f"{EXPERIMENT}/nsd_expdesign.mat"),
        nsd(),
        r"nsd_expdesign\.mat \(\d+ bytes\) cannot",
    ),
    "design: ids from 0": (save_mat, nsd(), r"sharedix must hold different whole numbers from 1 to 73000"),
    "sessions: not there": (nothing, nsd("--sessions", "2-4"), r"subject 1 has no session 4.*\(NSD: 40\)"),
    "sessions: not numbers": (nothing, nsd("--sessions", "all"), r"sessions='all' is not a list of sessions"),
    "split: too few repeats": (
        nothing,
        nsd("--sessions", "1", "--test-repeats", "4"),
        r"test set: 0 shared images were seen at least 4 times in the 1 session used, needed: 3\. Shared images: "
        r"\d+ seen .*--sessions.*--test-repeats.*--n-test",
    ),
    "split: more than there are": (nothing, nsd("--n-train", "500"), r"--n-train 500.*together at most 77"),
    "features: no such file": (remove("features.h5"), nsd(), r"features: there is no file .*features\.h5"),
    "features: truncated": (truncate("features.h5"), nsd(), r"features\.h5 \(\d+ bytes\) cannot be read"),
    "features: an image is missing": (
        edit_features(lambda c: [c.update({n: v[:-200]}) for n, v in list(c.items())]),
        nsd(),
        r"lacks \d+ of the 103 images that were shown \(first: nsdId \d+, counted from 0\)",
    ),
    "features: an image twice": (
        edit_features(lambda c: c.update(stimulus_id=np.append(c["stimulus_id"][1:], c["stimulus_id"][1]))),
        nsd(),
        r"more than once in stimulus_id",
    ),
    "features: an image under two texts": (
        edit_features(put("stimulus_id", 3, value=b"again00000")),
        nsd(),
        r"has 1 images more than once \(first: nsdId 0\)",
    ),
    "features: ids without numbers": (
        edit_features(put("stimulus_id", 3, value=b"beach")),
        nsd(),
        r"stimulus_id 'beach' of .*ends in no number",
    ),
    "features: no ids": (edit_features(lambda c: c.pop("stimulus_id")), nsd(), r"has no array stimulus_id; it has"),
    "features: no layer": (
        edit_features(lambda c: [c.pop(name) for name in ("block1", "block2")]),
        nsd(),
        r"has no layer",
    ),
    "features: rows without ids": (
        edit_features(lambda c: c.update(block1=c["block1"][:-1])),
        nsd(),
        r"block1 of .* is \(\d+, 10\), float16; needed: \(\d+ images, n_features\)",
    ),
    "features: NaN": (
        edit_features(put("block2", slice(None), 2, value=np.nan)),
        nsd(),
        r"layer block2 of .*features\.h5 holds 103 non-finite values",
    ),
    "features: a reserved name": (
        edit_features(lambda c: c.update(responses=c.pop("block1"))),
        nsd(),
        r"layer responses of .* has the name of another variable",
    ),
    "default layer: unknown": (nothing, nsd("--default-layer", "block9"), r"'block9'; accepted: None, block1, block2"),
    "categories: another table": (
        nothing,
        nsd("--categories", f"nsd/{RESPONSES}"),
        r"categories: .*Needed: a CSV with the columns nsdId",
    ),
    "categories: an image twice": (
        edit_table("categories.csv", lambda t: pd.concat([t, t[:1]])),
        nsd("--categories", "nsd/categories.csv"),
        r"1 images more than once \(first: nsdId \d+\)",
    ),
    "categories: none of the images": (
        edit_table("categories.csv", lambda t: t.assign(nsdId=t["nsdId"] + 100_000)),
        nsd("--categories", "nsd/categories.csv"),
        r"has none of the 99 images; its nsdId must count from 0",
    ),
    "atlas: another shape": (
        resave(f"{ROIS}/streams.nii.gz", lambda a: a[:, 1:]),
        nsd(),
        r"streams\.nii\.gz has shape \(9, 9, 8\); needed: \(9, 10, 8\)",
    ),
    "atlas: a number without a name": (
        resave(f"{ROIS}/streams.nii.gz", lambda a: np.where(a == 3, 30, a)),
        nsd(),
        r"streams\.nii\.gz has the number 30, which .*streams\.mgz\.ctab does not name",
    ),
    "atlas: no names": (
        remove("nsddata/freesurfer/subj01/label/floc-faces.mgz.ctab"),
        nsd(),
        r"names of the areas of floc-faces: there is no",
    ),
    "atlas: not in the tree": (
        remove(f"{ROIS}/Kastner2015.nii.gz"),
        nsd("--roi-order", "Kastner2015"),
        r"Kastner2015.*leave it out of --roi-order",
    ),
    "atlas: a wrong checksum": (flip(f"{ROIS}/streams.nii.gz"), nsd(), r"streams\.nii\.gz.*CRC check failed"),
    "atlas: complex numbers": (
        resave(f"{ROIS}/streams.nii.gz", lambda a: a.astype(np.complex64)),
        nsd(),
        r"streams\.nii\.gz holds complex numbers",
    ),
    "atlas: a number with two names": (
        append("nsddata/freesurfer/subj01/label/streams.mgz.ctab", "3 else\n"),
        nsd(),
        r"streams\.mgz\.ctab gives the number 3 two names, 'midlateral' and 'else'",
    ),
    "atlas: none on fsaverage": (
        nothing,
        [*SURFACE_OPTIONS, "--roi-order", "prf-visualrois"],
        r"Error: prf-visualrois is drawn on each subject's own surface, and NSD has none on fsaverage\..*Kastner2015",
    ),
    "mask: none on fsaverage": (
        nothing,
        [*SURFACE_OPTIONS, "--mask", "floc-faces"],
        r"Error: floc-faces is drawn on each subject's own surface",
    ),
    "ncsnr: a wrong checksum": (flip(f"{VOLUME}/ncsnr.nii.gz"), nsd(), r"ncsnr\.nii\.gz.*CRC check failed"),
    "features: ids from 1": (
        edit_features(put("stimulus_id", 3, value=b"nsd73000")),
        nsd(),
        r"stimulus_id 'nsd73000' of .* is not one of the 73000 images; .*subtract 1",
    ),
    "categories: ids from 1": (
        edit_table("categories.csv", lambda t: t.assign(nsdId=t["nsdId"] + 1)),
        nsd("--categories", "nsd/categories.csv"),
        r"categories: .* has nsdId 73000; needed: 0 to 72999",
    ),
    "atlas: of the subject's own surface": (
        resave(f"{LABELS}/lh.HCP_MMP1.mgz", lambda a: a[:139_000]),
        SURFACE_OPTIONS,
        r"lh\.HCP_MMP1\.mgz has shape \(139000, 1, 1\).*it is the subject's own surface",
    ),
    "atlas: truncated": (truncate(f"{ROIS}/streams.nii.gz"), nsd(), r"streams\.nii\.gz \(\d+ bytes\) cannot be read"),
    "ncsnr: missing": (
        remove(f"{VOLUME}/ncsnr.nii.gz"),
        nsd(),
        r"no .*ncsnr\.nii\.gz.*or compute.*--noise-ceiling repeats",
    ),
    "ncsnr: negative": (
        resave(f"{VOLUME}/ncsnr.nii.gz", lambda a: -a),
        nsd(),
        r"values of ncsnr\.nii\.gz in .*negative",
    ),
    "mask: no such": (nothing, nsd("--mask", "V9"), r"mask 'V9'.*there is no .*roi/V9\.nii\.gz"),
    "mask: of a volume": (
        nothing,
        [*SURFACE_OPTIONS, "--mask", "brainmask"],
        r"is a volume; for fsaverage leave --mask",
    ),
    "mask: empty": (
        resave(f"{PPDATA}/func1pt8mm/brainmask.nii.gz", np.zeros_like),
        nsd(),
        r"brainmask\.nii\.gz has no value above 0",
    ),
    "mask: one hemisphere": (
        remove(f"{LABELS}/rh.nsdgeneral.mgz"),
        [*SURFACE_OPTIONS, "--mask", f"nsd/{LABELS}/lh.nsdgeneral.mgz"],
        r"there is no .*rh\.nsdgeneral\.mgz, the right hemisphere",
    ),
    "mask: only voxels without data": (
        resave(f"{VOLUME}/betas_session02.nii.gz", np.zeros_like),
        nsd(),
        r"none of the 336 voxels has data in every session",
    ),
    "memory: too little": (
        nothing,
        nsd("--max-memory", "100MB"),
        r"reading a session of 66 trials x 336 voxels.*max_memory is 100 MB.*--mask nsdgeneral",
    ),
    "out: another ending": (nothing, nsd("--out", "out.csv"), r"out\.csv ends in '\.csv'"),
}


@pytest.mark.parametrize("kind", BAD)
def test_bad_input_is_named_and_nothing_is_written(kind, copy):
    spoil, options, message = BAD[kind]
    spoil(copy)
    before = {path: path.stat().st_mtime_ns for path in copy.rglob("*") if path.is_file()}
    common = ["prepare", "nsd", "--root", str(copy), "--features", "nsd/features.h5", "--out", "out.nc"]
    result = CliRunner().invoke(main, [*common, *options])
    assert result.exit_code == 1 and isinstance(result.exception, SystemExit), (result.output, result.exception)
    output = " ".join(result.output.split())
    assert re.search(message, output), output
    assert {path: path.stat().st_mtime_ns for path in copy.rglob("*") if path.is_file()} == before
    assert not Path("out.nc").exists() and not list(Path().rglob("*.part"))


USAGE = namedtuple("USAGE", "total used free")


def test_too_little_disk_is_refused_before_the_work(prepare, monkeypatch, tmp_path):
    monkeypatch.setattr(shutil, "disk_usage", lambda path: USAGE(10**6, 0, 10**5))
    with pytest.raises(ValueError, match=r"needed beside .*naïve\.nc.*100 kB.*are free.*--mask nsdgeneral.*--sessions"):
        prepare()
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("stage", ["session", "result"])
@pytest.mark.parametrize("how", ["before", "within"])
def test_a_full_disk_is_named_and_the_next_call_goes_on(how, stage, prepare, monkeypatch, tmp_path):
    """Seen before HDF5 begins to write, or reported by HDF5."""

    def full(self, name, *args, **options):
        if name == ("sd" if stage == "session" else "responses_repeats"):
            raise OSError(errno.ENOSPC, "No space left on device")
        return create(self, name, *args, **options)

    def usage(path):
        at_start = sys._getframe(1).f_code.co_name == "check"
        here = Path(path).name.endswith(".work") == (stage == "session")
        return USAGE(10**12, 0, 10**12 if at_start or not here else 10**4)

    create = h5py.Group.create_dataset
    with monkeypatch.context() as patched, pytest.raises(OSError, match="no space left on the disk while writing"):
        if how == "before":
            patched.setattr(shutil, "disk_usage", usage)
        else:
            patched.setattr(h5py.Group, "create_dataset", full)
        prepare()
    left = sorted(path.name for path in tmp_path.rglob("*") if path.is_file())
    assert left == ([] if stage == "session" else [f"session_{i:02d}.h5" for i in (1, 2, 3)])
    assert prepare().n_voxels == 334


KILLED = """
import os, signal, sys
import h5netcdf
from jne.prepare.nsd import prepare_nsd
from jne.prepare.nsd import assemble
from jne.prepare.nsd import prepare
from jne.prepare.nsd import sessions

stage, root, out = sys.argv[1:]
calls = 0

def kill(*args, **options):
    os.kill(os.getpid(), signal.SIGKILL)

def at_call(n, original):
    def run(*args, **options):
        global calls
        calls += 1
        return kill() if calls == n else original(*args, **options)
    return run

if stage == "reading":
    sessions.read_session = at_call(2, sessions.read_session)
if stage == "work file":
    create = sessions.h5py.Group.create_dataset
    sessions.h5py.Group.create_dataset = at_call(8, create)
if stage == "writing":
    sessions.Presentations.read = at_call(40, sessions.Presentations.read)
if stage == "tidying":
    prepare.shutil.rmtree = kill
prepare_nsd(root, 1, root + "/features.h5", out)
"""


@pytest.fixture(scope="module")
def undisturbed(tree, tmp_path_factory):
    out = tmp_path_factory.mktemp("whole") / "out.nc"
    prepare_nsd(tree.root, 1, tree.root / "features.h5", out)
    return hashlib.sha256(out.read_bytes()).hexdigest()


@pytest.mark.parametrize(
    ("stage", "n_read"), [("reading", 2), ("work file", 2), ("writing", 0), ("tidying", 0)], ids=lambda x: str(x)
)
def test_a_killed_run_goes_on_at_the_next_session_with_the_same_bytes(
    stage, n_read, tree, undisturbed, tmp_path, monkeypatch
):
    out = tmp_path / "out.nc"
    assert copies.run(KILLED, stage, tree.root, out) == -signal.SIGKILL
    assert out.exists() == (stage == "tidying")
    parts = list(tmp_path.rglob("*.part"))
    assert len(parts) == (stage in ("work file", "writing"))
    read, sessions_read = session_module.read_session, []
    monkeypatch.setattr(session_module, "read_session", lambda *a: (sessions_read.append(a), read(*a))[1])
    prepare_nsd(tree.root, 1, tree.root / "features.h5", out)
    assert len(sessions_read) == n_read
    assert hashlib.sha256(out.read_bytes()).hexdigest() == undisturbed
    assert [path.name for path in tmp_path.iterdir()] == ["out.nc"]


def test_work_files_of_other_parameters_are_not_used(tree, prepare, tmp_path, monkeypatch):
    whole = prepare(zscore="session", out=tmp_path / "whole.nc").responses()
    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(session_module.Presentations, "read", lambda *a: (_ for _ in ()).throw(KeyboardInterrupt))
        prepare(zscore="run")
    assert len(list((tmp_path / "naïve.nc.work").iterdir())) == 3
    np.testing.assert_array_equal(prepare(zscore="session").responses(), whole)


def test_memory_does_not_grow_with_the_number_of_sessions_and_the_file_is_as_large_as_said(tmp_path):
    tree = make_tree(tmp_path / "nsd", subjects=(1,), n_sessions=5, shape=(16, 16, 16), surface=False)
    write_features(tree, tree.root / "features.h5")
    peaks, lines = {}, []
    options = {"test_repeats": 1, "report": lines.append}
    prepare_nsd(tree.root, 1, tree.root / "features.h5", tmp_path / "out.nc", sessions="1", **options)  # imports
    for sessions in ("1-2", "1-5"):
        tracemalloc.start()
        prepare_nsd(tree.root, 1, tree.root / "features.h5", tmp_path / "out.nc", sessions=sessions, **options)
        peaks[sessions] = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    # All sessions in memory at once would be three sessions' worth more.
    session = 66 * np.count_nonzero(tree.subjects[1].brainmask) * 2
    assert peaks["1-5"] - peaks["1-2"] < session
    stay = int(re.search(r"of which .*\((\d+) bytes\) stay", lines[-2])[1])
    assert 0.8 * stay < (tmp_path / "out.nc").stat().st_size < 1.1 * stay


def test_what_nsd_itself_needs_is_what_the_help_says():
    runs = np.tile(np.repeat(np.arange(12), np.tile([63, 62], 6)), 40)
    trials = pd.DataFrame({"session": np.repeat(np.arange(40), 750), "run": runs, "nsd_id": np.arange(30_000) // 3})
    images = pd.DataFrame({"split": np.repeat(["train", "test"], [9000, 1000]), "count": 3})
    text = CliRunner().invoke(main, ["prepare", "nsd", "--help"]).output
    rows = re.findall(r"(\d+),000 (?:voxels|vertices) +([\d.]+) GB, and +(\d+) GB more", text)
    assert len(rows) == 3
    for thousands, stay, more in rows:
        space = Space([], np.arange(int(thousands) * 1000), "", np.eye(4) if thousands != "328" else None)
        features = SimpleNamespace(layers={"layer": 768}, n_rows=73_000)
        needed = Estimate(trials, images, space, "run", features, 20 * 768)
        assert abs(needed.result / 1e9 - float(stay)) < 0.5 and abs(needed.work / 1e9 - float(more)) < 0.5
        assert needed.memory < 2e9
    assert f"  {','.join(ROI_ORDER)}\n" in text


def test_paths_are_those_of_the_manual():
    layout = Layout(Path("/nsd"), 7, "fsaverage")
    assert str(layout.mask("nsdgeneral")[1]) == "/nsd/nsddata/freesurfer/fsaverage/label/rh.nsdgeneral.mgz"
    path = "nsddata/ppdata/subj07/behav/responses.tsv"
    assert layout.download(layout.responses).endswith(f"s3://natural-scenes-dataset/{path} /nsd/{path}")


def test_subjects_have_as_many_trials_as_nsd_has_published():
    assert [750 * n for n in N_SESSIONS] == [30_000, 30_000, 24_000, 22_500, 30_000, 24_000, 30_000, 22_500]
