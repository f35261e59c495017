"""What must be said of a study first: that its encoder predicts nothing, or no more than a linear one."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import xarray as xr

from jne._core import capital

LEAST_SIGNIFICANT = 0.1
"""Share of voxels that must be significant for anything to count as predicted."""


def nothing_predicted(result: xr.Dataset) -> str:
    """Why nothing counts as predicted, in words; empty where something does, or where it is not known.

    That is fewer than a tenth of the voxels significant, or a median R² below zero.
    """
    if "significant" not in result or "r2" not in result:
        return ""
    if not result.sizes["voxel"]:
        return "nothing is predicted: there are no voxels"
    n, r2 = int(result["significant"].sum()), float(result["r2"].median())
    if n >= LEAST_SIGNIFICANT * result.sizes["voxel"] and n and r2 >= 0:
        return ""
    return f"nothing is predicted: {n} of {result.sizes['voxel']} voxels are significant, median R² {r2:.3f}"


def predicted_voxels(result: xr.Dataset) -> np.ndarray:
    """Voxels whose measures mean something ``(n_voxels,)``: the significant ones, all where that is not known.

    What an encoder does in a voxel that it does not predict is fitting noise, and an area's mean must not hold it.
    Where nothing counts as predicted (`nothing_predicted`) there is none: a few voxels are significant by chance.
    """
    if "significant" not in result:
        return np.ones(result.sizes["voxel"], bool)
    significant = result["significant"].values.astype(bool)
    return significant & (nothing_predicted(result) == "")


def predicting(results: Mapping[str, xr.Dataset]) -> dict[str, xr.Dataset]:
    """The results of which something is predicted; all of them where there is none.

    Parameters
    ----------
    results : mapping of str to xarray.Dataset
        Subject -> result.
    """
    found = {name: result for name, result in results.items() if predicted_voxels(result).any()}
    return found or dict(results)


def said_first(result: xr.Dataset) -> list[str]:
    """Sentences that stand before everything else that is told of a study; none where it predicts.

    Examples
    --------
    >>> import numpy as np, xarray as xr
    >>> from jne.statistics import said_first
    >>> n = 20
    >>> r2, none = ("voxel", np.full(n, -0.1)), ("voxel", np.zeros(n, bool))
    >>> print(said_first(xr.Dataset({"r2": r2, "significant": none}))[0][:72])
    Nothing is predicted: 0 of 20 voxels are significant, median R² -0.100.
    """
    if reason := nothing_predicted(result):
        return [
            f"{capital(reason)}. A tenth of the voxels and a median of at least 0 are needed: what an "
            "encoder does in a voxel that it does not predict is fitting noise, so no measure of nonlinearity and no "
            "mean of an area is given."
        ]
    gain = float((result["r2"] - result["r2_linear"]).median()) if "r2_linear" in result and "r2" in result else np.nan
    if gain <= 0:
        return [
            f"The nonlinear encoder predicts no better than the linear one (median difference of R² {gain:+.3f}): what "
            "its Jacobian's variation is for remains open."
        ]
    return []
