"""What a study's folder is asked for later: its encoder fitted again, to halves or to noise, and measured otherwise."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr
from sklearn.base import clone

from jne._core import hash_parameters, kept, provenance, whole_number
from jne.datasets import CARRIED_STIMULUS_VARIABLES, CARRIED_VOXEL_VARIABLES, training_arrays
from jne.measures import crossfit_nonlinearity, nonlinearity, variants
from jne.study.seeds import single_fit

if TYPE_CHECKING:
    from jne.study.study import Study


_log = logging.getLogger(__name__)


def crossfit(study: Study, max_memory: str, progress: bool, **settings) -> xr.Dataset:
    """The cross-fitted measures of a study, from its folder or written there; see `Study.crossfit`."""

    def compute() -> xr.Dataset:
        _log.info("cross-fitting: encoders of halves of the stimuli, and without groups of them")
        return crossfit_nonlinearity(
            single_fit(study).with_seed,
            study.data,
            layer=study.encoder.layer_,
            max_memory=max_memory,
            folder=study.folder / "splits",
            progress=progress,
            **settings,
        )

    return _kept(study, f"crossfit-{hash_parameters(settings)}.nc", compute)


def null(study: Study, random_state: int, max_memory: str, progress: bool) -> xr.Dataset:
    """The nonlinear share of noise, from a study's folder or written there; see `Study.null`."""
    random_state = whole_number(random_state, "random_state", 0)
    fits = study.folder / f"null-{random_state}.fits"

    def compute() -> xr.Dataset:
        _log.info("fitting an encoder to responses shuffled over stimuli")
        data, layer = study.data, study.encoder.layer_
        arrays = training_arrays(data, layer)
        rng = np.random.default_rng(random_state)
        folds = np.zeros(len(arrays.X)) if arrays.groups is None else arrays.groups
        order, order_val = shuffle_within(folds, rng), rng.permutation(len(arrays.X_val))
        encoder = clone(single_fit(study))
        given = arrays.X, arrays.Y[order], arrays.X_val, arrays.Y_val[order_val]
        encoder.fit(*given, progress=progress, folder=fits)
        X = data.features("test" if data.folds is None else "all", layer)
        measured = nonlinearity(encoder, X, max_memory=max_memory, return_samples=False, progress=progress)
        found = measured[["nonlinear_share", "jne"]].rename(nonlinear_share="null_share", jne="null_jne")
        return found.assign_attrs(
            random_state=random_state, shuffled="responses, over stimuli of the same split or fold"
        )

    return _kept(study, f"null-{random_state}.nc", compute, fits)


def all_variants(study: Study, max_memory: str, progress: bool) -> xr.Dataset:
    """The variants of JNE of a study, from its folder or written there; see `Study.variants`."""

    def compute() -> xr.Dataset:
        X = study.data.features("test" if study.data.folds is None else "all", study.encoder.layer_)
        found = variants(study.encoder, X, max_memory=max_memory, progress=progress)
        return found.merge(study.result[["r2", "nonlinear_share"]], combine_attrs="drop_conflicts")

    return _kept(study, "variants.nc", compute)


def shuffle_within(groups: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A random order of stimuli in which each keeps its place's group, ``(n_stimuli,)``."""
    order = np.arange(len(groups))
    for group in np.unique(groups):
        members = np.flatnonzero(groups == group)
        order[members] = rng.permutation(members)
    return order


def _kept(study: Study, name: str, compute: Callable[[], xr.Dataset], beside: Path | None = None) -> xr.Dataset:
    """What ``compute`` gives, with what the study knows of its voxels and stimuli; see `jne._core.kept`."""

    def described() -> xr.Dataset:
        found = compute()
        names = (*CARRIED_VOXEL_VARIABLES, "significant")
        names += CARRIED_STIMULUS_VARIABLES if "sample" in found.sizes else ()
        known = study.result[[name for name in names if name in study.result]]
        origin = {name: study.result.attrs[name] for name in ("data", "data_hash", "synthetic", "layer")}
        return found.merge(known).assign_attrs(**origin, **provenance())

    return kept(study.folder / name, described, beside=beside)
