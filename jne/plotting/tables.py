"""Tables of the chapters, with the names a reader knows."""

from __future__ import annotations

import pandas as pd
from IPython.display import display

from jne._core import as_written
from jne.measures import short_label

_COLUMNS = {
    "rho": "ρ",
    "p": "p (permuted areas)",
    "p_smooth": "p (smooth maps)",
    "with_truth": f"ρ with {short_label('true_nonlinearity')}",
    "with_ceiling": f"ρ with {short_label('noise_ceiling')}",
    "low": "95 % from",
    "high": "to",
    "n_subjects": "subjects",
    "n_areas": "areas",
    "n_voxels": "voxels",
}
_EFFECTS = {"rho": "ρ with the level", "later - early": "later areas − V1 to V4"}


def show_table(table: pd.DataFrame) -> None:
    """Display a table whose index names results, measures or effects, in one narrow column of row labels."""
    rows = [row if isinstance(row, tuple) else (row,) for row in table.index]
    words = [", ".join(_EFFECTS.get(name, short_label(str(name)).replace("\n", " ")) for name in row) for row in rows]
    table = table.set_axis(words, axis=0).rename(columns=_COLUMNS)
    formats = {name: _p_value if name.startswith("p (") else "{:+.2f}" for name in table.columns}
    formats |= dict.fromkeys(("subjects", "areas", "voxels"), "{:.0f}")
    shown = table.style.format({name: formats[name] for name in table.columns}, na_rep="–")
    display(shown.format_index(as_written))


def _p_value(p: float) -> str:
    return f"{p:.3f}" if p >= 0.001 else f"{p:.4f}"


def show_trends(table: pd.DataFrame) -> None:
    """Display what `jne.statistics.trend_tests` returns."""
    columns = ["rho", "p"] + (["p_smooth"] if table["p_smooth"].notna().any() else []) + ["n_areas", "n_voxels"]
    show_table(table[columns])
