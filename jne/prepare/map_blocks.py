"""How many voxels of a study's maps are worked on at a time, and the dataset file, written by such blocks."""

from __future__ import annotations

import h5netcdf
import numpy as np
import xarray as xr

from jne._core import Budget, PatientFile, clamp, format_bytes, parse_bytes, spans, to_stream
from jne.features import FeatureFile
from jne.prepare.further import FurtherStimuli, write_further
from jne.prepare.map_store import Store
from jne.prepare.trials import Trials

_WIDEST = 1024
"""Voxels in a block, and in a chunk of the file, at most: more are no faster."""
_CHUNK_ROWS = 256
PACKING = 4
"""Level of gzip."""
_COMPRESSED = {"compression": "gzip", "compression_opts": PACKING, "shuffle": True}


class BlockPlan:
    """Blocks of voxels that fit into the memory limit.

    Parameters
    ----------
    trials : Trials
    split : array of str ``(n_stimuli,)``
    features : FeatureFile
    store : Store
    max_memory : str

    Attributes
    ----------
    blocks : list of slice
    n_repeats : int
        Most presentations of a test stimulus.

    Raises
    ------
    ValueError
        If not even a few voxels fit.
    """

    def __init__(self, trials: Trials, split: np.ndarray, features: FeatureFile, store: Store, max_memory: str | int):
        self._n_maps, self._n_voxels = store.shape
        limit, n_stimuli, is_test = parse_bytes(max_memory), len(trials.ids), split == "test"
        self.n_repeats = int(np.bincount(trials.row)[is_test].max(initial=0))
        # float32 maps, float64 sums and what the checks copy; of the repeats, the copies that the noise ceiling makes.
        each = 4 * store.copies * self._n_maps + 32 * n_stimuli + 64 * int(is_test.sum()) * self.n_repeats
        layer = 16 * n_stimuli * max(features.layers.values())
        least = max(layer, each * min(self._n_voxels, 16))
        what = f"a block of 16 voxels of {self._n_maps} maps, or a layer of {max(features.layers.values())} features,"
        Budget(limit).reserve(least, what, "take fewer features")
        self.step = clamp(limit // each, 1, min(_WIDEST, self._n_voxels))
        self.blocks = list(spans(self._n_voxels, self.step))
        self._needed, self._limit, self._work = max(layer, each * self.step), limit, store.size

    def __str__(self) -> str:
        return (
            f"{self._n_maps} maps of {self._n_voxels} voxels, in {len(self.blocks)} blocks of at most {self.step}: "
            f"{format_bytes(self._needed)} of working memory (the limit is {format_bytes(self._limit)}), and "
            f"{format_bytes(self._work)} on disk until it is done."
        )


def write_in_blocks(
    stream: PatientFile,
    small: xr.Dataset,
    store: Store,
    trials: Trials,
    split: np.ndarray,
    features: FeatureFile,
    plan: BlockPlan,
    kept: np.ndarray,
    further: FurtherStimuli,
) -> None:
    """Write a dataset file.

    Parameters
    ----------
    stream : PatientFile
    small : xarray.Dataset
        Everything but features, responses and repeats, with the attributes.
    store, trials, split, features, plan
    kept : array of bool ``(n_voxels,)``
    further : FurtherStimuli
    """
    test = np.flatnonzero(split == "test")
    to_stream(small, stream)
    with h5netcdf.File(stream, "r+") as file:
        for name, size in (("stimulus", len(split)), ("voxel", int(kept.sum()))):
            if name not in file.dimensions:
                file.dimensions[name] = size
        for layer in features.layers:
            values = features.features(layer, trials.ids)
            file.dimensions[f"feature_{layer}"] = values.shape[1]
            file.create_variable(layer, ("stimulus", f"feature_{layer}"), values.dtype, data=values, **_COMPRESSED)
            del values
        write_further(file, further, **_COMPRESSED)
        width = min(plan.step, int(kept.sum()))
        chunks = {"chunks": (min(_CHUNK_ROWS, len(split)), width), **_COMPRESSED}
        responses = file.create_variable("responses", ("stimulus", "voxel"), np.float32, **chunks)
        repeats = None
        if plan.n_repeats > 1:
            file.dimensions["test_stimulus"], file.dimensions["repeat"] = len(test), plan.n_repeats
            chunks["chunks"] = (min(_CHUNK_ROWS, len(test)), 1, width)
            repeats = file.create_variable(
                "responses_repeats", ("test_stimulus", "repeat", "voxel"), np.float32, **chunks
            )
        start = 0
        for block in plan.blocks:
            maps = store.read(block)[:, kept[block]]
            here = slice(start, start + maps.shape[1])
            if not maps.size:
                continue
            responses[:, here] = trials.average(maps)
            if repeats is not None:
                repeats[:, :, here] = trials.repeats(maps, test)
            stream.raise_error()
            start = here.stop
