"""Pictures as they are shown, and features that are the same twice."""

import io
import json
import os

import numpy as np
import pytest
import torch
from PIL import Image

from jne.features import extract
from jne.features.extract import extract_features
from jne.features.images import ImageFiles, as_rgb, decode

ORIENTATION = 0x0112
# How the camera stored an upright picture: what turns it into what each value of the note says.
STORED = {
    1: None,
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}
UPRIGHT = np.kron(np.random.default_rng(0).integers(0, 256, (3, 5, 3)), np.ones((8, 8, 1))).astype(np.uint8)


def photograph(orientation, kind="PNG"):
    image, exif = Image.fromarray(UPRIGHT), Image.Exif()
    exif[ORIENTATION] = orientation
    stored = image if STORED[orientation] is None else image.transpose(STORED[orientation])
    content = io.BytesIO()
    stored.save(content, kind, exif=exif, **({"lossless": True} if kind == "WEBP" else {}))
    content.seek(0)
    return content


def several(kind, n):
    frames = [Image.fromarray(np.roll(UPRIGHT, i, axis=0)) for i in range(n)]
    content = io.BytesIO()
    frames[0].save(content, kind, save_all=True, append_images=frames[1:])
    content.seek(0)
    return content


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "WEBP"])
@pytest.mark.parametrize("orientation", STORED)
def test_a_photograph_is_turned_as_its_camera_noted(kind, orientation):
    np.testing.assert_array_equal(decode(photograph(orientation, kind), "photo"), UPRIGHT)
    with Image.open(photograph(orientation, kind)) as image:
        once = as_rgb(image, "photo")
    np.testing.assert_array_equal(as_rgb(once, "photo"), UPRIGHT)  # and not a second time


def test_features_of_a_turned_photograph_are_those_of_the_upright_one(tmp_path):
    Image.fromarray(UPRIGHT).save(tmp_path / "0.png")
    for orientation in (3, 6):
        (tmp_path / f"{orientation}.jpg").write_bytes(photograph(orientation, "PNG").getvalue())
    found = extract_features(ImageFiles(tmp_path), layers={"stem": 1})["stem"]
    np.testing.assert_array_equal(found, found[[0, 0, 0]])


@pytest.mark.parametrize("exif", [b"Exif\0\0no such thing", b"\xff" * 40], ids=["text", "bytes"])
def test_damaged_notes_turn_nothing(exif):
    content = io.BytesIO()
    Image.fromarray(UPRIGHT).save(content, "PNG", exif=exif)
    np.testing.assert_array_equal(decode(content, "photo"), UPRIGHT)


@pytest.mark.parametrize("kind", ["GIF", "TIFF", "PNG", "WEBP"])
def test_a_file_of_several_pictures_is_refused(kind):
    assert decode(several(kind, 1), "film").size == (40, 24)
    message = r"film holds 3 pictures \(frames, pages\); save the one that was shown as a file"
    with pytest.raises(ValueError, match=message):
        decode(several(kind, 3), "film")
    with Image.open(several(kind, 3)) as image, pytest.raises(ValueError, match=message):
        as_rgb(image, "film")


def test_a_second_picture_behind_a_telephones_photograph_is_none_that_was_shown():
    assert decode(several("MPO", 2), "photo").size == (40, 24)


class Noisy:
    """A network whose preparation or answer may be random."""

    def __init__(self, prepare=0.0, answer=0.0):
        self.random = np.random.default_rng(0)
        self.chance, self.answer = prepare, answer

    def prepare(self, image):
        pixels = np.asarray(image, np.float32)
        return pixels[:, ::-1].copy() if self.random.random() < self.chance else pixels

    def to(self, device):
        return self

    def layers(self, batch):
        return {"mean": batch.mean(dim=(1, 2)) + self.answer * self.random.normal()}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"prepare": 0.5}, r"processor prepares the same image differently.*preprocessor_config.json"),
        ({"answer": 5.0}, r"answers the same images differently from call to call \(first in mean\)"),
    ],
    ids=["mirrored at random", "random answers"],
)
def test_features_that_are_drawn_anew_at_every_call_are_refused(monkeypatch, options, message):
    pictures = np.random.default_rng(0).integers(0, 256, (6, 8, 8, 3), np.uint8)
    monkeypatch.setattr(extract, "load_backbone", lambda model, layers: Noisy())
    assert extract_features(pictures)["mean"].shape == (6, 3)
    monkeypatch.setattr(extract, "load_backbone", lambda model, layers: Noisy(**options))
    with pytest.raises(ValueError, match=message):
        extract_features(pictures)


