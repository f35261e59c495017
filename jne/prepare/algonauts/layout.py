"""Where the Algonauts Project 2023 keeps its files: pictures by name, responses and areas of each hemisphere."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from jne._core import N_VERTICES
from jne.prepare.array_files import load_array
from jne.prepare.drawn_areas import CLASSES, read_drawn

N_SUBJECTS = 8
SIDES = {"lh": "left", "rh": "right"}
_PICTURE = re.compile(r"train-(\d+)_nsd-(\d+)\.(?:png|jpe?g)", re.IGNORECASE)


@dataclass(frozen=True)
class Layout:
    """Files of one subject.

    Attributes
    ----------
    folder : Path
        ``subj01``.
    """

    folder: Path

    @classmethod
    def of(cls, root: str | Path, subject: int) -> Layout:
        root, name = Path(root), f"subj{subject:02d}"
        if subject not in range(1, N_SUBJECTS + 1):
            raise ValueError(f"subject={subject!r}; accepted: 1 to {N_SUBJECTS}")
        if not (root / name).is_dir():
            raise ValueError(f"root: {root} has no folder {name}; needed: the folder that holds subj01 to subj08")
        return cls(root / name)

    @property
    def pictures(self) -> Path:
        return self.folder / "training_split/training_images"

    def responses(self, side: str) -> Path:
        return self.folder / f"training_split/training_fmri/{side}_training_fmri.npy"

    def mask(self, side: str, name: str) -> Path:
        return self.folder / f"roi_masks/{side}.{name}.npy"

    def nsd_ids(self) -> np.ndarray:
        """nsdId, from 0, of each row of the responses ``(n_images,)``: the pictures in the order of their names.

        Raises
        ------
        ValueError
            If there are none, or they do not count from 1 on, each once.
        """
        if not self.pictures.is_dir():
            raise ValueError(f"images: there is no folder {self.pictures}, whose names say which picture each row is")
        names = sorted(path.name for path in self.pictures.iterdir())
        found = [match for match in map(_PICTURE.fullmatch, names) if match]
        counts = [int(match[1]) for match in found]
        if not found or counts != list(range(1, len(found) + 1)):
            gap = next((i for i, count in enumerate(counts, 1) if i != count), len(counts) + 1)
            raise ValueError(
                f"images: {self.pictures} holds {len(found)} pictures called train-NNNN_nsd-NNNNN.png; needed: all of "
                f"them, counted from 1 without gaps (missing or twice: {gap})"
            )
        return np.array([int(match[2]) for match in found])

    def vertices(self, side: str, n_vertices: int) -> np.ndarray:
        """Vertex on fsaverage of each column of the responses ``(n_vertices,)``, ascending."""
        path = self.mask(side, "all-vertices_fsaverage_space")
        values = load_array(path, "vertices", 1)
        if len(values) != N_VERTICES["fsaverage"] or np.count_nonzero(values) != n_vertices:
            raise ValueError(
                f"vertices: {path} has {len(values)} values, {np.count_nonzero(values)} of them not 0; needed: "
                f"{N_VERTICES['fsaverage']} and {n_vertices}, the columns of {self.responses(side)}"
            )
        return np.flatnonzero(values)

    def areas(self, n_vertices: dict[str, int]) -> dict[str, np.ndarray]:
        """Area of each vertex of both hemispheres, left first, by class; classes without files are left out."""
        found = {}
        for name in CLASSES:
            paths = {side: self.mask(side, f"{name}_challenge_space") for side in SIDES}
            if any(path.is_file() for path in paths.values()):
                found[name] = np.concatenate([read_drawn(path, n_vertices[side]) for side, path in paths.items()])
        return found
