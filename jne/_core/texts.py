"""Parts of error messages, names of folders, and texts from data on their way to a page."""

from __future__ import annotations

import re
import sys
import unicodedata
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np

LISTED = 5
"""How many names an error lists before it only counts the rest."""

_HARMLESS = re.compile(r"(?!.*www\.)(-?\d+(\.\d+)?|[A-Za-z]([A-Za-z0-9 ,/()-]|\.(?=\w))*(?<! ))", re.ASCII)
_MARKUP = re.compile(r"[!-'*+.:<-@\[-`{-~\t\n\f\r\u2028\u2029]|^ | (?= )| $")
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0e-\x1f\x7f-\x9f]")


def listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - LISTED} more" if len(names) > LISTED else ""
    return ", ".join(names[:LISTED]) + more


def install_extra(extra: str) -> str:
    """How one of this package's extras is installed: from the clone, as the package is in no registry."""
    return f"in the folder of your clone of the repository, run: {sys.executable} -m pip install -e '.[{extra}]'"


def capital(text: str) -> str:
    """A text that begins a sentence: its first letter in upper case, the others as they are."""
    return text[:1].upper() + text[1:]


def folder_name(stem: str, taken: Collection[str] = ()) -> str:
    """The name of a folder for what comes from a file of this name without ending: no ``..``, and none that is taken.

    Examples
    --------
    >>> folder_name("monkey"), folder_name("html", {"html"}), folder_name("..")
    ('monkey', '_html', '_..')
    """
    # Some file systems do not tell HTML from html.
    return f"_{stem}" if stem.startswith(".") or stem.casefold() in taken else stem


def composed(text: str) -> str:
    """A name with one sign for each letter (NFC); some disks of Macs keep another form of it (NFD), which looks alike.

    Examples
    --------
    >>> composed("Hu\\u0308gel") == "Hügel"
    True
    """
    return text if text.isascii() else unicodedata.normalize("NFC", text)


def composed_each(texts: np.ndarray) -> np.ndarray:
    """`composed` for each of an array of texts; other values stay."""
    texts = np.asarray(texts)
    if texts.dtype.kind not in "UO" or all(str(text).isascii() for text in texts.ravel()):
        return texts
    changed = [composed(text) if isinstance(text, str) else text for text in texts.ravel().tolist()]
    return np.array(changed, object if texts.dtype.kind == "O" else str).reshape(texts.shape)


def encodable(text: str) -> str:
    """A text in which what UTF-8 cannot hold, a byte of a file's name that is no letter, is an escape."""
    return text.encode("utf-8", "backslashreplace").decode()


def encodable_attributes(attrs: Mapping[Any, Any]) -> dict[Any, Any]:
    """Attributes for a file, which names of other files are among."""
    return {name: encodable(value) if isinstance(value, str) else value for name, value in attrs.items()}


def printable(text: str) -> str:
    """A text in which what no page can hold is an escape."""
    return _CONTROL.sub(lambda found: f"\\x{ord(found[0]):02x}", encodable(text))


def as_written(text: object) -> str:
    """A text from data as Markdown, and as HTML, that shows it as it is written and does nothing else.

    The one door for what a file or a person names on its way to a page: no character of it begins markup, mathematics,
    a tag, an entity, a substitution or a line. It stands by itself (``bdi``), so that letters that are read from the
    right turn nothing around them, and quotation marks in it stay straight (`jne.book.sphinx_extension`).
    """
    plain = printable(str(text))
    if not plain or _HARMLESS.fullmatch(plain):
        return plain
    safe = _MARKUP.sub(lambda found: f"&#{ord(found[0])};", plain)
    return f'<bdi class="tex2jax_ignore mathjax_ignore">{safe}</bdi>'
