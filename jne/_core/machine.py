"""What this machine has: cores, threads and GPUs, found without loading torch where there is no card."""

from __future__ import annotations

import os
import shutil


def available_cores() -> int:
    """How many processor cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def thread_environment(threads: int) -> dict[str, str]:
    """Variables that hold a process to so many threads, whichever library it computes with."""
    names = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS")
    return dict.fromkeys(names, str(threads))


def visible_gpus() -> list[str]:
    """The GPUs of this machine that CUDA may use, by the names that CUDA_VISIBLE_DEVICES takes."""
    if (named := os.environ.get("CUDA_VISIBLE_DEVICES")) is not None:
        return [name for name in named.split(",") if name.strip()]
    if not shutil.which("nvidia-smi"):
        return []
    import torch

    return [str(index) for index in range(torch.cuda.device_count())]
