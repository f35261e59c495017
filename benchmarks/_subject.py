"""One subject of the size of NSD, simulated, from arrays to measures: seconds of each part."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
from _clock import wait_for
from _fits import FitCase, simulate

import jne
from jne._core import resolve_device


def measure_subject(case: FitCase, n_test: int, device: str, n_bootstrap: int, options: dict) -> dict:
    """Both encoders to their early stop, R² with its bootstrap, all measures, and one split of cross-fitting.

    ``options`` are those of the encoders, beside the width.
    """
    where, seconds = resolve_device(device), {}
    arrays, (X_test, Y_test) = simulate(case, n_test)

    def timed(name: str, method: Callable[[], Any]) -> Any:
        start = time.perf_counter()
        found = method()
        wait_for(where)
        seconds[name] = time.perf_counter() - start
        return found

    def encoder(seed: int = 0, **others) -> jne.ResidualEncoder:
        return jne.ResidualEncoder(hidden_size=case.H, device=device, random_state=seed, **options, **others)

    nonlinear = timed("nonlinear encoder", lambda: encoder().fit(*arrays))
    linear = timed("linear encoder", lambda: encoder(activation=None).fit(*arrays))
    predictions = timed("predictions", lambda: (nonlinear.predict(X_test), linear.predict(X_test)))
    accuracy = timed("R² with bootstrap", lambda: jne.bootstrap_r2(Y_test, predictions[0], n_bootstrap))
    measured = timed("nonlinearity", lambda: jne.nonlinearity(nonlinear, X_test, device=device))
    split = {"n_splits": 1, "refit": False, "device": device}
    data = (*arrays, X_test)
    crossfit = timed("one cross-fitted split", lambda: jne.crossfit_nonlinearity(encoder, data, **split))
    study = sum(value for name, value in seconds.items() if name != "one cross-fitted split")
    return {
        "case": vars(case),
        "n_test": n_test,
        "n_bootstrap": n_bootstrap,
        "options": options,
        "seconds": seconds,
        "minutes_of_a_study": study / 60,
        "epochs": {
            name: len(one.history_["train_loss"]) for name, one in (("nonlinear", nonlinear), ("linear", linear))
        },
        "median_r2": float(np.median(accuracy["r2"])),
        "median_share": float(np.nanmedian(measured["nonlinear_share"])),
        "median_crossfit_share": float(np.nanmedian(crossfit["nonlinear_share"])),
    }
