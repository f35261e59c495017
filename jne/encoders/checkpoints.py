"""Fits that resume: what the next epoch depends on, in a file that is written now and then while a fit runs."""

from __future__ import annotations

import time
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import nn

from jne._core import code_hash, hash_parameters, read_tensors, version_of, write_tensors
from jne.datasets import Training

SECONDS = 30.0
"""Fits that take no longer write nothing."""
SHARE = 0.01
"""Of a fit's time that may go into its checkpoints."""
_BYTES_A_SECOND = 3e8  # of the first checkpoint, before it is known how long one takes


@dataclass
class Run:
    """All that the rest of a fit depends on, and its best weights so far."""

    module: nn.Module
    optimizer: torch.optim.Optimizer
    order: torch.Generator  # of minibatches
    train_loss: list[float] = field(default_factory=list)
    validation_loss: list[float] = field(default_factory=list)
    best_epoch: int = -1
    best_weights: dict[str, torch.Tensor] = field(default_factory=dict)
    finished: bool = False

    @property
    def best_loss(self) -> float:
        return self.validation_loss[self.best_epoch] if self.best_epoch >= 0 else float("inf")

    def history(self) -> dict[str, Any]:
        """What an encoder tells of its fit."""
        losses = {"train_loss": self.train_loss, "validation_loss": self.validation_loss}
        return {**losses, "best_epoch": self.best_epoch}

    def tensors(self) -> dict[str, torch.Tensor]:
        """Of a finished fit the best weights; else also the present ones, the optimizer and the order of batches."""
        found = {f"best.{name}": value for name, value in self.best_weights.items()}
        if not self.finished:
            found |= {f"module.{name}": value for name, value in self.module.state_dict().items()}
            for number, values in self.optimizer.state_dict()["state"].items():
                found |= {f"optimizer.{number}.{name}": value for name, value in values.items()}
            found["order"] = self.order.get_state()
        return found

    def restore(self, state: Mapping[str, Any], tensors: Mapping[str, torch.Tensor]) -> None:
        """Become what `history`, `finished` and `tensors` were taken of."""
        self.train_loss, self.validation_loss = state["train_loss"], state["validation_loss"]
        self.best_epoch, self.finished = state["best_epoch"], state["finished"]
        device = next(self.module.parameters()).device
        self.best_weights = {name: value.to(device) for name, value in _part(tensors, "best").items()}
        if not self.finished:
            self.module.load_state_dict(_part(tensors, "module"))
            optimizer: dict[int, dict[str, torch.Tensor]] = {}
            for name, value in _part(tensors, "optimizer").items():
                number, _, kind = name.partition(".")
                optimizer.setdefault(int(number), {})[kind] = value
            self.optimizer.load_state_dict({**self.optimizer.state_dict(), "state": optimizer})
            self.order.set_state(tensors["order"])


class Checkpoint:
    """The checkpoint of one fit in a folder, under a name that data and parameters give; without a folder, none.

    It is written once ``SECONDS`` have passed, and as often as takes no more than ``SHARE`` of the time.
    """

    def __init__(self, folder: str | Path | None, parameters: Mapping[str, Any], arrays: Training):
        self.folder = None if folder is None else Path(folder)
        self.parameters, self.arrays = parameters, arrays
        self.began = time.monotonic()
        self.path: Path | None = None
        self.cost: float | None = None

    def read(self, run: Run) -> None:
        """Bring a run to where its checkpoint was taken; one that is damaged is named, and left aside."""
        # The name is a digest of the data: where there is no checkpoint at all, it is not worth while.
        if self.folder is None or not any(self.folder.glob("*.safetensors")) or not self._named().exists():
            return
        try:
            state, tensors = _read(self._named())
        except (ValueError, OSError) as error:
            warnings.warn(f"{error}; the fit starts again", stacklevel=2)
            return
        run.restore(state, tensors)

    def write(self, run: Run) -> None:
        """Write where it is time to, or where a fit that has a checkpoint is finished; a warning where that fails."""
        if self.folder is None or not (self._due(run) or (run.finished and self.path and self.path.exists())):
            return
        start = time.monotonic()
        try:
            _write(run, self._named())
        except OSError as error:  # a full disk, a folder that may not be written ...
            warnings.warn(f"no checkpoint was written, and the fit goes on: {error}", stacklevel=2)
        self.began = time.monotonic()
        self.cost = self.began - start

    def _due(self, run: Run) -> bool:
        if self.cost is None:
            n_bytes = sum(array.nbytes for array in self.arrays[:4])  # which the name is a digest of
            self.cost = (n_bytes + sum(tensor.nbytes for tensor in run.tensors().values())) / _BYTES_A_SECOND
        return time.monotonic() - self.began >= max(SECONDS, self.cost / SHARE)

    def _named(self) -> Path:
        if self.path is None:
            assert self.folder is not None  # noqa: S101  # for mypy: the callers have looked
            key = {**self.parameters, "arrays": list(self.arrays[:4])}
            key |= {"code": code_hash("fit"), "torch": version_of("torch")}
            self.path = self.folder / f"{hash_parameters(key)}.safetensors"
        return self.path


def _write(run: Run, path: Path) -> None:
    tensors = {name: value.detach().contiguous().cpu() for name, value in run.tensors().items()}
    header = {"state": {**run.history(), "finished": run.finished}}
    write_tensors(tensors, header, path, where="in the history of a fit")


def _read(path: Path) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
    """State and tensors; a ValueError that names the file unless they are what was written."""
    header, tensors = read_tensors(path, "checkpoint")
    if "state" not in header:
        raise ValueError(f"checkpoint: {path} is a safetensors file of another kind")
    return header["state"], tensors


def _part(tensors: Mapping[str, torch.Tensor], name: str) -> dict[str, torch.Tensor]:
    return {key.removeprefix(f"{name}."): value for key, value in tensors.items() if key.startswith(f"{name}.")}
