"""`jne features`: vision transformers, the features file, and a run that goes on after a kill."""

import contextlib
import hashlib
import itertools
import json
import os
import shutil
import signal
import subprocess
import sys
import unicodedata
import zipfile

import h5py
import numpy as np
import pytest
import torch
from click.testing import CliRunner
from PIL import Image
from safetensors.torch import load_file

import jne
from jne.cli import main
from jne.features.extract import extract_features, write_features
from jne.features.feature_file import read_feature_file
from jne.features.feature_writer import FeatureWriter, part_path
from jne.features.image_sets import open_images, read_ids
from jne.features.vision_transformers import TransformersBackbone

transformers = pytest.importorskip("transformers", reason="needs pip install -e '.[clip]'")

SIDE, BLOCKS, WIDTH = 32, 3, 24
TOWER = {
    "hidden_size": WIDTH,
    "intermediate_size": 32,
    "num_hidden_layers": BLOCKS,
    "num_attention_heads": 2,
    "image_size": SIDE,
    "patch_size": 8,
}


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """Tiny random models, saved as the hub keeps them: CLIP with both towers, ViT with a classifier, a ConvNeXt."""
    folder = tmp_path_factory.mktemp("models")
    torch.manual_seed(0)
    text = {"hidden_size": 8, "intermediate_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1, "vocab_size": 9}
    clip = transformers.CLIPConfig(vision_config=TOWER, text_config=text)
    vit = transformers.ViTConfig(**TOWER, initializer_range=0.3)
    convnext = transformers.ConvNextConfig(hidden_sizes=[4, 8, 12, 16], depths=[1, 1, 1, 1])
    square = {"height": SIDE, "width": SIDE}
    for name, model, processor in (
        (
            "clip",
            transformers.CLIPModel(clip),
            transformers.CLIPImageProcessorPil(size={"shortest_edge": SIDE}, crop_size=square),
        ),
        ("vit", transformers.ViTForImageClassification(vit), transformers.ViTImageProcessorPil(size=square)),
        (
            "convnext",
            transformers.ConvNextModel(convnext),
            transformers.ConvNextImageProcessorPil(size={"shortest_edge": SIDE}, crop_pct=1.0),
        ),
    ):
        model.save_pretrained(folder / name)
        processor.save_pretrained(folder / name)
    return folder


@pytest.fixture(scope="module")
def pictures():
    return np.random.default_rng(0).integers(0, 256, size=(7, 40, 40, 3), dtype=np.uint8)


@pytest.fixture
def folder(tmp_path, pictures):
    """Seven images as files, as a zip, and as NSD keeps them."""
    (tmp_path / "images").mkdir()
    with zipfile.ZipFile(tmp_path / "images.zip", "w") as archive:
        for i, picture in enumerate(pictures):
            Image.fromarray(picture).save(tmp_path / "images" / f"{i}.png")
            archive.write(tmp_path / "images" / f"{i}.png", f"{i}.png")
    with h5py.File(tmp_path / "nsd_stimuli.hdf5", "w") as file:
        file["imgBrick"] = pictures
    return tmp_path


def normalised(picture, mean, std):
    """A picture of the model's size, scaled as the model's card says, ``(1, 3, y, x)``."""
    return torch.tensor((picture / 255 - np.array(mean)) / np.array(std)).permute(2, 0, 1)[None].float()


CLIP_MEAN, CLIP_STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)


@pytest.mark.parametrize("name", ["clip", "vit"])
def test_layers_are_the_cls_token_after_each_block(models, name):
    """Block by block with hooks, and preparation by hand: images of the model's own size need no resizing."""
    pictures = np.random.default_rng(1).integers(0, 256, size=(3, SIDE, SIDE, 3), dtype=np.uint8)
    found = jne.extract_features(pictures, str(models / name))
    assert list(found) == [f"layer{i + 1}" for i in range(BLOCKS)]
    if name == "clip":
        whole = transformers.CLIPModel.from_pretrained(models / name).eval()
        blocks, run, scale = whole.vision_model.encoder.layers, whole.get_image_features, (CLIP_MEAN, CLIP_STD)
    else:
        whole = transformers.ViTForImageClassification.from_pretrained(models / name).eval()
        blocks, run, scale = whole.vit.layers, whole, ((0.5,) * 3, (0.5,) * 3)
    seen = []
    for block in blocks:
        block.register_forward_hook(lambda module, inputs, output: seen.append(output))
    for i, picture in enumerate(pictures):
        seen.clear()
        with torch.no_grad():
            run(pixel_values=normalised(picture, *scale))
        for layer, output in zip(found.values(), seen, strict=True):
            tokens = output[0] if isinstance(output, tuple) else output
            np.testing.assert_allclose(layer[i], tokens[0, 0].numpy(), rtol=1e-4, atol=1e-5)
    assert all(np.abs(layer[0] - layer[1]).max() > 1e-3 for layer in found.values())


