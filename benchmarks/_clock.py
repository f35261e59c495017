"""Seconds, rates and peaks of memory on a CPU or a card."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import torch
from _common import LINUX, peak_above

from jne._core import matrix_precision


def wait_for(device: torch.device) -> None:
    """Return when the device has done what it was asked for."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def clock(method: Callable[[], object], device: torch.device, repeats: int, warm: bool = True) -> float:
    """Median seconds of ``method``, after one call that is not counted unless everything is ``warm`` already."""
    seconds = []
    for _ in range(repeats + warm):
        wait_for(device)
        start = time.perf_counter()
        method()
        wait_for(device)
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds[warm:])


def peak(method: Callable[[], object], device: torch.device) -> int | None:
    """Bytes that ``method`` takes at most, above what is held before."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        method()
        return torch.cuda.max_memory_allocated(device) - before
    if LINUX:
        return peak_above(method)
    method()
    return None


def matrix_rate(precision: str, size: int, device: torch.device, repeats: int = 10) -> float:
    """Operations per second of products of square matrices."""
    a, b = torch.randn(2, size, size, device=device)
    out = torch.empty_like(a)
    with matrix_precision(precision):
        return 2 * size**3 / clock(lambda: torch.mm(a, b, out=out), device, repeats)


def memory_rates(n_bytes: int, device: torch.device) -> dict[str, float]:
    """Bytes per second of a copy within the device (read and written), to it and from it."""
    here = torch.zeros(n_bytes // 4)
    there, other = here.to(device), torch.empty(n_bytes // 4, device=device)
    return {
        "copy": 2 * n_bytes / clock(lambda: other.copy_(there), device, 5),
        "to the device": n_bytes / clock(lambda: there.copy_(here), device, 3),
        "from the device": n_bytes / clock(lambda: here.copy_(there), device, 3),
    }
