"""Passes through a network, where a measure takes many: told before they begin, counted while they are taken."""

from __future__ import annotations

import logging
import time

import torch
from tqdm import tqdm

from jne._core import format_bytes, tell
from jne.jacobians.engine import Product, unit_vectors

_LOG = logging.getLogger(__name__)
_TRIED = 8
"""Directions of the first sample by which the time of a pass is known."""
_SHORT = 10.0
"""Seconds; of less nothing is told."""


class Passes:
    """Counts passes; a bar of their own shows them.

    Parameters
    ----------
    progress : bool
        Whether to show a bar, and what is told, on stderr; what is told goes to the log ``jne`` anyway.
    """

    def __init__(self, progress: bool = False):
        self._progress, self._bar = progress, tqdm(disable=True)

    def begin(
        self, product: Product, X: torch.Tensor, width: int, per_sample: int, times: int = 1, enough: int | None = None
    ) -> None:
        """Tell how many passes there will be and how long they take, from a few of the first sample.

        Parameters
        ----------
        product : callable
            As of `jne.jacobians.derivatives.Derivative`, for directions of this ``width``.
        X : tensor
            All samples.
        per_sample, times : int
            Passes of a sample, and how often they are taken.
        enough : int, optional
            Bytes of ``max_memory`` with which they are taken once.
        """
        if not (self._progress or _LOG.isEnabledFor(logging.INFO)) or not per_sample:
            return
        tried = unit_vectors(slice(0, min(_TRIED, per_sample, width)), width, X)
        start = time.perf_counter()
        product(X[:1], tried)[0, 0, 0].item()  # waits for a GPU
        one = (time.perf_counter() - start) / len(tried)
        total = per_sample * times * len(X)
        if one * total < _SHORT:
            return
        text = passes_text(per_sample, len(X), times, one, enough)
        tell(_LOG, text, self._progress)
        self._bar = tqdm(total=total, disable=not self._progress, desc="passes", unit_scale=True, leave=False)

    def tick(self, n: int) -> None:
        self._bar.update(n)

    def close(self) -> None:
        self._bar.close()


def passes_text(per_sample: int, n_samples: int, times: int, one: float, enough: int | None = None) -> str:
    """How many passes there will be, how long one takes and all of them, and what memory would spare.

    Examples
    --------
    >>> passes_text(768, 100, 2, 0.05, 47 * 10**9)[:77]
    '768 passes through the network for each of 100 samples, 2 times, 0.05 s each:'
    """
    total = per_sample * n_samples * times
    often = f", {times} times" if times > 1 else ""
    text = f"{per_sample:,} passes through the network for each of {n_samples:,} samples{often}, {one:.2g} s each: "
    text += f"{total:,} in all, about {_duration(one * total)}"
    if times > 1 and enough is not None:
        text += f". With max_memory of {format_bytes(enough)} they are taken once: {_duration(one * total / times)}"
    return f"{text}. Fewer samples, or a smaller input, take less."


def _duration(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
