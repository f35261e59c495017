"""Values as Python's own, whichever library they are of: what files, keys and records hold."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np


def plain(value: Any) -> Any:
    """NumPy's and torch's numbers as Python's own, their arrays as lists; also within mappings, lists and tuples."""
    if isinstance(value, np.floating):
        return float(value)  # long ones too, which have no other of Python's
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    if hasattr(value, "detach") and hasattr(value, "tolist"):
        return value.detach().tolist()
    if isinstance(value, Mapping):
        return {plain(key): plain(item) for key, item in value.items()}
    # Not of named tuples and the like, which take their items otherwise.
    if type(value) in (list, tuple):
        return type(value)(plain(item) for item in value)
    return value
