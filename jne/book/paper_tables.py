"""The rows of the page that goes through the paper: what it says, what came out here, and the figure to look at."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from jne._core import as_written, capital
from jne.book.counterparts import ChapterFigure
from jne.book.paper_facts import FACES, LEADING, PARTS, ROWS, STATEMENTS, Row
from jne.study import spoken_verdict

Pictures = Mapping[str, str]
"""Anchor of a figure -> where its small picture is, relative to the page."""


@dataclass(frozen=True)
class PaperRow:
    """A row of `jne.book.paper_facts.ROWS`, and what came out of it here.

    Attributes
    ----------
    row : Row
    verdicts : tuple of dict
        As of `jne.study.replicate`, one for each of its statements.
    here : tuple of str
        Sentences with what chapters recorded. Markdown.
    figures : tuple of ChapterFigure
        Its counterparts in the chapters.
    """

    row: Row
    verdicts: tuple[Mapping, ...]
    here: tuple[str, ...]
    figures: tuple[ChapterFigure, ...]


def paper_rows(
    records: Mapping[str, Mapping], verdicts: Iterable[Mapping], figures: Sequence[ChapterFigure]
) -> list[PaperRow]:
    """Every row of the paper with what came out here; nothing in it is computed from anything else.

    Parameters
    ----------
    records : mapping of str to mapping
        Of `chapter_records`.
    verdicts : iterable of mapping
        Of `jne.study.judge_studies` and `mathematics_claims`.
    figures : sequence of ChapterFigure
        Of `chapter_figures`.

    Returns
    -------
    list of PaperRow
        In the paper's order.

    Raises
    ------
    ValueError
        If a statement has no verdict.
    """
    by_id = {verdict["id"]: verdict for verdict in verdicts}
    if absent := [name for name in STATEMENTS if name not in by_id]:
        raise ValueError(f"verdicts: none on {', '.join(absent)}; needed: one on each of {', '.join(STATEMENTS)}")
    return [
        PaperRow(
            row,
            tuple(by_id[name] for name in row.statements),
            tuple(text for template in row.here if (text := _filled(template, records))),
            tuple(figure for figure in figures if any(_same(tag, row.figures) for tag in figure.paper)),
        )
        for row in ROWS
    ]


def face_of(part: str, figures: Sequence[ChapterFigure]) -> list[ChapterFigure]:
    """The one figure of the chapters to show with one of the paper's results; none where no chapter has any of it."""
    names = [(FACES[part],), *(row.figures for row in ROWS if row.part == part)]
    found = [figure for own in names for figure in figures if any(_same(tag, own) for tag in figure.paper)]
    return found[:1]


def _same(tag: str, names: Sequence[str]) -> bool:
    """Whether a figure's tag is one of these names, or a panel of one."""
    tag = re.sub(r"^fig(ure|\.)? *", "", tag.lower().strip())
    return tag in names or re.sub(r"[a-z]$", "", tag) in names


def _filled(template: str, records: Mapping[str, Mapping]) -> str:
    """A sentence on what was recorded; none where any of it was not."""
    shown = {chapter: {name: as_written(value) if isinstance(value, str) else value for name, value in own.items()}
             for chapter, own in records.items()}  # fmt: skip
    try:
        return template.format(**shown)
    except (KeyError, TypeError):  # not recorded, or recorded as missing
        return ""


def rows_text(rows: Sequence[PaperRow], part: str, pictures: Pictures) -> str:
    """The rows of one of `PARTS` as a table in MyST."""
    own = [row for row in rows if row.row.part == part]
    return _table(("In the paper", "Here"), [(_said(row.row), _came_out(row, pictures)) for row in own], "42 58")


def claims_text(
    words: Mapping[str, str], figures: Sequence[ChapterFigure] = (), pictures: Pictures | None = None
) -> str:
    """The paper's four results in MyST: what each says, the verdicts, and beside it, where there are any, a figure.

    Parameters
    ----------
    words : mapping of str to str
        Statement -> verdict in words, as of `jne.study.spoken_verdict`.
    """
    cells = []
    for part, leading in LEADING.items():
        lines = [f"- {STATEMENTS[name].text}: **{as_written(words[name])}**" for name in leading]
        shown = _picture(face_of(part, figures), pictures or {})
        cells.append(("\n".join([f"**{part}. {PARTS[part]}.**", "", *lines]), shown))
    if not figures:
        return "\n\n".join(text for text, _ in cells)
    return _table(("The paper says, and what came out here", "One figure"), cells, "55 45")


def _said(row: Row) -> str:
    return f"**{row.items}.** {row.does}\n\n{row.says}"


def _came_out(row: PaperRow, pictures: Pictures) -> str:
    parts = [_verdict_text(verdict) for verdict in row.verdicts]
    parts += [" ".join(row.here)] if row.here else []
    parts += [row.row.note] if row.row.note else []
    if row.figures:
        parts.append(_picture(row.figures, pictures))
    elif row.row.page:
        parts.append(f"To be found in {{doc}}`{row.row.page}`.")
    else:
        parts.append("No chapter has a figure of it.")
    return "\n\n".join(parts)


def _verdict_text(verdict: Mapping) -> str:
    """A statement, the verdict on it, its reason: the first sentence, and folded what follows."""
    condition = spoken_verdict(verdict)
    reason = verdict["reason"]
    if verdict["verdict"] == "holds only if":
        reason = re.sub(r"^Only if ", "", reason)
        reason = reason[len(condition.partition(" only if ")[2]) :].lstrip(".: ")
        reason = capital(reason)
    first, _, rest = reason.partition(". ")
    text = f"{STATEMENTS[verdict['id']].text}: **{as_written(condition)}**. {as_written(first.rstrip('.') + '.')}"
    if rest:
        text += f"\n\n:::{{dropdown}} More\n:class-container: jne-more\n{as_written(rest)}\n:::"
    return text


def _picture(figures: Sequence[ChapterFigure], pictures: Pictures) -> str:
    """A small picture of the first figure that leads to it, and links to all."""
    if not figures:
        return ""
    first = figures[0]
    # The book numbers its figures from the first chapter to the last, so Sphinx fills in the number.
    links = ", ".join(f"{{numref}}`{one.title}, figure {{number}} <{one.anchor}>`" for one in figures)
    alt = json.dumps(" ".join(f"{first.title}: {first.alt}".split()), ensure_ascii=False)
    return (
        f"```{{image}} {pictures[first.anchor]}\n:alt: {alt}\n:target: {first.chapter}.html#{first.anchor}\n"
        f":class: jne-small\n```\n\n{links}"
    )


def _table(head: tuple[str, str], cells: Sequence[tuple[str, str]], widths: str) -> str:
    lines = ["``````{list-table}", ":header-rows: 1", ":class: jne-paper", f":widths: {widths}", ""]
    for left, right in (head, *cells):
        for mark, text in (("* - ", left), ("  - ", right)):
            first, *rest = text.split("\n") or [""]
            lines += [mark + first, *(f"    {line}" if line else "" for line in rest)]
    return "\n".join([*lines, "``````"])
