"""`jne prepare images`: pictures and responses become a dataset file, or a message that says what is wrong."""

import signal
import zipfile
from pathlib import Path

import copies
import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

import jne
import jne.prepare.images
from jne.accuracy import correlation_score, noise_ceiling
from jne.cli import main
from jne.features import ImageFiles, stimulus_ids
from jne.prepare.images import prepare_images
from jne.prepare.splits import split_stimuli

N, UNITS, REPEATS = 20, 3, 4
SHARED = Path(__file__).parents[3] / "shared" / "data" / "v4"


@pytest.fixture
def quick_features(monkeypatch):
    """Mean colour in place of the network, which tests/features/test_extract.py covers."""

    def mean_colour(images, **options):
        return {"head": np.stack([np.asarray(image, np.float32).mean(axis=(0, 1)) for image in images])}

    monkeypatch.setattr("jne.features.extract_features", mean_colour)


@pytest.fixture
def study(tmp_path):
    """Folder with 20 images (in pixels, image 7 equals image 3), responses and repeats with missing ones."""
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, size=(N, 24, 32, 3), dtype=np.uint8)
    pixels[7] = pixels[3]
    (tmp_path / "images").mkdir()
    for i, picture in enumerate(pixels):
        Image.fromarray(picture).save(tmp_path / "images" / f"image{i + 1}.png")
    repeats = rng.normal(size=(N, UNITS, 1)) + 0.5 * rng.normal(size=(N, UNITS, REPEATS))
    repeats[rng.random(N) < 0.5, :, 3] = np.nan
    np.save(tmp_path / "repeats.npy", repeats)
    np.save(tmp_path / "responses.npy", np.nanmean(repeats, axis=2))
    return tmp_path


def prepare(folder, **options):
    given = {"images": "images", "responses": "responses.npy", "out": "out.nc"} | options
    paths = {key: folder / value for key, value in given.items() if key in ("images", "responses", "out", "repeats")}
    return prepare_images(**(given | paths))


def change(folder, name, function):
    array = np.load(folder / name)
    np.save(folder / name, function(array))


def set_value(value, *index):
    def function(array):
        array[index] = value
        return array

    return function


def zip_images(folder):
    path = folder / "images.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for file in sorted((folder / "images").iterdir()):
            archive.write(file, file.name)
    return path


def test_a_reopened_file_holds_what_went_in(study):
    data = prepare(study, repeats="repeats.npy", name="Mine", licence="CC0", source="a test", seed=3)
    again = jne.load_dataset(study / "out.nc")
    responses, repeats = np.load(study / "responses.npy"), np.load(study / "repeats.npy")
    assert data.name == again.name == "Mine"
    assert list(again.get("stimulus_id")) == [f"image{i + 1}" for i in range(N)]
    np.testing.assert_array_equal(again.responses("all"), responses.astype(np.float32))
    expected = jne.extract_features(study / "images")
    assert again.layers == list(expected)
    for layer, values in expected.items():
        np.testing.assert_array_equal(again.features("all", layer), values)
    assert again.features("test").shape == (4, expected[again.default_layer].shape[1])
    assert sum(again.features("test", layer).shape[1] for layer in again.layers) == 4096
    expected_split = split_stimuli([i if i != 7 else 3 for i in range(N)], seed=3)
    np.testing.assert_array_equal(again.get("split"), expected_split)
    trials = repeats.transpose(0, 2, 1).astype(np.float32)
    np.testing.assert_array_equal(again.repeats(), trials[again.stimuli("test")])
    np.testing.assert_allclose(again.get("noise_ceiling"), noise_ceiling(trials), rtol=1e-6)
    assert 0.5 < again.get("noise_ceiling").min()
    attrs = again.attrs
    assert (attrs["licence"], attrs["source"], attrs["seed"], attrs["synthetic"]) == ("CC0", "a test", 3, 0)
    assert attrs["n_duplicate_images"] == 1 and attrs["n_dropped_voxels"] == 0
    assert attrs["responses_sha256"] == jne._core.files.sha256(study / "responses.npy")
    assert attrs["repeats_file"] == "repeats.npy"
    assert attrs["repeats_sha256"] == jne._core.files.sha256(study / "repeats.npy")
    assert attrs["images_sha256"] == ImageFiles(study / "images").sha256
    assert attrs["feature_weights_sha256"].startswith("579344248a93")


