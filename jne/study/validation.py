"""What the responses of a study confirm of the nonlinearity that its encoder predicts."""

from __future__ import annotations

import numpy as np
import xarray as xr

from jne.datasets import EncodingDataset
from jne.encoders import Encoder
from jne.measures import LEAST_STIMULI, validated_share

_RENAMED = {"p_value": "validated_p_value"} | {
    f"area_{name}": f"validated_area_{name}" for name in ("share", "share_se", "p_value", "products", "predicted")
}

_NO_AREA = "(no area)"
_BY_VOXEL = (
    "validated_share", "validated_share_se", "validated_p_value", "validated_nonlinear", "validated_predicted"
)  # fmt: skip


def confirmed(
    data: EncodingDataset,
    encoder: Encoder,
    predictions: np.ndarray,
    mean_jacobian: np.ndarray | None,
    significant: np.ndarray,
    q: float,
) -> xr.Dataset:
    """`jne.validated_share` of a study's predictions, by voxel and, over its significant voxels, by area.

    The linear map is that of all stimuli, those for fitting and those without responses among them, with the mean
    Jacobian ``(n_voxels, n_features)`` as slopes; with folds, which are predicted by several encoders, each fold's own.
    Significant voxels without an area count in ``validated_products (sample)`` and ``validated_predicted_sum``, the
    sums over all of them.

    Returns
    -------
    xarray.Dataset
        As `jne.validated_share` has it; the p value and areas are called ``validated_...``. All NaN with fewer
        test stimuli than it takes.
    """
    layer, options = encoder.layer_, {"fold": data.folds}
    split = "test" if data.folds is None else "all"
    Y = data.responses(split)
    if len(Y) < LEAST_STIMULI:
        reason = f"{len(Y)} test stimuli, needed: at least {LEAST_STIMULI}"
        unknown = {name: ("voxel", np.full(Y.shape[1], np.nan)) for name in _BY_VOXEL}
        unknown["confirmed"] = "voxel", np.zeros(Y.shape[1], bool)
        return xr.Dataset(unknown, attrs={"validated_reason": reason})
    if data.folds is None:
        parts = [data.features("all", layer)]
        parts += [further] if (further := data.further(layer)) is not None else []
        options = {"all_features": np.concatenate(parts)}
        options["all_predictions"] = encoder.predict(options["all_features"])
        if mean_jacobian is not None:
            # In units of the caller's, as predictions are.
            options["slopes"] = mean_jacobian * encoder.y_scale_[:, None] / encoder.x_scale_
    roi = data.get("roi")
    roi = np.full(Y.shape[1], "all voxels") if roi is None else roi.astype(str)
    area = np.where(significant, np.where(roi == "", _NO_AREA, roi), "")
    found = validated_share(predictions, Y, data.features(split, layer), area=area, q=q, **options)
    about = {
        f"validated_{name}": found.attrs[name]
        for name in ("n_all", "linear_map", "reason", "dependence")
        if name in found.attrs
    }
    found = found.rename({old: new for old, new in _RENAMED.items() if old in found})
    found["validated_products"] = found["validated_area_products"].sum("area")
    found["validated_predicted_sum"] = found["validated_area_predicted"].sum("area")
    return found.sel(area=found["area"] != _NO_AREA).assign_attrs(about)


def with_area_share(result: xr.Dataset) -> xr.Dataset:
    """A result with ``validated_area_share`` of its sums over areas' voxels; NaN where nothing is predicted."""
    predicted = result["validated_area_predicted"]
    share = result["validated_area_products"].mean("sample") / predicted
    return result.assign(validated_area_share=share.where(predicted > 0))
