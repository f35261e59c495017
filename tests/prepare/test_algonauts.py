"""`prepare_algonauts` against NumPy on a miniature in the format of the challenge's own files."""

import re

import algonauts_tree
import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from nibabel.freesurfer import write_annot

from jne import load_dataset
from jne.cli import main
from jne.prepare import prepare_algonauts
from jne.prepare.drawn_areas import CLASSES, read_drawn
from jne.prepare.nsd.given import read_given
from jne.prepare.nsd.layout import Layout
from jne.prepare.surface import vertex_labels

ORDER = ("prf-visualrois", "floc-faces", "floc-places", "floc-bodies", "streams")


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    return algonauts_tree.make_tree(tmp_path_factory.mktemp("algonauts"))


@pytest.fixture(scope="module")
def features(tree):
    return algonauts_tree.write_features(tree, tree.root / "features.h5")


@pytest.fixture(scope="module")
def data(tree, features):
    return prepare_algonauts(tree.root, 1, features, tree.root / "subj01.nc")


def names_of(tree, name):
    """Area of each vertex of both hemispheres, ventral and dorsal parts as one."""
    areas = ["", *(re.sub("^(V[123])[vd]$", r"\1", area) for area in algonauts_tree.CLASSES[name])]
    return np.array(areas)[np.concatenate([tree.labels[name][side] for side in ("lh", "rh")])]


def test_responses_features_and_ids(tree, data):
    ids = [f"nsd{number:05d}" for number in tree.images]
    assert data.get("stimulus_id").tolist() == ids and ids[0] == "nsd00000" and ids[-1] == "nsd72999"
    np.testing.assert_array_equal(data.get("responses"), np.hstack([tree.responses["lh"], tree.responses["rh"]]))
    n = len(tree.images)
    np.testing.assert_array_equal(data.get("layer2"), tree.features["layer2"][:n])
    further = data.content["further_stimulus_id"].values.astype(str).tolist()
    assert further == [f"nsd{number:05d}" for number in tree.test_images]
    np.testing.assert_array_equal(data.content["further_layer1"].values, tree.features["layer1"][n:])
    assert "noise_ceiling" not in data.content and "responses_repeats" not in data.content
    parts = pd.Series(data.get("split")).value_counts()
    assert parts.to_dict() == {"train": 63, "test": 18, "validation": 9}


def test_places_on_fsaverage(tree, data):
    for side, name in (("lh", "left"), ("rh", "right")):
        here = data.get("hemisphere") == name
        np.testing.assert_array_equal(data.get("vertex")[here], tree.vertices[side])
    assert data.content["vertex"].attrs["mesh"] == "fsaverage"


def test_areas_by_the_table_of_names(tree, data):
    assert algonauts_tree.CLASSES == {name: list(areas) for name, areas in CLASSES.items()}
    table = pd.DataFrame({name: names_of(tree, name) for name in algonauts_tree.CLASSES})
    for name in table:
        assert data.get(f"roi_{name}").tolist() == table[name].tolist()
    first = table[list(ORDER)].replace("", np.nan).bfill(axis=1).iloc[:, 0].fillna("")
    assert data.get("roi").tolist() == first.tolist()
    levels = dict(zip(data.get("roi"), data.get("level"), strict=True))
    assert (levels["V1"], levels["hV4"], levels["OFA"], levels["EBA"]) == ("V1", "V4", "higher", "higher")


def test_names_of_features_as_numbers(tree, data):
    ids = [*tree.images.tolist(), *tree.test_images.tolist()]
    path = algonauts_tree.write_features(tree, tree.root / "numbers.h5", ids)
    other = prepare_algonauts(tree.root, 1, path, tree.root / "numbers.nc", roi_order=["floc-words"], seed=1)
    np.testing.assert_array_equal(other.get("layer1"), data.get("layer1"))
    assert other.get("roi").tolist() == names_of(tree, "floc-words").tolist()
    assert (other.get("split") != data.get("split")).any()