def test_a_masked_autoencoder_is_refused_until_its_mask_is_switched_off(tmp_path):
    transformers = pytest.importorskip("transformers", reason="needs pip install -e '.[clip]'")
    sizes = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}
    config = transformers.ViTMAEConfig(**sizes, image_size=32, patch_size=8)
    transformers.ViTMAEModel(config).save_pretrained(tmp_path)
    transformers.ViTImageProcessorPil(size={"height": 32, "width": 32}).save_pretrained(tmp_path)
    pictures = np.random.default_rng(0).integers(0, 256, (3, 40, 40, 3), np.uint8)
    with pytest.raises(ValueError, match=r'first in layer1.*"mask_ratio": 0.0 of a masked autoencoder'):
        extract_features(pictures, model=str(tmp_path))
    content = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(content | {"mask_ratio": 0.0}))
    once, again = (extract_features(pictures, model=str(tmp_path))["layer2"] for _ in range(2))
    np.testing.assert_allclose(once, again, atol=1e-5 * once.std())


def test_a_pipe_in_the_place_of_an_image_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "a.png")
    (tmp_path / "link.png").symlink_to("a.png")
    for name in ("a.png", "link.png"):
        with pytest.raises(ValueError, match=r"png is a pipe \(FIFO\); needed: a file"):
            decode(tmp_path / name, name)


# Towers, shapes, and what is no image --------------------------------------------------------------------------------

SIZES = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}
VISION, TEXT = {**SIZES, "image_size": 32, "patch_size": 8}, {**SIZES, "vocab_size": 50, "max_position_embeddings": 8}


def two_towers(transformers, kind):
    parts = {"text_config": dict(TEXT), "vision_config": dict(VISION)}
    if kind == "dual":
        config = transformers.VisionTextDualEncoderConfig.from_vision_text_configs(
            transformers.ViTConfig(**VISION), transformers.BertConfig(**TEXT), projection_dim=8
        )
        return transformers.VisionTextDualEncoderModel(config)
    names = {"siglip": "Siglip", "blip": "Blip", "chinese": "ChineseCLIP", "owl": "OwlViT"}
    options = {} if kind == "siglip" else {"projection_dim": 8}
    config = getattr(transformers, f"{names[kind]}Config")(**parts, **options)
    return getattr(transformers, f"{names[kind]}Model")(config)


def processor_in(folder, **changes):
    content = {"image_processor_type": "ViTImageProcessor", "size": {"height": 32, "width": 32}, "do_resize": True}
    (folder / "preprocessor_config.json").write_text(json.dumps(content | changes))


PICTURES = np.random.default_rng(0).integers(0, 256, (3, 40, 40, 3), np.uint8)


@pytest.mark.parametrize("kind", ["siglip", "blip", "chinese", "owl", "dual"])
def test_the_tower_for_images_of_a_model_of_images_and_texts_is_taken(tmp_path, kind):
    transformers = pytest.importorskip("transformers", reason="needs pip install 'jne[clip]'")
    torch.manual_seed(0)
    whole = two_towers(transformers, kind).eval()
    whole.save_pretrained(tmp_path)
    processor_in(tmp_path)
    found = extract_features(PICTURES, model=str(tmp_path))
    processor = transformers.AutoImageProcessor.from_pretrained(tmp_path, backend="pil")
    pixels = processor(images=[Image.fromarray(picture) for picture in PICTURES], return_tensors="pt")["pixel_values"]
    with torch.no_grad():
        states = whole.vision_model(pixel_values=pixels, output_hidden_states=True).hidden_states
    for number in (1, 2):
        wanted = states[number].mean(1) if kind == "siglip" else states[number][:, 0]  # SigLIP has no [CLS] token
        np.testing.assert_allclose(found[f"layer{number}"], wanted, atol=1e-5)


@pytest.mark.parametrize("kind", ["texts", "patches"])
def test_a_model_that_takes_no_images_alone_says_so(tmp_path, kind):
    transformers = pytest.importorskip("transformers", reason="needs pip install 'jne[clip]'")
    vision = {**SIZES, "patch_size": 8, "num_patches": 16}
    config = transformers.Siglip2Config(text_config=dict(TEXT), vision_config=vision)
    texts = transformers.BertModel(transformers.BertConfig(**TEXT))
    (texts if kind == "texts" else transformers.Siglip2Model(config)).save_pretrained(tmp_path)
    processor_in(tmp_path)
    with pytest.raises(ValueError, match=r"(Bert|Siglip2)Model does not take images alone, and no part of it does"):
        extract_features(PICTURES, model=str(tmp_path))


