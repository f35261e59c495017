"""`prepare_nifti`: one NIfTI map per stimulus, a mask and an atlas become a dataset file."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import xarray as xr
from nibabel.spatialimages import SpatialImage

from jne.datasets import EncodingDataset
from jne.features import read_feature_file
from jne.prepare.brain_files import load_image, open_maps, read_values
from jne.prepare.labels import is_none, name_labels, read_label_names
from jne.prepare.map_store import MapStore
from jne.prepare.maps import Options, check_layers, joined_hash, save_maps
from jne.prepare.splits import one_at_out
from jne.prepare.trials import check_count, check_files, read_trials

_SAME_PLACE = 1e-3
"""Millimetres by which two affines may differ and still be the same."""
_KEPT = 0.9
"""Share of the volume of a mask or atlas that resampling must keep."""


@one_at_out
def prepare_nifti(
    stimuli: str | Path,
    features: str | Path,
    out: str | Path,
    *,
    maps: Sequence[str | Path] = (),
    mask: str | Path | None = None,
    atlas: str | Path | None = None,
    atlas_names: str | Path | None = None,
    resample: bool = False,
    same_grid: bool = False,
    **options,
) -> EncodingDataset:
    """Make a dataset file from volumes, one map (of betas, z-scores, ...) per presented stimulus.

    Parameters
    ----------
    stimuli : path
        A CSV with a row per map, in their order: ``id``, and if known ``split``, ``category`` and ``repeat``. Maps of
        one id are averaged, and kept for the test stimuli. Without the column ``split``, it is drawn at random.
    features : path
        A features file with at least these ids; see `jne.features.read_feature_file`.
    out : path
        The file to write; ends in ``.nc``.
    maps : paths
        4-D or 3-D images of one grid, one after the other; none: the column ``map`` of the CSV names each row's file.
    mask : path, optional
        Voxels above 0 are kept. Without one, those that the atlas labels.
    atlas : path, optional
        Whole numbers; they become ``roi``. NaN is no area, nor is 0 unless the names call it something.
    atlas_names : path, optional
        What the numbers of the atlas mean, see `jne.prepare.labels.read_label_names`.
    resample : bool
        Bring mask and atlas to the grid of the maps, by nearest neighbour; else another grid is an error. At least nine
        tenths of their volume must be kept.
    same_grid : bool
        The maps lie on the grid of the mask (or of the atlas, without one), whatever their own affine says. Shapes must
        be equal. Some studies, such as BOLD5000, have betas whose affine is not that of the space they are in.
    **options
        ``default_layer, seed, test_fraction, validation_fraction, drop_bad_voxels, name, licence, source`` as in
        `jne.prepare.prepare_arrays`; ``further``, ``max_memory`` and ``report`` as in `jne.prepare.prepare_nsd`;
        ``max_memory`` sets how many voxels are worked on at a time.

    Returns
    -------
    EncodingDataset
        ``ijk (voxel, axis)`` says where each voxel is in the grid whose shape and affine are its attributes.

    Raises
    ------
    ValueError
        If files are missing or damaged, grids or counts disagree, or a stimulus has no features. Nothing is written.
    """
    settings = Options(out=out, **options)
    trials, feature_file = read_trials(stimuli), read_feature_file(features)
    feature_file.index(trials.ids)
    files = [Path(file) for file in maps] or trials.files("map")
    check_files(files, "maps")
    images = {file: _load(file, "maps") for file in files}
    grid = Grid.of(images[files[0]], f"the first, {files[0]}")
    for file in files:
        _check_grid(images[file], grid, file, "maps")
    readers = [open_maps(images[file], file, "maps", grid.shape) for file in files]
    check_count(trials, sum(reader.count for reader in readers), "maps")
    grid = replace(grid, name=f"the map {files[0]}")
    attrs = {}
    if same_grid:
        grid, attrs["affine_from"] = _trusted(mask, atlas, grid, settings.report)
    names = None if atlas_names is None else read_label_names(atlas_names)
    area = None if atlas is None else _areas(Path(atlas), names, grid, resample, alone=mask is None)
    inside = _inside(mask, area, grid, resample)
    ijk = np.argwhere(inside).astype(np.int32)
    place = {"affine": grid.affine.ravel(), "shape": list(grid.shape)}
    voxels = xr.Dataset({"ijk": (("voxel", "axis"), ijk, place)})
    if area is not None:
        voxels["roi"] = "voxel", area[inside]
    check_layers(feature_file, voxels)
    attrs |= {
        "maps_files": f"{files[0].name} and {len(files) - 1} more",
        "maps_sha256": joined_hash(files),
        "mask_file": Path(mask).name if mask else "voxels with a label",
        "atlas_file": Path(atlas).name if atlas else "none",
    }
    points = np.ravel_multi_index(tuple(ijk.T), grid.shape, order="F")
    with MapStore(Path(out), len(trials.table), len(ijk)) as store:
        first = 0
        for reader in readers:
            store.write(first, 0, reader.rows(points))
            first += reader.count
        return save_maps(store, trials, feature_file, voxels, files[0], settings, attrs)


@dataclass(frozen=True)
class Grid:
    """Where voxels are.

    Attributes
    ----------
    shape : tuple of int
    affine : array ``(4, 4)``
    name : str
        What errors call the file that has it.
    """

    shape: tuple[int, ...]
    affine: np.ndarray
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


def _trusted(
    mask: str | Path | None, atlas: str | Path | None, grid: Grid, report: Callable[[str], object]
) -> tuple[Grid, str]:
    """The grid of the maps with the affine of the mask, or of the atlas where there is no mask."""
    what, path = ("mask", mask) if mask is not None else ("atlas", atlas)
    if path is None:
        raise ValueError("same_grid: neither a mask nor an atlas is given, whose affine could be taken")
    image = _load(Path(path), what)
    if image.shape[:3] != grid.shape:
        raise ValueError(
            f"same_grid: {what} {path} has the grid {image.shape[:3]}, and {grid.name} has {grid.shape}; it needs "
            "equal shapes. Leave it out, and bring the one to the other's grid"
        )
    distance = np.abs(image.affine - grid.affine).max()
    report(
        f"Taken as one grid: voxels are where the affine of the {what} {path} says, not where that of {grid.name} does "
        f"(largest difference {distance:.3g})."
    )
    return replace(grid, affine=image.affine, name=f"the {what} {path}"), Path(path).name


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


def _areas(path: Path, names: Mapping[int, str] | None, grid: Grid, resample: bool, alone: bool) -> np.ndarray:
    """Area of each voxel of the grid, empty for none; ``alone`` if no mask says which voxels to keep."""
    values = _on_grid(path, "atlas", grid, resample, lambda values: name_labels(values, names, path) != "")
    corners = values[[0, -1]][:, [0, -1]][:, :, [0, -1]]
    if alone and names is not None and not is_none(names.get(0, "")) and (corners == 0).any():
        raise ValueError(
            f"atlas: the names call 0 {names[0]!r}, and in {path} 0 is also what is around the brain; give a mask, or "
            "correct the names if they count from 0 by mistake"
        )
    return name_labels(values, names, path)


def _inside(mask: str | Path | None, area: np.ndarray | None, grid: Grid, resample: bool) -> np.ndarray:
    if mask is not None:
        inside, what = _on_grid(Path(mask), "mask", grid, resample, lambda v: v > 0) > 0, f"mask: {mask}"
    elif area is not None:
        inside, what = area != "", "atlas: it"
    else:
        raise ValueError("mask: neither a mask nor an atlas is given; one of them must say which voxels to keep")
    if not inside.any():
        raise ValueError(f"{what} has no voxel above 0 in the grid of the maps")
    return inside
