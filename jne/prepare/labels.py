"""Areas: what the numbers of an atlas mean, and which names mean that a place belongs to no area."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from jne._core import RefusedError, composed, listed, plain_file, read_table, read_text

_NO_AREA = {
    "unknown", "none", "nan", "background", "medialwall", "freesurferdefinedmedialwall",
    "backgroundfreesurferdefinedmedialwall", "corpuscallosum", "clearlabel", "unlabeled", "unlabelled", "nolabel",
    "unassigned", "notassigned", "unclassified", "undefined", "noarea", "noroi", "noregion", "nodata", "null", "empty",
    "ignore", "outside", "noncortex", "noncortical",
}  # fmt: skip
"""What atlases call a place that belongs to no area, without case, marks, and words of the hemisphere (or ROI)."""
_SIDE_WORDS = {"lh", "rh", "l", "r", "left", "right", "hemi", "ctx", "7networks", "17networks"}
_FILE_WORDS = {"roi", "label"}

_NUMBER = r"\s+\d*\.?\d+(?:[eE][+-]?\d+)?"
# Index, R, G, B, A, visible, mesh, "name".
_ITK_SNAP = re.compile(rf'\s*(-?\d+)(?:{_NUMBER}){{6}}\s+"(.*)"\s*$')
_TABLE_LINES = (
    _ITK_SNAP,
    # FSLeyes: index, R, G, B, name
    re.compile(rf"\s*(-?\d+)(?:{_NUMBER}){{3}}\s+(\D.*?)\s*$"),
    # FreeSurfer's colour table: index, name, R, G, B, A
    re.compile(r"\s*(-?\d+)\s+(\S.*?)(?:\s+\d{1,3}){4}\s*$"),
    re.compile(r"\s*(-?\d+)\s+(\S.*?)(?:\s+\d{1,3}){3}\s*$"),
    # a number and a name
    re.compile(r"\s*(-?\d+)\s+(\S.*?)\s*$"),
)


def is_none(name: str) -> bool:
    """Whether an atlas means by this name that a place belongs to no area."""
    words = re.findall(r"[^\W_]+", name.casefold())
    kept = [word for word in words if word not in _SIDE_WORDS]
    if not set(kept) - _FILE_WORDS:  # "", "???", "L_???_ROI", but not "L"
        return not words or "?" in name
    short = [word for word in kept if word not in _FILE_WORDS]
    return name.casefold() in ("n/a", "<na>") or bool({"".join(kept), "".join(short)} & _NO_AREA)


def one_name_each(pairs: Iterable[tuple[int, str]], path: Path) -> dict[int, str]:
    """Number -> name; an error where one number has two names, of which only one could be meant."""
    names: dict[int, str] = {}
    for index, name in ((index, composed(name)) for index, name in pairs):
        if names.setdefault(index, name) != name:
            raise ValueError(
                f"atlas names: {path} gives the number {index} two names, {names[index]!r} and {name!r}; keep one"
            )
    return names


def read_label_names(path: str | Path) -> dict[int, str]:
    """Names of an atlas.

    Parameters
    ----------
    path : path
        A ``.csv`` or ``.tsv`` with the columns ``index`` and ``name``; or text with a number and a name a line, as the
        colour tables of FreeSurfer and FSLeyes and ITK-SNAP's label descriptions have them. Colours are ignored.

    Raises
    ------
    ValueError
        If it is none of these, or gives a number two names.
    """
    path = Path(path)
    if not plain_file(path, "atlas names").is_file():
        raise ValueError(f"atlas names: there is no file {path}")
    try:
        pairs = _table(path) if path.suffix.lower() in (".csv", ".tsv") else _lines(path)
    except RefusedError:
        raise
    except (KeyError, ValueError, IndexError) as error:
        raise ValueError(
            f"atlas names: {path} cannot be read ({error}); needed: a .csv or .tsv with the columns index and name, a "
            "FreeSurfer colour table (index, name, ...), or ITK-SNAP's label description"
        ) from error
    return one_name_each(pairs, path)


def read_label_column(path: str | Path, column: str, *, needed: bool = True) -> dict[str, str]:
    """Another column of a table that names an atlas, by name; where it is empty, the name is left out.

    Raises
    ------
    ValueError
        If it is needed and not there, or gives one name two values.
    """
    path = Path(path)
    table = _read(path) if path.suffix.lower() in (".csv", ".tsv") else pd.DataFrame()
    if column not in table:
        if needed:
            raise ValueError(
                f"atlas names: {path} has no column {column!r}; it has {', '.join(map(str, table)) or 'no columns'}"
            )
        return {}
    found: dict[str, str] = {}
    for name, value in zip(table["name"].str.strip(), table[column].str.strip(), strict=True):
        if value and found.setdefault(name := composed(name), value) != value:
            raise ValueError(f"atlas names: {path} gives {name} two values of {column}, {found[name]} and {value}")
    return found


def _read(path: Path) -> pd.DataFrame:
    separator = "\t" if path.suffix.lower() == ".tsv" else ","
    return read_table(path, "atlas names", sep=separator, dtype=str, keep_default_na=False)


def _table(path: Path) -> list[tuple[int, str]]:
    table = _read(path)
    index = pd.to_numeric(table["index"])
    if (index != index.round()).any():
        raise ValueError(f"index holds {index[index != index.round()].iloc[0]:g}, which is no whole number")
    return list(zip(index.astype(int).tolist(), table["name"].str.strip(), strict=True))


def _lines(path: Path) -> list[tuple[int, str]]:
    pairs = []
    for number, line in enumerate(read_text(path, "atlas names").splitlines(), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        match = next(filter(None, (pattern.match(line) for pattern in _TABLE_LINES)), None)
        if match is None:
            raise ValueError(f"line {number} is {line.strip()[:60]!r}, not a number and a name")
        name = match[2].strip().strip("\"'").strip()
        coloured = len(line.split()) > 2
        if (
            coloured
            and not match[2].startswith('"')
            and re.match(r"[\d.]+(?:\s|$)", name)
            and match.re is not _ITK_SNAP
        ):
            raise ValueError(f"line {number} has numbers where a name should be: {line.strip()[:60]!r}")
        pairs.append((int(match[1]), name))
    return pairs


def name_labels(labels: np.ndarray, names: Mapping[int, str] | None, path: Path) -> np.ndarray:
    """Area of each place from whole numbers; empty for none.

    Parameters
    ----------
    labels : array
        NaN is no area.
    names : mapping, optional
        Number -> name. A number of 0 or below that is not named is no area, nor is one whose name says so (`is_none`).
        Without names, areas are called by their numbers, and 0 and below are none.
    path : Path
        What errors name.
    """
    known = ~np.isnan(labels) if labels.dtype.kind == "f" else np.ones(labels.shape, bool)
    numbers, inverse = np.unique(labels[known], return_inverse=True)
    if numbers.dtype.kind == "f" and not (np.isfinite(numbers) & (numbers == np.round(numbers))).all():
        raise ValueError(f"atlas: {path} holds values that are not whole numbers; needed: one label per voxel")
    present = [int(number) for number in numbers]
    if names is not None and (unnamed := [str(label) for label in present if label > 0 and label not in names]):
        raise ValueError(f"atlas: {len(unnamed)} labels of {path} have no name ({listed(unnamed)})")
    called = [(str(n) if n > 0 else "") if names is None else names.get(n, "") for n in present]
    area = np.full(labels.shape, "", object)
    area[known] = np.array(["" if is_none(name) else name for name in called], object)[inverse.ravel()]
    return area
