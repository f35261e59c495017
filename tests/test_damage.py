"""Flips and cuts in every kind of file that is read: the same content or an error with the file's name, never else."""

import shutil
import zipfile

import numpy as np
import pytest
import xarray as xr
from click.testing import CliRunner
from damage import check_damage, plain
from PIL import Image

import jne
from jne._core import read_netcdf, read_sealed_json, write_netcdf, write_sealed_json
from jne.cli import main
from jne.datasets import open_content
from jne.features import FeatureWriter, ImageFiles, read_feature_file


def content_of_dataset() -> xr.Dataset:
    rng = np.random.default_rng(0)
    return xr.Dataset(
        {
            "deep": (("stimulus", "feature_deep"), rng.normal(size=(30, 4)).astype("f4")),
            "early": (("stimulus", "feature_early"), rng.normal(size=(30, 3)).astype("f4")),
            "responses": (("stimulus", "voxel"), rng.normal(size=(30, 5)).astype("f4"), {"units": "z"}),
            "split": ("stimulus", ["train"] * 20 + ["validation"] * 5 + ["test"] * 5),
            "stimulus_id": ("stimulus", [f"image{i}" for i in range(30)]),
            "roi": ("voxel", ["V1", "V2", "", "FFA", "V1"]),
            "noise_ceiling": ("voxel", [0.5, 0.2, np.nan, 0.9, 0.1]),
        },
        attrs={"name": "mine", "default_layer": "deep", "subject": "S1", "synthetic": 0},
    )


def dataset(path):
    jne.save_dataset(content_of_dataset(), path)


def read_dataset(path):
    with open_content(path) as content:
        return plain(content.load())


def result(path):
    write_netcdf(content_of_dataset().assign_attrs(seed=3, note="a text"), path)


FEATURES = {"block1": np.arange(60, dtype="f4").reshape(12, 5), "head": np.ones((12, 3), "f4")}
IDS = np.array([f"picture{i}" for i in range(12)])


def begun(path):
    return FeatureWriter(path, IDS, {"block1": 5, "head": 3}, {"model": "clip", "weights": "ab" * 20})


def features(path):
    with begun(path) as writer:
        writer.append(FEATURES)
        writer.finish()


def read_features(path):
    file = read_feature_file(path)
    return plain([file.stimulus_id, list(file.layers), file.attrs, *[file.features(name) for name in file.layers]])


def half_features(path):
    with begun(path.with_suffix("")) as writer:
        writer.append({name: values[:7] for name, values in FEATURES.items()})
    shutil.copy(f"{path}.json", path.with_name("record"))


def resume_features(path):
    """What comes of a file that is gone on with."""
    shutil.copy(path.with_name("record"), f"{path}.json")
    with begun(path.with_suffix("")) as writer:
        writer.append({name: values[writer.n_done :] for name, values in FEATURES.items()})
        writer.finish()
    return read_features(path.with_suffix(""))


def npz(path):
    np.savez_compressed(path, stimulus_id=IDS, **FEATURES)


RECORD = {"id": "ab12", "parameters": {"subject": 1, "lr": 1e-3}, "status": "done", "results": {"r2": 0.25, "n": None}}


def images(path):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for i in range(2):
            pixels = np.random.default_rng(i).integers(0, 256, (5, 6, 3), np.uint8)
            Image.fromarray(pixels).save(path.with_name("one.bmp"))
            file.write(path.with_name("one.bmp"), f"image{i}.bmp")


def read_images(path):
    found = ImageFiles(path)
    return plain([found.ids, *[np.asarray(image) for image in found]])


def png(path):
    folder = path.with_suffix("")
    folder.mkdir()
    ramp = np.add.outer(np.arange(20), np.arange(15) * 3)
    Image.fromarray(np.stack([ramp, ramp + 1, 2 * ramp], -1).astype("u1")).save(folder / "one.png")
    (folder / "one.png").replace(path)


def read_png(path):
    path.replace(path.with_suffix("") / path.name)
    return read_images(path.with_suffix(""))


KINDS = {
    "dataset": ("mine.nc", dataset, read_dataset),
    "result": ("study.nc", result, lambda path: plain(read_netcdf(path))),
    "features": ("features.h5", features, read_features),
    "half of features": ("features.h5.part", half_features, resume_features),
    "record": (
        "run.json",
        lambda path: write_sealed_json(RECORD, path),
        lambda path: plain(read_sealed_json(path, "record")),
    ),
    "npz": ("features.npz", npz, read_features),
    "zip": ("images.zip", images, read_images),
    "png": ("one.png", png, read_png),
}


@pytest.mark.parametrize("kind", KINDS)
def test_damage_is_told_or_changes_nothing(kind, tmp_path):
    name, make, read = KINDS[kind]
    check_damage(tmp_path / name, make, read)


def test_a_zip_that_holds_a_name_twice_is_refused_before_anything_is_computed(tmp_path):
    images(tmp_path / "images.zip")
    with zipfile.ZipFile(tmp_path / "images.zip", "a") as file, pytest.warns(UserWarning, match="Duplicate name"):
        file.write(tmp_path / "one.bmp", "image0.bmp")
    with pytest.raises(ValueError, match=r"images\.zip holds image0\.bmp more than once"):
        ImageFiles(tmp_path / "images.zip")


def test_escapes_in_names_do_not_reach_the_terminal(tmp_path):
    content = content_of_dataset().assign_attrs(name="\x1b[31mred\x1b]0;title\x07", licence="\x1b[2J")
    jne.save_dataset(content, tmp_path / "mine.nc")
    for command in (["info"], ["info", "--json"], ["validate"]):
        run = CliRunner().invoke(main, [*command, str(tmp_path / "mine.nc")])
        assert run.exit_code == 0 and not {"\x1b", "\x07"} & set(run.output)
