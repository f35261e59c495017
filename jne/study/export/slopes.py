"""The mean Jacobian of a study's encoders: the slope of every voxel along every feature."""

from __future__ import annotations

import xarray as xr

from jne.measures import nonlinearity
from jne.study.study import Study


def mean_jacobian(study: Study, *, max_memory: str = "2GB", progress: bool = False) -> xr.Dataset:
    """Mean over the study's stimuli of the Jacobian of its encoder.

    Parameters
    ----------
    study : Study
    max_memory : str
        As in `jne.nonlinearity`.
    progress : bool

    Returns
    -------
    xarray.Dataset
        ``mean_jacobian (voxel, feature)``, in z-scored response units per z-scored feature unit. Where voxels have
        layers of their own, ``mean_jacobian_LAYER (voxel_LAYER, feature_LAYER)`` for each layer, and the coordinate
        ``voxel_LAYER``, which says which voxels of the study these are, from 0.

    Examples
    --------
    >>> import tempfile, jne
    >>> from jne.study import mean_jacobian
    >>> data = jne.load_dataset("synthetic", thin=64, n_train=200, n_validation=50, n_test=50, cache=False)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     study = jne.run_study(data, encoder_options={"max_epochs": 2}, folder=folder)
    >>> mean_jacobian(study).mean_jacobian.shape == (data.n_voxels, data.features(layer=data.default_layer).shape[1])
    True
    """
    found = []
    for layer, part in study.parts.items():
        X = part.data.features("test" if part.data.folds is None else "all", part.encoder.layer_)
        options = {"covariance": False, "return_samples": False, "max_memory": max_memory, "progress": progress}
        slopes = nonlinearity(part.encoder, X, mean_jacobian=True, **options)[["mean_jacobian"]]
        if len(study.parts) > 1:
            names = {name: f"{name}_{layer}" for name in ("mean_jacobian", "voxel", "feature")}
            slopes = slopes.rename(names).assign_coords({names["voxel"]: study.voxels_of(layer)})
        found.append(slopes)
    origin = {
        name: study.result.attrs[name] for name in ("data", "data_hash", "layer", "seed", "synthetic", "evaluation")
    }
    return xr.merge(found, combine_attrs="drop_conflicts").assign_attrs(origin)
