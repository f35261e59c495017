"""The synthetic cortex: real anatomy, planted responses whose nonlinear share and noise ceiling are known."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import xarray as xr

from jne import cortex
from jne._core import code_hash, hash_parameters, kept, results_dir, whole_number, zscore
from jne.accuracy import noise_ceiling
from jne.datasets.dataset import EncodingDataset, load_dataset, save_dataset
from jne.datasets.synthetic_areas import PROFILES, gate_categories, planted_profile, thinned_vertices, true_layers
from jne.datasets.synthetic_stimuli import LAYERS, N_UNITS, TRUE_LAYER, Stimuli, draw_stimuli, hidden_units, stream

SUBJECTS = (1, 2, 3, 4)
PLACEMENTS = {"shared": {"alpha": "rising", "gate": True}, "deepening": {"alpha": "flat", "gate": False}}
"""Which layers the levels are planted in, with the defaults that go with it."""
N_REPEATS = 3

_LEAST = {"subject": 1, "n_train": 2, "n_validation": 2, "n_test": 3, "n_features": 16, "thin": 1, "seed": 0}


def synthetic_cortex(
    subject: int = 1,
    *,
    alpha: str | None = None,
    ceiling: str = "flat",
    gate: bool | None = None,
    layer: str = "shared",
    n_train: int = 2400,
    n_validation: int = 300,
    n_test: int = 300,
    n_features: int = 64,
    thin: int = 1,
    seed: int = 0,
    cache: bool = True,
) -> EncodingDataset:
    """Simulate the responses of one subject's visual cortex.

    The vertices are those of `jne.cortex.load_cortex`. The response of a vertex to a stimulus is ::

        sqrt(1 - alpha) * z(linear) + sqrt(alpha) * z(nonlinear) + noise

    in units of the standard deviation of its signal. ``linear`` is a random combination of the features of the true
    layer. ``nonlinear`` is a random combination of hidden units that all vertices share; the least-squares fit of each
    unit on these features (with intercept, over all stimuli of the dataset) is removed, so that ``alpha`` is exactly
    the share of the signal's variance that no linear map of the features explains. Every stimulus was shown three
    times: ``responses`` are the averages, and ``noise`` is such that the noise ceiling of an average is the planted
    one.

    The profiles of ``alpha`` and the noise ceiling along the hierarchy are **choices, not findings**: they are there so
    that a measure can be checked against a known truth. Flat means the same expected value at every level.

    Parameters
    ----------
    subject : {1, 2, 3, 4}
        Subjects share the profiles of the levels, the test stimuli and the hidden units; everything else is redrawn.
    alpha, ceiling : {"flat", "rising"}
        Profile of the nonlinear share and of the noise ceiling from V1 to the higher areas; see `PROFILES`. With flat
        x rising, a measure that follows the signal-to-noise ratio invents a hierarchy. ``alpha`` may also be "small", a
        fifth of rising, so that a linear encoder predicts nearly as well, or "none": every vertex is linear. By default
        it is rising, or flat where layers deepen.
    gate : bool, optional
        Whether the nonlinear part of the category areas is gated by their category: FFC by faces, PHA1-3, POS1, DVT
        and ProS by scenes, V4t, MT, MST and FST by bodies. The gate is the probability of the category given the
        features. Nothing else depends on it. By default it is on, or off where layers deepen.
    layer : {"shared", "deepening"}
        The true layer: one for all vertices, layer3, or a deeper one for later levels, as for a cortex whose areas
        compute one after the other what a network's layers do. From V1 to the higher areas these are layers 1, 2, 2,
        3, 3 and 4: six levels spaced evenly over the four layers there are. What is linear in an early layer need be
        neither linear nor to be had in the last one, which is the default layer then, as it is the paper's. The gate
        must be off: it is a function of layer3 and, planted in another layer, would be another one in every level.
    n_train, n_validation, n_test : int
        Number of stimuli of each split; ``n_train`` is at least twice ``n_features``.
    n_features : int
        Features per layer, at least 16.
    thin : int
        Keep every thin-th vertex of each area and hemisphere, at least four. What is kept has the same
        responses as in the full dataset.
    seed : int
        Redraws everything, for all subjects.
    cache : bool
        Write the dataset to ``datasets/`` in the results folder, and open it from there the next time.

    Returns
    -------
    EncodingDataset
        Beside what every dataset has: ``level``, ``true_nonlinearity`` (alpha), ``true_noise_ceiling`` and
        ``gate_category`` (empty where there is no gate), all ``(voxel)``. The true layer is an attribute; where layers
        deepen, ``true_layer (voxel)``, and ``true_nonlinearity`` is that in it.
    """
    if layer not in PLACEMENTS:
        raise ValueError(f"layer={layer!r}; accepted are {', '.join(PLACEMENTS)}")
    given = {"alpha": alpha, "ceiling": ceiling, "gate": gate}
    profiles = given | {name: value for name, value in PLACEMENTS[layer].items() if given[name] is None}
    if layer != "shared":
        # Nothing is added to the parameters of a dataset that could be made before there was a choice.
        profiles["layer"] = layer
    numbers = {"subject": subject, "n_train": n_train, "n_validation": n_validation, "n_test": n_test}
    numbers |= {"n_features": n_features, "thin": thin, "seed": seed}
    _check(profiles, numbers)
    parameters = profiles | {name: int(value) for name, value in numbers.items()}
    if not cache:
        return EncodingDataset(_generate(parameters))
    path = results_dir() / "datasets" / f"synthetic-{hash_parameters({**parameters, 'code': code_hash('dataset')})}.nc"
    return kept(path, lambda: _generate(parameters), read=load_dataset, write=save_dataset)


def _check(profiles: dict, numbers: dict) -> None:
    for name in ("alpha", "ceiling"):
        if profiles[name] not in PROFILES[name]:
            raise ValueError(f"{name}={profiles[name]!r} is not a profile; accepted are {', '.join(PROFILES[name])}")
    if not isinstance(profiles["gate"], bool):
        raise ValueError(f"gate={profiles['gate']!r}; accepted are True and False")
    if profiles["gate"] and "layer" in profiles:
        raise ValueError(
            f"gate=True with layer={profiles['layer']!r}; accepted is gate=False: the gate is a function of one "
            "layer's features, so planted in several it would be another one in every level"
        )
    for name, least in _LEAST.items():
        whole_number(numbers[name], name, least)
    if numbers["subject"] not in SUBJECTS:
        raise ValueError(f"subject={numbers['subject']!r}; accepted are {', '.join(map(str, SUBJECTS))}")
    if numbers["n_train"] < 2 * numbers["n_features"]:
        raise ValueError(
            f"n_train={numbers['n_train']} with n_features={numbers['n_features']}; accepted is an n_train of at least "
            f"twice n_features ({2 * numbers['n_features']})"
        )


def _generate(parameters: dict, block_size: int = 512) -> xr.Dataset:
    seed, subject = parameters["seed"], parameters["subject"]
    counts = {split: parameters[f"n_{split}"] for split in ("train", "validation", "test")}
    stimuli = draw_stimuli(seed, subject, counts, parameters["n_features"])
    whole = cortex.load_cortex()
    kept = thinned_vertices(parameters["thin"])
    gate = gate_categories()[kept] if parameters["gate"] else np.full(len(kept), "")
    truth = {name: planted_profile(name, parameters[name], subject, seed)[kept] for name in ("alpha", "ceiling")}
    placement = parameters.get("layer", "shared")
    layer = true_layers(placement)[kept]

    n_test = parameters["n_test"]
    responses = np.empty((len(stimuli.split), len(kept)), np.float32)
    repeats = np.empty((n_test, N_REPEATS, len(kept)), np.float32)
    for block, signal in _signals(stimuli, kept, truth["alpha"], gate, layer, subject, seed, block_size):
        _add_noise(
            signal, truth["ceiling"][block], kept[block], subject, seed, responses[:, block], repeats[..., block]
        )
    ceiling = np.concatenate(
        [noise_ceiling(part, zscored=False) for part in np.array_split(repeats, range(1024, len(kept), 1024), axis=2)]
    )
    voxel = {
        "roi": whole.roi[kept],
        "hemisphere": whole.hemisphere[kept],
        "vertex": whole.vertex[kept].astype(np.int32),
        "level": whole.level[kept],
        "gate_category": gate,
        "noise_ceiling": ceiling.astype(np.float32),
        "true_nonlinearity": truth["alpha"].astype(np.float32),
        "true_noise_ceiling": truth["ceiling"].astype(np.float32),
    }
    where, name = {"true_layer": TRUE_LAYER, "default_layer": TRUE_LAYER}, ""
    if placement == "deepening":
        voxel["true_layer"] = layer
        where, name = {"default_layer": list(LAYERS)[-1]}, ", layers deepening"
    content = xr.Dataset(
        {
            **{name: (("stimulus", f"feature_{name}"), values) for name, values in stimuli.layers.items()},
            "responses": (("stimulus", "voxel"), responses),
            "responses_repeats": (("test_stimulus", "repeat", "voxel"), repeats),
            "stimulus_id": ("stimulus", stimuli.identity.astype(object)),
            "split": ("stimulus", stimuli.split.astype(object)),
            "category": ("stimulus", stimuli.category.astype(object)),
            **{n: ("voxel", v.astype(object) if v.dtype.kind == "U" else v) for n, v in voxel.items()},
        },
        attrs={
            "name": f"Synthetic cortex, subject {subject} (nonlinearity {parameters['alpha']}, "
            f"noise ceiling {parameters['ceiling']}, gate {'on' if parameters['gate'] else 'off'}{name})",
            "synthetic": 1,
            **where,
            "feature_model": "clusters in a latent space with a power-law spectrum",
            "n_repeats": N_REPEATS,
            "licence": "CC0-1.0",
            "source": "jne.datasets.synthetic.synthetic_cortex; areas: HCP-MMP1.0 (Glasser et al. 2016) on fsLR-32k",
            **{name: int(value) if isinstance(value, bool) else value for name, value in parameters.items()},
        },
    )
    content["vertex"].attrs["mesh"] = cortex.MESH
    content["responses"].attrs["units"] = "standard deviations of the vertex's signal; averages of three presentations"
    return content


def _signals(
    stimuli: Stimuli,
    kept: np.ndarray,
    alpha: np.ndarray,
    gate: np.ndarray,
    layer: np.ndarray,
    subject: int,
    seed: int,
    block_size: int,
) -> Iterator[tuple[slice, np.ndarray]]:
    """Noise-free responses in blocks of vertices: the block's slice and ``(n_vertices_block, n_stimuli)``."""
    features, units = {}, {}
    for name, category in sorted(set(zip(layer, gate, strict=True))):
        values = stimuli.layers[name].astype(float)
        features[name] = _grid((values - values.mean(axis=0)).T, 20)
        units[name, category] = _grid(hidden_units(stimuli, seed, category, name), 20)
    for start in range(0, len(kept), block_size):
        block = slice(start, min(start + block_size, len(kept)))
        keys = [_vertex_key(index, subject, seed) for index in kept[block]]
        weights = _weights("linear", keys, len(next(iter(features.values()))))
        mixing = _weights("nonlinear", keys, N_UNITS)
        linear, nonlinear = np.empty((2, len(keys), len(stimuli.split)))
        for (name, category), library in units.items():
            rows = np.flatnonzero((layer[block] == name) & (gate[block] == category))
            linear[rows] = weights[rows] @ features[name]
            nonlinear[rows] = mixing[rows] @ library
        share = alpha[block, None]
        yield block, np.sqrt(1 - share) * zscore(linear, axis=1) + np.sqrt(share) * zscore(nonlinear, axis=1)


