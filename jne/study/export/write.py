"""`write_maps`: the folder of a result for other programs, whole or not at all, and nobody else's."""

from __future__ import annotations

import errno
import json
import re
from pathlib import Path
from typing import Any

import xarray as xr

from jne._core import (
    DiskFullError,
    atomic_folder,
    hash_parameters,
    listed,
    provenance,
    read_json,
    sha256,
    write_netcdf,
)
from jne.datasets import place_of
from jne.measures import label_of
from jne.study.export.tables import csv_text, summary_of, values_of, voxel_table

SUMMARY, TABLE, SLOPES = "summary.json", "values.csv", "mean_jacobian.nc"
_NAME = re.compile(r"\w[\w.-]*", re.ASCII)


def write_maps(
    result: xr.Dataset, folder: str | Path, *, mean_jacobian: xr.Dataset | None = None, overwrite: bool = False
) -> list[Path]:
    """Write every number that a result has for each voxel: as maps, as a table, and their medians.

    Maps are files of the kind the data came in, one a variable: ``<variable>.nii.gz`` on the grid of the mask, with its
    affine; ``<variable>_hemi-L.func.gii`` and ``_hemi-R``, or ``lh.<variable>.mgh`` and ``rh.``, on the whole mesh of a
    hemisphere; ``<variable>.dscalar.nii`` on the cortex of fsLR-32k. Elsewhere they are NaN. Truth values are 0 and 1.
    NIfTI and CIFTI hold the numbers in their own type, float64 or float32; GIFTI and MGH know float32 only. Where it is
    not known where the voxels are, there is no map, and ``summary.json`` says why.

    Always there are ``values.csv``, one row a voxel with its place, area and level and every number to its last digit,
    and ``summary.json``: quartiles (of measures over significant voxels, of what says how well a voxel is predicted
    over all), the study's parameters, and the SHA-256 of the other files. In the table a text that begins as a formula
    would (=, +, -, @) has an apostrophe before it.

    Parameters
    ----------
    result : xarray.Dataset
        Of `jne.run_study` (``study.result``), or any other over ``voxel``.
    folder : path
        New, empty, or one that this function wrote. It is written whole or not at all.
    mean_jacobian : xarray.Dataset, optional
        Of `jne.study.mean_jacobian`; becomes ``mean_jacobian.nc``.
    overwrite : bool
        Whether the results of another study may be replaced; the same study's always are.

    Returns
    -------
    list of Path
        The files, ``summary.json`` last.

    Raises
    ------
    ValueError
        If the folder holds files that this function did not write, or (without ``overwrite``) another study's; or the
        result has no voxels, or a place that is none.
    OSError
        If the disk is full; the folder is as it was.

    Examples
    --------
    >>> import tempfile, jne
    >>> data = jne.load_dataset("synthetic", thin=64, n_train=200, n_validation=50, n_test=50, cache=False)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     study = jne.run_study(data, encoder_options={"max_epochs": 2}, folder=folder)
    ...     files = jne.write_maps(study.result, f"{folder}/maps")
    >>> "jne.dscalar.nii" in [file.name for file in files], files[-1].name
    (True, 'summary.json')
    """
    from jne.study.export.images import images  # here, as nibabel's formats take their time

    folder = Path(folder)
    if "voxel" not in result.sizes:
        raise ValueError(f"result has the dimensions {', '.join(map(str, result.sizes)) or 'none'}; needed: voxel")
    values = values_of(result)
    if bad := [name for name in values if not _NAME.fullmatch(name)]:
        raise ValueError(f"result has variables whose names cannot be names of files: {listed(list(map(repr, bad)))}")
    place = place_of(result)
    study = _known_by(result)
    check_folder(folder, None if overwrite else study)
    why_not = "" if place is not None else _why_not(result)
    files: dict[str, dict[str, Any]] = {}
    with atomic_folder(_place_for(folder)) as part:
        for name, numbers in values.items() if place is not None else ():
            text = f"{label_of(name)} ({result.attrs.get('data', 'jne')})"
            for file, content, dtype in images(place, name, numbers, text):
                (part / file).write_bytes(content)
                files[file] = {"dtype": dtype}
        (part / TABLE).write_bytes(csv_text(voxel_table(result, place)).encode())
        files[TABLE] = {}
        if mean_jacobian is not None:
            _write_slopes(mean_jacobian, part / SLOPES)
            files[SLOPES] = {}
        for file in files:
            files[file]["sha256"] = sha256(part / file)
        content = {**summary_of(result, place, why_not), "study": study, "files": files, "written_by": provenance()}
        (part / SUMMARY).write_bytes(
            (json.dumps(content, indent=2, allow_nan=False, ensure_ascii=False) + "\n").encode()
        )
    return [folder / file for file in (*files, SUMMARY)]


