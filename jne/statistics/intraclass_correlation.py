"""How far raters agree on the same targets: two seeds' maps, voxel by voxel."""

from __future__ import annotations

import numpy as np

from jne._core import as_numbers

KINDS = ("1", "2,1")


def intraclass_correlation(values: np.ndarray, kind: str = "2,1") -> float:
    """How far single raters agree on targets: the share of variance that is the targets' own [1]_.

    Raters are fits from different seeds, targets are voxels. 1 where all raters give every target the same value, 0
    where a target's value says nothing of what another rater gives it. Unlike a correlation it falls where one rater
    gives larger values than another.

    Parameters
    ----------
    values : array ``(n_raters, n_targets)``
        Targets with a value that is not finite are left out.
    kind : {"2,1", "1"}
        "2,1": raters are drawn at random and each rates all targets, as a seed does with all voxels. "1": no rater has
        rated two targets, so that what raters do to all targets alike counts as error of each.

    Returns
    -------
    float
        At most 1, and below 0 where raters agree less than by chance; NaN of fewer than two raters or targets, or
        where nothing varies.

    References
    ----------
    .. [1] Shrout and Fleiss, "Intraclass correlations: uses in assessing rater reliability", Psychological Bulletin
       86, 1979.

    Examples
    --------
    >>> import numpy as np
    >>> from jne.statistics import intraclass_correlation
    >>> map_of_one_seed = np.array([1.0, 2.0, 3.0, 4.0])
    >>> intraclass_correlation(np.stack([map_of_one_seed, map_of_one_seed]))
    1.0
    """
    values = as_numbers(values, "values", np.float64, missing=True)
    if values.ndim != 2:
        raise ValueError(f"values has shape {values.shape}, needed: (n_raters, n_targets)")
    if kind not in KINDS:
        raise ValueError(f"kind={kind!r} is not known; give {' or '.join(map(repr, KINDS))}")
    values = values[:, np.isfinite(values).all(axis=0)]
    n_raters, n_targets = values.shape
    if min(n_raters, n_targets) < 2 or np.ptp(values) == 0:
        return np.nan
    mean, of_target, of_rater = values.mean(), values.mean(axis=0), values.mean(axis=1, keepdims=True)
    between = n_raters * ((of_target - mean) ** 2).sum() / (n_targets - 1)
    if kind == "1":
        within = ((values - of_target) ** 2).sum() / (n_targets * (n_raters - 1))
        raters = within
    else:
        within = ((values - of_target - of_rater + mean) ** 2).sum() / ((n_targets - 1) * (n_raters - 1))
        raters = n_targets * ((of_rater - mean) ** 2).sum() / (n_raters - 1)
    scale = between + (n_raters - 1) * within + n_raters * (raters - within) / n_targets
    return float((between - within) / scale) if scale > 0 else np.nan
