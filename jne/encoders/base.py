"""The contract of an encoder: what it is fitted to, z-scoring, and prediction in the caller's units."""

from __future__ import annotations

import abc
import inspect
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from sklearn.base import BaseEstimator, clone
from sklearn.utils.validation import check_is_fitted
from tqdm import tqdm

from jne._core import as_numbers, memory_told, moments, new_session, plain, second_moment
from jne.accuracy import r2_score
from jne.datasets import EncodingDataset, Training, check_training, leave_out, training_arrays
from jne.encoders.files import ARRAYS, load_encoder, register, save_encoder


class Encoder(BaseEstimator, abc.ABC):
    """Base of the encoders, and of your own: a scikit-learn estimator around a torch module.

    A subclass stores the arguments of its ``__init__`` under their own names, unchanged, and defines

    - ``_fit(arrays, progress)``, which calls ``self._fit_scaling(X, Y)`` with the stimuli it trains on and sets
      ``module_``, fitted to ``scale_features(X)`` and ``scale_responses(Y)``; the arrays are checked before;
    - ``_make_module(n_features, n_voxels)``, a new module of the same shape, which a file's weights are put into.

    That is all that `fit`, ``sklearn.base.clone``, `save`, `load_encoder`, `jne.nonlinearity`,
    `jne.crossfit_nonlinearity` and `jne.run_study` need. For a fit that starts from random weights there are two
    things more: a parameter ``random_state``, and `initial_module`. To be saved, parameters are numbers, texts, truth
    values, None, sequences of them, or unfitted encoders; a file names the class, which must be defined before the
    file is loaded.

    Attributes
    ----------
    module_ : torch.nn.Module
        From z-scored features ``(n_samples, n_features)`` to z-scored responses ``(n_samples, n_voxels)``.
    x_mean_, x_scale_, y_mean_, y_scale_ : array ``(n_features,)`` and ``(n_voxels,)``
        What z-scores features and responses.
    covariance_ : array
        Covariance of the z-scored training features, or a factor F of it (``F @ F.T``) where that is smaller.
    layer_ : str or None
        Feature layer of the dataset.
    history_ : dict
        How training went, in whatever JSON can hold; empty if `_fit` sets none.
    """

    module_: torch.nn.Module
    x_mean_: np.ndarray
    x_scale_: np.ndarray
    y_mean_: np.ndarray
    y_scale_: np.ndarray
    covariance_: np.ndarray
    layer_: str | None
    history_: dict[str, Any]
    standardize: bool = True

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        register(cls)

    @abc.abstractmethod
    def _fit(self, arrays: Training, progress: bool) -> None:
        """Call `_fit_scaling` and set ``module_``; torch's gradients are on."""

    @abc.abstractmethod
    def _make_module(self, n_features: int, n_voxels: int) -> torch.nn.Module:
        """A new module with this encoder's parameters, whatever its weights."""

    @memory_told("fit")
    def fit(
        self,
        data: EncodingDataset | Training | np.ndarray,
        Y: np.ndarray | None = None,
        X_val: np.ndarray | None = None,
        Y_val: np.ndarray | None = None,
        *,
        layer: str | None = None,
        progress: bool = False,
        folder: str | Path | None = None,
    ) -> Self:
        """Fit to a dataset's training and validation stimuli, or to four arrays.

        Parameters
        ----------
        data : EncodingDataset, jne.datasets.Training or array ``(n_samples, n_features)``
        Y : array ``(n_samples, n_voxels)``, optional
        X_val, Y_val : arrays of the validation stimuli, optional
            ``Y``, ``X_val`` and ``Y_val`` are needed with arrays. What validation is for, the class says.
        layer : str, optional
            Feature layer of the dataset; by default its own default.
        progress : bool
            Show a progress bar, where there is one.
        folder : path, optional
            Of a fit of more than half a minute, keep a checkpoint there: the same fit, to the same arrays, goes on from
            it, and on the same machine ends with the same weights to the last bit. A checkpoint that is damaged is
            named in a warning, and the fit starts again. It stays when the fit is done, for a caller that is stopped
            before the encoder is saved; remove the folder then. Of the encoders of this package,
            `jne.ResidualEncoder` writes one.

        Returns
        -------
        Encoder
            Itself.

        Raises
        ------
        ValueError
            If shapes disagree, a value is not finite, or a voxel's training response is constant.
        """
        if isinstance(data, EncodingDataset):
            self.layer_ = layer or data.default_layer
            return self._fit_arrays(training_arrays(data, layer), progress, folder)
        if isinstance(data, Training):
            self.layer_ = None
            return self._fit_arrays(data, progress, folder)
        if Y is None or X_val is None or Y_val is None:
            raise ValueError("fit takes a dataset, or the four arrays X, Y, X_val and Y_val")
        self.layer_ = None
        given = {"X": data, "Y": Y, "X_val": X_val, "Y_val": Y_val}
        arrays = Training(*(as_numbers(array, name, np.float32) for name, array in given.items()))
        return self._fit_arrays(arrays, progress, folder)

    @torch.inference_mode(False)  # switches gradients on, whatever the caller has set
    @new_session()
    def _fit_arrays(self, arrays: Training, progress: bool, folder: str | Path | None = None) -> Self:
        check_training(arrays)
        self.history_ = {}
        resumes = "folder" in inspect.signature(self._fit).parameters
        self._fit(arrays, progress, **({"folder": folder} if resumes else {}))
        if unset := [name for name in ("module_", *ARRAYS) if not hasattr(self, name)]:
            raise TypeError(
                f"{type(self).__name__}._fit left {', '.join(unset)} unset; let it call self._fit_scaling(X, Y) and "
                "set self.module_"
            )
        self.module_.eval()
        return self

    def with_seed(self, random_state: int) -> Self:
        """An unfitted copy with these parameters and another seed; without a ``random_state``, a mere copy."""
        copy = clone(self)
        return copy.set_params(random_state=random_state) if "random_state" in self.get_params(deep=False) else copy

    def initial_module(self, n_features: int, n_voxels: int) -> torch.nn.Module | None:
        """The module with the random weights that fitting starts from; None where it does not start from any.

        `jne.crossfit_nonlinearity` compares those of two encoders, which must not be the same.
        """
        return None

    def _fit_scaling(self, X: np.ndarray, Y: np.ndarray) -> None:
        self.x_mean_, self.x_scale_ = moments(X, self.standardize)
        self.y_mean_, self.y_scale_ = moments(Y, self.standardize)
        self.covariance_ = second_moment(self.scale_features(X))

    def scale_features(self, X: np.ndarray) -> np.ndarray:
        """z-score features ``(n_samples, n_features)`` with the training statistics."""
        check_is_fitted(self, "x_mean_")
        X = as_numbers(X, "X", np.float32)
        if X.ndim != 2 or X.shape[1] != len(self.x_mean_):
            raise ValueError(f"X has shape {X.shape}; this encoder was fitted to (n_samples, {len(self.x_mean_)})")
        return (X - self.x_mean_) / self.x_scale_

    def scale_responses(self, Y: np.ndarray) -> np.ndarray:
        """z-score responses ``(n_samples, n_voxels)`` with the training statistics."""
        return (as_numbers(Y, "Y", np.float32) - self.y_mean_) / self.y_scale_

    @torch.no_grad()
    @new_session()
    def predict(self, X: np.ndarray, *, batch_size: int = 1024) -> np.ndarray:
        """Predicted responses ``(n_samples, n_voxels)``, in the units of the training responses.

        Parameters
        ----------
        X : array ``(n_samples, n_features)``
            In the units of the training features.
        batch_size : int
            Samples per step; it bounds memory and does not change the result.
        """
        Z = torch.from_numpy(self.scale_features(X))
        device = next(self.module_.parameters(), Z).device
        blocks = [self.module_(block.to(device)).cpu().numpy() for block in Z.split(batch_size)]
        return np.concatenate(blocks) * self.y_scale_ + self.y_mean_

    def cross_predict(
        self,
        data: EncodingDataset,
        *,
        layer: str | None = None,
        progress: bool = False,
        folder: str | Path | None = None,
    ) -> np.ndarray:
        """Predictions of every stimulus by an encoder that saw nothing of the stimulus's fold, pooled over folds.

        For each fold, a fresh encoder with these parameters is fitted to the other folds; where it stops early, the
        next fold is its validation set. This encoder itself is left as it is.

        Parameters
        ----------
        data : EncodingDataset
            With ``fold (stimulus)``.
        layer : str, optional
        progress : bool
            Show a progress bar over folds.
        folder : path, optional
            Where fits keep their checkpoints, as in `fit`.

        Returns
        -------
        array ``(n_stimuli, n_voxels)``
            In the units of the responses.
        """
        if data.folds is None:
            raise ValueError(f"{data.name} has a split and no folds; use fit and predict, or score")
        X, Y, folds = data.features("all", layer), data.responses("all"), data.folds
        labels = np.unique(folds)
        predictions = np.empty_like(Y)
        bar = tqdm(range(len(labels)), desc="cross-validate", unit="fold", disable=None if progress else True)
        for number in bar:
            tested = folds == labels[number]
            arrays = leave_out(X[~tested], Y[~tested], folds[~tested], validation=labels[(number + 1) % len(labels)])
            predictions[tested] = clone(self)._fit_arrays(arrays, False, folder).predict(X[tested])
        return predictions

    def score(self, data: EncodingDataset | np.ndarray, Y: np.ndarray | None = None) -> np.ndarray:
        """R² per voxel ``(n_voxels,)`` on a dataset's test stimuli, or on arrays ``X, Y``."""
        if isinstance(data, EncodingDataset):
            return r2_score(data.responses("test"), self.predict(data.features("test", self.layer_)))
        if Y is None:
            raise ValueError("score takes a dataset, or the two arrays X and Y")
        return r2_score(as_numbers(Y, "Y"), self.predict(data))

    def save(self, path: str | Path) -> Path:
        """Write the encoder to one safetensors file: weights, scaling, parameters and training curves; no pickle."""
        check_is_fitted(self, "x_mean_")
        return save_encoder(self, path)

    @classmethod
    def load(cls, path: str | Path) -> Encoder:
        """Read an encoder written by `save`, onto the CPU."""
        encoder = load_encoder(path)
        if not isinstance(encoder, cls):
            raise ValueError(f"{path} holds a {type(encoder).__name__}, not a {cls.__name__}; use jne.load_encoder")
        return encoder

    def describe(self) -> str:
        """Class and all parameters, what a result says of its encoder; ``repr`` shows those that are not defaults."""
        parameters = plain(self.get_params(deep=False))
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in parameters.items())})"