def test_a_network_without_cls_token_gives_means_over_places(models):
    picture = np.random.default_rng(1).integers(0, 256, size=(1, SIDE, SIDE, 3), dtype=np.uint8)
    found = jne.extract_features(picture, str(models / "convnext"))
    whole = transformers.ConvNextModel.from_pretrained(models / "convnext").eval()
    with torch.no_grad():
        stages = whole(normalised(picture[0], (0.5,) * 3, (0.5,) * 3), output_hidden_states=True).hidden_states[1:]
    assert [layer.shape[1] for layer in found.values()] == [4, 8, 12, 16]
    for layer, stage in zip(found.values(), stages, strict=True):
        np.testing.assert_allclose(layer[0], stage[0].flatten(1).mean(dim=1), rtol=1e-3, atol=1e-5)


def test_images_are_cropped_as_the_processor_says(models):
    """CLIP takes the central square, so what lies beside it does not matter."""
    picture = np.random.default_rng(1).integers(0, 256, size=(SIDE, 3 * SIDE, 3), dtype=np.uint8)
    other = picture.copy()
    other[:, :SIDE], other[:, 2 * SIDE :] = 0, 255
    one, two, middle = (
        jne.extract_features([image], str(models / "clip"))["layer3"]
        for image in (picture, other, picture[:, SIDE : 2 * SIDE])
    )
    np.testing.assert_array_equal(one, two)
    np.testing.assert_allclose(one, middle, rtol=1e-4, atol=1e-5)


def test_chosen_layers_and_attributes(models, folder):
    written = write_features(folder / "images", folder / "a.h5", str(models / "vit"), layers=["layer3", "layer1"])
    assert written.layers == {"layer3": WIDTH, "layer1": WIDTH}
    weights = (models / "vit" / "model.safetensors").read_bytes()
    assert written.attrs["feature_weights_sha256"] == hashlib.sha256(weights).hexdigest()
    assert written.attrs["feature_model"] == "vit ([CLS] token after each block)"
    preprocessing = written.attrs["preprocessing"]
    assert json.loads(preprocessing)["size"] == {"height": SIDE, "width": SIDE}
    assert written.attrs["preprocessing_sha256"] == hashlib.sha256(preprocessing.encode()).hexdigest()
    with pytest.raises(ValueError, match=r"layers names 'layer4'; .* has layer1, layer2, layer3"):
        write_features(folder / "images", folder / "b.h5", str(models / "vit"), layers=["layer4"])


@pytest.mark.parametrize("source", ["images", "images.zip", "nsd_stimuli.hdf5"])
@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_every_source_gives_the_same_file(models, folder, pictures, source, dtype):
    written = write_features(folder / source, folder / "out.h5", str(models / "clip"), dtype=dtype, batch_size=3)
    expected = jne.extract_features(pictures, str(models / "clip"))
    assert list(written.stimulus_id) == [str(i) for i in range(7)] and list(written.layers) == list(expected)
    tolerance = {"float32": 1e-5, "float16": 1e-3}[dtype]
    for layer, values in expected.items():
        np.testing.assert_allclose(written.features(layer), values, rtol=tolerance, atol=tolerance)
    with h5py.File(folder / "out.h5") as file:
        assert file["layer1"].dtype == dtype
    assert not part_path(folder / "out.h5").exists()


@pytest.mark.parametrize("source", ["images", "nsd_stimuli.hdf5"])
def test_only_selected_images_are_run(models, folder, source):
    (folder / "some.txt").write_text("5\n2\n\n")
    (folder / "responses.tsv").write_text("SUBJECT\tRUN\t73KID\n1\t1\t7\n1\t1\t1\n1\t2\t7\n")
    select = [folder / "some.txt", folder / "responses.tsv"]
    whole = write_features(folder / source, folder / "all.h5", str(models / "clip"))
    some = write_features(folder / source, folder / "some.h5", str(models / "clip"), select=select)
    assert list(some.stimulus_id) == ["0", "2", "5", "6"]
    np.testing.assert_allclose(some.features("layer2"), whole.features("layer2", ["0", "2", "5", "6"]), rtol=1e-4)
    np.testing.assert_array_equal(whole.features("layer2", ["6", "0"]), whole.features("layer2")[[6, 0]])


