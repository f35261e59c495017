"""Stimuli without responses: which of a features file's a dataset keeps, and how they are written."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import h5netcdf
import numpy as np

from jne._core import whole_number
from jne.datasets import FURTHER, FURTHER_ID, RowDigests, further_name

PER_FEATURE = 20
"""Stimuli kept for each feature of the widest layer: a linear map of them is then known well."""
_STREAM = 1
"""Tells the draw of further stimuli from that of the split, which has the same seed."""


class Features(Protocol):
    """Features of many stimuli, such as a `jne.features.FeatureFile`."""

    path: Path
    layers: dict[str, int]

    def blocks(self, layer: str, rows: np.ndarray) -> Iterator[tuple[slice, np.ndarray]]:
        """Features of ascending rows, a few at a time, with their places among ``rows``."""


@dataclass(frozen=True)
class FurtherStimuli:
    """Stimuli of a features file to which no response belongs.

    Attributes
    ----------
    features : Features
    rows : array of int
        Ascending, into the features.
    ids : array of str
        As the dataset calls them.
    seed : int
    """

    features: Features
    rows: np.ndarray
    ids: np.ndarray
    seed: int

    @classmethod
    def draw(
        cls, features: Features, ids: Sequence[str], own: Sequence[str], limit: int | None, seed: int
    ) -> FurtherStimuli:
        """A sample of the stimuli that have features and no response.

        Parameters
        ----------
        features : Features
        ids : sequence of str
            Of every row of the features, as the dataset would call it.
        own : sequence of str
            Of the stimuli with responses.
        limit : int, optional
            At most so many; by default `PER_FEATURE` for each feature of the widest layer.
        seed : int

        Raises
        ------
        ValueError
            If ``limit`` is no whole number, or a layer has the name of a variable that they need.
        """
        limit = PER_FEATURE * max(features.layers.values()) if limit is None else whole_number(limit, "further", 0)
        ids = np.asarray(ids, str)
        others = np.flatnonzero(~np.isin(ids, np.asarray(own, str)))
        rows = np.sort(np.random.default_rng([seed, _STREAM]).permutation(others)[:limit])
        needed = {FURTHER_ID, *map(further_name, features.layers)}
        if len(rows) and (clash := sorted(needed & set(features.layers))):
            raise ValueError(
                f"features: {features.path} has a layer {clash[0]!r}, which names features of stimuli without "
                "responses; rename it, or keep none of these (--further 0, further=0)"
            )
        return cls(features, rows, ids[rows], seed)

    def without(self, tested: np.ndarray) -> FurtherStimuli:
        """Those that are not pictures of test stimuli under another name, and that are finite in every layer.

        Parameters
        ----------
        tested : array of int
            Rows of the test stimuli.
        """
        if not len(self.rows):
            return self
        both = np.union1d(self.rows, tested)
        digests, finite = RowDigests(len(both)), np.ones(len(both), bool)
        for layer in self.features.layers:
            for here, values in self.features.blocks(layer, both):
                digests.add(here, values)
                finite[here] &= np.isfinite(values).all(axis=1)
        known = {digests.values[i] for i in np.searchsorted(both, tested)}
        kept = [
            i for i, j in enumerate(np.searchsorted(both, self.rows)) if finite[j] and digests.values[j] not in known
        ]
        return replace(self, rows=self.rows[kept], ids=self.ids[kept])

    def __len__(self) -> int:
        return len(self.rows)

    def variables(self) -> dict[str, tuple[str, np.ndarray]]:
        """Their ids, as a variable of the dataset; nothing where there are none."""
        return {FURTHER_ID: (FURTHER, self.ids.astype(object))} if len(self) else {}

    def attributes(self) -> dict[str, int]:
        return {"n_further": len(self), **({"further_seed": self.seed} if len(self) else {})}

    def blocks(self, layer: str) -> Iterator[tuple[slice, np.ndarray]]:
        """A layer's features, ``(n, n_features)``, float32, a few stimuli at a time."""
        return self.features.blocks(layer, self.rows)


def write_further(
    file: h5netcdf.File,
    further: FurtherStimuli,
    scaled: Callable[[str], Callable[[np.ndarray], np.ndarray]] = lambda layer: lambda values: values,
    **storage,
) -> None:
    """Write features of further stimuli to a dataset file that has their ids and the layers.

    Parameters
    ----------
    file : h5netcdf.File
    further : FurtherStimuli
    scaled : callable
        Layer -> what is done to its features ``(n, n_features)``, as to those of the stimuli with responses.
    **storage
        Of `h5netcdf.File.create_variable`.
    """
    for layer in further.features.layers if len(further) else ():
        scale = scaled(layer)
        dims = FURTHER, f"feature_{layer}"
        variable = file.create_variable(further_name(layer), dims, np.float32, **storage)
        for rows, values in further.blocks(layer):
            variable[rows] = scale(values)
