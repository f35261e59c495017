"""What thingsvision writes: names beside features of a layer, in each of its formats; its pickles are not opened."""

import h5py
import numpy as np
import pytest
import torch

from jne.features import read_feature_file

NAMES = ["pictures/dog/dog_12s.jpg", "pictures/cat/cat-03b.JPG", r"C:\pictures\t.v\t-shirt_1.png", "n0144_1.JPEG"]
IDS = ["dog_12s", "cat-03b", "t-shirt_1", "n0144_1"]
X = np.random.default_rng(0).normal(size=(4, 3)).astype("f4")


def names(folder):
    folder.mkdir(exist_ok=True, parents=True)
    (folder / "file_names.txt").write_text("\n".join(NAMES) + "\n")


def whole(folder):
    np.save(folder / "features.npy", X)


def hdf5(folder):
    with h5py.File(folder / "features.hdf5", "w") as file:
        file["features"] = X


def text(folder):
    np.savetxt(folder / "features.txt", X)


def parts(folder):
    for first, last in ((0, 1), (1, 3), (3, 4)):
        np.save(folder / f"features_{first}-{last}.npy", X[first:last])


def numbered(folder):
    for i, part in enumerate((X[:1], X[1:3], X[3:]), 9):
        np.save(folder / f"features_{i}.npy", part)


FORMATS = [whole, hdf5, text, parts, numbered]


@pytest.mark.parametrize("write", FORMATS)
def test_every_format_gives_the_same_features(tmp_path, write):
    names(tmp_path / "clip")
    write(tmp_path / "clip")
    found = read_feature_file(tmp_path / "clip")
    assert found.layers == {"clip": 3} and list(found.stimulus_id) == IDS and found.path == tmp_path / "clip"
    np.testing.assert_allclose(found.features("clip"), X, rtol=1e-6)
    np.testing.assert_allclose(found.features("clip", IDS[::-1]), X[::-1], rtol=1e-6)
    for rows, values in found.blocks("clip", np.array([1, 3])):
        np.testing.assert_allclose(values, X[[1, 3]][rows], rtol=1e-6)
    before = found.sha256()
    write(tmp_path / "clip")
    assert read_feature_file(tmp_path / "clip").sha256() == before
    with pytest.raises(ValueError, match="has no layer 'other'; it has clip"):
        found.features("other")


def test_folders_are_layers_in_their_natural_order(tmp_path):
    """Names beside all of them, or in each."""
    names(tmp_path)
    for layer, write in (("layer10", whole), ("layer9", parts), ("visual.head", hdf5), ("block/2", whole)):
        (tmp_path / layer).mkdir(parents=True)
        write(tmp_path / layer)
    names(tmp_path / "layer9")
    found = read_feature_file(tmp_path)
    assert found.layers == {"block_2": 3, "layer9": 3, "layer10": 3, "visual.head": 3}
    for layer in found.layers:
        np.testing.assert_array_equal(found.features(layer), X)
    (tmp_path / "layer9" / "file_names.txt").write_text("\n".join(NAMES[::-1]))
    with pytest.raises(ValueError, match=r"layer9 names other pictures than that of .*block"):
        read_feature_file(tmp_path)


class Harm:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


@pytest.mark.parametrize("ending", ["pt", "npy"])
def test_pickles_are_not_opened(tmp_path, ending):
    names(tmp_path / "clip")
    file = tmp_path / "clip" / f"features.{ending}"
    if ending == "pt":
        torch.save(Harm(tmp_path / "harm"), file)
    else:
        np.save(file, np.array([Harm(tmp_path / "harm")] * 4, object))
    with pytest.raises(
        ValueError, match=r"\.pt is a pickle.*torch\.load" if ending == "pt" else "damaged or of another"
    ):
        read_feature_file(tmp_path / "clip")
    with pytest.raises(ValueError, match="give its folder"):
        read_feature_file(file)
    assert not (tmp_path / "harm").exists()


def spoil_names(folder):
    (folder / "file_names.txt").write_text("\n".join(NAMES[:3]))


def repeat_a_name(folder):
    (folder / "file_names.txt").write_text("\n".join([*NAMES[:3], "other/dog_12s.png"]))


BAD = {
    "no names": (lambda f: (f / "file_names.txt").unlink(), r"file_names\.txt, which names the pictures in order, is"),
    "fewer names": (spoil_names, r"features of 4 pictures, and file_names\.txt names 3"),
    "a name twice": (repeat_a_name, "dog_12s more than once"),
    "nothing": (lambda f: (f / "features.npy").unlink(), "is a folder without features of thingsvision"),
    "places": (lambda f: np.save(f / "features.npy", np.ones((4, 3, 2, 2))), r"\(4, 3, 2, 2\); needed: .*flatten_acts"),
    "text": (lambda f: np.save(f / "features.npy", np.full((4, 3), "a")), "needed: real numbers"),
    "cut": (lambda f: (f / "features.npy").write_bytes((f / "features.npy").read_bytes()[:-9]), "cannot be read"),
}


@pytest.mark.parametrize("kind", BAD)
def test_what_does_not_belong_together_is_named(tmp_path, kind):
    names(tmp_path / "clip")
    whole(tmp_path / "clip")
    spoil, message = BAD[kind]
    spoil(tmp_path / "clip")
    with pytest.raises(ValueError, match=message):
        read_feature_file(tmp_path / "clip")


def test_a_part_that_is_missing_is_told(tmp_path):
    names(tmp_path)
    parts(tmp_path)
    (tmp_path / "features_1-3.npy").unlink()
    with pytest.raises(ValueError, match=r"do not follow one another .*one may be missing"):
        read_feature_file(tmp_path)


def test_hdf5_of_thingsvision_given_alone_is_told(tmp_path):
    names(tmp_path)
    hdf5(tmp_path)
    with pytest.raises(
        ValueError, match=r"has no array stimulus_id; it has features\. If thingsvision wrote it, give its"
    ):
        read_feature_file(tmp_path / "features.hdf5")
