"""The command line, one module per command; importing one registers it."""

from jne.cli import (
    batch,
    book,
    categories,
    features,
    files,
    measure,
    prepare,
    prepare_algonauts,
    prepare_maps,
    prepare_nsd,
    prepare_things,
    replicate,
    report,
)
from jne.cli._main import main

__all__ = [
    "batch",
    "book",
    "categories",
    "features",
    "files",
    "main",
    "measure",
    "prepare",
    "prepare_algonauts",
    "prepare_maps",
    "prepare_nsd",
    "prepare_things",
    "replicate",
    "report",
]
