"""What was written, as lines for a terminal."""

from __future__ import annotations

import textwrap
from collections import Counter
from collections.abc import Mapping
from typing import Any

from jne._core import VOXEL, plural

_KINDS = {".nii.gz": "NIfTI", ".dscalar.nii": "CIFTI", ".func.gii": "GIFTI", ".mgh": "MGH"}
_LISTED = ("r2", "r2_linear", "noise_ceiling", "explained", "jne", "relative", "nonlinear_share", "validated_share")


def export_text(summary: Mapping[str, Any], folder: str, width: int = 100) -> str:
    """The content of a ``summary.json`` as lines of at most ``width`` characters.

    Parameters
    ----------
    summary : mapping
    folder : str
        Where it is, as the person called it.
    width : int
    """
    voxels, values = summary["voxels"], summary["values"]
    unit = summary.get("unit", VOXEL)
    counts = [f"{voxels['all']} {plural(unit)}", *(f"{n} {word}" for word, n in voxels.items() if word != "all")]
    lines = [line for text in summary.get("first", ()) for line in textwrap.wrap(text, width)]
    lines += [f"{summary['parameters'].get('data', 'result')}: {', '.join(counts)}", ""]
    lines.append(f"  {'over ' + plural(unit):<28}{'n':>7}{'25 %':>9}{'median':>9}{'75 %':>9}")
    for name in _LISTED:
        if (entry := values.get(name, {})).get("median") is not None:
            cells = "".join(f"{entry[key]:9.3f}" for key in ("q25", "median", "q75"))
            lines.append(f"  {entry['label']:<28}{entry['n']:>7}{cells}")
    kinds = Counter(kind for file in summary["files"] for ending, kind in _KINDS.items() if file.endswith(ending))
    others = [file for file in summary["files"] if not file.endswith(tuple(_KINDS))] + ["summary.json"]
    said = ", ".join([*(f"{n} {kind} maps" for kind, n in kinds.items()), *others])
    lines += ["", *textwrap.wrap(f"Written to {folder}: {said}.", width, break_long_words=False)]
    if not kinds:
        lines += textwrap.wrap(f"No maps: {summary['place'].get('reason', 'there is nothing to draw')}.", width)
    return "\n".join(lines)
