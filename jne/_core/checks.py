"""Checks of arguments that name the argument, what was given and what is accepted."""

from __future__ import annotations

import operator
from typing import Any


def whole_number(value: Any, name: str, least: int) -> int:
    """``value`` as a whole number, or a ValueError that names the argument."""
    try:
        whole = operator.index(value)
    except TypeError:
        whole = None
    if whole is None or isinstance(value, bool) or whole < least:
        raise ValueError(f"{name}={value!r} is not a whole number of at least {least}")
    return whole
