"""Names of files and folders that are not UTF-8, as systems of other languages leave them: read, or a sentence."""

import os
import sys

import nibabel
import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from conftest import make_content
from PIL import Image

import jne
from jne.book import existing_file
from jne.cli import main
from jne.features import FeatureWriter, read_feature_file

pytestmark = pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="names are Unicode there")
N = 60


@pytest.fixture
def folder(tmp_path):
    (folder := tmp_path / name("folder")).mkdir()
    return folder


def name(stem, ending=""):
    """With a letter in Latin-1."""
    return os.fsdecode(stem.encode() + b"\xe9" + ending.encode())


def run(*arguments, status=0):
    result = CliRunner().invoke(main, list(map(str, arguments)))
    assert result.exit_code == status and isinstance(result.exception, SystemExit | None), result
    assert "codec" not in result.output, result.output
    return result.output


def make_arrays(folder):
    with (folder / name("arrays", ".npz")).open("wb") as file:
        rng = np.random.default_rng(0)
        np.savez(file, x=rng.normal(size=(N, 5)), y=rng.normal(size=(N, 7)))
    return "arrays", "--input", file.name, "--map", "features=x,responses=y"


def make_nifti(folder):
    rng = np.random.default_rng(0)
    for stem, shape in (("maps", (3, 3, 3, N)), ("mask", (3, 3, 3))):
        image = nibabel.Nifti1Image(1 + rng.normal(size=shape).astype("f4") ** 2, np.eye(4))
        nibabel.save(image, folder / name(stem, ".nii"))
    pd.DataFrame({"id": [f"i{i}" for i in range(N)]}).to_csv(folder / name("stimuli", ".csv"), index=False)
    with (folder / name("f", ".npz")).open("wb") as file:
        np.savez(file, stimulus_id=[f"i{i}" for i in range(N)], deep=rng.normal(size=(N, 3)))
    files = {"maps": "maps.nii", "mask": "mask.nii", "stimuli": "stimuli.csv", "features": "f.npz"}
    given = [
        (f"--{kind}", folder / name(*file.split(".")[:1], "." + file.split(".")[1])) for kind, file in files.items()
    ]
    return "nifti", *[part for pair in given for part in pair]


@pytest.mark.parametrize("make", [make_arrays, make_nifti])
def test_datasets_are_made_of_such_files_and_to_them(folder, make):
    out = folder / name("out", ".nc")
    said = run("prepare", *make(folder), "--out", out)
    assert r"out\udce9.nc" in said
    data = jne.load_dataset(out)
    assert data.content.attrs["name"] == r"out\udce9" and data.n_stimuli == N
    assert r"out\udce9" in run("info", out)


def test_what_a_book_and_a_batch_cannot_name_is_told(folder, monkeypatch):
    """Before anything is run; a link of another name is enough."""
    data = folder / name("d", ".nc")
    make_content().to_netcdf(folder.parent / "d.nc", engine="h5netcdf")
    (folder.parent / "d.nc").rename(data)
    (folder / "grid.yml").write_text("notebooks: [a.ipynb]\n")
    for arguments in (("book", "--data", data), ("book", "--out", folder / "out"), ("batch", folder / "grid.yml"),
                      ("book", "--params", folder / "p.yml")):  # fmt: skip
        said = run(*arguments, status=1)
        assert "is not in UTF-8, as it must be in notebooks" in said and "ln -s" in said and r"\udce9" in said
    monkeypatch.chdir(folder)
    for file in ("_toc.yml", "_config.yml"):
        (folder / file).write_text("")
    assert "root: the path " in run("book", status=1)
    (folder.parent / "link").symlink_to(folder)
    assert existing_file(folder.parent / "link/grid.yml", "grid").is_file()


def test_a_photograph_of_such_a_name_is_told(folder):
    Image.new("RGB", (9, 9)).save(folder / "a.png")
    os.rename(folder / "a.png", folder / name("a", ".png"))
    said = run("features", "--images", folder, "--out", folder / "f.h5", status=1)
    assert r"the name of a\udce9.png in " in said and "rename the file" in said


@pytest.mark.parametrize("command", ["info", "report", "batch", "features", "arrays"])
def test_what_is_not_there_is_named(folder, command):
    path = folder / name("nowhere", ".nc")
    arguments = {"features": ("features", "--images", path, "--out", path.with_suffix(".h5")),
                 "arrays": ("prepare", "arrays", "--input", path, "--map", "features=x", "--out", path)}  # fmt: skip
    assert r"nowhere\udce9" in run(*arguments.get(command, (command, path)), status=1)


def test_features_keep_such_a_name(folder):
    with FeatureWriter(folder / name("f", ".h5"), ["a", "b"], {"deep": 3}, {"images": name("b")}) as writer:
        writer.append({"deep": np.ones((2, 3))})
        writer.finish()
    assert read_feature_file(folder / name("f", ".h5")).attrs["images"] == r"b\udce9"


def test_such_a_dataset_is_read(folder):
    make_content().to_netcdf(folder.parent / "d.nc", engine="h5netcdf")
    (folder.parent / "d.nc").rename(folder / name("d", ".nc"))
    assert "voxels" in run("info", folder / name("d", ".nc"))
