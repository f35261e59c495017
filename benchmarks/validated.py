"""The validated share: the size and power of its test, what it follows, and what noise does to it.

Linear truths with a made-up nonlinear prediction (size); then fitted encoders: voxels with shares from 0 to 1 and noise
ceilings from 0.1 to 0.8 by number of training stimuli and of features, once at the size of NSD with one fit and the
mean of three; power; and one fit with more and more noise in the test responses. Sections are written to
``results/validated.json`` beside this file as they are done; a second call goes on from there. About 30 minutes on one
core::

    OMP_NUM_THREADS=1 python benchmarks/validated.py
"""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path

import click
import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from _common import Results, machine
from confirmed_worlds import world

import jne
from jne._core import code_hash, provenance
from jne.accuracy import prediction_share
from jne.simulations import mixed_response, power_law_features
from jne.statistics import partial_spearman, spearman

RESULTS = Path(__file__).parent / "results" / "validated.json"
NULLS = {
    "Gaussian": {},
    "t, 3 degrees of freedom": {"noise": "t"},
    "noise grows with |x|": {"noise": "growing"},
    "clustered features": {"clusters": 6},
}
SIZES = [
    {"n_all": 600, "n_test": 600, "n_features": 48},
    {"n_all": 600, "n_test": 600, "n_features": 300},
    {"n_all": 1800, "n_test": 600, "n_features": 900},
]
"""The last two have half as many features as stimuli."""
FITS = [{"n_train": n, "n_features": d} for d in (64, 384) for n in (1000, 3000, 7000)]
NSD = {"n_train": 8000, "n_validation": 800, "n_test": 1000, "n_features": 768, "hidden_size": 512}
ENCODER = {"batch_size": 256, "lr": 2e-3, "max_epochs": 200, "device": "cpu"}


def size(null: dict, numbers: dict, sets: int, n_voxels: int) -> dict:
    """Rate of p < 0.05 over independent sets of stimuli, on voxels that are linear."""
    rates, shares = [], []
    for seed in range(sets):
        X, f, y, _ = world((seed, 17), **numbers, n_voxels=n_voxels, **null)
        found = _validated(X, f, y)
        rates.append(float((found.p_value < 0.05).mean()))
        shares.append(float(found.validated_share.mean()))
    return {"rate": float(np.mean(rates)), "se": float(np.std(rates) / np.sqrt(sets)), "share": float(np.mean(shares)),
            "n_voxels": sets * n_voxels}  # fmt: skip


def _validated(X: np.ndarray, f: np.ndarray, y: np.ndarray):
    n = len(y)
    return jne.validated_share(f[-n:], y, X[-n:], all_predictions=f, all_features=X)


def draw(seed: int, alpha: np.ndarray, ceiling: np.ndarray, counts: list[int], n_features: int):
    """Features, signals and responses ``[train, validation, test]``."""
    rng = np.random.default_rng(seed)
    X = power_law_features(rng, sum(counts), n_features).astype(np.float32)
    signal, Y = mixed_response(X, alpha, ceiling, random_state=seed)
    ends = np.cumsum(counts)[:-1]
    return np.split(X, ends), np.split(signal, ends), np.split(Y.astype(np.float32), ends)


def fit(X: list, Y: list, n_seeds: int, hidden_size: int) -> list[jne.ResidualEncoder]:
    options = {**ENCODER, "hidden_size": hidden_size}
    return [jne.ResidualEncoder(**options, random_state=seed).fit(X[0], Y[0], X[1], Y[1]) for seed in range(n_seeds)]


def recovery(
    n_train: int, n_features: int, n_validation: int = 500, n_test: int = 600, hidden_size: int = 256,
    seeds: tuple[int, ...] = (1,), n_voxels: int = 200,
) -> dict:  # fmt: skip
    """Ranks and bias of the validated share beside the plain ones, of one fit and of means of several."""
    rng = np.random.default_rng(n_train + n_features)
    alpha, ceiling = rng.uniform(size=n_voxels), rng.uniform(0.1, 0.8, n_voxels)
    X, signal, Y = draw(n_train, alpha, ceiling, [n_train, n_validation, n_test], n_features)
    fits, everything = fit(X, Y, max(seeds), hidden_size), np.concatenate(X)
    found: dict = {"size": {"n_train": n_train, "n_test": n_test, "n_features": n_features}}
    for n_fits in seeds:
        encoder = fits[0] if n_fits == 1 else jne.MeanEncoder.of(fits[:n_fits])
        f = encoder.predict(everything)
        validated = _validated(everything, f, Y[2])
        measured = jne.nonlinearity(encoder, X[2][:300], return_samples=False)
        values = {
            "validated_share": validated.validated_share.values,
            "prediction_share": prediction_share(everything, f),
            "nonlinear_share": measured.nonlinear_share.values,
            "jne": measured.jne.values,
        }
        rows = {name: _follows(value, alpha, ceiling) for name, value in values.items()}
        # The share that the fit has learnt, and would have with responses without noise.
        rows["learnt"] = _follows(_validated(everything, f, signal[2]).validated_share.values, alpha, ceiling)
        r2 = jne.r2_score(Y[2], f[-n_test:])
        found[f"{n_fits} fits"] = rows | {"explained": float(np.sum(r2) / np.sum(ceiling))}
    return found


