"""Parts of error messages."""

from __future__ import annotations

from collections.abc import Sequence

LISTED = 5
"""How many names an error lists before it only counts the rest."""


def listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - LISTED} more" if len(names) > LISTED else ""
    return ", ".join(names[:LISTED]) + more