N_DONE = {
    "create": 0, "named": 0, "data not flushed": 2, "count not written": 2, "count written": 4, "digest": 7, "finish": 7
}  # fmt: skip
VALUES = np.random.default_rng(0).normal(size=(7, 5)).astype(np.float32)


def write_pieces(path):
    """Seven images by twos; how many were there at the beginning."""
    with FeatureWriter(path, np.arange(7).astype(str), {"a": 5, "b": 5}, {"feature_model": "none"}) as writer:
        begun = writer.n_done
        for start in range(begun, 7, 2):
            piece = VALUES[start : start + 2]
            writer.append({"a": piece, "b": -piece})
        writer.finish()
    return begun


def kill_at(stage):
    """Let this process die at a stage: when the file gets its name, or around the second flush."""
    replace, flush, count, counts = os.replace, h5py.File.flush, itertools.count(1), itertools.count(1)

    def die():
        os.kill(os.getpid(), signal.SIGKILL)

    def dying_replace(source, target):
        ending = {"named": ".part", "digest": ".h5", "finish": ".h5"}.get(stage, "none")
        if stage == "create" or str(target).endswith(ending):
            if stage == "digest":  # half of it is written
                os.truncate(source, os.path.getsize(source) - 40)
            die()
        replace(source, target)
        if stage == "count written" and str(target).endswith(".json") and next(counts) == 3:
            die()

    def dying_flush(file):
        n = next(count)
        if n == 2 and stage == "data not flushed":
            die()
        flush(file)
        if n == 2 and stage == "count not written":
            die()

    os.replace, h5py.File.flush = dying_replace, dying_flush


@pytest.mark.parametrize("stage", N_DONE)
def test_a_killed_run_goes_on_and_gives_the_same_file(tmp_path, stage):
    out = tmp_path / "out.h5"
    child = os.fork()
    if child == 0:
        kill_at(stage)
        write_pieces(out)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
    assert not out.exists()
    assert write_pieces(out) == N_DONE[stage]
    found = read_feature_file(out)
    np.testing.assert_array_equal(found.features("a"), VALUES)
    np.testing.assert_array_equal(found.features("b"), -VALUES)
    assert [p.name for p in tmp_path.iterdir()] == ["out.h5"]


def test_an_interrupted_call_goes_on_with_the_missing_batches(models, folder, monkeypatch):
    model, append, seen = str(models / "clip"), FeatureWriter.append, []
    expected = write_features(folder / "images", folder / "whole.h5", model, batch_size=2)

    def interrupted(self, features):
        seen.append(self.n_done)
        if len(seen) == 3:
            raise KeyboardInterrupt
        append(self, features)

    monkeypatch.setattr(FeatureWriter, "append", interrupted)
    for _ in range(2):
        with contextlib.suppress(KeyboardInterrupt):
            found = write_features(folder / "images", folder / "out.h5", model, batch_size=2)
    assert seen == [0, 2, 4, 4, 6]
    for layer in expected.layers:
        np.testing.assert_array_equal(found.features(layer), expected.features(layer))
    # Whole and the same: nothing is done. With another model: made anew.
    write_features(folder / "images", folder / "out.h5", model, batch_size=2)
    assert len(seen) == 5
    assert write_features(folder / "images", folder / "out.h5", str(models / "vit")).attrs["feature_model"][:3] == "vit"


def interrupted(folder, model):
    """A features file of which four images are there."""
    chosen = open_images(folder / "images")
    attrs = TransformersBackbone(model).attributes
    with FeatureWriter(folder / "out.h5", chosen.ids, {"layer1": 2}, attrs) as writer:
        writer.append({"layer1": np.ones((4, 2))})
    return part_path(folder / "out.h5")


def test_a_part_file_of_another_run_is_an_error_and_stays(models, folder):
    part = interrupted(folder, str(models / "clip"))
    before = part.read_bytes()
    with pytest.raises(ValueError, match=r"out\.h5\.part.*begun with another .*delete it to start anew"):
        write_features(folder / "images", folder / "out.h5", str(models / "vit"))
    assert part.read_bytes() == before
    with pytest.raises(ValueError, match=r"but not the digest .* If it is not finished, finish it with `jne features`"):
        read_feature_file(part.rename(folder / "renamed.h5"))


