"""Networks that features are taken from, behind one interface: prepare an image, and give every layer of a batch."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from PIL import Image
from torch.nn import functional as F

from jne.features import efficientnet as _efficientnet
from jne.features.images import central_square

GRIDS = {"block0": 4, "block2": 4, "block4": 4, "block7": 2, "block10": 2, "block14": 2, "head": 1}
"""Layers of EfficientNet-Lite0 in a dataset file and the side of the grid each is averaged to: 4,096 values together.

Early blocks keep more space: global averages alone lose a quarter of the accuracy on neurons of area V4.
"""

HUB_MODELS = {
    "clip-vit-base-patch32": "openai/clip-vit-base-patch32",
    "vit-base-patch16-224": "google/vit-base-patch16-224",
}
"""Short names of models on the Hugging Face hub."""

MODELS = ("efficientnet-lite0", *HUB_MODELS)
_CROP = 0.875


SAME_SIZE = (
    'Let the processor bring every image to the size of the model ("size": {"height": ..., "width": ...}, or '
    '"do_center_crop": true, in its preprocessor_config.json), or give images that are cropped to one shape'
)
"""What to do where images do not come out of a processor in one size."""


class Backbone(Protocol):
    """What `jne.features.extract` needs of a network."""

    attributes: dict[str, str]
    """Model, hash of the weights and preprocessing, for the file that the features go into."""

    def prepare(self, image: Image.Image) -> np.ndarray:
        """One RGB image as the network takes it."""

    def to(self, device: torch.device) -> Backbone:
        """Move to a device, in place; comes before `layers`."""

    def layers(self, batch: torch.Tensor) -> dict[str, torch.Tensor]:
        """Layer -> ``(n, n_features)`` of a batch of prepared images on the same device."""


def load_backbone(model: str | Path, layers: Mapping[str, int] | Sequence[str] | None = None) -> Backbone:
    """The network of a name in `MODELS`, of a folder, or of a hub name ``owner/model``."""
    if str(model) == "efficientnet-lite0":
        return EfficientNetBackbone(layers)
    if str(model) not in HUB_MODELS and not Path(model).is_dir() and "/" not in str(model):
        raise ValueError(
            f"model={str(model)!r} is not known; accepted: {', '.join(MODELS)}, the folder of a model that "
            "transformers saved, or its name OWNER/MODEL on the hub"
        )
    # Here, because transformers is an optional package that takes seconds to import.
    from jne.features.vision_transformers import TransformersBackbone

    return TransformersBackbone(HUB_MODELS.get(str(model), str(model)), layers)


def preprocessing_attributes(text: str) -> dict[str, str]:
    return {"preprocessing": text, "preprocessing_sha256": hashlib.sha256(text.encode()).hexdigest()}


def refuse_random(backbone: Backbone, images: Sequence[Image.Image], device: torch.device) -> None:
    """Raise a ValueError where the same images do not give the same features twice."""
    prepared = [backbone.prepare(image) for image in images]
    if not all(np.array_equal(backbone.prepare(image), once) for image, once in zip(images, prepared, strict=True)):
        raise ValueError(
            "the model's image processor prepares the same image differently from call to call (a random crop or "
            "mirroring?); switch it off in preprocessor_config.json"
        )
    batch = torch.from_numpy(np.stack(prepared[:1])).to(device)
    with torch.inference_mode(), torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
        once, again = (backbone.layers(batch.clone()) for _ in range(2))
    for name, values in once.items():
        if not torch.allclose(values, again[name], rtol=1e-2, atol=1e-3 * float(values.abs().max())):
            raise ValueError(
                f"the model answers the same images differently from call to call (first in {name}): a part of it is "
                "random, such as the mask of a masked autoencoder or dropout. Switch it off in the model's config.json "
                '("mask_ratio": 0.0 of a masked autoencoder), or take the features of another model'
            )


class EfficientNetBackbone:
    """EfficientNet-Lite0: each layer's activation, averaged within the cells of a square grid."""

    def __init__(self, layers: Mapping[str, int] | None = None):
        self.grids = _check_grids(GRIDS if layers is None else layers)
        self.network = None  # loaded by `to`: attributes and preparation do not need it
        self.attributes = {
            "feature_model": "efficientnet-lite0 (ImageNet)",
            "feature_weights_sha256": _efficientnet.WEIGHTS_SHA256,
            "feature_grids": ", ".join(f"{name} {side}x{side}" for name, side in self.grids.items()),
            **preprocessing_attributes(
                f"central square {_CROP}, bicubic to {_efficientnet.IMAGE_SIZE}, (value - 127) / 128, RGB"
            ),
        }

    def prepare(self, image: Image.Image) -> np.ndarray:
        """The central square of an RGB image, ``(224, 224, 3)``, uint8."""
        size = _efficientnet.IMAGE_SIZE
        return np.asarray(central_square(image, _CROP).resize((size, size), Image.Resampling.BICUBIC))

    def to(self, device: torch.device) -> EfficientNetBackbone:
        if self.network is None:
            self.network = _efficientnet.load_efficientnet_lite0().fold()
        # Channels-last and folded, the CPU needs less than half the time.
        self.network.to(device, memory_format=torch.channels_last)
        return self

    def layers(self, batch: torch.Tensor) -> dict[str, torch.Tensor]:
        x = batch.permute(0, 3, 1, 2).to(torch.float32, memory_format=torch.channels_last)
        x.sub_(127).div_(128)
        pooled = {}
        for name, activation in self.network.activations(x):
            if name in self.grids:
                pooled[name] = F.adaptive_avg_pool2d(activation, self.grids[name]).flatten(1)
            if len(pooled) == len(self.grids):
                break
        return {name: pooled[name] for name in self.grids}


def _check_grids(layers: Mapping[str, int]) -> dict[str, int]:
    if not layers:
        raise ValueError(f"layers is empty; needed: a grid side for one or more of {', '.join(_efficientnet.LAYERS)}")
    if not isinstance(layers, Mapping):
        raise ValueError(f"layers={layers!r}; needed for EfficientNet-Lite0: a mapping of layer to side of its grid")
    for name, side in layers.items():
        if name not in _efficientnet.LAYERS:
            raise ValueError(f"layers names {name!r}; there are {', '.join(_efficientnet.LAYERS)}")
        if side < 1:
            raise ValueError(f"layers asks for a grid of side {side} of {name}; needed: at least 1")
    return dict(layers)
