"""Files of maps by folder or pattern, and what their names say: session and run, as fMRIPrep and its kin write them."""

from __future__ import annotations

import glob
import re
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd

from jne._core import listed
from jne.features import natural_key

_ENTITY = re.compile(r"(?:^|_)([a-zA-Z]+)-([a-zA-Z0-9+]+)(?=_|\.|$)")
"""A pair of a name such as ``sub-01_ses-02_run-1_space-T1w_desc-betas_bold.nii.gz``."""
_FOLDER = re.compile(r"(sub|ses|run)-([a-zA-Z0-9+]+)$")
_SESSION_OR_RUN = re.compile(r"(?:^|_)(?:ses|run)-[a-zA-Z0-9+]+")
_ORDER = {"ses": "session", "run": "run"}
_MAPS = (".nii", ".nii.gz", ".mgh", ".mgz", ".func.gii", ".shape.gii", ".gii", ".hdf5", ".h5", ".mat")
_NO_MAPS = {"mask", "dseg", "probseg", "boldref", "sbref", "T1w", "T2w", "xfm", "epi", "magnitude", "fieldmap"}
"""Last words of names of which fMRIPrep says that the file holds something else."""
_SIDES = {"left": "L", "right": "R"}


def entities(path: Path) -> dict[str, str]:
    """``{"sub": "01", "ses": "02", "run": "1"}`` of a name, or of folders such as ``ses-02``, as far as they say it."""
    folders = [match.groups() for match in map(_FOLDER.match, path.parts[:-1]) if match]
    return dict(folders) | dict(_ENTITY.findall(path.name))


def expand(
    given: Sequence[str | Path], what: str, report: Callable[[str], object], side: str | None = None
) -> list[Path]:
    """Files of a list in which a folder or a pattern with ``*``, ``?`` or ``[`` may stand for several.

    Those of a folder or pattern come in the order of session and run, as their names say, else in the natural order of
    the names.

    Parameters
    ----------
    given : sequence of path
    what : str
        What errors call them.
    report : callable
        Told what a folder or pattern stands for.
    side : str, optional
        ``left`` or ``right``: of a folder, files of this hemisphere (``hemi-L``, ``hemi-R``) are taken.

    Raises
    ------
    ValueError
        If a folder or pattern has no such files, or files of several kinds or subjects.
    """
    files: list[Path] = []
    for entry in map(Path, given):
        if entry.is_dir():
            files += _ordered(_of_folder(entry, what, side), entry, what)
        elif not entry.exists() and glob.has_magic(str(entry)):
            found = [Path(name) for name in glob.glob(str(entry), recursive=True) if Path(name).is_file()]
            if not found:
                raise ValueError(f"{what}: no file matches {entry}")
            files += _ordered(found, entry, what)
        else:
            files.append(entry)
    if files and files != [Path(entry) for entry in given]:
        report(f"{what}: {len(files)} files in order, from {files[0]} to {files[-1]}.")
    return files


def _of_folder(folder: Path, what: str, side: str | None) -> list[Path]:
    """Files of a folder and its subfolders whose names say of which session or run they are."""
    found = [path for path in folder.rglob("*") if path.is_file() and path.name.lower().endswith(_MAPS)]
    found = [path for path in found if set(_ORDER) & set(entities(path)) and _suffix(path) not in _NO_MAPS]
    if side is not None:
        found = [path for path in found if entities(path).get("hemi", _SIDES[side]) == _SIDES[side]]
    if not found:
        raise ValueError(
            f"{what}: {folder} has no files of maps whose names say session or run (ses-02, run-1), as fMRIPrep's do; "
            f"name the files, or give a pattern in quotes, such as '{folder}/*.nii.gz'"
        )
    return found


def _suffix(path: Path) -> str:
    """The last word of a name: ``bold`` of ``sub-01_run-1_bold.nii.gz``."""
    return path.name.split(".", 1)[0].rsplit("_", 1)[-1]


def _kind(path: Path) -> str:
    """A name without session and run, which is the same for all files of one kind."""
    name, subject = _SESSION_OR_RUN.sub("", path.name).lstrip("_"), entities(path).get("sub", "")
    return name if not subject or f"sub-{subject}" in name else f"sub-{subject}/{name}"


def _ordered(files: Sequence[Path], given: Path, what: str) -> list[Path]:
    named = [entities(path) for path in files]
    if not all(set(_ORDER) & set(names) for names in named):
        return sorted(files, key=lambda path: natural_key(path.as_posix()))
    kinds = sorted({_kind(path) for path in files})
    if len(kinds) > 1:
        *_, end = _SESSION_OR_RUN.split(files[0].name)
        raise ValueError(
            f"{what}: {given} has files of {len(kinds)} kinds ({listed(kinds)}), of which only one can be the maps; "
            f"say which by a pattern in quotes, such as '{given if given.is_dir() else given.parent}/**/*{end}'"
        )
    keys = [tuple(natural_key(names.get(entity, "")) for entity in _ORDER) for names in named]
    order = sorted(range(len(files)), key=keys.__getitem__)
    for one, other in pairwise(order):
        if keys[one] == keys[other]:
            raise ValueError(f"{what}: {files[one]} and {files[other]} are of the same session and run; keep one")
    return [files[i] for i in order]


def sessions_and_runs(files: Sequence[Path], counts: Sequence[int]) -> pd.DataFrame:
    """``session`` and ``run`` of each map, text, as far as the names of all files say them.

    Parameters
    ----------
    files : sequence of Path
    counts : sequence of int
        Maps of each file.
    """
    named = [entities(path) for path in files]
    return pd.DataFrame(
        {
            column: np.repeat([names[entity] for names in named], counts)
            for entity, column in _ORDER.items()
            if all(entity in names for names in named)
        },
        index=range(sum(counts)),
    )
