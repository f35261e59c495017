"""`prepare_fsaverage`: one surface map per stimulus and hemisphere becomes a dataset file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import nibabel
import numpy as np
import xarray as xr
from nibabel.filebasedimages import ImageFileError

from jne._core import MESHES
from jne.datasets import EncodingDataset
from jne.features import read_feature_file
from jne.prepare.maps import Options, is_none, joined_hash, name_labels, read_label_names, save_maps
from jne.prepare.trials import Trials, check_count, check_files, read_trials


def prepare_fsaverage(
    stimuli: str | Path,
    features: str | Path,
    out: str | Path,
    *,
    maps: Mapping[str, Sequence[str | Path]] | None = None,
    masks: Mapping[str, str | Path] | None = None,
    atlases: Mapping[str, str | Path] | None = None,
    atlas_names: str | Path | None = None,
    mesh: str | None = None,
    **options,
) -> EncodingDataset:
    """Make a dataset file from surface data, one map (of betas, z-scores, ...) per presented stimulus.

    Parameters
    ----------
    stimuli, features, out
        As in `jne.prepare.prepare_nifti`.
    maps : dict
        ``left`` and ``right``, or one of them: MGH or GIFTI files, one after the other. None: the columns ``left`` and
        ``right`` of the CSV name each row's files.
    masks : dict, optional
        Surface data of a hemisphere; vertices above 0 are kept. Without one, those that the atlas labels, or all.
    atlases : dict, optional
        FreeSurfer annotation, GIFTI labels, or surface data of whole numbers of a hemisphere; they become ``roi``.
    atlas_names : path, optional
        What whole numbers mean, as in `jne.prepare.prepare_nifti`.
    mesh : str, optional
        Where the number of vertices does not say it (see `MESHES`).
    **options
        As in `jne.prepare.prepare_nifti`.

    Returns
    -------
    EncodingDataset
        With ``vertex`` and ``hemisphere``.

    Raises
    ------
    ValueError
        If files are missing or damaged, counts disagree, or a stimulus has no features. Nothing is written.
    """
    settings = Options(out=out, **options)
    trials, feature_file = read_trials(stimuli), read_feature_file(features)
    feature_file.index(trials.ids)
    files = _files(maps, trials)
    names = None if atlas_names is None else read_label_names(atlas_names)
    for what, given in (("mask", masks), ("atlas", atlases)):
        if given and set(given) != set(files):
            raise ValueError(f"{what}: given for {' and '.join(given)}, and there are maps of {' and '.join(files)}")
    values, voxels, meshes = [], {"hemisphere": [], "vertex": [], "roi": []}, {}
    for side, side_files in files.items():
        data = np.concatenate([_read(file, "maps") for file in side_files], axis=1)
        check_count(trials, data.shape[1], f"maps of the {side} hemisphere")
        meshes[side] = mesh or _mesh(len(data), side_files[0])
        labels = _labels(Path(atlases[side]), names, len(data)) if atlases else None
        kept = np.flatnonzero(_inside(masks, side, labels, len(data)))
        values.append(data[kept].T)
        voxels["hemisphere"].append(np.full(len(kept), side, object))
        voxels["vertex"].append(kept.astype(np.int32))
        if labels is not None:
            voxels["roi"].append(labels[kept])
    if len(set(meshes.values())) > 1:
        raise ValueError(f"maps: the left hemisphere is on {meshes['left']}, the right one on {meshes['right']}")
    all_files = [file for side_files in files.values() for file in side_files]
    attrs = {
        "maps_files": f"{all_files[0].name} and {len(all_files) - 1} more",
        "maps_sha256": joined_hash(all_files),
    }
    together = xr.Dataset({name: ("voxel", np.concatenate(parts)) for name, parts in voxels.items() if parts})
    together["vertex"].attrs["mesh"] = next(iter(meshes.values()))
    return save_maps(np.concatenate(values, axis=1), trials, feature_file, together, all_files[0], settings, attrs)


def _files(maps: Mapping[str, Sequence[str | Path]] | None, trials: Trials) -> dict[str, list[Path]]:
    """Files by hemisphere, left first."""
    files = {side: [Path(file) for file in (maps or {}).get(side, ())] for side in ("left", "right")}
    if not any(files.values()):
        files = {side: trials.files(side) for side in files if side in trials.table}
        if not files:
            raise ValueError(
                f"maps: no files are given, and {trials.path} has neither a column left nor a column right that "
                "names them"
            )
    files = {side: side_files for side, side_files in files.items() if side_files}
    for side, side_files in files.items():
        check_files(side_files, f"maps of the {side} hemisphere")
    return files


def _read(path: Path, what: str) -> np.ndarray:
    """Surface data ``(n_vertices, n_maps)``, float32."""
    from nilearn.surface import load_surf_data

    if not path.is_file():
        raise ValueError(f"{what}: there is no file {path}")
    try:
        # nilearn knows no .mgh.
        volume = path.suffix in (".mgh", ".mgz")
        data = np.squeeze(nibabel.load(path).dataobj) if volume else load_surf_data(path)
        data = np.asarray(data, np.float32)
    except (ImageFileError, OSError, EOFError, ValueError, TypeError) as error:
        raise ValueError(f"{what}: {path} cannot be read as surface data (MGH or GIFTI): {error}") from error
    if data.ndim not in (1, 2) or not data.size:
        raise ValueError(f"{what}: {path} has shape {data.shape}; needed: (n_vertices, n_maps)")
    return data.reshape(len(data), -1)


def _mesh(n_vertices: int, path: Path) -> str:
    if n_vertices not in MESHES:
        known = ", ".join(f"{name} {n}" for n, name in MESHES.items())
        raise ValueError(
            f"maps: {path} has {n_vertices} vertices, those of no mesh known here ({known}). Say what it is with "
            "--mesh (mesh=...), or bring the maps to fsaverage"
        )
    return MESHES[n_vertices]


def _labels(path: Path, names: Mapping[int, str] | None, n_vertices: int) -> np.ndarray:
    """Area of each vertex, empty where there is none."""
    if not path.is_file():
        raise ValueError(f"atlas: there is no file {path}")
    if path.suffix == ".annot":
        try:
            index, _, found = nibabel.freesurfer.read_annot(path)
        except (OSError, ValueError, IndexError) as error:
            raise ValueError(f"atlas: {path} cannot be read as an annotation ({error})") from error
        table = {i: name.decode() for i, name in enumerate(found)}
        labels = np.array(["" if i < 0 or is_none(table[i]) else table[i] for i in index], object)
    else:
        values = _read(path, "atlas")[:, 0]
        if path.name.endswith(".label.gii"):
            names = nibabel.load(path).labeltable.get_labels_as_dict()
        labels = name_labels(values, names, path)
    if len(labels) != n_vertices:
        raise ValueError(f"atlas: {path} has {len(labels)} vertices, and the maps have {n_vertices}")
    return labels


def _inside(
    masks: Mapping[str, str | Path] | None, side: str, labels: np.ndarray | None, n_vertices: int
) -> np.ndarray:
    if masks:
        path = Path(masks[side])
        inside = _read(path, "mask")[:, 0] > 0
        if len(inside) != n_vertices:
            raise ValueError(f"mask: {path} has {len(inside)} vertices, and the maps have {n_vertices}")
        return inside
    return np.ones(n_vertices, bool) if labels is None else labels != ""
