"""Every way that the engine may take to a Jacobian, on one problem each, against dense Jacobians in float64.

For the tests of a card and for ``benchmarks/gpu.py``; where there is no card, the same runs on a CPU.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import oracles
import torch
from cases import Residual, normal
from torch import nn

from jne import ResidualEncoder, crossfit_nonlinearity, jacobian, nonlinearity

N, D, H, V = 40, 48, 64, 120
MEASURES = ("jne", "mean_deviation", "gain", "relative", "nonlinear_share")
PLAIN = MEASURES[:4]
TERMS = ("crossfit_nonlinear", "crossfit_linear", "crossfit_residual", "crossfit_predicted", "crossfit_jne_ss")


class Swish(nn.Module):
    """A gated unit that the chain rule does not know: its trunk is differentiated by torch."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * torch.sigmoid(x)


def gated(n_features: int = D, hidden: int = H, n_voxels: int = V) -> nn.Sequential:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        layers = nn.Linear(n_features, hidden), Swish(), nn.Linear(hidden, hidden), Swish()
        return nn.Sequential(*layers, nn.Linear(hidden, n_voxels))


def residual(activation: str = "gelu", n_voxels: int = V) -> Residual:
    return Residual(D, H, n_voxels, activation=activation)


def full_rank() -> np.ndarray:
    root = normal(D, D, seed=3, dtype=torch.float64) / D**0.5
    return (root @ root.T + 0.1 * torch.eye(D, dtype=torch.float64)).numpy()


@dataclass(frozen=True)
class Path:
    """A model and the options with which `jne.nonlinearity` takes one way to its measures."""

    model: Callable[[], nn.Module]
    taken: str  # ``path, differentiation`` of the result
    options: dict = field(default_factory=dict)
    n_features: int = D


PATHS = {
    "readout, products": Path(residual, "factorised, products"),
    "readout, products, ReLU": Path(lambda: residual("relu"), "factorised, products"),
    "readout, products, full rank": Path(residual, "factorised, products", {"covariance": full_rank()}),
    "readout, products, no share": Path(residual, "factorised, products", {"covariance": False}),
    "readout, products, many voxels": Path(lambda: residual(n_voxels=160), "factorised, products"),
    "readout, little memory": Path(residual, "factorised, products", {"max_memory": "700KB"}),
    "readout, few voxels at a time": Path(residual, "factorised, products", {"n_voxels_batch": 7}),
    "readout, no samples": Path(residual, "factorised, products", {"return_samples": False}),
    "readout, linear": Path(lambda: residual("identity"), "factorised, products", {"covariance": False}),
    "readout, forward": Path(gated, "factorised, forward"),
    "readout, reverse": Path(lambda: gated(hidden=D - 16), "factorised, reverse"),
    "columns": Path(residual, "general, forward", {"readout": False}),
    "rows": Path(lambda: residual(n_voxels=30), "general, reverse", {"readout": False}),
}
"""Ways of `jne.nonlinearity`."""


def away_from_kinks(model: nn.Module, X: torch.Tensor, least: float = 1e-5) -> torch.Tensor:
    """The samples at which no input of an activation is so small that rounding may change its side."""
    closest: list[torch.Tensor] = []
    layers = [m for name, m in model.named_modules() if isinstance(m, nn.Linear) and name != "readout"]
    hooks = [layer.register_forward_hook(lambda m, a, y: closest.append(y.abs().amin(1))) for layer in layers]
    with torch.no_grad():
        model(X)
    for hook in hooks:
        hook.remove()
    return X[torch.stack(closest).amin(0) > least]


def of_path(path: Path, device: str, precision: str) -> dict[str, float]:
    """Largest error of each measure, of any voxel relative to its value.

    Where values are all 0 (a linear model), the error is relative to the gain.
    """
    model, X = path.model().eval(), normal(N, D, seed=1)
    X = away_from_kinks(model, X) if "relu" in str(getattr(model, "activation", "")) else X
    covariance = path.options.get("covariance")
    metric = np.eye(D) if covariance is False else covariance
    expected = oracles.of_jacobian(
        oracles.dense_jacobian(model, X), oracles.sample_covariance(X) if metric is None else metric
    )
    found = nonlinearity(model, X, device=device, precision=precision, **path.options)
    taken = f"{found.path}, {found.differentiation}"
    assert taken == path.taken, f"{taken} was taken, not {path.taken}"
    names = PLAIN if covariance is False else MEASURES
    return {name: _error(found[name].values, expected[name], expected["gain"]) for name in names}


def of_jacobian(device: str, precision: str) -> dict[str, float]:
    """`jne.jacobian`, relative to the largest slope."""
    model, X = residual(), normal(N, D, seed=1)
    exact = oracles.dense_jacobian(model, X)
    found = jacobian(model, X, device=device, precision=precision)
    return {"jacobian": float(np.abs(found - exact).max() / np.abs(exact).max())}


def of_crossfit(device: str, precision: str) -> dict[str, float]:
    """What two fits share, against the same in float64 on the CPU, relative to the largest of any voxel."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(4 * N + 2 * D, D)).astype(np.float32)
    Y = (X @ rng.normal(size=(D, V)) + rng.normal(size=(len(X), V))).astype(np.float32)
    (X, X_val, X_test), (Y, Y_val, _) = (np.split(a, [2 * N, 4 * N]) for a in (X, Y))
    options = {"hidden_size": H, "activation": "gelu", "max_epochs": 3, "device": "cpu"}

    def run(device: str, precision: str):
        def make(seed: int) -> ResidualEncoder:
            return ResidualEncoder(**options, random_state=seed)

        settings = {"n_splits": 1, "refit": False, "return_samples": True}
        data = X, Y, X_val, Y_val, X_test
        return crossfit_nonlinearity(make, data, device=device, precision=precision, **settings)

    found, exact = run(device, precision), run("cpu", "float64")
    return {name: float(np.abs(found[name] - exact[name]).max() / np.abs(exact[name]).max()) for name in TERMS}


def of_fit(device: str, batch_size: int | None) -> dict[str, float]:
    """Predictions of a fit on the device against those of the same fit on the CPU, in standard deviations."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(300, D)).astype(np.float32)
    Y = (np.maximum(X @ rng.normal(size=(D, V)), 0) + rng.normal(size=(300, V))).astype(np.float32)
    options = {"hidden_size": H, "max_epochs": 5, "batch_size": batch_size}
    arrays = X[:200], Y[:200], X[200:], Y[200:]
    there, here = (ResidualEncoder(**options, device=d).fit(*arrays).predict(X) for d in (device, "cpu"))
    return {"predictions": float(np.abs(there - here).max() / here.std())}


CHECKS: dict[str, Callable[[str, str], dict[str, float]]] = {
    **{name: (lambda device, precision, path=path: of_path(path, device, precision)) for name, path in PATHS.items()},
    "jacobian": of_jacobian,
    "cross-fitting": of_crossfit,
}
"""Name of a check to a function of device and precision."""


def _error(found: np.ndarray, expected: np.ndarray, gain: np.ndarray) -> float:
    scale = np.where(np.abs(expected) > 1e-9 * gain, np.abs(expected), gain)
    return float((np.abs(found - expected) / scale).max())
