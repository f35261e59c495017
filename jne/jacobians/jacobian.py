"""Per-sample Jacobians of a model."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import ArrayLike

from jne._core import Budget, clamp, matrix_precision, parse_bytes, spans, whole_number
from jne.jacobians.derivatives import differentiate
from jne.jacobians.model import Model, prepare
from jne.jacobians.slopes import refuse_infinite
from jne.jacobians.trunk import dense_jacobian


@torch.inference_mode(False)
def jacobian(
    model: Model,
    X: ArrayLike | torch.Tensor,
    *,
    device: str = "auto",
    precision: str = "float32",
    chunk: int | None = None,
    max_memory: int | str = "2GB",
) -> np.ndarray:
    """Jacobian of every output at every sample, ``J[n, v, d] = d y_v / d x_d`` at sample n.

    For problems small enough to hold them; `jne.nonlinearity` never does.

    Parameters
    ----------
    model : encoder, torch.nn.Module or function
        As in `jne.nonlinearity`.
    X : array or tensor
        ``(n_samples, ...)``, at least two samples.
    device : str
        ``"auto"`` (CUDA, else CPU) or a torch device.
    precision : {"float32", "tf32", "float64"}
    chunk : int, optional
        Samples differentiated at a time; by default as many as fit. It does not change the answer.
    max_memory : int or str
        Bytes, or text such as ``"2GB"``, for the result and the work.

    Returns
    -------
    numpy.ndarray
        ``(n_samples, n_voxels, n_features)``, the features of one sample flattened; response units per feature unit.

    Raises
    ------
    ValueError
        If an argument is unusable (see `jne.nonlinearity`), or the result would exceed ``max_memory``.

    Examples
    --------
    >>> import torch, jne
    >>> J = jne.jacobian(lambda x: x**2, torch.tensor([[1.0, 2.0], [3.0, 4.0]]))
    >>> J.shape
    (2, 2, 2)
    >>> J[1]
    array([[6., 0.],
           [0., 8.]], dtype=float32)
    """
    limit = parse_bytes(max_memory)
    if chunk is not None:
        chunk = whole_number(chunk, "chunk", 1)
    problem = prepare(model, X, device, precision)
    size = problem.X.element_size()
    shape = (problem.n_samples, problem.n_voxels, problem.n_features)
    with torch.no_grad(), matrix_precision(precision):
        forward = problem.n_features < problem.n_voxels
        derivative = differentiate(problem.function(), problem.probe, problem.n_voxels, forward=forward)
        # Beside the result, one sample's rows exist up to three times: as a block, as a matrix and on their way out.
        one = 2 * size * shape[1] * shape[2] + derivative.sample_bytes
        result = size * int(np.prod(shape))
        needed = result + one + derivative.direction_bytes
        Budget(limit).reserve(needed, f"a Jacobian of shape {shape}", "use jne.nonlinearity, which never holds it")
        directions = shape[2] if derivative.forward else shape[1]
        at_once = clamp((limit - result - one) / 2 / derivative.direction_bytes, 1, directions)
        step = chunk or clamp((limit - result) / (one + at_once * derivative.direction_bytes), 1, 256)
        J = np.empty(shape, dtype=problem.X.new_empty(0, device="cpu").numpy().dtype)
        for block in spans(shape[0], step):
            rows = dense_jacobian(derivative, problem.X[block], shape[1], at_once)
            refuse_infinite(rows, block.start)
            J[block] = rows.cpu().numpy()
    return J
