"""Where NSD keeps its files, and how a map of one space is read: volumes and surfaces become vectors of points.

The names are those of the NSD data manual (https://cvnlab.slite.page/p/6CusMRYfk0/Functional-data-NSD).
"""

from __future__ import annotations

import math
import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from jne._core import N_VERTICES, reading
from jne.prepare.brain_files import all_values, check_real, open_image, read_to_the_end
from jne.prepare.choices import check_choice

SPACES = ("func1pt8mm", "fsaverage")
BETAS = "betas_fithrf_GLMdenoise_RR"
N_FSAVERAGE = N_VERTICES["fsaverage"]
"""Vertices of one hemisphere of fsaverage; a subject's own surface has another number."""
HEMISPHERES = {"lh": "left", "rh": "right"}
DRAWN = ("prf-visualrois", "floc-faces", "floc-places", "floc-bodies", "floc-words")
"""Drawn on each subject's own surface, from the subject's own maps: NSD has them in volumes, and none on fsaverage."""
N_SESSIONS = (40, 40, 32, 30, 40, 32, 40, 30)
"""Sessions of subjects 1 to 8."""
BUCKET = "s3://natural-scenes-dataset"

AGAIN = "Compare its size with the original, and download it again"
"""What to do with a file that is damaged."""


@dataclass(frozen=True)
class Layout:
    """Paths of one subject in one space.

    Attributes
    ----------
    root : Path
        The folder that holds ``nsddata`` and ``nsddata_betas``.
    subject : int
        1 to 8.
    space : str
        One of `SPACES`.
    betas : str
        Folder of one version of the betas.
    """

    root: Path
    subject: int
    space: str = SPACES[0]
    betas: str = BETAS

    @property
    def is_surface(self) -> bool:
        return self.space == "fsaverage"

    @property
    def subject_name(self) -> str:
        return f"subj{self.subject:02d}"

    @property
    def responses(self) -> Path:
        return self.root / "nsddata/ppdata" / self.subject_name / "behav/responses.tsv"

    @property
    def design(self) -> Path:
        return self.root / "nsddata/experiments/nsd/nsd_expdesign.mat"

    @property
    def beta_folder(self) -> Path:
        return self.root / "nsddata_betas/ppdata" / self.subject_name / self.space / self.betas

    @property
    def _functional(self) -> Path:
        return self.root / "nsddata/ppdata" / self.subject_name / "func1pt8mm"

    @property
    def _fsaverage_labels(self) -> Path:
        return self.root / "nsddata/freesurfer/fsaverage/label"

    def session(self, session: int) -> tuple[Path, ...]:
        """Betas of a session: one volume, or the left and the right surface.

        Raises
        ------
        FileNotFoundError
            If they are not there; it says which command downloads them, and which sessions are.
        """
        stem = f"betas_session{session:02d}"
        if self.is_surface:
            found = tuple(self.beta_folder / f"{side}.{stem}.mgh" for side in HEMISPHERES)
            missing = [path for path in found if not path.is_file()]
        else:
            choices = [self.beta_folder / f"{stem}{ending}" for ending in (".nii.gz", ".hdf5", ".nii")]
            found = tuple(path for path in choices if path.is_file())[:1]
            missing = [] if found else choices[:1]
        if missing:
            names = (path.name for path in self.beta_folder.glob("*betas_session*"))
            there = sorted({int(n) for name in names for n in re.findall(r"betas_session(\d\d)\.", name)})
            raise FileNotFoundError(
                f"no betas of session {session}: there is no {missing[0]}. Download it with\n"
                f"  {self.download(missing[0])}\n"
                f"or give --sessions without {session} (in this folder: {', '.join(map(str, there)) or 'none'})"
            )
        return found

    def ncsnr(self) -> tuple[Path, ...]:
        """Noise-ceiling signal-to-noise ratio, beside the betas."""
        if self.is_surface:
            return tuple(self.beta_folder / f"{side}.ncsnr.mgh" for side in HEMISPHERES)
        return (self.beta_folder / "ncsnr.nii.gz",)

    def mask(self, name: str) -> tuple[Path, ...]:
        """Files of the mask ``brainmask`` (volume only) or of a region such as ``nsdgeneral``."""
        return (self._functional / "brainmask.nii.gz",) if name == "brainmask" else self.atlas(name)

    def atlas(self, name: str) -> tuple[Path, ...]:
        """Files of a region or atlas.

        Raises
        ------
        ValueError
            If NSD has none of this kind in the space.
        """
        if self.is_surface and name.startswith(("prf-", "floc-")):
            raise ValueError(
                f"{name} is drawn on each subject's own surface, and NSD has none on fsaverage. There are streams, "
                "Kastner2015 and HCP_MMP1 (areas) and nsdgeneral (a mask); or take the volume (--space func1pt8mm), or "
                "the masks of the Algonauts Project 2023 (--left-atlas, --right-atlas)"
            )
        if self.is_surface:
            return tuple(self._fsaverage_labels / f"{side}.{name}.mgz" for side in HEMISPHERES)
        return (self._functional / "roi" / f"{name}.nii.gz",)

    def area_names(self, atlas: str) -> Path:
        """The ``.ctab`` that names an atlas's numbers; those of the subject and of fsaverage are the same."""
        own = self.root / "nsddata/freesurfer" / self.subject_name / "label" / f"{atlas}.mgz.ctab"
        shared = self._fsaverage_labels / own.name
        return shared if self.is_surface and shared.is_file() else own

    def download(self, path: Path) -> str:
        """The command that fetches a file of the tree."""
        return f"aws s3 cp --no-sign-request {BUCKET}/{path.relative_to(self.root).as_posix()} {shlex.quote(str(path))}"

    def need(self, paths: Sequence[Path], what: str, otherwise: str = "") -> None:
        """Raise a FileNotFoundError that names the first missing file and the command that downloads it."""
        for path in paths:
            if not path.is_file():
                otherwise = f"\nor {otherwise}" if otherwise else ""
                raise FileNotFoundError(
                    f"{what}: there is no {path}. Download it with\n  {self.download(path)}{otherwise}"
                )


