"""`jne prepare nifti` and `jne prepare fsaverage` on studies with planted responses."""

import nibabel
import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

import jne
from jne.accuracy import noise_ceiling
from jne.cli import main
from jne.prepare.labels import read_label_names
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


def test_without_repeats_there_is_no_ceiling(volumes):
    folder, table, *_ = volumes
    once = table[~table.duplicated("id")]
    once.drop(columns="repeat").to_csv(folder / "trials.csv", index=False)
    image = nibabel.load(folder / "betas.nii.gz").get_fdata(dtype=np.float32)
    nibabel.save(nibabel.Nifti1Image(image[..., once.index], AFFINE), folder / "betas.nii.gz")
    data = nifti(folder)
    assert data.repeats() is None and data.get("noise_ceiling") is None


def test_bad_voxels_are_named_or_dropped(volumes):
    folder, table, features, maps, _ = volumes
    image = nibabel.load(folder / "betas.nii.gz").get_fdata(dtype=np.float32)
    image[1, 1, 0], image[1, 1, 1, 3] = 5, np.nan
    nibabel.save(nibabel.Nifti1Image(image, AFFINE), folder / "betas.nii.gz")
    with pytest.raises(
        ValueError, match=r"1 of 18 units of .*betas\.nii\.gz hold non-finite values.*--drop-bad-voxels"
    ):
        nifti(folder)
    data = nifti(folder, drop_bad_voxels=True)
    assert data.attrs["n_dropped_voxels"] == 2
    check(data, table, features, maps[:, 2:])


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
    "empty table": (lambda f: (f / "trials.csv").write_text(""), {}, "cannot be read as a table"),
    "no id": (
        lambda f: (f / "trials.csv").write_text("image,split\na,train\n"),
        {},
        "no column id; it has image, split",
    ),
    "blank id": (lambda f: edit(f, id=lambda t: t["id"].where(t.index > 0, "")), {}, "27 rows, 1 of them without id"),
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
    "truncated map": (cut("betas.nii.gz"), {}, r"betas\.nii\.gz is truncated or damaged"),
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
        "left.annot cannot be read as an annotation",
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
