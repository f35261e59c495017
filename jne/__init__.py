"""Jacobian-based nonlinearity of neural encoding models.

The names of this package load on first use, so that ``import jne`` and ``jne --help`` are quick.
"""

import importlib.metadata

from jne._core import lazy_face, wait_asleep

wait_asleep()
__version__ = importlib.metadata.version("jne")
__getattr__, __dir__, _names = lazy_face(__name__, __file__)
__all__ = ["__version__", *_names]