def find_layout(root: str | Path, subject: int, space: str, betas: str) -> Layout:
    """The layout of a tree that is there."""
    root = Path(root)
    check_choice("subject", subject, range(1, len(N_SESSIONS) + 1))
    check_choice("space", space, SPACES)
    if not (root / "nsddata").is_dir():
        raise ValueError(f"root: {root} has no folder nsddata; needed: the folder that holds nsddata and nsddata_betas")
    return Layout(root, subject, space, betas)


def read_map(paths: Sequence[Path], shapes: Sequence[tuple[int, ...]] | None = None) -> tuple[np.ndarray, list]:
    """One value per point of a space, and the shapes of the files.

    Parameters
    ----------
    paths : sequence of path
        One volume, or the left and the right surface.
    shapes : sequence of tuple, optional
        Spatial shape that each file must have.

    Returns
    -------
    values : array ``(n_points,)``
        Volumes with x fastest, as NIfTI stores them; hemispheres one after the other.
    shapes : list of tuple
    """
    parts, found = [], []
    for i, path in enumerate(paths):
        with reading(path, "map", "a map", AGAIN):
            image = open_image(path, "map")
            read_to_the_end(image)
            values = all_values(image, f"map: {path}")
        check_real(image.get_data_dtype(), path, "map")
        shape = values.shape[:3]
        if values.ndim > 3 and math.prod(values.shape[3:]) > 1:
            raise ValueError(f"{path} has shape {values.shape}; needed: one map, three dimensions")
        if shapes is not None and shape != shapes[i]:
            raise ValueError(f"{path} has shape {shape}; needed: {shapes[i]}{hint(shape, shapes[i])}")
        parts.append(values.reshape(-1, order="F"))
        found.append(shape)
    return np.concatenate(parts), found


def hint(shape: tuple[int, ...], needed: tuple[int, ...]) -> str:
    """Why a surface does not fit, where that is the reason."""
    if needed[0] == N_FSAVERAGE and shape[0] != N_FSAVERAGE:
        return f" (fsaverage). {shape[0]} is not fsaverage's number of vertices: it is the subject's own surface"
    return ", the shape of the mask"
