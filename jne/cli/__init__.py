"""The command line, one module per command; importing one registers it."""

from jne.cli import batch, book, categories, features, files, prepare, prepare_maps, prepare_nsd, replicate, report
from jne.cli._main import main

__all__ = [
    "batch",
    "book",
    "categories",
    "features",
    "files",
    "main",
    "prepare",
    "prepare_maps",
    "prepare_nsd",
    "replicate",
    "report",
]
