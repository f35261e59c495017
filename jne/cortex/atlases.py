"""Names of areas in the atlases that datasets come with: level and tier of each, and which of the paper's it is."""

from __future__ import annotations

import re

import numpy as np
from numpy.typing import ArrayLike

from jne.cortex.areas import AREAS, STANDS_FOR

TIERS = {"PVC": ("V1",), "IVC": ("V2", "V3", "V4", "intermediate"), "HVC": ("higher",)}
"""Tiers of the paper, lowest first -> levels of `LEVELS`: primary, intermediate and higher visual cortex.

The paper's IVC is V2, V3 and V4; areas of the level *intermediate*, which it does not have, are counted here, too.
"""

ATLAS_LEVELS = {
    "prf-visualrois": {"V1": "V1", "V2": "V2", "V3": "V3", "hV4": "V4"},
    "floc-faces": dict.fromkeys(("OFA", "FFA-1", "FFA-2", "mTL-faces", "aTL-faces"), "higher"),
    "floc-places": dict.fromkeys(("OPA", "PPA", "RSC"), "higher"),
    "floc-bodies": dict.fromkeys(("EBA", "FBA-1", "FBA-2", "mTL-bodies"), "higher"),
    "floc-words": dict.fromkeys(("OWFA", "VWFA-1", "VWFA-2", "mfs-words", "mTL-words"), "higher"),
    "other localizers": dict.fromkeys(("FFA", "FBA", "VWFA", "TOS", "MPA", "LOC", "PFS", "STS", "pSTS"), "higher"),
    "HCP_MMP1": {area: level for area, (level, _) in AREAS.items()},
    "Kastner2015": {
        **{area: area for area in ("V1", "V2", "V3")},
        "hV4": "V4",
        **dict.fromkeys(("VO1", "VO2", "LO1", "LO2", "V3A", "V3B", "IPS0", "IPS1"), "intermediate"),
        **dict.fromkeys(("PHC1", "PHC2", "TO1", "TO2"), "higher"),
    },
    "streams": {
        **dict.fromkeys(("midventral", "midlateral", "midparietal"), "intermediate"),
        **dict.fromkeys(("ventral", "lateral", "parietal"), "higher"),
    },
}
"""Atlas (by NSD's names) -> area -> level; areas that are not in it have none.

* Areas of localizers of categories are *higher*.
* The maps of Wang, Mruczek, Arcaro and Kastner (2015) have the levels of the same cortex in `AREAS`: PHC is where PHA
  is, TO where MT and MST are, IPS0 where V7 is. IPS2 to IPS5, SPL1 and FEF have none, as there.
* *early* of `streams`, and EVC, are V1 to V3 together, and have none.
"""


def _standing_for(name: str) -> tuple[str, ...]:
    return tuple(area for area, functional in STANDS_FOR.items() if functional.split(" (")[0] == name)


PAPER_AREAS = {
    **{area: ((area,),) for area in ("V1", "V2", "V3")},
    "V4": (("hV4",), ("V4",)),
    "EBA": (("EBA",), _standing_for("EBA")),
    "PPA": (("PPA",), _standing_for("PPA")),
    "RSC": (("RSC",), ("MPA",), _standing_for("RSC")),
    "OPA": (("OPA",), ("TOS",)),
    "FFA-1": (("FFA-1",), ("FFA",), _standing_for("FFA")),
    "FFA-2": (("FFA-2",),),
}
"""The paper's ten areas -> what is it, by preference: names of one area, or areas that stand in for it together.

An FFA that is not divided counts as FFA-1. On the synthetic cortex, as in HCP-MMP1.0, eight of the ten have a stand-in:
V1 to V4 are there, `STANDS_FOR` has EBA, PPA, RSC and FFA (whose two parts are one), and nothing stands for OPA.
"""

_ONLY_HCP = set(AREAS) - {name for atlas, names in ATLAS_LEVELS.items() if atlas != "HCP_MMP1" for name in names}
_HEMISPHERE = re.compile(r"^(?:[LR]_|[lr]h[._ -]?|[LR]H[._ -]?|[lr](?=[A-Z]))(?=\w)")
_ATLAS = re.compile(r"^(.+) \(([^()]+)\)$")


