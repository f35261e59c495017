"""`jne prepare arrays`: the ceiling of the test stimuli, labels of every type, and places that do not exist."""

from pathlib import Path

import h5py
import numpy as np
import pytest
from click.testing import CliRunner

import jne
from jne.accuracy import noise_ceiling
from jne.cli import main
from jne.prepare import parse_map, prepare_arrays
from jne.prepare.array_files import check_belong

N, N_TEST, N_VOXELS = 400, 200, 40
SPLIT = np.repeat(["train", "validation", "test"], [N - N_TEST - 40, 40, N_TEST])


def planted(signal_of_test=1.0, seed=0):
    """Signal and noise of variance 1; test stimuli shown three times, all others once: the ceiling is 3 / 4."""
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(N, N_VOXELS))
    scale = np.where(SPLIT == "test", signal_of_test, 1)[:, None, None]
    repeats = features[:, None] * scale + rng.normal(size=(N, 3, N_VOXELS))
    repeats[SPLIT != "test", 1:] = np.nan
    return features, repeats


def write(folder, ending=".npz", **arrays):
    features, repeats = planted()
    arrays = {"clip": features, "y": np.nanmean(repeats, axis=1), "split": SPLIT, **arrays}
    path = folder / f"study{ending}"
    if ending == ".npz":
        np.savez(path, **arrays)
    else:
        with h5py.File(path, "w") as file:
            for name, values in arrays.items():
                file[name] = values.astype("S") if values.dtype.kind == "U" else values
    return path


def prepare(folder, ending=".npz", mapping="split=split", **arrays):
    path = write(folder, ending, **arrays)
    return prepare_arrays(path, parse_map(f"features=clip,responses=y,{mapping}"), folder / "out.nc")


def test_the_noise_ceiling_is_that_of_the_test_stimuli(tmp_path):
    """Over all stimuli, of which most were shown once, it would be that of a single presentation: about a half."""
    repeats = planted()[1]
    data = prepare(tmp_path, mapping="split=split,repeats=r", r=repeats)
    assert np.median(data.get("noise_ceiling")) == pytest.approx(0.75, abs=0.02)
    np.testing.assert_array_equal(data.repeats(), repeats[SPLIT == "test"].astype(np.float32))
    alone = prepare(tmp_path, mapping="split=split,repeats=r", r=repeats[SPLIT == "test"])
    np.testing.assert_array_equal(alone.get("noise_ceiling"), data.get("noise_ceiling"))
    np.testing.assert_array_equal(alone.repeats(), data.repeats())


def test_the_ceiling_follows_the_signal_of_the_test_stimuli(tmp_path):
    """Twice the signal in the test stimuli: 4 / (4 + 1 / 3)."""
    repeats = planted(signal_of_test=2.0)[1]
    data = prepare(tmp_path, mapping="split=split,repeats=r", y=np.nanmean(repeats, axis=1), r=repeats)
    assert np.median(data.get("noise_ceiling")) == pytest.approx(4 / (4 + 1 / 3), abs=0.02)


def test_units_that_are_left_out_take_nothing_of_others_with_them(tmp_path):
    features, repeats = planted()
    y, kept = np.nanmean(repeats, axis=1), np.arange(N_VOXELS) != 3
    y[5, 3] = np.nan
    ceiling = np.linspace(-0.2, 0.9, N_VOXELS)
    arrays = {"clip": features, "y": y, "split": SPLIT, "r": repeats, "c": ceiling}
    np.savez(tmp_path / "study.npz", **arrays)
    mapping = "features=clip,responses=y,split=split,repeats=r"
    without, given = (
        prepare_arrays(tmp_path / "study.npz", parse_map(text), tmp_path / "out.nc", drop_bad_voxels=True)
        for text in (mapping, f"{mapping},noise_ceiling=c")
    )
    np.testing.assert_array_equal(without.repeats(), repeats[SPLIT == "test"][..., kept].astype(np.float32))
    expected = noise_ceiling(repeats[SPLIT == "test"][..., kept])
    np.testing.assert_allclose(without.get("noise_ceiling"), expected, rtol=1e-5)
    # What split halves put below zero is nothing.
    np.testing.assert_allclose(given.get("noise_ceiling"), ceiling[kept].clip(0), rtol=1e-6)


@pytest.mark.parametrize("units_first", [False, True])
def test_as_many_units_as_stimuli_are_oriented_as_they_are_said_to_be(tmp_path, units_first):
    y = np.random.default_rng(0).normal(size=(N, N))
    path = write(tmp_path, y=y)
    mapping = parse_map("features=clip,responses=y,split=split")
    data = prepare_arrays(path, mapping, tmp_path / "out.nc", units_first=units_first)
    expected = (y.T if units_first else y)[SPLIT == "test"]
    np.testing.assert_allclose(data.responses("test"), expected, rtol=1e-6)


