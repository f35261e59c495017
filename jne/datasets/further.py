"""Features of stimuli without responses, which a dataset may hold beside its own: their names, and what is valid."""

from __future__ import annotations

import hashlib

import numpy as np
import xarray as xr

from jne._core import listed, spans

FURTHER = "further_stimulus"
"""Their dimension."""
FURTHER_ID = "further_stimulus_id"
_BLOCK = 2**22  # numbers of a block of rows


def feature_layers(content: xr.Dataset) -> list[str]:
    """Names of the variables whose dimensions are ``(stimulus, feature_<name>)``."""
    return [str(n) for n, v in content.data_vars.items() if v.dims == ("stimulus", f"feature_{n}")]


def further_name(layer: str) -> str:
    """The variable that holds a layer's features of stimuli without responses."""
    return f"further_{layer}"


def further_layers(content: xr.Dataset) -> dict[str, str]:
    """Layer -> variable ``(further_stimulus, feature_<layer>)``, for the layers that have one.

    A feature layer may itself be called ``further_...``: what tells them apart is the first dimension.
    """
    wanted = {layer: further_name(layer) for layer in feature_layers(content)}
    return {
        layer: name
        for layer, name in wanted.items()
        if name in content and content[name].dims == (FURTHER, f"feature_{layer}")
    }


def further_problems(content: xr.Dataset) -> list[str]:
    """Every way in which names, dimensions and ids of stimuli without responses break the format."""
    layers = feature_layers(content)
    found = further_layers(content)
    known = {*found.values(), *layers, FURTHER_ID}
    problems = []
    for name, variable in content.data_vars.items():
        if name not in known and (FURTHER in variable.dims or name in map(further_name, layers)):
            problems.append(
                f"variable {name} has dimensions {variable.dims}; needed: further_NAME ({FURTHER}, feature_NAME), with "
                f"NAME one of the layers {', '.join(layers) or '(none)'}"
            )
    if found and (without := [layer for layer in layers if layer not in found]):
        problems.append(
            f"{', '.join(found.values())} without {', '.join(map(further_name, without))}; needed: those of every "
            "layer, or of none"
        )
    if FURTHER_ID in content and FURTHER_ID not in layers:
        problems += _id_problems(content)
    if content.sizes.get(FURTHER) == 0:
        problems.append(f"dimension {FURTHER} has length 0; leave it out")
    return problems


def _id_problems(content: xr.Dataset) -> list[str]:
    if content[FURTHER_ID].dims != (FURTHER,):
        return [f"variable {FURTHER_ID} has dimensions {content[FURTHER_ID].dims}, needed: ({FURTHER})"]
    ids = content[FURTHER_ID].values.astype(str)
    unique, counts = np.unique(ids, return_counts=True)
    problems = []
    if len(twice := unique[counts > 1]):
        problems.append(f"{FURTHER_ID}: {len(twice)} ids come more than once ({listed(twice.tolist())})")
    if "stimulus_id" in content and content["stimulus_id"].dims == ("stimulus",):
        both = np.intersect1d(unique, content["stimulus_id"].values.astype(str))
        if len(both):
            problems.append(
                f"{FURTHER_ID}: {len(both)} stimuli are in stimulus_id as well ({listed(both.tolist())}); needed: "
                "stimuli without responses"
            )
    return problems


def same_as_tested(content: xr.Dataset) -> list[str]:
    """Pictures of test stimuli under another name: rows that equal a test stimulus' in every layer; reads them all."""
    layers = further_layers(content)
    if not layers or any(content[name].dtype.kind not in "fiu" for pair in layers.items() for name in pair):
        return []
    tested = np.arange(content.sizes["stimulus"])
    if "split" in content:  # with folds all are tested
        tested = tested[content["split"].values.astype(str) == "test"]
    own, further = RowDigests(len(tested)), RowDigests(content.sizes[FURTHER])
    for layer, name in layers.items():
        own.add(slice(0, len(tested)), content[layer].isel(stimulus=tested).values)
        for rows in spans(len(further.values), max(1, _BLOCK // content.sizes[f"feature_{layer}"])):
            further.add(rows, content[name][rows].values)
    same = np.flatnonzero(further.among(own))
    if not same.size:
        return []
    return [f"further stimuli: {same.size} have the features of a test stimulus (first: {same[0]}); leave them out"]


class RowDigests:
    """A digest of each stimulus' features over all layers, by which equal stimuli are found without keeping features.

    Parameters
    ----------
    n : int
        Stimuli.
    """

    def __init__(self, n: int):
        self.values = [b""] * n

    def add(self, rows: slice, features: np.ndarray) -> None:
        """A layer's features of these stimuli ``(n_rows, n_features)``; layers in the same order for all."""
        # As float32, in which datasets are read; -0 and 0 are equal.
        for i, row in enumerate(np.asarray(features, np.float32) + np.float32(0), rows.start):
            self.values[i] = hashlib.blake2b(self.values[i] + row.tobytes(), digest_size=16).digest()

    def among(self, others: RowDigests) -> np.ndarray:
        """Which of the stimuli ``(n,)`` are among others."""
        known = set(others.values)
        return np.array([value in known for value in self.values], bool)
