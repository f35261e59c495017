"""CIFTI, as fMRIPrep and HCP write it: maps of vertices of the cortex and of voxels of what lies below it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr
from nibabel.cifti2 import Cifti2Image
from nibabel.cifti2.cifti2_axes import BrainModelAxis, LabelAxis, ScalarAxis, SeriesAxis

from jne._core import check_held, reading, spans
from jne.prepare.brain_files import Maps, check_real, load_image
from jne.prepare.labels import name_labels, one_name_each
from jne.prepare.maps import Places

_CORTEX = {"CIFTI_STRUCTURE_CORTEX_LEFT": "left", "CIFTI_STRUCTURE_CORTEX_RIGHT": "right"}
_MESHES = {32492: "fsLR-32k", 59292: "fsLR-59k", 163842: "fsLR-164k"}
"""Vertices of a hemisphere -> mesh. The last has as many as fsaverage, and is not that."""
_KIND = "CIFTI (.dscalar.nii or .dtseries.nii)"
_NAME = re.compile(r"\.[dp](scalar|tseries|label|conn\w*|[dp]conn|f\w+)\.nii$")
_NO_VERTEX = -1
_BLOCK_BYTES = 64 * 2**20


def is_cifti(path: Path) -> bool:
    """Whether a file is CIFTI, by its name (``.dscalar.nii``), which its own tools insist on."""
    return _NAME.search(path.name.lower()) is not None


def locate_grayordinates(
    files: Sequence[Path], mask: Path | None, atlases: Sequence[Path], names: Mapping[int, str] | None
) -> Places:
    """The maps of CIFTI files, and which of their points are kept.

    Parameters
    ----------
    files : sequence of Path
        ``.dscalar.nii`` or ``.dtseries.nii`` of the same points.
    mask : Path, optional
        CIFTI with one map; points above 0 are kept. Without one, those that the atlas labels, or all.
    atlases : sequence of Path
        None, or one ``.dlabel.nii`` (or a CIFTI of whole numbers), which may lack points of the maps.
    names : mapping, optional
        What the numbers of the atlas mean, before its own names.

    Returns
    -------
    Places
        ``hemisphere`` and ``vertex``, empty and -1 below the cortex; there ``ijk``, which is -1 on the cortex.
    """
    first = _load(files[0], "maps")
    model = _points(first, files[0], "maps")
    readers = [_open(first, files[0])]
    for file in files[1:]:
        image = _load(file, "maps")
        if _points(image, file, "maps") != model:
            raise ValueError(f"maps: {file} has other vertices and voxels than {files[0]}; give files of one space")
        readers.append(_open(image, file))
    keys, area, inside = _keys(model), None, np.ones(len(model), bool)
    if len(atlases) > 1:
        raise ValueError("atlas: given several times; of CIFTI, give one .dlabel.nii with all areas")
    if atlases:
        area = _areas(atlases[0], model, keys, names)
        inside = area != ""
    if mask is not None:
        inside = _values(_load(mask, "mask"), mask, "mask", model, keys) > 0
    if not inside.any():
        raise ValueError(
            f"{'mask' if mask else 'atlas'}: no point of {files[0]} is left; needed: values above 0, or areas"
        )
    kept = np.flatnonzero(inside)
    attrs = {"mask_file": mask.name if mask else "points with a label" if atlases else "all points",
             "atlas_file": atlases[0].name if atlases else "none"}  # fmt: skip
    return Places(readers, kept, _where(model[kept], area, kept, files[0]), attrs)


def _load(path: Path, what: str) -> Cifti2Image:
    image = load_image(path, what, _KIND)
    if not isinstance(image, Cifti2Image):
        raise ValueError(f"{what}: {path} is no CIFTI file, and the maps are; give one of the same kind")
    check_real(image.get_data_dtype(), path, what)
    return image


def _points(image: Cifti2Image, path: Path, what: str) -> BrainModelAxis:
    """The points of a file whose rows are maps."""
    with reading(path, what, _KIND):
        axes = [image.header.get_axis(i) for i in range(image.ndim)]
    kinds = [type(axis).__name__.removesuffix("Axis") for axis in axes]
    if len(axes) != 2 or not isinstance(axes[0], ScalarAxis | SeriesAxis | LabelAxis) or kinds[1] != "BrainModel":
        raise ValueError(f"{what}: {path} has the axes {', '.join(kinds)}; needed: maps, and vertices and voxels "
                         f"({_KIND}; parcels and connectivity have no place)")  # fmt: skip
    if 0 in image.shape:
        raise ValueError(f"{what}: {path} has shape {image.shape}, and holds nothing")
    return axes[1]


def _open(image: Cifti2Image, path: Path) -> Maps:
    count, n_points = image.shape

    def columns(points: np.ndarray) -> Iterator[tuple[slice, np.ndarray]]:
        # All values of a point lie together, as they do in the file.
        step = max(1, _BLOCK_BYTES // (8 * count))
        check_held(16 * count, f"maps: {path}")
        with reading(path, "maps", _KIND):
            for part in spans(n_points, step):
                here = slice(*np.searchsorted(points, [part.start, part.stop]).tolist())
                if here.start < here.stop:
                    yield here, np.asanyarray(image.dataobj[:, part])[:, points[here] - part.start]

    return Maps(path, (n_points,), count, columns=columns)


def _keys(model: BrainModelAxis) -> pd.MultiIndex:
    """What tells points apart: structure, and vertex or voxel."""
    return pd.MultiIndex.from_arrays([model.name.astype(str), model.vertex, *model.voxel.T])


def _values(image: Cifti2Image, path: Path, what: str, model: BrainModelAxis, keys: pd.MultiIndex) -> np.ndarray:
    """Values of a file of one map at the points of the maps; NaN where it does not have a point."""
    own = _points(image, path, what)
    if image.shape[0] != 1:
        raise ValueError(f"{what}: {path} holds {image.shape[0]} maps; needed: one value for each point")
    _check_space(own, model, path, what)
    with reading(path, what, _KIND):
        values = np.asanyarray(image.dataobj)[0].astype(float)
    place = _keys(own).get_indexer(keys)
    if (place < 0).all():
        raise ValueError(
            f"{what}: {path} has none of the vertices and voxels of the maps; needed: a file of their space"
        )
    return np.where(place < 0, np.nan, values[place])


def _check_space(own: BrainModelAxis, model: BrainModelAxis, path: Path, what: str) -> None:
    """Meshes and grids must be the same, or equal numbers would mean other places."""
    for structure in set(own.nvertices) & set(model.nvertices):
        if own.nvertices[structure] != model.nvertices[structure]:
            raise ValueError(f"{what}: {structure} of {path} has {own.nvertices[structure]} vertices, and that of the "
                             f"maps {model.nvertices[structure]}")  # fmt: skip
    volumes = own.affine is not None and model.affine is not None
    if volumes and (own.volume_shape != model.volume_shape or not np.allclose(own.affine, model.affine, atol=1e-3)):
        raise ValueError(f"{what}: the voxels of {path} lie on another grid than those of the maps")


def _areas(path: Path, model: BrainModelAxis, keys: pd.MultiIndex, names: Mapping[int, str] | None) -> np.ndarray:
    """Area of each point; those of HCP-MMP1.0, ``L_V1_ROI`` and ``R_V1_ROI``, are V1."""
    image = _load(path, "atlas")
    values, labels = _values(image, path, "atlas", model, keys), image.header.get_axis(0)
    own: dict[int, str] = {}
    if isinstance(labels, LabelAxis):
        own = one_name_each(((int(key), name.strip()) for key, (name, _) in labels.label[0].items()), path)
    area = name_labels(values, {**own, **(names or {})} if own or names is not None else None, path)
    short = {name: re.sub(r"^[LR]_(.+)_ROI$", r"\1", name) for name in np.unique(area)}
    return np.array([short[name] for name in area], object)


def _where(model: BrainModelAxis, area: np.ndarray | None, kept: np.ndarray, path: Path) -> xr.Dataset:
    voxels = xr.Dataset() if area is None else xr.Dataset({"roi": ("voxel", area[kept])})
    surface = model.surface_mask
    if other := sorted(set(model.name[surface].astype(str)) - set(_CORTEX)):
        raise ValueError(f"maps: {path} has vertices of {other[0]}; known are those of {' and '.join(_CORTEX)}. Leave "
                         "them out with a mask")  # fmt: skip
    if surface.any():
        sizes = {model.nvertices[name] for name in np.unique(model.name[surface])}
        if len(sizes) > 1 or not sizes <= set(_MESHES):
            known = ", ".join(f"{name} {n}" for n, name in _MESHES.items())
            raise ValueError(f"maps: the cortex of {path} has {sorted(sizes)} vertices a hemisphere; known are {known}")
        side = np.array([_CORTEX.get(name, "") for name in model.name.astype(str)], object)
        voxels["hemisphere"] = "voxel", side
        vertex = np.where(surface, model.vertex, _NO_VERTEX).astype(np.int32)
        voxels["vertex"] = "voxel", vertex, {"mesh": _MESHES[sizes.pop()]}
    if not surface.all():
        place = {"affine": model.affine.ravel(), "shape": list(model.volume_shape)}
        ijk = np.where(surface[:, None], _NO_VERTEX, model.voxel).astype(np.int32)
        voxels["ijk"] = ("voxel", "axis"), ijk, place
    return voxels
