"""How well the maps of two fits agree, in a number and in a word."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import xarray as xr

from jne.measures import short_label
from jne.statistics.intraclass_correlation import intraclass_correlation
from jne.statistics.prediction_guard import predicted_voxels

AGREEMENT = {0.5: "poorly", 0.75: "moderately", 0.9: "well", np.inf: "closely"}
"""Words for an intraclass correlation below each of these (Koo and Li 2016)."""


def agreement_word(value: float) -> str:
    """The word for an intraclass correlation.

    Examples
    --------
    >>> from jne.statistics import agreement_word
    >>> [agreement_word(value) for value in (-0.1, 0.6, 0.8, 0.95)]
    ['poorly', 'moderately', 'well', 'closely']
    """
    return next(word for limit, word in AGREEMENT.items() if value < limit)


def map_agreement_words(results: Mapping[object, xr.Dataset], measures: Sequence[str]) -> dict[str, dict[str, object]]:
    """How well the maps of a study's fits agree, over the voxels that all of them predict.

    Parameters
    ----------
    results : mapping of xarray.Dataset
        Seed -> result of the same voxels.
    measures : sequence of str

    Returns
    -------
    dict
        Label of the measure -> ``value`` (intraclass correlation of two maps) and ``word``; empty of fewer than two
        results or predicted voxels.
    """
    fits = list(results.values())
    if len(fits) < 2:
        return {}
    kept = np.all([predicted_voxels(one) for one in fits], axis=0)
    if np.count_nonzero(kept) < 2:
        return {}
    found = {name: intraclass_correlation(np.stack([one[name].values[kept] for one in fits])) for name in measures}
    return {
        short_label(name): {"value": float(value), "word": agreement_word(value)}
        for name, value in found.items()
        if np.isfinite(value)
    }
