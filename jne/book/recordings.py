"""Pages on recordings: what must be known first, no prose about simulated responses, what is not shown last."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path

import nbformat

from jne._core import NOT_SHOWN, SAID_FIRST, VOXEL, in_units
from jne.book.notebook_files import read_notebook
from jne.book.parameter_cells import parse_cell

_APART = (
    "*Nothing on this page is from the recordings that this book was built on. It is about simulations, whose truth is "
    "known, or about measurements made elsewhere.*"
)
_PAPERS = re.compile(r"^(\* - .*?)(?=^  - )", re.MULTILINE | re.DOTALL)
"""In a table of which the left column is the paper's: a cell of that."""
_HEADING = re.compile(r"^(#{1,6}) +(.+)$")
_OF_SYNTHETIC = re.compile(r"#.*synthetic cort")
_LIST = "## What these data do not show\n\nWhat this chapter leaves out for these data, and why:\n\n"


def recorded_unit(values: Mapping) -> str | None:
    """What the responses of a chapter are of, by its parameter ``data``; None where they are no recordings."""
    path = Path(str(values.get("data", "")))
    return _unit(str(path), path.stat().st_mtime_ns) if path.suffix == ".nc" and path.is_file() else None


@cache
def _unit(path: str, changed: int) -> str | None:
    from jne.datasets import load_dataset  # only where there are recordings: it takes a second of every process

    try:
        data = load_dataset(path)
    except ValueError:  # a notebook of one's own may call another kind of file its data
        return None
    return None if data.synthetic else str(data.attrs.get("unit", VOXEL))


def fit_to_data(path: Path, values: Mapping) -> str | None:
    """Turn an executed notebook, in place, into one about the data it was run on, by its parameter ``data``.

    A cell says in its metadata, under ``jne``, where it is for: with ``{"only": "recordings"}`` it is left out of other
    pages; ``{"recordings": TEXT}`` stands in its place on those, and nothing, where that is empty.

    Returns
    -------
    str or None
        What voxels are called on the page; None where it is about no recordings.
    """
    if (unit := recorded_unit(values)) is not None:
        return fit_to_recordings(path, unit)
    notebook = read_notebook(path)
    kept = [cell for cell in notebook.cells if cell.metadata.get("jne", {}).get("only") != "recordings"]
    if len(kept) < len(notebook.cells):
        notebook.cells = kept
        nbformat.write(notebook, path)
    return None


def fit_to_recordings(path: Path, unit: str = VOXEL) -> str | None:
    """Turn an executed notebook on recordings, in place, into one that speaks of recordings, in their units.

    What must be known first stands below the title. Sections whose code shows nothing but what the data lack are
    folded, with all other such remarks, into one list before the last section. A notebook whose metadata say, under
    ``jne``, that it is ``simulated`` keeps its words, and says that it is not about the recordings.

    Returns
    -------
    str or None
        What voxels are called on the page; None of one that is not about the recordings.
    """
    notebook = read_notebook(path)
    if notebook.metadata.get("jne", {}).get("simulated"):
        notebook.cells.insert(1, nbformat.v4.new_markdown_cell(_APART))
        nbformat.write(notebook, path)
        return None
    cells = [own for cell in notebook.cells for own in _split(cell)]
    lacking: dict[str, list[str]] = {}
    kept = _without_empty(cells, lacking)
    if lacking:
        rows = [f"* **{title}**: {' '.join(texts)}" for title, texts in lacking.items()]
        last = max((i for i, cell in enumerate(kept) if _level(cell) == 2), default=len(kept))
        kept.insert(last, nbformat.v4.new_markdown_cell(_LIST + "\n".join(rows)))
    kept = _without_silent_end(_with_first(kept))
    for cell in kept:
        _name_units(cell, unit)
    notebook.cells = kept
    nbformat.write(notebook, path)
    return unit


def _split(cell: nbformat.NotebookNode) -> list[nbformat.NotebookNode]:
    """What stands for a cell on recordings: none, or cells that have a heading in their first line only."""
    own = cell.metadata.get("jne", {})
    if "recordings" in own:
        text = own["recordings"]
        if not text:
            return []
        cell.source = text if isinstance(text, str) else "\n".join(text)
    if cell.cell_type != "markdown":
        if "parameters" in cell.metadata.get("tags", []):
            cell.source = _without_synthetic(cell.source)
        return [cell]
    parts = re.split(r"(?m)^(?=#{1,6} )", cell.source)
    parts = [part.strip("\n") for part in parts if part.strip()]
    return [nbformat.v4.new_markdown_cell(part, metadata=cell.metadata) for part in parts]


