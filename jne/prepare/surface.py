"""`prepare_fsaverage`: one surface map per stimulus and hemisphere becomes a dataset file."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import nibabel
import numpy as np
import xarray as xr
from nibabel.gifti import GiftiImage
from nibabel.nifti1 import intent_codes
from nibabel.spatialimages import SpatialImage

from jne._core import MESHES, plain_file, reading
from jne.datasets import EncodingDataset
from jne.features import read_feature_file
from jne.prepare.brain_files import Maps, load_image, open_maps
from jne.prepare.drawn_areas import read_drawn
from jne.prepare.glmsingle import is_glmsingle, open_glmsingle
from jne.prepare.labels import name_labels, read_label_names
from jne.prepare.map_groups import map_groups
from jne.prepare.map_names import expand, sessions_and_runs
from jne.prepare.map_store import MapStore
from jne.prepare.maps import Options, check_layers, files_attributes, save_maps
from jne.prepare.splits import one_at_out
from jne.prepare.surface_labels import label_table, read_annotation
from jne.prepare.trials import Trials, check_count, check_files

_SIMPLE = (".curv", ".sulc", ".thickness", ".area")
_KIND = "surface data (MGH or GIFTI)"


@one_at_out
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
    level_column: str | None = None,
    **options,
) -> EncodingDataset:
    """Make a dataset file from surface data, one map (of betas, z-scores, ...) per presented stimulus.

    Parameters
    ----------
    stimuli, features, out
        As in `jne.prepare.prepare_nifti`.
    maps : dict
        ``left`` and ``right``, or one of them: MGH or GIFTI files, or betas of GLMsingle (``.hdf5``, ``.mat``), one
        after the other; folders and patterns as in `jne.prepare.prepare_nifti`. None: the columns ``left`` and
        ``right`` of the CSV name each row's files.
    masks : dict, optional
        Surface data of a hemisphere; vertices above 0 are kept. Without one, those that the atlas labels, or all.
    atlases : dict, optional
        FreeSurfer annotation, GIFTI labels, surface data of whole numbers of a hemisphere, or a mask of areas of the
        Algonauts Project 2023 (``.npy``); they become ``roi``. A GIFTI file names its numbers in a table of its own.
    atlas_names : path, optional
        What whole numbers mean, as in `jne.prepare.prepare_nifti`; they come before a file's own names.
    mesh : str, optional
        Where the number of vertices does not say it (see `MESHES`).
    level_column : str, optional
        As in `jne.prepare.prepare_nifti`.
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
    feature_file = read_feature_file(features)
    trials = settings.trials(stimuli, feature_file, () if maps else ("left", "right"))
    files = _files(maps, trials, settings.report)
    names = None if atlas_names is None else read_label_names(atlas_names)
    for what, given in (("mask", masks), ("atlas", atlases)):
        if given and set(given) != set(files):
            raise ValueError(f"{what}: given for {' and '.join(given)}, and there are maps of {' and '.join(files)}")
    readers = {side: [_open(file, "maps") for file in side_files] for side, side_files in files.items()}
    kept, voxels, meshes, shown, named = {}, {"hemisphere": [], "vertex": [], "roi": []}, {}, {}, []
    for side, side_readers in readers.items():
        n_vertices = side_readers[0].shape[0]
        if other := [reader for reader in side_readers if reader.shape != (n_vertices,)]:
            raise ValueError(
                f"maps: {other[0].path} has {other[0].shape[0]} vertices, and {side_readers[0].path} has {n_vertices}"
            )
        counts = [reader.count for reader in side_readers]
        shown[side] = check_count(trials, sum(counts), f"maps of the {side} hemisphere")
        named.append(sessions_and_runs(files[side], counts)[shown[side]].reset_index(drop=True))
        meshes[side] = mesh or _mesh(n_vertices, side_readers[0].path)
        labels = vertex_labels(Path(atlases[side]), names, n_vertices) if atlases else None
        kept[side] = np.flatnonzero(_inside(masks, side, labels, n_vertices))
        voxels["hemisphere"].append(np.full(len(kept[side]), side, object))
        voxels["vertex"].append(kept[side].astype(np.int32))
        if labels is not None:
            voxels["roi"].append(labels[kept[side]])
    if len(set(meshes.values())) > 1:
        raise ValueError(f"maps: the left hemisphere is on {meshes['left']}, the right one on {meshes['right']}")
    if not sum(map(len, kept.values())):
        raise ValueError(f"{'mask' if masks else 'atlas'}: no vertex is left; needed: values above 0, or areas")
    all_files = [file for side_files in files.values() for file in side_files]
    if settings.zscore != "none" and not all(names.equals(named[0]) for names in named):
        raise ValueError(
            "maps: sessions or runs are not the same in the names of the left and of the right hemisphere; give "
            "the files of both in one order, named alike"
        )
    groups = map_groups(settings.zscore, trials, named[0], settings.report)
    together = xr.Dataset({name: ("voxel", np.concatenate(parts)) for name, parts in voxels.items() if parts})
    together["vertex"].attrs |= {
        "mesh": next(iter(meshes.values())),
        "n_vertices": [readers[side][0].shape[0] if side in readers else 0 for side in ("left", "right")],
        "files": "GIFTI" if ".gii" in all_files[0].name.lower() else "MGH",
    }
    together = settings.with_levels(together, atlas_names=atlas_names, column=level_column)
    check_layers(feature_file, together)
    with MapStore(Path(out), len(trials.table), together.sizes["voxel"], groups) as store:
        start = 0
        for side, side_readers in readers.items():
            store.fill(side_readers, kept[side], shown[side], start)
            start += len(kept[side])
        attrs = files_attributes(all_files)
        return save_maps(store, trials, feature_file, together, all_files[0], settings, attrs)