def test_two_writers_at_once_are_refused(models, folder):
    chosen = open_images(folder / "images")
    with FeatureWriter(folder / "out.h5", chosen.ids, {"layer1": 2}, {}):
        code = (
            f"from jne.features.feature_writer import FeatureWriter as W; W({str(folder / 'out.h5')!r}, [], {{}}, {{}})"
        )
        second = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert second.returncode == 1 and "another process writes" in second.stderr


def test_features_of_images_that_changed_are_made_anew(models, tmp_path):
    """Same name, same size, same places: only the pixels are others."""
    bricks, rng = tmp_path / "bricks.hdf5", np.random.default_rng(0)
    before, after = (rng.integers(0, 255, (6, SIDE, SIDE, 3), np.uint8) for _ in range(2))
    model = str(models / "vit")

    def write(images):
        with h5py.File(bricks, "w") as file:
            file["imgBrick"] = images
        os.utime(bricks, (0, 0))

    write(before)
    first = write_features(bricks, tmp_path / "out.h5", model, batch_size=2).features("layer1")
    size = bricks.stat().st_size
    write(after)
    assert bricks.stat().st_size == size
    second = write_features(bricks, tmp_path / "out.h5", model, batch_size=2).features("layer1")
    assert not np.allclose(first, second)
    np.testing.assert_allclose(second, extract_features(after, model)["layer1"], atol=1e-4)
    # Interrupted in between: what was begun with others is not gone on with.
    attrs = {"images_fingerprint": open_images(bricks).fingerprint}
    (tmp_path / "out.h5").unlink()
    with FeatureWriter(tmp_path / "out.h5", open_images(bricks).ids, {"layer1": 2}, attrs) as writer:
        writer.append({"layer1": np.ones((4, 2))})
    write(before)
    with pytest.raises(ValueError, match="was begun with another"):
        write_features(bricks, tmp_path / "out.h5", model, batch_size=2)
    attrs = {"images_fingerprint": open_images(bricks).fingerprint}
    with pytest.raises(ValueError, match="was begun with another images_fingerprint"):
        FeatureWriter(tmp_path / "out.h5", open_images(bricks).ids, {"layer1": 2}, attrs)


def test_a_file_of_images_that_moved_has_the_same_features(models, tmp_path):
    with h5py.File(tmp_path / "a.hdf5", "w") as file:
        file["imgBrick"] = np.random.default_rng(0).integers(0, 255, (4, SIDE, SIDE, 3), np.uint8)
    whole = open_images(tmp_path / "a.hdf5").fingerprint
    (tmp_path / "ids.txt").write_text("1\n3\n")
    assert open_images(tmp_path / "a.hdf5", [tmp_path / "ids.txt"]).fingerprint != whole
    os.rename(tmp_path / "a.hdf5", tmp_path / "b.hdf5")
    assert open_images(tmp_path / "b.hdf5").fingerprint == whole


def test_a_link_planted_at_the_part_is_not_written_through(tmp_path):
    target = tmp_path / "other.h5"
    with FeatureWriter(target, ["x", "y"], {"layer1": 2}, {}):
        pass
    os.rename(part_path(target), target)
    before = target.read_bytes()
    part_path(tmp_path / "a.h5").symlink_to("other.h5")
    with pytest.raises(ValueError, match=r"a\.h5\.part.*no plain file"):
        FeatureWriter(tmp_path / "a.h5", ["x", "y"], {"layer1": 2}, {})
    assert target.read_bytes() == before


def test_values_too_large_for_float16_are_refused(tmp_path):
    with FeatureWriter(tmp_path / "a.h5", ["x", "y"], {"layer1": 2}, {}, "float16") as writer:
        with pytest.raises(ValueError, match=r"layer1 of images 0 to 1 holds 1 values .*float16; take float32"):
            writer.append({"layer1": np.array([[1, 7e4], [1, 1]])})


def test_a_file_that_would_not_fit_says_so_first(tmp_path, monkeypatch):
    monkeypatch.setattr("shutil.disk_usage", lambda path: type("Usage", (), {"free": 1e6})())
    with pytest.raises(OSError, match=r"369 MB .* needed, .* free in .* or take float16"):
        FeatureWriter(tmp_path / "a.h5", np.arange(10_000), {f"layer{i}": 768 for i in range(12)}, {})
    assert not list(tmp_path.iterdir())


