"""How well an encoding model predicts, how well it could, and in which voxels that is more than chance."""

from __future__ import annotations

import warnings

import numpy as np
import xarray as xr
from scipy.stats import false_discovery_control

from jne._core import as_numbers, spans

N_BOOTSTRAP = 2000
"""Resamples of the test stimuli by default: with them, one voxel in a hundred suffices to be called."""


def _check_pair(responses: np.ndarray, predictions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    responses = as_numbers(responses, "responses", np.float64)
    predictions = as_numbers(predictions, "predictions", np.float64)
    if responses.shape != predictions.shape or responses.ndim != 2:
        raise ValueError(
            f"responses has shape {responses.shape} and predictions {predictions.shape}; both must be "
            "(n_samples, n_voxels) with the same counts"
        )
    return responses, predictions


def _ratio(numerator: np.ndarray, denominator: np.ndarray) -> np.ndarray:
    """Quotient that is NaN, without a warning, where the denominator is not positive."""
    return np.divide(numerator, denominator, out=np.full_like(numerator, np.nan), where=denominator > 0)


def r2_score(responses: np.ndarray, predictions: np.ndarray) -> np.ndarray:
    """Share of each voxel's variance over samples that is predicted, ``1 - SS_residual / SS_total``.

    Parameters
    ----------
    responses, predictions : array ``(n_samples, n_voxels)``

    Returns
    -------
    array ``(n_voxels,)``
        At most 1; negative where the mean response would predict better; NaN where the response is constant.

    Examples
    --------
    >>> import numpy as np, jne
    >>> responses = np.array([[1.0, 1.0], [2.0, 2.0], [3.0, 3.0]])
    >>> predictions = np.array([[1.0, 2.0], [2.0, 2.0], [3.0, 2.0]])  # perfect, and the mean
    >>> jne.r2_score(responses, predictions)
    array([1., 0.])
    """
    responses, predictions = _check_pair(responses, predictions)
    total = ((responses - responses.mean(axis=0)) ** 2).sum(axis=0)
    return 1 - _ratio(((responses - predictions) ** 2).sum(axis=0), total)


def correlation_score(responses: np.ndarray, predictions: np.ndarray) -> np.ndarray:
    """Pearson correlation over samples of each voxel's response with its prediction ``(n_voxels,)``.

    NaN where either is constant. Parameters as in `r2_score`.
    """
    responses, predictions = _check_pair(responses, predictions)
    a, b = responses - responses.mean(axis=0), predictions - predictions.mean(axis=0)
    return _ratio((a * b).sum(axis=0), np.sqrt((a**2).sum(axis=0) * (b**2).sum(axis=0)))


def remove_linear(X: np.ndarray, values: np.ndarray) -> np.ndarray:
    """What is left of ``values (n_samples, n)`` after least squares on ``X (n_samples, n_features)`` and a constant."""
    design = np.column_stack([np.ones(len(X)), X])
    basis = np.linalg.qr(design)[0]
    return values - basis @ (basis.T @ values)


def prediction_share(X: np.ndarray, predictions: np.ndarray) -> np.ndarray:
    """Share of the variance of a model's own predictions that no linear map of the features gives: 1 - R².

    It needs no Jacobian and, unlike the share from Jacobians, no Gaussian features.

    Parameters
    ----------
    X : array ``(n_samples, n_features)``
        Many more samples than features, or the linear map fits by chance.
    predictions : array ``(n_samples, n_voxels)``
        The model's, at X.

    Returns
    -------
    array ``(n_voxels,)``
        Between 0 and 1; NaN where the predictions are constant.

    Examples
    --------
    >>> import numpy as np, jne
    >>> x = np.random.default_rng(0).normal(size=(100_000, 1))
    >>> predictions = np.concatenate([2 * x, x + x**2 / np.sqrt(2)], axis=1)  # linear, and half of its variance so
    >>> abs(jne.prediction_share(x, predictions).round(1))
    array([0. , 0.5])
    """
    X, predictions = as_numbers(X, "X", np.float64), as_numbers(predictions, "predictions", np.float64)
    if len(X) != len(predictions) or len(X) < X.shape[1] + 2:
        raise ValueError(
            f"X has shape {X.shape} and predictions {predictions.shape}; needed: the same samples, and at least "
            f"{X.shape[1] + 2} of them (two more than features)"
        )
    return _ratio(remove_linear(X, predictions).var(axis=0), predictions.var(axis=0))


def noise_ceiling(repeats: np.ndarray, *, zscored: bool = False) -> np.ndarray:
    """Largest R² that any model can reach on the responses averaged over repeats.

    The noise variance is the mean over stimuli of the unbiased variance across repeats, the signal variance is what
    is left of the total, and the ceiling is ``ncsnr² / (ncsnr² + mean(1 / n))`` with ``ncsnr = sigma_signal /
    sigma_noise`` and n the repeats of each stimulus; for equal n this is NSD's ``n ncsnr² / (n ncsnr² + 1)``
    (Allen et al. 2022).

    Parameters
    ----------
    repeats : array ``(n_stimuli, n_repeats, n_voxels)``
        Single-trial responses. NaN, or a masked value, stands for a repeat that does not exist, so that counts may
        differ by stimulus.
    zscored : bool
        False: the total variance is that over the trials given, which is right for any trials. True: it is 1. Only
        where all the trials are given that were z-scored together; not of a part of them, such as the repeats of the
        test stimuli, whose signal may vary less or more than that of the rest.

    Returns
    -------
    array ``(n_voxels,)``
        Between 0 and 1; NaN where no stimulus has two repeats or the response never varies.

    Examples
    --------
    >>> import numpy as np, jne
    >>> rng = np.random.default_rng(0)
    >>> signal = rng.normal(size=(20000, 1, 1))
    >>> repeats = signal + rng.normal(size=(20000, 3, 1))  # as much noise as signal, averaged over three repeats
    >>> float(jne.noise_ceiling(repeats)[0].round(2))  # 1 / (1 + 1/3)
    0.75
    """
    repeats = as_numbers(repeats, "repeats", np.float64, missing=True)
    if repeats.ndim != 3:
        raise ValueError(f"repeats has shape {repeats.shape}, needed: (n_stimuli, n_repeats, n_voxels)")
    repeats = np.where(np.isfinite(repeats), repeats, np.nan)
    counts = np.isfinite(repeats).sum(axis=1)
    with warnings.catch_warnings():
        # Of stimuli and voxels with too few repeats, whose variance is NaN.
        warnings.simplefilter("ignore", RuntimeWarning)
        noise = np.nanmean(np.nanvar(repeats, axis=1, ddof=1), axis=0)
        total = np.where(np.isfinite(noise), 1.0, np.nan) if zscored else np.nanvar(repeats, axis=(0, 1), ddof=1)
        inverse = np.nanmean(np.where(counts > 0, 1 / counts, np.nan), axis=0)
    signal = np.maximum(total - noise, 0)
    return _ratio(signal, signal + noise * inverse)


def bootstrap_r2(
    responses: np.ndarray, predictions: np.ndarray, n_bootstrap: int = N_BOOTSTRAP, *, random_state: int = 0
) -> xr.Dataset:
    """R² with an interval and a p value, from resampling the test stimuli.

    Every bootstrap draws the same stimuli for all voxels, so that what voxels share stays shared.

    Parameters
    ----------
    responses, predictions : array ``(n_samples, n_voxels)``
        Of held-out test stimuli.
    n_bootstrap : int
        Number of resamples B. No p value is below 1 / (B + 1), so that with few of them nothing can pass a false
        discovery rate unless many voxels are at that floor: see `too_few_bootstraps`.
    random_state : int

    Returns
    -------
    xarray.Dataset
        Over ``voxel``: ``r2``; ``r2_low`` and ``r2_high``, the central 95 % of the bootstraps; ``p_value`` =
        (b + 1) / (B + 1), where b bootstraps have R² < 0; ``p_value_release`` = b / B, the choice of the paper's
        release, which can be 0 though B draws never exclude a chance of 1 / B.

    Examples
    --------
    >>> import numpy as np, jne
    >>> rng = np.random.default_rng(0)
    >>> predictions = rng.normal(size=(200, 2))
    >>> responses = predictions + [[1.0, 0.0]] * rng.normal(size=(200, 2))
    >>> result = jne.bootstrap_r2(responses, predictions, n_bootstrap=100)
    >>> float(result.r2[1]), float(result.r2_low[1]), float(result.p_value[1].round(4))  # 1 / 101
    (1.0, 1.0, 0.0099)
    """
    responses, predictions = _check_pair(responses, predictions)
    if n_bootstrap < 1:
        raise ValueError(f"n_bootstrap={n_bootstrap}; needed: at least 1")
    n_samples, n_voxels = responses.shape
    rng = np.random.default_rng(random_state)
    draws = rng.integers(n_samples, size=(n_bootstrap, n_samples))
    # How often each stimulus is drawn turns every resample into one row of three matrix products.
    weights = np.stack([np.bincount(row, minlength=n_samples) for row in draws]).astype(float)
    r2 = r2_score(responses, predictions)
    below, low, high = np.empty((3, n_voxels))
    # Voxels at a time, as all bootstraps of all voxels may not fit into memory.
    for block in spans(n_voxels, max(1, 2**22 // n_bootstrap)):
        samples = _resampled_r2(weights, responses[:, block], predictions[:, block])
        below[block] = (~(samples >= 0)).sum(axis=0)
        with np.errstate(invalid="ignore"):
            low[block], high[block] = np.quantile(samples, [0.025, 0.975], axis=0)
    below[~np.isfinite(r2)] = np.nan
    return xr.Dataset(
        {
            "r2": ("voxel", r2),
            "r2_low": ("voxel", low),
            "r2_high": ("voxel", high),
            "p_value": ("voxel", (below + 1) / (n_bootstrap + 1)),
            "p_value_release": ("voxel", below / n_bootstrap),
        },
        attrs={"n_bootstrap": n_bootstrap, "random_state": random_state, "n_samples": n_samples},
    )


def _resampled_r2(weights: np.ndarray, responses: np.ndarray, predictions: np.ndarray) -> np.ndarray:
    """R² of every resample and voxel; ``weights (n_bootstrap, n_samples)`` say how often each sample is drawn."""
    centred = responses - responses.mean(axis=0)
    residual = weights @ (responses - predictions) ** 2
    squares = weights @ centred**2
    total = squares - (weights @ centred) ** 2 / len(responses)
    # Of a response that never varies in a resample, rounding leaves something.
    return 1 - _ratio(residual, np.where(total > 1e-12 * squares, total, 0))


def too_few_bootstraps(p_values: np.ndarray, n_bootstrap: int, q: float = 0.05) -> str:
    """Say so where bootstraps are too few for `significant_voxels` to call anything; empty where they suffice.

    The smallest p value, 1 / (B + 1), passes the Benjamini-Hochberg procedure only where at least n / (q (B + 1)) of n
    voxels have it: 10 % of them with 200 bootstraps, 1 % with 2,000.

    Parameters
    ----------
    p_values : array ``(n_voxels,)``
        ``p_value`` of `bootstrap_r2`.
    n_bootstrap : int
        B.
    q : float
        As in `significant_voxels`.

    Returns
    -------
    str
        One sentence, or nothing.
    """
    p_values = np.asarray(p_values, float)
    n_voxels = int(np.isfinite(p_values).sum())
    at_floor = int((p_values <= (1 + 1e-9) / (n_bootstrap + 1)).sum())
    if at_floor == 0 or significant_voxels(p_values, q).any():
        return ""
    needed = int(np.ceil(n_voxels / (q * at_floor))) - 1
    return (
        f"No voxel is significant, but {at_floor:,} of {n_voxels:,} have no bootstrap below zero: {n_bootstrap:,} "
        f"bootstraps are too few to call them; take n_bootstrap={max(needed, N_BOOTSTRAP)} or more."
    )


def significant_voxels(p_values: np.ndarray, q: float = 0.05) -> np.ndarray:
    """Voxels that pass the Benjamini-Hochberg procedure at false discovery rate ``q``.

    Parameters
    ----------
    p_values : array ``(n_voxels,)``
        NaN is never significant and does not count as a test.
    q : float
        Between 0 and 1.

    Returns
    -------
    array of bool ``(n_voxels,)``

    Examples
    --------
    >>> import numpy as np, jne
    >>> jne.significant_voxels(np.array([0.01, 0.03, 0.5, np.nan]))  # 0.03 <= 2/3 of 0.05
    array([ True,  True, False, False])
    """
    p_values = as_numbers(p_values, "p_values", float, missing=True)
    if not 0 < q < 1:
        raise ValueError(f"q={q}; needed: a false discovery rate between 0 and 1, such as 0.05")
    significant = np.zeros(p_values.shape, bool)
    tested = np.isfinite(p_values)
    if tested.any():
        significant[tested] = false_discovery_control(p_values[tested], method="bh") <= q
    return significant
