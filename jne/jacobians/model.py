"""A model and its samples, made ready to be differentiated: checked, on one device, in one precision."""

from __future__ import annotations

import logging
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import nn

from jne._core import as_numbers, is_out_of_memory, moved, ordinary_tensor, resolve_device, tell
from jne.jacobians.calls import Call, UnfitAnswerError, as_outputs, close, own_place
from jne.jacobians.slopes import refuse_wrong_slopes

_LOG = logging.getLogger(__name__)
_SHORT = 2.0
"""Seconds that a model's first answers take; of less nothing is told."""
DTYPES = {"float32": torch.float32, "tf32": torch.float32, "float64": torch.float64}


@runtime_checkable
class FittedEncoder(Protocol):
    """What makes a model a fitted encoder here; `jne.encoders.Encoder` has it after ``fit``.

    With ``covariance_``, which may be missing, it also remembers the covariance of its training features.
    """

    module_: nn.Module

    def scale_features(self, X: Any) -> np.ndarray: ...  # ``(n_samples, n_features)``, as ``module_`` takes them


Model = Call | FittedEncoder
"""What is differentiated: a torch.nn.Module, a function of a tensor, or a fitted encoder."""


@dataclass(frozen=True)
class Problem:
    """A checked model with its samples."""

    model: Call  # as the caller gave it (or an encoder's module), not yet moved
    X: torch.Tensor  # ``(n_samples, ...)`` on the device and in the precision asked for
    n_voxels: int  # outputs of the model
    encoder: bool  # whether the units are an encoder's z-scores
    covariance: ArrayLike | torch.Tensor | None  # what an encoder remembers of its training features

    @property
    def n_samples(self) -> int:
        return len(self.X)

    @property
    def n_features(self) -> int:
        return self.X[0].numel()

    @property
    def model_bytes(self) -> int:
        """What a copy of the model takes."""
        parameters = self.model.parameters() if isinstance(self.model, nn.Module) else ()
        return sum(p.numel() for p in parameters) * self.X.element_size()

    @property
    def probe(self) -> torch.Tensor:
        """The first two samples, on which the model is tried out."""
        return self.X[:2]

    def function(self) -> Call:
        """A copy of the model beside the samples, in their precision, refused if it answers otherwise."""
        call = as_outputs(moved(self.model, self.X))
        refuse_changed(call, self)
        return call


def prepare(
    model: Model, X: ArrayLike | torch.Tensor, device: str, precision: str, *, progress: bool = False
) -> Problem:
    """Check a model and its samples and bring the samples to the device.

    Refused is a model that is random, in training mode, mixes samples, or has other slopes than torch's derivatives.
    Where that takes long it is told in the log ``jne`` or, with ``progress``, on stderr.
    """
    if precision not in DTYPES:
        raise ValueError(f"precision={precision!r} is not known; use one of {', '.join(DTYPES)}")
    module: Call
    if isinstance(model, FittedEncoder):
        samples, module = check_samples(model.scale_features(X)), model.module_
    elif hasattr(model, "fit") and hasattr(model, "predict") and not isinstance(model, nn.Module):
        raise ValueError(_why_not_taken(model))
    elif not callable(model):
        raise ValueError(f"model={model!r} is not a fitted encoder, a torch.nn.Module or a function of a tensor")
    else:
        samples, module = check_samples(X), model
    stays = device == "auto" and not isinstance(module, nn.Module)  # a plain function
    where = samples.device if stays else resolve_device(device)
    samples = samples.to(device=where, dtype=DTYPES[precision])
    if not samples.isfinite().all():
        raise ValueError("X holds values beyond float32 (3.4e38); rescale it, or give precision='float64'")
    refuse_training_mode(module)
    start = time.perf_counter()
    # Sixteen, so that what is rarely random, or random in few units, is seen.
    n_voxels = _probe_outputs(module, samples[:16])
    # From all over X, because neighbours may be repeats of one stimulus.
    n_tried = min(len(samples), 16 if samples[0].numel() <= 2048 else 8)
    tried = np.linspace(0, len(samples) - 1, n_tried).astype(int)
    if (seconds := time.perf_counter() - start) >= _SHORT:
        tell(_LOG, _trial_text(seconds, n_tried), progress)
    refuse_wrong_slopes(module, samples[tried], n_voxels)
    is_encoder = isinstance(model, FittedEncoder)
    return Problem(module, samples, n_voxels, is_encoder, getattr(model, "covariance_", None) if is_encoder else None)


