"""Responses of both hemispheres, read from their arrays by blocks of vertices."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np

from jne.prepare.array_files import load_array
from jne.prepare.map_store import copy_columns


class VertexStore:
    """``(n_images, n_vertices)`` of hemispheres side by side; read by `jne.prepare.maps.save_maps`.

    Parameters
    ----------
    paths : sequence of Path
        ``.npy`` files of as many images each.

    Attributes
    ----------
    shape : tuple of int
    widths : list of int
        Vertices of each.
    size, copies : int
        See `jne.prepare.map_store.Store`; there are no work files.
    """

    size, copies = 0, 1

    def __init__(self, paths: Sequence[Path]):
        self._paths = list(paths)
        shapes = [load_array(path, "responses", 2).shape for path in paths]
        if len({shape[0] for shape in shapes}) > 1:
            has = " and ".join(f"{path} {shape}" for path, shape in zip(paths, shapes, strict=True))
            raise ValueError(f"responses: {has} are not of as many images")
        self.widths = [shape[1] for shape in shapes]
        self.shape = shapes[0][0], sum(self.widths)

    def read(self, voxels: slice) -> np.ndarray:
        """All images of some vertices, ``(n_images, n_vertices)``, float32."""
        out = np.empty((self.shape[0], voxels.stop - voxels.start), np.float32)
        first = 0
        for path, width in zip(self._paths, self.widths, strict=True):
            start, stop = max(voxels.start, first), min(voxels.stop, first + width)
            if start < stop:
                here = out[:, start - voxels.start : stop - voxels.start]
                copy_columns(partial(load_array, path, "responses", 2), slice(start - first, stop - first), here)
            first += width
        return out
