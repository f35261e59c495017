"""What is planted where: profiles along the hierarchy, variation within areas, thinning, gated areas."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from jne import cortex
from jne.datasets.synthetic_stimuli import LAYERS, TRUE_LAYER, stream

PROFILES = {
    "alpha": {
        "flat": (0.40,) * 6,
        "rising": (0.15, 0.25, 0.35, 0.45, 0.55, 0.65),
        "small": (0.03, 0.05, 0.07, 0.09, 0.11, 0.13),  # a fifth of rising
        "none": (0.0,) * 6,
    },
    "ceiling": {"flat": (0.50,) * 6, "rising": (0.25, 0.35, 0.45, 0.55, 0.65, 0.75)},
}
"""Expected nonlinear share and noise ceiling of each level, V1 to higher. Choices, not findings."""
SPREAD = {"alpha": 0.06, "ceiling": 0.07}
"""Standard deviation over the vertices of an area, before the field is cut off at two standard deviations."""
LARGEST_SPREAD = 0.4
"""The same as a share of the level's value, at most: what is planted stays above zero."""
FIELD_FWHM = 8.0
"""Smoothness of the variation within areas, millimetres on the midthickness surface."""
MINIMUM_VERTICES = 4
"""Thinning leaves each area this many vertices per hemisphere, or all where it has fewer."""


def planted_profile(name: str, profile: str, subject: int, seed: int) -> np.ndarray:
    """Planted alpha or noise ceiling of every vertex of the visual areas.

    Parameters
    ----------
    name : {"alpha", "ceiling"}
    profile : {"flat", "rising"}, or "small" or "none" of alpha
    subject, seed : int

    Returns
    -------
    numpy.ndarray, ``(n_vertices,)``
        The level's value plus a smooth Gaussian field, the same field for both profiles; zeros with "none".
    """
    whole = cortex.load_cortex()
    if profile == "none":
        return np.zeros(len(whole))
    values = dict(zip(cortex.LEVELS, PROFILES[name][profile], strict=True))
    levels, number = np.unique(whole.level, return_inverse=True)
    value = np.array([values[level] for level in levels])[number]
    return value + np.minimum(SPREAD[name], LARGEST_SPREAD * value) * _field(name, subject, seed)


@lru_cache(16)
def _field(name: str, subject: int, seed: int) -> np.ndarray:
    """What varies smoothly within areas, whatever the profile."""
    whole = cortex.load_cortex()
    field = np.empty(len(whole))
    for side, hemisphere in enumerate(cortex.HEMISPHERES):
        here = whole.hemisphere == hemisphere
        white = stream(name, seed, subject, side).standard_normal(cortex.N_MESH_VERTICES)
        field[here] = cortex.smooth(white, hemisphere, FIELD_FWHM)[whole.vertex[here]]
    return np.clip((field - field.mean()) / field.std(), -2, 2)


def true_layers(placement: str) -> np.ndarray:
    """Layer in which each vertex of the visual areas is planted, ``(n_vertices,)``.

    Parameters
    ----------
    placement : {"shared", "deepening"}
        `TRUE_LAYER` for all, or, for the levels from the first to the last, layers spaced evenly from the first to the
        last.
    """
    level = cortex.load_cortex().level
    if placement == "shared":
        return np.full(len(level), TRUE_LAYER)
    places = np.linspace(0, len(LAYERS) - 1, len(cortex.LEVELS))
    layer = {name: list(LAYERS)[round(place)] for name, place in zip(cortex.LEVELS, places, strict=True)}
    return np.array([layer[name] for name in level])


def thinned_vertices(thin: int) -> np.ndarray:
    """Indices of the vertices of the visual areas that are kept, ascending."""
    whole = cortex.load_cortex()
    kept = []
    for hemisphere in cortex.HEMISPHERES:
        for area in cortex.AREAS:
            members = np.flatnonzero((whole.roi == area) & (whole.hemisphere == hemisphere))
            kept.append(members[:: min(thin, max(1, len(members) // MINIMUM_VERTICES))])
    return np.sort(np.concatenate(kept))


def gate_categories() -> np.ndarray:
    """Category that gates each vertex of the visual areas, ``(n_vertices,)``; empty for none."""
    category = {area: name for name, members in cortex.CATEGORY_AREAS.items() for area in members}
    return np.array([category.get(area, "") for area in cortex.load_cortex().roi])
