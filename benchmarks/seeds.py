"""What several fits cost: their mean model against one fit and three, and three fits at once against one by one.

    .venv/bin/python benchmarks/seeds.py     # one thread, about three minutes

Sizes of a chapter. Everything is timed in turn, in one run. Writes results/seeds.json.

- measures: `jne.nonlinearity` of one fit, of the mean of three, of three one after the other, and of one fit with what
  can be asked for beside (mean slopes, their variance)
- fits: three `jne.ResidualEncoder` one by one, and the same three as one network of batched products, where batches
  hold the same stimuli in all three; their losses must agree to 2 %
"""

from __future__ import annotations

from pathlib import Path

import click
import numpy as np
import torch
from _common import Results, interleaved, machine, ratios
from torch import nn

import jne
from jne._core import code_hash, provenance

RESULTS = Path(__file__).parent / "results" / "seeds.json"
SIZES = {"n_train": 2400, "n_validation": 300, "n_test": 300, "n_features": 64, "n_voxels": 800}
OPTIONS = {"hidden_size": 256, "batch_size": 256, "lr": 0.002, "patience": 100, "device": "cpu"}
SEEDS = (0, 1, 2)
EPOCHS = 6


class Batched(nn.Module):
    """M residual networks of one shape as one of batched products: ``(n, n_features) -> (M, n, n_voxels)``."""

    def __init__(self, networks):
        super().__init__()
        stack = lambda layers: nn.Parameter(torch.stack([layer.weight.detach().T for layer in layers]).contiguous())  # noqa: E731
        self.first = nn.Parameter(torch.cat([network.first.weight.detach() for network in networks]).T.contiguous())
        self.blocks = nn.ParameterList(map(stack, zip(*(network.blocks for network in networks), strict=True)))
        self.readout = stack([network.readout for network in networks])

    def forward(self, x):
        hidden = torch.relu(x @ self.first).unflatten(1, (len(self.readout), -1)).transpose(0, 1)
        for block in self.blocks:
            hidden = torch.relu(torch.bmm(hidden, block)) + hidden
        return torch.bmm(hidden, self.readout)


def fit_batched(encoder, arrays, n_epochs) -> list[float]:
    """Validation losses of the last epoch of three fits at once."""
    x, y, x_val, y_val = arrays
    network = Batched([encoder.with_seed(seed).initial_module(x.shape[1], y.shape[1]) for seed in SEEDS])
    optimizer = torch.optim.AdamW(network.parameters(), lr=encoder.lr, weight_decay=encoder.weight_decay, fused=True)
    order = torch.Generator().manual_seed(0)
    for _ in range(n_epochs):
        for index in torch.randperm(len(x), generator=order).split(encoder.batch_size):
            optimizer.zero_grad()
            # The sum over fits of each one's mean: every fit's own gradient.
            (network(x[index]) - y[index]).square().mean((1, 2)).sum().backward()
            optimizer.step()
        with torch.no_grad():
            losses = (network(x_val) - y_val).square().mean((1, 2))
    return losses.tolist()


def measure(repeats: int) -> dict:
    """Seconds and ratios of everything."""
    rng = np.random.default_rng(0)
    counts = [SIZES[name] for name in ("n_train", "n_validation", "n_test")]
    X = rng.normal(size=(sum(counts), SIZES["n_features"]))
    signal = np.maximum(X @ rng.normal(size=(X.shape[1], 32)), 0) @ rng.normal(size=(32, SIZES["n_voxels"]))
    Y = signal / signal.std(0) + rng.normal(size=signal.shape)
    (X, X_val, X_test), (Y, Y_val, _) = (np.split(a, np.cumsum(counts)[:-1]) for a in (X, Y))
    encoder = jne.ResidualEncoder(**OPTIONS, max_epochs=EPOCHS)
    fit = lambda seed: encoder.with_seed(seed).fit(X, Y, X_val, Y_val)  # noqa: E731
    fits = [fit(seed) for seed in SEEDS]
    tensors = [torch.from_numpy(fits[0].scale_features(a)) for a in (X, X_val)]
    tensors[1:1] = [torch.from_numpy(fits[0].scale_responses(Y))]
    tensors.append(torch.from_numpy(fits[0].scale_responses(Y_val)))
    single = [one.history_["validation_loss"][-1] for one in fits]
    batched = fit_batched(encoder, tensors, EPOCHS)
    assert np.allclose(single, batched, rtol=0.02), (single, batched)
    mean, quiet = jne.MeanEncoder.of(fits), {"return_samples": False}
    measures = interleaved(
        {
            "one fit": lambda: jne.nonlinearity(fits[0], X_test, **quiet),
            "mean of three": lambda: jne.nonlinearity(mean, X_test, **quiet),
            "three, one by one": lambda: [jne.nonlinearity(one, X_test, **quiet) for one in fits],
            "one fit, mean slopes": lambda: jne.nonlinearity(fits[0], X_test, mean_jacobian=True, **quiet),
            "one fit, variance of slopes": lambda: jne.nonlinearity(fits[0], X_test, feature_variance=True, **quiet),
        },
        repeats,
    )
    ways = {"one fit": lambda: fit(0), "three, one by one": lambda: [fit(seed) for seed in SEEDS]}
    ways["three at once"] = lambda: fit_batched(encoder, tensors, EPOCHS)
    fitted = interleaved(ways, repeats)
    found = {"validation losses": {"one by one": single, "at once": batched}}
    for name, seconds in (("measures", measures), ("fits", fitted)):
        found[name] = {"seconds": seconds, "over one fit": ratios(seconds, "one fit")}
        for way, over in found[name]["over one fit"].items():
            click.echo(f"\n{name:10} {way:30} {over['wall']:6.2f} wall {over['cpu']:6.2f} CPU, of one fit", nl=False)
    click.echo()
    return found


@click.command(help=__doc__)
@click.option("--repeats", default=7, show_default=True)
@click.option("--fresh", is_flag=True, help="Measure everything again.")
def main(repeats: int, fresh: bool) -> None:
    torch.set_num_threads(1)
    settings = {"sizes": SIZES, "options": OPTIONS, "epochs": EPOCHS, "code": code_hash("study"), **provenance()}
    results = Results(RESULTS, settings, fresh)
    results.section("chapter", lambda: measure(repeats))
    results.finish(machine=machine(1), repeats=repeats)


if __name__ == "__main__":
    main()
