"""Features on a card, of a network with random weights, so that neither weights nor pictures are needed."""

import numpy as np
import pytest
import torch

from jne.features import EfficientNetBackbone, EfficientNetLite0, stream_features

CARD = pytest.param(
    "cuda", marks=[pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA")]
)


@pytest.mark.parametrize("device", [CARD, "cpu"])
def test_features_do_not_depend_on_the_device_or_the_batch(device):
    images = np.random.default_rng(0).integers(0, 256, (5, 40, 56, 3), np.uint8)

    def features(device, batch_size):
        torch.manual_seed(0)
        backbone = EfficientNetBackbone({"stem": 1, "block2": 2})
        backbone.network = EfficientNetLite0().eval().requires_grad_(False).fold()
        batches = list(stream_features(images, backbone, device=device, batch_size=batch_size))
        return {name: np.concatenate([batch[name] for batch in batches]) for name in backbone.grids}

    there, here = features(device, 2), features("cpu", 5)
    for name, values in here.items():
        np.testing.assert_allclose(there[name], values, rtol=1e-3, atol=1e-4 * np.abs(values).max())
