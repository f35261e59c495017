"""How large the letters of a figure are where a page shows it."""

from matplotlib import pyplot as plt
from matplotlib.text import Text

from jne.plotting import PAGE_WIDTH, SMALL


def small_letters(figure):
    """Texts of a figure that are smaller than `SMALL` where a page shows them, with their size."""
    shrunk = min(1, PAGE_WIDTH / figure.get_figwidth())
    for ax in figure.axes:
        if ax.axison:  # which makes the texts at their ticks
            ax.get_xticklabels(), ax.get_yticklabels()
    texts = [text for text in figure.findobj(Text) if text.get_visible() and text.get_text().strip()]
    return [(text.get_text(), text.get_size() * shrunk) for text in texts if text.get_size() * shrunk < SMALL - 0.01]


def check_letters():
    """Of all figures that are open."""
    found = [small for number in plt.get_fignums() for small in small_letters(plt.figure(number))]
    assert not found, f"letters below {SMALL} points as a page of {PAGE_WIDTH} inches shows them: {found[:5]}"
