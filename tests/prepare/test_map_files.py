"""`jne prepare nifti` and `jne prepare fsaverage` on studies with planted responses."""

import gzip
import tracemalloc
from pathlib import Path
from types import SimpleNamespace

import nibabel
import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

import jne
from jne.accuracy import noise_ceiling
from jne.cli import main
from jne.prepare.labels import name_labels, read_label_names
from jne.prepare.map_store import MapStore
from jne.prepare.nifti import prepare_nifti
from jne.prepare.surface import prepare_fsaverage
from jne.prepare.trials import read_trials

SHAPE, AFFINE = (4, 5, 3), np.diag([2.0, 2.0, 2.5, 1.0])
SPLIT = ["train"] * 12 + ["validation"] * 3 + ["test"] * 5
REPEATS = [1] * 15 + [3, 3, 2, 3, 1]
N_VERTICES = 2562


@pytest.fixture
def study(tmp_path):
    """Twenty stimuli, test stimuli shown up to three times, in random order; their features and table."""
    rng = np.random.default_rng(0)
    shown = [(i, r) for i, n in enumerate(REPEATS) for r in range(n)]
    shown = [shown[i] for i in rng.permutation(len(shown))]
    table = pd.DataFrame(
        {
            "id": [f"bild_ä{i:02d}" for i, _ in shown],
            "split": [SPLIT[i] for i, _ in shown],
            "category": ["faces" if i % 2 else "food" for i, _ in shown],
            "repeat": [r + 1 for _, r in shown],
        }
    )
    table.to_csv(tmp_path / "trials.csv", index=False)
    ids = np.array([f"bild_ä{i:02d}" for i in range(24)])
    features = rng.normal(size=(24, 6)).astype(np.float32)
    np.savez(tmp_path / "features.npz", stimulus_id=ids[::-1], layer1=features[::-1], layer2=features[::-1, :2])
    return tmp_path, table, features


def planted(table, features, n_voxels, seed=1):
    """Linear responses to the features plus noise, ``(n_maps, n_voxels)``."""
    rng = np.random.default_rng(seed)
    number = table["id"].str[-2:].astype(int).to_numpy()
    return (features[number] @ rng.normal(size=(6, n_voxels)) + rng.normal(size=(len(table), n_voxels))).astype("f4")


def truth(table, maps):
    """Ids by first appearance, means, and test repeats by number: written out with loops."""
    ids = list(dict.fromkeys(table["id"]))
    mean = np.stack([maps[(table["id"] == i).to_numpy()].mean(axis=0) for i in ids])
    test = [i for i in ids if SPLIT[int(i[-2:])] == "test"]
    repeats = np.full((len(test), 3, maps.shape[1]), np.nan, "f4")
    for row, (identity, repeat) in enumerate(zip(table["id"], table["repeat"], strict=True)):
        if identity in test:
            repeats[test.index(identity), repeat - 1] = maps[row]
    return ids, mean, repeats


