"""Fits of `jne.ResidualEncoder`: seconds an epoch, and those that an epoch's matrix products take alone."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np
import torch
from _clock import clock, peak, wait_for

from jne import ResidualEncoder
from jne._core import resolve_device


@dataclass(frozen=True)
class FitCase:
    """Stimuli for training and validation, features, voxels and hidden units; two residual blocks."""

    n: int
    n_val: int
    D: int
    V: int
    H: int

    @property
    def layers(self) -> list[tuple[int, int]]:
        """Inputs and outputs of the four layers."""
        return [(self.D, self.H), (self.H, self.H), (self.H, self.H), (self.H, self.V)]

    @property
    def flops(self) -> int:
        """Operations of an epoch's products: forward and both gradients in training, forward in validation."""
        weights = sum(a * b for a, b in self.layers)
        # Nobody asks for the gradient of the features.
        return 2 * (3 * self.n + self.n_val) * weights - 2 * self.n * self.D * self.H


Arrays = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]


def simulate(case: FitCase, n_test: int = 0, seed: int = 0) -> tuple[Arrays, Arrays]:
    """Simulated features, and responses of rectified and linear projections with as much noise as signal.

    ``X, Y, X_val, Y_val`` to fit, and ``X, Y`` to test.
    """
    rng, n = np.random.default_rng(seed), case.n + case.n_val + n_test
    X = rng.standard_normal((n, case.D), np.float32)
    units = X @ rng.standard_normal((case.D, 64), np.float32) / np.float32(case.D**0.5)
    units[:, ::2] = np.maximum(units[:, ::2], 0)
    Y = units @ rng.standard_normal((64, case.V), np.float32) / np.float32(8)
    for block in np.array_split(Y, 10):
        block += rng.standard_normal(block.shape, np.float32)
    ends = [case.n, case.n + case.n_val]
    (X, X_val, X_test), (Y, Y_val, Y_test) = np.split(X, ends), np.split(Y, ends)
    return (X, Y, X_val, Y_val), (X_test, Y_test)


def products(case: FitCase, batch_size: int | None, device: torch.device, repeats: int) -> float:
    """Seconds of an epoch's matrix products in torch's own precision, each into memory that is there already."""
    size = min(batch_size or case.n, case.n)
    steps, total = case.n / size, 0.0
    for number, (a, b) in enumerate(case.layers):
        x, w, g = (torch.randn(shape, device=device) for shape in ((size, a), (b, a), (size, b)))
        y, gw, gx = torch.empty_like(g), torch.empty_like(w), torch.empty_like(x)

        def step(x=x, w=w, g=g, y=y, gw=gw, gx=gx, first=number == 0):
            torch.mm(x, w.T, out=y)
            torch.mm(g.T, x, out=gw)
            if not first:
                torch.mm(g, w, out=gx)

        total += steps * clock(step, device, repeats)
        # Validation is one forward product of all its stimuli.
        v, out = torch.randn(case.n_val, a, device=device), torch.empty(case.n_val, b, device=device)
        total += clock(lambda v=v, w=w, out=out: torch.mm(v, w.T, out=out), device, repeats)
    return total


def fit(case: FitCase, arrays: Arrays, epochs: int, device: str, *, folder=None, **options) -> ResidualEncoder:
    """A fit of just so many epochs."""
    options = {"hidden_size": case.H, "max_epochs": epochs, "patience": epochs, "device": device, **options}
    return ResidualEncoder(**options).fit(*arrays, folder=folder)


def measure_epochs(
    case: FitCase, arrays: Arrays, device: str, epochs: tuple[int, int], repeats: int, batch_size: int | None = None
) -> dict:
    """Seconds an epoch and before the first, from fits of fewer and of more epochs, beside those of the products."""
    where, seconds = resolve_device(device), []
    # The first also pays for what only the first costs.
    highest = peak(lambda: fit(case, arrays, 1, device, batch_size=batch_size), where)
    for n in epochs:
        start = time.perf_counter()
        fit(case, arrays, n, device, batch_size=batch_size)
        wait_for(where)
        seconds.append(time.perf_counter() - start)
    an_epoch = (seconds[1] - seconds[0]) / (epochs[1] - epochs[0])
    floor = products(case, batch_size, where, repeats)
    return {
        "case": vars(case),
        "batch_size": batch_size,
        "epochs": list(epochs),
        "seconds": seconds,
        "seconds_an_epoch": an_epoch,
        "seconds_before": seconds[0] - epochs[0] * an_epoch,
        "gemm_seconds_an_epoch": floor,
        "in_gemm": an_epoch / floor,
        "flops_an_epoch": case.flops,
        "flops_per_second": case.flops / an_epoch,
        "peak_bytes": highest,
        "array_bytes": sum(array.nbytes for array in arrays),
    }
