"""What a session has set for all of torch, and what must not depend on it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

import torch


@contextmanager
def new_session() -> Iterator[None]:
    """torch's defaults of a new session, float32 on the CPU, whatever the caller has set; also a decorator."""
    dtype, device = torch.get_default_dtype(), torch.get_default_device()
    torch.set_default_dtype(torch.float32)
    try:
        with nullcontext() if device.type == "cpu" else torch.device("cpu"):
            yield
    finally:
        torch.set_default_dtype(dtype)


def uncompiled() -> AbstractContextManager[object]:
    """A context in which ``torch.compile`` is off: what it made of a model has no second backward pass."""
    # Whoever compiles has the compiler loaded, which takes a second.
    return torch.compiler.set_stance("force_eager") if "torch._dynamo" in sys.modules else nullcontext()
