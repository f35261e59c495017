"""What follows a planted nonlinearity and not the noise ceiling: every measure, plain and cross-fitted.

Simulated voxels as in `jne.simulations.recover`, with a noise ceiling uniform in [0.1, 0.8]; then a purely linear truth
beside voxels of pure noise; then the jackknife's errors against the spread over repeated experiments. Each seed is
written to ``results/crossfit.json`` beside this file when it is done; a second call goes on from there. About 10
minutes a seed on one core::

    OMP_NUM_THREADS=1 python benchmarks/crossfit.py --seeds 5
"""

from __future__ import annotations

import json
import time
from pathlib import Path

import click
import numpy as np
import torch
from _common import machine

import jne
from jne._core import code_hash, provenance, results_dir, write_json
from jne.simulations import mixed_response
from jne.statistics import partial_spearman, spearman

RESULTS = Path(__file__).parent / "results" / "crossfit.json"
DESIGN = {"n_train": 7000, "n_validation": 1000, "n_test": 400, "n_features": 128, "n_voxels": 400}
ENCODER = {"hidden_size": 256, "batch_size": 128, "lr": 1e-3, "patience": 8, "device": "cpu"}
CROSSFIT = {"splits": [1, 2, 4], "n_groups": 8}
CALIBRATION = {"n_train": 800, "n_validation": 200, "n_test": 200, "n_features": 12, "n_voxels": 40, "n_repeats": 24}
CALIBRATION_ENCODER = {"hidden_size": 64, "batch_size": 64, "lr": 1e-3, "patience": 8, "device": "cpu"}
SHARES = ("nonlinear_share", "prediction_share")


def encoder(seed: int, **options) -> jne.ResidualEncoder:
    return jne.ResidualEncoder(**{**ENCODER, "random_state": seed, **options})


def draw(rng: np.random.Generator, alpha: np.ndarray, ceiling: np.ndarray, seed: int) -> tuple[list, list]:
    """Features and responses ``[train, validation, test]``; a ceiling of 0 is pure noise."""
    n_features = DESIGN["n_features"]
    ends = np.cumsum([DESIGN["n_train"], DESIGN["n_validation"], DESIGN["n_test"]])
    spectrum = np.arange(1, n_features + 1) ** -0.5
    rotation = np.linalg.qr(rng.normal(size=(n_features, n_features)))[0]
    X = (rng.normal(size=(ends[-1], n_features)) * spectrum) @ rotation
    _, Y = mixed_response(X, alpha, np.where(ceiling > 0, ceiling, 1), random_state=seed)
    Y[:, ceiling == 0] = rng.normal(size=(len(Y), np.count_nonzero(ceiling == 0)))
    return tuple(np.split(array.astype(np.float32), ends[:-1]) for array in (X, Y))


def crossfit(X: list, Y: list, n_splits: int, seed: int):
    data = (X[0], Y[0], X[1], Y[1], X[2])
    options = {"n_groups": CROSSFIT["n_groups"], "random_state": seed, "folder": results_dir() / "benchmarks"}
    return jne.crossfit_nonlinearity(encoder, data, n_splits=n_splits, device="cpu", **options)


def follows(values: np.ndarray, alpha: np.ndarray, ceiling: np.ndarray, is_share: bool) -> dict[str, float]:
    """Rank correlations over the voxels that have a value, and how far from alpha a share lies."""
    kept = np.isfinite(values)
    values, alpha, ceiling = values[kept], alpha[kept], ceiling[kept]
    distance = {"median_minus_alpha": float(np.median(values - alpha))} if is_share else {}
    return {
        "with_alpha": spearman(values, alpha),
        "with_ceiling": spearman(values, ceiling),
        "partial_alpha": partial_spearman(values, alpha, ceiling),
        "partial_ceiling": partial_spearman(values, ceiling, alpha),
        "n_nan": int(np.count_nonzero(~kept)),
        **distance,
    }


