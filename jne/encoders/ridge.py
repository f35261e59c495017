"""`RidgeEncoder`: linear regression with one regularisation per voxel, the field's baseline."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from sklearn.model_selection import KFold, PredefinedSplit
from torch import nn

from jne._core import real_number, truth_value, whole_number
from jne.datasets import Training
from jne.encoders.base import Encoder

ALPHAS = tuple(10.0**exponent for exponent in range(-1, 7))


class RidgeEncoder(Encoder):
    """Ridge regression whose regularisation is chosen for each voxel by cross-validation (himalaya's ``RidgeCV``).

    It has no early stopping, so training and validation stimuli together are its training set; the cross-validation
    runs inside them.

    Parameters
    ----------
    alphas : sequence of float
        Regularisations to choose from, relative to z-scored features; by default powers of ten from 0.1 to a million.
    cv : int
        Folds of the cross-validation, over shuffled stimuli; a dataset that has folds of its own keeps them.
    standardize : bool
        z-score features and responses with training statistics; `predict` still speaks the caller's units.
    n_targets_batch : int, optional
        Voxels per step; bounds memory, does not change the result.
    random_state : int
        Seeds the shuffling.

    Attributes
    ----------
    module_ : torch.nn.Linear
        From z-scored features to z-scored responses.
    history_ : dict
        ``alpha``: the chosen regularisation of each voxel; ``cv_loss``: its cross-validated mean
        squared error in z-scores.

    Examples
    --------
    >>> import numpy as np, jne
    >>> X = np.random.default_rng(0).normal(size=(600, 4))
    >>> Y = np.stack([X[:, 0], np.abs(X[:, 1])], axis=1)  # one linear response, and one without a linear part
    >>> encoder = jne.RidgeEncoder().fit(X[:400], Y[:400], X[400:500], Y[400:500])
    >>> r2 = encoder.score(X[500:], Y[500:])
    >>> bool(r2[0] > 0.99), bool(r2[1] < 0.1)
    (True, True)
    """

    def __init__(
        self,
        alphas: Sequence[float] = ALPHAS,
        cv: int = 5,
        standardize: bool = True,
        n_targets_batch: int | None = 5000,
        random_state: int = 0,
    ):
        self.alphas = alphas
        self.cv = cv
        self.standardize = standardize
        self.n_targets_batch = n_targets_batch
        self.random_state = random_state
        self._check_parameters()

    def _check_parameters(self) -> None:
        if np.ndim(self.alphas) != 1 or len(self.alphas) == 0:
            raise ValueError(f"alphas={self.alphas!r}; needed: one or more positive numbers")
        for alpha in self.alphas:
            real_number(alpha, "one of alphas", above=0)
        truth_value(self.standardize, "standardize")
        whole_number(self.cv, "cv", 2)
        whole_number(self.random_state, "random_state", 0)
        if self.n_targets_batch is not None:
            whole_number(self.n_targets_batch, "n_targets_batch", 1)

    def _make_module(self, n_features: int, n_voxels: int) -> nn.Linear:
        return nn.Linear(n_features, n_voxels, bias=False)

    def _fit(self, arrays: Training, progress: bool) -> None:
        # Here, as other encoders do without himalaya.
        from himalaya.kernel_ridge import KernelRidgeCV
        from himalaya.ridge import RidgeCV

        self._check_parameters()  # again, as set_params may have changed them
        X, Y = np.concatenate([arrays.X, arrays.X_val]), np.concatenate([arrays.Y, arrays.Y_val])
        self._fit_scaling(X, Y)
        folds = self._inner_folds(arrays)
        solver = {"n_targets_batch": self.n_targets_batch}
        Z = self.scale_features(X)
        if len(Z) < Z.shape[1]:
            # The same regression through its kernel, which is as large as the number of stimuli, not of features.
            model = KernelRidgeCV(alphas=self.alphas, kernel="linear", cv=folds, solver_params=solver)
            coefficients = model.fit(Z, self.scale_responses(Y)).get_primal_coef()
        else:
            model = RidgeCV(alphas=self.alphas, cv=folds, solver_params=solver)
            coefficients = model.fit(Z, self.scale_responses(Y)).coef_
        self.module_ = self._make_module(X.shape[1], Y.shape[1])
        with torch.no_grad():
            self.module_.weight.copy_(torch.from_numpy(np.ascontiguousarray(coefficients.T)))
        self.history_ = {"alpha": model.best_alphas_.tolist(), "cv_loss": (-model.cv_scores_).tolist()}

    def _inner_folds(self, arrays: Training) -> KFold | PredefinedSplit:
        if arrays.groups is None:
            return KFold(self.cv, shuffle=True, random_state=self.random_state)
        # A dataset's own folds keep what belongs together apart from the rest here too; validation is one more fold.
        codes = np.unique(arrays.groups, return_inverse=True)[1]
        return PredefinedSplit(np.concatenate([codes, np.full(len(arrays.X_val), codes.max() + 1)]))