def test_with_folds_every_stimulus_is_tested_and_counts(tmp_path):
    repeats, fold = planted()[1], np.arange(N) % 5
    data = prepare(tmp_path, mapping="fold=fold,repeats=r", r=repeats, fold=fold)
    # Half of the stimuli three times, half once: the mean of 1 / n is 2 / 3.
    assert np.median(data.get("noise_ceiling")) == pytest.approx(1 / (1 + 2 / 3), abs=0.02)


@pytest.mark.parametrize("axis", [0, 2], ids=["stimuli", "voxels"])
@pytest.mark.parametrize("mapping", ["split=split,repeats=r", "fold=fold,repeats=r"])
def test_repeats_in_another_order_are_refused(tmp_path, axis, mapping):
    order = np.random.default_rng(0).permutation(planted()[1].shape[axis])
    repeats = np.take(planted()[1], order, axis)
    with pytest.raises(ValueError, match=r"repeats: the means of .* at a median of r = .*another order"):
        prepare(tmp_path, mapping=mapping, r=repeats, fold=np.arange(N) % 5)


def test_repeats_that_some_stimuli_lack_are_no_zeros_and_no_ones():
    """Means are over those that are there, whatever the size of responses."""
    rng = np.random.default_rng(0)
    trials = 1e-3 * (rng.normal(size=(200, 1, 3)) + 0.1 * rng.normal(size=(200, 4, 3)))
    trials[np.arange(4) > rng.integers(0, 4, size=200)[:, None]] = np.nan
    check_belong(trials, np.nanmean(trials, axis=1), Path("r.npy"), "y.npy")
    with pytest.raises(ValueError, match=r"r\.npy over repeats correlate with y\.npy at a median of r = -?0\.\d\d"):
        check_belong(trials, np.nanmean(trials, axis=1)[::-1], Path("r.npy"), "y.npy")


def test_repeats_of_some_stimuli_need_a_split_that_says_which(tmp_path):
    repeats = planted()[1][SPLIT == "test"]
    with pytest.raises(ValueError, match=r"repeats: .* has 200 along the stimulus axis; .*all 400 .*map a split"):
        prepare(tmp_path, mapping="repeats=r", r=repeats)
    with pytest.raises(ValueError, match=r"repeats: .* has 199 along .*all 400 stimuli, or of the 200 test stimuli"):
        prepare(tmp_path, mapping="split=split,repeats=r", r=repeats[1:])
    with pytest.raises(ValueError, match=r"repeats: .* has 39 along the voxel axis"):
        prepare(tmp_path, mapping="split=split,repeats=r", r=repeats[..., 1:])


def test_test_stimuli_that_were_shown_once_have_no_ceiling(tmp_path):
    repeats = planted()[1][:, :1]
    data = prepare(tmp_path, mapping="split=split,repeats=r", r=repeats)
    assert data.get("noise_ceiling") is None and data.repeats() is None


NUMBERS = np.arange(N_VOXELS) % 3
LABELS = {
    "doubles": (NUMBERS.astype(float), ["0", "1", "2"]),
    "doubles with gaps": (np.where(NUMBERS == 0, np.nan, NUMBERS), ["", "1", "2"]),
    "float32": (NUMBERS.astype(np.float32) + 17, ["17", "18", "19"]),
    "integers with -1": (NUMBERS - 1, ["", "0", "1"]),
    "text for nothing": (np.array(["nan", "V1", "Background+FreeSurfer_Defined_Medial_Wall"])[NUMBERS], ["", "V1", ""]),
}


@pytest.mark.parametrize("ending", [".npz", ".h5"])
@pytest.mark.parametrize("kind", LABELS)
def test_labels_are_whole_numbers_names_or_none(tmp_path, kind, ending):
    values, names = LABELS[kind]
    data = prepare(tmp_path, ending, mapping="split=split,roi=area", area=values)
    assert list(data.get("roi")) == list(np.array(names)[NUMBERS])


def test_doubles_count_into_the_names_of_areas(tmp_path):
    index = np.where(NUMBERS == 2, np.nan, NUMBERS)
    data = prepare(tmp_path, mapping="split=split,roi=i,roi_names=n", i=index, n=np.array(["V1", "V2"]))
    assert list(data.get("roi")) == list(np.array(["V1", "V2", ""])[NUMBERS])


def test_text_of_hdf5_may_have_any_letters(tmp_path):
    data = prepare(tmp_path, ".h5", "split=split,roi=i,roi_names=n", i=NUMBERS, n=np.char.encode(["視覚野", "Ä", "V1"]))
    assert list(data.get("roi")[:3]) == ["視覚野", "Ä", "V1"]


