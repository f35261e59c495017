"""CIFTI as nibabel's axes make it: vertices of the cortex and voxels below it come back exactly where they were."""

import nibabel
import numpy as np
import pytest
from map_studies import make_study
from nibabel.cifti2 import cifti2_axes as axes

import jne
from jne.prepare import prepare_nifti
from jne.prepare.surface import _open as open_surface

N = 32492
GRID, AFFINE = (9, 8, 7), np.array([[-2.0, 0, 0, 90], [0, 2, 0, -126], [0, 0, 2, -72], [0, 0, 0, 1]])
RNG = np.random.default_rng(3)
VERTICES = {"left": np.sort(RNG.permutation(N)[:70]), "right": np.sort(RNG.permutation(N)[:60])}
THALAMUS = np.argwhere(RNG.random(GRID) < 0.08)
FULL = VERTICES | {"below": THALAMUS}


def brain(parts):
    """The axis of vertices and voxels."""
    whole = None
    for name, places in parts.items():
        if name == "below":
            part = axes.BrainModelAxis(
                np.full(len(places), "CIFTI_STRUCTURE_THALAMUS_LEFT"), voxel=places, affine=AFFINE, volume_shape=GRID
            )
        else:
            structure = f"CIFTI_STRUCTURE_CORTEX_{name.upper()}"
            part = axes.BrainModelAxis(np.full(len(places), structure), vertex=places, nvertices={structure: N})
        whole = part if whole is None else whole + part
    return whole


def save(path, values, parts, first=None):
    values = np.asarray(values, "f4")
    first = first or axes.ScalarAxis([f"beta {i}" for i in range(len(values))])
    nibabel.save(nibabel.Cifti2Image(values, (first, brain(parts))), path)
    return path


@pytest.fixture
def study(tmp_path):
    """Sessions, one as .dscalar.nii and one as .dtseries.nii."""
    study = make_study(tmp_path)
    maps = study.maps(sum(map(len, FULL.values())))
    rows = study.table.groupby("session").groups
    save(tmp_path / "sub-01_ses-1_betas.dscalar.nii", maps[rows[1]], FULL)
    series = axes.SeriesAxis(0, 1, len(rows[2]))
    save(tmp_path / "sub-01_ses-2_betas.dtseries.nii", maps[rows[2]], FULL, series)
    study.write_table()
    return study, maps


def prepare(study, **options):
    folder = study.folder
    files = [folder / "sub-01_ses-1_betas.dscalar.nii", folder / "sub-01_ses-2_betas.dtseries.nii"]
    options = {"maps": files, **options}
    return prepare_nifti(folder / "trials.csv", folder / "features.npz", folder / "a.nc", **options)


def n_left_right():
    return len(VERTICES["left"]), len(VERTICES["right"])


def test_every_point_comes_back_where_it_was(study):
    study, maps = study
    data = prepare(study, zscore="session")
    study.check(data, maps, "session")
    left, right = n_left_right()
    n_below = len(THALAMUS)
    assert list(data.get("hemisphere")) == ["left"] * left + ["right"] * right + [""] * n_below
    np.testing.assert_array_equal(data.get("vertex"), [*VERTICES["left"], *VERTICES["right"], *[-1] * n_below])
    np.testing.assert_array_equal(data.get("ijk"), [*[[-1] * 3] * (left + right), *THALAMUS])
    assert data.content["vertex"].attrs["mesh"] == "fsLR-32k"
    np.testing.assert_array_equal(data.content["ijk"].attrs["affine"], AFFINE.ravel())
    assert list(data.content["ijk"].attrs["shape"]) == list(GRID)
    assert data.attrs["mask_file"] == "all points" and data.get("roi") is None
    assert jne.load_dataset(data.path).n_voxels == maps.shape[1]


def label_file(path, parts, numbers, names):
    table = {0: ("???", (0, 0, 0, 0))} | {number: (name, (1, 0, 0, 1)) for number, name in names.items()}
    return save(path, [numbers], parts, axes.LabelAxis(["areas"], [table]))


