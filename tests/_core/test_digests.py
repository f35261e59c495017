"""Digests stand in what is written; what lacks one, or was written by others, is told apart from what is damaged."""

import hashlib
import json
import logging
import struct

import h5py
import numpy as np
import pytest
import torch
import xarray as xr
from click.testing import CliRunner

import jne
from jne._core import (
    DamagedError,
    kept,
    read_netcdf,
    read_sealed_json,
    read_tensors,
    write_netcdf,
    write_sealed_json,
    write_tensors,
)
from jne.cli import main
from jne.datasets import open_content
from jne.features import FeatureWriter


@pytest.fixture
def file(tiny_content, tmp_path):
    jne.save_dataset(tiny_content, tmp_path / "mine.nc")
    return tmp_path / "mine.nc"


def flip(path, place, bit=1):
    content = bytearray(path.read_bytes())
    content[place] ^= bit
    path.write_bytes(content)


def test_the_digest_is_the_sha256_of_all_before_it_and_readers_of_hdf5_do_not_see_it(file):
    before, _, after = file.read_bytes().rpartition(b"\njne_digest sha256 ")
    assert after == hashlib.sha256(before).hexdigest().encode() + b"\n"
    with xr.open_dataset(file) as seen, h5py.File(file) as raw:
        assert seen.attrs["format_version"] == 2 and "responses" in raw and not [n for n in seen.attrs if "digest" in n]
    assert write_netcdf(read_netcdf(file), file.with_name("again.nc")).read_bytes().endswith(b"\n")
    one, two = (write_netcdf(read_netcdf(file), file.with_name(f"{n}.nc")).read_bytes() for n in (1, 2))
    assert one == two


@pytest.mark.parametrize("kind", ["netcdf", "safetensors", "json"])
def test_a_flip_in_the_digests_own_name_does_not_turn_the_comparison_off(file, kind):
    if kind == "netcdf":
        path, read = file, jne.load_dataset
    elif kind == "safetensors":
        path = write_tensors({"a": torch.ones(3)}, {"b": 1}, file.with_name("a.safetensors"), "here")
        read = read_tensors
    else:
        path = write_sealed_json({"a": 1}, file.with_name("a.json"))
        read = lambda path: read_sealed_json(path, "state")  # noqa: E731
    read(path)
    flip(path, path.read_bytes().index(b"jne_digest") + 2)
    with pytest.raises(DamagedError, match=rf"{path.name} has format_version 2, but not the digest"):
        read(path)


@pytest.mark.parametrize("place", ["name of a variable", "name of an attribute", "an attribute", "a text", "an area"])
def test_names_attributes_and_texts_are_compared(tmp_path, place):
    content = {"clip": (("stimulus", "feature_clip"), np.ones((3, 2))), "roi": ("voxel", ["V1", "V2"])}
    path = write_netcdf(xr.Dataset(content, attrs={"licence": "CC-BY"}), tmp_path / "a.nc")
    word = {"name of a variable": b"clip", "name of an attribute": b"licence", "an attribute": b"CC-BY"}
    flip(path, path.read_bytes().index(word.get(place, b"V1" if place == "a text" else b"V2")) + 1)
    with pytest.raises(DamagedError, match=r"result: .*a\.nc is damaged, or another program wrote to it"):
        read_netcdf(path)


def test_files_of_version_1_and_of_others_are_read_with_one_line(tiny_content, tmp_path, caplog):
    for name, attrs in (("old.nc", {"format_version": 1}), ("own.nc", {})):
        tiny_content.assign_attrs(attrs).to_netcdf(tmp_path / name, engine="h5netcdf")
        with caplog.at_level(logging.WARNING, "jne"):
            for _ in range(2):
                data = jne.load_dataset(tmp_path / name)
        np.testing.assert_array_equal(data.content["responses"], tiny_content["responses"])
    lines = [record.getMessage() for record in caplog.records]
    assert len(lines) == 2 and all("is unguarded: it holds no digest" in line for line in lines)
    write_tensors({"a": torch.ones(3)}, {"b": 1}, tmp_path / "a.safetensors", "here")
    content = (tmp_path / "a.safetensors").read_bytes()
    size = struct.unpack("<Q", content[:8])[0]
    header = json.loads(content[8 : 8 + size])
    header["__metadata__"] = {"jne": '{"b": 1}'}
    text = json.dumps(header).encode()
    (tmp_path / "old.safetensors").write_bytes(struct.pack("<Q", len(text)) + text + content[8 + size :])
    header, tensors = read_tensors(tmp_path / "old.safetensors")
    assert header == {"b": 1} and tensors["a"].tolist() == [1, 1, 1]
    (tmp_path / "old.json").write_text('{"a": 1}')
    assert read_sealed_json(tmp_path / "old.json", "state") == {"a": 1}
    assert sum("unguarded" in record.getMessage() for record in caplog.records) == 4


