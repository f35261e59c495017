"""Many notebooks with many parameters: a grid file, expanded into runs, sent to a Dask cluster, summed up."""

from jne._core import install_extra, lazy_face

try:
    import distributed  # noqa: F401
    import psutil  # noqa: F401
    import rich  # noqa: F401
except ModuleNotFoundError as missing:
    raise ModuleNotFoundError(
        f"a batch needs {missing.name}, which is not installed; {install_extra('batch')}"
    ) from missing

__getattr__, __dir__, __all__ = lazy_face(__name__, __file__)
