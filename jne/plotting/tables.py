"""Tables of the chapters, with the names a reader knows."""

from __future__ import annotations

import pandas as pd
from IPython.display import display

from jne.plotting.labels import short_label

_COLUMNS = {
    "rho": "ρ",
    "p": "p, permuted areas",
    "p_smooth": "p, smooth maps",
    "with_truth": "ρ with planted share",
    "with_ceiling": "ρ with noise ceiling",
    "low": "95 % from",
    "high": "to",
    "n_subjects": "subjects",
}
_EFFECTS = {"rho": "ρ with the level", "later - early": "later areas − V1 to V4"}


def show_table(table: pd.DataFrame) -> None:
    """Display a table whose index names results, measures or effects."""
    table = table.rename(index=lambda name: _EFFECTS.get(name, short_label(str(name)).replace("\n", " ")))
    table = table.rename_axis([None] * table.index.nlevels).rename(columns=_COLUMNS)
    formats = {name: "{:.4f}" if name.startswith("p, ") else "{:+.2f}" for name in table.columns}
    formats["subjects"] = "{:.0f}"
    display(table.style.format({name: formats[name] for name in table.columns}, na_rep="–"))


def show_trends(plain: pd.DataFrame, matched: pd.DataFrame | None = None) -> None:
    """Display results of `jne.trends.trend_tests`, beside them those of areas matched on the noise ceiling."""
    columns = ["rho", "p", "p_smooth"]
    table = plain[columns].rename(columns=_COLUMNS)
    if matched is not None:
        words = {"rho": "matched: ρ", "p": "p, permuted areas ", "p_smooth": "p, smooth maps "}
        table = table.join(matched[columns].rename(columns=words))
    show_table(table)