def test_a_dataset_that_a_person_changed_says_what_to_do_and_that_helps(file, tmp_path):
    """Opened with xarray it carries the version along; opened with jne it does not."""
    with xr.open_dataset(file) as seen:
        seen.load().assign_attrs(licence="mine").to_netcdf(tmp_path / "changed.nc", engine="h5netcdf")
    with pytest.raises(DamagedError, match=r"another program wrote to it\. If you .*`jne\.save_dataset\(xarray"):
        jne.load_dataset(tmp_path / "changed.nc")
    again = jne.save_dataset(xr.load_dataset(tmp_path / "changed.nc"), tmp_path / "again.nc")
    assert again.attrs["licence"] == "mine" and "format_version" not in again.attrs
    again.content.load().to_netcdf(tmp_path / "third.nc", engine="h5netcdf")
    assert jne.load_dataset(tmp_path / "third.nc").attrs["licence"] == "mine"
    with h5py.File(file, "r+") as opened:
        opened.attrs["licence"] = "mine"
    with pytest.raises(DamagedError, match="another program wrote to it"):
        jne.load_dataset(file)


def test_large_files_are_compared_when_that_is_asked_for(file, monkeypatch):
    whole = jne.load_dataset(file).content.sizes
    monkeypatch.setattr("jne._core.digests.COMPARED", 1000)
    with h5py.File(file) as opened:
        place = opened["noise_ceiling"].id.get_offset() if "noise_ceiling" in opened else None
        place = place or opened["responses"].id.get_chunk_info(0).byte_offset
    flip(file, place + 3)
    run = CliRunner().invoke(main, ["validate", "--deep", str(file)])
    assert run.exit_code == 1 and f"{file} is damaged" in run.output
    with open_content(file) as seen:
        assert seen.sizes == whole
    with pytest.raises(DamagedError, match=r"mine\.nc is damaged"):
        open_content(file, deep=True)


def test_large_features_files_are_compared_when_that_is_asked_for(tmp_path, monkeypatch):
    path, values = tmp_path / "clip.h5", np.arange(6, dtype="f4").reshape(3, 2)
    with FeatureWriter(path, np.array(["a", "b", "c"]), {"layer1": 2}, {}) as writer:
        writer.append({"layer1": values})
        writer.finish()
    monkeypatch.setattr("jne._core.digests.COMPARED", 100)
    assert CliRunner().invoke(main, ["validate", "--deep", str(path)]).exit_code == 0
    flip(path, path.read_bytes().index(values.tobytes()) + 5)
    assert CliRunner().invoke(main, ["validate", str(path)]).exit_code == 0
    run = CliRunner().invoke(main, ["validate", "--deep", str(path)])
    assert run.exit_code == 1 and f"{path} is damaged" in run.output


@pytest.mark.parametrize("damage", [lambda path: flip(path, 3000), lambda path: path.write_bytes(b"")])
def test_what_is_kept_and_damaged_is_named_set_aside_and_made_again(tmp_path, damage):
    made = []

    def compute():
        made.append(1)
        return xr.Dataset({"value": ("voxel", np.arange(500.0))})

    path = tmp_path / "result.nc"
    first = kept(path, compute)
    damage(path)
    left = path.read_bytes()
    with pytest.warns(UserWarning, match=r"result\.nc.*set aside as result\.nc\.damaged, and made again"):
        second = kept(path, compute)
    xr.testing.assert_identical(first, second)
    assert len(made) == 2 and (tmp_path / "result.nc.damaged").read_bytes() == left
    xr.testing.assert_identical(first, kept(path, compute))
    assert len(made) == 2


def test_a_file_that_is_open_for_writing_elsewhere_is_said_to_be(file):
    fcntl = pytest.importorskip("fcntl")
    for changed in (False, True):
        with file.open("r+b") as held:
            fcntl.flock(held, fcntl.LOCK_EX)
            if changed:
                held.write(b"x")
                held.flush()
            with pytest.raises(BlockingIOError, match=r"mine\.nc is open for writing in another program .*; wait"):
                jne.load_dataset(file)
