"""Maps that are volumes: the grid on which they, a mask and an atlas lie, and which of its voxels are kept."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import xarray as xr
from nibabel.spatialimages import SpatialImage

from jne.prepare.area_masks import area_name, is_area_mask
from jne.prepare.brain_files import Maps, load_image, open_maps, read_values
from jne.prepare.glmsingle import is_glmsingle, open_glmsingle
from jne.prepare.labels import is_none, name_labels
from jne.prepare.maps import Places

_SAME_PLACE = 1e-3
"""Millimetres by which two affines may differ and still be the same."""
_KEPT = 0.9
"""Share of the volume of a mask or atlas that resampling must keep."""


def locate_volumes(
    files: Sequence[Path],
    mask: Path | None,
    atlases: Sequence[Path],
    names: Mapping[int, str] | None,
    *,
    resample: bool,
    same_grid: bool,
    report: Callable[[str], object],
) -> Places:
    """The maps of files of volumes, and which of their voxels are kept; `jne.prepare.prepare_nifti` has the rest."""
    readers, grid = _open(files)
    attrs = {"mask_file": mask.name if mask else "voxels with a label",
             "atlas_file": ", ".join(atlas.name for atlas in atlases) or "none"}  # fmt: skip
    if grid.affine is None and resample:
        raise ValueError(
            f"resample: betas of GLMsingle, such as {files[0]}, have no grid of their own, so nothing can be brought "
            "to it; give a mask and an atlas of the volumes that GLMsingle was given"
        )
    if same_grid or grid.affine is None:
        grid, attrs["affine_from"] = _trusted(mask, next(iter(atlases), None), grid, report)
    area = _areas(atlases, names, grid, resample, mask is None, report) if atlases else None
    inside = _inside(mask, area, grid, resample)
    ijk = np.argwhere(inside).astype(np.int32)
    place = {"affine": grid.affine.ravel(), "shape": list(grid.shape)}
    voxels = xr.Dataset({"ijk": (("voxel", "axis"), ijk, place)})
    if area is not None:
        voxels["roi"] = "voxel", area[inside]
    return Places(readers, np.ravel_multi_index(tuple(ijk.T), grid.shape, order="F"), voxels, attrs)


def _open(files: Sequence[Path]) -> tuple[list[Maps], Grid]:
    """The maps of all files, and their grid, which has no affine where GLMsingle wrote them."""
    if others := [file for file in files if not is_glmsingle(file)]:
        if len(others) < len(files):
            own = next(file for file in files if is_glmsingle(file))
            raise ValueError(f"maps: {others[0]} is an image and {own} is not; give files of one kind")
        images = {file: _load(file, "maps") for file in files}
        grid = Grid.of(images[files[0]], f"the first, {files[0]}")
        for file in files:
            _check_grid(images[file], grid, file, "maps")
        readers = [open_maps(images[file], file, "maps", grid.shape) for file in files]
        return readers, replace(grid, name=f"the map {files[0]}")
    readers = [open_glmsingle(file, "maps") for file in files]
    if other := [reader for reader in readers if reader.shape != readers[0].shape]:
        raise ValueError(
            f"maps: {other[0].path} has the grid {other[0].shape}, and the first, {files[0]}, has {readers[0].shape}"
        )
    return readers, Grid(readers[0].shape, None, f"the map {files[0]}")


@dataclass(frozen=True)
class Grid:
    """Where voxels are.

    Attributes
    ----------
    shape : tuple of int
    affine : array ``(4, 4)``, optional
        None where the file does not say it.
    name : str
        What errors call the file that has it.
    """

    shape: tuple[int, ...]
    affine: np.ndarray | None
    name: str

    @classmethod
    def of(cls, image: SpatialImage, name: str) -> Grid:
        return cls(tuple(map(int, image.shape[:3])), image.affine, name)

    @property
    def voxel_volume(self) -> float:
        """Cubic millimetres."""
        return abs(float(np.linalg.det(self.affine[:3, :3])))


def _load(path: Path, what: str) -> SpatialImage:
    image = load_image(path, what)
    if not isinstance(image, SpatialImage) or image.ndim not in (3, 4) or 0 in image.shape:
        shape = getattr(image, "shape", "none")
        raise ValueError(f"{what}: {path} has shape {shape}; needed: 3 or 4 dimensions (x, y, z and the maps)")
    return image


def _check_grid(image: SpatialImage, grid: Grid, path: Path, what: str, hint: str = "", same: str = "") -> None:
    if image.shape[:3] != grid.shape:
        raise ValueError(f"{what}: {path} has the grid {image.shape[:3]}, and {grid.name} has {grid.shape}{hint}")
    if (distance := np.abs(image.affine - grid.affine).max()) > _SAME_PLACE:
        raise ValueError(
            f"{what}: {path} has another affine than {grid.name} (largest difference {distance:.3g}), so its voxels "
            f"lie elsewhere{same}{hint}"
        )


def _trusted(mask: Path | None, atlas: Path | None, grid: Grid, report: Callable[[str], object]) -> tuple[Grid, str]:
    """The grid of the maps with the affine of the mask, or of the atlas where there is no mask."""
    what, path = ("mask", mask) if mask is not None else ("atlas", atlas)
    of = "same_grid" if grid.affine is not None else "maps: GLMsingle's files do not say where their voxels are"
    if path is None:
        raise ValueError(f"{of}: neither a mask nor an atlas is given, whose affine could be taken")
    image = _load(path, what)
    if image.shape[:3] != grid.shape:
        raise ValueError(
            f"{of}: {what} {path} has the grid {image.shape[:3]}, and {grid.name} has {grid.shape}; it needs equal "
            "shapes. "
            + (
                "Leave it out, and bring the one to the other's grid"
                if grid.affine is not None
                else "Give one that lies on the grid of the volumes that GLMsingle was given"
            )
        )
    if grid.affine is None:
        report(
            f"GLMsingle's files do not say where their voxels are: {grid.name} is taken to lie on the grid of the "
            f"{what} {path}, which has the same shape, {grid.shape}."
        )
    else:
        distance = np.abs(image.affine - grid.affine).max()
        report(
            f"Taken as one grid: voxels are where the affine of the {what} {path} says, not where that of {grid.name} "
            f"does (largest difference {distance:.3g})."
        )
    return replace(grid, affine=image.affine, name=f"the {what} {path}"), path.name


def _on_grid(
    path: Path, what: str, grid: Grid, resample: bool, chosen: Callable[[np.ndarray], np.ndarray]
) -> np.ndarray:
    """Values of a 3-D image at the voxels of the maps; ``chosen`` says which values count as inside."""
    image = _load(path, what)
    if image.ndim == 4 and image.shape[3] != 1:
        raise ValueError(f"{what}: {path} has shape {image.shape}; needed: three dimensions")
    values = read_values(image, path, what).reshape(image.shape[:3])
    if not resample:
        hint = "; to bring it there, say --resample (resample=True)"
        same = ". If both are of one grid, and one affine is wrong, say --same-grid (same_grid=True)"
        _check_grid(image, grid, path, what, hint, same)
        return values
    from nilearn.image import resample_img

    image = image.slicer[..., 0] if image.ndim == 4 else image
    own = Grid.of(image, f"{what} {path}")
    place = {"target_affine": grid.affine, "target_shape": grid.shape}
    moved = resample_img(image, **place, interpolation="nearest", copy_header=True, force_resample=True)
    there = np.asanyarray(moved.dataobj)
    had, kept = (np.count_nonzero(chosen(v)) * g.voxel_volume for v, g in ((values, own), (there, grid)))
    if kept < _KEPT * had:
        raise ValueError(
            f"{what}: resampled to the grid of {grid.name}, {path} keeps {kept:.4g} of its {had:.4g} mm³ "
            f"({kept / had:.0%}; needed: {_KEPT:.0%}), so the two do not cover each other. One affine may be wrong: "
            "look at both files in a viewer. If they are of one grid (equal shapes), say --same-grid "
            "(same_grid=True); if the maps cover only a part of it, first cut it to that part"
        )
    return there


def _areas(
    atlases: Sequence[Path],
    names: Mapping[int, str] | None,
    grid: Grid,
    resample: bool,
    alone: bool,
    report: Callable[[str], object],
) -> np.ndarray:
    """Area of each voxel of the grid, empty for none; ``alone`` if no mask says which voxels to keep."""
    if len(atlases) > 1 or (names is None and is_area_mask(atlases[0])):
        return _of_masks(atlases, names, grid, resample, report)
    (path,) = atlases
    values = _on_grid(path, "atlas", grid, resample, lambda values: name_labels(values, names, path) != "")
    corners = values[[0, -1]][:, [0, -1]][:, :, [0, -1]]
    if alone and names is not None and not is_none(names.get(0, "")) and (corners == 0).any():
        raise ValueError(
            f"atlas: the names call 0 {names[0]!r}, and in {path} 0 is also what is around the brain; give a mask, or "
            "correct the names if they count from 0 by mistake"
        )
    return name_labels(values, names, path)


def _of_masks(
    paths: Sequence[Path],
    names: Mapping[int, str] | None,
    grid: Grid,
    resample: bool,
    report: Callable[[str], object],
) -> np.ndarray:
    """Areas of masks of one area, or of one hemisphere of it, each; a voxel of two areas has the first."""
    if names is not None:
        raise ValueError(
            "atlas names: where an atlas is given several times, the names come from the files; leave them"
        )
    area, twice = np.full(grid.shape, "", object), 0
    for path in paths:
        values = _on_grid(path, "atlas", grid, resample, lambda values: values > 0)
        inside = np.nan_to_num(values) != 0
        if len(found := np.unique(values[inside])) > 1:
            raise ValueError(
                f"atlas: {path} holds {len(found)} different numbers beside 0; where an atlas is given several times, "
                "each must be a mask of one area. An atlas of many areas comes alone"
            )
        name = area_name(path)
        twice += np.count_nonzero(inside & ~np.isin(area, ["", name]))
        area[inside & (area == "")] = name
    sizes = ", ".join(f"{name} {np.count_nonzero(area == name)}" for name in dict.fromkeys(map(area_name, paths)))
    overlap = f"; {twice} voxels of a mask are in an area given before, and stay in that" if twice else ""
    report(f"Areas and their voxels, by the names of {len(paths)} masks: {sizes}{overlap}.")
    return area


def _inside(mask: Path | None, area: np.ndarray | None, grid: Grid, resample: bool) -> np.ndarray:
    if mask is not None:
        inside, what = _on_grid(mask, "mask", grid, resample, lambda v: v > 0) > 0, f"mask: {mask}"
    elif area is not None:
        inside, what = area != "", "atlas: it"
    else:
        raise ValueError("mask: neither a mask nor an atlas is given; one of them must say which voxels to keep")
    if not inside.any():
        raise ValueError(f"{what} has no voxel above 0 in the grid of the maps")
    return inside
