"""Names in figures as they were given: in the characters of any script, and never as mathematics."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache

from matplotlib import cbook
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties, findfont, findSystemFonts, fontManager, get_font
from matplotlib.text import Text
from matplotlib.ticker import FixedLocator

from jne._core import as_written

# Numbers on logarithmic axes, and what all of an axis are multiplied with, are set as mathematics by matplotlib itself.
_OWN = r"\\mathdefault\{(?:[-\u2212+\d.,]|\\times|\^\{[-\u2212+\d.]*\})*\}"
_NUMBER = re.compile(rf"\$(?:\\times|{_OWN})+\$")
_ALIKE = ("Noto Sans", "Source Han Sans", "Gothic", "Hei", "Hiragino", "Sans")


def plain(text: str) -> str:
    """``text`` such that matplotlib takes no dollar sign in it for the beginning of mathematics."""
    return re.sub(r"(?<!\\)\$", r"\\$", text)


def make_drawable(figure: Figure) -> str:
    """Give every text of a figure a font that has its characters.

    Characters that no font of this machine has are replaced by numbers in square brackets.

    Returns
    -------
    str
        One sentence, in Markdown, on what the numbers stand for; empty where nothing was replaced.
    """
    _rewrite(figure, lambda text: plain(text) if cbook.is_math_text(text) and not _NUMBER.fullmatch(text) else text)
    texts = figure.findobj(Text)
    missing = {c for text in texts for c in text.get_text() if not c.isspace() and c not in _characters(_family(text))}
    if not missing:
        return ""
    fonts, without = _fonts_with(frozenset(missing))
    for text in texts:
        if fonts and missing & set(text.get_text()):
            text.set_fontfamily([*text.get_fontfamily(), *fonts])
    if not without:
        return ""
    names: dict[str, str] = {}
    runs = re.compile(f"[{''.join(map(re.escape, sorted(without)))}]+")
    _rewrite(figure, lambda text: runs.sub(lambda run: names.setdefault(run[0], f"[{len(names) + 1}]"), text))
    listed = ", ".join(f"{number} is {as_written(name)}" for name, number in names.items())
    return (
        f"No font of this machine has the characters of some names, so numbers stand for them: {listed}; with a font "
        "that has them, such as Noto Sans CJK, they are drawn."
    )


def _rewrite(figure: Figure, change: Callable[[str], str]) -> None:
    """Change every text; those of ticks in their axis, which would write them anew."""
    for axis in figure.findobj(Axis):
        labels = [label.get_text() for label in axis.get_ticklabels()]
        changed = [change(label) for label in labels]
        if changed != labels and isinstance(axis.get_major_locator(), FixedLocator):
            axis.set_ticklabels(changed)
    for text in figure.findobj(Text):
        if (changed := change(text.get_text())) != text.get_text():
            text.set_text(changed)


def _family(text: Text) -> tuple[str, ...]:
    return tuple(text.get_fontfamily())


@cache
def _characters(family: tuple[str, ...]) -> set[str]:
    """What the fonts of these names have, each name's best font."""
    return set().union(*(_of_file(findfont(FontProperties(family=[name]))) for name in family))


@cache
def _of_file(path: str) -> frozenset[str]:
    try:
        return frozenset(map(chr, get_font(path).get_charmap()))
    except (RuntimeError, OSError, ValueError):  # a file that is no font that can be drawn with
        return frozenset()


@cache
def _fonts_with(missing: frozenset[str]) -> tuple[list[str], set[str]]:
    """Names of installed fonts that together have these characters, few of them; and the characters of none."""
    known = {entry.fname for entry in fontManager.ttflist}
    # Matplotlib's list is as old as its cache.
    for path in sorted(set(findSystemFonts()) - known):
        try:
            fontManager.addfont(path)
        except (RuntimeError, OSError, ValueError):
            continue
    fonts, left = [], set(missing)
    # Upright fonts without serifs look like the rest; a last resort has boxes for everything.
    entries = [entry for entry in fontManager.ttflist if "last" not in entry.name.lower() and entry.style == "normal"]
    for entry in sorted(entries, key=lambda entry: (not any(word in entry.name for word in _ALIKE), entry.name)):
        if left and entry.name not in fonts and (found := left & _of_file(entry.fname)):
            fonts.append(entry.name)
            left -= found
    return fonts, left
