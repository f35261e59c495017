"""`MeanEncoder`: the mean of several fits of one encoder, which differ in their seeds, as one encoder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Self

import numpy as np
import torch
from sklearn.base import clone
from torch import nn

from jne._core import new_session, whole_number
from jne.datasets import Training
from jne.encoders.base import Encoder
from jne.encoders.files import ARRAYS
from jne.encoders.residual import ResidualEncoder
from jne.jacobians import split_last_layer


class MeanNetwork(nn.Module):
    """The mean of M networks that end in linear layers: trunks side by side, one readout over their M x H units.

    Input ``(n_samples, n_features)``, output ``(n_samples, n_voxels)``. The weights of the M readouts stand side by
    side, divided by M; its bias is the mean of theirs.
    """

    def __init__(self, trunks: Sequence[nn.Module], layers: Sequence[nn.Linear]):
        super().__init__()
        self.trunks = nn.ModuleList(trunks)
        weight = torch.cat([layer.weight.detach() for layer in layers], 1) / len(layers)
        biases = [layer.bias.detach() for layer in layers if layer.bias is not None]
        # Without drawing weights: random numbers of the caller's stay as they are.
        self.readout = nn.utils.skip_init(nn.Linear, weight.shape[1], weight.shape[0], bias=bool(biases))
        self.readout.weight = nn.Parameter(weight)
        if biases:
            self.readout.bias = nn.Parameter(torch.stack(biases).sum(0) / len(layers))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.readout(torch.cat([trunk(x) for trunk in self.trunks], 1))


class MeanOutputs(nn.Module):
    """The mean of networks of any form, output by output."""

    def __init__(self, networks: Sequence[nn.Module]):
        super().__init__()
        self.networks = nn.ModuleList(networks)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.stack([network(x) for network in self.networks]).mean(0)


@new_session()
def mean_network(networks: Sequence[nn.Module], n_features: int) -> MeanNetwork | MeanOutputs:
    """The mean of networks ``(n, n_features) -> (n, n_voxels)`` as one, in evaluation mode."""
    probe = torch.randn(4, n_features, generator=torch.Generator().manual_seed(0))
    ends = [split_last_layer(network.eval(), probe) for network in networks]
    split = [end for end in ends if end is not None]
    if len(split) < len(ends):
        return MeanOutputs(networks).eval()
    trunks, layers = zip(*split, strict=True)
    return MeanNetwork(trunks, layers).eval()


class MeanEncoder(Encoder):
    """The mean of several fits of one encoder to the same stimuli, from different random starts.

    Its prediction is the mean prediction, its Jacobian the mean Jacobian. Most of what a fitted network's Jacobian does
    from stimulus to stimulus is what the next fit, from another seed, does not share; it cancels here, and only here:
    the mean of several fits' JNE keeps it.

    The mean of M networks that end in a linear layer is one such network, whose Jacobian takes M times as long.

    Parameters
    ----------
    encoder : Encoder, optional
        What is fitted, with each of the seeds; by default a `jne.ResidualEncoder`.
    seeds : sequence of int
        One fit each.

    Attributes
    ----------
    module_ : torch.nn.Module
        From z-scored features to the mean of the fits' z-scored responses.
    history_ : dict
        ``fits``: the ``history_`` of each.

    Examples
    --------
    >>> import numpy as np, jne
    >>> X = np.random.default_rng(0).normal(size=(600, 4))
    >>> arrays = X[:400], np.abs(X[:400, :2]), X[400:500], np.abs(X[400:500, :2])
    >>> one, other = (jne.ResidualEncoder(32, max_epochs=20, random_state=seed).fit(*arrays) for seed in (0, 1))
    >>> mean = jne.MeanEncoder.of([one, other])
    >>> bool(np.allclose(mean.predict(X), (one.predict(X) + other.predict(X)) / 2, atol=1e-5))
    True
    >>> jne.nonlinearity(mean, X[500:]).path
    'factorised'
    """

    def __init__(self, encoder: Encoder | None = None, seeds: Sequence[int] = (0, 1, 2)):
        self.encoder = encoder
        self.seeds = seeds

    @classmethod
    def of(cls, encoders: Sequence[Encoder]) -> Self:
        """The mean of fitted encoders of one class that differ in nothing but their seed.

        Raises
        ------
        ValueError
            If there are none, or they differ in class, parameters, feature layer, or the scaling of features or
            voxels (they were fitted to other stimuli then).
        """
        fits = list(encoders)
        if not fits:
            raise ValueError("encoders is empty; give one or more fitted encoders")
        for fit in fits[1:]:
            _refuse_other(fits[0], fit)
        seeds = tuple(fit.get_params(deep=False).get("random_state", number) for number, fit in enumerate(fits))
        mean = cls(clone(fits[0]), seeds)
        mean._take(fits)
        mean.layer_ = fits[0].layer_
        return mean

    def single(self, random_state: int | None = None) -> Encoder:
        """An unfitted copy of what is averaged, with a seed; by default the first."""
        return self._prototype().with_seed(self.seeds[0] if random_state is None else random_state)

    def with_seed(self, random_state: int) -> Self:
        """An unfitted copy whose seeds are ``random_state`` and the numbers after it."""
        return clone(self).set_params(seeds=tuple(range(random_state, random_state + len(self.seeds))))

    def initial_module(self, n_features: int, n_voxels: int) -> nn.Module | None:
        starts = [self.single(seed).initial_module(n_features, n_voxels) for seed in self.seeds]
        known = [start for start in starts if start is not None]
        return mean_network(known, n_features) if len(known) == len(starts) else None

    def describe(self) -> str:
        return f"{type(self).__name__}(encoder={self._prototype().describe()}, seeds={tuple(self.seeds)!r})"

    def _prototype(self) -> Encoder:
        return ResidualEncoder() if self.encoder is None else self.encoder

    def _fit(self, arrays: Training, progress: bool, folder: str | Path | None = None) -> None:
        if len(self.seeds) == 0:
            raise ValueError("seeds is empty; give one or more whole numbers")
        seeds = [whole_number(seed, "a seed", 0) for seed in self.seeds]
        self._take([self.single(seed)._fit_arrays(arrays, progress, folder) for seed in seeds])

    def _take(self, fits: Sequence[Encoder]) -> None:
        for name in ARRAYS:
            setattr(self, name, getattr(fits[0], name))
        self.module_ = mean_network([fit.module_ for fit in fits], len(self.x_mean_))
        self.history_ = {"fits": [fit.history_ for fit in fits]}

    def _make_module(self, n_features: int, n_voxels: int) -> nn.Module:
        return mean_network([self._prototype()._make_module(n_features, n_voxels) for _ in self.seeds], n_features)


def _refuse_other(one: Encoder, other: Encoder) -> None:
    """Raise a ValueError where two fitted encoders differ in more than their seed."""
    same = "their mean is that of fits to the same stimuli"
    if type(one) is not type(other):
        raise ValueError(f"encoders: {type(one).__name__} and {type(other).__name__}; {same} by one class")
    if one.with_seed(0).describe() != other.with_seed(0).describe():
        raise ValueError(f"encoders: {one.describe()} and {other.describe()}; {same} that differ in their seed alone")
    if one.layer_ != other.layer_:
        raise ValueError(f"encoders: of feature layers {one.layer_!r} and {other.layer_!r}; {same} and features")
    for name in ("x_mean_", "x_scale_", "y_mean_", "y_scale_"):
        if not np.array_equal(getattr(one, name), getattr(other, name)):
            raise ValueError(f"encoders: they scale features or responses differently ({name}); {same} and voxels")