def recovery(seed: int) -> dict:
    """Every measure of voxels whose share is uniform in [0, 1] and whose noise ceiling is uniform in [0.1, 0.8]."""
    rng = np.random.default_rng(seed)
    alpha, ceiling = rng.uniform(size=DESIGN["n_voxels"]), rng.uniform(0.1, 0.8, DESIGN["n_voxels"])
    X, Y = draw(rng, alpha, ceiling, seed)
    plain, linear = (encoder(seed, **o).fit(X[0], Y[0], X[1], Y[1]) for o in ({}, {"activation": None}))
    measured = jne.nonlinearity(plain, X[2], device="cpu", return_samples=False)
    everything = np.concatenate(X)
    accuracy = [jne.r2_score(Y[2], fitted.predict(X[2])) for fitted in (plain, linear)]
    values = {name: measured[name].values for name in ("jne", "relative", "nonlinear_share")}
    values |= {"prediction_share": jne.prediction_share(everything, plain.predict(everything))}
    values |= {"r2_difference": accuracy[0] - accuracy[1]}
    errors = {}
    for n_splits in CROSSFIT["splits"]:
        result = crossfit(X, Y, n_splits, seed)
        for name in SHARES:
            label = f"crossfit_{name}_{n_splits}"
            values[label] = result[name].values
            errors[label] = float(np.nanmedian(result[f"{name}_se"]))
    rows = {name: follows(found, alpha, ceiling, "share" in name) for name, found in values.items()}
    for name, error in errors.items():
        rows[name]["median_se"] = error
    return {"measures": rows, "mean_r2": float(accuracy[0].mean()), "mean_ceiling": float(ceiling.mean())}


def nothing(seed: int) -> dict:
    """A linear truth (200 voxels) and pure noise (100): what cross-fitting and the plain shares make of them."""
    rng = np.random.default_rng([seed, 1])
    ceiling = np.concatenate([rng.uniform(0.1, 0.8, 200), np.zeros(100)])
    X, Y = draw(rng, np.zeros(300), ceiling, seed)
    plain = encoder(seed).fit(X[0], Y[0], X[1], Y[1])
    measured = jne.nonlinearity(plain, X[2], device="cpu", return_samples=False).nonlinear_share.values
    result = crossfit(X, Y, 2, seed)
    found = {}
    for kind, voxels in (("linear", ceiling > 0), ("noise", ceiling == 0)):
        found[kind] = {"plain_nonlinear_share": float(np.median(measured[voxels]))}
        for name in SHARES:
            value, error = (result[part].values[voxels] for part in (name, f"{name}_se"))
            kept = np.isfinite(value)
            found[kind][name] = {
                "n_voxels": len(value),
                "n_nan": int((~kept).sum()),
                "median": float(np.median(value[kept])) if kept.any() else None,
                "largest_absolute": float(np.abs(value[kept]).max()) if kept.any() else None,
                "median_se": float(np.median(error[kept])) if kept.any() else None,
                "n_beyond_two_errors": int((np.abs(value) > 2 * error)[kept].sum()),
            }
        area = jne.area_share(result.isel(voxel=voxels))
        found[kind]["area"] = {name: None if np.isnan(v) else float(v) for name, v in area.iloc[0].items()}
    return found


