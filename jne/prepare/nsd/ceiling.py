"""Noise ceiling of the test responses, which are averages: from NSD's own map, or from the repeats."""

from __future__ import annotations

import h5netcdf
import numpy as np
import pandas as pd

from jne._core import spans
from jne.accuracy import noise_ceiling
from jne.prepare.nsd.layout import Layout, read_map
from jne.prepare.nsd.space import Space

BLOCK_BYTES = 32 * 2**20


def ceiling_from_ncsnr(layout: Layout, space: Space, images: pd.DataFrame) -> np.ndarray:
    """``ncsnr² / (ncsnr² + mean(1 / n))`` with n the presentations of each test image (Allen et al. 2022).

    NSD's map is of all its images and sessions, and of betas that were z-scored within each session.

    Parameters
    ----------
    layout : Layout
    space : Space
    images : pandas.DataFrame
        ``split`` and ``count``.

    Returns
    -------
    array ``(n_points,)``, float32
    """
    paths = layout.ncsnr()
    layout.need(paths, "noise ceiling", "compute it from the repeats of the test images with --noise-ceiling repeats")
    ncsnr = read_map(paths, space.shapes)[0][space.points].astype(np.float64)
    if negative := np.count_nonzero(ncsnr < 0):
        raise ValueError(f"noise ceiling: {negative} values of {paths[0].name} in {paths[0].parent} are negative")
    noise = (1 / images["count"][images["split"] == "test"]).mean()
    return (ncsnr**2 / (ncsnr**2 + noise)).astype(np.float32)


def ceiling_from_repeats(repeats: h5netcdf.Variable) -> np.ndarray:
    """`jne.noise_ceiling` of repeats on disk ``(n_test, n_repeats, n_voxels)``, a block of voxels at a time.

    The total variance is that of these trials: betas were z-scored over all trials of a run or session, and those of
    the test images alone need not have a variance of 1.
    """
    n_test, n_repeats, n_voxels = repeats.shape
    values = np.empty(n_voxels, np.float32)
    for block in spans(n_voxels, max(1, BLOCK_BYTES // (8 * n_test * n_repeats))):
        values[block] = noise_ceiling(repeats[:, :, block])
    return values
