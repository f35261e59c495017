"""Problems that Jacobians, measures and cross-fitting are tried on: models of every kind, and samples for them."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional as F

ACTIVATIONS = {
    "relu": torch.relu,
    "gelu": F.gelu,
    "tanh": torch.tanh,
    "elu": F.elu,
    "silu": F.silu,
    "leaky_relu": F.leaky_relu,
    "sigmoid": torch.sigmoid,
    "identity": nn.Identity(),
}


def normal(*shape, seed=0, dtype=torch.float32):
    """Standard normal numbers, the same on every machine."""
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(dtype)


class Residual(nn.Module):
    """The encoder of the paper, with weights drawn so that activations are well inside their nonlinear range."""

    def __init__(self, n_features=7, hidden=11, n_voxels=13, n_blocks=2, activation="relu", seed=0):
        super().__init__()
        self.first = nn.Linear(n_features, hidden, bias=False)
        self.blocks = nn.ModuleList(nn.Linear(hidden, hidden, bias=False) for _ in range(n_blocks))
        self.readout = nn.Linear(hidden, n_voxels, bias=False)
        self.activation = ACTIVATIONS[activation]
        generator = torch.Generator().manual_seed(seed)
        with torch.no_grad():
            for weight in self.parameters():
                weight.normal_(0, weight.shape[1] ** -0.5, generator=generator)

    def forward(self, x):
        h = self.activation(self.first(x))
        for block in self.blocks:
            h = self.activation(block(h)) + h
        return self.readout(h)


class Functional(nn.Module):
    """A residual encoder written with functions instead of modules, its readout registered before it is called."""

    def __init__(self, n_features=6, hidden=8, n_voxels=5):
        super().__init__()
        self.readout = nn.Linear(hidden, n_voxels)
        self.first = nn.Linear(n_features, hidden, bias=False)
        self.block = nn.Linear(hidden, hidden)

    def forward(self, x):
        h = torch.relu(self.first(x))
        h = torch.relu(self.block(h)) + h
        return self.readout(h)


class Gated(nn.Module):
    """An arbitrary module: products of layers, a buffer, a linear end deep inside."""

    def __init__(self):
        super().__init__()
        self.gate, self.value = nn.Linear(6, 8), nn.Linear(6, 8)
        self.register_buffer("scale", torch.linspace(0.5, 1.5, 8))
        self.head = nn.Sequential(nn.LayerNorm(8), nn.Sequential(nn.Linear(8, 5)))

    def forward(self, x):
        return self.head(torch.sigmoid(self.gate(x)) * self.value(x) * self.scale)


class Transformer(nn.Module):
    """Tokens and a [CLS] token through a transformer encoder; the readout sees [CLS] only."""

    def __init__(self, n_voxels=60):
        super().__init__()
        self.cls = nn.Parameter(normal(1, 1, 8))
        layer = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.1, batch_first=True, activation="gelu")
        self.encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.readout = nn.Linear(8, n_voxels)

    def forward(self, tokens):
        tokens = torch.cat([self.cls.expand(len(tokens), -1, -1), tokens], dim=1)
        return self.readout(self.encoder(tokens)[:, 0])


def cnn():
    return nn.Sequential(
        nn.Conv2d(3, 5, 3), nn.BatchNorm2d(5), nn.ReLU(inplace=True), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(45, 12)
    ).eval()


def layer_norm():
    return nn.Sequential(nn.Linear(5, 9), nn.LayerNorm(9), nn.GELU(), nn.Dropout(0.5), nn.Linear(9, 30)).eval()


def no_linear_end():
    return nn.Sequential(nn.Linear(5, 8), nn.Tanh(), nn.Linear(8, 20), nn.Softmax(-1))


def bottleneck():
    return nn.Sequential(nn.Linear(6, 2), nn.Tanh(), nn.Linear(2, 9))


@dataclass(frozen=True)
class Case:
    """A model, drawn anew by each seed, and the shape of its samples.

    With ``rank``, features are combinations of so many: their covariance is singular.
    """

    draw: Callable
    shape: tuple[int, ...]
    rank: int | None = None

    def model(self, seed=0):
        torch.manual_seed(seed)
        return self.draw()

    def samples(self, n_samples=10, seed=2):
        X = normal(n_samples, *self.shape, seed=seed)
        return X if self.rank is None else X[:, : self.rank] @ normal(self.rank, *self.shape, seed=seed + 1)


CASES = {
    "residual relu": Case(Functional, (6,)),
    "gated": Case(Gated, (6,)),
    "linear": Case(lambda: nn.Linear(6, 5), (6,)),
    "one voxel": Case(lambda: nn.Sequential(nn.Linear(6, 8), nn.GELU(), nn.Linear(8, 1)), (6,)),
    "one feature": Case(lambda: nn.Sequential(nn.Linear(1, 8), nn.Tanh(), nn.Linear(8, 4)), (1,)),
    "two hidden units": Case(bottleneck, (6,)),
    "rank-deficient features": Case(Functional, (6,), rank=3),
    "CNN on images": Case(cnn, (3, 8, 8)),
    "transformer with [CLS]": Case(lambda: Transformer().eval(), (4, 8)),
    "MLP with LayerNorm": Case(layer_norm, (5,)),
    "no linear end": Case(no_linear_end, (5,)),
    "scalar function": Case(lambda: lambda x: torch.sin(x).prod(-1), (5,)),
}