def _trial_text(seconds: float, n_tried: int) -> str:
    return (
        f"before anything is measured the model is tried: its first answers took {seconds:.0f} s, and now its slopes "
        f"are compared with them at {n_tried} samples, which takes several times as long"
    )


def check_samples(X: ArrayLike | torch.Tensor) -> torch.Tensor:
    """``X`` as a tensor ``(n_samples, ...)``; a ValueError unless there are at least two samples, all finite."""
    samples: torch.Tensor
    if isinstance(X, torch.Tensor):
        if X.is_complex():
            raise ValueError(f"X has dtype {X.dtype}; give real numbers (n_samples, n_features)")
        samples = ordinary_tensor(X, "X")
    else:
        array = as_numbers(X, "X")
        array = array.astype(np.float64) if array.dtype.itemsize > 8 else array.astype(array.dtype.newbyteorder("="))
        samples = torch.from_numpy(np.ascontiguousarray(array))
    if samples.ndim < 2 or samples[:1].numel() == 0:
        raise ValueError(
            f"X has shape {tuple(samples.shape)}; give (n_samples, n_features) or (n_samples, ...), none of them 0"
        )
    if len(samples) < 2:
        raise ValueError("X has 1 sample; a deviation between samples needs n_samples of at least 2")
    if bad := int((~samples.isfinite()).sum()):
        raise ValueError(f"X holds {bad} non-finite values of {samples.numel()}; remove or fill them first")
    # A tensor made in inference mode carries no gradient; its copy does.
    return samples.clone() if samples.is_inference() else samples


def refuse_training_mode(model: object) -> None:
    """Raise a ValueError where a module behaves differently in training, and is in training mode."""
    for name, module in model.named_modules() if isinstance(model, nn.Module) else ():
        dropout = isinstance(module, nn.modules.dropout._DropoutNd) and module.p > 0
        running = isinstance(module, nn.modules.batchnorm._NormBase) and (
            isinstance(module, nn.modules.batchnorm._BatchNorm) or module.track_running_stats
        )
        if module.training and (dropout or running):
            raise ValueError(
                f"model is in training mode, and its {type(module).__name__} ({name or 'the model itself'}) then "
                "answers differently; call model.eval() first"
            )


def _probe_outputs(model: Call, probe: torch.Tensor) -> int:
    call, probe = as_outputs(model), own_place(model, probe)
    with torch.no_grad():
        first, again = _answer(model, probe), call(probe)
    if not torch.isfinite(first).all():
        raise ValueError("model answers the first samples of X with non-finite values")
    if not close(first, again):
        raise ValueError(
            "model answers differently when it sees the same input twice (dropout, sampling, state?); call "
            "model.eval() or make it deterministic"
        )
    if _depends_on_mode(model, call, probe, first):
        raise ValueError("model is in training mode, and answers differently in evaluation; call model.eval() first")
    with torch.no_grad():
        # Through a number taken out of the graph, such as a detached mean, samples mix without a slope.
        alone = close(call(probe[:2]), first[:2], 0.4)
    if not alone or _mixes_samples(call, probe):
        raise ValueError(
            "model's answer to a sample depends on the other samples of its batch (batch statistics?); call "
            "model.eval(), or make it treat each sample on its own"
        )
    if first.shape[1] == 0:
        raise ValueError("model returned no outputs: (n_samples, 0)")
    return first.shape[1]


