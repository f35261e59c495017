"""One subject, one feature layer, one encoder: fitted, evaluated and measured once, then found in the cache."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import xarray as xr

from jne._core import (
    hash_parameters,
    kept,
    one_at_a_time,
    results_dir,
    whole_number,
    write_json,
)
from jne.accuracy import N_BOOTSTRAP, too_few_bootstraps
from jne.datasets import EncodingDataset
from jne.encoders import Encoder, ResidualEncoder, load_encoder
from jne.study import refits as _refits
from jne.study.measuring import measure_study
from jne.study.seeds import combined, each_seed, measure_seeds
from jne.study.settings import check_settings, prototypes, study_parameters

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Study:
    """What `run_study` returns.

    Attributes
    ----------
    data : EncodingDataset
    encoder, linear : Encoder
        The nonlinear encoder (with several seeds a `jne.MeanEncoder` of the fits), and its linear reference (see
        `run_study`); None where there is none.
    result : xarray.Dataset
        Over ``voxel``: ``r2``, its interval ``r2_low`` and ``r2_high``, ``p_value``, ``significant``; ``r2_linear``;
        ``explained``, R² over the noise ceiling where that is known; ``r2_linearised``, of
        `jne.measures.linearised_predictions` at the test stimuli, of which mean prediction and mean Jacobian are, too
        (not of a dataset with folds: its one encoder saw most of them); what
        `jne.validated_share` says of the predictions (``validated_share``, ``validated_p_value``, ``confirmed``, and
        over ``area`` ``validated_area_...`` of the significant voxels); ``correlation`` of the nonlinear encoder's
        predictions; what `nonlinearity` returns; and what the dataset knows of its voxels; ``level`` also by the names
        of the areas (`jne.cortex.area_levels`), where at least four have one, and not all the same. Over
        ``sample`` (test stimuli): ``jne_ss`` and what the dataset knows of them. With several seeds ``jne_by_seed`` and
        ``nonlinear_share_by_seed (seed, voxel)``, of each fit, and ``jne_seed_se`` and ``nonlinear_share_seed_se
        (voxel)``, the standard error of the mean over fits. Its attributes hold every parameter.
    folder : Path
        Where it is cached.

    Examples
    --------
    >>> import tempfile, jne
    >>> data = jne.load_dataset("synthetic", thin=64, n_train=200, n_validation=50, n_test=50, cache=False)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     study = jne.run_study(data, encoder_options={"max_epochs": 2}, folder=folder)
    >>> study.result.r2.sizes == study.result.r2_linear.sizes == {"voxel": len(data.get("roi"))}
    True
    """

    data: EncodingDataset
    encoder: Encoder
    linear: Encoder | None
    result: xr.Dataset
    folder: Path

    @property
    def parts(self) -> dict[str, Study]:
        """Layer -> study of the voxels that have it: the study itself, but for one of best layers."""
        return {self.result.attrs["layer"]: self}

    def voxels_of(self, layer: str) -> np.ndarray:
        """Places in ``result`` of the voxels of a layer's part, in the part's order, ``(n_voxels_part,)``."""
        return np.arange(self.result.sizes["voxel"])

    def crossfit(
        self,
        n_splits: int = 4,
        *,
        n_groups: int = 8,
        random_state: int = 0,
        max_memory: str = "2GB",
        return_samples: bool = False,
        refit: bool = True,
        progress: bool = False,
    ) -> xr.Dataset:
        """Cross-fit encoders with the study's options; see `jne.crossfit_nonlinearity` for arguments and result.

        Cached in the study's folder; finished splits are kept, so that an interrupted call goes on, and one with more
        splits fits only the new ones. The result also has what the dataset knows of its voxels and stimuli. Of a study
        with several seeds, too, each half is fitted once.
        """
        settings = {"n_splits": n_splits, "n_groups": n_groups, "random_state": random_state, "refit": refit}
        return _refits.crossfit(self, max_memory, progress, return_samples=return_samples, **settings)

    def null(self, random_state: int = 0, *, max_memory: str = "2GB", progress: bool = False) -> xr.Dataset:
        """Measure an encoder that was fitted to nothing: the study's, on responses shuffled over the stimuli.

        Whole responses (all voxels together) change places within the training stimuli and within the validation
        stimuli, or within each fold. What a measure gives here is what it gives without any relation of responses and
        stimuli, real or nonlinear. Of a study with several seeds, too, it is one fit. Cached in the study's folder.

        Returns
        -------
        xarray.Dataset
            Over ``voxel``: ``null_share`` (the nonlinear share) and ``null_jne``, at the study's stimuli.
        """
        return _refits.null(self, random_state, max_memory, progress)

    def variants(self, *, max_memory: str = "2GB", progress: bool = False) -> xr.Dataset:
        """Measure the study's encoder by every variant of JNE that the paper compares, at the study's stimuli.

        Cached in the study's folder. `jne.statistics.variant_correlations` is the paper's table of them, and
        `jne.statistics.followed_table` says what each follows.

        Returns
        -------
        xarray.Dataset
            Over ``voxel``: what `jne.measures.variants` returns, ``r2``, ``nonlinear_share``, and what the dataset
            knows of its voxels.
        """
        return _refits.all_variants(self, max_memory, progress)


def run_study(
    data: EncodingDataset,
    layer: str | None = None,
    *,
    seed: int = 0,
    encoder: Encoder | type[Encoder] = ResidualEncoder,
    encoder_options: Mapping | None = None,
    n_bootstrap: int = N_BOOTSTRAP,
    q: float = 0.05,
    max_memory: str = "2GB",
    progress: bool = False,
    folder: str | Path | None = None,
    wait: bool = True,
    linear: bool = True,
    n_seeds: int = 1,
) -> Study:
    """Fit a nonlinear and a linear encoder, test their predictions, and measure the nonlinearity of every voxel.

    A dataset with folds instead of a split is predicted by cross-validation, pooled over folds; the Jacobians are then
    those of one encoder, fitted to all folds but the last, at all stimuli (attribute ``evaluation`` of the result).

    Every stage is written when it is done, and fits of more than half a minute have checkpoints, so an interrupted
    study goes on where it stopped, and a second call with the same parameters, data and code only reads. Of several
    processes that ask for one study at the same moment, one computes it and the others wait.

    Parameters
    ----------
    data : EncodingDataset
    layer : str, optional
        Feature layer; by default the dataset's own default. With ``"best"`` each voxel has its own, chosen by
        `jne.study.best_layers` without test stimuli; the encoders of a layer are fitted to the voxels that chose it,
        and the result is assembled from them, with ``layer (voxel)``. With folds, a stimulus is predicted from the
        layer chosen without its fold. (A dataset's own layer of this name is just that.)
    seed : int
        Seeds the encoders and the bootstrap.
    encoder : Encoder or subclass of it
        The nonlinear encoder, or its class; what is fitted is a copy with ``seed`` as ``random_state``. The linear
        reference is the same without activation, or, where it is no `ResidualEncoder`, one of those with its defaults
        and without activation. A cached study knows the name and parameters of a class of your own, not its code: give
        another ``folder`` when that has changed.
    encoder_options : mapping, optional
        Options of the encoder, such as ``{"hidden_size": 256}``.
    n_bootstrap : int
        Resamples of the test stimuli, for R². A warning tells where they are too few for any voxel to be called.
    q : float
        False discovery rate of the significant voxels.
    max_memory : str
        Limit for the Jacobians.
    progress : bool
    folder : path, optional
        The cache; by default ``results/studies``.
    wait : bool
        Whether to wait where another process is at this study.
    linear : bool
        Whether to fit the linear reference. Without it the result has no ``r2_linear``, unless the cache has one that
        does.
    n_seeds : int
        Fits of the nonlinear encoder, with the seeds ``seed``, ``seed + 1``, ...; each is kept where the study of that
        seed alone has it. What is tested and measured is their mean (`jne.MeanEncoder`): its predictions, its Jacobian.
        The linear reference is one fit.

    Returns
    -------
    Study
        With ``layer="best"`` a `jne.study.BestLayerStudy`.

    Raises
    ------
    ValueError
        If ``n_seeds`` is above 1 and the study cannot set the encoder's seed.
    BlockingIOError
        If another process is at this study, and not ``wait``.

    Examples
    --------
    >>> import tempfile, jne
    >>> data = jne.load_dataset("synthetic", thin=64, n_train=200, n_validation=50, n_test=50, cache=False)
    >>> options = {"hidden_size": 16, "max_epochs": 5}
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     study = jne.run_study(data, encoder_options=options, folder=folder)
    >>> study.result.sizes["sample"], study.encoder.get_params()["hidden_size"]
    (50, 16)
    """
    check_settings(encoder_options, n_bootstrap, q, max_memory)
    if data.means_best(layer):
        from jne.study.best_layer import run_best_layer  # here, as it runs studies

        return run_best_layer(
            data, seed=seed, encoder=encoder, encoder_options=encoder_options, n_bootstrap=n_bootstrap, q=q,
            max_memory=max_memory, progress=progress, folder=folder, wait=wait, linear=linear,
            n_seeds=n_seeds,
        )  # fmt: skip
    prototype, reference = prototypes(encoder, dict(encoder_options or {}), seed)
    name = layer or data.default_layer or "all layers"
    parameters = study_parameters(data, name, prototype, encoder_options, seed=seed, n_bootstrap=n_bootstrap, q=q)
    root, n_seeds = Path(folder or results_dir() / "studies"), whole_number(n_seeds, "n_seeds", 1)
    starts = each_seed(prototype, parameters, n_seeds)
    homes = [root / hash_parameters(own) for _, own in starts]
    parameters |= {"n_seeds": n_seeds} if n_seeds > 1 else {}
    folder = root / hash_parameters(parameters)
    path = folder / "study.nc"
    with one_at_a_time(path, wait=wait):
        fits = [
            _fitted(start, home, "nonlinear", data, layer, progress)
            for (start, _), home in zip(starts, homes, strict=True)
        ]
        fitted, straight = combined(fits), None
        if linear or path.exists():
            straight = _fitted(reference, homes[0], "linear", data, layer, progress)
        else:
            path = folder / "nonlinear.nc"
        folds = folder / "folds.fits"

        def measure() -> xr.Dataset:
            write_json(parameters, folder / "parameters.json")
            result = measure_study(
                data, fitted, straight, parameters, max_memory=max_memory, progress=progress, folds=folds
            )
            X = data.features("test" if data.folds is None else "all", fitted.layer_)
            return result.merge(measure_seeds(fits, X, seed, max_memory, progress))

        result = kept(path, measure, beside=folds)
    if few := too_few_bootstraps(result["p_value"].values, n_bootstrap, q):
        warnings.warn(few, stacklevel=2)
    return Study(data, fitted, straight, result, folder)


def _fitted(prototype: Encoder, folder: Path, name: str, data: EncodingDataset, layer, progress: bool) -> Encoder:
    """A prototype fitted to a dataset, from its file or written there; until then with checkpoints."""
    checkpoints = folder / f"{name}.fits"

    def fit() -> Encoder:
        _log.info("fitting the %s encoder: %s", name, prototype.describe())
        return prototype.fit(data, layer=layer, progress=progress, folder=checkpoints)

    path = folder / f"{name}.safetensors"
    return kept(path, fit, read=load_encoder, write=lambda encoder, path: encoder.save(path), beside=checkpoints)
