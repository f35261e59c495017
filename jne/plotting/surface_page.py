"""A page of one file that shows measures on both inflated hemispheres, to be turned with the mouse or the keyboard."""

from __future__ import annotations

import base64
import json
import os
import re
import zlib
from collections.abc import Sequence
from html import escape
from pathlib import Path

import numpy as np
import xarray as xr
from IPython.display import IFrame, display
from matplotlib import colormaps
from matplotlib.colors import to_rgb

from jne._core import atomic_path, hash_parameters
from jne.cortex import HEMISPHERES, MESH, drawn_mesh
from jne.measures import label_of, short_label
from jne.plotting.maps import NOT_SIGNIFICANT
from jne.plotting.style import cortical, title
from jne.plotting.surfaces import GYRUS, SULCUS, limits, on_surface

_TEMPLATE = Path(__file__).with_suffix(".html")
_GAP = 8.0  # millimetres between each hemisphere and the middle
_SCALE = 100  # steps of a millimetre
_NONE, _GREY = 65535, 65534  # codes of vertices without a value, and of those that are not significant
_HINT = "Turn: drag, arrow keys. Closer: scroll, + and −. Point at a place for its area and value."


def surface_page(result: xr.Dataset, measures: str | Sequence[str]) -> str:
    """A page that shows measures on the inflated cortex; it needs no network and no other file.

    Parameters
    ----------
    result : xarray.Dataset
        With ``vertex`` and ``hemisphere (voxel)``; see `has_surface`.
    measures : str or sequence of str
        Variables of the result: the page shows the first, and has a list to choose from. Those that the result does
        not have are left out.

    Returns
    -------
    str
        HTML. Values are in steps of 1/65,533 of a measure's range, places in hundredths of a millimetre.

    Raises
    ------
    ValueError
        If the result has none of the measures.
    """
    result, asked = cortical(result), [measures] if isinstance(measures, str) else list(measures)
    if not (found := [measure for measure in asked if measure in result]):
        raise ValueError(f"measures={asked}; the result has none of them, only {', '.join(map(str, result.data_vars))}")
    mesh = result["vertex"].attrs.get("mesh", MESH)
    meshes = {side: drawn_mesh(mesh, side) for side in HEMISPHERES}
    shown = {side: [_on(result, measure, mesh, side) for measure in found] for side in HEMISPHERES}
    names = {side: _area_names(result, mesh, side) for side in HEMISPHERES}
    areas = sorted(set(np.concatenate(list(names.values()))) | {""})
    places = {side: _apart(drawn.coordinates, side) for side, drawn in meshes.items()}
    ranges = [_range([shown[side][n] for side in HEMISPHERES]) for n in range(len(found))]

    content = b""
    for side, drawn in meshes.items():
        codes = [_codes(*values, one["min"], one["max"]) for values, one in zip(shown[side], ranges, strict=True)]
        grey = 255 * np.where(np.nan_to_num(drawn.depth) > 0, GYRUS, SULCUS)
        steps = np.diff(drawn.triangles.astype(int), axis=0, prepend=0)  # modulo 65,536
        content += np.round(places[side] * _SCALE).astype("<i2").tobytes()
        for array in (steps, *codes, np.searchsorted(areas, names[side]), grey):
            content += array.astype("<u2").tobytes()

    x, y, z = np.abs(np.concatenate(list(places.values()))).max(0)
    facts = {
        "parts": [
            {"side": side, "vertices": len(drawn.coordinates), "triangles": len(drawn.triangles)}
            for side, drawn in meshes.items()
        ],
        "measures": [
            {"label": label_of(measure), "name": short_label(measure), **one}
            for measure, one in zip(found, ranges, strict=True)
        ],
        "areas": areas,
        "scale": _SCALE,
        "palette": (colormaps["viridis"](np.linspace(0, 1, 256), bytes=True)[:, :3]).tobytes().hex(),
        "grey": to_rgb(NOT_SIGNIFICANT)[0],
        "reach": float(1.05 * max(y, z)),
        "aspect": float(max(x, y) / max(y, z)),
        "far": float(np.linalg.norm([x, y, z])),
        "hint": _HINT,
    }
    words = title(result, "inflated cortex")
    parts = {
        "TITLE": escape(words),
        "WORDS": escape(f"{words}, to turn: {', '.join(map(label_of, found))}"),
        "FACTS": json.dumps(facts).replace("<", "\\u003c"),  # nothing in a name may end the script
        "DATA": base64.b64encode(zlib.compress(content, 9)).decode(),
    }
    return re.sub("@(TITLE|WORDS|FACTS|DATA)@", lambda name: parts[name[1]], _TEMPLATE.read_text(encoding="utf-8"))