def test_thumbnails_show_the_centre_of_each_image(study, quick_features):
    picture = np.zeros((30, 90, 3), np.uint8)
    picture[:, 30:60] = (200, 100, 50)
    Image.fromarray(picture).save(study / "images" / "image2.png")
    thumbnails = prepare(study).get("thumbnail")
    assert thumbnails.shape == (N, 64, 64, 3) and thumbnails.dtype == np.uint8
    assert (thumbnails[1] == (200, 100, 50)).all()
    np.testing.assert_array_equal(thumbnails[3], thumbnails[7])
    assert np.abs(thumbnails[3].astype(int) - thumbnails[4]).max() > 0


def test_zip_and_folder_give_the_same_dataset(study, quick_features):
    folder = prepare(study).content.load()
    zip_images(study)
    zipped = prepare(study, images="images.zip", out="zip.nc").content.load()
    assert folder.equals(zipped)
    assert zipped.attrs["images_sha256"] == jne._core.files.sha256(study / "images.zip")


def test_either_orientation_gives_the_same_dataset(study, quick_features):
    expected = prepare(study, repeats="repeats.npy").content.load()
    change(study, "responses.npy", np.transpose)
    assert prepare(study, repeats="repeats.npy").content.load().equals(expected)
    change(study, "repeats.npy", lambda a: a.transpose(1, 0, 2))
    assert prepare(study, repeats="repeats.npy", units_first=True).content.load().equals(expected)


def test_equal_counts_need_and_follow_the_orientation(study, quick_features):
    repeats = np.random.default_rng(1).normal(size=(N, N, 3))
    square = repeats.mean(axis=2)
    np.save(study / "responses.npy", square)
    np.save(study / "repeats.npy", repeats)
    with pytest.raises(ValueError, match=r"responses\.npy has shape \(20, 20\).*--units-first or --images-first"):
        prepare(study)
    for units_first, expected in ((False, square), (True, square.T)):
        data = prepare(study, units_first=units_first, repeats="repeats.npy")
        np.testing.assert_array_equal(data.responses("all"), expected.astype(np.float32))
        means = data.repeats().mean(axis=1)
        np.testing.assert_allclose(means, data.responses("test"), atol=1e-6)


def test_same_input_same_bytes_and_another_seed_another_split(study, quick_features):
    files = [prepare(study, out=f"{i}.nc", name="same", seed=seed).path for i, seed in enumerate((0, 0, 1))]
    assert files[0].read_bytes() == files[1].read_bytes()
    assert (jne.load_dataset(files[0]).get("split") != jne.load_dataset(files[2]).get("split")).any()


def test_duplicates_stay_in_one_split():
    rng = np.random.default_rng(0)
    identities = [str(i) for i in rng.integers(0, 60, size=200)]
    splits = [split_stimuli(identities, 0.2, 0.1, seed) for seed in range(20)]
    for split in splits:
        assert all(len(set(split[np.array(identities) == i])) == 1 for i in set(identities))
        assert 35 <= (split == "test").sum() <= 40 and 15 <= (split == "validation").sum() <= 20
    assert len({tuple(split) for split in splits}) == 20


def test_duplicate_images_of_a_study_stay_in_one_split(study, quick_features):
    for i in range(1, 10):
        Image.open(study / "images" / "image1.png").save(study / "images" / f"image{i}.png")
    for seed in range(5):
        split = prepare(study, seed=seed).get("split")
        assert len(set(split[:9])) == 1


def test_split_has_the_asked_shares():
    split = split_stimuli([str(i) for i in range(1000)], 0.25, 0.15)
    assert [(split == s).sum() for s in ("train", "validation", "test")] == [600, 150, 250]
    with pytest.raises(ValueError, match=r"8 stimuli \(8 different ones\).*give 2 test stimuli, needed: at least 3"):
        split_stimuli(list("abcdefgh"), 0.2, 0.2)


