"""From images to features of a network, and the files that hold them."""

from jne._core import lazy_face

__getattr__, __dir__, __all__ = lazy_face(__name__, __file__)
