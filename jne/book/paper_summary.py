"""The four results of the paper with their verdicts, and one strip of cortex: kept in a file, for who reads no book."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import xarray as xr

from jne._core import capital, read_json, write_text
from jne.book.paper_facts import LEADING, PARTS, STATEMENTS

SUMMARY = Path("book/_static/claims.json")
"""Where it is kept in a clone; `benchmarks/claims.py` writes it."""
_SIGNIFICANT = "significant"
_DIGITS = 3


def write_summary(words: Mapping[str, str], result: xr.Dataset, params: str, path: Path) -> Path:
    """Keep verdicts in words, and what `jne.plotting.figure_strip` draws of the left hemisphere.

    Parameters
    ----------
    words : mapping of str to str
        Statement -> verdict, as the page that goes through the paper records them.
    result : xarray.Dataset
        Of `jne.run_study`, with places on fsLR-32k.
    params : str
        The parameter set that both are of.
    path : Path
    """
    from jne.plotting import STRIP

    result = result.isel(voxel=np.flatnonzero(result["hemisphere"].values.astype(str) == "left"))
    cortex = {name: [float(f"{value:.{_DIGITS}g}") if np.isfinite(value) else None for value in result[name].values]
              for name in STRIP}  # fmt: skip
    cortex |= {
        "vertex": result["vertex"].values.tolist(),
        _SIGNIFICANT: result[_SIGNIFICANT].values.astype(int).tolist(),
    }
    content = {"params": params, "synthetic": int(result.attrs.get("synthetic", 0))}
    content |= {"verdicts": {name: words[name] for leading in LEADING.values() for name in leading}, "cortex": cortex}
    # A line for each map, not for each of its values.
    text = json.dumps(content, indent=1, ensure_ascii=False)
    return write_text(re.sub(r",\n +(?=[-\d]|null)", ", ", text) + "\n", path)


def read_summary(path: Path) -> tuple[dict[str, str], xr.Dataset]:
    """What `write_summary` kept: the verdicts in words, and a result that `jne.plotting.draw_strip` takes."""
    content = read_json(path, "verdicts")
    cortex = {name: np.array(values, float) for name, values in content["cortex"].items()}
    cortex |= {"vertex": cortex["vertex"].astype(int), _SIGNIFICANT: cortex[_SIGNIFICANT].astype(bool)}
    cortex["hemisphere"] = np.full(len(cortex["vertex"]), "left", object)
    variables = {name: ("voxel", values) for name, values in cortex.items()}
    return content["verdicts"], xr.Dataset(variables, attrs={"synthetic": content["synthetic"]})


def summary_text(words: Mapping[str, str]) -> str:
    """The four results and the verdicts on what stands for them: a list in Markdown."""
    lines = []
    for part, leading in LEADING.items():
        found = "; ".join(f"{STATEMENTS[name].short}: **{words[name]}**" for name in leading)
        lines.append(f"* *{part}. {PARTS[part]}.* {capital(found)}.")
    return "\n".join(lines)


def minutes_text(texts: Mapping[str, str]) -> str:
    """How long the book takes, in a sentence; ``texts`` are those of `measured_texts`."""
    return f"`make book` takes {texts['demo_time']}, with `PARAMS=quick` {texts['quick_time']}."
