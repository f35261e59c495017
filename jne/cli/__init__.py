"""The command line, one module per command; importing one registers it."""

from jne.cli import book, features, files, prepare, prepare_maps, report
from jne.cli._main import main

__all__ = ["book", "features", "files", "main", "prepare", "prepare_maps", "report"]
