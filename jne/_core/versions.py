"""Versions of installed packages, and of the files that this one writes."""

from __future__ import annotations

import importlib.metadata

FORMAT_VERSION = 2
"""Version of the files this package writes; it grows when a reader must know the difference. From 2 on they hold a
digest of themselves (`jne._core.digests`)."""
UNKNOWN = "0+unknown"
"""Of a package that is not installed: such as this one, run from its source by PYTHONPATH."""


def version_of(package: str) -> str:
    """The version of an installed package, else `UNKNOWN`."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return UNKNOWN
