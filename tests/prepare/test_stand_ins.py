"""What lies where a file should be: every reader says by name that it is a pointer, a page, or empty."""

import gzip
import shutil

import algonauts_tree
import h5py
import nibabel
import numpy as np
import pytest
import things_tree
from map_studies import AFFINE, SHAPE, make_study

import jne
from jne.encoders import load_encoder
from jne.features import ImageFiles, read_feature_file
from jne.prepare import image_categories, prepare_algonauts, prepare_arrays, prepare_nifti, prepare_things
from jne.prepare.drawn_areas import read_drawn
from jne.prepare.labels import read_label_names
from jne.prepare.surface import vertex_labels
from jne.prepare.trials import read_trials

PAGE = b"<!DOCTYPE html>\n<html><head><title>Log in</title></head><body>Please log in</body></html>\n"
KEY = b"annex/objects/SHA256E-s12345--4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393.nii.gz\n"
STAND_INS = {
    "web page": (PAGE, "is a web page: log in"),
    "page behind a mark and a comment": (b"\xef\xbb\xbf<!-- portal -->\r\n  " + PAGE, "is a web page: log in"),
    "page of XHTML": (b'<?xml version="1.0"?>\n<html xmlns="http://www.w3.org/1999/xhtml">', "is a web page"),
    "packed page": (gzip.compress(PAGE), "is a web page: log in"),
    "Git LFS": (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n", "is a Git LFS pointer.*git lfs"),
    "git-annex": (b"/" + KEY, "is a git-annex pointer.*git annex get"),
    "link of git-annex as text": (b"../../.git/" + KEY, "is a git-annex pointer.*git annex get"),
    "no access": (b'<?xml version="1.0"?>\n<Error><Code>AccessDenied</Code></Error>', "is a server's message that"),
    "nothing": (b"", "is empty"),
}


def brain(folder, **files):
    study = make_study(folder)
    mask = np.ones(SHAPE, "u1")
    maps = study.maps(mask.size).T.reshape(*SHAPE, -1)
    nibabel.save(nibabel.Nifti1Image(maps, AFFINE), folder / "maps.nii.gz")
    nibabel.save(nibabel.Nifti1Image(mask, AFFINE), folder / "mask.nii.gz")
    given = {"maps": [folder / "maps.nii.gz"], "mask": folder / "mask.nii.gz"}
    given |= {option: [folder / name] if option == "maps" else folder / name for option, name in files.items()}
    prepare_nifti(study.write_table(), folder / "features.npz", folder / "out.nc", **given)


def of_features(folder):
    (folder / "clip").mkdir(exist_ok=True)
    shutil.move(folder / "features.npy", folder / "clip")
    (folder / "clip/file_names.txt").write_text("a.png\n")
    return read_feature_file(folder / "clip")


def things(name):
    def read(folder):
        tree = things_tree.make_tree(folder / "things")
        features = things_tree.write_features(tree, folder / "features.h5")
        shutil.move(folder / "file", next((folder / "things").rglob(name)))
        prepare_things(folder / "things", 1, features, folder / "out.nc")

    return read


def algonauts(folder):
    tree = algonauts_tree.make_tree(folder / "algonauts")
    features = algonauts_tree.write_features(tree, folder / "features.h5")
    shutil.move(folder / "file", tree.folder / "training_split/training_fmri/lh_training_fmri.npy")
    prepare_algonauts(tree.root, 1, features, folder / "out.nc")


READERS = {
    "dataset.nc": lambda f: jne.load_dataset(f / "dataset.nc"),
    "encoder.safetensors": lambda f: load_encoder(f / "encoder.safetensors"),
    "features.h5": lambda f: read_feature_file(f / "features.h5"),
    "features.npz": lambda f: read_feature_file(f / "features.npz"),
    "features.npy": of_features,
    "maps.nii": lambda f: brain(f, maps="maps.nii"),
    "TYPED.hdf5": lambda f: brain(f, maps="TYPED.hdf5"),
    "TYPED.mat": lambda f: brain(f, maps="TYPED.mat"),
    "maps.dscalar.nii": lambda f: brain(f, maps="maps.dscalar.nii"),
    "mine.mgz": lambda f: brain(f, mask="mine.mgz"),
    "areas.annot": lambda f: vertex_labels(f / "areas.annot", None, 9),
    "areas.gii": lambda f: vertex_labels(f / "areas.gii", None, 9),
    "areas.csv": lambda f: read_label_names(f / "areas.csv"),
    "areas.txt": lambda f: read_label_names(f / "areas.txt"),
    "trials.csv": lambda f: read_trials(f / "trials.csv"),
    "trials.txt": lambda f: read_trials(f / "trials.txt"),
    "lh.streams_fsaverage_space.npy": lambda f: read_drawn(f / "lh.streams_fsaverage_space.npy", 9),
    "images.zip": lambda f: ImageFiles(f / "images.zip"),
    "arrays.npz": lambda f: prepare_arrays(f / "arrays.npz", [("features", "x"), ("responses", "y")], f / "out.nc"),
    "arrays.h5": lambda f: prepare_arrays(f / "arrays.h5", [("features", "x"), ("responses", "y")], f / "out.nc"),
    "instances_val2017.json": lambda f: image_categories(f / "s.csv", [f / "instances_val2017.json"], f / "out.csv"),
}  # fmt: skip


def check(folder, name, read, content, message):
    (folder / name).write_bytes(content)
    if name.endswith(".json"):
        (folder / "s.csv").write_text('cocoId,cocoSplit,cropBox,nsdId\n1,val2017,"(0, 0, 0, 0)",0\n')
    with pytest.raises(ValueError, match=message) as error:
        read(folder)
    assert name in str(error.value) and len(str(error.value)) < 400
    assert not (folder / "out.nc").exists()


USUAL = ["web page", "Git LFS", "nothing"]


@pytest.mark.parametrize(
    ("name", "kind"),
    [(name, kind) for name in READERS for kind in STAND_INS if kind in USUAL or name in ("maps.nii", "trials.txt")],
)
def test_every_reader_says_what_lies_in_place_of_its_file(tmp_path, name, kind):
    check(tmp_path, name, READERS[name], *STAND_INS[kind])


@pytest.mark.parametrize("kind", USUAL)
@pytest.mark.parametrize("name", ["*_StimulusMetadata.csv", "*_VoxelMetadata.csv", "*_ResponseData.h5"])
def test_files_of_things_and_algonauts_go_through_the_same_door(tmp_path, name, kind):
    content, message = STAND_INS[kind]
    (tmp_path / "file").write_bytes(content)
    with pytest.raises(ValueError, match=rf"{name.strip('*')} {message}"):
        things(name)(tmp_path)
    (tmp_path / "file").write_bytes(content)
    with pytest.raises(ValueError, match=rf"lh_training_fmri\.npy {message}"):
        algonauts(tmp_path)


HDF5 = ["features.h5", "TYPED.hdf5", "TYPED.mat", "arrays.h5", "dataset.nc"]


@pytest.mark.parametrize("name", HDF5)
def test_every_hdf5_that_is_written_elsewhere_is_told_to_be_locked(tmp_path, name):
    fcntl = pytest.importorskip("fcntl")
    with h5py.File(tmp_path / name, "w") as file:
        file["x"] = np.ones(3)
    with (tmp_path / name).open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)  # as HDF5 does while it writes
        with pytest.raises(OSError, match=rf"{name} is open for writing in another program \(it is locked\)"):
            READERS[name](tmp_path)
