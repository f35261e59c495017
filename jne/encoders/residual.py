"""`ResidualEncoder`: a residual multilayer perceptron shared by all voxels, in the form of the paper's encoder."""

from __future__ import annotations

import logging
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from tqdm import tqdm

from jne._core import new_session, real_number, resolve_device, threads_for, truth_value, whole_number
from jne.datasets import Training
from jne.encoders.base import Encoder
from jne.encoders.checkpoints import Checkpoint, Run

ACTIVATIONS: dict[str | None, type[nn.Module]] = {
    "relu": nn.ReLU,
    "gelu": nn.GELU,
    "tanh": nn.Tanh,
    "elu": nn.ELU,
    "silu": nn.SiLU,
    "leaky_relu": nn.LeakyReLU,
    "sigmoid": nn.Sigmoid,
    None: nn.Identity,
}


OPTIMIZERS = ("adamw", "adam")

_log = logging.getLogger(__name__)
_TOLD_EVERY = 30  # seconds


class ResidualNetwork(nn.Module):
    """``h = act(W0 x)``, then ``h = act(W h) + h`` for every block, then the readout ``y = W_out h``.

    Input ``(n_samples, n_features)``, output ``(n_samples, n_voxels)``. With ``bias`` every layer has one.
    """

    def __init__(
        self,
        n_features: int,
        hidden_size: int,
        n_voxels: int,
        n_blocks: int,
        activation: str | None,
        bias: bool = False,
    ):
        super().__init__()
        self.first = nn.Linear(n_features, hidden_size, bias=bias)
        self.blocks = nn.ModuleList(nn.Linear(hidden_size, hidden_size, bias=bias) for _ in range(n_blocks))
        self.readout = nn.Linear(hidden_size, n_voxels, bias=bias)
        self.activation = ACTIVATIONS[activation]()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        hidden = self.activation(self.first(x))
        for block in self.blocks:
            hidden = self.activation(block(hidden)) + hidden
        return self.readout(hidden)


