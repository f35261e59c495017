"""The size of letters is set in one place, and no figure is wider than the page that shows it."""

import ast
from pathlib import Path

import matplotlib.pyplot as plt
import pytest
from letters import small_letters

from jne.plotting import PAGE_WIDTH, SMALL, page_pixels, set_style

SOURCES = sorted((Path(__file__).resolve().parents[2] / "jne/plotting").glob("*.py"))
SIZES = ("fontsize", "labelsize", "title_fontsize", "colorbar_fontsize")
AS_STYLE = ("medium", "large")  # of the style's own size


def given_sizes(path):
    """Sizes of letters in a module: values of keywords and of the keys of dictionaries."""
    for node in ast.walk(ast.parse(path.read_text())):
        pairs = [(node.arg, node.value)] if isinstance(node, ast.keyword) else []
        if isinstance(node, ast.Dict):
            pairs = [
                (key.value, value)
                for key, value in zip(node.keys, node.values, strict=True)
                if isinstance(key, ast.Constant)
            ]
        yield from (value for name, value in pairs if name in SIZES)


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.stem)
def test_sizes_of_letters_are_the_style_s(path):
    for value in given_sizes(path):
        if isinstance(value, ast.Constant):
            assert value.value in AS_STYLE or (not isinstance(value.value, str) and value.value >= SMALL), value.value
        else:
            assert ast.unparse(value) in ("SMALL", "fontsize"), ast.unparse(value)


def test_the_style_has_no_smaller_letters_and_a_page_shows_them_as_they_are():
    with plt.rc_context():
        set_style()
        figure, ax = plt.subplots(figsize=(PAGE_WIDTH, 2))
        ax.set(xlabel="x", ylabel="y", title="a title")
        ax.plot([0, 1], label="a line")
        ax.legend(title="a legend")
        figure.suptitle("over all")
        assert not small_letters(figure)
        # CSS has 96 pixels to the inch and 72 points: what is made 8.5 points high is shown so in the column of 691.
        assert page_pixels(figure) == 691
    ax.set_xlabel("x", fontsize=6)
    assert [text for text, _ in small_letters(figure)] == ["x"]
    plt.close(figure)
