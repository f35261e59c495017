"""Every figure's caption says what one should see, with numbers that the code computed and recorded."""

import ast
import os
import re
from html import unescape
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).resolve().parents[2]
CHAPTERS = sorted(path.stem for path in (ROOT / "book").glob("*.ipynb"))
BOOK = Path(os.environ.get("JNE_BOOK", ROOT / "_build/html")).resolve()
NO_NUMBERS = {"result", "alt", "paper"}
CAPTION = re.compile(
    r'<span class="caption-number">[^<]*</span><span class="caption-text">(.*?)</span>\s*(?:<a class="headerlink|</p>)',
    re.DOTALL,
)


def shown(source):
    """The calls of `show` in a cell; of IPython's magics and the like there are none in chapters."""
    calls = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)]
    return [call for call in calls if isinstance(call.func, ast.Name) and call.func.id == "show"]


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_every_figure_is_shown_with_numbers(chapter):
    for cell in nbformat.read(ROOT / f"book/{chapter}.ipynb", as_version=4).cells:
        for call in shown(cell.source) if cell.cell_type == "code" else []:
            given = {keyword.arg for keyword in call.keywords} - NO_NUMBERS  # None stands for **numbers
            assert given, ast.get_source_segment(cell.source, call)


def without_numbers(page):
    """The captions of a built page in which no digit stands."""
    captions = [unescape(re.sub(r"<[^>]+>", "", found)).strip() for found in CAPTION.findall(page)]
    return [text for text in captions if not re.search(r"\d", text)]


def test_a_caption_without_a_number_is_found():
    page = '<p><span class="caption-number">Fig. 7 </span><span class="caption-text">{}</span></p>'
    assert without_numbers(page.format("JNE of <em>all</em> voxels.")) == ["JNE of all voxels."]
    assert without_numbers(page.format("JNE of all voxels, 0.31.")) == []


@pytest.mark.browser
@pytest.mark.parametrize("chapter", CHAPTERS)
def test_every_caption_of_the_built_book_has_a_number(chapter):
    path = BOOK / f"book/{chapter}.html"
    if not path.is_file():
        pytest.skip(f"no {path}: run `make book` first")
    assert without_numbers(path.read_text(encoding="utf-8")) == []
