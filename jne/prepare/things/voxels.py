"""Voxels of THINGS-fMRI: which area each belongs to, which are taken, where they are, and the study's own ceiling."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import xarray as xr

from jne._core import listed
from jne.cortex import area_level
from jne.prepare.brain_files import load_image, read_values
from jne.prepare.things.layout import read_comma_or_tab

PRF = ("V1", "V2", "V3", "hV4", "VO1", "VO2", "LO1", "LO2", "TO1", "TO2", "V3b", "V3a")
LOCALIZERS = ("OFA", "FFA", "STS", "EBA", "PPA", "RSC", "OPA", "LOC")
"""OPA is what the study calls TOS."""
ROI_ORDER = (*PRF[:4], *LOCALIZERS, *PRF[4:], "IT")
"""Where areas overlap, the first of these gives a voxel's ``roi``; the 180 of HCP-MMP1.0 come last."""
_GLASSER, _HCP = "glasser-", "HCP_MMP1"
_ATLASES = {"prf-visualrois": PRF, "localizers": (*LOCALIZERS, "IT")}
_PLACE = ("voxel_x", "voxel_y", "voxel_z")
CEILING = "nc_testset"


class Voxels:
    """The table of voxels.

    Parameters
    ----------
    path : Path
        One row a voxel, in the order of the responses: ``voxel_id``, ``voxel_x``, ``voxel_y``, ``voxel_z``, columns of
        0 and 1 (or nothing) for each area, of some of them for each hemisphere, and ``nc_testset`` in percent.

    Attributes
    ----------
    n : int
    areas : dict of array of bool ``(n,)``
        Both hemispheres together: areas of `ROI_ORDER`, then ``glasser-NAME``.

    Raises
    ------
    ValueError
        If a column is missing, rows are not the voxels from 0 on, or a column of an area holds something else.
    """

    def __init__(self, path: Path):
        self.path = path
        header = [str(name) for name in read_comma_or_tab(path, "voxels", nrows=0)]
        if missing := [name for name in ("voxel_id", *_PLACE) if name not in header]:
            raise ValueError(f"voxels: {path} has no column {', '.join(missing)}; it has {listed(header)}")
        of_area = {name: area for name in header if (area := _area(name))}
        wanted = {name: np.float32 for name in [*of_area, *_PLACE, *({CEILING} & set(header))]}
        self._table = read_comma_or_tab(path, "voxels", usecols=["voxel_id", *wanted], dtype=wanted)
        self.n = len(self._table)
        if not np.array_equal(self._table["voxel_id"], np.arange(self.n)) or not self.n:
            raise ValueError(f"voxels: voxel_id of {path} are not 0, 1, 2, ... in order, as rows of the responses are")
        found: dict[str, np.ndarray] = {}
        for column, area in of_area.items():
            values = self._table.pop(column).to_numpy()
            if (strange := ~np.isnan(values) & (values != 0) & (values != 1)).any():
                raise ValueError(
                    f"voxels: column {column!r} of {path} holds {values[strange][0]:g}; needed: 0, 1 or nothing"
                )
            found[area] = found.get(area, np.zeros(self.n, bool)) | (values == 1)
        if not found:
            raise ValueError(f"voxels: {path} has no column of an area, such as V1 or lFFA; it has {listed(header)}")
        order = [area for area in ROI_ORDER if area in found]
        self.areas = {area: found[area] for area in [*order, *(a for a in found if a not in order)]}

    def select(self, rois: Sequence[str] | None, all_voxels: bool) -> np.ndarray:
        """Rows of the voxels in any of ``rois``, by default of the mapped areas and localizers, ascending; or all."""
        if all_voxels:
            if rois:
                raise ValueError("rois and all_voxels: one of the two; --rois takes fewer voxels than --all-voxels")
            return np.arange(self.n)
        chosen = [a for a in self.areas if a in (*PRF, *LOCALIZERS)] if rois is None else self._known(rois, "rois")
        rows = np.flatnonzero(np.any([self.areas[area] for area in chosen], axis=0)) if chosen else np.array([], int)
        if not len(rows):
            raise ValueError(
                f"rois: no voxel of {self.path} is in {listed(chosen)}; give others, or take all with --all-voxels "
                "(all_voxels=True)"
            )
        return rows

    def of_areas(self, rows: np.ndarray, order: Sequence[str] | None, rois: Sequence[str] | None) -> xr.Dataset:
        """``roi``, ``level`` and ``roi_<atlas>`` of some voxels.

        Parameters
        ----------
        rows : array of int
        order : sequence of str, optional
            Areas that come before `ROI_ORDER`.
        rois : sequence of str, optional
            Areas that were chosen; they come before the others.
        """
        order = dict.fromkeys(self._known(order or (), "roi_order"))
        asked = self._known(rois or (), "rois")
        order |= dict.fromkeys([*(area for area in self.areas if area in asked), *self.areas])
        roi, level = self._first(rows, list(order))
        variables = {"roi": roi, "level": level}
        for atlas, members in {**_ATLASES, _HCP: [a for a in self.areas if a.startswith(_GLASSER)]}.items():
            if here := [area for area in order if area in members]:
                variables[f"roi_{atlas}"] = self._first(rows, here)[0]
        return xr.Dataset({name: ("voxel", values) for name, values in variables.items()})

    def overlapping(self, rows: np.ndarray) -> int:
        """How many voxels are in more than one area, those of HCP-MMP1.0 and IT left out."""
        counted = [self.areas[area][rows] for area in self.areas if area in (*PRF, *LOCALIZERS)]
        return int(np.count_nonzero(np.sum(counted, axis=0) > 1)) if counted else 0

    def place(self, rows: np.ndarray, brainmask: Path | None) -> xr.DataArray:
        """``ijk (voxel, axis)``, with the affine and shape of the brain mask where there is one."""
        values = self._table[list(_PLACE)].to_numpy()
        if not (np.isfinite(values) & (values == np.round(values)) & (values >= 0)).all():
            raise ValueError(f"voxels: {', '.join(_PLACE)} of {self.path} are not whole numbers from 0 on")
        ijk, attrs = values.astype(np.int32), {}
        if brainmask is not None:
            image = load_image(brainmask, "brain mask")
            inside = read_values(image, brainmask, "brain mask") > 0
            if (ijk >= inside.shape).any() or not inside[tuple(ijk.T)].all():
                raise ValueError(
                    f"brain mask: {brainmask} does not hold the voxels of {self.path}, so it is not of the same grid. "
                    "Download both again, or take it away to go on without an affine"
                )
            attrs = {"affine": image.affine.ravel(), "shape": list(inside.shape)}
        return xr.DataArray(ijk[rows], dims=("voxel", "axis"), attrs=attrs)

    def ceiling(self, rows: np.ndarray) -> np.ndarray:
        """The study's own noise ceiling of the average over the test repeats, as a share, ``(n_rows,)``."""
        if CEILING not in self._table:
            raise ValueError(f"noise_ceiling: {self.path} has no column {CEILING}; take it from the repeats")
        percent = self._table[CEILING].to_numpy()
        if (percent < 0).any() or (percent > 100).any() or np.nanmax(percent, initial=0) <= 1:
            raise ValueError(
                f"noise_ceiling: {CEILING} of {self.path} goes from {np.nanmin(percent):g} to {np.nanmax(percent):g}; "
                "THINGS has percent there. Take it from the repeats (--noise-ceiling repeats)"
            )
        return (percent[rows] / 100).astype(np.float32)

    def _known(self, names: Sequence[str], argument: str) -> list[str]:
        names = ["OPA" if name == "TOS" else name for name in names]
        if unknown := [name for name in names if name not in self.areas]:
            raise ValueError(f"{argument}: {self.path} has no area {unknown[0]!r}; it has {', '.join(self.areas)}")
        return names

    def _first(self, rows: np.ndarray, order: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        """The first area that each voxel is in, and its level; empty for none."""
        roi = np.full(len(rows), "", object)
        level, others = roi.copy(), {area.upper() for area in order}
        for area in order:
            here = (roi == "") & self.areas[area][rows]
            own = area.removeprefix(_GLASSER)
            # The RSC of HCP-MMP1.0 is not that of the localizer, nor its V3A the V3a of the maps.
            roi[here] = f"{own} ({_HCP})" if own != area and own.upper() in others else own
            level[here] = area_level(own, _HCP if own != area else None)
        return roi, level


def _area(column: str) -> str:
    """The area that a column of the table is of; empty if it is of something else."""
    if column.startswith(_GLASSER):
        return re.sub(r"\s", "", column)  # two names hold a newline
    name = column.removesuffix(" (prf)")
    if name in (*PRF, "IT"):
        return name
    side = re.fullmatch(r"[lr](\w+)", column)
    name = {"TOS": "OPA"}.get(side[1], side[1]) if side else ""
    return name if name in LOCALIZERS else ""
