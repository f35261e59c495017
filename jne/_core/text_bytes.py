"""Bytes that should be text: UTF-8, UTF-16 that says so, or one sentence that says where they are none."""

from __future__ import annotations

import codecs

import numpy as np

from jne._core.memory import RefusedError

_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_SHOWN = 24
"""Characters of a text that an error shows."""


def decoded(content: bytes, place: str, separator: str | None = None) -> str:
    """The text of these bytes in UTF-8, or in UTF-16 with the mark of it, without marks before it.

    Parameters
    ----------
    content : bytes
    place : str
        With what the error begins, such as ``"stimuli: trials.csv"``.
    separator : str, optional
        Of the columns of a table, whose names are in its first line.

    Raises
    ------
    RefusedError
        If they are in another encoding. It names the line, the column of a table, and the text as Windows (cp1252),
        which differs from Latin-1 in few characters, would read it.

    Examples
    --------
    >>> decoded("Hügel".encode("latin-1"), "atlas names: areas.txt")
    Traceback (most recent call last):
        ...
    jne._core.memory.RefusedError: atlas names: areas.txt is not in UTF-8: line 1 has 'Hügel', if it is in Latin-1 ...
    """
    wide, content = content.startswith(_UTF16), content.removeprefix(codecs.BOM_UTF8)
    try:
        return content.decode("utf-16" if wide else "utf-8")
    except UnicodeDecodeError as error:
        if wide:
            raise RefusedError(f"{place} begins like text in UTF-16, and is not whole in UTF-16: {error}") from error
        start = error.start
    before = content[:start]
    line_start = before.rfind(b"\n") + 1
    line, text = before.count(b"\n") + 1, content[line_start:].split(b"\n", 1)[0].strip(b"\r")
    where = f"line {line}"
    if separator:
        cut, names = separator.encode(), content.split(b"\n", 1)[0].split(separator.encode())
        number = before[line_start:].count(cut)
        text = text.split(cut)[number]
        if line_start and number < len(names):
            where += f", column {shown(names[number])}"
    raise RefusedError(
        f"{place} is not in UTF-8: {where} has {shown(text)!r}, if it is in Latin-1 or cp1252, as Windows and Excel "
        "write it. `iconv -f CP1252 -t UTF-8 OLD > NEW` makes it so, or save it as UTF-8"
    )


def decoded_each(values: np.ndarray, place: str) -> np.ndarray:
    """An array of bytes as text, see `decoded`."""
    return np.array([decoded(bytes(value), place) for value in values.ravel().tolist()], str).reshape(values.shape)


def shown(content: bytes) -> str:
    """The beginning of a text in cp1252, in which a few bytes mean nothing."""
    text = content.strip().decode("cp1252", "backslashreplace")
    return text[:_SHOWN] + "..." * (len(text) > _SHOWN)
