"""The one door of notebooks: plain files within the limit of memory, with the parts that every notebook has."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from jne._core import RefusedError, read_text

if TYPE_CHECKING:
    import nbformat


def read_notebook(path: str | Path) -> nbformat.NotebookNode:
    """A notebook, in version 4 of the format.

    Raises
    ------
    ValueError
        If the file is no notebook, no plain file, or too large.
    """
    # Here, because a notebook that reads what others recorded imports this wing without it.
    import nbformat

    try:
        notebook = nbformat.reads(read_text(path, "notebook"), as_version=4)
        for cell in notebook.cells:
            _check_cell(cell)
    except RefusedError:
        raise
    except (nbformat.ValidationError, ValueError, KeyError, AttributeError, TypeError, RecursionError) as error:
        raise ValueError(f"{path} cannot be read as a notebook ({type(error).__name__}: {error})") from error
    return notebook


def _check_cell(cell: nbformat.NotebookNode) -> None:
    if not isinstance(cell.source, str) or not isinstance(cell.metadata.get("tags", []), list):
        raise ValueError("a cell without text, or with tags that are no list")
    for output in cell.get("outputs", ()):
        if not isinstance(output.output_type, str) or not isinstance(output.get("metadata", {}), dict):
            raise ValueError("an output without a type, or with metadata that are no object")
