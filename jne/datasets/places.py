"""Where the voxels of a dataset or a result are: in a volume, on the mesh of a surface, or nowhere that is known."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import xarray as xr
from numpy.typing import DTypeLike

from jne._core import N_VERTICES
from jne.cortex import HEMISPHERES, MESH

SURFACE_FILES = ("CIFTI", "GIFTI", "MGH")
"""Kinds of files that values on a surface come in and leave as."""


@dataclass(frozen=True)
class Volume:
    """Voxels of a grid.

    Attributes
    ----------
    ijk : array of int ``(n_voxels, 3)``
        Indices, from 0.
    shape : tuple of int
        Of the grid.
    affine : array ``(4, 4)``
        Indices to millimetres.
    """

    ijk: np.ndarray
    shape: tuple[int, ...]
    affine: np.ndarray

    @property
    def xyz(self) -> np.ndarray:
        """Centres of the voxels in millimetres, ``(n_voxels, 3)``."""
        return self.ijk @ self.affine[:3, :3].T + self.affine[:3, 3]

    def fill(self, values: np.ndarray, dtype: DTypeLike = float, outside: float = np.nan) -> np.ndarray:
        """Values ``(n_voxels,)`` in their places in the whole grid, and ``outside`` elsewhere."""
        whole = np.full(self.shape, outside, dtype)
        whole[tuple(self.ijk.T)] = values
        return whole


@dataclass(frozen=True)
class Surface:
    """Vertices of a mesh.

    Attributes
    ----------
    mesh : str
    vertex : array of int ``(n_voxels,)``
        Index within the hemisphere.
    hemisphere : array of str ``(n_voxels,)``
    n_vertices : mapping
        Hemisphere -> vertices of its mesh.
    files : str
        One of `SURFACE_FILES`: what the values came in.
    """

    mesh: str
    vertex: np.ndarray
    hemisphere: np.ndarray
    n_vertices: Mapping[str, int]
    files: str

    @property
    def sides(self) -> list[str]:
        """Hemispheres of which there are vertices, left first."""
        return [side for side in HEMISPHERES if (self.hemisphere == side).any()]

    def fill(self, values: np.ndarray, side: str, dtype: DTypeLike = float) -> np.ndarray:
        """Values ``(n_voxels,)`` in their places on the whole mesh of a hemisphere, and NaN elsewhere."""
        here, whole = self.hemisphere == side, np.full(self.n_vertices[side], np.nan, dtype)
        whole[self.vertex[here]] = values[here]
        return whole


def place_of(content: xr.Dataset) -> Volume | Surface | None:
    """Where the voxels of a dataset or a result are.

    Parameters
    ----------
    content : xarray.Dataset
        With ``vertex`` and ``hemisphere (voxel)``, or ``ijk (voxel, axis)``, as dataset files have them.

    Returns
    -------
    Volume, Surface or None
        None where it has neither, a grid without shape or affine, or a mesh whose size is not known.

    Raises
    ------
    ValueError
        If a place is none: what was found, and what is needed.
    """
    if "vertex" in content and "hemisphere" in content:
        return _surface(content["vertex"], content["hemisphere"].values.astype(str))
    return _volume(content["ijk"]) if "ijk" in content else None


def volume_of(content: xr.Dataset) -> Volume | None:
    """The grid of a dataset or result whose voxels are in a volume, None of any other."""
    place = place_of(content)
    return place if isinstance(place, Volume) else None


def _surface(vertex: xr.DataArray, hemisphere: np.ndarray) -> Surface | None:
    mesh, values = str(vertex.attrs.get("mesh", MESH)), vertex.values
    known = np.full(2, N_VERTICES[mesh]) if mesh in N_VERTICES else np.ravel(vertex.attrs.get("n_vertices", ()))
    if len(known) != len(HEMISPHERES):
        return None
    sizes = dict(zip(HEMISPHERES, map(int, known), strict=True))
    for side, size in sizes.items():
        here = values[hemisphere == side]
        if here.size and not 0 <= here.min() <= here.max() < size:
            raise ValueError(
                f"vertex of the {side} hemisphere runs from {here.min()} to {here.max()}; {mesh} has the indices 0 to "
                f"{size - 1}"
            )
    files = vertex.attrs.get("files", "CIFTI" if mesh == MESH else "GIFTI")
    return Surface(mesh, values, hemisphere, sizes, files if files in SURFACE_FILES else "GIFTI")


def _volume(ijk: xr.DataArray) -> Volume | None:
    values, shape, affine = ijk.values, np.ravel(ijk.attrs.get("shape", ())), np.ravel(ijk.attrs.get("affine", ()))
    if not shape.size or not affine.size:
        return None
    if values.ndim != 2 or values.shape[1] != 3 or values.dtype.kind not in "iu":
        raise ValueError(f"ijk has shape {values.shape} and type {values.dtype}; needed: whole numbers (voxel, 3)")
    if len(shape) != 3 or affine.size != 16 or not np.isfinite(affine).all():
        raise ValueError(
            f"ijk has a shape of {len(shape)} and an affine of {affine.size} numbers as attributes; needed: 3 and 16, "
            "finite"
        )
    size = tuple(map(int, shape))
    # Nothing as large as the positions is made of them: studies of whole volumes are prepared within a limit.
    if len(values) and ((values.min(axis=0) < 0) | (values.max(axis=0) >= size)).any():
        outside = np.count_nonzero(((values < 0) | (values >= size)).any(axis=1))
        raise ValueError(f"ijk has {outside} voxels outside of its grid of {size}; indices count from 0")
    taken = np.zeros(size, bool)
    taken[tuple(values.T)] = True
    if twice := len(values) - np.count_nonzero(taken):
        raise ValueError(f"ijk has {twice} voxels more than once")
    return Volume(values, size, affine.reshape(4, 4).astype(float))
