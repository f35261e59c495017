"""Single-trial betas of one session, read front to back; only the wanted points are kept."""

from __future__ import annotations

import math
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from nibabel.openers import ImageOpener

from jne._core import RefusedError, open_hdf5, reading, spans
from jne.prepare.brain_files import open_image
from jne.prepare.nsd.layout import AGAIN, hint

VOLUME_SCALE = 300
"""Volume betas are percent signal change times this, as int16; surface betas are percent, as float32."""
CLIPPED = 32767
"""The largest int16, 109.2 %: NSD wrote this for whatever was larger."""
BLOCK_BYTES = 16 * 2**20


def read_session(
    paths: Sequence[Path], shapes: Sequence[tuple[int, ...]], points: np.ndarray, n_trials: int
) -> np.ndarray:
    """Betas of one session, as they are stored.

    Parameters
    ----------
    paths : sequence of path
        One volume (``.nii.gz``, ``.nii`` or ``.hdf5``), or the left and the right surface (``.mgh``).
    shapes : sequence of tuple
        Spatial shape of each file.
    points : array of int
        Ascending indices into the flattened space (see `jne.prepare.nsd.layout.read_map`).
    n_trials : int
        As many as ``responses.tsv`` has.

    Returns
    -------
    array ``(n_trials, n_points)``
        int16 (to be divided by `VOLUME_SCALE`) from volumes, float32 from surfaces.

    Raises
    ------
    ValueError
        If a file is truncated or damaged, or has another shape or type; the file is named.
    """
    values = np.empty((n_trials, len(points)), np.float32 if paths[0].suffix == ".mgh" else np.int16)
    start = 0
    for path, shape in zip(paths, shapes, strict=True):
        stop = start + math.prod(shape)
        here = slice(*np.searchsorted(points, [start, stop]))
        read = _read_hdf5 if path.suffix == ".hdf5" else _read_stream
        with reading(path, "betas", "betas of NSD", AGAIN):
            read(path, shape, points[here] - start, values[:, here])
        start = stop
    return values


def _read_stream(path: Path, shape: tuple[int, ...], points: np.ndarray, out: np.ndarray) -> None:
    """NIfTI or MGH, where one trial follows the other."""
    proxy = open_image(path, "betas").dataobj
    _check(path, proxy.shape[:3], proxy.shape[3:], proxy.dtype, shape, out)
    if (proxy.slope, proxy.inter) != (1, 0):
        raise RefusedError(
            f"{path} has scl_slope {proxy.slope} and scl_inter {proxy.inter}; needed: 1 and 0, or 0 and 0 as in NSD's "
            "own files: values as they are stored"
        )
    trial_bytes = math.prod(shape) * proxy.dtype.itemsize
    blocks = list(spans(len(out), max(1, BLOCK_BYTES // trial_bytes)))
    with ImageOpener(path) as file, ThreadPoolExecutor(1) as pool:
        file.seek(proxy.offset)
        sizes = [(block.stop - block.start) * trial_bytes for block in blocks]
        # While points are picked from a block, the next one is unpacked.
        ahead = pool.submit(file.read, sizes[0])
        for block, size, following in zip(blocks, sizes, [*sizes[1:], 0], strict=True):
            data, ahead = ahead.result(), pool.submit(file.read, following)
            if len(data) < size:
                raise EOFError(f"it ends in trial {block.start + len(data) // trial_bytes + 1} of {len(out)}")
            values = np.frombuffer(data, proxy.dtype).reshape(-1, math.prod(shape))
            out[block] = np.take(values, points, axis=1)
        # Only at its end is the checksum of a gzip file compared.
        while file.read(2**16):
            pass


def _read_hdf5(path: Path, shape: tuple[int, ...], points: np.ndarray, out: np.ndarray) -> None:
    """HDF5, ``/betas`` (trial, z, y, x) with all trials of a voxel in one chunk: plane by plane."""
    with open_hdf5(path, "betas") as file:
        betas = file["betas"]
        _check(path, betas.shape[:0:-1], betas.shape[:1], betas.dtype, shape, out)
        plane = shape[0] * shape[1]
        for z in range(shape[2]):
            here = slice(*np.searchsorted(points, [z * plane, (z + 1) * plane]))
            if here.stop > here.start:
                y, x = np.divmod(points[here] - z * plane, shape[0])
                window = betas[:, z, y.min() : y.max() + 1, x.min() : x.max() + 1]
                out[:, here] = window[:, y - y.min(), x - x.min()]


def _check(path: Path, found: tuple, trials: tuple, dtype: np.dtype, shape: tuple, out: np.ndarray) -> None:
    found = tuple(map(int, found))
    if found != tuple(shape):
        raise RefusedError(f"{path} has shape {found}; needed: {tuple(shape)}{hint(found, shape)}")
    if tuple(trials) != (len(out),):
        raise RefusedError(
            f"{path} holds {math.prod(trials)} trials, and responses.tsv has {len(out)} in this session: they are not "
            "of the same subject and session, or one of them is not whole. Download both again"
        )
    if dtype.newbyteorder("=") != out.dtype:
        raise RefusedError(
            f"{path} holds {dtype}; needed: {out.dtype}, as NSD stores "
            f"{'surface betas (percent)' if out.dtype == np.float32 else 'volume betas (percent x 300)'}"
        )
