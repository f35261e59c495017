"""Several subjects: the same study of each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np

from jne.datasets import EncodingDataset, load_dataset
from jne.study.study import Study, run_study


def load_subjects(data: str | Path, subjects: Sequence, options: Mapping | None = None) -> dict[str, EncodingDataset]:
    """Open the datasets of several subjects.

    Parameters
    ----------
    data : str or path
        ``"synthetic"``, or the file of the first subject.
    subjects : sequence
        With ``"synthetic"`` the numbers of its subjects. With a file, the files of further subjects; numbers are passed
        over, so that parameters made for the synthetic cortex do no harm.
    options : mapping, optional
        Of the synthetic cortex.

    Returns
    -------
    dict
        ``"subject 1"`` and so on -> EncodingDataset; the first is the one given as ``data``, or the first number.
    """
    if str(data) == "synthetic":
        if not len(subjects):
            raise ValueError("subjects is empty; give at least one subject of the synthetic cortex, such as [1]")
        return {f"subject {s}": load_dataset(data, **{**(options or {}), "subject": s}) for s in subjects}
    files = [data, *(entry for entry in subjects if isinstance(entry, str | Path))]
    return {f"subject {number}": load_dataset(file) for number, file in enumerate(files, 1)}


def run_subjects(datasets: Mapping[str, EncodingDataset], layer: str | None = None, **settings) -> dict[str, Study]:
    """`jne.run_study` of every dataset with one layer and the same settings.

    Of processes that ask for the same studies at the same time, each does those that no other is at: two chapters that
    run side by side share the work.
    """
    studies: dict[str, Study] = {}
    for wait in (False, True):
        for name in [name for name in datasets if name not in studies]:
            with suppress(BlockingIOError):
                studies[name] = run_study(datasets[name], layer, wait=wait, **settings)
    return {name: studies[name] for name in datasets}


def choose_layers(dataset: EncodingDataset, layers: int | Sequence[str]) -> list[str]:
    """Names of the feature layers to compare.

    Parameters
    ----------
    dataset : EncodingDataset
    layers : int or sequence of str
        How many, evenly spaced from the first to the last, or which. Of those evenly spaced, the nearest to the
        dataset's default layer is replaced by it, since that one is studied anyway.
    """
    if isinstance(layers, int):
        if layers < 1:
            raise ValueError(f"layers={layers}; needed: at least 1, or a list of names")
        places = np.linspace(0, len(dataset.layers) - 1, min(layers, len(dataset.layers)))
        chosen = [round(place) for place in places]
        if dataset.default_layer in dataset.layers:
            default = dataset.layers.index(dataset.default_layer)
            chosen[int(np.abs(places - default).argmin())] = default
        return [dataset.layers[number] for number in chosen]
    if unknown := [layer for layer in layers if layer not in dataset.layers]:
        raise ValueError(f"layers: {dataset.name} has no layer {unknown[0]!r}; it has {', '.join(dataset.layers)}")
    return list(layers)
