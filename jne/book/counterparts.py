"""The counterparts of the paper's figures in the chapters that ran before: where each is, and a small picture of it."""

from __future__ import annotations

import base64
import hashlib
import io
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from PIL import Image

from jne._core import read_json, write_json
from jne.book.notebook_files import read_notebook

FIGURES = "JNE_FIGURES"
"""The environment variable that names, for a chapter that comes after others, the file of figures that these show."""
LARGEST = 20_000
"""Bytes of a small picture, at most."""
_WIDTHS = (480, 400, 320, 240, 160)


@dataclass(frozen=True)
class ChapterFigure:
    """A figure that a chapter shows as the counterpart of some of the paper's.

    Attributes
    ----------
    chapter : str
    number : int
        Among the figures of the chapter, from 1.
    title : str
        Of the chapter.
    paper : tuple of str
        The paper's figures and tables, such as "5" or "table 4".
    caption : str
        Markdown.
    alt : str
    picture : str
        Path of a small PNG of at most `LARGEST` bytes.
    """

    chapter: str
    number: int
    title: str
    paper: tuple[str, ...]
    caption: str
    alt: str
    picture: str

    @property
    def anchor(self) -> str:
        """The name of the figure in the book."""
        return figure_anchor(self.chapter, self.number)


def figure_anchor(chapter: str, number: int) -> str:
    """The name of the ``number``-th figure of a chapter in the book, which is its id on the page, too."""
    return f"fig-{chapter.replace('_', '-')}-{number}"


def chapter_figures() -> list[ChapterFigure]:
    """The figures that the chapters before this one show with ``paper=``, in the order of chapters and pages.

    Which chapters these are, a notebook says in its metadata, as for `chapter_records`.

    Raises
    ------
    ValueError
        If the notebook runs on its own, where nobody has run the others.
    """
    if not (path := os.environ.get(FIGURES)):
        raise ValueError("this chapter shows figures of others: run it with `jne book --only CHAPTER`")
    found = read_json(path, "figures of chapters")
    return [ChapterFigure(**{**one, "paper": tuple(one["paper"])}) for one in found["figures"]]


def paper_figures(notebook: Path | Mapping) -> list[dict]:
    """Of an executed notebook, the metadata of each figure with ``paper``, with its ``number`` and its ``png``."""
    content = notebook if isinstance(notebook, Mapping) else read_notebook(notebook)
    outputs = [output for cell in content["cells"] for output in cell.get("outputs", ())]
    shown = [output for output in outputs if isinstance(output.get("metadata", {}).get("jne"), Mapping)]
    return [
        {**output["metadata"]["jne"], "number": number, "png": output["data"]["image/png"]}
        for number, output in enumerate(shown, 1)
        if output["metadata"]["jne"].get("paper")
    ]


def notebook_title(notebook: Mapping) -> str:
    """The heading of a notebook's first cell."""
    return notebook["cells"][0]["source"].partition("\n")[0].removeprefix("# ")


def figures_digest(notebooks: Mapping[str, Mapping]) -> str:
    """What changes with any of the figures that `write_figures` would hand over."""
    found = {name: [(one["number"], one["paper"], one["png"]) for one in paper_figures(notebook)]
             for name, notebook in notebooks.items()}  # fmt: skip
    return hashlib.sha256(repr(found).encode()).hexdigest()[:16]


def write_figures(notebooks: Mapping[str, Mapping], folder: Path) -> Path:
    """Write what `chapter_figures` reads: a list of figures, and small pictures beside it."""
    listed = []
    for chapter, notebook in notebooks.items():
        for shown in paper_figures(notebook):
            picture = folder / f"{figure_anchor(chapter, shown['number'])}.png"
            folder.mkdir(parents=True, exist_ok=True)
            picture.write_bytes(small_picture(base64.b64decode(shown["png"])))
            about = {"paper": tuple(shown["paper"]), "caption": shown["caption"], "alt": shown["alt"]}
            about |= {"title": notebook_title(notebook), "picture": str(picture.absolute())}
            listed.append(asdict(ChapterFigure(chapter, shown["number"], **about)))
    return write_json({"figures": listed}, folder / "figures.json", sort_keys=False)


def small_picture(content: bytes) -> bytes:
    """A PNG of at most `LARGEST` bytes of a larger one, as wide as they allow."""
    image = Image.open(io.BytesIO(content)).convert("RGB")
    for width in _WIDTHS:
        size = (min(width, image.width), max(1, round(image.height * min(width, image.width) / image.width)))
        smaller = image.resize(size, Image.Resampling.LANCZOS)
        out = io.BytesIO()
        smaller.quantize(64, Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE).save(out, "PNG", optimize=True)
        if out.tell() <= LARGEST:
            break
    return out.getvalue()
