"""Parts of error messages, and names of folders."""

from __future__ import annotations

from collections.abc import Collection, Sequence

LISTED = 5
"""How many names an error lists before it only counts the rest."""


def listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - LISTED} more" if len(names) > LISTED else ""
    return ", ".join(names[:LISTED]) + more


def folder_name(stem: str, taken: Collection[str] = ()) -> str:
    """The name of a folder for what comes from a file of this name without ending: no ``..``, and none that is taken.

    Examples
    --------
    >>> folder_name("monkey"), folder_name("html", {"html"}), folder_name("..")
    ('monkey', '_html', '_..')
    """
    # Some file systems do not tell HTML from html.
    return f"_{stem}" if stem.startswith(".") or stem.casefold() in taken else stem