def show_surface(result: xr.Dataset, measures: str | Sequence[str]) -> None:
    """Display `surface_page` in a frame that a browser loads when it comes into view.

    The page is a file beside the notebook, in ``_static/views/``, or in the folder that the book is built in.

    Parameters
    ----------
    result : xarray.Dataset
    measures : str or sequence of str
        As in `surface_page`: the first is shown, the others can be chosen.
    """
    measures = [measures] if isinstance(measures, str) else [measure for measure in measures if measure in result]
    folder, source = Path.cwd(), "_static"
    if stage := os.environ.get("JNE_PAGE_FOLDER"):
        folder, source = Path(stage), "../_static"
    facts = [str(result.attrs.get(name, "")) for name in ("data", "layer", "seed", "data_hash")]
    name = f"surface-{hash_parameters({'measures': measures, 'facts': facts})}.html"
    with atomic_path(folder / "_static/views" / name) as part:
        part.write_text(surface_page(result, measures), encoding="utf-8")
    shown = ", ".join(map(label_of, measures))
    words = escape(f"Inflated cortex to turn with the mouse or the arrow keys: {title(result, shown)}")
    extras = ['loading="lazy"', f'title="{words}"', 'class="jne-view"']
    display(IFrame(f"{source}/views/{name}", width="100%", height=520, extras=extras))


def _on(result: xr.Dataset, measure: str, mesh: str, side: str) -> tuple[np.ndarray, np.ndarray]:
    mask = result["significant"].values if "significant" in result else np.ones(result.sizes["voxel"], bool)
    place = (result["vertex"].values, result["hemisphere"].values)
    return on_surface(result[measure].values, mask, *place, mesh=mesh, side=side)


def _apart(coordinates: np.ndarray, side: str) -> np.ndarray:
    """One hemisphere beside the middle, both of them centred ``(n_vertices, 3)``."""
    x, y, z = coordinates.T
    aside = -x.max() - _GAP if side == "left" else -x.min() + _GAP
    return np.column_stack([x + aside, y - (y.min() + y.max()) / 2, z - (z.min() + z.max()) / 2])


def _range(shown: Sequence[tuple[np.ndarray, np.ndarray]]) -> dict[str, float]:
    """Smallest and largest significant value of a measure, and the limits of its colours."""
    values = np.concatenate([values[significant & np.isfinite(values)] for values, significant in shown])
    norm = limits(values)
    ends = (values.min(), values.max()) if values.size else (norm.vmin, norm.vmax)
    return dict(zip(("min", "max", "low", "high"), map(float, (*ends, norm.vmin, norm.vmax)), strict=True))


def _codes(values: np.ndarray, significant: np.ndarray, least: float, most: float) -> np.ndarray:
    within = np.clip((np.nan_to_num(values) - least) / ((most - least) or 1), 0, 1)
    codes = np.where(significant, np.round(within * (_GREY - 1)), _GREY)
    return np.where(np.isfinite(values), codes, _NONE)


def _area_names(result: xr.Dataset, mesh: str, side: str) -> np.ndarray:
    """Area of each vertex that is drawn: of the mesh where it has any, else those of the result."""
    drawn = drawn_mesh(mesh, side)
    if drawn.areas is not None:
        return drawn.areas.astype(str)
    names = np.full(len(drawn.coordinates), "", object)
    if "roi" in result:
        vertex, here = result["vertex"].values, result["hemisphere"].values.astype(str) == side
        here = here & (vertex < len(names))
        names[vertex[here]] = result["roi"].values[here].astype(str)
    return names.astype(str)
