"""Versions of installed packages."""

from __future__ import annotations

import importlib.metadata

UNKNOWN = "0+unknown"
"""Of a package that is not installed: such as this one, run from its source by PYTHONPATH."""


def version_of(package: str) -> str:
    """The version of an installed package, else `UNKNOWN`."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return UNKNOWN
