"""From products of two fits to shares and their errors: sums first, the division last, nothing clipped."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd
import xarray as xr

TERMS = ("crossfit_nonlinear", "crossfit_linear", "crossfit_residual", "crossfit_predicted")
"""C and C0 of the Jacobians; covariance of the predictions' residuals from their linear maps, and of the predictions.
Arrays of terms have them along the first axis."""

SHARES = {
    "nonlinear_share": lambda terms: (terms[0] / 2, terms[0] / 2 + terms[1]),
    "prediction_share": lambda terms: (terms[2], terms[3]),
}
"""Each share's numerator and denominator."""


class Share(NamedTuple):
    """A ratio and its standard error, NaN where the denominator is not ``reliable``: two of its errors above zero."""

    value: np.ndarray
    se: np.ndarray
    reliable: np.ndarray


def jackknife_error(deleted: np.ndarray) -> np.ndarray:
    """Delete-one-group standard error of estimates ``(n_groups, ...)``, each without one group."""
    n_groups = len(deleted)
    return np.sqrt((n_groups - 1) / n_groups * ((deleted - deleted.mean(axis=0)) ** 2).sum(axis=0))


def share(name: str, terms: np.ndarray, deleted: np.ndarray) -> Share:
    """A share from terms ``(4, ...)`` and the terms without each group, ``(4, n_groups, ...)``."""
    value, above = _divide(name, terms)
    values, denominators = _divide(name, deleted)
    reliable = above > 2 * jackknife_error(denominators)
    return Share(np.where(reliable, value, np.nan), np.where(reliable, jackknife_error(values), np.nan), reliable)


def split_sd(name: str, terms: np.ndarray) -> np.ndarray:
    """Standard deviation over splits of each split's own share, ``(4, n_splits, ...)``; NaN of one split."""
    return spread(_divide(name, terms)[0])


def spread(values: np.ndarray) -> np.ndarray:
    """Standard deviation over the first axis; NaN where it has one entry."""
    return values.std(axis=0, ddof=1) if len(values) > 1 else np.full(values.shape[1:], np.nan)


def _divide(name: str, terms: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    numerator, denominator = SHARES[name](terms)
    with np.errstate(divide="ignore", invalid="ignore"):
        return numerator / denominator, denominator


def area_share(result: xr.Dataset, area: str | np.ndarray = "roi", share_name: str = "nonlinear_share") -> pd.DataFrame:
    """Cross-fitted share of each area, as a ratio of sums over its voxels.

    All voxels of an area enter its sums, also those whose own share is NaN: what is too weak to divide by in one voxel
    is not in the sum of many. Voxels are in z-scored response units, so that a voxel counts by its predicted variance.

    Parameters
    ----------
    result : xarray.Dataset
        What `crossfit_nonlinearity` returns.
    area : str or array ``(n_voxels,)``
        The variable of ``result`` that names each voxel's area, or the names. Without a ``roi``, all voxels are one.
    share_name : {"nonlinear_share", "prediction_share"}

    Returns
    -------
    pandas.DataFrame
        Indexed by area, in the order of their first voxels: ``n_voxels``; the share under its name and its jackknife
        standard error ``<name>_se``, NaN where the denominator is not two standard errors above zero; ``reliable``.

    Raises
    ------
    ValueError
        If ``result`` is not a cross-fitted one, or an argument is unknown.
    """
    if share_name not in SHARES:
        raise ValueError(f"share_name={share_name!r}; accepted are {', '.join(SHARES)}")
    missing = [name for term in TERMS for name in (term, f"{term}_jackknife") if name not in result]
    if missing:
        raise ValueError(f"result lacks {', '.join(missing)}; give what jne.crossfit_nonlinearity returns")
    labels = _labels(result, area)
    terms = np.stack([result[name].values for name in TERMS])
    deleted = np.stack([result[f"{name}_jackknife"].values for name in TERMS])
    rows = {}
    for name in dict.fromkeys(labels):
        voxels = labels == name
        found = share(share_name, terms[:, voxels].sum(-1), deleted[..., voxels].sum(-1))
        rows[name] = {
            "n_voxels": int(voxels.sum()),
            share_name: float(found.value),
            f"{share_name}_se": float(found.se),
            "reliable": bool(found.reliable),
        }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("area")


def _labels(result: xr.Dataset, area: str | np.ndarray) -> np.ndarray:
    n_voxels = result.sizes["voxel"]
    if isinstance(area, str) and area not in result:
        if area != "roi":
            raise ValueError(f"area={area!r} is not a variable of result, which has {', '.join(map(str, result))}")
        return np.full(n_voxels, "all voxels")
    labels = np.asarray(result[area].values if isinstance(area, str) else area).astype(str)
    if labels.shape != (n_voxels,):
        raise ValueError(f"area has shape {labels.shape}; needed: one name for each of the {n_voxels} voxels")
    return labels
