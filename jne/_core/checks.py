"""Checks of arguments that name the argument, what was given and what is accepted."""

from __future__ import annotations

import numbers
import operator
import warnings
from typing import Any

import numpy as np
from numpy.typing import DTypeLike


def whole_number(value: Any, name: str, least: int) -> int:
    """``value`` as a whole number, or a ValueError that names the argument."""
    try:
        whole = operator.index(value)
    except TypeError:
        whole = None
    if whole is None or isinstance(value, bool) or whole < least:
        raise ValueError(f"{name}={value!r} is not a whole number of at least {least}")
    return whole


def real_number(
    value: Any, name: str, *, least: float = -np.inf, above: float = -np.inf, below: float = np.inf
) -> float:
    """``value`` as a finite number within bounds, or a ValueError that names the argument."""
    # An array or tensor of one number is one.
    number = value.item() if getattr(value, "shape", None) == () else value
    try:
        size = float(number) if not isinstance(number, bool) and isinstance(number, numbers.Real) else np.nan
    except OverflowError:
        size = np.inf
    if not np.isfinite(size):
        kind = " (a text)" if isinstance(value, str) else ""
        raise ValueError(f"{name}={value!r}{kind} is not a finite number")
    if not (size >= least and size > above and size < below):
        bounds = {"at least": least, "above": above, "below": below}
        accepted = " and ".join(f"{word} {bound:g}" for word, bound in bounds.items() if np.isfinite(bound))
        raise ValueError(f"{name}={value!r}; accepted is a number {accepted}")
    return size


def truth_value(value: Any, name: str) -> bool:
    """``value`` as True or False, or a ValueError that names the argument; 0 and 1 are numbers."""
    if not isinstance(value, bool | np.bool_):
        raise ValueError(f"{name}={value!r} is not a truth value; use True or False")
    return bool(value)


def as_numbers(values: Any, name: str, dtype: DTypeLike | None = None, *, missing: bool = False) -> np.ndarray:
    """``values`` as an array of real numbers; every array that a person hands in comes through here.

    ``numpy.asarray`` alone drops the mask of a masked array, the imaginary part of a complex one, and reads texts and
    dates as numbers.

    Parameters
    ----------
    values : array, tensor, data frame or sequence
    name : str
        Of the argument, for the message.
    dtype : numpy dtype, optional
        Of the result; by default that of the values.
    missing : bool
        Whether NaN stands for a value that is not there; then what is masked becomes NaN.

    Returns
    -------
    numpy.ndarray

    Raises
    ------
    ValueError
        If a value is masked (without ``missing``), is not a real number, or is too large for ``dtype``.
    """
    values = _dense(values, name)
    masked = _mask(values)
    if masked is not None and masked.any() and not missing:
        raise ValueError(
            f"{name} is a masked array in which {np.count_nonzero(masked)} of {masked.size} values are masked; a mask "
            "is not used here: leave out the samples or voxels that are masked, or fill them first"
        )
    try:
        with warnings.catch_warnings():
            # Of single masked values in a list, which become NaN.
            warnings.filterwarnings("ignore", "Warning: converting a masked element to nan")
            array = np.asarray(values)
    except (ValueError, TypeError, RuntimeError) as error:
        raise ValueError(f"{name} cannot be read as an array of numbers ({error})") from error
    if array.dtype.kind == "O":
        array = _plain(array, name, missing)
    if array.dtype.kind not in "fiub":
        raise ValueError(f"{name} has dtype {array.dtype}; give real numbers")
    if masked is not None and masked.any():
        array = np.where(masked, np.nan, array)
    if dtype is None:
        return array
    # A number too large becomes infinite, and is told as what it was.
    with np.errstate(over="ignore", invalid="ignore"):
        out = array.astype(dtype, copy=False)
    if out.dtype.kind in "iu" and (wrong := np.count_nonzero(out != array)):
        raise ValueError(f"{name} holds {wrong} values that are not whole numbers, of {array.size}")
    if np.dtype(dtype).itemsize < array.dtype.itemsize and array.dtype.kind == "f":
        if n := np.count_nonzero(np.isinf(out) & np.isfinite(array)):
            largest = np.finfo(dtype).max
            raise ValueError(f"{name} holds {n} values beyond {largest:.2g}, the largest of {np.dtype(dtype)}; rescale")
    return out


def ordinary_tensor(tensor: Any, name: str) -> Any:
    """The tensor outside of any graph, or a ValueError where it does not hold its numbers one by one."""
    if tensor.is_quantized or tensor.is_meta or tensor.is_nested or str(tensor.layout) != "torch.strided":
        raise ValueError(
            f"{name} has dtype {tensor.dtype}, device {tensor.device} and layout {tensor.layout}; give an ordinary "
            f"tensor, such as {name}.dequantize() or {name}.to_dense()"
        )
    return tensor.detach()


def _dense(values: Any, name: str) -> Any:
    """A tensor as an array; what NumPy would wrap in an array of one object is refused."""
    if hasattr(values, "detach") and hasattr(values, "is_quantized"):
        values = ordinary_tensor(values, name).cpu()
        # NumPy has no bfloat16.
        return (values.float() if values.is_floating_point() and values.element_size() < 4 else values).numpy()
    if hasattr(values, "toarray") and hasattr(values, "nnz"):
        raise ValueError(f"{name} is a sparse {type(values).__name__}; give {name}.toarray()")
    return values


def _mask(values: Any) -> np.ndarray | None:
    """Which values are masked, also of arrays in a list; None where no mask is."""
    if isinstance(values, np.ma.MaskedArray):
        return np.ma.getmaskarray(values)
    if not isinstance(values, list | tuple) or not values:
        return None
    masks = [_mask(item) for item in values]
    if all(mask is None for mask in masks):
        return None
    return np.array([np.zeros(np.shape(v), bool) if m is None else m for v, m in zip(values, masks, strict=True)])


def _plain(array: np.ndarray, name: str, missing: bool) -> np.ndarray:
    """An array of objects as float64, where all of them are real numbers (or, with ``missing``, not there)."""
    out = np.empty(array.shape)
    for place, value in np.ndenumerate(array):
        absent = missing and (value is None or type(value).__name__ in ("NAType", "NaTType"))
        if not absent and not isinstance(value, numbers.Real | np.bool_):
            at = f" at {list(place)}" if place else ""
            raise ValueError(f"{name} holds {value!r} ({type(value).__name__}){at}; give real numbers")
        out[place] = np.nan if absent else float(value)
    return out
