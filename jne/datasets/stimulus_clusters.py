"""Clusters of stimuli without categories, as in the paper: t-SNE of their features, K-means on it, silhouette."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import xarray as xr

from jne._core import cached, moments, whole_number
from jne.datasets.dataset import EncodingDataset
from jne.datasets.embedding import embed, sort_places
from jne.datasets.further import FURTHER_ID

LEAST_STIMULI = 8
"""Tested ones below which there is nothing to cluster."""


def cluster_stimuli(
    datasets: Mapping[str, EncodingDataset],
    layer: str | None = None,
    *,
    n_stimuli: int | None = 1000,
    most: int = 30,
    n_clusters: int | None = None,
    n_seeds: int = 2,
    random_state: int = 0,
) -> xr.Dataset:
    """Sort the tested stimuli into clusters by their features, and along one axis.

    Features, z-scored as encoders see them, are embedded by t-SNE in two dimensions and in one. K-means on the places
    of the tested stimuli in two dimensions makes the clusters; their number is that of the largest mean silhouette.
    Stimuli that are not tested, with or without responses, may be embedded beside them (the paper has all 73,000).

    The first seed starts t-SNE from the first principal components (scaled as in scikit-learn, whose default this is);
    the others start from random places, since a start from principal components is the same for every seed.

    Parameters
    ----------
    datasets : mapping of str to EncodingDataset
        Subjects, clustered together. A stimulus of the same id and the same features is one stimulus.
    layer : str, optional
        As in `EncodingDataset.features`; ``"best"`` is the dataset's default, where it is no layer's name.
    n_stimuli : int, optional
        How many are embedded: the tested ones, and a random draw of others. None is all.
    most : int
        Largest number of clusters; the smallest is 2.
    n_clusters : int, optional
        Their number, where there are more stimuli than that; by default by silhouette.
    n_seeds : int
    random_state : int
        The first seed.

    Returns
    -------
    xarray.Dataset
        ``place (seed, stimulus, axis)`` in two dimensions and ``position (seed, stimulus)`` in one, in t-SNE's units;
        ``tested (stimulus)``; ``silhouette (seed, k)``; over the tested stimuli ``label (seed, k, sample)``, the
        cluster of each for every number of clusters k, numbered from 0 along the one axis of the first seed;
        ``by_silhouette (seed)``, each seed's number of clusters, and ``chosen (seed)``, that or ``n_clusters``;
        ``sample_of (subject, stimulus_of_subject)``, which of the tested stimuli each subject's are, in their order (-1
        after the last). Cached.

    Raises
    ------
    ValueError
        If `can_cluster` has a reason, or an argument is not accepted.

    Examples
    --------
    >>> import jne
    >>> from jne.datasets import cluster_stimuli
    >>> options = {"thin": 64, "n_train": 200, "n_validation": 50, "n_test": 50, "cache": False}
    >>> data = jne.load_dataset("synthetic", **options)
    >>> found = cluster_stimuli({"subject 1": data}, most=6, n_stimuli=50, n_seeds=1)
    >>> dict(found.sizes)["sample"], 2 <= int(found.chosen[0]) <= 6
    (50, True)
    """
    settings = {
        "layer": layer,
        "n_stimuli": n_stimuli if n_stimuli is None else whole_number(n_stimuli, "n_stimuli", 1),
        "most": whole_number(most, "most", 2),
        "n_seeds": whole_number(n_seeds, "n_seeds", 1),
        "random_state": whole_number(random_state, "random_state", 0),
    }
    if reason := can_cluster(datasets, layer):
        raise ValueError(f"datasets: {reason}")
    key = {**settings, "subjects": list(datasets), "data_hash": [data.hash for data in datasets.values()]}
    found = cached("clusters", "clusters", key, lambda: _clustered(datasets, **settings))
    if n_clusters is None:
        return found.assign(chosen=found["by_silhouette"])
    if not whole_number(n_clusters, "n_clusters", 2) <= most:
        raise ValueError(f"n_clusters={n_clusters}, and the largest number tried is most={most}; needed: that or fewer")
    chosen = min(n_clusters, int(found["k"].values[-1]))
    return found.assign(chosen=("seed", np.full(found.sizes["seed"], chosen)))


def can_cluster(datasets: Mapping[str, EncodingDataset], layer: str | None = None) -> str:
    """Why the stimuli of these datasets cannot be clustered together, in words; empty where they can."""
    if not datasets:
        return "there is none; give at least one, by the subject's name"
    n_features = {}
    for name, data in datasets.items():
        own = _own(data, layer) or data.default_layer
        n_features[name] = sum(data.content.sizes[f"feature_{one}"] for one in ([own] if own else data.layers))
    first = next(iter(n_features))
    if other := next((name for name, n in n_features.items() if n != n_features[first]), None):
        return f"{other} has {n_features[other]} features and {first} {n_features[first]}; needed: the same ones"
    n = max(len(data.stimuli("test" if data.folds is None else "all")) for data in datasets.values())
    return f"{n} stimuli are tested, and at least {LEAST_STIMULI} are needed" if n < LEAST_STIMULI else ""


def _clustered(datasets, layer, n_stimuli, most, n_seeds, random_state) -> xr.Dataset:
    stimuli = _pool(datasets, layer, n_stimuli, random_state)
    n = stimuli.n_tested
    numbers = list(range(2, min(most, n - 1) + 1))
    seeds = [random_state + number for number in range(n_seeds)]
    starts = ["random" if number else "pca" for number in range(n_seeds)]
    places, positions, labels, silhouettes = [], [], [], []
    for seed, start in zip(seeds, starts, strict=True):
        places.append(embed(stimuli.features, 2, start=start, random_state=seed))
        positions.append(embed(stimuli.features, 1, start=start, random_state=seed)[:, 0])
        found, scores = sort_places(places[-1][:n], numbers, random_state=seed)
        labels.append(np.stack([_along(own, positions[0][:n]) for own in found]))
        silhouettes.append(scores)
    chosen = [numbers[int(np.argmax(scores))] for scores in silhouettes]
    longest = max(len(own) for own in stimuli.of_subject)
    sample_of = np.array([np.pad(own, (0, longest - len(own)), constant_values=-1) for own in stimuli.of_subject])
    return xr.Dataset(
        {
            "place": (("seed", "stimulus", "axis"), np.array(places, np.float32)),
            "position": (("seed", "stimulus"), np.array(positions, np.float32)),
            "tested": ("stimulus", np.arange(len(stimuli.features)) < n),
            "silhouette": (("seed", "k"), np.array(silhouettes)),
            "label": (("seed", "k", "sample"), np.array(labels, np.int16)),
            "by_silhouette": ("seed", np.array(chosen)),
            "sample_of": (("subject", "stimulus_of_subject"), sample_of),
        },
        {"seed": seeds, "k": numbers, "start": ("seed", np.array(starts, object)), "subject": list(datasets)},
    )


class _Pool(NamedTuple):
    """Stimuli that are embedded, the tested ones first; and which of these each subject's are."""

    features: np.ndarray
    n_tested: int
    of_subject: list[np.ndarray]


