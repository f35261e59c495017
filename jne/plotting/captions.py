"""Captions and remarks: templates that are filled with numbers and names, each of which is recorded."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from jne._core import RECORD_KEY, as_written, plain_value, record_entry


class Each(dict):
    """One piece of text for each entry of a mapping; what `each` returns."""

    text: str


def each(template: str, values: Mapping | pd.Series | pd.DataFrame, between: str = ", ") -> Each:
    """A piece of text for each entry of ``values``, as one number of `show` or `remark`.

    Parameters
    ----------
    template : str
        With the fields ``{name}`` and ``{value}``; where a name has several values, ``{name}`` and theirs.
    values : mapping, pandas.Series or pandas.DataFrame
        Numbers and texts by name, or mappings of several by name; of a data frame, the row of each name.
    between : str, default=", "
        What stands between two pieces.

    Returns
    -------
    Each
        A mapping of the values by name, of several by ``name.key``, which is what is recorded.

    Examples
    --------
    >>> from jne.plotting import each
    >>> each("{value:.2f} ({name})", {"linear": 0.0, "sine": 0.71}).text
    '0.00 (linear), 0.71 (sine)'
    """
    found, texts = Each(), []
    for name, value in values.iterrows() if isinstance(values, pd.DataFrame) else values.items():
        plain = plain_value(str(name), value)
        several = isinstance(plain, dict)
        found |= {f"{name}.{key}": item for key, item in plain.items()} if several else {str(name): plain}
        texts.append(template.format(name=as_written(name), **_shown(plain if several else {"value": plain})))
    found.text = between.join(texts)
    return found


def fill(template: str, numbers: Mapping[str, Any]) -> tuple[str, dict[str, list]]:
    """The text, and the metadata of the output that shows it; without numbers the template is the text."""
    if not numbers:
        return template, {}
    plain = {name: value if isinstance(value, Each) else plain_value(name, value) for name, value in numbers.items()}
    text = template.format(**{name: _shown(value) for name, value in plain.items()})
    return text, {RECORD_KEY: [record_entry(name, value) for name, value in plain.items()]}


def _shown(value):
    """As the template formats it: names and other texts as they are written."""
    if isinstance(value, Each):
        return value.text
    if isinstance(value, dict):
        return {name: _shown(item) for name, item in value.items()}
    return as_written(value) if isinstance(value, str) else value
