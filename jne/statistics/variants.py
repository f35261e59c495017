"""Do the variants of JNE agree, and what does each follow? Tables over the voxels of `jne.Study.variants`."""

from __future__ import annotations

import numpy as np
import pandas as pd
import xarray as xr

from jne.measures import VARIANTS
from jne.statistics.area_tables import spearman
from jne.statistics.prediction_guard import predicted_voxels

SCALED = ("jne_scaled_l1", "jne_scaled_l2")
FOLLOWED = ("r2", "noise_ceiling", "true_nonlinearity")


def variant_correlations(result: xr.Dataset) -> pd.DataFrame:
    """Pearson correlation with every variant over significant voxels, as in Table 4 of the paper.

    Parameters
    ----------
    result : xarray.Dataset
        From `jne.Study.variants`, or from `jne.measures.variants`.

    Returns
    -------
    pandas.DataFrame
        Columns: the paper's four variants and the two whose z-scores are over samples and features. Rows: the same,
        gain change and the nonlinear share, where it is known. A voxel that a variant does not define is left out of
        that variant's correlations; with fewer than three voxels they are NaN.
    """
    return _over_voxels(result, _measures(result)).corr(min_periods=3)[[*VARIANTS, *SCALED]]


def followed_table(result: xr.Dataset) -> pd.DataFrame:
    """Spearman correlation over significant voxels of every variant with what a measure should follow, and should not.

    Parameters
    ----------
    result : xarray.Dataset
        From `jne.Study.variants`.

    Returns
    -------
    pandas.DataFrame
        A row for each variant, gain change and the nonlinear share; columns ``r2``, ``noise_ceiling`` and
        ``true_nonlinearity``, of what is known.
    """
    rows = _measures(result)
    columns = [name for name in FOLLOWED if name in result]
    table = _over_voxels(result, [*rows, *columns])
    rho = {against: {name: spearman(table[name], table[against]) for name in rows} for against in columns}
    return pd.DataFrame(rho, index=rows, columns=columns)


def _measures(result: xr.Dataset) -> list[str]:
    return [*VARIANTS, *SCALED, *(name for name in ("gain_change", "nonlinear_share") if name in result)]


def _over_voxels(result: xr.Dataset, names: list[str]) -> pd.DataFrame:
    kept = predicted_voxels(result)
    table = pd.DataFrame({name: result[name].values[kept] for name in names})
    return table.replace([np.inf, -np.inf], np.nan)
