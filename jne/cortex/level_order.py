"""Names of hierarchy levels that have an order: this project's, the paper's tiers, numbers."""

from __future__ import annotations

import re
from collections.abc import Iterable

import numpy as np
from numpy.typing import ArrayLike

from jne.cortex.areas import LEVELS
from jne.cortex.atlases import TIERS, area_levels

LEVEL_NAMES = (
    f"{', '.join(LEVELS)}; {', '.join(TIERS)}; numbers; names with a number each, such as '1 core' and '2 belt'"
)
"""What levels may be called, in words."""
_EARLY = (("V1", "V2", "V3", "V4"), ("PVC", "IVC"))
_NUMBER = re.compile(r"\d+(?:\.\d+)?")
_FIRST = re.compile(rf"{_NUMBER.pattern}\s")


def ordered_levels(names: ArrayLike) -> list[str]:
    """The different names among these, lowest level first; empty ones are none.

    Raises
    ------
    ValueError
        If they have no order: there are several, and they are not all of `LEVEL_NAMES` of one kind.

    Examples
    --------
    >>> from jne.cortex import ordered_levels
    >>> ordered_levels(["higher", "V2", "", "V1"]), ordered_levels(["HVC", "PVC", "IVC"]), ordered_levels(["10", "9"])
    (['V1', 'V2', 'higher'], ['PVC', 'IVC', 'HVC'], ['9', '10'])
    """
    present = [name for name in np.unique(np.asarray(names).astype(str)).tolist() if name]
    for known in (LEVELS, tuple(TIERS)):
        if set(present) <= set(known):
            return [name for name in known if name in present]
    number = {name: _number(name) for name in present}
    if None not in number.values() and len(set(number.values())) == len(present):
        return sorted(present, key=lambda name: number[name] or 0.0)
    if len(present) == 1:
        return present
    raise ValueError(
        f"level has the values {', '.join(map(repr, present))}, of no known order; accepted: {LEVEL_NAMES}"
    )


def _number(name: str) -> float | None:
    """The number before a name, as in "2 FFA-1", else the only one in it."""
    found = _NUMBER.findall(name)
    return float(found[0]) if len(found) == 1 or _FIRST.match(name) else None


def levels_by_name(roi: ArrayLike) -> np.ndarray | None:
    """Level of each voxel by the name of its area ``(n_voxels,)``, empty for none; None where these are no hierarchy.

    A hierarchy is four areas with a level, not all with the same.
    """
    roi = np.asarray(roi).astype(str)
    level = area_levels(roi)
    if len(np.unique(roi[level != ""])) < 4 or len(np.unique(level[level != ""])) < 2:
        return None
    return level


def all_levels(names: ArrayLike) -> tuple[str, ...]:
    """The whole scale that these names are of: `LEVELS`, the tiers, or the names themselves, lowest first."""
    present = ordered_levels(names)
    return next((known for known in (LEVELS, tuple(TIERS)) if set(present) <= set(known)), tuple(present))


def early_levels(names: ArrayLike) -> Iterable[str]:
    """Those of the levels that count as early: V1 to V4, the tiers PVC and IVC, else the lower half."""
    scale = all_levels(names)
    return next((early for early in _EARLY if set(early) <= set(scale)), scale[: len(scale) // 2])