def _add_noise(
    signal: np.ndarray,
    ceiling: np.ndarray,
    indices: np.ndarray,
    subject: int,
    seed: int,
    responses: np.ndarray,
    repeats: np.ndarray,
) -> None:
    """Write averaged responses ``(n_stimuli, n_vertices)`` and test repeats ``(n_test, 3, n_vertices)`` in place."""
    n_test = len(repeats)
    n_rest = signal.shape[1] - n_test
    rest, test = np.empty((len(indices), n_rest)), np.empty((len(indices), n_test, N_REPEATS))
    for row, index in enumerate(indices):
        rng = stream("noise", *_vertex_key(index, subject, seed))
        rng.standard_normal(out=rest[row])
        rng.standard_normal(out=test[row])
    spread = np.sqrt((1 - ceiling) / ceiling)[:, None]
    responses[:n_rest] = (signal[:, :n_rest] + spread * rest).T
    single = test * (spread * np.sqrt(N_REPEATS))[..., None]
    repeats[:] = (signal[:, n_rest:, None] + single).transpose(1, 2, 0)
    responses[n_rest:] = repeats.mean(axis=1, dtype=float)


def _vertex_key(index: int, subject: int, seed: int) -> tuple[int, int, int, int]:
    whole = cortex.load_cortex()
    return seed, subject, cortex.HEMISPHERES.index(whole.hemisphere[index]), int(whole.vertex[index])


def _weights(purpose: str, keys: list[tuple], size: int) -> np.ndarray:
    return _grid(np.stack([stream(purpose, *key).standard_normal(size) for key in keys]), 14)


def _grid(values: np.ndarray, bits: int) -> np.ndarray:
    # On such a grid every product and sum of the matrix products fits a float64 exactly, so neither the size of a
    # block nor thinning can change the last bit of a response through another order of summation.
    return np.round(np.ldexp(values, bits)) / 2.0**bits
