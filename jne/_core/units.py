"""What a dataset's responses are of, where these are no voxels: the word for them in texts."""

from __future__ import annotations

import re

VOXEL = "voxel"
_WORD = re.compile(r"(?<![\w`.])([Vv])oxel(s?)(?![\w`])")
_NAME = re.compile(r"[a-z][a-z -]{0,30}")


def check_unit(unit: str | None) -> str | None:
    """The word itself.

    Raises
    ------
    ValueError
        If it is no word of small letters, such as neuron.
    """
    if unit is not None and not (isinstance(unit, str) and _NAME.fullmatch(unit)):
        raise ValueError(
            f"unit={unit!r}; needed: one of them in small letters, such as voxel, vertex, neuron, electrode"
        )
    return unit


def plural(unit: str) -> str:
    """Several of them.

    Examples
    --------
    >>> [plural(unit) for unit in ("neuron", "vertex", "site", "body")]
    ['neurons', 'vertices', 'sites', 'bodies']
    """
    if unit.endswith("ex"):
        return f"{unit[:-2]}ices"
    if unit.endswith("y") and unit[-2:-1] not in "aeiou":
        return f"{unit[:-1]}ies"
    return f"{unit}es" if unit.endswith(("s", "x", "ch")) else f"{unit}s"


def in_units(text: str, unit: str | None) -> str:
    """A text in which voxels are called what they are.

    Examples
    --------
    >>> in_units("Voxels of V1: 3 voxels, a voxel", "neuron")
    'Neurons of V1: 3 neurons, a neuron'
    >>> in_units("3 voxels, 3 surface voxels", "surface voxel")
    '3 surface voxels, 3 surface voxels'
    """
    if unit in (None, VOXEL):
        return text

    def named(found: re.Match) -> str:
        start = found.start() - max(str(unit).find(VOXEL), 0)
        if text[max(start, 0) :].lower().startswith(str(unit)):  # called so already
            return found[0]
        word = plural(str(unit)) if found[2] else str(unit)
        return word.capitalize() if found[1] == "V" else word

    return _WORD.sub(named, text)
