"""`best_single_layer`: the feature layer that a linear encoder predicts all responses from best."""

from __future__ import annotations

import numpy as np

from jne.accuracy import r2_score
from jne.datasets import EncodingDataset, Training, leave_out, training_arrays
from jne.encoders.ridge import RidgeEncoder


def best_single_layer(data: EncodingDataset, *, random_state: int = 0) -> str:
    """Choose one layer for all voxels: that from which ridge regression predicts best.

    `jne.RidgeEncoder` is fitted to the training stimuli, and the layer with the highest mean over voxels of R² on
    the validation stimuli wins, the first of equals. Test stimuli have no part in it. Of a dataset with folds the
    last fold is for validation, as in `Encoder.fit`; it is tested later on as well.

    Parameters
    ----------
    data : EncodingDataset
    random_state : int
        Seeds the cross-validation that chooses the regularisation.

    Returns
    -------
    str

    Raises
    ------
    ValueError
        If no voxel varies over both the training and the validation stimuli.

    See Also
    --------
    layer_scores : What they are compared by.

    Examples
    --------
    >>> import jne
    >>> from jne.encoders import best_single_layer
    >>> data = jne.load_dataset("synthetic", thin=64, n_train=300, n_validation=50, n_test=50, cache=False)
    >>> best_single_layer(data)
    'layer3'
    """
    if len(data.layers) == 1:
        return data.layers[0]
    scores = layer_scores(data, random_state=random_state)
    if np.isnan([*scores.values()]).any():
        arrays = training_arrays(data, data.layers[0])
        counts = f"{len(arrays.Y)} and {len(arrays.Y_val)}"
        raise ValueError(
            f"{data.name}: no voxel varies over the training and over the validation stimuli ({counts}), so no layer "
            "can be chosen; name one, or give more stimuli for validation"
        )
    return max(scores, key=scores.__getitem__)


def layer_scores(data: EncodingDataset, *, random_state: int = 0) -> dict[str, float]:
    """Layer -> mean over voxels of validation R², see `best_single_layer`; NaN where no voxel varies."""
    return {layer: _score(data, layer, random_state) for layer in data.layers}


def _score(data: EncodingDataset, layer: str, random_state: int) -> float:
    X, Y, X_val, Y_val, groups = training_arrays(data, layer)
    # Ridge regression joins what it is given for training and validation: both are of the training stimuli here.
    if groups is None:
        own = Training(X[:-1], Y[:-1], X[-1:], Y[-1:])
    else:
        own = leave_out(X, Y, groups, validation=np.unique(groups)[-1])
    varies = (np.ptp(own.Y, axis=0) > 0) & (np.ptp(Y_val, axis=0) > 0)
    if not varies.any():
        return np.nan
    own = own._replace(Y=own.Y[:, varies], Y_val=own.Y_val[:, varies])
    ridge = RidgeEncoder(cv=min(RidgeEncoder().cv, len(X)), random_state=random_state).fit(own)
    return float(r2_score(Y_val[:, varies], ridge.predict(X_val)).mean())
