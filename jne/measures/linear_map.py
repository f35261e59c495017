"""The best linear map of the features to predictions, and what is left of them, from as many stimuli as there are."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

# Directions whose variance is smaller than this part of the largest are rounding of float32 features.
_RANK_TOLERANCE = 1e-12
# A stimulus that has a direction of features to itself, or a fold, has no map without it; one less this is rounding.
_ALONE = 1e-9


@dataclass(frozen=True)
class LinearMap:
    """Projection on the linear functions of the features, over ``n_all`` stimuli of which some are test stimuli.

    ``basis`` is ``(n_all, rank)``, orthonormal and without mean in any fold; ``rows`` are the test stimuli's;
    ``leverage (n_test,)`` is how much of a test stimulus' own prediction its linear map takes up; ``alone (n_test,)``
    where that is all of it.
    """

    basis: np.ndarray
    rows: np.ndarray
    leverage: np.ndarray
    folds: np.ndarray

    @property
    def alone(self) -> np.ndarray:
        return self.leverage > 1 - _ALONE

    def rest(self, predictions: np.ndarray) -> np.ndarray:
        """What is left of ``predictions (n_all, n)`` at the test stimuli."""
        centred = centre(predictions, self.folds)
        linear = self.basis @ (self.basis.T @ centred)
        # Once more: the basis is orthonormal up to rounding, and what is left may be small.
        linear += self.basis @ (self.basis.T @ (centred - linear))
        return (centred - linear)[self.rows]


def linear_map(features: np.ndarray, rows: np.ndarray, folds: np.ndarray, n_components: int | None) -> LinearMap:
    """The map on ``features (n_all, n_features)``, z-scored, or on the first principal components of these.

    Each fold has a map of its own, as its predictions are another encoder's. What the linear parts of two such encoders
    differ by is the responses' own noise, which the one saw and the other did not: in a map that they share it would be
    left, and count against the nonlinear part.
    """
    names = np.unique(folds)
    parts = [_orthonormal(features[folds == name], n_components) for name in names]
    basis = np.zeros((len(features), sum(part.shape[1] for part in parts)))
    column = 0
    for name, part in zip(names, parts, strict=True):
        basis[folds == name, column : column + part.shape[1]] = part
        column += part.shape[1]
    counts = np.bincount(folds)[folds]
    return LinearMap(basis, rows, ((basis**2).sum(axis=1) + 1 / counts)[rows], folds)


def _orthonormal(features: np.ndarray, n_components: int | None) -> np.ndarray:
    X = centre(features, np.zeros(len(features), int))
    scale = np.sqrt((X**2).mean(axis=0))
    # A feature that never varies maps nothing; its mean is rounded.
    varies = scale > rounding_of_mean(np.asarray(features, np.float64))
    X = X[:, varies] / scale[varies]
    values, vectors = np.linalg.eigh(X.T @ X)
    values, vectors = values[::-1], vectors[:, ::-1]
    kept = int((values > _RANK_TOLERANCE * values[0]).sum()) if len(values) else 0
    kept = kept if n_components is None else min(kept, n_components)
    return X @ (vectors[:, :kept] / np.sqrt(values[:kept]))


def centre(values: np.ndarray, folds: np.ndarray) -> np.ndarray:
    """``values (n, k)`` less their mean over each fold, float64."""
    out = np.array(values, np.float64)
    for fold in np.unique(folds):
        out[folds == fold] -= out[folds == fold].mean(axis=0)
    return out


def rounding_of_mean(values: np.ndarray) -> np.ndarray:
    """What may be left of constants ``(n, k)`` less their mean, in float64, ``(k,)``."""
    return len(values) * np.finfo(np.float64).eps * np.abs(values).max(axis=0)


def find_rows(features: np.ndarray, all_features: np.ndarray) -> np.ndarray:
    """Where each of ``features (n, d)`` stands among ``all_features (n_all, d)``; -1 where nowhere.

    Rows are equal to the last bit of the less precise of the two, with -0 for 0. Of equal rows the first is found once,
    the second once, and so on.
    """
    dtypes = [array.dtype if array.dtype.kind == "f" else np.dtype(float) for array in (features, all_features)]
    coarse = min(dtypes, key=lambda dtype: dtype.itemsize)
    features, all_features = (array.astype(coarse) + coarse.type(0) for array in (features, all_features))
    places: dict[bytes, list[int]] = {}
    for place, row in enumerate(np.ascontiguousarray(all_features)[::-1]):
        places.setdefault(row.tobytes(), []).append(len(all_features) - 1 - place)
    found = [places.get(row.tobytes()) for row in np.ascontiguousarray(features)]
    return np.array([entry.pop() if entry else -1 for entry in found], int)