def _pool(datasets: Mapping[str, EncodingDataset], layer: str | None, n_stimuli: int | None, seed: int) -> _Pool:
    tested, of_subject, known = [], [], {}
    for data in datasets.values():
        split = "test" if data.folds is None else "all"
        X = data.features(split, _own(data, layer))
        places = []
        for identity, row in zip(data.get("stimulus_id")[data.stimuli(split)], X, strict=True):
            place = known.get(identity)
            # Other recordings may have other pictures under the same names.
            if place is None or not np.allclose(tested[place], row, rtol=1e-3, atol=1e-3):
                place = known[identity] = len(tested)
                tested.append(row)
            places.append(place)
        of_subject.append(np.array(places))
    others = [] if n_stimuli is not None and n_stimuli <= len(tested) else _others(datasets, layer, set(known))
    pooled = np.concatenate([np.stack(tested), *others])
    if n_stimuli is not None and len(pooled) > max(n_stimuli, len(tested)):
        rest = np.arange(len(tested), len(pooled))
        drawn = np.random.default_rng(seed).choice(rest, n_stimuli - len(tested), replace=False)
        pooled = pooled[np.concatenate([np.arange(len(tested)), np.sort(drawn)])]
    mean, scale = moments(pooled)
    return _Pool((pooled - mean) / scale, len(tested), of_subject)


def _own(data: EncodingDataset, layer: str | None) -> str | None:
    return None if data.means_best(layer) else layer


def _others(datasets: Mapping[str, EncodingDataset], layer: str | None, known: set[str]) -> list[np.ndarray]:
    """Features of the stimuli that are not tested, of each dataset those that are not in one before."""
    found = []
    for data in datasets.values():
        further = data.further(_own(data, layer))
        parts = [(data.get("stimulus_id"), data.features("all", _own(data, layer)))]
        if further is not None:
            ids = data.get(FURTHER_ID)
            parts.append((ids if ids is not None else [f"further {i}" for i in range(len(further))], further))
        for ids, X in parts:
            new = [row for row, identity in enumerate(ids) if identity not in known]
            known.update(ids)
            found.append(X[new])
    return found


def _along(labels: np.ndarray, position: np.ndarray) -> np.ndarray:
    """Labels numbered by the median position of their stimuli."""
    names, inverse = np.unique(labels, return_inverse=True)
    rank = np.argsort(np.argsort([np.median(position[labels == name]) for name in names]))
    return rank[inverse]
