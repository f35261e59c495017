"""What GLMsingle writes: single-trial betas without a grid of their own, from Python (HDF5) or MATLAB (v7.3)."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import h5py
import numpy as np

from jne._core import HDF5_ENDINGS, RefusedError, check_held, open_hdf5, plain_file, reading, spans
from jne.prepare.brain_files import Maps, check_real

_PYTHON, _MATLAB = "betasmd", "modelmd"
"""The betas, ``(x, y, z, trial)`` in Python; MATLAB's file is the other way round, ``(trial, z, y, x)``."""
_BLOCK_BYTES = 64 * 2**20
_KIND = "GLMsingle's HDF5"
_PICKLE = """{what}: {path} is never opened: what GLMsingle saves as .npy is a pickle, which runs any program that \
somebody put into it. Where it was made, these lines turn it into a file that can be read:

    import h5py, numpy
    results = numpy.load({name!r}, allow_pickle=True).item()
    with h5py.File({new!r}, "w") as file:
        file["betasmd"] = results["betasmd"]

or let GLMsingle write HDF5 itself, with opt["wanthdf5"] = 1"""


def is_glmsingle(path: Path) -> bool:
    """Whether a file of maps is taken for GLMsingle's, by its ending."""
    return path.suffix.lower() in (*HDF5_ENDINGS, ".mat", ".npy")


def open_glmsingle(path: Path, what: str, *, surface: bool = False) -> Maps:
    """The betas of a file of GLMsingle, such as ``TYPED_FITHRF_GLMDENOISE_RR.hdf5``.

    Parameters
    ----------
    path : Path
    what : str
        What errors call the file.
    surface : bool
        Whether betas are ``(unit, ..., trial)``, with lengths of 1 in between, and not ``(x, y, z, trial)``.

    Returns
    -------
    Maps
        NaN outside the brain.

    Raises
    ------
    ValueError
        If it is a pickle, has no betas of single trials, or is damaged; the message says what to do.
    """
    if path.suffix.lower() == ".npy":
        new = path.with_suffix(".hdf5").name
        raise RefusedError(_PICKLE.format(what=what, path=path, name=path.name, new=new))
    if not plain_file(path, what).is_file():
        raise ValueError(f"{what}: there is no file {path}")
    hint = "Of a .mat file, MATLAB's -v7.3 is needed" if path.suffix.lower() == ".mat" else ""
    with reading(path, what, _KIND, hint), open_hdf5(path, what) as file:
        name = next((name for name in (_PYTHON, _MATLAB) if isinstance(file.get(name), h5py.Dataset)), None)
        found = [key for key, item in file.items() if isinstance(item, h5py.Dataset)]
        shape = None if name is None else file[name].shape
        dtype = None if name is None else file[name].dtype
    if name is None:
        raise ValueError(
            f"{what}: {path} has neither {_PYTHON} (GLMsingle in Python) nor {_MATLAB} (in MATLAB); it has "
            f"{', '.join(found) or 'no array'}. Betas of single trials are in TYPEB_FITHRF, TYPEC_FITHRF_GLMDENOISE "
            "and TYPED_FITHRF_GLMDENOISE_RR"
        )
    matlab = name == _MATLAB
    sizes = tuple(reversed(shape or ())) if matlab else tuple(shape or ())
    if surface and len(sizes) > 1:  # (unit, 1, 1, trial), too
        sizes = (*(size for size in sizes[:-1] if size != 1), sizes[-1])
    wanted = "(unit, trial), with lengths of 1 in between" if surface else "(x, y, z, trial)"
    if len(sizes) != (2 if surface else 4) or 0 in sizes:
        raise ValueError(
            f"{what}: {name} of {path} has the shape {shape or 'of nothing'}; needed: {wanted}"
            f"{', the other way round as HDF5 shows what MATLAB writes' if matlab else ''}"
        )
    check_real(dtype, path, what)
    space, count = sizes[:-1], sizes[-1]
    if matlab:
        return Maps(path, space, count, lambda points: _rows(path, what, points))
    return Maps(path, space, count, columns=lambda points: _columns(path, what, space, points))


def _rows(path: Path, what: str, points: np.ndarray) -> Iterator[np.ndarray]:
    """Of MATLAB's file, in which a map follows the other, x fastest."""
    with reading(path, what, _KIND), open_hdf5(path, what) as file:
        betas = file[_MATLAB]
        # Whole chunks, as each is unpacked as a whole.
        least = betas.chunks[0] if betas.chunks else 1
        one = math.prod(betas.shape[1:]) * betas.dtype.itemsize
        check_held(2 * one * least, f"{what}: {path}")
        for part in spans(len(betas), least * max(1, _BLOCK_BYTES // (one * least))):
            yield from betas[part].reshape(part.stop - part.start, -1)[:, points]


def _columns(path: Path, what: str, space: tuple[int, ...], points: np.ndarray) -> Iterator[tuple[slice, np.ndarray]]:
    """Of Python's file, in which all betas of a voxel lie together; points ascend in its order, z fastest."""
    with reading(path, what, _KIND), open_hdf5(path, what) as file:
        betas = file[_PYTHON]
        one = math.prod(space[2:]) * betas.shape[-1] * betas.dtype.itemsize
        check_held(2 * one, f"{what}: {path}")
        step = max(1, _BLOCK_BYTES // one)
        yield from _units(betas, points, step) if len(space) == 1 else _planes(betas, space, points, step)


def _units(betas: h5py.Dataset, points: np.ndarray, step: int) -> Iterator[tuple[slice, np.ndarray]]:
    for part in spans(len(betas), step):
        here = slice(*np.searchsorted(points, [part.start, part.stop]).tolist())
        if here.start < here.stop:
            yield here, betas[part].reshape(part.stop - part.start, -1)[points[here] - part.start].T


def _planes(
    betas: h5py.Dataset, space: tuple[int, ...], points: np.ndarray, step: int
) -> Iterator[tuple[slice, np.ndarray]]:
    """Some rows of a plane of equal x at a time."""
    x, y, z = np.unravel_index(points, space, order="F")
    for plane in np.unique(x).tolist():
        start, stop = np.searchsorted(x, [plane, plane + 1]).tolist()
        for part in spans(space[1], step):
            first, last = (start + np.searchsorted(y[start:stop], [part.start, part.stop])).tolist()
            if first < last:
                yield slice(first, last), betas[plane, part][y[first:last] - part.start, z[first:last]].T
