"""What the claims are judged by: results of the same subjects, studied in several ways."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import xarray as xr

from jne.cortex import PAPER_AREAS, paper_areas

Results = Mapping[str, xr.Dataset]
"""Subject -> result of `jne.run_study`."""


@dataclass(frozen=True)
class Evidence:
    """Results of one or several subjects.

    Attributes
    ----------
    base : mapping of str to xarray.Dataset
        The study that claims are read from.
    seed, best : mapping or str
        The same with other seeds of the encoders, and with each voxel's best layer; or why there is none, in words.
    variants : mapping
        Of `Study.variants`.
    layer, seeds, other_seeds : str
        The layer and the seeds of ``base``, and the seeds of ``seed``, in words.
    """

    base: Results
    seed: Results | str
    best: Results | str
    variants: Results
    layer: str = "the layer"
    seeds: str = "the seed"
    other_seeds: str = "another seed"


def known_areas(results: Results) -> list[str]:
    """Those of the paper's areas that every subject has, in its order."""
    found = [set(paper_areas(result["roi"].values)) if "roi" in result else set() for result in results.values()]
    return [area for area in PAPER_AREAS if all(area in own for own in found)]


def which_areas(known: list[str]) -> str:
    """How many of the paper's areas are here and which are not, in words."""
    absent = [area for area in PAPER_AREAS if area not in known]
    return f"{len(known)} of the paper's {len(PAPER_AREAS)} areas" + (f" (no {', '.join(absent)})" if absent else "")
