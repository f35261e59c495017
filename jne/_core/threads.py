"""How threads wait for each other, and how many a small step gets: one rule for scripts, commands and chapters."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

SMALL = 1e8
"""Multiply-adds of a step up to which a second thread wins nothing that its waiting does not cost."""


def wait_asleep() -> None:
    """Let OpenMP's threads sleep while they wait, here and in processes started from here, unless told how.

    By default they spin: beside one other process a fit then takes several times as long with two threads as with one
    (``benchmarks/threads.py``). Read when torch loads, so this comes before; what is loaded already stays as it is.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


@contextmanager
def threads_for(work: float) -> Iterator[None]:
    """One thread of torch for small steps, as many as before for others.

    Parameters
    ----------
    work : float
        Multiply-adds of one step; after each of its parts threads wait for each other.
    """
    import torch  # here, so that `import jne` does not wait for it

    before = torch.get_num_threads()
    try:
        torch.set_num_threads(1 if work <= SMALL else before)
        yield
    finally:
        torch.set_num_threads(before)