def test_a_test_set_and_categories_of_ones_own(tree, features):
    listed, table = tree.root / "test.txt", tree.root / "categories.csv"
    chosen = tree.images[[3, 7, 11, 50]]
    listed.write_text(f"{chosen[0]}\nnsd{chosen[1]:05d}\ntrain-0012_nsd-{chosen[2]:05d}.png\nnsd-{chosen[3]}\n")
    table.write_text(f"nsdId,category\n{tree.images[0]},cat\n{tree.images[1]},dog\n")
    data = prepare_algonauts(tree.root, 1, features, tree.root / "own.nc", test=listed, categories=table)
    assert np.flatnonzero(data.get("split") == "test").tolist() == [3, 7, 11, 50]
    assert (data.get("split") == "validation").sum() == round(0.1 * 86)
    assert data.get("category")[:3].tolist() == ["cat", "dog", "no category"]
    listed.write_text(f"{tree.test_images[0]}\n")
    with pytest.raises(ValueError, match=r"test: 1 pictures of .* are none of the 90 with responses"):
        prepare_algonauts(tree.root, 1, features, tree.root / "own.nc", test=listed)


def test_a_ceiling_is_given_as_shares(tree, features):
    rng = np.random.default_rng(0)
    whole, own = rng.random(algonauts_tree.N_VERTICES), rng.random(len(tree.vertices["rh"]))
    own[5] = np.nan
    paths = {"left": tree.root / "left.npy", "right": tree.root / "right.npy"}
    np.save(paths["left"], whole)
    np.save(paths["right"], own)
    data = prepare_algonauts(tree.root, 1, features, tree.root / "ceiling.nc", ceilings=paths)
    expected = np.concatenate([whole[tree.vertices["lh"]], own]).astype(np.float32)
    np.testing.assert_array_equal(data.get("noise_ceiling"), expected)
    np.save(paths["left"], 100 * whole)
    with pytest.raises(ValueError, match="percent: divide by 100"):
        prepare_algonauts(tree.root, 1, features, tree.root / "ceiling.nc", ceilings=paths)
    with pytest.raises(ValueError, match="ceilings: given for left; needed: left and right"):
        prepare_algonauts(tree.root, 1, features, tree.root / "ceiling.nc", ceilings={"left": paths["left"]})


def test_dictionaries_of_names_are_never_opened(tree, data):
    mapping = tree.folder / "roi_masks/mapping_streams.npy"
    assert mapping.is_file() and not (tree.root / "opened").exists()
    np.load(mapping, allow_pickle=True)  # so that the test would notice
    assert (tree.root / "opened").exists()
    (tree.root / "opened").unlink()
    # Nor where one of them is given as a mask.
    false = tree.root / "lh.streams_fsaverage_space.npy"
    false.write_bytes(mapping.read_bytes())
    with pytest.raises(ValueError, match=r"not a whole .npy file of numbers"):
        read_drawn(false, algonauts_tree.N_VERTICES)
    assert not (tree.root / "opened").exists()


def test_z_scoring_is_refused_with_the_reason(tree, features):
    with pytest.raises(ValueError, match=r"z-scored within sessions already, then averaged .* no single trials"):
        prepare_algonauts(tree.root, 1, features, tree.root / "z.nc", zscore="run")


