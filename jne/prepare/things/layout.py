"""Where THINGS-fMRI keeps its files, and its tables, whichever of its two homes they are from."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from jne._core import RefusedError, plain_file, read_table, read_text

N_SUBJECTS = 3
_KINDS = {
    "responses": ("ResponseData.h5", "voxel-wise-responses.h5"),
    "stimuli": ("StimulusMetadata.csv", "stimulus-metadata.tsv", "stimulus-metadata.csv"),
    "voxels": ("VoxelMetadata.csv", "voxel-metadata.tsv", "voxel-metadata.csv"),
}
"""What a file is -> how its name ends on figshare, on OpenNeuro, and there once it is called what it is."""
_WHERE = (
    "They are in betas_csv.zip of figshare+ (https://doi.org/10.25452/figshare.plus.c.6161151), and in the derivatives "
    "of OpenNeuro's ds004192"
)


@dataclass(frozen=True)
class Layout:
    """Files of one subject.

    Attributes
    ----------
    responses, stimuli, voxels : Path
    brainmask : Path, optional
        Where it is below the same folder.
    """

    responses: Path
    stimuli: Path
    voxels: Path
    brainmask: Path | None


def find_files(root: str | Path, subject: int) -> Layout:
    """The files of a subject, in whatever folder below ``root`` they are.

    Raises
    ------
    ValueError
        If ``subject`` is none of the study, or a file is missing or there twice; it names what was looked for.
    """
    root = Path(root)
    if subject not in range(1, N_SUBJECTS + 1):
        raise ValueError(f"subject={subject!r}; accepted: 1 to {N_SUBJECTS}")
    if not root.is_dir():
        raise ValueError(f"root: there is no folder {root}; needed: that which holds the files of THINGS-fMRI")
    name = f"sub-{subject:02d}"
    files = {
        kind: _one(root, kind, [f"{name}_{own}", *(f"{name}_task-things_{other}" for other in others)])
        for kind, (own, *others) in _KINDS.items()
    }
    masks = sorted(root.rglob(f"{name}_space-T1w_brainmask.nii.gz"))
    return Layout(**files, brainmask=masks[0] if masks else None)


def _one(root: Path, kind: str, names: list[str]) -> Path:
    found = [path for name in names for path in sorted(root.rglob(name))]
    if not found:
        raise FileNotFoundError(f"{kind}: there is neither {names[0]} nor {names[1]} in {root} or below. {_WHERE}")
    if len(found) > 1:
        raise ValueError(
            f"{kind}: {len(found)} files below {root} may be meant: {found[0]}, {found[1]}. Give the folder of one of "
            "them as --root (root)"
        )
    return found[0]


def read_comma_or_tab(path: Path, what: str, **options) -> pd.DataFrame:
    """A table, separated by what its first line has: OpenNeuro's ``.tsv`` of this study have commas.

    Raises
    ------
    ValueError
        If it cannot be read as one.
    """
    if not plain_file(path, what).is_file():
        raise ValueError(f"{what}: there is no file {path}")
    try:
        first = read_text(path, what).split("\n", 1)[0]
        return read_table(path, what, sep="\t" if "\t" in first else ",", **options)
    except RefusedError:
        raise
    except (OSError, EOFError, ValueError) as error:  # pandas' own errors are ValueErrors
        raise ValueError(f"{what}: {path} cannot be read as a table ({error})") from error