def _files(
    maps: Mapping[str, Sequence[str | Path]] | None, trials: Trials, report: Callable[[str], object]
) -> dict[str, list[Path]]:
    """Files by hemisphere, left first."""
    given = maps or {}
    files = {side: expand(given.get(side, ()), f"maps of the {side}", report, side) for side in ("left", "right")}
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


def _open(path: Path, what: str) -> Maps:
    """Surface data of one hemisphere, one value a vertex and map."""
    if what == "maps" and is_glmsingle(path):
        return open_glmsingle(path, what, surface=True)
    if path.suffix in _SIMPLE:
        return _in_memory(path, what, _simple(path, what)[:, None])
    image = load_image(path, what, _KIND)
    if isinstance(image, nibabel.Cifti2Image):
        raise ValueError(
            f"{what}: {path} is a CIFTI file, of both hemispheres at once; needed: {_KIND} of one. `jne prepare nifti` "
            "takes CIFTI as it is (--maps, --atlas); Workbench takes it apart (wb_command -cifti-separate)"
        )
    if isinstance(image, GiftiImage):
        arrays = [array.data for array in image.darrays]
        if not arrays or len({array.shape for array in arrays}) > 1 or arrays[0].ndim > 2 or not arrays[0].size:
            shapes = ", ".join(str(array.shape) for array in arrays) or "none"
            needed = "(n_vertices,) each, or one (n_vertices, n_maps)"
            raise ValueError(f"{what}: {path} has arrays of the shapes {shapes}; needed: {needed}")
        if "NIFTI_INTENT_POINTSET" in (intent_codes.niistring[array.intent] for array in image.darrays):
            raise ValueError(f"{what}: {path} holds coordinates, a surface; needed: values of its vertices")
        return _in_memory(path, what, np.concatenate([_by_vertex(array, path, what) for array in arrays], axis=1))
    shape = [size for size in getattr(image, "shape", ()) if size != 1]
    if not isinstance(image, SpatialImage) or len(shape) not in (1, 2) or 0 in shape:
        raise ValueError(
            f"{what}: {path} has shape {getattr(image, 'shape', 'none')}; needed: (n_vertices, n_maps) of a surface"
        )
    return open_maps(image, path, what, (shape[0],), _KIND)


def _by_vertex(array: np.ndarray, path: Path, what: str) -> np.ndarray:
    """Maps of one array of GIFTI ``(n_vertices, n_maps)``: which axis is of vertices is known from the mesh."""
    if array.ndim == 1:
        return array[:, None]
    known = [size in MESHES for size in array.shape]
    if all(known) and array.shape[0] != array.shape[1]:
        raise ValueError(
            f"{what}: {path} has one array of {array.shape[0]} by {array.shape[1]}, both of which are numbers of "
            "vertices of a mesh; save a data array for each map"
        )
    return array.T if known == [False, True] else array


def _simple(path: Path, what: str) -> np.ndarray:
    """One of FreeSurfer's files of one number a vertex."""
    if not plain_file(path, what).is_file():
        raise ValueError(f"{what}: there is no file {path}")
    with reading(path, what, _KIND):
        return nibabel.freesurfer.read_morph_data(path)


def _in_memory(path: Path, what: str, values: np.ndarray) -> Maps:
    return Maps(path, values.shape[:1], values.shape[1], lambda points: iter(values[points].T))


def _one(path: Path, what: str, n_vertices: int) -> np.ndarray:
    """The only map of a file, ``(n_vertices,)``, in its own type."""
    maps = _open(path, what)
    if maps.shape != (n_vertices,):
        raise ValueError(f"{what}: {path} has {maps.shape[0]} vertices, and the maps have {n_vertices}")
    if maps.count != 1:
        raise ValueError(f"{what}: {path} holds {maps.count} maps; needed: one value for each vertex")
    (values,) = maps.rows(np.arange(n_vertices))
    return values


def _mesh(n_vertices: int, path: Path) -> str:
    if n_vertices not in MESHES:
        known = ", ".join(f"{name} {n}" for n, name in MESHES.items())
        raise ValueError(
            f"maps: {path} has {n_vertices} vertices, those of no mesh known here ({known}). Say what it is with "
            "--mesh (mesh=...), or bring the maps to fsaverage"
        )
    return MESHES[n_vertices]


def vertex_labels(path: Path, names: Mapping[int, str] | None, n_vertices: int) -> np.ndarray:
    """Area of each vertex, empty where there is none: of an annotation, a mask of Algonauts 2023, or surface data."""
    if path.suffix == ".npy":
        return read_drawn(path, n_vertices)
    if path.suffix == ".annot":
        labels = read_annotation(path)
        if len(labels) != n_vertices:
            raise ValueError(f"atlas: {path} has {len(labels)} vertices, and the maps have {n_vertices}")
        return labels
    values = _one(path, "atlas", n_vertices)
    own = label_table(path)
    return name_labels(values, {**own, **(names or {})} if own or names is not None else None, path)


def _inside(
    masks: Mapping[str, str | Path] | None, side: str, labels: np.ndarray | None, n_vertices: int
) -> np.ndarray:
    if masks:
        return _one(Path(masks[side]), "mask", n_vertices) > 0
    return np.ones(n_vertices, bool) if labels is None else labels != ""
