"""How the files of a study become a dataset file (`jne prepare ...`)."""

from jne._core import lazy_face

__getattr__, __dir__, __all__ = lazy_face(__name__, __file__)