BAD_LABELS = {
    "fractions": ("roi", np.full(N_VOXELS, 1.5), "roi: .*numbers that are not whole"),
    "infinite": ("roi", np.full(N_VOXELS, np.inf), "roi: .*numbers that are not whole"),
    "truth values": ("roi", np.ones(N_VOXELS, bool), "roi: .*type bool"),
    "complex numbers": ("roi", np.ones(N_VOXELS, complex), "roi: .*type complex128"),
    "an id that is NaN": ("stimulus_id", np.append(np.arange(N - 1.0), np.nan), "stimulus_id: .*1 NaN"),
    "L and R": (
        "hemisphere",
        np.array(["L", "R"])[NUMBERS % 2],
        "hemisphere has the values .*'L'.*; accepted are left",
    ),
    "lh and rh": ("hemisphere", np.array(["lh", "rh"])[NUMBERS % 2], "hemisphere has the values .*'lh'"),
    "hemispheres as numbers": ("hemisphere", NUMBERS % 2, "hemisphere has the values .*'0'"),
    "a fold that is NaN": ("fold", np.append(np.arange(N - 1.0) % 5, np.nan), "fold has 1 values that name no fold"),
    "half a fold": ("fold", np.arange(N) / 2, "fold has 200 values that name no fold"),
    "floats as pictures": ("thumbnail", np.zeros((N, 4, 4, 3)), r"thumbnail has shape .*float64; needed: .*uint8"),
    "colours first": ("thumbnail", np.zeros((N, 3, 4, 4), np.uint8), r"thumbnail has shape \(400, 3, 4, 4\)"),
}


@pytest.mark.parametrize("kind", BAD_LABELS)
def test_labels_that_mean_nothing_are_refused(tmp_path, kind):
    role, values, message = BAD_LABELS[kind]
    with pytest.raises(ValueError, match=message):
        prepare(tmp_path, mapping=f"split=split,{role}=a", a=values)
    assert not (tmp_path / "out.nc").exists()


@pytest.mark.parametrize("kind", ["object references", "region references", "a table"])
def test_references_of_hdf5_are_refused(tmp_path, kind):
    """As cell arrays and tables of MATLAB's version 7.3 are stored."""
    path = write(tmp_path, ".h5")
    with h5py.File(path, "a") as file:
        file["name"] = np.arange(3)
        if kind == "a table":
            file["area"] = np.zeros(N_VOXELS, [("a", "f4"), ("b", "i4")])
        else:
            dtype = h5py.ref_dtype if kind == "object references" else h5py.regionref_dtype
            area = file.create_dataset("area", (N_VOXELS,), dtype=dtype)
            for i in range(N_VOXELS):
                area[i] = file["name"].ref if kind == "object references" else file["name"].regionref[:2]
    with pytest.raises(ValueError, match=r"map: the array 'area' of .*study\.h5 holds references or objects"):
        prepare_arrays(path, parse_map("features=clip,responses=y,split=split,roi=area"), tmp_path / "out.nc")


