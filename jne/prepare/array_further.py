"""Features of stimuli without responses that come as arrays, beside those of the stimuli with responses."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from jne.datasets import FURTHER, further_name
from jne.prepare.further import FurtherStimuli


def without_responses(
    path: Path,
    layers: Mapping[str, np.ndarray],
    more: Sequence[np.ndarray],
    arrays: dict[str, np.ndarray],
    limit: int | None,
    seed: int,
) -> tuple[dict[str, tuple], dict[str, int]]:
    """A sample of the further stimuli, as variables and attributes of the dataset.

    Parameters
    ----------
    path : Path
        What errors name.
    layers : mapping
        Layer -> features of the stimuli with responses, ``(n_stimuli, n_features)``.
    more : sequence of arrays
        Those of the further stimuli, in the order of the layers; may be empty.
    arrays : dict
        By role; ``further_stimulus_id`` is taken out of it.
    limit, seed
        See `FurtherStimuli.draw`.
    """
    ids = arrays.pop("further_stimulus_id", None)
    if not more:
        if ids is not None:
            raise ValueError("map: further_stimulus_id without further; add further=NAME for each of features")
        return {}, {"n_further": 0}
    wanted = [(len(more[0]), values.shape[1]) for values in layers.values()]
    if (shapes := [values.shape for values in more]) != wanted or (ids is not None and ids.shape != wanted[0][:1]):
        named = "" if ids is None else f", further_stimulus_id has {ids.shape}"
        raise ValueError(
            f"further: the arrays of {path} have the shapes {shapes}{named}; needed: one for each of features, in "
            f"their order, of the same stimuli: {wanted}"
        )
    features = _Stacked(path, {name: pair for name, *pair in zip(layers, layers.values(), more, strict=True)})
    n_own, n_more = (len(values) for values in next(iter(features.parts.values())))
    ids = [f"further{i:05d}" for i in range(n_more)] if ids is None else ids
    # Those with responses need no names here: they are the first rows, and none of them is drawn.
    own = ["", *arrays.get("stimulus_id", ())]
    tested = np.flatnonzero(arrays["split"] == "test") if "split" in arrays else np.arange(n_own)
    further = FurtherStimuli.draw(features, [""] * n_own + [*ids], own, limit, seed).without(tested)
    found = further.variables()
    for layer in layers if found else ():
        blocks = [values for _, values in further.blocks(layer)]
        found[further_name(layer)] = (FURTHER, f"feature_{layer}"), np.concatenate(blocks)
    return found, further.attributes()


@dataclass(frozen=True)
class _Stacked:
    """Layers in memory, the stimuli with responses first and the further ones after them."""

    path: Path
    parts: Mapping[str, Sequence[np.ndarray]]

    @property
    def layers(self) -> dict[str, int]:
        return {name: own.shape[1] for name, (own, _) in self.parts.items()}

    def blocks(self, layer: str, rows: np.ndarray) -> Iterator[tuple[slice, np.ndarray]]:
        own, further = self.parts[layer]
        n_own = np.searchsorted(rows, len(own))
        yield slice(0, len(rows)), np.concatenate([own[rows[:n_own]], further[rows[n_own:] - len(own)]])
