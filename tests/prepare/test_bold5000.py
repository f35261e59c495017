"""BOLD5000 as Release 2.0 has it: betas of sessions, a list of pictures, masks of areas, affines that disagree."""

import nibabel
import numpy as np
import pytest
from click.testing import CliRunner
from map_studies import AFFINE, SHAPE, make_study

import jne
from jne.cli import main
from jne.prepare import prepare_nifti
from jne.prepare.area_masks import area_name
from jne.prepare.trial_lists import is_list
from jne.prepare.trials import read_trials

MASKS = {
    "LHPPA": [(1, 2, 1), (1, 3, 1)],
    "RHPPA": [(3, 2, 1)],
    "LHEarlyVis": [(1, 0, 0), (1, 1, 0), (1, 2, 1)],
    "RHEarlyVis": [(3, 0, 0)],
}


@pytest.fixture
def bold(tmp_path):
    """Betas in percent, float32, 2 mm, with a diagonal affine; masks with that of the space they are in."""
    study = make_study(tmp_path)
    betas = study.maps(int(np.prod(SHAPE))).reshape(-1, *SHAPE)
    for session, rows in study.table.groupby("session").groups.items():
        image = nibabel.Nifti1Image(np.moveaxis(betas[rows], 0, -1), np.diag([2.0, 2, 2, 1]))
        nibabel.save(image, tmp_path / f"CSI1_GLMbetas-TYPED-FITHRF-GLMDENOISE-RR_ses-{session:02d}.nii.gz")
    for name, places in MASKS.items():
        values = np.zeros(SHAPE, np.uint8)
        values[tuple(np.array(places).T)] = 1
        nibabel.save(nibabel.Nifti1Image(values, AFFINE), tmp_path / f"sub-CSI1_mask-{name}.nii.gz")
    (tmp_path / "CSI1_imgnames.txt").write_text("\n".join(study.table["name"]) + "\n")
    return study, betas


def run(study, *options, status=0):
    folder = study.folder
    masks = [word for name in MASKS for word in ("--atlas", str(folder / f"sub-CSI1_mask-{name}.nii.gz"))]
    command = ["prepare", "nifti", "--maps", str(folder / "CSI1_GLMbetas*_ses-*.nii.gz"), *masks]
    command += ["--stimuli", str(folder / "CSI1_imgnames.txt"), "--features", str(folder / "features.npz")]
    result = CliRunner().invoke(main, [*command, "--same-grid", "--out", str(folder / "CSI1.nc"), *options])
    assert result.exit_code == status, result.output
    return result.output


@pytest.mark.parametrize("zscore", [None, "session"])
def test_bold5000_is_read_as_it_is_downloaded(bold, zscore):
    study, betas = bold
    said = run(study, *(["--zscore", zscore] if zscore else []))
    data = jne.load_dataset(study.folder / "CSI1.nc")
    # PPA comes first, and has the voxel of both.
    area = {place: "PPA" for name in ("LHPPA", "RHPPA") for place in MASKS[name]}
    area |= {place: "EarlyVis" for name in ("LHEarlyVis", "RHEarlyVis") for place in MASKS[name] if place not in area}
    places = [tuple(int(i) for i in place) for place in data.get("ijk")]
    assert dict(zip(places, data.get("roi"), strict=True)) == area
    study.check(data, betas[:, *np.array(places).T], zscore)
    assert list(data.content["ijk"].attrs["affine"]) == list(AFFINE.ravel())
    assert list(data.content["ijk"].attrs["shape"]) == list(SHAPE)
    assert data.attrs["affine_from"] == "sub-CSI1_mask-LHPPA.nii.gz"
    assert "2 files in order" in said and "PPA 3, EarlyVis 3; 1 voxels of a mask are in an area given before" in said
    assert ("within 2 sessions of 20 maps" in said) == bool(zscore)


def test_runs_are_not_known_from_these_names(bold):
    study, _ = bold
    assert "the run of each map is not known; add a column run" in run(study, "--zscore", "run", status=1)


