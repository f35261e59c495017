"""`--levels`: areas to levels of the hierarchy, as a study says them, and by the names of the one table."""

import unicodedata

import nibabel
import numpy as np
import pytest
import xarray as xr
from click.testing import CliRunner
from conftest import make_content
from test_map_files import AFFINE, SHAPE, planted, study  # noqa: F401

import jne
from jne.cli import main
from jne.cortex import area_levels, ordered_levels, tiers
from jne.datasets import dataset_notes
from jne.prepare.levels import add_levels, given_levels, parse_levels

ROI = ["V1", "V2", "hV4", "FFA-1", "odd", ""]


def voxels(names=ROI, **more):
    return xr.Dataset({name: ("voxel", np.array(values, object)) for name, values in {"roi": names, **more}.items()})


@pytest.mark.parametrize(
    ("given", "expected"),
    {
        "V1=1,V2=2,hV4=3": ["1", "2", "3", "", "", ""],
        "V1=PVC,odd=IVC": ["PVC", "IVC", "IVC", "HVC", "IVC", ""],
        "odd=higher": ["V1", "V2", "V4", "higher", "higher", ""],
        "odd=core,V1=belt,FFA-1=belt": ["2 belt", "", "", "2 belt", "1 core", ""],
        "odd,FFA-1,V1": ["3 V1", "", "", "2 FFA-1", "1 odd", ""],
        "lh.V2=2,v1=1,FFA-1=2.5": ["1", "2", "", "2.5", "", ""],
    }.items(),
)
def test_levels_of_areas_and_those_of_others_by_name(given, expected):
    names = [name if name != "V2" else "lh.V2" for name in ROI]
    found = add_levels(voxels(names), parse_levels(given.replace("V2=2,hV4", "lh.V2=2,hV4")))["level"].values.tolist()
    assert found == expected
    assert ordered_levels(found) == sorted(set(expected) - {""}, key=lambda n: (n[0] not in "VP", n[0] == "H", n))


def test_an_exact_name_counts_before_one_that_holds_it_in_any_order_and_in_any_letters():
    for given in ("V1v=1,V1=2", "V1=2,V1v=1"):
        assert add_levels(voxels(["V1v", "V1d"]), parse_levels(given))["level"].values.tolist() == ["1", "2"]
    apart = unicodedata.normalize("NFD", "Hügel")
    assert add_levels(voxels(["Hügel"]), given_levels(f"{apart}=1"))["level"].values.tolist() == ["1"]
    assert add_levels(voxels(["Hügel"]), given_levels({apart: 1}))["level"].values.tolist() == ["1"]


def test_levels_that_are_there_are_kept_where_the_scale_is_theirs():
    there = voxels(level=["V1", "V2", "V4", "higher", "intermediate", ""])
    assert add_levels(there, {"odd": "HVC"})["level"].values.tolist() == ["PVC", "IVC", "IVC", "HVC", "HVC", ""]
    assert add_levels(there, {}) is there


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("=1", r"levels: '=1' is not of the form AREA=LEVEL,.*PVC, IVC, HVC; numbers"),
        ("V1=", "levels: 'V1=' is not of the form"),
        (" , ", "names no area"),
        ("V1=1,V1=2", "levels: V1 is given two levels, 1 and 2"),
        ("V9=1", "there is no area 'V9'; there are FFA-1, V1, V2, hV4, odd"),
    ],
)
def test_levels_that_cannot_be_meant(given, message):
    with pytest.raises(ValueError, match=message):
        add_levels(voxels(), parse_levels(given))
    with pytest.raises(ValueError, match="there are no areas"):
        add_levels(xr.Dataset({"vertex": ("voxel", [1])}), {"V1": "1"})


def test_a_column_of_the_atlas_table(study):  # noqa: F811
    folder, table, features = study
    labels = np.zeros(SHAPE)
    labels[:2], labels[2, :3] = 1, 2
    nibabel.save(nibabel.Nifti1Image(labels, AFFINE), folder / "atlas.nii.gz")
    maps = planted(table, features, int(np.prod(SHAPE))).reshape(len(table), *SHAPE)
    nibabel.save(nibabel.Nifti1Image(np.moveaxis(maps, 0, -1), AFFINE), folder / "maps.nii.gz")
    (folder / "names.csv").write_text("index,name,level,stage\n1,A1,core,2\n2,R,,1\n3,far,core,1\n")
    options = {"maps": "maps.nii.gz", "stimuli": "trials.csv", "features": "features.npz", "atlas": "atlas.nii.gz"}
    options |= {"atlas-names": "names.csv"}
    command = ["prepare", "nifti", "--out", f"{folder}/study.nc"]
    command += [part for key, name in options.items() for part in (f"--{key}", str(folder / name))]
    for more, expected in ([], {"A1": "core", "R": ""}), (["--level-column", "stage"], {"A1": "2", "R": "1"}):
        run = CliRunner().invoke(main, [*command, *more])
        assert run.exit_code == 0, run.output
        data = jne.load_dataset(folder / "study.nc")
        assert dict(zip(data.get("roi"), data.get("level"), strict=True)) == expected
    run = CliRunner().invoke(main, [*command, "--levels", "R=1,A1=2"])
    assert "Levels: 1 (R); 2 (A1)." in run.output
    wrong = CliRunner().invoke(main, [*command, "--level-column", "tier"])
    assert "has no column 'tier'; it has index, name, level, stage" in wrong.output
    with pytest.raises(ValueError, match="one of the two"):
        given_levels("V1=1", folder / "names.csv", "stage")


def test_arrays_take_levels_and_validate_says_what_stays_empty(tmp_path):
    rng = np.random.default_rng(0)
    arrays = {"x": rng.normal(size=(30, 4)), "y": rng.normal(size=(30, 6)), "area": np.repeat(["A", "B", "C"], 2)}
    np.savez(tmp_path / "in.npz", **arrays)
    command = ["prepare", "arrays", "--input", f"{tmp_path}/in.npz", "--map", "features=x,responses=y,roi=area"]
    command += ["--out", f"{tmp_path}/out.nc"]
    for levels, note in (None, "levels of the hierarchy are known for the areas A, B, C"), ("B,A", "1 of 3 areas (C)"):
        run = CliRunner().invoke(main, [*command, *(["--levels", levels] if levels else [])])
        assert run.exit_code == 0, run.output
        said = CliRunner().invoke(main, ["validate", f"{tmp_path}/out.nc"]).output
        assert note in said and "is a valid dataset" in said and "--levels" in said
    assert list(jne.load_dataset(tmp_path / "out.nc").get("level")) == ["2 A", "2 A", "1 B", "1 B", "", ""]


def test_notes_follow_the_names_as_the_chapters_do():
    content = make_content()
    content["roi"] = "voxel", np.resize(np.array(["V1", "V2", "V3", "V4"], object), content.sizes["voxel"])
    assert dataset_notes(content.drop_vars("level", errors="ignore")) == []
    assert "will be empty" in dataset_notes(content.drop_vars(["roi", "level"], errors="ignore"))[0]
    assert set(tiers(area_levels(["V1", "V2"]))) == {"PVC", "IVC"}
