"""Images a second of one backbone with random weights, as quick as with trained ones, on a CPU or a card."""

from __future__ import annotations

import time

import numpy as np
import torch
from _clock import clock
from PIL import Image

from jne.features import GRIDS, EfficientNetBackbone, EfficientNetLite0, stream_features

LAYERS = GRIDS


def backbone() -> EfficientNetBackbone:
    """EfficientNet-Lite0 with weights that are drawn, not read."""
    torch.manual_seed(0)
    found = EfficientNetBackbone(LAYERS)
    found.network = EfficientNetLite0().eval().requires_grad_(False).fold()
    return found


def measure_features(sizes: dict, device: torch.device) -> dict:
    """From pictures in memory to features in memory, and the network alone on batches that are on the device."""
    n, side, batch_size = sizes["n"], sizes["size"], sizes["batch_size"]
    images = np.random.default_rng(0).integers(0, 256, (n, side, side, 3), np.uint8)
    options = {"device": str(device), "batch_size": batch_size}
    few = slice(0, min(n, 2 * batch_size))
    there = list(stream_features(images[few], backbone(), **options))  # also pays for what the first call costs
    start = time.perf_counter()
    for _ in stream_features(images, backbone(), **options):
        pass
    seconds = time.perf_counter() - start
    network = backbone().to(device)
    batch = torch.from_numpy(np.stack([network.prepare(Image.fromarray(image)) for image in images[:batch_size]])).to(
        device
    )
    with torch.inference_mode(), torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
        forward = clock(lambda: network.layers(batch), device, 5)
    here = next(stream_features(images[: min(n, 8)], backbone(), device="cpu"))
    errors = {
        name: float(np.abs(there[0][name][: len(values)] - values).max() / np.abs(values).max())
        for name, values in ((name, values[:batch_size]) for name, values in here.items())
    }
    return {
        "sizes": sizes,
        "images_per_second": n / seconds,
        "forward_per_second": len(batch) / forward,
        "largest_error_over_largest_value": errors,
        "minutes_of_73000_images": 73_000 / (n / seconds) / 60,
    }