def test_a_list_says_the_test_set_by_repetition(bold):
    study, _ = bold
    table = read_trials(study.folder / "CSI1_imgnames.txt").table
    counts = study.table["id"].value_counts()
    assert list(table["id"]) == list(study.table["id"])
    assert set(table["id"][table["split"] == "test"]) == set(counts[counts > 1].index)
    # Where nearly all are repeated, the split is drawn; where few, too.
    (study.folder / "all.txt").write_text("\n".join(list("abcdef") * 2))
    assert "split" not in read_trials(study.folder / "all.txt").table
    (study.folder / "few.txt").write_text("\n".join([*"abcdefgh", "a", "b"]))
    assert "split" not in read_trials(study.folder / "few.txt").table
    (study.folder / "marked.txt").write_text("rep_a.jpg\nb.jpg\nrep_a.jpg\n")
    assert list(read_trials(study.folder / "marked.txt").table["id"]) == ["a", "b", "a"]
    (study.folder / "catch.txt").write_text("a/x.png\n\nC:\\b\\y.v2.JPG\n")
    trials = read_trials(study.folder / "catch.txt")
    assert list(trials.ids) == ["x", "y.v2"] and list(trials.shown) == [True, False, True]
    (study.folder / "table.txt").write_text("id,split\na,train\n")
    assert list(read_trials(study.folder / "table.txt").table["split"]) == ["train"]
    (study.folder / "empty.txt").write_text("\n")
    with pytest.raises(ValueError, match=r"empty\.txt names no picture"):
        read_trials(study.folder / "empty.txt")


def test_masks_of_many_areas_and_names_beside_masks_are_refused(bold):
    study, _ = bold
    folder = study.folder
    values = np.arange(np.prod(SHAPE)).reshape(SHAPE).astype(np.int16)
    nibabel.save(nibabel.Nifti1Image(values, AFFINE), folder / "many.nii.gz")
    said = run(study, "--atlas", str(folder / "many.nii.gz"), status=1)
    assert "119 different numbers beside 0" in said and "each must be a mask of one area" in said
    (folder / "areas.csv").write_text("index,name\n1,V1\n")
    assert "the names come from the files" in run(study, "--atlas-names", str(folder / "areas.csv"), status=1)


NAMES = {
    "sub-CSI1_mask-LHPPA.nii.gz": "PPA", "sub-CSI3_mask-RHEarlyVis.nii.gz": "EarlyVis", "lh.V1v.nii": "V1v",
    "right_FFA-1.nii.gz": "FFA-1", "PPA_left.nii.gz": "PPA", "rLOC.nii.gz": "LOC", "LO1.nii.gz": "LO1",
    "sub-01_hemi-L_label-OPA_mask.nii.gz": "OPA", "RSC.nii": "RSC", "lateral.nii": "lateral",
}  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_the_area_is_in_the_name(tmp_path, name):
    assert area_name(tmp_path / name) == NAMES[name]


def test_grids_of_the_release_differ_from_subject_to_subject_and_must_not_be_mixed(bold):
    study, _ = bold
    other = nibabel.Nifti1Image(np.ones((5, 6, 3, 20), "f4"), np.diag([2.0, 2, 2, 1]))
    nibabel.save(other, study.folder / "CSI1_GLMbetas-TYPED-FITHRF-GLMDENOISE-RR_ses-02.nii.gz")
    assert "has the grid (5, 6, 3), and the first" in run(study, status=1)


def test_one_mask_alone_is_an_area_by_its_name(bold):
    study, betas = bold
    folder = study.folder
    data = prepare_nifti(
        folder / "CSI1_imgnames.txt", folder / "features.npz", folder / "one.nc", maps=[folder], same_grid=True,
        atlas=folder / "sub-CSI1_mask-LHPPA.nii.gz",
    )  # fmt: skip
    assert list(data.get("roi")) == ["PPA", "PPA"]
    study.check(data, betas[:, *np.array(MASKS["LHPPA"]).T])


def test_the_first_line_says_whether_it_is_a_list_of_pictures_or_a_table(tmp_path):
    path = tmp_path / "shown.txt"
    for text, expected in (
        ("one.jpg", True),
        ("one.jpg\na picture, with a comma.jpg\n", True),
        ("id\none\ntwo\n", False),
        ("id,split\none\n", False),
    ):
        path.write_text(text)
        assert is_list(path) == expected
