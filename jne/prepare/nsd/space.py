"""The points of a space that are used, and where they are."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from jne.prepare.brain_files import open_image
from jne.prepare.nsd.layout import HEMISPHERES, N_FSAVERAGE, Layout, read_map


@dataclass(frozen=True)
class Space:
    """Points within a mask.

    Attributes
    ----------
    shapes : list of tuple
        Shape of the volume, or of the left and the right surface.
    points : array of int ``(n_points,)``
        Ascending indices into the flattened space, x fastest, the left hemisphere first.
    mask : str
        Which mask it was.
    affine : array ``(4, 4)``, optional
        Of the volume: voxel indices to millimetres.
    """

    shapes: list[tuple[int, ...]]
    points: np.ndarray
    mask: str
    affine: np.ndarray | None = None

    @property
    def is_surface(self) -> bool:
        return self.affine is None

    @property
    def what(self) -> str:
        return "vertices" if self.is_surface else "voxels"

    def variables(self, kept: np.ndarray) -> dict:
        """Where the kept points are: ``hemisphere`` and ``vertex`` on a surface, ``ijk (voxel, axis)`` in a volume."""
        points = self.points[kept]
        if self.is_surface:
            side, vertex = np.divmod(points, N_FSAVERAGE)
            names = np.array(list(HEMISPHERES.values()), dtype=object)
            return {
                "hemisphere": ("voxel", names[side]),
                "vertex": ("voxel", vertex, {"mesh": "fsaverage", "files": "MGH"}),
            }
        ijk = np.stack(np.unravel_index(points, self.shapes[0], order="F"), axis=1).astype(np.int32)
        attrs = {"affine": self.affine.ravel(), "shape": list(self.shapes[0])}
        return {"ijk": (("voxel", "axis"), ijk, attrs)}


def read_space(layout: Layout, mask: str | None = None) -> Space:
    """Points of a subject's volume or of fsaverage that are above 0 in a mask.

    Parameters
    ----------
    layout : Layout
    mask : str, optional
        ``brainmask``, a region of the tree, or a file; by default ``brainmask`` in a volume, everything on fsaverage.
    """
    surface = [(N_FSAVERAGE, 1, 1)] * 2 if layout.is_surface else None
    if mask is None and layout.is_surface:
        return Space(surface, np.arange(2 * N_FSAVERAGE), "all vertices")
    mask = mask or "brainmask"
    if mask == "brainmask" and layout.is_surface:
        raise ValueError("mask='brainmask' is a volume; for fsaverage leave --mask out, or give nsdgeneral or lh.FILE")
    paths = _mask_paths(layout, mask)
    values, shapes = read_map(paths, surface)
    if any(len(shape) != 3 or not math.prod(shape) for shape in shapes):
        raise ValueError(f"mask: {paths[0]} has shape {shapes[0]}; needed: three dimensions")
    points = np.flatnonzero(values > 0)
    if not len(points):
        raise ValueError(f"mask: {paths[0]} has no value above 0")
    return Space(shapes, points, Path(mask).name, None if layout.is_surface else open_image(paths[0], "mask").affine)


def _mask_paths(layout: Layout, mask: str) -> tuple[Path, ...]:
    own = Path(mask)
    if not own.is_file():
        paths = layout.mask(mask)
        layout.need(paths, f"mask {mask!r} (which is no file either)", "give a file of your own with --mask")
        return paths
    if not layout.is_surface:
        return (own,)
    if not own.name.startswith("lh."):
        raise ValueError(f"mask: {own} does not begin with 'lh.'; give the left hemisphere's file, the right beside it")
    right = own.with_name(f"rh.{own.name[3:]}")
    if not right.is_file():
        raise ValueError(f"mask: there is no {right}, the right hemisphere of {own}")
    return (own, right)
