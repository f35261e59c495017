"""What every encoder shares: its input, z-scoring, prediction in the caller's units, and files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Self

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from tqdm import tqdm

from jne._core import FORMAT_VERSION, as_numbers, atomic_path, provenance
from jne.accuracy import r2_score
from jne.datasets import EncodingDataset
from jne.encoders.training import Training, leave_out, training_arrays

_CLASSES: dict[str, type[Encoder]] = {}


class Encoder:
    """Base of the encoders; a subclass sets ``module_`` in `_fit` and lists its parameters in ``__init__``.

    After ``fit``: ``module_`` is the torch module from z-scored features to z-scored responses, ``covariance_`` the
    covariance of the z-scored training features (or a factor F of it, with ``F @ F.T``, where that is smaller), and
    ``layer_`` the feature layer used.
    """

    parameters: tuple[str, ...] = ()
    standardize = True

    def __init_subclass__(cls) -> None:
        _CLASSES[cls.__name__] = cls

    def get_params(self) -> dict:
        """The parameters, as given."""
        return {name: getattr(self, name) for name in self.parameters}

    def fit(
        self,
        data: EncodingDataset | np.ndarray,
        Y: np.ndarray | None = None,
        X_val: np.ndarray | None = None,
        Y_val: np.ndarray | None = None,
        *,
        layer: str | None = None,
        progress: bool = False,
    ) -> Self:
        """Fit to a dataset's training and validation stimuli, or to four arrays.

        Parameters
        ----------
        data : EncodingDataset or array ``(n_samples, n_features)``
        Y : array ``(n_samples, n_voxels)``, optional
        X_val, Y_val : arrays of the validation stimuli, optional
            ``Y``, ``X_val`` and ``Y_val`` are needed with arrays. What validation is for, the class says.
        layer : str, optional
            Feature layer of the dataset; by default its own default.
        progress : bool
            Show a progress bar, where there is one.

        Returns
        -------
        Encoder
            Itself.

        Raises
        ------
        ValueError
            If shapes disagree, a value is not finite, or a voxel's training response is constant.
        """
        self._fit(self._training(data, Y, X_val, Y_val, layer), progress)
        return self

    def _training(self, data, Y, X_val, Y_val, layer) -> Training:
        if isinstance(data, EncodingDataset):
            self.layer_ = layer or data.default_layer
            arrays = training_arrays(data, layer)
        else:
            self.layer_ = None
            if any(array is None for array in (Y, X_val, Y_val)):
                raise ValueError("fit takes a dataset, or the four arrays X, Y, X_val and Y_val")
            given = {"X": data, "Y": Y, "X_val": X_val, "Y_val": Y_val}
            arrays = Training(*(as_numbers(array, name, np.float32) for name, array in given.items()))
        return arrays

    def initial_module(self, n_features: int, n_voxels: int) -> torch.nn.Module | None:
        """The module with the random weights that fitting starts from; None where it does not start from any.

        `jne.crossfit_nonlinearity` compares those of two encoders, which must not be the same.
        """
        return None

    def _fit(self, arrays: Training, progress: bool) -> None:
        raise TypeError(f"{type(self).__name__} must define _fit")

    def _fit_scaling(self, X: np.ndarray, Y: np.ndarray) -> None:
        self.x_mean_, self.x_scale_ = moments(X, self.standardize)
        self.y_mean_, self.y_scale_ = moments(Y, self.standardize)
        self.covariance_ = second_moment(self.scale_features(X))

    def scale_features(self, X: np.ndarray) -> np.ndarray:
        """z-score features ``(n_samples, n_features)`` with the training statistics."""
        self._check_fitted()
        X = as_numbers(X, "X", np.float32)
        if X.ndim != 2 or X.shape[1] != len(self.x_mean_):
            raise ValueError(f"X has shape {X.shape}; this encoder was fitted to (n_samples, {len(self.x_mean_)})")
        return (X - self.x_mean_) / self.x_scale_

    def scale_responses(self, Y: np.ndarray) -> np.ndarray:
        """z-score responses ``(n_samples, n_voxels)`` with the training statistics."""
        return (as_numbers(Y, "Y", np.float32) - self.y_mean_) / self.y_scale_

    @torch.no_grad()
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
        device = next(self.module_.parameters()).device
        blocks = [self.module_(block.to(device)).cpu().numpy() for block in Z.split(batch_size)]
        return np.concatenate(blocks) * self.y_scale_ + self.y_mean_

    def cross_predict(self, data: EncodingDataset, *, layer: str | None = None, progress: bool = False) -> np.ndarray:
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
            encoder = type(self)(**self.get_params())
            encoder._fit(arrays, progress=False)
            predictions[tested] = encoder.predict(X[tested])
        return predictions

    def score(self, data: EncodingDataset | np.ndarray, Y: np.ndarray | None = None) -> np.ndarray:
        """R² per voxel ``(n_voxels,)`` on a dataset's test stimuli, or on arrays ``X, Y``."""
        if isinstance(data, EncodingDataset):
            data, Y = data.features("test", self.layer_), data.responses("test")
        if Y is None:
            raise ValueError("score takes a dataset, or the two arrays X and Y")
        return r2_score(as_numbers(Y, "Y"), self.predict(data))

    def save(self, path: str | Path) -> Path:
        """Write the encoder to one safetensors file: weights, scaling, parameters and training curves; no pickle."""
        self._check_fitted()
        tensors = {f"module.{name}": value.contiguous().cpu() for name, value in self.module_.state_dict().items()}
        for name in _ARRAYS:
            tensors[name] = torch.from_numpy(np.ascontiguousarray(getattr(self, name)))
        header = {
            "class": type(self).__name__,
            "parameters": self.get_params(),
            "layer": self.layer_,
            "history": self.history_,
            **provenance(),
        }
        with atomic_path(path) as part:
            save_file(tensors, part, metadata={"jne": json.dumps(header)})
        return Path(path)

    @classmethod
    def load(cls, path: str | Path) -> Encoder:
        """Read an encoder written by `save`, onto the CPU."""
        encoder = load_encoder(path)
        if not isinstance(encoder, cls):
            raise ValueError(f"{path} holds a {type(encoder).__name__}, not a {cls.__name__}; use jne.load_encoder")
        return encoder

    def _check_fitted(self) -> None:
        if not hasattr(self, "x_mean_"):
            raise ValueError(f"this {type(self).__name__} is not fitted; call fit first")

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{k}={v!r}' for k, v in self.get_params().items())})"