def test_npz_and_foreign_hdf5_are_read(tmp_path):
    values = np.random.default_rng(0).normal(size=(3, 4)).astype(np.float32)
    np.savez(tmp_path / "a.npz", stimulus_id=np.array([5, 3, 9]), b=values, a=values[:, :2])
    found = read_feature_file(tmp_path / "a.npz")
    assert list(found.stimulus_id) == ["5", "3", "9"] and found.layers == {"b": 4, "a": 2} and found.attrs == {}
    np.testing.assert_array_equal(found.features("b", ["9", "5", "9"]), values[[2, 0, 2]])
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["stimulus_id"] = np.array([b"x", b"y", b"z"])
        file["layer10"], file["layer9"] = values, values
    found = read_feature_file(tmp_path / "a.h5")
    assert list(found.layers) == ["layer9", "layer10"] and list(found.stimulus_id) == ["x", "y", "z"]
    with pytest.raises(ValueError, match=r"no features of 2 of 3 stimuli \(u, v\); its 3 ids are x, y, z"):
        found.features("layer9", ["u", "x", "v"])
    with pytest.raises(ValueError, match=r"no layer 'layer1'; it has layer9, layer10"):
        found.features("layer1")


BAD_FILES = {
    "absent": (None, r"no file .*bad\.npz; `jne features` makes one"),
    "no ids": ({"a": np.ones((3, 2))}, "no array stimulus_id; it has a"),
    "id twice": ({"a": np.ones((3, 2)), "stimulus_id": np.array([1, 2, 2])}, "has 2 more than once"),
    "no layer": ({"stimulus_id": np.arange(3)}, "has no layer"),
    "other count": ({"a": np.ones((2, 2)), "stimulus_id": np.arange(3)}, r"a of .* is \(2, 2\).*needed: \(3 images"),
    "text": ({"a": np.array([["x"]] * 3), "stimulus_id": np.arange(3)}, "a of .*needed: .*numbers"),
    "fractional ids": ({"a": np.ones((3, 2)), "stimulus_id": np.ones(3)}, "stimulus_id of .*float64"),
    "objects": ({"a": np.ones((3, 2)), "stimulus_id": np.array(["x", 1, None], object)}, "holds Python objects"),
}


@pytest.mark.parametrize("kind", BAD_FILES)
def test_bad_features_files_are_named(tmp_path, kind):
    arrays, message = BAD_FILES[kind]
    if arrays is not None:
        np.savez(tmp_path / "bad.npz", **arrays)
    with pytest.raises(ValueError, match=message):
        read_feature_file(tmp_path / "bad.npz")


def test_truncated_features_files_are_named(tmp_path):
    np.savez(tmp_path / "a.npz", stimulus_id=np.arange(3), a=np.ones((3, 2)))
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["stimulus_id"], file["a"] = np.arange(300), np.ones((300, 9))
    for name in ("a.npz", "a.h5"):
        content = (tmp_path / name).read_bytes()
        (tmp_path / name).write_bytes(content[: len(content) // 2])
        with pytest.raises(ValueError, match=rf"{name} \(\d+ bytes\) cannot be read"):
            read_feature_file(tmp_path / name)


def test_bad_sources_and_selections_are_named(folder):
    with h5py.File(folder / "other.h5", "w") as file:
        file["imgBrick"] = np.zeros((3, 8, 8))
    with h5py.File(folder / "none.h5", "w") as file:
        file["x"] = 1
    (folder / "some.txt").write_text("5\nimage9\n")
    (folder / "empty.txt").write_text("\n")
    (folder / "bad.tsv").write_text("SUBJECT\t73KID\n1\tx\n")
    for path, select, message in (
        ("other.h5", (), r"imgBrick of .*other\.h5 is \(3, 8, 8\), float64; needed: \(n_images, y, x, 3\), uint8"),
        ("none.h5", (), r"none\.h5 \(\d+ bytes\) cannot be read .*imgBrick"),
        ("absent.h5", (), "no folder or zip file"),
        (
            "images",
            ("some.txt",),
            r"1 of 2 ids \(image9; from .*some\.txt\) are not among the 7 images.*0, 1, 2, 3, 4 and 2",
        ),
        ("images", ("empty.txt",), r"empty\.txt is empty"),
        ("images", ("absent.txt",), r"absent\.txt cannot be read"),
        ("images", ("bad.tsv",), "column 73KID of .* is not all whole numbers"),
    ):
        with pytest.raises(ValueError, match=message):
            open_images(folder / path, [folder / name for name in select])
    assert read_ids(folder / "some.txt") == ["5", "image9"]
    (folder / "mac.txt").write_text(unicodedata.normalize("NFD", "hügel"), encoding="utf-8")
    assert read_ids(folder / "mac.txt") == [unicodedata.normalize("NFC", "hügel")]


def spoil_weights(folder):
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:1000])