def area_level(name: str, atlas: str | None = None) -> str:
    """Level of an area by its name.

    Parameters
    ----------
    name : str
        As in one of `ATLAS_LEVELS`, whatever its case, hyphens and hemisphere (``lh.V1``, ``L_V1_ROI``, ``lEBA``);
        ventral and dorsal parts (``V1v``, ``V1d``) are the area. ``"NAME (ATLAS)"`` names the atlas, too.
    atlas : str, optional
        Without it, all are searched.

    Returns
    -------
    str
        One of `LEVELS`, or empty.

    Examples
    --------
    >>> from jne.cortex import area_level
    >>> [area_level(name) for name in ("V2d", "FFA1", "IPS0", "RSC", "RSC (HCP_MMP1)")]
    ['V2', 'higher', 'intermediate', 'higher', '']
    """
    if atlas is None and (named := _ATLAS.match(name)) and named[2] in ATLAS_LEVELS:
        name, atlas = named[1], named[2]
    known = _LEVELS if atlas is None else {_key(area): level for area, level in ATLAS_LEVELS.get(atlas, {}).items()}
    return next((known[key] for key in _keys(name) if key in known), "")


def area_levels(names: ArrayLike) -> np.ndarray:
    """Level of each voxel by the name of its area, ``(n_voxels,)``, empty for none.

    As `area_level`; but RSC is that of HCP-MMP1.0, which is not the scene area and has no level, where the names have
    areas that only HCP-MMP1.0 has and no OPA and no PPA.
    """
    names = np.asarray(names).astype(str)
    unique, inverse = np.unique(names, return_inverse=True)
    found = [area_level(name) for name in unique.tolist()]
    if _hcp_alone(unique):
        found = ["" if _keys(name)[-1] == "RSC" else level for name, level in zip(unique.tolist(), found, strict=True)]
    return np.array(found, dtype=object)[inverse].astype(str)


def is_area(name: str, wanted: str) -> bool:
    """Whether an area's name is that of ``wanted``, read as in `area_level`: of either hemisphere, ventral or dorsal.

    Examples
    --------
    >>> from jne.cortex import is_area
    >>> is_area("L_V1_ROI", "V1"), is_area("V2d", "v2"), is_area("V1", "V2")
    (True, True, False)
    """
    return _key(wanted) in _keys(name)


def tiers(levels: ArrayLike) -> np.ndarray:
    """Tier of each level of `LEVELS`, a key of `TIERS`, which a level may be itself; empty for none."""
    known = {level: tier for tier, members in TIERS.items() for level in (tier, *members)}
    return np.array([known.get(level, "") for level in np.asarray(levels).astype(str).tolist()], dtype=str)


def paper_areas(names: ArrayLike) -> np.ndarray:
    """Which of the paper's ten areas each name is or stands in for, a key of `PAPER_AREAS`; empty for none.

    Names are read as in `area_levels`. Of the alternatives for an area the first that is among the names counts, so
    that nothing stands in for an area that is there; ``"NAME (ATLAS)"``, which is beside another NAME, never counts.

    Examples
    --------
    >>> from jne.cortex import paper_areas
    >>> paper_areas(["V1v", "hV4", "MT", "FFC", "LO1"]).tolist()
    ['V1', 'V4', 'EBA', 'FFA-1', '']
    >>> paper_areas(["MT", "EBA"]).tolist()
    ['', 'EBA']
    """
    names = np.asarray(names).astype(str)
    unique, inverse = np.unique(names, return_inverse=True)
    hcp_alone = _hcp_alone(unique)
    keys = [set() if _ATLAS.match(name) else set(_keys(name)) for name in unique.tolist()]
    keys = [own - {"RSC"} if hcp_alone else own for own in keys]
    found = np.full(len(unique), "", dtype=object)
    for area, alternatives in PAPER_AREAS.items():
        for members in alternatives:
            here = [not own.isdisjoint(map(_key, members)) for own in keys]
            if any(here):
                found[here] = area
                break
    return found[inverse].astype(str)


def _hcp_alone(names: np.ndarray) -> bool:
    keys = {key for name in names.tolist() for key in _keys(name)}
    return bool(keys & {_key(name) for name in _ONLY_HCP}) and not keys & {"OPA", "PPA"}


def _key(name: str) -> str:
    return re.sub(r"[-_. ]", "", name).upper()


def _keys(name: str) -> list[str]:
    """What a name may be in the tables: itself, without its hemisphere, without its ventral or dorsal part."""
    whole = _HEMISPHERE.sub("", re.sub(r"_ROI$", "", name))
    return [_key(name), _key(whole), re.sub(r"^(H?V[1-4])[VD]$", r"\1", _key(whole))]


_LEVELS = {_key(area): level for names in ATLAS_LEVELS.values() for area, level in names.items()}
