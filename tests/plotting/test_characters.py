"""Names in figures: in any script where a font has it, in one sentence where none has, and never as mathematics."""

import io
import re
import warnings

import numpy as np
import pytest
import xarray as xr
from matplotlib import cbook, font_manager
from matplotlib import pyplot as plt
from matplotlib.text import Text

from jne import plotting
from jne._core import as_written
from jne.plotting import characters
from jne.plotting.characters import make_drawable, plain

NAMES = ["V1", "第一次視覚野", "V2_$x$", "a$\\frac$b", "初级 (FFA)"]


@pytest.fixture(autouse=True)
def closed():
    characters._fonts_with.cache_clear()
    yield
    characters._fonts_with.cache_clear()


@pytest.fixture
def without_fonts(monkeypatch):
    """A machine with matplotlib's own fonts and no other."""
    own = [entry for entry in font_manager.fontManager.ttflist if "mpl-data" in entry.fname]
    monkeypatch.setattr(font_manager.fontManager, "ttflist", own)
    monkeypatch.setattr(characters, "findSystemFonts", list)


@pytest.fixture
def font(tmp_path, monkeypatch, without_fonts):
    """The path of a font of the system that has the Chinese and Japanese characters of the names, and no Latin ones."""
    builder = pytest.importorskip("fontTools.fontBuilder").FontBuilder(1000, isTTF=True)
    pen = pytest.importorskip("fontTools.pens.ttGlyphPen").TTGlyphPen(None)
    for step, point in zip((pen.moveTo, pen.lineTo, pen.lineTo), ((0, 0), (800, 0), (400, 800)), strict=True):
        step(point)
    pen.closePath()
    codes = {ord(c): "triangle" for c in "".join(NAMES) if ord(c) > 0x2E80}
    builder.setupGlyphOrder([".notdef", "triangle"])
    builder.setupCharacterMap(codes)
    builder.setupGlyf({".notdef": pen.glyph(), "triangle": pen.glyph()})
    builder.setupHorizontalMetrics({".notdef": (900, 0), "triangle": (900, 0)})
    builder.setupHorizontalHeader(ascent=800, descent=-200)
    builder.setupNameTable({"familyName": "Triangles", "styleName": "Regular"})
    builder.setupOS2()
    builder.setupPost()
    builder.save(tmp_path / "triangles.ttf")
    monkeypatch.setattr(characters, "findSystemFonts", lambda: [str(tmp_path / "triangles.ttf")])
    return tmp_path / "triangles.ttf"


def result():
    roi = np.repeat(NAMES, 8).astype(object)
    rng = np.random.default_rng(0)
    return xr.Dataset({"roi": ("voxel", roi), "jne": ("voxel", rng.random(roi.size) + np.arange(roi.size))})


def drawn(figure):
    """The figure as an SVG whose texts are texts; a warning is an error."""
    content = io.StringIO()
    with plt.rc_context({"svg.fonttype": "none"}), warnings.catch_warnings():
        warnings.simplefilter("error")
        figure.savefig(content, format="svg")
        figure.savefig(io.BytesIO(), format="png")
    return re.sub("<!--.*?-->", "", content.getvalue(), flags=re.DOTALL)


def labels(figure):
    return [label.get_text() for label in figure.axes[0].get_yticklabels()]


def test_without_a_font_numbers_stand_for_names_and_one_sentence_says_so(without_fonts):
    figure = plotting.figure_areas({"s1": result()}, ["jne"])
    sentence = make_drawable(figure)
    drawn(figure)
    assert labels(figure) == ["V1", "[1]", r"V2_\$x\$", r"a\$\frac\$b", "[2] (FFA)"]
    assert sentence.startswith("No font of this machine has the characters of some names")
    assert f"[1] is {as_written('第一次視覚野')}, [2] is {as_written('初级')};" in sentence
    assert sentence.count(". ") == 0


def test_a_font_of_the_system_that_has_the_characters_draws_them(font):
    figure = plotting.figure_areas({"s1": result()}, ["jne"])
    assert make_drawable(figure) == ""
    text = drawn(figure)
    assert "第一次視覚野" in text and "初级 (FFA)" in text
    families = {label.get_text(): label.get_fontfamily() for label in figure.axes[0].get_yticklabels()}
    assert families["第一次視覚野"][-1] == "Triangles" and "Triangles" not in families["V1"]


@pytest.mark.parametrize("name", ["V2_$x$", "$", "cost $5 or $6", "a$\\frac$b", "100 % $\\alpha$"])
def test_dollar_signs_are_drawn_as_they_are(name):
    figure, ax = plt.subplots()
    ax.set_yticks([0.0, 1], [plain(name), name])
    ax.set_title(name)
    assert make_drawable(figure) == ""
    text = re.sub(r"&#x?\w+;|&amp;", "", drawn(figure))
    assert text.count(name) == 3


NAMES_LIKE_NUMBERS = [
    r"$\mathbf{$",
    r"$\mathdefault{x}$",
    r"$\mathdefault{{$",
    "$10^2$",
    r"$\math$ and $y$",
    r"a $\mathrm{b}$",
]


@pytest.mark.parametrize("name", NAMES_LIKE_NUMBERS)
def test_names_that_look_like_numbers_of_an_axis_are_drawn_as_they_are(name):
    figure, ax = plt.subplots()
    ax.plot([1, 2], label=name)
    ax.legend()
    ax.set_title(name)
    figure.suptitle(f"layer {name}")
    make_drawable(figure)
    assert drawn(figure) and ax.get_title() == plain(name) and not cbook.is_math_text(ax.get_title())


def test_numbers_on_logarithmic_axes_stay_mathematics():
    figure, ax = plt.subplots()
    ax.set(xscale="log", xlim=(1e-3, 1e3), xlabel="V1_$x$")
    figure.canvas.draw()
    before = [label.get_text() for label in ax.get_xticklabels()]
    assert make_drawable(figure) == "" and any("mathdefault" in label for label in before)
    assert [label.get_text() for label in ax.get_xticklabels()] == before


def test_titles_legends_and_every_other_text_are_seen(without_fonts):
    figure, ax = plt.subplots()
    ax.plot([0, 1], label="被験者")
    ax.legend(title="層")
    ax.text(0, 0, "猫\n犬")
    figure.suptitle("結果")
    sentence = make_drawable(figure)
    drawn(figure)
    shown = "".join(text.get_text() for text in figure.findobj(Text))
    assert not set(shown) & set("被験者層猫犬結果")
    assert all(name in sentence for name in ("被験者", "層", "猫", "犬", "結果"))


def test_a_shown_figure_has_the_sentence_in_its_caption_and_the_names_in_its_description(without_fonts, monkeypatch):
    shown = []
    monkeypatch.setattr(plotting.style, "display", lambda item, metadata=None: shown.append((item, metadata)))
    figure, ax = plt.subplots()
    ax.set_title("視覚野_$x$")
    plotting.show(figure, "What one sees.")
    content = shown[0][1]["jne"]
    assert content["alt"] == "視覚野_$x$."
    assert content["caption"].startswith("What one sees. No font of this machine") and "視覚野" in content["caption"]
    assert ax.get_title() == r"[1]_\$x\$"
