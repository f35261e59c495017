"""What every encoder shares: its input, z-scoring, prediction in the caller's units, and files."""

from __future__ import annotations

import abc
import json
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from sklearn.base import BaseEstimator, clone
from sklearn.exceptions import NotFittedError
from tqdm import tqdm

from jne._core import FORMAT_VERSION, as_numbers, atomic_path, plain_file, provenance
from jne.accuracy import r2_score
from jne.datasets import EncodingDataset
from jne.encoders.training import Training, check_training, leave_out, training_arrays

_CLASSES: dict[str, type[Encoder]] = {}


class Encoder(BaseEstimator, abc.ABC):
    """Base of the encoders, and of your own: a scikit-learn estimator around a torch module.

    A subclass stores the arguments of its ``__init__`` under their own names, unchanged, and defines

    - ``_fit(arrays, progress)``, which calls ``self._fit_scaling(X, Y)`` with the stimuli it trains on and sets
      ``module_``, fitted to ``scale_features(X)`` and ``scale_responses(Y)``; the arrays are checked before;
    - ``_make_module(n_features, n_voxels)``, a new module of the same shape, which a file's weights are put into.

    That is all that `fit`, ``sklearn.base.clone``, `save`, `load_encoder`, `jne.nonlinearity`,
    `jne.crossfit_nonlinearity` and `jne.run_study` need. For a fit that starts from random weights there are two
    things more: a parameter ``random_state``, and `initial_module`. To be saved, parameters are numbers, texts, truth
    values, None, or sequences of them; a file names the class, which must be defined before the file is loaded.

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
        known = _CLASSES.get(cls.__name__, cls)
        if known.__module__ != cls.__module__:
            raise TypeError(
                f"{known.__module__} has an encoder class {cls.__name__} already, and files name their class; "
                "give this one another name"
            )
        _CLASSES[cls.__name__] = cls

    @abc.abstractmethod
    def _fit(self, arrays: Training, progress: bool) -> None:
        """Call `_fit_scaling` and set ``module_``; torch's gradients are on."""

    @abc.abstractmethod
    def _make_module(self, n_features: int, n_voxels: int) -> torch.nn.Module:
        """A new module with this encoder's parameters, whatever its weights."""

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
        if isinstance(data, EncodingDataset):
            self.layer_ = layer or data.default_layer
            return self._fit_arrays(training_arrays(data, layer), progress)
        if Y is None or X_val is None or Y_val is None:
            raise ValueError("fit takes a dataset, or the four arrays X, Y, X_val and Y_val")
        self.layer_ = None
        given = {"X": data, "Y": Y, "X_val": X_val, "Y_val": Y_val}
        arrays = Training(*(as_numbers(array, name, np.float32) for name, array in given.items()))
        return self._fit_arrays(arrays, progress)

    @torch.inference_mode(False)  # switches gradients on, whatever the caller has set
    def _fit_arrays(self, arrays: Training, progress: bool) -> Self:
        check_training(arrays)
        self.history_ = {}
        self._fit(arrays, progress)
        if unset := [name for name in ("module_", *_ARRAYS) if not hasattr(self, name)]:
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
        device = next(self.module_.parameters(), Z).device
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
            predictions[tested] = clone(self)._fit_arrays(arrays, progress=False).predict(X[tested])
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
        self._check_fitted()
        tensors = {f"module.{name}": value.contiguous().cpu() for name, value in self.module_.state_dict().items()}
        for name in _ARRAYS:
            tensors[name] = torch.from_numpy(np.ascontiguousarray(getattr(self, name)))
        header = {
            "class": type(self).__name__,
            "parameters": self.get_params(deep=False),
            "layer": self.layer_,
            "history": self.history_,
            **provenance(),
        }
        text = json.dumps(header, default=_plain)
        size = len(text) + sum(value.nbytes for value in tensors.values())
        with atomic_path(path, size) as part:
            save_file(tensors, part, metadata={"jne": text})
        return Path(path)

    @classmethod
    def load(cls, path: str | Path) -> Encoder:
        """Read an encoder written by `save`, onto the CPU."""
        encoder = load_encoder(path)
        if not isinstance(encoder, cls):
            raise ValueError(f"{path} holds a {type(encoder).__name__}, not a {cls.__name__}; use jne.load_encoder")
        return encoder

    def describe(self) -> str:
        """Class and all parameters, what a result says of its encoder; ``repr`` shows those that are not defaults."""
        parameters = self.get_params(deep=False)
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in parameters.items())})"

    def _check_fitted(self) -> None:
        if not hasattr(self, "x_mean_"):
            raise NotFittedError(f"this {type(self).__name__} is not fitted; call fit first")


_ARRAYS = ("x_mean_", "x_scale_", "y_mean_", "y_scale_", "covariance_")


def _plain(value: Any) -> Any:
    """Numbers and arrays of NumPy as JSON has them."""
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    raise TypeError(
        f"{value!r}, in a parameter or in history_, cannot be saved; give numbers, texts or sequences of them"
    )


def load_encoder(path: str | Path) -> Encoder:
    """Read an encoder of any class from its safetensors file.

    Raises
    ------
    ValueError
        If the file is damaged, is no encoder, comes from a newer version, or holds an encoder of a class of your own
        that is not defined yet.

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
        with safe_open(str(plain_file(path, "encoder")), framework="pt") as file:
            header = json.loads((file.metadata() or {}).get("jne", "null"))
            tensors = {name: file.get_tensor(name) for name in file.keys()}
    except SafetensorError as error:
        raise ValueError(f"{path} is not a readable safetensors file: {error}") from error
    if not header or "class" not in header:
        raise ValueError(f"{path} is a safetensors file, but not one written by an encoder of jne")
    if header["format_version"] > FORMAT_VERSION:
        raise ValueError(f"{path} has format_version {header['format_version']}; update jne to read it")
    if header["class"] not in _CLASSES:
        raise ValueError(f"{path} holds a {header['class']}; define that class, or import its module, and load again")
    # JSON has no tuples, which sequences among parameters are by default.
    parameters = {k: tuple(v) if isinstance(v, list) else v for k, v in header["parameters"].items()}
    encoder = _CLASSES[header["class"]](**parameters)
    encoder.layer_, encoder.history_ = header["layer"], header["history"]
    for name in _ARRAYS:
        setattr(encoder, name, tensors.pop(name).numpy())
    encoder.module_ = encoder._make_module(len(encoder.x_mean_), len(encoder.y_mean_))
    encoder.module_.load_state_dict({name.removeprefix("module."): value for name, value in tensors.items()})
    encoder.module_.eval()
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