def _why_not_taken(model: Any) -> str:
    """Of what has ``fit`` and ``predict`` and is not a fitted encoder."""
    name = type(model).__name__
    if isinstance(module := getattr(model, "module_", getattr(model, "module", None)), nn.Module):
        return f"model={name} is no encoder of jne; give the torch module in it ({type(module).__name__})"
    if hasattr(model, "scale_features"):
        return f"model={name} has no module_: it is not fitted yet; call its fit first"
    return (
        f"model={name} (of {type(model).__module__.split('.')[0]}) is no torch model, so it has no derivative here; "
        "accepted are a fitted encoder, a torch.nn.Module and a function of a tensor. Fit a jne.RidgeEncoder or "
        "jne.ResidualEncoder in its place, or write its prediction with torch: of a linear model lambda x: x @ W, with "
        "W (n_features, n_voxels) from its coef_"
    )


def _answer(model: Call, probe: torch.Tensor) -> torch.Tensor:
    """The model's first answer, or a ValueError that says what it was given, and what it answers if it does."""
    try:
        return as_outputs(model)(probe)
    except UnfitAnswerError:
        raise
    # It is the model of a person, in which anything may go wrong.
    except Exception as error:
        if is_out_of_memory(error):
            raise
        told = str(error).strip().splitlines() or [""]
        raise ValueError(
            f"model fails on the first samples of X, {tuple(probe.shape)}, {probe.dtype} on {probe.device} "
            f"({type(error).__name__}: {told[0]}){_other_precision(model, probe)}"
        ) from error


def _other_precision(model: Call, probe: torch.Tensor) -> str:
    """What to do, where a model answers in one precision only."""
    for dtype, method, name in ((torch.float32, "float", "float32"), (torch.float64, "double", "float64")):
        samples = probe.to(dtype)
        with suppress(Exception):
            as_outputs(moved(model, samples))(samples)
            whole = f"model.{method}() and " if isinstance(model, nn.Module) else ""
            return f". It answers where all of it is {dtype}: give {whole}precision={name!r}"
    return ""


def _depends_on_mode(model: Call, call: Call, probe: torch.Tensor, answer: torch.Tensor) -> bool:
    """Whether evaluation mode gives another answer: a module's own branch on ``self.training``."""
    training = [module for module in model.modules() if module.training] if isinstance(model, nn.Module) else []
    try:
        for module in training:
            module.training = False
        with torch.no_grad():
            return bool(training) and not close(answer, call(probe))
    finally:
        for module in training:
            module.training = True


def _mixes_samples(call: Call, probe: torch.Tensor) -> bool:
    """Whether the first sample's answer has a slope in another sample; unlike a difference it is 0 exactly."""
    try:
        with torch.enable_grad():
            X = probe.clone().requires_grad_()
            Y = call(X)
            first = Y[0]
        if not first.requires_grad:
            return False
        weights = torch.rand(len(first), generator=torch.Generator().manual_seed(0), device="cpu").to(Y)
        slope = torch.autograd.grad(first, X, weights, materialize_grads=True)[0][1:]
    # Its answers were there without gradients; torch names what has none in many ways.
    except (RuntimeError, IndexError, TypeError) as error:
        if is_out_of_memory(error):
            raise
        raise ValueError(
            "model answers, but torch cannot differentiate it; remove torch.inference_mode(), NumPy and quantised "
            f"layers from it ({str(error).splitlines()[0]})"
        ) from error
    return bool(slope.nan_to_num().any())


def refuse_changed(copied: Call, problem: Problem, weight: torch.Tensor | None = None) -> None:
    """Raise a ValueError where a copy made for differentiating answers otherwise than the model.

    ``weight (n_voxels, n_hidden)`` is the readout of a trunk, whose constants do not count.
    """
    with torch.no_grad():
        own = as_outputs(problem.model)(own_place(problem.model, problem.probe))
        answer = as_outputs(copied)(problem.probe)
        if weight is not None:
            answer = answer @ weight.T
            answer = answer - answer[:1] + own[:1].to(answer)
    own = own.to(answer.device)
    # With room for what a deep model makes of its rounding.
    if not close(answer, own, 0.4):
        raise ValueError(
            f"model answers otherwise once it is copied to {answer.device} in {answer.dtype}: by up to "
            f"{float((answer - own).abs().max()):.3g}, and its answers reach {float(own.abs().max()):.3g}. Give "
            "precision='float64', or a function of a tensor, which is not copied"
        )
