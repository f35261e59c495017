"""How long a dataset of many maps will take to write, told before it is begun."""

from __future__ import annotations

import time
import zlib

import numpy as np

from jne.prepare.map_blocks import PACKING
from jne.prepare.map_store import Store
from jne.prepare.trials import Trials


def seconds_to_write(store: Store, trials: Trials, n: int = 256) -> float:
    """About how long averaging and packing all voxels takes, from the first of them.

    Parameters
    ----------
    store : Store
    trials : Trials
    n : int
        How many are tried.
    """
    n = min(n, store.shape[1])
    start = time.monotonic()
    mean = trials.average(store.read(slice(0, n)))
    # Bytes of one place together, as they are packed in the dataset.
    zlib.compress(np.ascontiguousarray(mean.reshape(-1).view(np.uint8).reshape(-1, 4).T).tobytes(), PACKING)
    # Averages are made twice, once to look for voxels that cannot be used; then the file is read again.
    return 2 * (time.monotonic() - start) * store.shape[1] / n


def duration(seconds: float) -> str:
    """``90 s`` or ``12 min``."""
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"
