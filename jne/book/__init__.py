"""The book: chapters as functions of their parameters, what they record, their pages, the build."""

from jne._core import lazy_face

__getattr__, __dir__, __all__ = lazy_face(__name__, __file__)