def _follows(values: np.ndarray, alpha: np.ndarray, ceiling: np.ndarray) -> dict[str, float]:
    kept = np.isfinite(values)
    values, alpha, ceiling = values[kept], alpha[kept], ceiling[kept]
    return {
        "n": int(kept.sum()),
        "with_share": spearman(values, alpha),
        "partial_ceiling": partial_spearman(values, ceiling, alpha),
        "bias": float(np.median(values - alpha)),
    }


def power(seed: int, n_train: int = 3000, n_test: int = 600, n_features: int = 48, n_voxels: int = 300) -> dict:
    """Rate of p < 0.05 at share .15 and 0, noise ceiling .3, beside voxels of all kinds; one fit, the mean of three."""
    rng = np.random.default_rng(seed)
    alpha = np.concatenate([np.repeat([0.15, 0.0], n_voxels // 3), rng.uniform(size=n_voxels // 3)])
    ceiling = np.concatenate([np.full(2 * (n_voxels // 3), 0.3), rng.uniform(0.1, 0.8, n_voxels // 3)])
    X, _, Y = draw(seed, alpha, ceiling, [n_train, 400, n_test], n_features)
    fits, everything, found = fit(X, Y, 3, 256), np.concatenate(X), {}
    for name, encoder in {"1 fits": fits[0], "3 fits": jne.MeanEncoder.of(fits)}.items():
        called = _validated(everything, encoder.predict(everything), Y[2]).p_value.values < 0.05
        found[name] = {"power": float(called[alpha == 0.15].mean()), "size": float(called[alpha == 0].mean())}
    return found


def noise(n_voxels: int = 300, n_test: int = 1000) -> dict:
    """Mean share of one fit, as test responses have less and less signal."""
    rng = np.random.default_rng(5)
    alpha = rng.uniform(size=n_voxels)
    X, signal, Y = draw(5, alpha, np.full(n_voxels, 0.6), [3000, 400, n_test], 64)
    f = fit(X, Y, 1, 256)[0].predict(np.concatenate(X))
    means = {}
    for ceiling in (0.6, 0.4, 0.2):
        y = signal[2] + rng.normal(size=signal[2].shape) * np.sqrt((1 - ceiling) / ceiling)
        found = _validated(np.concatenate(X), f, y)
        means[f"{ceiling}"] = {"mean": float(found.validated_share.mean()),
                               "n": int(found.validated_share.notnull().sum())}  # fmt: skip
    return means


@click.command(help=__doc__)
@click.option("--sets", default=20, show_default=True, help="Independent sets of stimuli of each null.")
@click.option("--fresh", is_flag=True, help="Measure everything again.")
def main(sets: int, fresh: bool) -> None:
    torch.set_num_threads(1)
    settings = {"encoder": ENCODER, "sets": sets, "code": code_hash("study"), **provenance()}
    results = Results(RESULTS, settings, fresh)
    for name, null in NULLS.items():
        for numbers in SIZES:
            what = f"size: {name}, {numbers['n_features']} features, {numbers['n_all']} stimuli"
            print(what, results.section(what, partial(size, null, numbers, sets, 100)))
    for seed in range(3):
        print(f"power, seed {seed}", results.section(f"power, seed {seed}", partial(power, seed)))
    print("noise", results.section("noise", noise))
    for numbers in FITS:
        what = f"recovery: {numbers['n_train']} training stimuli, {numbers['n_features']} features"
        print(what, results.section(what, partial(recovery, **numbers)))
    print("NSD", results.section("recovery: size of NSD", partial(recovery, **NSD, seeds=(1, 3))))
    results.finish(machine=machine(1))


if __name__ == "__main__":
    main()