_ARRAYS = ("x_mean_", "x_scale_", "y_mean_", "y_scale_", "covariance_")


def load_encoder(path: str | Path) -> Encoder:
    """Read an encoder of any class from its safetensors file.

    Raises
    ------
    ValueError
        If the file is damaged, is no encoder, or comes from a newer version.

    Examples
    --------
    >>> import tempfile, numpy as np, jne
    >>> X = np.random.default_rng(0).normal(size=(100, 4))
    >>> encoder = jne.RidgeEncoder().fit(X[:80], X[:80, :2], X[80:], X[80:, :2])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     again = jne.load_encoder(encoder.save(f"{folder}/ridge.safetensors"))
    >>> bool((again.predict(X) == encoder.predict(X)).all())
    True
    """
    try:
        with safe_open(str(path), framework="pt") as file:
            header = json.loads((file.metadata() or {}).get("jne", "null"))
            tensors = {name: file.get_tensor(name) for name in file.keys()}
    except SafetensorError as error:
        raise ValueError(f"{path} is not a readable safetensors file: {error}") from error
    if header is None or header.get("class") not in _CLASSES:
        raise ValueError(f"{path} is a safetensors file, but not one written by an encoder of jne")
    if header["format_version"] > FORMAT_VERSION:
        raise ValueError(f"{path} has format_version {header['format_version']}; update jne to read it")
    encoder = _CLASSES[header["class"]](**header["parameters"])
    encoder.layer_, encoder.history_ = header["layer"], header["history"]
    for name in _ARRAYS:
        setattr(encoder, name, tensors.pop(name).numpy())
    encoder.module_ = encoder._make_module(len(encoder.x_mean_), len(encoder.y_mean_))
    encoder.module_.load_state_dict({name.removeprefix("module."): value for name, value in tensors.items()})
    return encoder


def second_moment(Z: np.ndarray) -> np.ndarray:
    """Covariance of z-scored features ``(n_samples, n_features)``, or a factor F of it where that is smaller."""
    n_samples, n_features = Z.shape
    return Z.T @ Z / n_samples if n_samples >= n_features else Z.T / np.sqrt(n_samples, dtype=np.float32)


def moments(values: np.ndarray, standardize: bool = True) -> tuple[np.ndarray, np.ndarray]:
    """Mean and scale that z-score ``values (n_samples, n)``, float32; 0 and 1 without ``standardize``."""
    if not standardize:
        return np.zeros(values.shape[1], np.float32), np.ones(values.shape[1], np.float32)
    scale = values.std(axis=0, dtype=np.float64)
    # A feature that never varies in training carries nothing: it stays at zero instead of dividing by zero.
    scale[np.ptp(values, axis=0) == 0] = 1
    return values.mean(axis=0, dtype=np.float64).astype(np.float32), scale.astype(np.float32)