SHAPES = [np.zeros((*shape, 3), np.uint8) for shape in ((40, 40), (44, 44), (40, 60))]
CLIP = {"image_processor_type": "CLIPImageProcessor", "size": {"shortest_edge": 32}, "do_center_crop": False}


@pytest.mark.parametrize(
    ("changes", "pictures", "message"),
    [
        (CLIP, SHAPES, r"gives images\[2\] as \(3, 32, 48\) and images\[0\] as \(3, 32, 32\): it keeps the ratio"),
        (CLIP, SHAPES[2:], r"the model fails on images of 32 x 48 pixels, as its image processor gives them"),
        ({"do_resize": False}, SHAPES[:1], "the model fails on images of 40 x 40 pixels"),
        ({"size": {"height": 48, "width": 48}}, SHAPES, "ViTModel gives no layers of an image of 48 x 48 pixels"),
    ],
    ids=["mixed shapes", "one shape", "as they are", "another size"],
)
def test_images_that_do_not_come_out_in_the_size_of_the_model_are_named(tmp_path, changes, pictures, message):
    transformers = pytest.importorskip("transformers", reason="needs pip install 'jne[clip]'")
    transformers.ViTModel(transformers.ViTConfig(**VISION)).save_pretrained(tmp_path)
    processor_in(tmp_path, **changes)
    for size in (1, 16):
        with pytest.raises(
            ValueError, match=rf'(?s){message}.*Let the processor bring every image to the size.*"size"'
        ):
            extract_features(pictures, model=str(tmp_path), batch_size=size)


def test_a_processor_that_leaves_the_size_is_taken_with_images_of_that_size(tmp_path):
    transformers = pytest.importorskip("transformers", reason="needs pip install 'jne[clip]'")
    transformers.ViTModel(transformers.ViTConfig(**VISION)).save_pretrained(tmp_path)
    processor_in(tmp_path, do_resize=False)
    assert extract_features(PICTURES[:, :32, :32], model=str(tmp_path))["layer2"].shape == (3, 16)


def test_images_of_several_shapes_are_named_by_their_ids(tmp_path):
    transformers = pytest.importorskip("transformers", reason="needs pip install 'jne[clip]'")
    transformers.ViTModel(transformers.ViTConfig(**VISION)).save_pretrained(tmp_path)
    processor_in(tmp_path, **CLIP)
    (tmp_path / "images").mkdir()
    for number, picture in enumerate(SHAPES):
        Image.fromarray(picture).save(tmp_path / f"images/shown{number}.png")
    with pytest.raises(ValueError, match=r"gives shown2 as \(3, 32, 48\) and shown0 as"):
        extract_features(tmp_path / "images", model=str(tmp_path))


def test_links_to_nothing_are_counted_and_named(tmp_path):
    Image.fromarray(UPRIGHT).save(tmp_path / "0.png")
    for number in (1, 2):
        (tmp_path / f"{number}.png").symlink_to(f"../annex/{number}.png")
    (tmp_path / "loop.png").symlink_to("loop.png")
    message = r"3 of 4 images of .* are links to nothing \(1.png, 2.png, loop.png; the first to ../annex/1.png\)"
    with pytest.raises(ValueError, match=message):
        ImageFiles(tmp_path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "a Git LFS pointer.*git lfs pull"),
        (b"/annex/objects/MD5E-s1--0.png", "a git-annex pointer"),
        (b"\n<!DOCTYPE html><title>Log in</title>", "a web page: log in"),
        (b"\xef\xbb\xbf<html>", "a web page"),
        (b"", "empty: it was not downloaded"),
    ],
    ids=["LFS", "annex", "page", "page with a mark", "empty"],
)
def test_what_was_saved_in_place_of_an_image_is_told_as_such(tmp_path, content, message):
    (tmp_path / "a.png").write_bytes(content)
    for source in (tmp_path / "a.png", io.BytesIO(content)):
        with pytest.raises(ValueError, match=f"a.png is {message}"):
            decode(source, "a.png")
