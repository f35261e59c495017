"""A batch as pages: small multiples over the grid, a table, and every executed notebook."""

from __future__ import annotations

import hashlib
import re
import shutil
import warnings
from dataclasses import replace
from pathlib import Path

import matplotlib.pyplot as plt
import nbformat
import pandas as pd
import yaml

from jne._core import as_written, printable, sha256
from jne.batch.grid import Grid, Run
from jne.batch.run import read_record
from jne.batch.summary import flatten
from jne.book import (
    check_target,
    copy_sources,
    figure_source,
    fit_to_data,
    lay_out,
    make_html,
    make_presentable,
    path_hider,
    presentable,
    publish,
    read_notebook,
)  # fmt: skip
from jne.plotting import describe, figure_grid, figure_scalars, make_drawable, page_pixels, result_label, set_style

_MOST = 12
"""Results with one value for each run, and results with several, that are drawn; the others are in the summary."""


def build_pages(grid: Grid, folder: Path, table: pd.DataFrame) -> Path:
    """Build HTML of a batch in ``folder / "html"``; its ``index.html``.

    Parameters
    ----------
    grid : Grid
        Its root is a book, whose settings and style the pages take.
    folder : Path
        With the executed notebooks.
    table : pandas.DataFrame
        Of `summary_table`.

    Raises
    ------
    ValueError
        If there is no book around the grid file.
    """
    if not (grid.root / "_config.yml").is_file():
        raise ValueError(f"--book: no book (_toc.yml and _config.yml) in {grid.root}; put the grid file into a clone")
    stage, html = folder / "pages", folder / "html"
    check_target(html)
    references = [Path("book/references.md")] if (grid.root / "book/references.md").is_file() else []
    values = copy_sources(grid.root, stage, references)
    chapters = []
    set_style()
    hide = path_hider([run.parameters for run in grid.runs], grid.root)
    table = table.map(lambda value: hide(value) if isinstance(value, str) else value)
    shown = replace(grid, runs=tuple(replace(run, varied=presentable(run.varied)) for run in grid.runs))
    for stem in dict.fromkeys(run.notebook.stem for run in grid.runs):
        runs = [run for run in shown.runs if run.notebook.stem == stem]
        executed = [run for run in runs if table["executed"].notna()[run.id]]
        executed = [_executed_page(run, folder, stage, grid.root, values) for run in executed]
        (stage / f"{_page(stem)}.md").write_text(_notebook_page(stem, runs, table, stage), encoding="utf-8")
        chapters.append({"file": _page(stem), "sections": executed} if executed else {"file": _page(stem)})
    (stage / "index.md").write_text(_index(shown, table), encoding="utf-8")
    chapters += [{"file": str(page.with_suffix(""))} for page in references]
    (stage / "_toc.yml").write_text(yaml.safe_dump({"format": "jb-book", "root": "index", "chapters": chapters}))
    config = yaml.safe_load((stage / "_config.yml").read_text(encoding="utf-8"))
    config["title"] = f"Batch {printable(grid.name)}"
    # The theme writes its logo's text as HTML.
    logo = {"text": as_written(config["title"])}
    config["sphinx"]["config"].setdefault("html_theme_options", {})["logo"] = logo
    (stage / "_config.yml").write_text(yaml.safe_dump(config, sort_keys=False))
    # Not strict: a notebook may refer to chapters of the book that are not here.
    publish(make_html(stage, folder / "sphinx", strict=False), html)
    return html / "index.html"


def _executed_page(run: Run, folder: Path, stage: Path, root: Path, values: dict[str, str]) -> dict[str, str]:
    target = stage / "runs" / f"{_run_page(run)}.ipynb"
    target.parent.mkdir(exist_ok=True)
    shutil.copyfile(folder / "runs" / f"{run.name}.ipynb", target)
    record = read_record(folder / "runs", run) or {}
    if record.get("notebook_sha256", (found := sha256(target))) != found:
        warnings.warn(f"{folder / 'runs' / target.name}: this notebook was changed after its run", stacklevel=2)
    make_presentable(target, record.get("parameters", run.parameters), root)
    notebook = read_notebook(target)
    heading = next((c for c in notebook.cells if c.cell_type == "markdown" and c.source.startswith("# ")), None)
    if heading is None:
        heading = nbformat.v4.new_markdown_cell(f"# {as_written(run.notebook.stem)}")
        notebook.cells.insert(0, heading)
    first, _, rest = heading.source.partition("\n")
    heading.source = f"{first}: {as_written(_named(run))}\n{rest}" if run.varied else heading.source
    nbformat.write(notebook, target)
    fit_to_data(target, record.get("parameters", run.parameters))
    lay_out(target, run.notebook.name, {"run": run.id}, values=values)
    return {"file": f"runs/{target.stem}"}


def _page(stem: str) -> str:
    """The name of a page or figure: that of its notebook, where it is a plain one and no other page has it."""
    if re.fullmatch(r"[\w-]+", stem, re.ASCII) and stem not in ("index", "genindex", "search"):
        return stem
    name = stem.encode("utf-8", "surrogateescape")
    return f"{re.sub(r'[^A-Za-z0-9]+', '_', stem)[:40]}-{hashlib.sha256(name).hexdigest()[:8]}"


