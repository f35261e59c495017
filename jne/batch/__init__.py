"""Many notebooks with many parameters: a grid file, expanded into runs, sent to a Dask cluster, summed up."""

import sys

from jne._core import lazy_face

try:
    import distributed  # noqa: F401
    import psutil  # noqa: F401
    import rich  # noqa: F401
except ModuleNotFoundError as missing:
    raise ModuleNotFoundError(
        f"a batch needs {missing.name}, which is not installed. In the repository's folder, run: "
        f"{sys.executable} -m pip install -e '.[batch]'"
    ) from missing

__getattr__, __dir__, __all__ = lazy_face(__name__, __file__)
