"""Inflated surfaces seen from one side, and flat ones, as images of which vertex is at which pixel.

The geometry is worked out once per mesh, hemisphere and view; every measure drawn after that is a look-up.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from scipy.spatial import cKDTree

from jne._core import N_VERTICES
from jne.cortex.mesh import MESH, mesh_areas, sulcal_depth, surface

VIEWS = ("lateral", "medial", "ventral", "posterior")
FSAVERAGE = ("fsaverage", "fsaverage6", "fsaverage5")
"""All are drawn on fsaverage5: the icosahedra are nested, so its 10,242 vertices are the first of the finer ones."""
FLAT = "flat"
"""One more view, of fsLR-32k only: the hemisphere cut and laid flat."""
PIXEL = 0.6
"""Millimetres."""
_REACH = 2.5  # millimetres from the next vertex to where the flat cortex ends


@dataclass(frozen=True)
class DrawnMesh:
    """An inflated surface of one hemisphere.

    Attributes
    ----------
    coordinates : array ``(n_vertices, 3)``, millimetres (right, anterior, superior)
    triangles : array of int ``(n_triangles, 3)``
    depth : array ``(n_vertices,)``
        Sulcal depth, positive on gyri; NaN on the medial wall.
    areas : array of str ``(n_vertices,)`` or None
        HCP-MMP1.0, where it is known on this mesh.
    name : str
        Of the mesh that is drawn.
    n_data : int
        Vertices per hemisphere of the mesh that the data are on.
    """

    coordinates: np.ndarray
    triangles: np.ndarray
    depth: np.ndarray
    areas: np.ndarray | None
    name: str
    n_data: int


@cache
def drawn_mesh(mesh: str, hemisphere: str) -> DrawnMesh:
    """The surface on which data of a mesh are drawn.

    Raises
    ------
    ValueError
        If there is no surface for this mesh.
    """
    if mesh == MESH:
        coordinates, triangles = surface("inflated", hemisphere)
        areas = mesh_areas(hemisphere)
        return DrawnMesh(coordinates, triangles, sulcal_depth(hemisphere), areas, mesh, len(coordinates))
    if mesh not in FSAVERAGE:
        raise ValueError(f"mesh={mesh!r} has no surface here; accepted are {', '.join((MESH, *FSAVERAGE))}")
    from nilearn.datasets import load_fsaverage, load_fsaverage_data

    part = load_fsaverage("fsaverage5")["inflated"].parts[hemisphere]
    depth = load_fsaverage_data("fsaverage5", data_type="sulcal").data.parts[hemisphere]
    # Here positive is deep.
    return DrawnMesh(part.coordinates, part.faces, -depth, None, "fsaverage5", N_VERTICES[mesh])


@cache
def pixel_vertices(mesh: str, hemisphere: str, view: str) -> tuple[np.ndarray, np.ndarray]:
    """Which vertex is seen at each pixel of a view, and how squarely the surface faces the eye there.

    Parameters
    ----------
    mesh : str
    hemisphere : {"left", "right"}
    view : {"lateral", "medial", "ventral", "posterior", "flat"}

    Returns
    -------
    vertex : array of int ``(height, width)``
        -1 beside the surface.
    facing : array ``(height, width)``, 0 to 1
    """
    if view == FLAT:
        return _flat_pixels(mesh, hemisphere)
    drawn = drawn_mesh(mesh, hemisphere)
    right, up, away = _camera(hemisphere, view)
    corners = drawn.coordinates[drawn.triangles]
    normal = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    normal /= np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-12)
    # Outward on average, whichever way round the file lists the corners.
    outward = np.sign((normal * (corners.mean(axis=1) - drawn.coordinates.mean(axis=0))).sum())
    facing = -outward * normal @ away
    seen = np.flatnonzero(facing > 0)
    order = seen[np.argsort(-(corners[seen].mean(axis=1) @ away))]  # far first: what is painted later covers it
    points = np.stack([drawn.coordinates @ right, -(drawn.coordinates @ up)], axis=1)
    low = points.min(axis=0)
    width, height = (np.ceil((points.max(axis=0) - low) / PIXEL).astype(int) + 3).tolist()
    longest = max(np.linalg.norm(corners[seen] - np.roll(corners[seen], 1, axis=1), axis=2).max(), PIXEL)
    weights = _barycentric(int(np.ceil(longest / PIXEL)) + 1)
    place = np.rint((weights @ points[drawn.triangles[order]] - low) / PIXEL).astype(int) + 1
    vertex = np.full((height, width), -1)
    shade = np.zeros((height, width), np.float32)
    nearest = drawn.triangles[order][:, weights.argmax(axis=1)]
    vertex[place[..., 1], place[..., 0]] = nearest
    shade[place[..., 1], place[..., 0]] = facing[order, None]
    return vertex, shade


def _flat_pixels(mesh: str, hemisphere: str) -> tuple[np.ndarray, np.ndarray]:
    if mesh != MESH:
        raise ValueError(f"mesh={mesh!r} has no flat map here; accepted is {MESH}")
    corners, triangles = surface("flat", hemisphere)
    here = np.unique(triangles)
    (left, bottom), (right, top) = corners[here].min(axis=0) - PIXEL, corners[here].max(axis=0) + PIXEL
    grid = np.stack(np.meshgrid(np.arange(left, right, PIXEL), np.arange(top, bottom, -PIXEL)), axis=2)
    distance, nearest = cKDTree(corners[here]).query(grid, distance_upper_bound=_REACH)
    inside = np.isfinite(distance)
    return np.where(inside, here[np.where(inside, nearest, 0)], -1), inside.astype(np.float32)


def _barycentric(n: int) -> np.ndarray:
    """Points spread over a triangle as weights of its corners, ``(n_points, 3)``."""
    i, j = np.meshgrid(np.arange(n + 1), np.arange(n + 1), indexing="ij")
    inside = i + j <= n
    return np.stack([i[inside], j[inside], (n - i - j)[inside]], axis=1) / n


def _camera(hemisphere: str, view: str) -> np.ndarray:
    """Unit vectors to the right, up, and away from the eye, as rows."""
    if view not in VIEWS:
        raise ValueError(f"view={view!r} is not a view; use one of {', '.join(VIEWS)}")
    side = 1.0 if hemisphere == "left" else -1.0
    away, up = {
        "lateral": ((side, 0, 0), (0, 0, 1)),
        "medial": ((-side, 0, 0), (0, 0, 1)),
        "ventral": ((0, 0, 1), (0, 1, 0)),
        "posterior": ((0, 1, 0), (0, 0, 1)),
    }[view]
    return np.array([np.cross(away, up), up, away], float)
