"""`prepare_nifti`: one NIfTI map per stimulus, a mask and an atlas become a dataset file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import nibabel
import numpy as np
import xarray as xr
from nibabel.filebasedimages import ImageFileError
from nibabel.spatialimages import SpatialImage

from jne.datasets import EncodingDataset
from jne.features import read_feature_file
from jne.prepare.maps import Options, joined_hash, name_labels, read_label_names, save_maps
from jne.prepare.trials import check_count, check_files, read_trials

_SAME_PLACE = 1e-3
"""Millimetres by which two affines may differ and still be the same."""


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
        Whole numbers; they become ``roi``, and 0 is no area.
    atlas_names : path, optional
        What the numbers of the atlas mean: a CSV with the columns ``index`` and ``name``, or a FreeSurfer colour table.
    resample : bool
        Bring mask and atlas to the grid of the maps, by nearest neighbour; else another grid is an error.
    **options
        ``default_layer, seed, test_fraction, validation_fraction, drop_bad_voxels, name, licence, source`` as in
        `jne.prepare.prepare_arrays`.

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
    images = [_load(file, "maps") for file in files]
    grid = images[0]
    for file, image in zip(files, images, strict=True):
        _check_grid(image, grid, file, "maps", f"the first, {files[0]}")
    check_count(trials, sum(image.shape[3] if image.ndim == 4 else 1 for image in images), "maps")
    labels = None if atlas is None else _on_grid(Path(atlas), "atlas", grid, files[0], resample)
    inside = _inside(mask, labels, grid, files[0], resample)
    values = np.concatenate([_masked(image, inside, file) for file, image in zip(files, images, strict=True)])
    place = {"affine": grid.affine.ravel(), "shape": list(grid.shape[:3])}
    voxels = xr.Dataset({"ijk": (("voxel", "axis"), np.argwhere(inside).astype(np.int32), place)})
    if labels is not None:
        names = None if atlas_names is None else read_label_names(atlas_names)
        voxels["roi"] = "voxel", name_labels(labels[inside], names, Path(atlas))
    attrs = {
        "maps_files": f"{files[0].name} and {len(files) - 1} more",
        "maps_sha256": joined_hash(files),
        "mask_file": Path(mask).name if mask else "voxels with a label",
        "atlas_file": Path(atlas).name if atlas else "none",
    }
    return save_maps(values, trials, feature_file, voxels, files[0], settings, attrs)


def _load(path: Path, what: str) -> SpatialImage:
    if not path.is_file():
        raise ValueError(f"{what}: there is no file {path}")
    try:
        image = nibabel.load(path)
    except (ImageFileError, OSError, EOFError, ValueError) as error:
        raise ValueError(f"{what}: {path} cannot be read as a NIfTI image ({error})") from error
    if not isinstance(image, SpatialImage) or image.ndim not in (3, 4):
        shape = getattr(image, "shape", "none")
        raise ValueError(f"{what}: {path} has shape {shape}; needed: 3 or 4 dimensions (x, y, z and the maps)")
    return image


def _check_grid(image: SpatialImage, grid: SpatialImage, path: Path, what: str, other: str, hint: str = "") -> None:
    if image.shape[:3] != grid.shape[:3]:
        raise ValueError(f"{what}: {path} has the grid {image.shape[:3]}, and {other} has {grid.shape[:3]}{hint}")
    if (distance := np.abs(image.affine - grid.affine).max()) > _SAME_PLACE:
        raise ValueError(
            f"{what}: {path} has another affine than {other} (largest difference {distance:.3g}), so its voxels lie "
            f"elsewhere{hint}"
        )


def _on_grid(path: Path, what: str, grid: SpatialImage, first: Path, resample: bool) -> np.ndarray:
    """Values of a 3-D image at the voxels of the maps."""
    from nilearn.image import resample_to_img

    image = _load(path, what)
    if image.ndim == 4 and image.shape[3] != 1:
        raise ValueError(f"{what}: {path} has shape {image.shape}; needed: three dimensions")
    if image.ndim == 4:
        image = image.slicer[..., 0]
    if resample:
        reference = grid.slicer[..., 0] if grid.ndim == 4 else grid
        image = resample_to_img(image, reference, interpolation="nearest", copy_header=True, force_resample=True)
    _check_grid(image, grid, path, what, f"the map {first}", "; to bring it there, say --resample (resample=True)")
    return _data(image, path, what)


def _inside(
    mask: str | Path | None, labels: np.ndarray | None, grid: SpatialImage, first: Path, resample: bool
) -> np.ndarray:
    if mask is not None:
        inside = _on_grid(Path(mask), "mask", grid, first, resample) > 0
        what = f"mask: {mask}"
    elif labels is not None:
        inside, what = labels > 0, "atlas: it"
    else:
        raise ValueError("mask: neither a mask nor an atlas is given; one of them must say which voxels to keep")
    if not inside.any():
        raise ValueError(f"{what} has no voxel above 0 in the grid of the maps")
    return inside


def _masked(image: SpatialImage, inside: np.ndarray, path: Path) -> np.ndarray:
    """The voxels of interest, ``(n_maps, n_voxels)``, float32."""
    values = _data(image, path, "maps")[inside]
    return np.atleast_2d(values.T)


def _data(image: SpatialImage, path: Path, what: str) -> np.ndarray:
    try:
        return np.asarray(image.dataobj, dtype=np.float32)
    except (OSError, EOFError, ValueError) as error:
        raise ValueError(f"{what}: {path} is truncated or damaged ({error})") from error
