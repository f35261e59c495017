"""The torch device that a name stands for, and whether a card has enough free."""

from __future__ import annotations

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