def test_dlabel_is_an_atlas_also_where_it_has_other_points(study):
    """Of the cortex alone, with the medial wall, in another order than the maps."""
    study, maps = study
    left, right = n_left_right()
    cortex = {side: np.union1d(VERTICES[side], np.arange(0, N, 40)) for side in ("right", "left")}
    found = [np.isin(cortex["right"], VERTICES["right"][:20]), np.isin(cortex["left"], VERTICES["left"][10:30])]
    numbers = np.concatenate([2 * found[0], found[1]])
    atlas = label_file(study.folder / "a.dlabel.nii", cortex, numbers, {1: "L_V1_ROI", 2: "R_V1_ROI"})
    data = prepare(study, atlas=atlas)
    kept = np.r_[10:30, left : left + 20]
    study.check(data, maps[:, kept])
    assert set(data.get("roi")) == {"V1"} and "ijk" not in data.content
    np.testing.assert_array_equal(data.get("vertex"), [*VERTICES["left"][10:30], *VERTICES["right"][:20]])
    (study.folder / "names.csv").write_text("index,name\n1,mine\n2,FFA\n")
    assert set(prepare(study, atlas=atlas, atlas_names=study.folder / "names.csv").get("roi")) == {"mine", "FFA"}
    # A mask, which keeps points without area, and voxels alone.
    inside = np.arange(maps.shape[1]) >= left + right - 3
    mask = save(study.folder / "m.dscalar.nii", [inside], FULL)
    data = prepare(study, atlas=atlas, mask=mask)
    study.check(data, maps[:, inside])
    assert set(data.get("roi")) == {""}
    assert list(data.get("hemisphere")) == ["right"] * 3 + [""] * len(THALAMUS)
    first = prepare(study, mask=save(study.folder / "m.dscalar.nii", [np.arange(maps.shape[1]) < 3], FULL))
    np.testing.assert_array_equal(first.get("vertex"), VERTICES["left"][:3])
    below = prepare(study, mask=save(study.folder / "m.dscalar.nii", [np.arange(maps.shape[1]) >= left + right], FULL))
    np.testing.assert_array_equal(below.get("ijk"), THALAMUS)
    assert "vertex" not in below.content and "hemisphere" not in below.content


def elsewhere(study):
    return save(study.folder / "x.dscalar.nii", np.ones((1, 70)), {"left": np.arange(70)})


def other_point(study):
    vertex = np.setdiff1d(np.arange(N), VERTICES["left"])[:1]
    return save(study.folder / "m.dscalar.nii", [[1]], {"left": vertex})


BAD = {
    "files of two spaces": (
        lambda s: {"maps": [s.folder / "sub-01_ses-1_betas.dscalar.nii", elsewhere(s)]}, "has other vertices and voxels"
    ),
    "two maps as a mask": (
        lambda s: {"mask": s.folder / "sub-01_ses-1_betas.dscalar.nii"}, "holds 20 maps; needed: one value"
    ),
    "nothing in the mask": (
        lambda s: {"mask": save(s.folder / "m.dscalar.nii", [np.zeros(70)], {"left": VERTICES["left"]})},
        "no point of .* is left",
    ),
    "a mask of other points": (lambda s: {"mask": other_point(s)}, "none of the vertices and voxels of the maps"),
    "two atlases": (lambda s: {"atlas": [elsewhere(s), elsewhere(s)]}, "one .dlabel.nii with all areas"),
    "another grid": (lambda s: {"same_grid": True}, "name their vertices and voxels themselves"),
    "parcels": (lambda s: {"maps": [parcels(s.folder / "p.pscalar.nii")]}, "has the axes Scalar, Parcels; needed"),
    "damaged": (lambda s: {"maps": [cut(s.folder / "sub-01_ses-1_betas.dscalar.nii")]}, "is truncated, damaged"),
}  # fmt: skip


def parcels(path):
    parcel = axes.ParcelsAxis(["V1"], [np.empty((0, 3), int)], [{"CIFTI_STRUCTURE_CORTEX_LEFT": np.arange(4)}],
                              nvertices={"CIFTI_STRUCTURE_CORTEX_LEFT": N})  # fmt: skip
    nibabel.save(
        nibabel.Cifti2Image(np.ones((40, 1), "f4"), (axes.ScalarAxis([f"{i}" for i in range(40)]), parcel)), path
    )
    return path


def cut(path):
    path.write_bytes(path.read_bytes()[:-5000])
    return path


@pytest.mark.parametrize("kind", BAD)
def test_what_does_not_belong_together_is_named(study, kind):
    options, message = BAD[kind]
    if kind == "damaged":
        whole = prepare(study[0])
        whole.path.unlink()
        study[0].table["session"] = 1
    with pytest.raises(ValueError, match=message):
        given = options(study[0])
        if kind == "damaged":
            given["maps"].append(study[0].folder / "sub-01_ses-2_betas.dtseries.nii")
        prepare(study[0], **given)
    assert not (study[0].folder / "a.nc").exists()


def test_voxels_below_the_cortex_need_a_place(study):
    """In the format: no hemisphere and the vertex -1, only where there is a voxel."""
    content = prepare(study[0]).content.load()
    content["ijk"][-1] = -1
    with pytest.raises(ValueError, match="hemisphere has the values ''; accepted are left and right"):
        jne.EncodingDataset(content)
    content = content.drop_vars("ijk")
    with pytest.raises(ValueError, match="hemisphere has the values ''"):
        jne.EncodingDataset(content)


@pytest.mark.parametrize("what", ["maps", "mask", "atlas"])
def test_as_one_hemisphere_it_is_told_where_it_goes(tmp_path, what):
    file = save(tmp_path / "x.dscalar.nii", np.ones((1, 70)), {"left": VERTICES["left"]})
    with pytest.raises(ValueError, match=rf"{what}: .*x\.dscalar\.nii is a CIFTI file.*`jne prepare nifti` takes"):
        open_surface(file, what)
