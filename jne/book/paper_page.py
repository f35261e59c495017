"""The tables of the pages that go through the paper, displayed in a notebook with their small pictures beside it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from IPython.display import Markdown, display

from jne.book.counterparts import ChapterFigure
from jne.book.paper_facts import LEADING
from jne.book.paper_tables import PaperRow, claims_text, face_of, rows_text

_FOLDER = "_paper"


def show_rows(rows: Sequence[PaperRow], part: str) -> None:
    """Display what the paper says in one of its results, "I" to "IV" or "A", and what came out here.

    Parameters
    ----------
    rows : sequence of PaperRow
        Of `paper_rows`.
    part : str
    """
    pictures = _place([figure for row in rows if row.row.part == part for figure in row.figures[:1]])
    display(Markdown(rows_text(rows, part, pictures)))


def show_claims(words: Mapping[str, str], figures: Sequence[ChapterFigure] = ()) -> None:
    """Display the paper's four results: what each says, the verdicts in words, and, of these, one figure of each.

    Parameters
    ----------
    words : mapping of str to str
        Statement -> verdict in words, as `book/paper.ipynb` records them under ``verdict``.
    figures : sequence of ChapterFigure
        Of `chapter_figures`.
    """
    pictures = _place([figure for part in LEADING for figure in face_of(part, figures)])
    display(Markdown(claims_text(words, figures, pictures)))


def _place(figures: Sequence[ChapterFigure]) -> dict[str, str]:
    """Copy the small pictures to where the page finds them."""
    folder = Path(os.environ.get("JNE_PAGE_FOLDER", ".")) / _FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    for figure in figures:
        shutil.copyfile(figure.picture, folder / f"{figure.anchor}.png")
    return {figure.anchor: f"{_FOLDER}/{figure.anchor}.png" for figure in figures}