def check(data, table, features, maps):
    """The dataset holds what was planted."""
    ids, mean, repeats = truth(table, maps)
    assert list(data.get("stimulus_id")) == ids
    numbers = [int(i[-2:]) for i in ids]
    assert list(data.get("split")) == [SPLIT[i] for i in numbers]
    assert list(data.get("category")) == ["faces" if i % 2 else "food" for i in numbers]
    np.testing.assert_allclose(data.responses(), mean, rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(data.repeats(), repeats)
    np.testing.assert_allclose(data.get("noise_ceiling"), noise_ceiling(repeats), rtol=1e-5)
    np.testing.assert_array_equal(data.features(layer="layer1"), features[numbers])
    np.testing.assert_array_equal(data.features(layer="layer2"), features[numbers, :2])
    assert data.layers == ["layer1", "layer2"] and not data.synthetic


@pytest.fixture
def volumes(study):
    """4-D maps, mask and atlas on one grid; maps in the order of the table."""
    folder, table, features = study
    mask = np.zeros(SHAPE, np.uint8)
    mask[1:3, 1:4] = 1
    labels = np.zeros(SHAPE, np.int16)
    labels[1], labels[2, 1] = 7, 4
    maps = planted(table, features, int(mask.sum()))
    grid = np.full((*SHAPE, len(table)), 99, np.float32)
    grid[mask > 0] = maps.T
    for name, values in (("betas", grid), ("mask", mask), ("atlas", labels)):
        nibabel.save(nibabel.Nifti1Image(values, AFFINE), folder / f"{name}.nii.gz")
    (folder / "areas.csv").write_text("index,name\n4,V1\n7,FFA\n9,unused\n")
    return folder, table, features, maps, labels[mask > 0]


def nifti(folder, **options):
    options = {"maps": [folder / "betas.nii.gz"], "mask": folder / "mask.nii.gz", **options}
    return prepare_nifti(folder / "trials.csv", folder / "features.npz", folder / "out.nc", **options)


def test_volumes_are_masked_averaged_and_labelled(volumes):
    folder, table, features, maps, labels = volumes
    data = nifti(folder, atlas=folder / "atlas.nii.gz", atlas_names=folder / "areas.csv", name="Study", seed=3)
    check(data, table, features, maps)
    assert list(data.get("roi")) == [{0: "", 4: "V1", 7: "FFA"}[label] for label in labels]
    index = data.get("ijk")
    image = nibabel.load(folder / "betas.nii.gz")
    np.testing.assert_array_equal(image.get_fdata()[tuple(index.T)].T, maps)
    place = data.content["ijk"].attrs
    assert list(place["affine"]) == list(AFFINE.ravel()) and list(place["shape"]) == list(SHAPE)
    assert data.name == "Study" and data.attrs["n_maps"] == len(table)
    assert jne.RidgeEncoder().fit(data).predict(data.features("test")).shape == (5, maps.shape[1])


def test_without_a_mask_the_labelled_voxels_are_kept(volumes):
    folder, table, features, *_ = volumes
    grid = np.random.default_rng(0).normal(size=(*SHAPE, len(table))).astype("f4")
    nibabel.save(nibabel.Nifti1Image(grid, AFFINE), folder / "betas.nii.gz")
    data = nifti(folder, mask=None, atlas=folder / "atlas.nii.gz")
    inside = nibabel.load(folder / "atlas.nii.gz").get_fdata() > 0
    check(data, table, features, grid[inside].T)
    assert set(data.get("roi")) == {"4", "7"}


def test_maps_may_come_as_a_list_or_a_column(volumes):
    folder, table, features, maps, _ = volumes
    image = nibabel.load(folder / "betas.nii.gz")
    (folder / "single").mkdir()
    for i in range(len(table)):
        nibabel.save(image.slicer[..., i], folder / "single" / f"{i}.nii")
    first = folder / "first.nii.gz"
    nibabel.save(image.slicer[..., :-2], first)
    last = [folder / "single" / f"{i}.nii" for i in (len(table) - 2, len(table) - 1)]
    check(nifti(folder, maps=[first, *last]), table, features, maps)
    table.assign(map=[f"single/{i}.nii" for i in range(len(table))]).to_csv(folder / "trials.csv", index=False)
    check(nifti(folder, maps=[]), table, features, maps)


def test_mask_and_atlas_of_another_grid_are_resampled_on_request(volumes):
    """A mask of half the voxel size, each voxel split in eight, comes back as it was."""
    folder, table, features, maps, labels = volumes
    fine = np.diag([1.0, 1.0, 1.25, 1.0])
    fine[:3, 3] = [-0.5, -0.5, -0.625]
    for name in ("mask", "atlas"):
        values = np.asarray(nibabel.load(folder / f"{name}.nii.gz").dataobj)
        for axis in range(3):
            values = values.repeat(2, axis=axis)
        nibabel.save(nibabel.Nifti1Image(values, fine), folder / f"{name}.nii.gz")
    with pytest.raises(ValueError, match=r"atlas\.nii\.gz has the grid \(8, 10, 6\), and the map .*--resample"):
        nifti(folder, atlas=folder / "atlas.nii.gz")
    data = nifti(folder, atlas=folder / "atlas.nii.gz", resample=True)
    check(data, table, features, maps)
    assert list(data.get("roi")) == [{0: "", 4: "4", 7: "7"}[label] for label in labels]


def test_a_split_is_drawn_where_the_table_has_none(volumes):
    folder, table, *_ = volumes
    table.drop(columns=["split", "repeat"]).to_csv(folder / "trials.csv", index=False)
    data = nifti(folder, seed=1)
    counts = pd.Series(data.get("split")).value_counts()
    assert counts.to_dict() == {"train": 14, "test": 4, "validation": 2}
    table.assign(split=table["split"].replace("validation", "train")).to_csv(folder / "trials.csv", index=False)
    data = nifti(folder, validation_fraction=0.2)
    assert pd.Series(data.get("split")).value_counts().to_dict() == {"train": 12, "test": 5, "validation": 3}
    drawn = [frozenset(nifti(folder, seed=seed).stimuli("validation")) for seed in range(2)]
    assert len(set(drawn)) > 1


def test_without_repeats_there_is_no_ceiling(volumes):
    folder, table, *_ = volumes
    once = table[~table.duplicated("id")]
    once.drop(columns="repeat").to_csv(folder / "trials.csv", index=False)
    image = nibabel.load(folder / "betas.nii.gz").get_fdata(dtype=np.float32)
    nibabel.save(nibabel.Nifti1Image(image[..., once.index], AFFINE), folder / "betas.nii.gz")
    data = nifti(folder)
    assert data.repeats() is None and data.get("noise_ceiling") is None


def test_bad_voxels_are_named_or_dropped(volumes):
    folder, table, features, maps, labels = volumes
    image = nibabel.load(folder / "betas.nii.gz").get_fdata(dtype=np.float32)
    image[1, 1, 0], image[1, 1, 1, 3] = 5, np.nan
    nibabel.save(nibabel.Nifti1Image(image, AFFINE), folder / "betas.nii.gz")
    with pytest.raises(
        ValueError, match=r"1 of 18 units of .*betas\.nii\.gz hold non-finite values.*--drop-bad-voxels"
    ):
        nifti(folder)
    data = nifti(folder, drop_bad_voxels=True, atlas=folder / "atlas.nii.gz")
    assert data.attrs["n_dropped_voxels"] == 2
    check(data, table, features, maps[:, 2:])
    assert list(data.get("roi")) == [str(label or "") for label in labels[2:]]
    np.testing.assert_array_equal(image[tuple(data.get("ijk").T)].T, maps[:, 2:])


@pytest.mark.parametrize("part", ["train", "test"])
def test_a_voxel_that_is_constant_over_two_stimuli_of_a_part_is_named(volumes, part):
    """Over one, every voxel is; others vary."""
    folder, table, *_ = volumes
    ids = sorted(set(table["id"]))
    other = "test" if part == "train" else "train"
    image = nibabel.load(folder / "betas.nii.gz").get_fdata(dtype=np.float32)
    image[1, 1, 0, table["id"].isin(ids[:2])] = 5
    nibabel.save(nibabel.Nifti1Image(image, AFFINE), folder / "betas.nii.gz")
    split = {name: part if i < 2 else "validation" if i < 5 else other for i, name in enumerate(ids)}
    table.assign(split=table["id"].map(split)).to_csv(folder / "trials.csv", index=False)
    with pytest.raises(ValueError, match=rf"1 of 18 units of .* are constant over the {part} stimuli"):
        nifti(folder)


def edit(folder, **columns):
    table = pd.read_csv(folder / "trials.csv", dtype=str)
    table.assign(**{name: change(table) for name, change in columns.items()}).to_csv(folder / "trials.csv", index=False)


def cut(name):
    def change(folder):
        content = (folder / name).read_bytes()
        (folder / name).write_bytes(content[: len(content) // 2])

    return change


def replace_image(name, shape=SHAPE, affine=AFFINE, value=1.0):
    return lambda folder: nibabel.save(nibabel.Nifti1Image(np.full(shape, value, "f4"), affine), folder / name)


MOVED = AFFINE + np.outer([1, 0, 0, 0], [0, 0, 0, 1])

BAD = {
    "no table": (lambda f: (f / "trials.csv").unlink(), {}, r"no file .*trials\.csv"),
    "empty table": (lambda f: (f / "trials.csv").write_text(""), {}, r"trials\.csv is empty"),
    "no id": (
        lambda f: (f / "trials.csv").write_text("image,split\na,train\n"),
        {},
        "no column id; it has image, split",
    ),
    "blank ids": (lambda f: edit(f, id=lambda t: ""), {}, "27 rows, and none of them is a stimulus"),
    "nothing but catch trials": (lambda f: edit(f, split=lambda t: "none"), {}, "none of them is a stimulus"),
    "another split": (lambda f: edit(f, split=lambda t: "dev"), {}, "split of .* has 'dev'; accepted are train"),
    "nothing to train on": (lambda f: edit(f, split=lambda t: "test"), {}, "split has 0 train stimuli"),
    "nothing to test on": (lambda f: edit(f, split=lambda t: "train"), {}, "split has 0 test stimuli"),
    "two splits": (
        lambda f: edit(f, split=lambda t: ["test", *t["split"][1:]], id=lambda t: [t["id"][1], *t["id"][1:]]),
        {},
        "ids of .* have more than one split",
    ),
    "a repeat twice": (lambda f: edit(f, repeat=lambda t: "1"), {}, "7 repeats of .* come twice"),
    "repeat is text": (lambda f: edit(f, repeat=lambda t: "first"), {}, "repeat of .* has 'first'; needed: whole"),
    "fewer rows": (
        lambda f: pd.read_csv(f / "trials.csv")[:-1].to_csv(f / "trials.csv", index=False),
        {},
        "26 rows, and there are 27 maps",
    ),
    "no features of an id": (
        lambda f: edit(f, id=lambda t: t["id"].str.replace("ä00", "x")),
        {},
        r"no features of 1 of 20 stimuli \(bild_x\)",
    ),
    "no features file": (lambda f: (f / "features.npz").unlink(), {}, r"no file .*features\.npz"),
    "a layer called split": (
        lambda f: np.savez(
            f / "features.npz", stimulus_id=[f"bild_ä{i:02d}" for i in range(20)], split=np.ones((20, 2))
        ),
        {},
        "has a layer 'split'",
    ),
    "no maps": (lambda f: None, {"maps": []}, "no column map, which would name"),
    "missing map": (lambda f: None, {"maps": ["none.nii.gz"]}, r"1 of 1 files are not there \(none"),
    "truncated map": (cut("betas.nii.gz"), {}, r"betas\.nii\.gz .*truncated, damaged"),
    "map of another kind": (lambda f: (f / "betas.nii.gz").write_text("x"), {}, r"cannot be read as a NIfTI image"),
    "maps of two grids": (
        replace_image("more.nii", (4, 5, 2)),
        {"maps": ["betas.nii.gz", "more.nii"]},
        r"more\.nii has the grid \(4, 5, 2\), and the first, .*betas\.nii\.gz has \(4, 5, 3\)",
    ),
    "maps of two places": (
        replace_image("more.nii", affine=MOVED),
        {"maps": ["betas.nii.gz", "more.nii"]},
        r"more\.nii has another affine .*largest difference 1\)",
    ),
    "mask elsewhere": (replace_image("mask.nii.gz", affine=MOVED), {}, r"mask\.nii\.gz has another affine.*--resample"),
    "empty mask": (replace_image("mask.nii.gz", value=0), {}, r"mask.* has no voxel above 0"),
    "neither mask nor atlas": (lambda f: None, {"mask": None}, "neither a mask nor an atlas"),
    "4-D mask": (replace_image("mask.nii.gz", (*SHAPE, 2)), {}, "needed: three dimensions"),
    "fractional labels": (replace_image("atlas.nii.gz", value=0.5), {"atlas": "atlas.nii.gz"}, "not whole numbers"),
    "labels without name": (
        replace_image("atlas.nii.gz", value=5),
        {"atlas": "atlas.nii.gz", "atlas_names": "areas.csv"},
        r"1 labels of .* have no name \(5\)",
    ),
    "names without index": (
        lambda f: (f / "areas.csv").write_text("a,b\n1,V1\n"),
        {"atlas": "atlas.nii.gz", "atlas_names": "areas.csv"},
        "areas.csv cannot be read .*index and name",
    ),
    "another ending": (lambda f: None, {"out": "out.h5"}, r"ends in '\.h5'"),
}


@pytest.mark.parametrize("kind", BAD)
def test_bad_input_is_named_and_nothing_is_written(volumes, kind, monkeypatch):
    folder = volumes[0]
    spoil, options, message = BAD[kind]
    spoil(folder)
    monkeypatch.chdir(folder)
    before = sorted(folder.rglob("*"))
    given = {"maps": ["betas.nii.gz"], "mask": "mask.nii.gz", "out": "out.nc", **options}
    with pytest.raises(ValueError, match=message):
        prepare_nifti("trials.csv", "features.npz", **given)
    assert sorted(folder.rglob("*")) == before


@pytest.fixture
def surfaces(study):
    """MGH maps of both hemispheres on fsaverage4, with annotations of one area each."""
    folder, table, features = study
    maps, areas = {}, {}
    for seed, side in enumerate(("left", "right")):
        maps[side] = planted(table, features, N_VERTICES, seed)
        values = maps[side].T[:, None, None]
        nibabel.save(nibabel.MGHImage(values, np.eye(4)), folder / f"{side}.mgh")
        areas[side] = np.where(np.arange(N_VERTICES) < 40, 1, 0)
        ctab = np.array([[0, 0, 0, 0, 0], [10, 20, 30, 0, 0]])
        nibabel.freesurfer.write_annot(folder / f"{side}.annot", areas[side], ctab, ["???", f"V{seed + 1}"])
    return folder, table, features, maps


def surface(folder, **options):
    options = {"maps": {side: [folder / f"{side}.mgh"] for side in ("left", "right")}, **options}
    return prepare_fsaverage(folder / "trials.csv", folder / "features.npz", folder / "out.nc", **options)


def without_maps(data, features):
    """The four stimuli of the features file that the table does not name."""
    ids = list(data.get("further_stimulus_id"))
    assert sorted(ids) == [f"bild_ä{i}" for i in range(20, 24)] and data.attrs["n_further"] == 4
    rows = [int(i[-2:]) for i in ids]
    np.testing.assert_array_equal(data.further("layer1"), features[rows])
    np.testing.assert_array_equal(data.further("layer2"), features[rows, :2])


def test_features_of_stimuli_without_maps_are_kept(volumes):
    folder, table, features, *_ = volumes
    without_maps(nifti(folder), features)
    command = ["prepare", "nifti", "--maps", str(folder / "betas.nii.gz"), "--mask", str(folder / "mask.nii.gz")]
    command += ["--stimuli", str(folder / "trials.csv"), "--features", str(folder / "features.npz")]
    command += ["--out", str(folder / "out.nc"), "--further"]
    for given, kept in (("3", 3), ("0", 0)):
        assert CliRunner().invoke(main, [*command, given]).exit_code == 0
        assert jne.load_dataset(folder / "out.nc").n_further == kept
    # One shows what a test stimulus shows, under another name.
    first = table["id"][(table["split"] == "test").to_numpy()].iloc[0]
    features[22] = features[int(first[-2:])]
    ids = np.array([f"bild_ä{i:02d}" for i in range(24)])
    np.savez(folder / "features.npz", stimulus_id=ids, layer1=features)
    assert set(nifti(folder).get("further_stimulus_id")) == {f"bild_ä{i}" for i in (20, 21, 23)}


def test_features_of_stimuli_without_surface_maps_are_kept(surfaces):
    folder, _, features, _ = surfaces
    without_maps(surface(folder, atlases={side: folder / f"{side}.annot" for side in ("left", "right")}), features)


def test_surfaces_are_joined_and_labelled(surfaces):
    folder, table, features, maps = surfaces
    data = surface(folder, atlases={side: folder / f"{side}.annot" for side in ("left", "right")})
    check(data, table, features, np.concatenate([maps["left"][:, :40], maps["right"][:, :40]], axis=1))
    assert list(data.get("hemisphere")) == ["left"] * 40 + ["right"] * 40
    assert list(data.get("vertex")) == [*range(40)] * 2
    assert list(data.get("roi")) == ["V1"] * 40 + ["V2"] * 40
    assert data.content["vertex"].attrs["mesh"] == "fsaverage4"


def test_gifti_a_mask_and_one_hemisphere(surfaces):
    folder, table, features, maps = surfaces
    arrays = [nibabel.gifti.GiftiDataArray(row) for row in maps["right"]]
    nibabel.save(nibabel.gifti.GiftiImage(darrays=arrays), folder / "right.func.gii")
    mask = (np.arange(N_VERTICES) % 100 == 7).astype("f4")
    nibabel.save(nibabel.gifti.GiftiImage(darrays=[nibabel.gifti.GiftiDataArray(mask)]), folder / "mask.gii")
    labels = nibabel.gifti.GiftiDataArray((np.arange(N_VERTICES) > 1000).astype(np.int32), intent="NIFTI_INTENT_LABEL")
    table_of_labels = nibabel.gifti.GiftiLabelTable()
    for key, name in ((0, "???"), (1, "FFA")):
        table_of_labels.labels.append(label := nibabel.gifti.GiftiLabel(key))
        label.label = name
    nibabel.save(nibabel.gifti.GiftiImage(darrays=[labels], labeltable=table_of_labels), folder / "r.label.gii")
    data = surface(
        folder,
        maps={"right": [folder / "right.func.gii"]},
        masks={"right": folder / "mask.gii"},
        atlases={"right": folder / "r.label.gii"},
    )
    check(data, table, features, maps["right"][:, mask > 0])
    assert set(data.get("hemisphere")) == {"right"}
    np.testing.assert_array_equal(data.get("roi"), np.where(data.get("vertex") > 1000, "FFA", ""))


def test_columns_may_name_the_files_of_each_hemisphere(surfaces):
    folder, table, features, maps = surfaces
    for i in range(len(table)):
        for side in ("left", "right"):
            nibabel.save(nibabel.MGHImage(maps[side][i, :, None, None], np.eye(4)), folder / f"{side}{i}.mgz")
    names = {side: [f"{side}{i}.mgz" for i in range(len(table))] for side in ("left", "right")}
    table.assign(**names).to_csv(folder / "trials.csv", index=False)
    data = surface(folder, maps=None)
    assert data.n_voxels == 2 * N_VERTICES and data.get("roi") is None
    check(data, table, features, np.concatenate([maps["left"], maps["right"]], axis=1))


def save_mgh(name, n_vertices=N_VERTICES, n_maps=27):
    values = np.random.default_rng(0).integers(1, 9, size=(n_vertices, 1, 1, n_maps)).astype("f4")
    values = values[..., 0] if n_maps == 1 else values
    return lambda folder: nibabel.save(nibabel.MGHImage(values, np.eye(4)), folder / name)


BAD_SURFACES = {
    "unknown mesh": (save_mgh("left.mgh", 100), {}, "100 vertices, those of no mesh known here .*--mesh"),
    "two meshes": (save_mgh("left.mgh", 10242), {}, "left hemisphere is on fsaverage5, the right one on fsaverage4"),
    "fewer maps": (save_mgh("right.mgh", n_maps=26), {}, "27 rows, and there are 26 maps of the right hemisphere"),
    "truncated": (cut("left.mgh"), {}, "cannot be read as surface data"),
    "no files": (lambda f: None, {"maps": None}, "neither a column left nor a column right"),
    "missing file": (lambda f: (f / "left.mgh").unlink(), {}, "1 of 1 files are not there"),
    "mask of another size": (
        save_mgh("mask.mgh", 50, 1),
        {"masks": {"left": "mask.mgh", "right": "mask.mgh"}},
        "mask.mgh has 50 vertices, and the maps have 2562",
    ),
    "atlas of another size": (
        save_mgh("atlas.mgh", 50, 1),
        {"atlases": {"left": "left.annot", "right": "atlas.mgh"}},
        "atlas.mgh has 50 vertices, and the maps have 2562",
    ),
    "atlas of one hemisphere": (
        lambda f: None,
        {"atlases": {"left": "left.annot"}},
        "atlas: given for left, and there",
    ),
    "damaged annotation": (
        lambda f: (f / "left.annot").write_bytes(b"xx"),
        {"atlases": {"left": "left.annot", "right": "right.annot"}},
        r"left\.annot .*cannot be read as an annotation",
    ),
}


@pytest.mark.parametrize("kind", BAD_SURFACES)
def test_bad_surfaces_are_named_and_nothing_is_written(surfaces, kind, monkeypatch):
    folder = surfaces[0]
    spoil, options, message = BAD_SURFACES[kind]
    spoil(folder)
    monkeypatch.chdir(folder)
    before = sorted(folder.rglob("*"))
    with pytest.raises(ValueError, match=message):
        surface(folder, **options)
    assert sorted(folder.rglob("*")) == before


def test_names_come_from_a_colour_table(tmp_path):
    (tmp_path / "a.ctab").write_text("# comment\n0 Unknown 0 0 0 0\n\n12  V1v  1 2 3 0\n")
    assert read_label_names(tmp_path / "a.ctab") == {0: "Unknown", 12: "V1v"}


def test_repeats_without_numbers_keep_the_order_of_the_table(tmp_path):
    (tmp_path / "a.csv").write_text("id\nx\ny\nx\nx\n")
    trials = read_trials(tmp_path / "a.csv")
    maps = np.array([[1.0], [2.0], [4.0], [10.0]])
    np.testing.assert_array_equal(trials.average(maps), [[5], [2]])
    np.testing.assert_array_equal(trials.repeats(maps, np.array([0, 1]))[..., 0], [[1, 4, 10], [2, np.nan, np.nan]])


def test_repeats_count_as_numbers(tmp_path):
    (tmp_path / "a.csv").write_text("id,repeat\nx,10\nx,9\ny,1\n")
    trials = read_trials(tmp_path / "a.csv")
    found = trials.repeats(np.array([[1.0], [2.0], [4.0]]), np.array([0, 1]))
    np.testing.assert_array_equal(found[..., 0], [[2, 1], [4, np.nan]])


def test_the_commands_write_what_the_functions_write(volumes, surfaces):
    folder = volumes[0]
    common = ["--stimuli", "trials.csv", "--features", "features.npz", "--out", "command.nc", "--name", "Study"]
    paths = {"trials.csv", "features.npz", "command.nc"}
    common = [str(folder / word) if word in paths else word for word in common]
    volume = ["prepare", "nifti", "--maps", folder / "betas.nii.gz", "--mask", folder / "mask.nii.gz", *common]
    result = CliRunner().invoke(main, list(map(str, volume)))
    assert result.exit_code == 0 and "Next: jne info" in result.output, result.output
    expected = nifti(folder, name="Study").content.load()
    assert jne.load_dataset(folder / "command.nc").content.load().identical(expected)
    sides = [word for side in ("left", "right") for word in (f"--{side}", folder / f"{side}.mgh")]
    masks = [word for side in ("left", "right") for word in (f"--{side}-atlas", folder / f"{side}.annot")]
    result = CliRunner().invoke(main, list(map(str, ["prepare", "fsaverage", *sides, *masks, *common])))
    assert result.exit_code == 0, result.output
    atlases = {side: folder / f"{side}.annot" for side in ("left", "right")}
    expected = surface(folder, name="Study", atlases=atlases).content.load()
    assert jne.load_dataset(folder / "command.nc").content.load().identical(expected)
    result = CliRunner().invoke(main, list(map(str, [*volume, "--atlas", "absent.nii"])))
    assert result.exit_code == 1 and result.output.startswith("Error: atlas: there is no file absent.nii")


@pytest.mark.parametrize("command", ["nifti", "fsaverage"])
def test_help_teaches_with_an_example(command):
    output = CliRunner().invoke(main, ["prepare", command, "--help"]).output
    assert f"jne prepare {command} --" in output and "jne book --data study.nc" in output


# Damage that only a checksum tells


def flip(name, how):
    """Change what a gzip file holds so that it still unpacks: a value, its checksum, or forty bytes."""

    def change(folder):
        content = bytearray(gzip.compress(gzip.decompress((folder / name).read_bytes()), compresslevel=0))
        middle = len(content) // 2
        if how == "checksum":
            content[-6] ^= 1
        elif how == "byte":
            content[middle] ^= 64
        else:
            content[middle : middle + 40] = bytes(40) if any(content[middle : middle + 40]) else b"\1" * 40
        (folder / name).write_bytes(content)

    return change


@pytest.mark.parametrize("how", ["checksum", "byte", "zeros"])
@pytest.mark.parametrize("name", ["betas.nii.gz", "mask.nii.gz", "atlas.nii.gz"])
def test_a_packed_volume_with_a_wrong_checksum_is_damaged(volumes, name, how):
    folder = volumes[0]
    flip(name, how)(folder)
    with pytest.raises(ValueError, match=rf"{name} .*damaged"):
        nifti(folder, atlas=folder / "atlas.nii.gz", drop_bad_voxels=True)
    assert not (folder / "out.nc").exists()


@pytest.mark.parametrize("how", ["checksum", "byte"])
def test_packed_surfaces_with_a_wrong_checksum_are_damaged(surfaces, how):
    folder, _, _, maps = surfaces
    for side in maps:
        nibabel.save(nibabel.MGHImage(maps[side].T[:, None, None], np.eye(4)), folder / f"{side}.mgz")
    nibabel.save(nibabel.MGHImage(np.ones((N_VERTICES, 1, 1), "f4"), np.eye(4)), folder / "mask.mgz")
    gifti(folder / "labels.gii", np.ones(N_VERTICES, np.int32), {1: "V1"})
    (folder / "labels.gii.gz").write_bytes(gzip.compress((folder / "labels.gii").read_bytes()))
    files = {"maps": "left.mgz", "masks": "mask.mgz", "atlases": "labels.gii.gz"}
    well = {name: (folder / file).read_bytes() for name, file in files.items()}
    for name, file in files.items():
        flip(file, how)(folder)
        given = {"maps": {"left": [folder / "left.mgz"]}, "masks": {"left": folder / "mask.mgz"}}
        with pytest.raises(ValueError, match=rf"{file}.* damaged.*CRC"):
            surface(folder, **given, atlases={"left": folder / "labels.gii.gz"})
        (folder / file).write_bytes(well[name])


def spoil_gifti(folder):
    text = (folder / "map.gii").read_text()
    start = text.index("<Data>") + 200
    (folder / "map.gii").write_text(text[:start] + "AAAA" + text[start + 4 :])


NO_FILE = {
    "a packed array": (spoil_gifti, r"map\.gii .*cannot be read as surface data .*damaged"),
    "cut": (cut("map.gii"), r"map\.gii .*cannot be read as surface data .*damaged"),
    "empty": (lambda f: (f / "map.gii").write_text(""), r"map\.gii is empty"),
    "a web page": (lambda f: (f / "map.gii").write_text("<!DOCTYPE html><html></html>"), r"map\.gii is a web page"),
    "a pointer": (
        lambda f: (f / "map.gii").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n"),
        r"map\.gii is a Git LFS pointer.*git lfs pull",
    ),
}


@pytest.mark.parametrize("kind", NO_FILE)
def test_a_gifti_file_that_is_none_is_named(surfaces, kind):
    folder, _, _, maps = surfaces
    arrays = [nibabel.gifti.GiftiDataArray(row) for row in maps["left"]]
    nibabel.save(nibabel.gifti.GiftiImage(darrays=arrays), folder / "map.gii")
    spoil, message = NO_FILE[kind]
    spoil(folder)
    with pytest.raises(ValueError, match=message):
        surface(folder, maps={"left": [folder / "map.gii"]})


@pytest.mark.parametrize("where", [4, 60, 200])
def test_a_volume_damaged_near_its_head_is_named(volumes, where):
    folder = volumes[0]
    content = bytearray((folder / "betas.nii.gz").read_bytes())
    content[where : where + 20] = bytes(255 - b for b in content[where : where + 20])
    (folder / "betas.nii.gz").write_bytes(content)
    with pytest.raises(ValueError, match=r"maps: .*betas\.nii\.gz .*damaged"):
        nifti(folder)


@pytest.mark.parametrize("option", ["maps", "mask", "atlas"])
def test_complex_numbers_and_colours_are_refused(volumes, option):
    folder = volumes[0]
    colours = np.zeros(SHAPE, np.dtype([("R", "u1"), ("G", "u1"), ("B", "u1")]))
    for values, message in ((np.ones(SHAPE, np.complex64), "holds complex numbers"), (colours, "has colours")):
        nibabel.save(nibabel.Nifti1Image(values, AFFINE), folder / "odd.nii.gz")
        with pytest.raises(ValueError, match=rf"{option}: .*odd\.nii\.gz {message}"):
            nifti(folder, **{option: [folder / "odd.nii.gz"] if option == "maps" else folder / "odd.nii.gz"})


def test_a_complex_gifti_is_refused(surfaces):
    folder = surfaces[0]
    array = nibabel.gifti.GiftiDataArray(np.ones(N_VERTICES, np.complex64), datatype="NIFTI_TYPE_COMPLEX64")
    (folder / "map.gii").write_bytes(nibabel.gifti.GiftiImage(darrays=[array]).to_bytes(mode="force"))
    with pytest.raises(ValueError, match=r"atlas: .*map\.gii holds complex numbers"):
        surface(folder, maps={"left": [folder / "left.mgh"]}, atlases={"left": folder / "map.gii"})


# Names of areas


def gifti(path, labels, names=None):
    """A label GIFTI under any name."""
    table = nibabel.gifti.GiftiLabelTable()
    for key, name in (names or {}).items():
        table.labels.append(label := nibabel.gifti.GiftiLabel(key))
        label.label = name
    array = nibabel.gifti.GiftiDataArray(labels, intent="NIFTI_INTENT_LABEL")
    nibabel.save(nibabel.gifti.GiftiImage(darrays=[array], labeltable=table), path)


@pytest.mark.parametrize("name", ["l.label.gii", "lh.aparc.gii", "l.label.gii.gz", "L.GII"])
def test_a_gifti_names_its_areas_whatever_its_ending(surfaces, name):
    folder = surfaces[0]
    labels = (np.arange(N_VERTICES) % 3).astype(np.int32)
    gifti(folder / "plain.gii", labels, {0: "V1", 1: "MEDIAL.WALL", 2: "FFA left"})
    content = (folder / "plain.gii").read_bytes()
    (folder / name).write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    data = surface(folder, maps={"left": [folder / "left.mgh"]}, atlases={"left": folder / name})
    # Key 0 is an area here.
    np.testing.assert_array_equal(data.get("roi"), np.array(["V1", "", "FFA left"])[labels[data.get("vertex")]])
    assert data.n_voxels == np.count_nonzero(labels != 1)


def test_a_table_of_nothing_leaves_the_numbers_and_given_names_come_first(surfaces):
    folder = surfaces[0]
    labels = (np.arange(N_VERTICES) % 2).astype(np.int32)
    gifti(folder / "numbers.gii", labels, {0: "???"})
    given = {"maps": {"left": [folder / "left.mgh"]}, "atlases": {"left": folder / "numbers.gii"}}
    assert set(surface(folder, **given).get("roi")) == {"1"}
    gifti(folder / "numbers.gii", labels, {0: "???", 1: "own"})
    assert set(surface(folder, **given).get("roi")) == {"own"}
    (folder / "areas.csv").write_text("index,name\n1,mine\n")
    assert set(surface(folder, **given, atlas_names=folder / "areas.csv").get("roi")) == {"mine"}


MEDIAL_WALLS = (
    "Background+FreeSurfer_Defined_Medial_Wall", "FreeSurfer_Defined_Medial_Wall", "corpuscallosum", "MEDIAL.WALL",
    "Medial_wall", "medialwall", "ctx-lh-unknown", "Unknown_rh", "L_???", "???", "Clear Label", "unlabeled", "n/a",
    "L_???_ROI", "unknown_ROI", "hemi-L_Unknown", "lh_medialwall.label", "non-cortex", "Empty", "No region",
)  # fmt: skip


def annotation(path, index, names, colours=None):
    """An annotation; colours are (red, green, blue), by default different ones."""
    colours = colours or [(i + 1, 2 * i, 7) for i in range(len(names))]
    table = np.array([[*colour, 0, 0] for colour in colours])
    nibabel.freesurfer.write_annot(path, index, table, list(names))


def test_every_word_for_no_area_is_none(surfaces):
    folder = surfaces[0]
    names = [*MEDIAL_WALLS, "V1", "L", "left"]
    index = np.arange(N_VERTICES) % len(names)
    annotation(folder / "walls.annot", index, names)
    nibabel.save(nibabel.MGHImage(np.ones((N_VERTICES, 1, 1), "f4"), np.eye(4)), folder / "all.mgz")
    data = surface(
        folder,
        maps={"left": [folder / "left.mgh"]},
        masks={"left": folder / "all.mgz"},
        atlases={"left": folder / "walls.annot"},
    )
    areas = np.array([*[""] * len(MEDIAL_WALLS), "V1", "L", "left"])
    np.testing.assert_array_equal(data.get("roi"), areas[index])


def test_numbers_whose_name_says_none_have_no_area():
    names = {0: "Unknown", 1: "V1", 2: "???", 7: "MEDIAL.WALL"}
    found = name_labels(np.array([0, 1, 2, 7, np.nan, 1]), names, Path("atlas.nii"))
    assert found.tolist() == ["", "V1", "", "", "", "V1"]


def test_colours_of_an_annotation_are_found_not_guessed(surfaces):
    """An area in black, a gap in the table, and a colour that it lacks."""
    folder = surfaces[0]
    index = np.where(np.arange(N_VERTICES) < 10, 0, 1)
    given = {"maps": {"left": [folder / "left.mgh"]}, "atlases": {"left": folder / "a.annot"}}
    annotation(folder / "a.annot", index, ["V1", "V2"], [(0, 0, 0), (9, 9, 9)])
    assert list(surface(folder, **given).get("roi")[[0, 9, 10]]) == ["V1", "V1", "V2"]
    annotation(folder / "a.annot", index, ["V1", "V2"], [(9, 9, 9), (9, 9, 9)])
    with pytest.raises(ValueError, match=r"2562 vertices of .*a\.annot have the colour 592137.*the names V1, V2"):
        surface(folder, **given)
    annotation(folder / "a.annot", index, ["V1", "V2"], [(5, 0, 0), (9, 0, 0)])
    content = bytearray((folder / "a.annot").read_bytes())
    content[8:12] = (7).to_bytes(4, "big")  # of the first vertex
    (folder / "a.annot").write_bytes(content)
    with pytest.raises(ValueError, match=r"1 vertices of .*a\.annot have the colour 7, .*no name"):
        surface(folder, **given)


ITK_SNAP = """################################################
# ITK-SnAP Label Description File
################################################
    0     0    0    0        0  0  0    "Clear Label"
    4   255    0    0        1  1  1    "V1 ventral"
    7     0  255    0      0.5  1  0    "FFA"
"""
TABLES = {
    "itk.txt": (ITK_SNAP, {4: "V1 ventral", 7: "FFA"}),
    "blanks.ctab": ("0 Unknown 0 0 0 0\n4 V1 ventral 10 20 30 0\n7 Area 4 1 2 3 0\n", {4: "V1 ventral", 7: "Area 4"}),
    "plain.txt": ("4\tV1 ventral\n7 'FFA'\n", {4: "V1 ventral", 7: "FFA"}),
    "fsleyes.lut": ("4 0.96 0.5 0.25 V1 ventral\n7 0.1 0.2 0.3 FFA\n", {4: "V1 ventral", 7: "FFA"}),
    "bom.csv": ("\ufeffindex,name\n4,V1 ventral\n7,FFA\n", {4: "V1 ventral", 7: "FFA"}),
}


@pytest.mark.parametrize("name", TABLES)
def test_tables_of_other_programs_name_the_areas(volumes, name):
    folder, *_, labels = volumes
    text, names = TABLES[name]
    (folder / name).write_text(text)
    data = nifti(folder, atlas=folder / "atlas.nii.gz", atlas_names=folder / name)
    assert list(data.get("roi")) == [{0: "", **names}[label] for label in labels]


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("twice.csv", "index,name\n4,V1\n7,FFA\n4,V2\n", "the number 4 two names, 'V1' and 'V2'"),
        ("twice.ctab", "4 V1 1 2 3 0\n7 FFA 1 2 3 0\n7 PPA 1 2 3 0\n", "the number 7 two names, 'FFA' and 'PPA'"),
        ("half.csv", "index,name\n4.5,V1\n7,FFA\n", "holds 4.5, which is no whole number"),
        ("colours.txt", "4 255 0 0 1 1 1 V1\n", "has numbers where a name should be"),
        ("list.txt", "V1\n4 255 0 0 255\n", "line 1 is 'V1', not a number and a name"),
    ],
)
def test_tables_that_are_not_clear_are_refused(volumes, name, text, message):
    folder = volumes[0]
    (folder / name).write_text(text)
    with pytest.raises(ValueError, match=rf"atlas names: .*{name}.*{message}"):
        nifti(folder, atlas=folder / "atlas.nii.gz", atlas_names=folder / name)


def test_0_of_a_volume_is_an_area_within_a_mask_if_it_is_named_and_nan_is_none(volumes):
    folder, *_, labels = volumes
    (folder / "areas.csv").write_text("index,name\n0,V1\n4,V2\n7,FFA\n")
    atlas = nibabel.load(folder / "atlas.nii.gz").get_fdata()
    atlas[1, 1, 0] = np.nan
    nibabel.save(nibabel.Nifti1Image(atlas, AFFINE), folder / "atlas.nii.gz")
    data = nifti(folder, atlas=folder / "atlas.nii.gz", atlas_names=folder / "areas.csv")
    assert list(data.get("roi")) == ["", *[{0: "V1", 4: "V2", 7: "FFA"}[label] for label in labels[1:]]]
    with pytest.raises(ValueError, match=r"names call 0 'V1', .* around the brain; give a mask"):
        nifti(folder, mask=None, atlas=folder / "atlas.nii.gz", atlas_names=folder / "areas.csv")


def test_large_labels_keep_their_last_digit(volumes):
    folder = volumes[0]
    atlas = np.full(SHAPE, 2**24 + 1, np.int32)
    nibabel.save(nibabel.Nifti1Image(atlas, AFFINE), folder / "atlas.nii.gz")
    assert set(nifti(folder, atlas=folder / "atlas.nii.gz").get("roi")) == {"16777217"}


# Grids


def test_resampling_that_loses_a_tenth_of_a_mask_is_refused(volumes):
    folder = volumes[0]
    moved = AFFINE.copy()
    moved[0, 3] = 4  # two of four slices lie outside
    for name in ("mask", "atlas"):
        values = np.asarray(nibabel.load(folder / f"{name}.nii.gz").dataobj)
        nibabel.save(nibabel.Nifti1Image(values, moved), folder / f"{name}.nii.gz")
        options = {name: folder / f"{name}.nii.gz", "resample": True}
        with pytest.raises(ValueError, match=rf"{name}\.nii\.gz keeps \d+ of its \d+ mm³ .*--same-grid") as caught:
            nifti(folder, **({"mask": None} | options))
        assert "betas.nii.gz" in str(caught.value)
        assert not (folder / "out.nc").exists()
    masks = [folder / "mask.nii.gz", folder / "mask.nii.gz"]
    with pytest.raises(ValueError, match=r"mask\.nii\.gz keeps \d+ of its \d+ mm³"):
        nifti(folder, mask=None, atlas=masks, resample=True)


def test_same_grid_trusts_the_affine_of_the_mask_and_says_so(volumes):
    """Betas with a diagonal affine that is not that of the space they are in, as BOLD5000's are."""
    folder, table, features, maps, labels = volumes
    right = np.array([[0, -2, 0, 90], [2, 0, 0, -126], [0, 0, 2.5, -72], [0, 0, 0, 1.0]])
    for name in ("mask", "atlas"):
        values = np.asarray(nibabel.load(folder / f"{name}.nii.gz").dataobj)
        nibabel.save(nibabel.Nifti1Image(values, right), folder / f"{name}.nii.gz")
    with pytest.raises(ValueError, match=r"atlas\.nii\.gz has another affine .*--same-grid"):
        nifti(folder, atlas=folder / "atlas.nii.gz")
    lines = []
    data = nifti(folder, atlas=folder / "atlas.nii.gz", same_grid=True, report=lines.append)
    check(data, table, features, maps)
    assert list(data.content["ijk"].attrs["affine"]) == list(right.ravel())
    assert list(data.get("roi")) == [{0: "", 4: "4", 7: "7"}[label] for label in labels]
    assert data.attrs["affine_from"] == "mask.nii.gz"
    assert any("affine of the mask" in line and "mask.nii.gz" in line and "betas.nii.gz" in line for line in lines)
    replace_image("mask.nii.gz", (4, 5, 2))(folder)
    with pytest.raises(ValueError, match=r"same_grid: mask .*\(4, 5, 2\), and .*equal shapes"):
        nifti(folder, same_grid=True)


# Memory


def test_volumes_are_worked_on_in_blocks_that_fit_the_limit(tmp_path, study):
    """A study of 16 MB in blocks of 4 MB, with the same numbers; without a limit worth the name it is refused."""
    folder, table, features = study
    shape = (60, 60, 40)
    maps = planted(table, features, int(np.prod(shape)))
    image = nibabel.Nifti1Image(maps.T.reshape(*shape, len(table)), AFFINE)
    nibabel.save(image, folder / "betas.nii")
    nibabel.save(nibabel.Nifti1Image(np.ones(shape, np.uint8), AFFINE), folder / "mask.nii.gz")
    lines, size = [], maps.nbytes
    del image
    given = {"maps": [folder / "betas.nii"], "report": lines.append}
    nifti(folder, **given)  # imports
    tracemalloc.start()
    data = nifti(folder, **given, max_memory="4MB")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    # Positions and labels of the voxels, 40 bytes each, come on top; maps, averages and their check do not.
    assert peak < 4e6 + 60 * np.prod(shape) < size
    check(data, table, features, maps)
    assert "144000 voxels, in " in lines[-1] and "the limit is 4 MB" in lines[-1]
    with pytest.raises(ValueError, match=r"a block of 16 voxels of 27 maps.*max_memory is 1 kB"):
        nifti(folder, **given, max_memory="1kB")
    with pytest.raises(ValueError, match="max_memory='little' is not a size"):
        nifti(folder, **given, max_memory="little")


def test_blocks_give_the_same_file_as_the_whole(volumes):
    folder, table, features, maps, _ = volumes
    image = nibabel.load(folder / "betas.nii.gz").get_fdata(dtype=np.float32)
    image[1, 1, 0] = 5
    nibabel.save(nibabel.Nifti1Image(image, AFFINE), folder / "betas.nii.gz")
    options = {"drop_bad_voxels": True, "atlas": folder / "atlas.nii.gz"}
    whole = nifti(folder, **options).content.load()
    small = nifti(folder, **options, max_memory="28kB").content.load()
    assert whole.identical(small)
    check(nifti(folder, **options), table, features, maps[:, 1:])


def test_without_room_on_the_disk_nothing_is_begun(tmp_path, monkeypatch):
    """Maps and a dataset of as many values."""
    needed = 2 * 4 * 10 * 3
    for free in (needed - 1, needed):
        monkeypatch.setattr("shutil.disk_usage", lambda folder, free=free: SimpleNamespace(free=free))
        if free < needed:
            with pytest.raises(ValueError, match=r"out: 240 bytes are needed beside .*o\.nc, .* 239 bytes are free in"):
                MapStore(tmp_path / "o.nc", 10, 3)
        else:
            with MapStore(tmp_path / "o.nc", 10, 3) as store:
                assert store.shape == (10, 3)
