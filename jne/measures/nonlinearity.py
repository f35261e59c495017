"""How nonlinear each response is: JNE and JNE-SS as published, and measures free of scale."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace

import numpy as np
import torch
import xarray as xr
from numpy.typing import ArrayLike
from tqdm import tqdm

from jne._core import Budget, check_card, matrix_precision, memory_told, parse_bytes, provenance, whole_number
from jne.jacobians.engine import Model, Problem, Readout, choose_readout, differentiate, make_trunk, prepare
from jne.measures.covariance import Covariance, covariance_factor
from jne.measures.deviations import Block, Work, by_columns, by_rows
from jne.measures.factorised import factorised
from jne.measures.factorised_zscored import factorised_zscored
from jne.measures.passes import Passes
from jne.measures.readings import NORMS, Reading
from jne.measures.registry import REGISTRY, known_measure
from jne.measures.sample_statistics import collect, resamples, statistics_budget

_BY_FEATURE = ("mean_jacobian", "feature_variance")
_ERRORS = {"se": "bootstrap standard error", "low": "lower 95 % bound", "high": "upper 95 % bound"}


@memory_told("nonlinearity")
@torch.inference_mode(False)
def nonlinearity(
    model: Model,
    X: ArrayLike | torch.Tensor,
    *,
    norm: str = "l1",
    zscore_jacobian: bool = False,
    covariance: Covariance = None,
    readout: str | bool | Readout = "auto",
    device: str = "auto",
    precision: str = "float32",
    max_memory: int | str = "2GB",
    n_voxels_batch: int | None = None,
    n_bootstrap: int = 0,
    return_samples: bool = True,
    progress: bool = False,
    random_state: int = 0,
    mean_jacobian: bool = False,
    feature_variance: bool = False,
) -> xr.Dataset:
    """Measure how much the Jacobian of every response changes from sample to sample.

    With ``J[n, v, d] = d y_v / d x_d`` at sample n, ``Jbar = mean_n J`` and ``delta[n, v] = sum_d |J - Jbar|``:
    ``jne`` is the population standard deviation of delta over samples and ``jne_ss[n, v]`` the squared difference of
    ``delta[n, v]`` from its mean, so that ``jne**2 = mean_n jne_ss`` (both as published [1]_). ``mean_deviation`` is
    the mean of delta, ``gain`` is ``sum_d |Jbar|`` and ``relative`` their ratio. ``nonlinear_share`` is
    ``(Q/2) / (Q/2 + Q0)`` with ``Q = mean_n ||J - Jbar||²`` and ``Q0 = ||Jbar||²``, norms in the metric of the feature
    covariance; for Gaussian features it bounds from above the share of the *model's* variance that no linear map gives.

    The full Jacobian never exists. A model that ends in a linear layer costs little more than one product of that
    layer's weight with the Jacobian of what is before it; any other is differentiated in forward or reverse mode,
    whichever needs fewer passes.

    Parameters
    ----------
    model : encoder, torch.nn.Module or function
        A fitted encoder (then results are in z-scored response units per z-scored feature unit), or anything
        differentiable by torch from a batch ``(n, ...)`` to ``(n, n_voxels)`` or ``(n,)``, each sample on its own.
    X : array or tensor
        ``(n_samples, ...)``, at least three samples (of two, both deviate alike and every JNE is 0), in the units the
        model takes; held-out stimuli as a rule.
    norm : {"l1", "l2"}
        Of the deviation: "l1" as published, or the root of the sum of squares in its place. ``gain`` takes the same.
    zscore_jacobian : bool
        Whether every row ``J[n, v, :]`` is z-scored over features first (population standard deviation), as two of the
        paper's four variants are [1]_: ``Jbar`` is then the mean of the z-scored rows, and measures have no unit. A row
        that is constant has no z-scores: its voxel is NaN. The product of a readout is taken twice. ``nonlinear_share``
        follows neither argument.
    covariance : array, False or None
        Feature covariance ``(n_features, n_features)``, or a factor F of it, ``(n_features, rank)`` with
        ``Sigma = F @ F.T`` (a square array is a covariance). None: that of the training features an encoder
        remembers, else that of X. False: no share.
    readout : {"auto", True, False} or (torch.nn.Module, array)
        Whether to use the linear layer a module ends in: ``"auto"`` where there is one and it saves passes, True
        always, False never; or the trunk and the weight ``(n_voxels, n_hidden)`` themselves.
    device : str
        ``"auto"`` (CUDA, else CPU; a plain function stays where X is) or a torch device.
    precision : {"float32", "tf32", "float64"}
        float32 is exact to about 1e-5, tf32 (CUDA only; elsewhere it is float32) to about 1e-3.
    max_memory : int or str
        Bytes to work in, or text such as ``"2GB"``, beside the model, the samples and the results.
    n_voxels_batch : int, optional
        Voxels treated at a time; by default what is quickest. It does not change the answer.
    n_bootstrap : int
        Bootstraps over samples, with Jbar fixed, for the errors of ``jne`` and ``mean_deviation``; 0 for none. What a
        Jbar of few samples takes from all deviations is put back in the errors (a factor sqrt(N / (N - 1)), twice for
        ``jne``), and the bounds are ``exp(+-t se / estimate)`` times the estimate, with t of Student's distribution
        with N - 1 degrees of freedom: they speak of a population of samples. Other samples would change Jbar, too.
        That hardly matters where many units drive a voxel. Of a unit that is rarely active, the error of the mean
        deviation is half of what it should be, and the 95 % interval holds the truth in two of three cases, whatever N.
    return_samples : bool
        Whether to return ``jne_ss`` and ``deviation_sign``.
    progress : bool
        Whether to show a progress bar on stderr. Where it takes more than ten seconds, it is told how many passes
        through the network there will be, how long one takes and all, and they have a bar of their own; and before
        it that the model is tried, where its first answers take more than two seconds.
    random_state : int
        Seed of the bootstrap.
    mean_jacobian, feature_variance : bool
        Whether to return, for every voxel and feature, the mean slope and the variance of the slope over samples (not
        of z-scored rows). The variance is largest along the features that a nonlinearity reads, where the mean slope is
        largest along those that the linear part does. It takes about as long as the deviations, and a voxel and feature
        12 bytes to work in.

    Returns
    -------
    xarray.Dataset
        Over ``voxel``, float64: ``jne``, ``mean_deviation``, ``gain``, ``relative``, ``nonlinear_share`` (0/0 is NaN)
        and, with bootstraps, ``jne_se``, ``jne_low``, ``jne_high`` and the same of ``mean_deviation`` (standard error
        and bounds of the 95 % interval). Over ``(sample, voxel)``: ``jne_ss``, in the working precision, and
        ``deviation_sign``, 1 where delta is above its mean and -1 where below (JNE-SS squares it away), 0 at NaN. Over
        ``(voxel, feature)``, on request and in the working precision: ``mean_jacobian`` and ``feature_variance``.
        The attributes hold every parameter, the way taken (``path`` factorised or general, ``differentiation``),
        units and versions.

    Raises
    ------
    ValueError
        If an argument is unusable, X is not finite or has fewer than three samples, the model is random, in a training
        mode that matters, mixes samples or carries no gradient, a part of it has none (its derivative is not the slope
        of its answers), its answers jump, a slope is not finite (the sample is named), or ``max_memory`` is too small
        (before any work).

    References
    ----------
    .. [1] Gao et al., "Jacobian-Based Interpretation of Nonlinear Neural Encoding Model", NeurIPS 2025.

    Examples
    --------
    >>> import torch, jne
    >>> result = jne.nonlinearity(lambda x: (x**2).sum(-1), torch.randn(500, 3))
    >>> result.sizes["voxel"]
    1
    """
    limit = parse_bytes(max_memory)
    n_bootstrap = whole_number(n_bootstrap, "n_bootstrap", 0)
    if n_bootstrap == 1:
        raise ValueError("n_bootstrap=1 gives no error; use 0 (none) or at least 2")
    step = None if n_voxels_batch is None else whole_number(n_voxels_batch, "n_voxels_batch", 1)
    random_state = whole_number(random_state, "random_state", 0)
    if norm not in NORMS:
        raise ValueError(f"norm={norm!r} is not known; give {' or '.join(map(repr, NORMS))}")
    slopes = {"mean_jacobian": mean_jacobian, "feature_variance": feature_variance}
    switches = {"zscore_jacobian": zscore_jacobian, "return_samples": return_samples, "progress": progress, **slopes}
    for name, value in switches.items():
        if not isinstance(value, bool | np.bool_):
            raise ValueError(f"{name}={value!r} is not a truth value; use True or False")
    asked = [name for name, value in slopes.items() if value]
    if asked and zscore_jacobian:
        raise ValueError(f"{asked[0]}=True is of the slopes as they are; give zscore_jacobian=False")
    reading = Reading(norm, bool(zscore_jacobian))
    problem = prepare(model, X, device, precision, progress=bool(progress))
    if problem.n_samples < 3:
        raise ValueError(
            "X has 2 samples, which always deviate alike from their mean, so that the JNE of any model is 0; give at "
            "least 3 samples"
        )
    with torch.no_grad(), matrix_precision(precision), tqdm(
        total=problem.n_samples * problem.n_voxels, disable=not progress, desc="nonlinearity", unit_scale=True
    ) as bar, closing(Passes(bool(progress))) as passes:  # fmt: skip
        results = problem.n_samples * problem.n_voxels * problem.X.element_size() if return_samples else 0
        check_card(problem.X.device, limit, problem.model_bytes + results)
        factor, source = covariance_factor(covariance, problem)
        budget, columns = statistics_budget(limit, problem.n_samples, n_bootstrap)
        mean, variance = map(bool, slopes.values())
        work = Work(problem.X, factor, budget, step, bool(return_samples), bar.update, reading, mean, variance, passes)
        blocks, how = _blocks(problem, readout, work)
        counts = resamples(problem.n_samples, n_bootstrap, random_state).to(problem.X.device)
        variables = collect(blocks, problem.n_voxels, counts, columns, return_samples)
    if covariance is False:
        del variables["nonlinear_share"]
    is_function = not isinstance(model, torch.nn.Module) and not problem.encoder
    settings = {
        "model": getattr(model, "__name__", type(model).__name__) if is_function else type(model).__name__,
        "norm": norm,
        "zscore_jacobian": int(reading.zscore),
        "covariance": source,
        "readout": readout if isinstance(readout, str) else ("given" if isinstance(readout, tuple) else str(readout)),
        "device": str(problem.X.device),
        "precision": precision,
        "max_memory": limit,
        "n_voxels_batch": "auto" if step is None else step,
        "n_bootstrap": n_bootstrap,
        "return_samples": int(return_samples),
        "random_state": random_state,
        **{name: 1 for name in asked},
    }
    sizes = {"n_samples": problem.n_samples, "n_voxels": problem.n_voxels, "n_features": problem.n_features}
    result = _dataset(variables, problem.encoder, reading)
    return result.assign_attrs({**settings, **sizes, **how, "units": result["jne"].units, **provenance()})


def _blocks(problem: Problem, readout: str | bool | Readout, work: Work) -> tuple[Iterator[Block], dict[str, str]]:
    """The blocks of deviations, not yet computed, and how they will be: factorised or general, and in which mode."""
    held = work.factor.numel() * work.factor.element_size()
    work = replace(work, budget=work.budget.reserve(held, "the covariance", "give covariance=False"))
    if found := choose_readout(problem, readout):
        module, weight = found
        trunk = make_trunk(module, problem.probe, weight.shape[1], work.budget)
        way = factorised_zscored if work.reading.zscore else factorised
        return way(work, trunk, weight), {"path": "factorised", "differentiation": trunk.mode}
    forward = sum(work.factor.shape) < problem.n_voxels
    derivative = differentiate(problem.function(), problem.probe, problem.n_voxels, forward=forward)
    blocks = (by_columns if derivative.forward else by_rows)(work, derivative, problem.n_voxels)
    return blocks, {"path": "general", "differentiation": derivative.mode}


def deviations(problem: Problem, budget: Budget, step: int | None) -> torch.Tensor:
    """L1 deviation of the Jacobian from its mean at every sample, ``(n_samples, n_voxels)``."""
    found = problem.X.new_empty(problem.n_samples, problem.n_voxels)
    factor, _ = covariance_factor(False, problem)
    for block in _blocks(problem, "auto", Work(problem.X, factor, budget, step, True, lambda done: None))[0]:
        found[:, block.voxels] = block.deviation
    return found


def own_sizes(problem: Problem, budget: Budget) -> Iterator[Block]:
    """Blocks whose deviation is the L2 norm of the Jacobian itself; linear is ``(sum_d Jbar)^2 / n_features``."""
    factor = problem.X.new_full((problem.n_features, 1), problem.n_features**-0.5)
    reading = Reading("l2", centred=False)
    return _blocks(problem, "auto", Work(problem.X, factor, budget, None, False, lambda done: None, reading))[0]


def _dataset(variables: dict[str, np.ndarray], zscored: bool, reading: Reading) -> xr.Dataset:
    order, content = list(REGISTRY), {}
    for name in sorted(variables, key=lambda name: order.index(name) if name in order else len(order)):
        values = variables[name]
        base, _, error = name.rpartition("_")
        measure = known_measure(base if error in _ERRORS else name).read(reading.norm, reading.zscore)
        fixed = "(mean Jacobian held fixed)"
        text = f"{_ERRORS[error]} {fixed} of {base}" if error in _ERRORS else measure.definition
        dims = ("sample", "voxel")[2 - values.ndim :]
        if name in _BY_FEATURE:
            dims, values = ("voxel", "feature"), values.T
        content[name] = xr.Variable(dims, values, {"long_name": text, "units": measure.unit_of(zscored)})
    return xr.Dataset(content)
