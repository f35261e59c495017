"""What every wing uses: files and their cache, memory, the device, checks of arguments, texts.

For the other wings of `jne` only; nothing is promised to anybody else.
"""

from jne._core.lazy import lazy_face

__getattr__, __dir__, __all__ = lazy_face(__name__, __file__)
