"""From executed chapters to HTML: the folder that Jupyter Book reads, its run, the finished pages in place."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import yaml

from jne._core import DiskFullError, atomic_folder, existing_parent, need_space, size_of
from jne.book.execute import BookError
from jne.book.measured import measured_texts, put_in

_THEME = 20_000_000
"""Bytes of what every book has: styles, scripts, fonts."""
_JUPYTER_BOOK = """
import functools, os, sys, threading
# Its standard input is a pipe that ends when the process that started it does, however that ends.
threading.Thread(target=lambda: os.read(0, 1) or os._exit(1), daemon=True).start()
import jupyter_book.sphinx
from jupyter_book.cli.main import main
# Sphinx reads and writes pages side by side; Jupyter Book's command has no option for it.
jobs = int(sys.argv.pop(1))
jupyter_book.sphinx.build_sphinx = functools.partial(jupyter_book.sphinx.build_sphinx, jobs=jobs)
sys.exit(main())
"""


def copy_sources(root: Path, stage: Path, documents: Iterable[Path]) -> dict[str, str]:
    """Make ``stage`` anew: the book's settings and static files, and ``documents`` at the paths they have in it.

    Returns
    -------
    dict
        What `measured_texts` has for ``{{name}}`` in the text of notebooks; in that of other documents it is put in.
    """
    shutil.rmtree(stage, ignore_errors=True)
    shutil.copytree(root / "book", stage / "book", ignore=shutil.ignore_patterns("*.ipynb", ".*"))
    values = measured_texts(root)
    for document in documents:
        (stage / document).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(root / document, stage / document)
        if document.suffix == ".md":
            text = put_in((root / document).read_text(encoding="utf-8"), values)
            (stage / document).write_text(text, encoding="utf-8")
    shutil.copyfile(root / "_toc.yml", stage / "_toc.yml")
    config = yaml.safe_load((root / "_config.yml").read_text(encoding="utf-8"))
    sphinx = config.setdefault("sphinx", {}).setdefault("config", {})
    if mathjax := importlib.util.find_spec("sphinx-mathjax-offline"):
        # One file with its glyphs as SVG: Firefox loads no fonts for a page opened from disk.
        source, target = Path(mathjax.origin).parent / "static/mathjax", stage / "_mathjax/mathjax"
        shutil.copytree(source / "input/tex/extensions", target / "input/tex/extensions")
        shutil.copyfile(source / "tex-svg.js", target / "tex-svg.js")
        sphinx["mathjax_path"] = "mathjax/tex-svg.js"
        sphinx["html_static_path"] = [*sphinx.get("html_static_path", []), "_mathjax"]
    _set_repository(config)
    (stage / "_config.yml").write_text(yaml.safe_dump(config, sort_keys=False), encoding="utf-8")
    return values


def _set_repository(config: dict) -> None:
    """Buttons that lead to the repository (source, issues, Binder, Colab): all of them where its address is known."""
    repository = config.setdefault("repository", {})
    repository["url"] = (os.environ.get("JNE_REPOSITORY") or repository.get("url") or "").removesuffix("/")
    known = bool(repository["url"])
    config.setdefault("html", {}).update(use_repository_button=known, use_issues_button=known)
    if not known:
        config["launch_buttons"] = {}


def make_html(stage: Path, target: Path, *, strict: bool = True, jobs: int = 1) -> Path:
    """Run Jupyter Book on ``stage`` in ``jobs`` processes; every warning is an error if ``strict``.

    Starts anew, as a second run repeats no warnings.
    """
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    size = _THEME + 2 * size_of(stage)
    need_space(target / "html", size)
    options = ["build", str(stage), "--path-output", str(target), *(["-W", "-n", "--keep-going"] if strict else [])]
    log = target / "log.txt"
    with log.open("w", encoding="utf-8") as stream:
        command, variables = [sys.executable, "-c", _JUPYTER_BOOK, str(jobs), *options], os.environ | {"NO_COLOR": "1"}
        streams = {"stdin": subprocess.PIPE, "stdout": stream, "stderr": subprocess.STDOUT}
        # No shell: this Python, with folders of the book as arguments.
        with subprocess.Popen(command, env=variables, **streams) as run:  # noqa: S603
            run.wait()
    html = target / "_build/html"
    if run.returncode or not (html / "index.html").is_file():
        said = log.read_text(encoding="utf-8", errors="replace")
        if "No space left" in said:
            raise DiskFullError(target / "html", size)
        lines = re.sub(r"\x1b\[[0-9;]*m", "", said).replace(f"{stage}/", "").splitlines()
        bad = [line for line in lines if re.search(r"\b(WARNING|ERROR|CRITICAL)\b", line)]
        raise BookError("the pages are not in order:\n\n" + "\n".join(bad or lines[-15:]) + f"\n\nThe whole log: {log}")
    return html


def check_target(out: Path) -> None:
    """Refuse to replace a folder that is no book."""
    if out.is_file() or (out.is_dir() and any(out.iterdir()) and not (out / "searchindex.js").is_file()):
        raise ValueError(f"out: {out} holds something else than a book; give a new or an empty folder")


def publish(html: Path, out: Path) -> None:
    """Move the finished pages to ``out`` in one step, so that a book is there at any time."""
    moved = html.stat().st_dev == existing_parent(out).stat().st_dev
    with atomic_folder(out, 0 if moved else size_of(html)) as part:
        for item in html.iterdir():
            shutil.move(item, part)
    html.rmdir()
