"""The command line, one module per command; importing one registers it."""

from jne.cli import batch, book, files, prepare
from jne.cli._main import main

__all__ = ["batch", "book", "files", "main", "prepare"]