class ResidualEncoder(Encoder):
    """The encoding model of the paper, as its authors released it; with ``activation=None`` it is linear.

    Fitted to the mean squared error of z-scored responses. Training stops when the validation loss has
    not improved for ``patience`` epochs, and the weights of the best epoch are restored.

    The layers are the paper's, four with skip connections round the second and third, and so are ReLU and
    ``patience=8``. The paper's layers have biases, its optimizer is Adam, and it does not state a width. No biases,
    ``hidden_size=1024``, AdamW with its ``lr`` and ``weight_decay``, full batches and ``max_epochs=512`` are from the
    authors' release, which however keeps the weights of the last epoch. ``bias=True`` with ``optimizer="adam"`` is
    equation 7 of the paper.

    Parameters
    ----------
    hidden_size : int
        Width H of the trunk.
    n_blocks : int
        Residual blocks after the first layer.
    activation : {"relu", "gelu", "tanh", "elu", "silu", "leaky_relu", "sigmoid", None}
    batch_size : int, optional
        Samples per gradient step; None is full batch, as in the release.
    lr : float
    weight_decay : float
        Of AdamW; Adam goes without.
    max_epochs, patience : int
    standardize : bool
        z-score features and responses with training statistics; `predict` still speaks the caller's units.
    device : str
        ``"auto"`` is CUDA where there is a card, else the CPU.
    random_state : int
        Seeds the initial weights and the order of minibatches.
    bias : bool
        Whether the layers have biases.
    optimizer : {"adamw", "adam"}

    Attributes
    ----------
    module_ : ResidualNetwork
        From z-scored features to z-scored responses.
    history_ : dict
        ``train_loss`` and ``validation_loss`` per epoch (mean squared z-score), ``best_epoch`` (counts from 0).
        The training loss is that of the weights before the epoch's last step, the validation loss of those after.

    Examples
    --------
    >>> import numpy as np, jne
    >>> X = np.random.default_rng(0).normal(size=(600, 4))
    >>> Y = np.stack([X[:, 0], np.abs(X[:, 1])], axis=1)  # one linear response, and one without a linear part
    >>> encoder = jne.ResidualEncoder(hidden_size=64, lr=0.01, max_epochs=200)
    >>> encoder = encoder.fit(X[:400], Y[:400], X[400:500], Y[400:500])
    >>> encoder.predict(X[500:]).shape
    (100, 2)
    >>> bool((encoder.score(X[500:], Y[500:]) > 0.5).all())
    True
    """

    def __init__(
        self,
        hidden_size: int = 1024,
        n_blocks: int = 2,
        activation: str | None = "relu",
        batch_size: int | None = None,
        lr: float = 1e-3,
        weight_decay: float = 1e-2,
        max_epochs: int = 512,
        patience: int = 8,
        standardize: bool = True,
        device: str = "auto",
        random_state: int = 0,
        bias: bool = False,
        optimizer: str = "adamw",
    ):
        self.hidden_size = hidden_size
        self.n_blocks = n_blocks
        self.activation = activation
        self.batch_size = batch_size
        self.lr = lr
        self.weight_decay = weight_decay
        self.max_epochs = max_epochs
        self.patience = patience
        self.standardize = standardize
        self.device = device
        self.random_state = random_state
        self.bias = bias
        self.optimizer = optimizer
        self._check_parameters()

    def _check_parameters(self) -> None:
        if not isinstance(self.activation, str | None) or self.activation not in ACTIVATIONS:
            raise ValueError(f"activation={self.activation!r}; accepted are {', '.join(map(repr, ACTIVATIONS))}")
        if not isinstance(self.optimizer, str) or self.optimizer not in OPTIMIZERS:
            raise ValueError(f"optimizer={self.optimizer!r}; accepted are {', '.join(map(repr, OPTIMIZERS))}")
        truth_value(self.bias, "bias")
        truth_value(self.standardize, "standardize")
        real_number(self.lr, "lr", least=0)
        real_number(self.weight_decay, "weight_decay", least=0)
        whole_number(self.random_state, "random_state", 0)
        for name, least in (("hidden_size", 1), ("n_blocks", 0), ("batch_size", 1), ("max_epochs", 1), ("patience", 1)):
            if name != "batch_size" or self.batch_size is not None:
                whole_number(getattr(self, name), name, least)

    def _make_module(self, n_features: int, n_voxels: int) -> ResidualNetwork:
        sizes = n_features, int(self.hidden_size), n_voxels, int(self.n_blocks)
        return ResidualNetwork(*sizes, self.activation, bool(self.bias))

    @new_session()
    def initial_module(self, n_features: int, n_voxels: int) -> ResidualNetwork:
        """The network with the weights that ``random_state`` draws, on the CPU: the same for every device."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(int(self.random_state))
            return self._make_module(n_features, n_voxels)

    def _fit(self, arrays: Training, progress: bool, folder: str | Path | None = None) -> None:
        self._check_parameters()  # again, as set_params may have changed them
        self._fit_scaling(arrays.X, arrays.Y)
        device = resolve_device(self.device)
        x, x_val = (torch.from_numpy(self.scale_features(a)).to(device) for a in (arrays.X, arrays.X_val))
        y, y_val = (torch.from_numpy(self.scale_responses(a)).to(device) for a in (arrays.Y, arrays.Y_val))
        self.module_ = self.initial_module(x.shape[1], y.shape[1]).to(device)
        n_weights = sum(weight.numel() for weight in self.module_.parameters())
        with threads_for(n_weights * min(self.batch_size or len(x), len(x))):
            parameters = {"encoder": type(self).__name__, **self.get_params(deep=False)}
            checkpoint = Checkpoint(folder, parameters, arrays)
            self.history_ = self._train(x, y, x_val, y_val, progress, checkpoint)

    def _make_optimizer(self) -> torch.optim.Optimizer:
        weights = self.module_.parameters()
        # Fused: of small networks, a step's arithmetic costs less than telling of it weight by weight.
        if self.optimizer == "adam":
            return torch.optim.Adam(weights, lr=float(self.lr), fused=True)
        return torch.optim.AdamW(weights, lr=float(self.lr), weight_decay=float(self.weight_decay), fused=True)

    def _train(
        self,
        x: torch.Tensor,
        y: torch.Tensor,
        x_val: torch.Tensor,
        y_val: torch.Tensor,
        progress: bool,
        checkpoint: Checkpoint,
    ) -> dict[str, Any]:
        optimizer = self._make_optimizer()
        run = Run(self.module_, optimizer, torch.Generator().manual_seed(int(self.random_state)))
        checkpoint.read(run)
        first = self.max_epochs if run.finished else len(run.train_loss)
        quiet = None if progress else True
        bar = tqdm(range(first, self.max_epochs), "fit", self.max_epochs, unit="epoch", disable=quiet, initial=first)
        told = time.monotonic()
        for epoch in bar:
            run.train_loss.append(self._epoch(optimizer, x, y, run.order))
            with torch.no_grad():
                loss = nn.functional.mse_loss(self.module_(x_val), y_val).item()
            run.validation_loss.append(loss)
            bar.set_postfix(validation=f"{loss:.4f}", refresh=False)
            if time.monotonic() - told > _TOLD_EVERY:
                told = time.monotonic()
                _log.info("epoch %d of at most %d, validation loss %.4f", epoch + 1, self.max_epochs, loss)
            if not np.isfinite(loss):
                raise ValueError(f"the validation loss is {loss} after epoch {epoch}; lower lr (it is {self.lr})")
            if loss < run.best_loss:
                run.best_epoch = epoch
                # Cloned: a state_dict holds live references, which later epochs would overwrite.
                run.best_weights = {name: value.clone() for name, value in self.module_.state_dict().items()}
            elif epoch - run.best_epoch >= self.patience:
                break
            checkpoint.write(run)
        if not run.finished:
            run.finished = True
            checkpoint.write(run)
        self.module_.load_state_dict(run.best_weights)
        return run.history()

    def _epoch(
        self, optimizer: torch.optim.Optimizer, x: torch.Tensor, y: torch.Tensor, order: torch.Generator
    ) -> float:
        n_samples = len(x)
        size = min(int(self.batch_size or n_samples), n_samples)
        batches = [slice(None)] if size == n_samples else torch.randperm(n_samples, generator=order).split(size)
        total = 0.0
        for index in batches:
            optimizer.zero_grad()
            loss = nn.functional.mse_loss(self.module_(x[index]), y[index])
            loss.backward()
            optimizer.step()
            total += loss.item() * len(y[index])
        return total / n_samples