BAD_MODELS = {
    "no config": (lambda f: (f / "config.json").unlink(), r"has no config\.json.*hf download"),
    "no processor": (lambda f: (f / "preprocessor_config.json").unlink(), r"has no preprocessor_config\.json"),
    "no weights": (
        lambda f: (f / "model.safetensors").unlink(),
        r"has no weights \(model\.safetensors or .*hf download",
    ),
    "truncated weights": (spoil_weights, "weights in .* cannot be loaded"),
    "weights of another model": (
        lambda f: (f / "model.safetensors").write_bytes((f.parent / "vit" / "model.safetensors").read_bytes()),
        r"lack \d+ arrays of CLIPVisionModel",
    ),
}


@pytest.mark.parametrize("kind", BAD_MODELS)
def test_bad_models_are_named(models, tmp_path, kind):
    shutil.copytree(models, tmp_path / "models")
    spoil, message = BAD_MODELS[kind]
    spoil(tmp_path / "models" / "clip")
    with pytest.raises(ValueError, match=message):
        TransformersBackbone(str(tmp_path / "models" / "clip"))


def test_older_weight_files_are_read_as_tensors_only(models, tmp_path):
    """OpenAI's CLIP on the hub has no safetensors. A file that would run code on loading is refused."""
    folder = tmp_path / "clip"
    shutil.copytree(models / "clip", folder)
    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    expected = TransformersBackbone(str(folder)).network.state_dict()
    (folder / "model.safetensors").unlink()
    found = TransformersBackbone(str(folder)).network.state_dict()
    assert all(torch.equal(found[name], values) for name, values in expected.items())

    class Runs:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "ran"),)

    torch.save({"weight": Runs()}, folder / "pytorch_model.bin")
    with pytest.raises(ValueError, match=r"weights in .* cannot be loaded"):
        TransformersBackbone(str(folder))
    assert not (tmp_path / "ran").exists()


def test_missing_downloads_and_packages_name_the_command(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(ValueError, match="hf download openai/clip-vit-base-patch32 "):
        jne.extract_features([np.zeros((8, 8, 3), np.uint8)], "clip-vit-base-patch32")
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(ModuleNotFoundError, match=r"pip install -e '\.\[clip\]'"):
        jne.extract_features([np.zeros((8, 8, 3), np.uint8)], "vit-base-patch16-224")


def test_the_command_writes_what_the_function_writes(models, folder):
    arguments = ["features", "--images", folder / "images.zip", "--model", models / "clip", "--out", folder / "a.h5"]
    (folder / "some.txt").write_text("5\n2\n")
    result = CliRunner().invoke(
        main, [*map(str, arguments), "--select", str(folder / "some.txt"), "--dtype", "float16"]
    )
    assert result.exit_code == 0, result.output
    assert "2 images, clip ([CLS] token after each block): layer1 (24)" in result.output
    expected = write_features(
        folder / "images.zip", folder / "b.h5", models / "clip", select=[folder / "some.txt"], dtype="float16"
    )
    found = read_feature_file(folder / "a.h5")
    np.testing.assert_array_equal(found.features("layer3"), expected.features("layer3"))
    result = CliRunner().invoke(main, [*map(str, arguments), "--dtype", "int8"])
    assert result.exit_code == 1 and result.output.startswith("Error: dtype='int8'; accepted: float32, float16")
    result = CliRunner().invoke(main, ["features", "--images", "x", "--out", "a.npz"])
    assert result.exit_code == 1 and "ends in .h5 or .hdf5" in result.output


def test_help_teaches_with_an_example():
    output = CliRunner().invoke(main, ["features", "--help"]).output
    assert "jne features --images nsd_stimuli.hdf5" in output and "goes on from there" in output