def _without_synthetic(source: str) -> str:
    """Parameters without those that a comment, above or behind them, calls of the synthetic cortex."""
    lines, kept, start = source.splitlines(), [], 0
    for statement in parse_cell(source, "the cell tagged parameters").body:
        own = lines[start : statement.end_lineno]
        kept += [] if any(_OF_SYNTHETIC.search(line) for line in own) else own
        start += len(own)
    return "\n".join(kept + lines[start:])


def _name_units(cell: nbformat.NotebookNode, unit: str) -> None:
    """Call voxels what they are, in prose and in texts that code has shown."""
    if cell.cell_type == "markdown":
        cell.source = in_units(cell.source, unit)
    for output in cell.get("outputs", []):
        if "text" in output:
            output.text = in_units(output.text, unit)
        for kind in ("text/markdown", "text/html", "text/plain"):
            if kind in output.get("data", {}) and "<script" not in output.data[kind]:
                output.data[kind] = _in_units(output.data[kind], unit)


def _in_units(text: str, unit: str) -> str:
    """As `in_units`; what the paper did with its voxels stays."""
    if "* - In the paper\n" not in text:
        return in_units(text, unit)
    return "".join(part if part.startswith("* - ") else in_units(part, unit) for part in _PAPERS.split(text))


def _with_first(cells: list[nbformat.NotebookNode]) -> list[nbformat.NotebookNode]:
    """What must be known before anything else, below the title."""
    found = []
    for cell in cells:
        first = [output for output in cell.get("outputs", []) if _shown(output).startswith(SAID_FIRST)]
        if first:
            found += first
            cell.outputs = [output for output in cell.outputs if output not in first]
    if not found:
        return cells
    # Cells without source are left out of a page, with their outputs.
    said = nbformat.v4.new_code_cell(
        "# first",
        metadata={"tags": ["remove-input"]},
        outputs=[output for place, output in enumerate(found) if output not in found[:place]],
    )
    return [*cells[:1], said, *cells[1:]]


def _without_silent_end(cells: list[nbformat.NotebookNode]) -> list[nbformat.NotebookNode]:
    """Without code that shows nothing below the last output, which would be an empty fold."""
    seen = [cell.cell_type != "code" or "remove-cell" not in cell.metadata.get("tags", []) for cell in cells]
    last = max((place for place, cell in enumerate(cells) if seen[place] and cell.get("outputs")), default=len(cells))
    kept = {"parameters", "show-input", "remove-cell"}  # folds of their own, no fold, not on the page
    return [
        cell
        for place, cell in enumerate(cells)
        if place <= last or cell.cell_type != "code" or kept & set(cell.metadata.get("tags", []))
    ]


def _without_empty(cells: list[nbformat.NotebookNode], lacking: dict[str, list[str]]) -> list[nbformat.NotebookNode]:
    """Cells without sections that show nothing, and without remarks on what is lacking, which are noted by section."""
    kept, place = [], 0
    while place < len(cells):
        level = _level(cells[place])
        end = next((i for i in range(place + 1, len(cells)) if 0 < _level(cells[i]) <= level), len(cells))
        if level > 1 and (texts := _only_lacks(cells[place:end])):
            lacking.setdefault(_title(cells[place]), []).extend(texts)
            place = end
            continue
        cell = cells[place]
        if cell.cell_type == "code" and (texts := [_text(output) for output in cell.outputs if _is_lack(output)]):
            lacking.setdefault(_section(cells, place), []).extend(texts)
            cell.outputs = [output for output in cell.outputs if not _is_lack(output)]
        kept.append(cell)
        place += 1
    return kept


def _only_lacks(section: list[nbformat.NotebookNode]) -> list[str]:
    """What a section lacks, where its code shows nothing else; none where it shows something, or has no code."""
    outputs = [output for cell in section if cell.cell_type == "code" for output in cell.outputs]
    shown = [output for output in outputs if not _is_lack(output)]
    return [] if shown else list(dict.fromkeys(map(_text, outputs)))


def _is_lack(output: nbformat.NotebookNode) -> bool:
    return output.get("metadata", {}).get("jne") == NOT_SHOWN


def _shown(output: nbformat.NotebookNode) -> str:
    return str(output.get("data", {}).get("text/markdown", ""))


def _text(output: nbformat.NotebookNode) -> str:
    text = " ".join(_shown(output).split())
    return text.replace("**What this dataset cannot show.** It has no", "The file has no")


def _level(cell: nbformat.NotebookNode) -> int:
    found = _HEADING.match(cell.source.splitlines()[0]) if cell.cell_type == "markdown" and cell.source else None
    return len(found[1]) if found else 0


def _title(cell: nbformat.NotebookNode) -> str:
    found = _HEADING.match(cell.source.splitlines()[0])
    return found[2].rstrip("?") if found else ""


def _section(cells: list[nbformat.NotebookNode], place: int) -> str:
    return next((_title(cells[i]) for i in range(place, -1, -1) if _level(cells[i])), "")