def test_errors_name_the_file(tmp_path):
    tree = algonauts_tree.make_tree(tmp_path)
    features = algonauts_tree.write_features(tree, tmp_path / "features.h5")

    def call(**options):
        return prepare_algonauts(tmp_path, options.pop("subject", 1), features, tmp_path / "o.nc", **options)

    with pytest.raises(ValueError, match="has no folder subj02"):
        call(subject=2)
    with pytest.raises(ValueError, match="has no class 'HCP_MMP1'; it has prf-visualrois"):
        call(roi_order=["HCP_MMP1"])
    mask = tree.folder / "roi_masks/lh.floc-places_challenge_space.npy"
    np.save(mask, np.where(np.arange(70) == 3, 4, 0))
    with pytest.raises(ValueError, match="has the number 4, and floc-places has areas from 1 to 3"):
        call()
    np.save(mask, np.zeros(71))
    with pytest.raises(ValueError, match="has 71 vertices; needed: 70"):
        call()
    responses = tree.folder / "training_split/training_fmri/rh_training_fmri.npy"
    np.save(responses, tree.responses["rh"][:-1])
    with pytest.raises(ValueError, match=r"\(90, 70\) and .*\(89, 80\) are not of as many images"):
        call()
    np.save(responses, tree.responses["rh"][:, :-1])
    with pytest.raises(ValueError, match="80 of them not 0; needed: 163842 and 79"):
        np.save(mask, np.zeros(70))
        call()
    next(tree.folder.rglob("train-0005_*")).unlink()
    with pytest.raises(ValueError, match=r"holds 89 pictures .* \(missing or twice: 5\)"):
        call()
    assert not (tmp_path / "o.nc").exists()


def test_masks_of_fsaverage_for_other_surface_data(tree):
    """`prepare fsaverage` reads its atlases so."""
    mask = tree.folder / "roi_masks/lh.floc-faces_fsaverage_space.npy"
    labels = vertex_labels(mask, None, algonauts_tree.N_VERTICES)
    names = np.array(["", *algonauts_tree.CLASSES["floc-faces"]])[tree.labels["floc-faces"]["lh"]]
    assert labels[tree.vertices["lh"]].tolist() == names.tolist() and (labels != "").sum() == (names != "").sum()


def test_the_command(tree, features):
    out = tree.root / "cli.nc"
    base = ["prepare", "algonauts", "--root", tree.root, "--subject", 1, "--features", features, "--out", out]
    base = [*map(str, base)]
    result = CliRunner().invoke(main, base)
    assert result.exit_code == 0, result.output
    assert "Noise ceiling: not known" in result.output and "writing takes about" in result.output
    checked = CliRunner().invoke(main, ["validate", str(out)])
    assert checked.exit_code == 0, checked.output
    assert "12 more without responses" in CliRunner().invoke(main, ["info", str(out)]).output
    refused = CliRunner().invoke(main, [*base, "--zscore", "session"])
    assert refused.exit_code == 1 and "no single trials" in refused.output
    assert load_dataset(out).n_voxels == 150


def test_atlases_of_ones_own_have_the_names_of_their_files(tmp_path):
    """Annotations for NSD on fsaverage, by the same option as the masks."""
    names, rng = ["???", "FFC", "PHA1"], np.random.default_rng(0)
    numbers = rng.integers(0, 3, (2, algonauts_tree.N_VERTICES))
    colours = np.array([[0, 0, 0, 0, 0], [10, 20, 30, 0, 0], [40, 50, 60, 0, 0]])
    colours[:, 4] = colours[:, 0] + 256 * colours[:, 1] + 256**2 * colours[:, 2]
    given = {}
    for side, values in zip(("left", "right"), numbers, strict=True):
        given[side] = [tmp_path / f"{side[0]}h.HCP-MMP1.annot"]
        write_annot(given[side][0], values, colours, names)
    points = np.sort(rng.permutation(2 * algonauts_tree.N_VERTICES)[:500])
    found = read_given(given, Layout(tmp_path, 1, "fsaverage"), points)
    assert list(found) == ["HCP-MMP1"]
    assert found["HCP-MMP1"].tolist() == np.array(["", "FFC", "PHA1"])[numbers.ravel()[points]].tolist()
    with pytest.raises(ValueError, match=r"is given for the left hemisphere, and its name begins with 'rh\.'"):
        read_given({"left": given["right"], "right": given["left"]}, Layout(tmp_path, 1, "fsaverage"), points)
