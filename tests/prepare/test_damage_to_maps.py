"""Flips and cuts in work files of `jne prepare nsd` and `things` and in packed maps."""

import gzip
from types import SimpleNamespace

import h5py
import nibabel
import numpy as np
import pytest
from damage import check_damage, plain
from scipy.io import savemat

from jne._core import hdf5_stream
from jne.prepare.brain_files import load_image, read_values
from jne.prepare.nsd.sessions import prepare_session
from jne.prepare.nsd.trials import read_shared
from jne.prepare.things.store import TrialStore
from jne.prepare.work_files import key_of


def write_session(path):
    with hdf5_stream(path) as stream, h5py.File(stream, "w") as file:
        file["betas"] = np.arange(80, dtype="i2").reshape(8, 10)
        file["valid"] = np.ones(10, bool)
        file.attrs["key"] = "0123456789abcdef"


def read_session(path):
    key = key_of(path)
    with h5py.File(path) as file:
        return key, plain([file["betas"][...], file["valid"][...]])


def write_nifti(path):
    rng = np.random.default_rng(0)
    nibabel.Nifti1Image(rng.normal(size=(4, 5, 6)).astype("f4"), np.eye(4)).to_filename(path)


def read_nifti(path):
    image = load_image(path, "betas")
    return plain([read_values(image, path, "betas"), image.affine])


def test_damage_to_a_work_file_is_told_or_changes_nothing(tmp_path):
    check_damage(tmp_path / "session_01.h5", write_session, read_session)


def test_damage_to_packed_maps_is_told_or_changes_nothing(tmp_path):
    check_damage(tmp_path / "betas.nii.gz", write_nifti, read_nifti)


def write_atlas(path):
    """With a name, a time and a system in the head of gzip, none of which is content."""
    values = np.arange(24.0).reshape(2, 3, 4) % 5
    with path.open("wb") as stream, gzip.GzipFile("atlas.nii", "wb", 6, stream, mtime=1.6e9) as packed:
        packed.write(nibabel.Nifti1Image(values, np.diag([2, 2, 2, 1.0])).to_bytes())


def every_flip(path, read, places, bits=range(8)):
    """How many of single flipped bits at some places are told with the file's name; no other changes anything."""
    whole, expected, told = path.read_bytes(), read(path), 0
    for place in places:
        for bit in bits:
            path.write_bytes(whole[:place] + bytes([whole[place] ^ 1 << bit]) + whole[place + 1 :])
            try:
                assert read(path) == expected, (place, bit)
            except ValueError as error:
                assert path.name in str(error), (place, bit)
                told += 1
    path.write_bytes(whole)
    return told


def test_of_a_packed_atlas_only_the_head_of_gzip_may_change_unseen(tmp_path):
    path = tmp_path / "atlas.nii.gz"
    write_atlas(path)
    head, trailer = range(4, 10 + len("atlas.nii")), range(-8, 0)  # time, level, system and name; checksum and size
    assert every_flip(path, read_nifti, head) == 0
    assert every_flip(path, read_nifti, [i % path.stat().st_size for i in trailer]) == 64
    assert every_flip(path, read_nifti, range(head.stop + 1, path.stat().st_size - 8, 7)) > 0


def write_design(path, packed):
    shared = np.array([[3, 900, 4000, 70000]])
    images = np.stack([np.r_[shared[0], 10 + i] for i in range(2)])
    content = {"sharedix": shared.astype("i4"), "subjectim": images.astype("i4"), "text": "one", "of": [[1 + 2j]]}
    savemat(path, content | {"cells": np.array([[np.ones(2), "two"]], object)}, do_compression=packed)


@pytest.mark.parametrize("packed", [True, False])
def test_no_flip_in_the_design_of_nsd_changes_the_shared_images_or_ends_the_process(tmp_path, packed):
    """SciPy reads numbers of types that there are not from anywhere in memory."""
    path = tmp_path / "nsd_expdesign.mat"
    write_design(path, packed)
    # Where something is packed, its checksum is that of everything; else the lowest bits and that of complex numbers.
    places, bits = range(128, path.stat().st_size, 11 if packed else 3), range(8) if packed else (0, 3)
    told = every_flip(path, lambda path: read_shared(path).tolist(), places, bits)
    assert told > 0.6 * len(places) * len(bits)


def test_shared_images_that_a_subject_did_not_see_are_refused(tmp_path):
    path = tmp_path / "nsd_expdesign.mat"
    savemat(path, {"sharedix": [[3, 900]], "subjectim": [[1, 3, 900], [900, 7, 8]]})
    with pytest.raises(ValueError, match=r"sharedix has the image 3, which subjectim does not have for subject 2"):
        read_shared(path)


def test_a_damaged_work_file_is_named_set_aside_and_made_again(tmp_path, monkeypatch):
    betas = np.random.default_rng(0).integers(-300, 300, (12, 5)).astype(np.int16)
    monkeypatch.setattr("jne.prepare.nsd.sessions.read_session", lambda *_: betas)
    (tmp_path / "betas").write_bytes(b"")
    space = SimpleNamespace(shapes=[(1, 1, 5)], points=np.arange(5))
    given = tmp_path, 1, [tmp_path / "betas"], space, np.repeat([1, 2], 6), "run"
    whole = prepare_session(*given).read_bytes()
    path = tmp_path / "session_01.h5"
    path.write_bytes(whole.replace(betas[3].tobytes(), betas[2].tobytes()))
    with pytest.warns(UserWarning, match=r"session_01\.h5 is damaged.*set aside as session_01\.h5\.damaged"):
        prepare_session(*given)
    assert path.read_bytes() == whole and (tmp_path / "session_01.h5.damaged").is_file()


def cut_in_half(whole):
    return whole[: len(whole) // 2]


def with_another_bit(whole):
    return whole[:-500] + bytes([whole[-500] ^ 1]) + whole[-499:]


@pytest.mark.parametrize("damaged", [cut_in_half, with_another_bit])
def test_a_damaged_work_file_of_things_is_named_set_aside_and_made_again(tmp_path, damaged):
    values = np.random.default_rng(0).normal(size=(12, 5)).astype(np.float32)
    (tmp_path / "responses").write_bytes(b"")
    responses = SimpleNamespace(path=tmp_path / "responses", read=lambda rows, columns: values[np.ix_(columns, rows)])
    given = responses, np.array([1, 3, 4]), np.arange(12), None, tmp_path / "out.nc.work"
    store = TrialStore(*given)
    store.start()
    path = store.folder / "voxels_000000.h5"
    whole = path.read_bytes()
    path.write_bytes(damaged(whole))
    with pytest.warns(UserWarning, match=r"voxels_000000\.h5.* damaged.*set aside as voxels_000000\.h5\.damaged"):
        (store := TrialStore(*given)).start()
    np.testing.assert_array_equal(store.read(slice(0, 3)), values[:, [1, 3, 4]])
    assert path.read_bytes() == whole and path.with_name("voxels_000000.h5.damaged").is_file()