LEFT = np.repeat(["left", "right"], N_VOXELS // 2)
PLACE = np.tile(np.arange(N_VOXELS // 2), 2)
BAD_VERTICES = {
    "from 1": (PLACE + 1, "vertex of the left hemisphere is every number from 1 to 20: subtract 1"),
    "from 1, to the last": (PLACE + 32473, "vertex runs from 32473 to 32492, and fsLR-32k has the indices 0 to 32491"),
    "negative": (PLACE - 1, "vertex runs from -1 to 18"),
    "halves": (PLACE + 0.5, r"vertex has type float64 and 40 values that are not whole numbers \(first: 0.5\)"),
    "NaN": (np.append(PLACE[:-1].astype(float), np.nan), r"vertex has type float64 and 1 values .*\(first: nan\)"),
    "twice": (np.minimum(PLACE, 17), "vertex of the left hemisphere has 2 vertices more than once"),
}


@pytest.mark.parametrize("mesh", ["fsLR-32k", None])
@pytest.mark.parametrize("kind", BAD_VERTICES)
def test_vertices_that_no_mesh_has_are_refused(tmp_path, kind, mesh):
    vertex, message = BAD_VERTICES[kind]
    path = write(tmp_path, v=vertex, h=LEFT)
    mapping = parse_map("features=clip,responses=y,split=split,vertex=v,hemisphere=h")
    with pytest.raises(ValueError, match=message):
        prepare_arrays(path, mapping, tmp_path / "out.nc", mesh=mesh)


def test_vertices_as_doubles_and_pictures_as_integers_are_what_they_say(tmp_path):
    pictures = np.random.default_rng(0).integers(0, 256, (N, 4, 4, 3))
    path = write(tmp_path, v=PLACE.astype(float), h=LEFT, p=pictures, f=np.arange(N) % 5 + 1.0)
    mapping = "features=clip,responses=y,split=split,vertex=v,hemisphere=h,thumbnail=p,fold=f"
    data = prepare_arrays(path, parse_map(mapping), tmp_path / "out.nc", mesh="fsaverage5")
    assert data.get("vertex").dtype.kind == "i" and list(data.get("vertex")) == list(PLACE)
    assert data.get("thumbnail").dtype == np.uint8 and (data.get("thumbnail") == pictures).all()
    assert data.folds.dtype.kind == "i"


def test_vertices_need_hemispheres_and_a_mesh_that_has_them(tmp_path):
    path = write(tmp_path, v=PLACE + 40_000, h=LEFT)
    with pytest.raises(ValueError, match="attribute mesh is not given, which means fsLR-32k"):
        prepare_arrays(
            path, parse_map("features=clip,responses=y,split=split,vertex=v,hemisphere=h"), tmp_path / "out.nc"
        )
    with pytest.raises(ValueError, match="vertex without hemisphere"):
        prepare_arrays(path, parse_map("features=clip,responses=y,split=split,vertex=v"), tmp_path / "out.nc")


def test_the_command_takes_repeats_of_the_test_stimuli(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = write(tmp_path, r=planted()[1][SPLIT == "test"])
    mapping = "features=clip,responses=y,split=split,repeats=r"
    result = CliRunner().invoke(main, ["prepare", "arrays", "--input", str(path), "--map", mapping, "--out", "out.nc"])
    assert result.exit_code == 0, result.output
    assert jne.load_dataset("out.nc").repeats().shape == (N_TEST, 3, N_VOXELS)


MORE = np.random.default_rng(9).normal(size=(30, N_VOXELS))


def test_features_of_stimuli_without_responses_are_kept(tmp_path):
    more, clip = MORE.copy(), planted()[0]
    more[4], more[5], more[6, 0] = clip[-1], clip[0], np.inf  # of a test stimulus, of a training stimulus, not finite
    data = prepare(tmp_path, mapping="split=split,further=more", more=more)
    kept = np.delete(np.arange(30), [4, 6])
    np.testing.assert_array_equal(data.further(), more[kept].astype(np.float32))
    assert list(data.get("further_stimulus_id")) == [f"further{i:05d}" for i in kept] and data.layers == ["clip"]
    assert data.attrs["n_further"] == 28


def test_further_stimuli_have_ids_layers_and_a_limit(tmp_path):
    ids, names = np.array([f"p{i}" for i in range(N)]), np.array([f"p{i}" for i in range(N - 2, N + 28)])
    mapping = "split=split,stimulus_id=id,features=half,further=more,further=less,further_stimulus_id=names"
    arrays = {"id": ids, "half": planted()[0][:, :3], "more": MORE, "less": MORE[:, :3] + 1, "names": names}
    data = prepare(tmp_path, ".h5", mapping, **arrays)
    assert list(data.get("further_stimulus_id")) == list(names[2:])  # two have responses
    np.testing.assert_array_equal(data.further("half"), arrays["less"][2:].astype(np.float32))
    np.testing.assert_array_equal(data.further("clip"), MORE[2:].astype(np.float32))
    path, mapping = write(tmp_path, **arrays), parse_map(f"features=clip,responses=y,{mapping}")
    few = prepare_arrays(path, mapping, tmp_path / "few.nc", further=5)
    # The draw of a seed stays as it is, so that a file can be made again.
    drawn = np.sort(np.random.default_rng([0, 1]).permutation(np.arange(2, 30))[:5])
    assert list(few.get("further_stimulus_id")) == list(names[drawn])
    assert few.n_further == 5 and set(few.get("further_stimulus_id")) < set(names[2:])
    assert prepare_arrays(path, mapping, tmp_path / "few.nc", further=0).further() is None
    # Twenty for each of 40 features.
    many = np.random.default_rng(3).normal(size=(900, N_VOXELS))
    assert prepare(tmp_path, mapping="split=split,further=more", more=many).n_further == 800


@pytest.mark.parametrize(
    ("mapping", "arrays", "message"),
    [
        ("further_stimulus_id=names", {"names": np.arange(30)}, "further_stimulus_id without further"),
        ("further=more", {"more": MORE[:, :3]}, r"shapes \[\(30, 3\)\]; needed: one for each .*\[\(30, 40\)\]"),
        ("further=more,further=more", {"more": MORE}, "needed: one for each of features"),
        ("further=more,further_stimulus_id=names", {"more": MORE, "names": np.arange(3)}, "further_stimulus_id has"),
        ("further=more,further_stimulus_id=names", {"more": MORE, "names": np.arange(30) // 2}, "ids come more than"),
    ],
)
def test_bad_further_stimuli_are_named(tmp_path, mapping, arrays, message):
    with pytest.raises(ValueError, match=message):
        prepare(tmp_path, mapping=f"split=split,{mapping}", **arrays)
