"""What is computed of a study's fitted encoders: accuracy, Jacobian measures, what the responses confirm."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import xarray as xr

from jne._core import provenance
from jne.accuracy import bootstrap_r2, correlation_score, noise_ceiling, r2_score, significant_voxels
from jne.datasets import CARRIED_STIMULUS_VARIABLES, CARRIED_VOXEL_VARIABLES, EncodingDataset
from jne.encoders import Encoder
from jne.measures import linearised_predictions, nonlinearity
from jne.study.levels import with_levels
from jne.study.validation import confirmed

_log = logging.getLogger(__name__)


def measure_study(
    data: EncodingDataset,
    nonlinear: Encoder,
    linear: Encoder | None,
    parameters: Mapping,
    *,
    max_memory: str,
    progress: bool,
    folds: Path,
) -> xr.Dataset:
    """What `jne.run_study` has of its encoders; ``folds`` keeps checkpoints of cross-validation."""
    _log.info("measuring: predictions, Jacobians, what the responses confirm")
    split = "test" if data.folds is None else "all"
    X, Y = data.features(split, nonlinear.layer_), data.responses(split)
    predictions = _predict(nonlinear, data, X, progress, folds)
    accuracy = bootstrap_r2(Y, predictions, parameters["n_bootstrap"], random_state=parameters["seed"])
    held_out = data.folds is None
    measured = nonlinearity(nonlinear, X, max_memory=max_memory, progress=progress, mean_jacobian=held_out)
    slopes, measured = measured.get("mean_jacobian"), measured.drop_vars("mean_jacobian", errors="ignore")
    result = xr.merge([accuracy, measured], combine_attrs="drop")
    if slopes is not None:
        result["r2_linearised"] = "voxel", r2_score(Y, linearised_predictions(nonlinear, X, slopes.values))
    result["significant"] = "voxel", significant_voxels(accuracy["p_value"].values, parameters["q"])
    if linear is not None:
        result["r2_linear"] = "voxel", r2_score(Y, _predict(linear, data, X, progress, folds))
    validated = confirmed(
        data,
        nonlinear,
        predictions,
        None if slopes is None else slopes.values,
        result["significant"].values,
        parameters["q"],
    )
    result = result.merge(validated)
    result["correlation"] = "voxel", correlation_score(Y, predictions)
    result = with_levels(result.assign(_carried(data, split)))
    if "noise_ceiling" not in result and data.repeats() is not None:
        result["noise_ceiling"] = "voxel", noise_ceiling(data.repeats())
    if "noise_ceiling" in result:
        result["explained"] = explained(result)
    attributes = attributes_of(parameters)
    attributes["evaluation"] = "held-out test stimuli"
    if split == "all":
        attributes["evaluation"] = f"all stimuli; R² cross-validated over {len(np.unique(data.folds))} folds"
    attributes |= {name: value for name, value in validated.attrs.items() if name.startswith("validated_")}
    attributes |= {"unit": data.attrs["unit"]} if "unit" in data.attrs else {}
    return result.assign_attrs(synthetic=int(data.synthetic), **attributes, **provenance())


def explained(result: xr.Dataset) -> xr.DataArray:
    """R² over the noise ceiling of every voxel, NaN where that is 0."""
    return (result["r2"] / result["noise_ceiling"]).where(result["noise_ceiling"] > 0)


def attributes_of(parameters: Mapping) -> dict:
    """Parameters as a file's attributes, which hold no mappings."""
    return {name: str(value) if isinstance(value, dict) else value for name, value in parameters.items()}


def _carried(data: EncodingDataset, split: str) -> dict:
    """What the dataset knows of its voxels, and of the stimuli that are tested."""
    found: dict = {}
    for name in CARRIED_VOXEL_VARIABLES:
        if (values := data.get(name)) is not None:
            found[name] = data.content[name].dims, _storable(values), data.content[name].attrs
    for name in CARRIED_STIMULUS_VARIABLES:
        if (values := data.get(name)) is not None:
            values = values[data.stimuli(split)]
            found[name] = ("sample", "y", "x", "rgb")[: values.ndim], _storable(values)
    return found


def _predict(encoder, data, X, progress, folder) -> np.ndarray:
    if data.folds is None:
        return encoder.predict(X)
    return encoder.cross_predict(data, layer=encoder.layer_, progress=progress, folder=folder)


def _storable(values: np.ndarray) -> np.ndarray:
    return values.astype(object) if values.dtype.kind == "U" else values