def _write_slopes(slopes: xr.Dataset, path: Path) -> None:
    try:
        write_netcdf(slopes, path)
    except DiskFullError as error:
        # Which would name a folder that is gone when it is read; that of the whole is said instead.
        raise OSError(errno.ENOSPC, "no space left") from error


def _place_for(folder: Path) -> Path:
    """The folder itself, where its name is a link to it; it is going to be replaced as a whole."""
    folder = folder.resolve()
    if folder == Path.cwd().resolve():
        raise ValueError(f"folder: {folder} is the working folder; give the name of a folder in it")
    return folder


def _why_not(result: xr.Dataset) -> str:
    if "ijk" in result:
        return "the grid of the voxels has no shape or no affine (attributes of ijk)"
    if "vertex" in result and "hemisphere" in result:
        mesh = result["vertex"].attrs.get("mesh")
        return f"how many vertices the mesh {mesh} has is not known (attribute n_vertices of vertex)"
    return "the data do not say where the voxels are (neither vertex and hemisphere, nor ijk)"


def _known_by(result: xr.Dataset) -> str:
    """What tells a study from another: its parameters and data, not the versions of what computed it."""
    own = {str(name): value for name, value in result.attrs.items() if not str(name).startswith("version_")}
    return hash_parameters({name: own[name] for name in own if name not in ("code_hash", "format_version")})


def check_folder(folder: str | Path, study: str | None = None) -> None:
    """Refuse to write over what `write_maps` did not write; with a study, also over another's.

    Raises
    ------
    ValueError
        With what is there, and what to do.
    """
    folder = Path(folder)
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"folder: {folder} is a file; give the name of a folder")
    present = sorted(path.name for path in folder.iterdir()) if folder.exists() else []
    if not present:
        return
    written = _written(folder / SUMMARY) if SUMMARY in present else {}
    own = {name: entry.get("sha256") for name, entry in written.get("files", {}).items() if isinstance(entry, dict)}
    foreign = [name for name in present if name != SUMMARY and not _is(folder / name, own.get(name))]
    if foreign or not written:
        raise ValueError(
            f"folder: {folder} holds files that are not of `jne measure`, or have been changed since "
            f"({listed(foreign or present)}); give a new or an empty folder"
        )
    if study is not None and written.get("study") != study:
        was = written.get("parameters", {})
        what = ", ".join(f"{name} {was[name]}" for name in ("data", "layer", "seed", "n_seeds") if name in was)
        raise ValueError(
            f"folder: {folder} holds the results of another study ({what or 'of no name'}); give another folder, or "
            "replace them with --overwrite (overwrite=True)"
        )


def _written(path: Path) -> dict[str, Any]:
    """What an earlier call says of a folder; nothing where that cannot be read."""
    try:
        found = read_json(path, "summary")
    except ValueError:
        return {}
    known = (
        isinstance(found, dict) and isinstance(found.get("files"), dict) and isinstance(found.get("parameters"), dict)
    )
    return found if known else {}


def _is(path: Path, digest: Any) -> bool:
    return path.is_file() and not path.is_symlink() and sha256(path) == digest