def test_stimulus_ids_are_unique():
    assert list(stimulus_ids(["a/1.png", "a/2.png"])) == ["1", "2"]
    assert list(stimulus_ids(["a/1.png", "b/1.png"])) == ["a/1", "b/1"]
    assert list(stimulus_ids(["a/1.png", "a/1.jpg"])) == ["a/1.png", "a/1.jpg"]


@pytest.mark.parametrize("bad", ["nan", "inf", "constant", "constant in train"])
def test_bad_units_are_an_error_or_dropped_and_counted(study, quick_features, bad):
    split = prepare(study, out="good.nc").get("split")

    def spoil(array):
        if bad == "constant":
            array[:, 1] = 2.0
        elif bad == "constant in train":
            array[split == "train", 1] = 0
        else:
            array[5, 1] = float(bad)
        return array

    change(study, "responses.npy", spoil)
    with pytest.raises(ValueError, match=r"responses: 1 of 3 units of .*responses\.npy .*first: unit 1"):
        prepare(study)
    assert not (study / "out.nc").exists()
    data = prepare(study, drop_bad_voxels=True, repeats="repeats.npy")
    assert data.n_voxels == 2 and data.attrs["n_dropped_voxels"] == 1 and data.attrs["dropped_voxels"] == "1"
    good = np.load(study / "responses.npy")[:, [0, 2]].astype(np.float32)
    np.testing.assert_array_equal(data.responses("all"), good)
    assert data.repeats().shape[2] == len(data.get("noise_ceiling")) == 2


def truncate(folder, name, size):
    path = folder / name
    path.write_bytes(path.read_bytes()[:size])


def write_pickle(folder):
    np.save(folder / "responses.npy", np.array([[{}] * UNITS] * N, object), allow_pickle=True)


def empty_folder(folder):
    for file in (folder / "images").iterdir():
        file.rename(file.with_suffix(".dat"))


