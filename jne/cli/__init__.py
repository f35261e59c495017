"""The command line, one module per command; importing one registers it."""

from jne.cli import book, files, prepare, report
from jne.cli._main import main

__all__ = ["book", "files", "main", "prepare", "report"]
