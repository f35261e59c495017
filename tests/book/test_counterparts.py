"""A chapter that comes after others finds the figures that they show for the paper's."""

import base64
import io

import matplotlib

matplotlib.use("Agg")

import nbformat
import numpy as np
import pytest
from PIL import Image

from jne.book import chapter_figures
from jne.book.counterparts import FIGURES, LARGEST, figure_anchor, figures_digest, small_picture, write_figures


def png(width, height, seed=0):
    pixels = np.random.default_rng(seed).integers(0, 255, (height, width, 3), np.uint8)
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "PNG")
    return out.getvalue()


def executed(*papers, seed=0):
    """A notebook with one figure for each of these, and one without a counterpart between them."""
    v4 = nbformat.v4
    cells = [v4.new_markdown_cell("# A title, in words\n\nMore.")]
    for number, paper in enumerate(papers):
        shown = {"caption": f"Caption {number}.", "alt": "Lines.", "width": 600, "about": {}}
        shown |= {"paper": paper} if paper else {}
        picture = base64.b64encode(png(60, 40, seed + number)).decode()
        output = v4.new_output("display_data", {"image/png": picture}, metadata={"jne": shown})
        cells.append(v4.new_code_cell("show()", outputs=[output]))
    return v4.new_notebook(cells=cells)


def test_figures_with_a_counterpart_are_found_where_the_page_has_them(tmp_path, monkeypatch):
    notebooks = {"one": executed(["5", "15"], None, ["6"]), "two": executed(None)}
    monkeypatch.setenv(FIGURES, str(write_figures(notebooks, tmp_path / "figures")))
    first, second = chapter_figures()
    assert (first.chapter, first.number, first.paper, first.anchor) == ("one", 1, ("5", "15"), "fig-one-1")
    assert (second.number, second.anchor, second.caption) == (3, "fig-one-3", "Caption 2.")
    assert first.title == "A title, in words"
    assert Image.open(first.picture).size == (60, 40)


def test_without_a_build_it_says_how(monkeypatch):
    monkeypatch.delenv(FIGURES, raising=False)
    with pytest.raises(ValueError, match="jne book --only"):
        chapter_figures()


def test_what_is_kept_of_a_page_changes_with_the_figures_it_shows_and_with_no_other():
    digest = lambda **of: figures_digest({"one": executed(["5"], None, **of)})  # noqa: E731
    assert digest() == digest() != digest(seed=1)
    assert digest() == figures_digest({"one": executed(["5"])}) != figures_digest({"one": executed(["6"])})


def test_small_pictures_are_small_and_keep_their_shape():
    noise = small_picture(png(1000, 500))
    small = Image.open(io.BytesIO(noise))
    assert small.width == 2 * small.height and small.width < 1000
    # What is hardest to pack is made as narrow as there is.
    plain = io.BytesIO()
    Image.new("RGB", (1000, 500), "white").save(plain, "PNG")
    plain = small_picture(plain.getvalue())
    assert len(plain) <= LARGEST and Image.open(io.BytesIO(plain)).size == (480, 240)


def test_a_figure_is_called_as_its_page_calls_it():
    """Sphinx makes dashes of what stands between words, and links of the landing page lead to the id."""
    assert figure_anchor("spatial_distribution", 6) == "fig-spatial-distribution-6"
