"""Jacobian-based nonlinearity of neural encoding models.

The names of this package load on first use, so that ``import jne`` and ``jne --help`` are quick.
"""

from jne._core import lazy_face, version_of, wait_asleep

wait_asleep()
__version__ = version_of("jne")
__getattr__, __dir__, _names = lazy_face(__name__, __file__)
__all__ = ["__version__", *_names]