def calibration() -> dict:
    """Jackknife errors against the spread over repeated experiments with one truth: new stimuli and noise each time."""
    size, rng = CALIBRATION, np.random.default_rng(0)
    ends = np.cumsum([size["n_train"], size["n_validation"]])
    pool = rng.normal(size=(40 * ends[-1], size["n_features"])).astype(np.float32)
    alpha, ceiling = rng.uniform(size=size["n_voxels"]), rng.uniform(0.3, 0.8, size["n_voxels"])
    signal, _ = mixed_response(pool, alpha, n_units=6)
    X_test = rng.normal(size=(size["n_test"], size["n_features"])).astype(np.float32)
    results = []
    for repeat in range(size["n_repeats"]):
        rows = rng.choice(len(pool), ends[-1], replace=False)
        Y = signal[rows] + rng.normal(size=(len(rows), len(alpha))) * np.sqrt((1 - ceiling) / ceiling)
        X, X_val = np.split(pool[rows], ends[:1])
        Y, Y_val = np.split(Y.astype(np.float32), ends[:1])
        make = lambda seed: encoder(seed, **CALIBRATION_ENCODER)  # noqa: E731
        options = {"n_splits": 2, "n_groups": 8, "random_state": repeat, "device": "cpu"}
        results.append(jne.crossfit_nonlinearity(make, (X, Y, X_val, Y_val, X_test), **options))
    found = {}
    for name in ("crossfit_nonlinear", "crossfit_linear", *SHARES):
        values, errors, spreads = (np.stack([r[name + part] for r in results]) for part in ("", "_se", "_split_sd"))
        kept = np.isfinite(values).all(axis=0)
        sd = values[:, kept].std(axis=0, ddof=1)
        found[name] = {
            "n_voxels": int(kept.sum()),
            "error_over_sd": float(np.median(np.sqrt((errors[:, kept] ** 2).mean(axis=0)) / sd)),
            "split_sd_over_sd": float(np.median(np.sqrt((spreads[:, kept] ** 2).mean(axis=0)) / sd)),
        }
    return found


@click.command()
@click.option("--seeds", default=5, show_default=True, help="Number of simulations.")
def main(seeds: int) -> None:
    """Run what is missing in results/crossfit.json."""
    parameters = {"design": DESIGN, "encoder": ENCODER, "crossfit": CROSSFIT, "calibration": CALIBRATION}
    parameters |= {"calibration_encoder": CALIBRATION_ENCODER}
    content = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    if content.get("parameters", parameters) != parameters:
        raise click.ClickException(f"{RESULTS} was made with other parameters; move it away first")
    content = {
        "parameters": parameters,
        "machine": machine(torch.get_num_threads()),
        "versions": {**provenance(), "code_hash": code_hash()},
        "seeds": {},
        **content,
    }
    RESULTS.parent.mkdir(exist_ok=True)
    stages = [(f"{part}-{seed}", seed) for seed in range(seeds) for part in ("recovery", "nothing")]
    run = {"recovery": recovery, "nothing": nothing}
    for stage, seed in stages:
        part = stage.split("-")[0]
        done = content["seeds"].setdefault(str(seed), {})
        if part not in done:
            start = time.perf_counter()
            done[part] = run[part](seed)
            click.echo(f"{stage}: {time.perf_counter() - start:.0f} s")
            write_json(content, RESULTS)
    content["summary"] = summary(content["seeds"])
    write_json(content, RESULTS)
    if "calibration" not in content:
        content["calibration"] = calibration()
        write_json(content, RESULTS)
    click.echo(json.dumps(content["summary"], indent=2))


def summary(seeds: dict) -> dict:
    """Mean, smallest and largest over seeds of what `follows` gives, and counts of the voxels of `nothing`."""
    tables = [parts["recovery"]["measures"] for parts in seeds.values()]
    found = {"measures": {}, "nothing": {}}
    for measure, columns in tables[0].items():
        values = {name: [table[measure][name] for table in tables] for name in columns}
        found["measures"][measure] = {
            name: {"mean": float(np.mean(v)), "min": min(v), "max": max(v)} for name, v in values.items()
        }
    for kind in ("linear", "noise"):
        for name in SHARES:
            parts = [parts["nothing"][kind][name] for parts in seeds.values()]
            counts = ("n_voxels", "n_nan", "n_beyond_two_errors")
            found["nothing"][f"{kind}_{name}"] = {count: sum(part[count] for part in parts) for count in counts}
    return found


if __name__ == "__main__":
    main()