def damage_zip(folder):
    path = zip_images(folder)
    content = bytearray(path.read_bytes())
    content[len(content) // 2 : len(content) // 2 + 60] = bytes(60)
    path.write_bytes(content)


BAD_INPUT = {
    "one image too many": (
        lambda f: Image.new("RGB", (9, 9)).save(f / "images" / "image99.png"),
        {},
        r"responses\.npy has shape \(20, 3\), which means 20 or 3 images, and .*images holds 21 images",
    ),
    "another file left out": (
        lambda f: (f / "images" / "image1.png").rename(f / "images" / "image1.pngg"),
        {},
        r"holds 19 images \(left out: image1\.pngg\)",
    ),
    "wrong orientation": (
        lambda f: None,
        {"units_first": True},
        r"\(20, 3\), which with units first means 3 images, and .*images holds 20",
    ),
    "no folder": (lambda f: None, {"images": "nowhere"}, "there is no folder or zip file .*nowhere"),
    "no images": (empty_folder, {}, "images holds 0 images and 20 other files; an image ends in .bmp"),
    "not an image": (
        lambda f: (f / "images" / "image4.png").write_text("hello"),
        {},
        r"images: 1 of 20 cannot be used:\n- .*image4\.png cannot be decoded",
    ),
    "empty image": (lambda f: truncate(f, "images/image4.png", 0), {}, r"1 of 20 cannot be used:\n- .*image4\.png"),
    "truncated images": (
        lambda f: [truncate(f, f"images/image{i}.png", 300) for i in (4, 9)],
        {},
        r"2 of 20 cannot be used:\n- .*image4\.png cannot be decoded.*image9\.png",
    ),
    "transparent image": (
        lambda f: Image.new("RGBA", (9, 9)).save(f / "images" / "image4.png"),
        {},
        r"image4\.png has transparent pixels",
    ),
    "16 bits": (
        lambda f: Image.new("I;16", (9, 9)).save(f / "images" / "image4.png"),
        {},
        r"image4\.png has more than 8 bits",
    ),
    "truncated zip": (
        lambda f: truncate(f, zip_images(f).name, 9000),
        {"images": "images.zip"},
        r"images\.zip \(9000 bytes\) is not a folder, and as a zip it is truncated",
    ),
    "damaged zip": (damage_zip, {"images": "images.zip"}, r"images\.zip: image\d+\.png cannot be unpacked"),
    "zip that is none": (
        lambda f: (f / "images.zip").write_text("hello"),
        {"images": "images.zip"},
        r"images\.zip \(5 bytes\)",
    ),
    "no responses": (lambda f: None, {"responses": "none.npy"}, r"responses: there is no file .*none\.npy"),
    "responses not an npy": (
        lambda f: (f / "responses.npy").write_text("1, 2, 3"),
        {},
        r"responses: .*responses\.npy \(7 bytes\) is not a whole \.npy file",
    ),
    "pickled responses": (write_pickle, {}, r"responses\.npy .*is not a whole \.npy file of numbers: .*bject"),
    "truncated responses": (lambda f: truncate(f, "responses.npy", 400), {}, r"responses\.npy \(400 bytes\)"),
    "empty responses": (lambda f: truncate(f, "responses.npy", 0), {}, r"responses\.npy is empty"),
    "one axis": (
        lambda f: change(f, "responses.npy", np.ravel),
        {},
        r"responses\.npy has shape \(60,\), 1 dimensions; needed: 2 \(images, units\)",
    ),
    "no units": (lambda f: change(f, "responses.npy", lambda a: a[:, :0]), {}, r"has shape \(20, 0\)"),
    "text": (lambda f: change(f, "responses.npy", lambda a: a.astype(str)), {}, "has type <U.*needed: real numbers"),
    "complex": (lambda f: change(f, "responses.npy", lambda a: a + 1j), {}, "has type complex128"),
    "nan": (
        lambda f: change(f, "responses.npy", set_value(np.nan, 2, 1)),
        {},
        r"1 of 3 units of .*responses\.npy hold non-finite values \(first: unit 1\).*--drop-bad-voxels",
    ),
    "too large for float32": (
        lambda f: change(f, "responses.npy", set_value(1e300, 2, 1)),
        {},
        "1 of 3 units .*hold non-finite values",
    ),
    "constant": (
        lambda f: change(f, "responses.npy", set_value(1, slice(None), 2)),
        {},
        r"1 of 3 units of .*responses\.npy are constant \(first: unit 2\)",
    ),
    "all constant": (
        lambda f: change(f, "responses.npy", np.zeros_like),
        {"drop_bad_voxels": True},
        r"all 3 units of .*responses\.npy are constant or not finite: nothing is left",
    ),
    "other repeats": (
        lambda f: change(f, "repeats.npy", lambda a: a[:-1]),
        {"repeats": "repeats.npy"},
        r"repeats\.npy has shape \(19, 3, 4\), and .*has 3 units and 20 images; needed: \(3, 20, n_repeats\)",
    ),
    "repeats first": (
        lambda f: change(f, "repeats.npy", lambda a: a.transpose(2, 0, 1)),
        {"repeats": "repeats.npy"},
        r"repeats\.npy has shape \(4, 20, 3\)",
    ),
    "flat repeats": (lambda f: None, {"repeats": "responses.npy"}, r"repeats: .* 2 dimensions; needed: 3"),
    "infinite repeats": (
        lambda f: change(f, "repeats.npy", set_value(np.inf, 0, 0, 0)),
        {"repeats": "repeats.npy"},
        r"repeats\.npy holds 1 infinite values of 240",
    ),
    "single repeats": (
        lambda f: change(f, "repeats.npy", lambda a: a[..., :1]),
        {"repeats": "repeats.npy"},
        "holds at most 1 repeats of an image .*needed: 2",
    ),
    "repeats in another order": (
        lambda f: change(f, "repeats.npy", lambda a: np.roll(a, 7, axis=0)),
        {"repeats": "repeats.npy"},
        r"repeats\.npy over repeats correlate with .*responses\.npy at a median of r = -?0\.\d\d over 3 units",
    ),
    "out is a folder": (lambda f: None, {"out": "images"}, "out: .*images is a folder"),
    "out has another ending": (lambda f: None, {"out": "out.h5"}, r"out\.h5 ends in '\.h5'"),
    "out below a file": (lambda f: None, {"out": "responses.npy/out.nc"}, r"because .*responses\.npy is a file"),
    "no test images": (lambda f: None, {"test_fraction": 0.0}, "test_fraction=0.0"),
    "nothing to train on": (lambda f: None, {"test_fraction": 0.6, "validation_fraction": 0.4}, "sum below 1"),
    "too few test images": (lambda f: None, {"test_fraction": 0.1}, "give 2 test stimuli, needed: at least 3"),
}


@pytest.mark.parametrize("case", BAD_INPUT)
def test_bad_input_is_named_and_nothing_is_written(study, case, monkeypatch):
    spoil, options, message = BAD_INPUT[case]
    spoil(study)
    before = sorted(study.rglob("*"))
    monkeypatch.setattr("jne.features.extract_features", lambda *a, **k: pytest.fail("features were extracted"))
    with pytest.raises(ValueError, match=f"(?s){message}"):
        prepare(study, **options)
    assert sorted(study.rglob("*")) == before


def run(folder, *arguments):
    paths = ["--images", folder / "images", "--responses", folder / "responses.npy", "--out", folder / "out.nc"]
    return CliRunner().invoke(main, ["prepare", "images", *map(str, paths), *map(str, arguments)])


def test_command_writes_the_dataset_of_the_function(study, quick_features):
    expected = prepare(study, repeats="repeats.npy", out="function.nc", name="Mine", seed=2).content.load()
    result = run(study, "--repeats", study / "repeats.npy", "--name", "Mine", "--seed", 2, "--images-first")
    assert result.exit_code == 0, result.output
    assert f"jne book --data {study / 'out.nc'}" in result.output and "Mine" in result.output
    assert jne.load_dataset(study / "out.nc").content.load().identical(expected)


def test_command_reports_bad_input_in_one_message(study, quick_features):
    change(study, "responses.npy", set_value(np.nan, 0, 0))
    result = run(study)
    assert result.exit_code == 1
    assert result.output.startswith("Error: responses: 1 of 3 units") and "Traceback" not in result.output
    result = run(study, "--drop-bad-voxels")
    assert result.exit_code == 0 and "Left out: 1 voxels" in result.output


def test_help_teaches_with_an_example():
    output = CliRunner().invoke(main, ["prepare", "images", "--help"]).output
    assert "jne prepare images --images pictures.zip" in output and "--units-first / --images-first" in output
    assert "NaN" in output and "--seed" in output and "FILE.nc" in output


def test_a_killed_run_leaves_no_file_and_the_next_one_succeeds(study):
    code = (
        "import os, signal, jne.datasets.dataset as d\n"
        "import jne._core.files as f\n"
        "def killed(self, path, **options):\n"
        "    path.write(b'half')\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
        "import xarray; xarray.Dataset.to_netcdf = killed\n"
        "import numpy as np, jne.features\n"
        "jne.features.extract_features = lambda images, **k: {'head': np.random.rand(len(images), 4)}\n"
        "from jne.prepare.images import prepare_images\n"
        f"prepare_images({str(study / 'images')!r}, {str(study / 'responses.npy')!r}, {str(study / 'out.nc')!r})\n"
    )
    assert copies.run(code) == -signal.SIGKILL
    assert not (study / "out.nc").exists() and list(study.glob(".out.nc*.part"))
    assert prepare(study).n_stimuli == N
    assert not list(study.glob(".*.part"))


recordings = pytest.mark.skipif(not SHARED.is_dir(), reason="no recordings")


@pytest.fixture(scope="module")
def v4(tmp_path_factory):
    """Of small images, which predict the responses as well and are through the network in a seventh of the time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("jne.features.efficientnet.IMAGE_SIZE", 80)
        return prepare_images(
            SHARED / "images_210325.zip",
            SHARED / "responses_210325.npy",
            tmp_path_factory.mktemp("v4") / "v4.nc",
            repeats=SHARED / "responses_raw_210325.npy",
            units_first=True,
            default_layer="block10",
        )


@recordings
@pytest.mark.shared
@pytest.mark.slow
def test_recordings_keep_their_shapes_and_units(v4):
    assert (v4.n_stimuli, v4.n_voxels) == (640, 50)
    assert v4.get("stimulus_id")[9] == "image0010"
    recorded = np.load(SHARED / "responses_210325.npy").T.astype(np.float32)
    np.testing.assert_array_equal(v4.responses("all"), recorded)
    np.testing.assert_allclose(np.nanmean(v4.repeats(), axis=1), v4.responses("test"), rtol=1e-5, atol=1e-5)


@recordings
@pytest.mark.shared
@pytest.mark.slow
def test_noise_ceiling_of_recordings_is_their_split_half_reliability(v4):
    assert np.median(v4.get("noise_ceiling")) == pytest.approx(0.76, abs=0.02)


@recordings
@pytest.mark.shared
def test_noise_ceiling_of_each_unit_is_its_split_half_reliability():
    """Correlation of the means of two random halves of the repeats, corrected for the halving by Spearman and Brown."""
    trials = np.load(SHARED / "responses_raw_210325.npy").transpose(1, 2, 0)
    rng, reliability = np.random.default_rng(0), []
    for _ in range(20):
        halves = np.empty((2, len(trials), trials.shape[2]))
        for i, shown in enumerate(np.isfinite(trials[..., 0])):
            order = rng.permutation(np.flatnonzero(shown))
            half = len(order) // 2
            halves[:, i] = trials[i, order[:half]].mean(axis=0), trials[i, order[half : 2 * half]].mean(axis=0)
        r = correlation_score(*halves)
        reliability.append(2 * r / (1 + r))
    difference = noise_ceiling(trials) - np.mean(reliability, axis=0)
    # An odd count leaves one repeat out of the halves, so the split-half value is a little lower.
    assert -0.01 < difference.min() and difference.max() < 0.04
    assert np.median(reliability) == pytest.approx(0.76, abs=0.02)


@recordings
@pytest.mark.shared
@pytest.mark.slow
def test_a_ridge_predicts_held_out_recordings_and_not_shuffled_ones(v4):
    X, X_validation, X_test = (v4.features(split) for split in ("train", "validation", "test"))
    Y, Y_validation, Y_test = (v4.responses(split) for split in ("train", "validation", "test"))
    rng = np.random.default_rng(0)
    medians = []
    for shuffle in (lambda array: array, rng.permutation):
        encoder = jne.RidgeEncoder().fit(X, shuffle(Y), X_validation, shuffle(Y_validation))
        medians.append(np.median(correlation_score(Y_test, encoder.predict(X_test))))
    assert medians[0] > 0.5 and abs(medians[1]) < 0.15


@pytest.fixture
def two_layers(monkeypatch):
    """Layers of which the second is the mean colour, in place of the network's."""

    def features(images, **options):
        colour = np.stack([np.asarray(image, np.float32).mean(axis=(0, 1)) for image in images])
        return {"block0": np.random.default_rng(1).normal(size=colour.shape).astype("f4"), "head": colour}

    monkeypatch.setattr("jne.features.extract_features", features)


def test_the_default_layer_is_that_which_predicts_best_and_is_said(study, two_layers):
    colour = np.stack([np.asarray(image, float).mean(axis=(0, 1)) for image in ImageFiles(study / "images")])
    np.save(study / "responses.npy", colour)
    arguments = ["prepare", "images", "--images", str(study / "images"), "--responses", str(study / "responses.npy")]
    arguments += ["--validation-fraction", "0.2", "--out", str(study / "out.nc")]
    output = CliRunner().invoke(main, arguments).output
    data = jne.load_dataset(study / "out.nc")
    assert data.default_layer == "head" and data.attrs["default_layer_choice"].startswith("highest mean validation R²")
    assert "Default layer: head, from which a linear encoder predicts the validation images best (mean R² " in output
    CliRunner().invoke(main, [*arguments, "--default-layer", "block0"])
    assert jne.load_dataset(study / "out.nc").default_layer == "block0"
    output = CliRunner().invoke(main, [*arguments, "--default-layer", "all"]).output
    data = jne.load_dataset(study / "out.nc")
    assert data.default_layer is None and data.features().shape == (N, 6) and "Default layer" not in output
    output = CliRunner().invoke(main, [*arguments, "--default-layer", "last"]).output
    assert "default_layer='last'; accepted: block0, block2, " in output and "head, or all" in output


def test_without_validation_images_that_differ_no_layer_is_chosen(study, two_layers):
    lines = []
    data = prepare(study, validation_fraction=0.05, report=lines.append)  # one image
    assert data.default_layer is None and lines[0].startswith("Default layer: none, since no unit varies")
