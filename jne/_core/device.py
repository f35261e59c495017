"""The torch device that a name stands for, what it has free, and how exactly it multiplies."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from jne._core.memory import format_bytes


def resolve_device(device: str | torch.device) -> torch.device:
    """The device of a name; ``"auto"`` is CUDA where there is a card, else the CPU.

    Raises
    ------
    ValueError
        If it names no device, or a card that is not here.
    """
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        resolved = torch.device(device)
    except (RuntimeError, TypeError) as error:
        raise ValueError(f"device={device!r} is not a device; use 'auto', 'cpu' or 'cuda'") from error
    if resolved.type == "cuda" and not torch.cuda.is_available():
        raise ValueError(f"device={device!r}, but torch sees no CUDA card here; use 'auto' or 'cpu'")
    return resolved


def check_card(device: torch.device, limit: int, beside: int) -> None:
    """Refuse more than a CUDA card has free: ``limit`` bytes to work in ``beside`` the model's copy and the results.

    Raises
    ------
    ValueError
        If it is more.
    """
    if device.type != "cuda":
        return
    # What torch holds for reuse counts as free.
    unused = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    free = torch.cuda.mem_get_info(device)[0] + unused
    if limit + beside > free:
        raise ValueError(
            f"max_memory is {format_bytes(limit)}, model and results take {format_bytes(beside)}, and {device} has "
            f"{format_bytes(free)} free; lower max_memory, give return_samples=False, or use device='cpu'"
        )


@contextmanager
def matrix_precision(precision: str) -> Iterator[None]:
    """CUDA products in TF32 for ``"tf32"`` and in full float32 otherwise, whatever the process has set."""
    cudnn: Any = torch.backends.cudnn
    switches: tuple[Any, ...]
    value: str | bool
    if hasattr(torch.backends.cuda.matmul, "fp32_precision"):
        # Since torch 2.9. Where a process has set this, even reading the older switch is an error.
        switches, name = (torch.backends.cuda.matmul, cudnn.conv, cudnn.rnn), "fp32_precision"
        value = "tf32" if precision == "tf32" else "ieee"
    else:
        switches, name, value = (torch.backends.cuda.matmul, cudnn), "allow_tf32", precision == "tf32"
    before = [getattr(switch, name) for switch in switches]
    try:
        for switch in switches:
            setattr(switch, name, value)
        yield
    finally:
        for switch, old in zip(switches, before, strict=True):
            setattr(switch, name, old)