def _run_page(run: Run) -> str:
    return f"{_page(run.notebook.stem)}-{run.id}"


def _title(stem: str) -> str:
    """In Markdown; a name that is more than words and underscores as it is."""
    return as_written(stem.replace("_", " ").capitalize() if _page(stem) == stem else stem)


def _varied(runs: list[Run]) -> list[str]:
    return list(dict.fromkeys(name for run in runs for name in flatten(run.varied)))


def _named(run: Run) -> str:
    return ", ".join(f"{name.split('.')[-1]} {value}" for name, value in run.varied.items())


def _index(grid: Grid, table: pd.DataFrame) -> str:
    counts = ", ".join(f"{count} {status}" for status, count in table["status"].value_counts().items())
    done = table[table["status"] == "done"]
    lines = [f"# Batch {as_written(grid.name)}", f"{len(table)} runs: {counts}."]
    if len(done):
        lines.append(
            f"A run that is done took {done['seconds'].median():.0f} s in the median and {done['seconds'].max():.0f} s "
            f"at most, and had up to {done['peak_memory'].max() / 1e9:.1f} GB in memory."
        )
    lines.append("\n".join(f"* [{_title(stem)}]({_page(stem)}.md)" for stem in dict.fromkeys(table["notebook"])))
    parameters = pd.DataFrame([flatten(presentable(run.parameters)) for run in grid.runs])
    same = [name for name in parameters if parameters[name].map(str).nunique() == 1]
    if same:
        lines += ["All runs have:", "\n".join(f"* {_code(f'{name}: {parameters[name].iloc[0]}')}" for name in same)]
    if len(bad := [run for run in grid.runs if table["status"][run.id] != "done"]):
        lines += ["## Not done", _runs_table(bad, table, ["status", "error"])]
    return "\n\n".join(lines) + "\n"


def _notebook_page(stem: str, runs: list[Run], table: pd.DataFrame, stage: Path) -> str:
    rows = table.loc[[run.id for run in runs]]
    results = rows.filter(regex=r"^result\.").rename(columns=lambda name: name.removeprefix("result."))
    results = results.dropna(axis="columns", how="all")
    varied = [name for name in _varied(runs) if rows[name].map(str).nunique() > 1]
    synthetic = results.get("synthetic", rows.get("data", pd.Series(dtype=object)) == "synthetic")
    prefix = "Synthetic responses: " if synthetic.eq(True).any() else ""
    results = results[[name for name in results if results[name].dropna().map(type).isin((int, float)).all()]]
    frame = rows[varied].join(results.drop(columns=varied, errors="ignore"))
    nested = list(dict.fromkeys(name.split(".")[0] for name in results if "." in name))[:_MOST]
    single = [name for name in results if "." not in name][:_MOST]
    lines = [f"# {_title(stem)}"]
    for name in nested:
        figure = figure_grid(frame, name, varied, prefix + result_label(name))
        lines.append(
            _figure(figure, stage, f"{stem}-{name}", "One colour scale for all panels; empty where a run is missing.")
        )
    if single:
        figure = figure_scalars(frame, single, varied, f"{prefix}results with one value per run")
        lines.append(_figure(figure, stage, f"{stem}-scalars", "One dot is one run."))
    return "\n\n".join([*lines, "## Runs", _runs_table(runs, table, ["status", "seconds", "peak memory"])]) + "\n"


def _figure(figure, stage: Path, name: str, caption: str) -> str:
    path = Path("figures") / f"{_page(name)}.png"
    (stage / path).parent.mkdir(exist_ok=True)
    alt = describe(figure)
    caption = " ".join(filter(None, (caption, make_drawable(figure))))
    figure.savefig(stage / path, dpi=200)
    plt.close(figure)
    return figure_source(str(path), caption, alt=alt, width=page_pixels(figure))


def _runs_table(runs: list[Run], table: pd.DataFrame, columns: list[str]) -> str:
    """A Markdown table; the first column leads to the executed notebook."""
    varied = _varied(runs)
    header = ["notebook", *(as_written(name.split(".")[-1]) for name in varied), *columns]
    lines = [" | ".join(header), " | ".join("---" for _ in header)]
    for run in runs:
        row, name = table.loc[run.id], as_written(run.notebook.stem)
        link = name if pd.isna(row["executed"]) else f"[{name}](runs/{_run_page(run)}.ipynb)"
        values = flatten(run.varied)
        shown = {"status": row["status"], "error": "" if pd.isna(row["error"]) else _code(row["error"].split("\n")[0])}
        if not pd.isna(row["seconds"]):
            shown |= {"seconds": f"{row['seconds']:.0f}", "peak memory": f"{row['peak_memory'] / 1e6:.0f} MB"}
        cells = [*(as_written(values.get(name, "")) for name in varied), *(shown.get(name, "") for name in columns)]
        lines.append(" | ".join([link, *cells]))
    return "\n".join(f"| {line} |" for line in lines)


def _code(text: str) -> str:
    return f"<code>{as_written(text)}</code>"
