"""The visual areas of HCP-MMP1.0 on the fsLR-32k surface: which vertex belongs to which area and hierarchy level.

The parcellation is that of Glasser et al. (2016), *A multi-modal parcellation of human cerebral cortex*, Nature 536,
171-178, https://doi.org/10.1038/nature18933. What belongs where follows its *Supplementary Neuroanatomical Results*,
which sort the 180 areas into 22 groups. Used here are all areas of the five visual groups (primary visual, early
visual, dorsal stream, ventral stream, MT+ complex and neighbours) and six scene areas of the medial temporal and
posterior cingulate groups. The levels after V4 are a convention of this project, not a result of that paper.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
import pandas as pd
from scipy import sparse

from jne.cortex.mesh import (
    HEMISPHERES,
    MESH,
    N_MESH_VERTICES,
    fill_from_nearest,
    mesh_adjacency,
    mesh_areas,
    smooth,
    sulcal_depth,
    surface,
)

__all__ = [
    "AREAS",
    "CATEGORY_AREAS",
    "HEMISPHERES",
    "LEVELS",
    "MESH",
    "STANDS_FOR",
    "Cortex",
    "areas",
    "fill_from_nearest",
    "load_cortex",
    "mesh_areas",
    "smooth",
    "sulcal_depth",
    "surface",
]

LEVELS = ("V1", "V2", "V3", "V4", "intermediate", "higher")
"""Levels of the visual hierarchy, lowest first. V1 to V4 are one area each."""

AREAS = {
    "V1": ("V1", "primary visual"),
    "V2": ("V2", "early visual"),
    "V3": ("V3", "early visual"),
    "V4": ("V4", "early visual"),
    **{area: ("intermediate", "dorsal stream visual") for area in ("V3A", "V3B", "V6", "V6A", "V7", "IPS1")},
    **{area: ("intermediate", "MT+ complex and neighbours") for area in ("V3CD", "LO1", "LO2", "LO3")},
    **{area: ("intermediate", "ventral stream visual") for area in ("V8", "PIT", "VMV1", "VMV2", "VMV3")},
    **{area: ("higher", "ventral stream visual") for area in ("VVC", "FFC")},
    **{area: ("higher", "MT+ complex and neighbours") for area in ("V4t", "MT", "MST", "FST", "PH")},
    **{area: ("higher", "medial temporal") for area in ("PHA1", "PHA2", "PHA3")},
    **{area: ("higher", "posterior cingulate") for area in ("POS1", "DVT", "ProS")},
}
"""Area -> (level, group of Glasser et al. 2016).

* *intermediate*: areas next to V2-V4 with retinotopic maps of their own, in the three streams.
* *higher*: the category areas and those beyond the retinotopic maps. MT is early by its anatomy; it stands here because
  it lies within the body-selective ring that the functional atlases call EBA.
"""

CATEGORY_AREAS = {
    "faces": ("FFC",),
    "scenes": ("PHA1", "PHA2", "PHA3", "POS1", "DVT", "ProS"),
    "bodies": ("V4t", "MT", "MST", "FST"),
}
"""Areas that stand for functionally defined category areas.

FFC (fusiform face complex) stands for FFA, PHA1-3 for PPA, POS1, DVT and ProS for the medial scene area that the field
calls RSC: the area named RSC in HCP-MMP1.0 lies further forward, around the splenium, and is not it. V4t, MT, MST and
FST are the neighbourhood of EBA, which surrounds MT and has no label of its own. Nor has the visual word form area, so
no area here is given to words.
"""

STANDS_FOR = {
    "FFC": "FFA",
    **dict.fromkeys(("PHA1", "PHA2", "PHA3"), "PPA"),
    **dict.fromkeys(("POS1", "DVT", "ProS"), "RSC (scene area)"),
    **dict.fromkeys(("V4t", "MT", "MST", "FST"), "EBA (neighbourhood)"),
}


@dataclass(frozen=True)
class Cortex:
    """Vertices of the visual areas of both hemispheres, left first, each hemisphere in the order of the mesh.

    Attributes
    ----------
    roi : numpy.ndarray of str, ``(n_vertices,)``
        HCP-MMP1.0 area, without the prefix of the hemisphere.
    hemisphere : numpy.ndarray of str, ``(n_vertices,)``
        ``"left"`` or ``"right"``.
    vertex : numpy.ndarray of int, ``(n_vertices,)``
        Index within the hemisphere's fsLR-32k mesh, 0 to 32,491.
    level : numpy.ndarray of str, ``(n_vertices,)``
        One of `LEVELS`.
    """

    roi: np.ndarray
    hemisphere: np.ndarray
    vertex: np.ndarray
    level: np.ndarray

    mesh = MESH

    def __len__(self) -> int:
        return len(self.vertex)

    @property
    def adjacency(self) -> sparse.csr_matrix:
        """Which vertices share an edge of the mesh: symmetric, 0/1, ``(n_vertices, n_vertices)``."""
        both = sparse.block_diag([mesh_adjacency(hemisphere) for hemisphere in HEMISPHERES], format="csr")
        index = self.vertex + N_MESH_VERTICES * (self.hemisphere == "right")
        return both[index][:, index]


@cache
def load_cortex() -> Cortex:
    """The vertices of the 32 visual areas, with area, hemisphere, mesh index and level.

    Returns
    -------
    Cortex

    Examples
    --------
    >>> import jne
    >>> cortex = jne.load_cortex()
    >>> len(set(cortex.roi)), len(cortex.roi) == len(cortex.vertex)
    (32, True)
    """
    tables = []
    for hemisphere in HEMISPHERES:
        roi = mesh_areas(hemisphere)
        vertex = np.flatnonzero(np.isin(roi, list(AREAS)))
        tables.append((roi[vertex], np.full(len(vertex), hemisphere), vertex))
    roi, hemisphere, vertex = (np.concatenate(columns) for columns in zip(*tables, strict=True))
    level = np.array([AREAS[area][0] for area in roi])
    for values in (roi, hemisphere, vertex, level):
        values.flags.writeable = False
    return Cortex(roi, hemisphere, vertex, level)


def areas() -> pd.DataFrame:
    """The visual areas, lowest level first.

    Returns
    -------
    pandas.DataFrame
        Indexed by area: ``level``, ``group`` (of Glasser et al. 2016), ``stands_for`` (the functionally defined area it
        stands for, or empty) and the number of vertices ``n_left`` and ``n_right``.
    """
    cortex = load_cortex()
    rows = [
        {
            "area": area,
            "level": level,
            "group": group,
            "stands_for": STANDS_FOR.get(area, ""),
            "n_left": int(np.count_nonzero((cortex.roi == area) & (cortex.hemisphere == "left"))),
            "n_right": int(np.count_nonzero((cortex.roi == area) & (cortex.hemisphere == "right"))),
        }
        for area, (level, group) in AREAS.items()
    ]
    return pd.DataFrame(rows).set_index("area")
