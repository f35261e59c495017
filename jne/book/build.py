"""Build the book: papermill executes every chapter, Jupyter Book makes HTML of the executed copies."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import jne
from jne.book.measured import measured
from jne.book.notebooks import (
    BookError,
    execute_notebook,
    existing_file,
    install_hint,
    make_presentable,
    read_parameters,
)
from jne.book.pages import glossary_terms, lay_out

try:
    import yaml
    from sphinx_external_toc.parsing import MalformedError, parse_toc_yaml
except ModuleNotFoundError as missing:
    raise ModuleNotFoundError(install_hint(missing)) from missing


def build_book(
    params: str | Path = "demo",
    data: str | Path | None = None,
    out: str | Path | None = None,
    *,
    only: Iterable[str] = (),
    root: str | Path | None = None,
    report: Callable[[str], object] = print,
) -> Path:
    """Execute the chapters and build the HTML book.

    Parameters
    ----------
    params : str or path, default="demo"
        A parameter set of ``book/params`` (``quick``, ``demo``, ``paper``) or a YAML file of your own.
    data : path, optional
        Dataset file (.nc) that takes the place of the parameter ``data`` in every chapter that has one.
    out : path, optional
        Folder of the HTML; by default ``_build/html``, or ``_build/<name of the data file>/html`` with ``data``. A
        book that is already there stays until the new one is complete.
    only : iterable of str, default=()
        Names of chapters; the others appear as they are in the repository, without figures. The default ``out``
        then ends in ``only/html``.
    root : path, optional
        Folder with ``_toc.yml``; found from the working folder or the package by default.
    report : callable, default=print
        Called with every line of progress.

    Returns
    -------
    Path
        The book's ``index.html``.

    Raises
    ------
    BookError
        If a cell of a chapter fails, or a page gives a warning.
    """
    root = find_root(root)
    chapters, pages = read_contents(root)
    selected = _select(only, chapters)
    data = None if data is None else existing_file(data, "data")
    values = read_parameters(params, {name: root / path for name, path in chapters.items()}, data=data, root=root)

    work = root / "_build"
    work = work / data.stem if data else work
    work = work / "only" if selected != list(chapters) else work
    out = (work / "html" if out is None else Path(out).expanduser()).resolve()
    check_target(out)

    stage = work / "stage"
    copy_sources(root, stage, [*pages, *chapters.values()])
    seconds = {}
    for name in selected:
        report(f"Running {chapters[name]} ...")
        start = time.perf_counter()
        execute_notebook(root / chapters[name], stage / chapters[name], values[name], root=root)
        seconds[name] = time.perf_counter() - start
    for name in selected:
        make_presentable(stage / chapters[name], values[name], root)

    report("Making the pages ...")
    start = time.perf_counter()
    downloads = {path: (stage / path).read_bytes() for path in chapters.values()}
    facts = {"parameters": f"{Path(params).name} (folded above)", "version": _version(root)}
    terms = glossary_terms(root / "book/glossary.md")
    for name, path in chapters.items():
        lay_out(stage / path, str(path), facts if name in selected else {}, terms)
    html = make_html(stage, work / "sphinx")
    for path, content in downloads.items():  # in place of the source of the page
        (html / "_sources" / path).write_bytes(content)
    publish(html, out)
    seconds["pages"] = time.perf_counter() - start

    for name, value in seconds.items():
        report(f"  {name:<{max(map(len, seconds))}} {value:7.1f} s")
    if skipped := [name for name in chapters if name not in selected]:
        report(f"Not executed, so without figures: {', '.join(skipped)}")
    report(f"The book is at {out / 'index.html'}")
    return out / "index.html"


def find_root(root: str | Path | None = None) -> Path:
    """Folder of the book: ``root``, else the first with ``_toc.yml`` above the working folder or the package."""
    candidates = [Path(root)] if root else [Path.cwd(), *Path.cwd().parents, Path(__file__).resolve().parents[2]]
    for folder in candidates:
        if (folder / "_toc.yml").is_file() and (folder / "_config.yml").is_file():
            return folder.resolve()
    raise ValueError(
        f"no book (_toc.yml and _config.yml) in {candidates[0]}; run `jne book` in a clone of the repository"
    )


def read_contents(root: Path) -> tuple[dict[str, Path], list[Path]]:
    """The notebooks ``{name: path}`` and the other pages of ``_toc.yml``; paths are relative to ``root``."""
    try:
        documents = list(parse_toc_yaml(root / "_toc.yml"))
    except MalformedError as error:
        raise ValueError(f"{root / '_toc.yml'}: {error}") from error
    chapters, pages = {}, []
    for document in (re.sub(r"\.(ipynb|md)$", "", document) for document in documents):
        notebook, page = Path(f"{document}.ipynb"), Path(f"{document}.md")
        if (root / notebook).is_file():
            chapters[notebook.stem] = notebook
        elif (root / page).is_file():
            pages.append(page)
        else:
            raise ValueError(f"_toc.yml names {document}, but {root} has neither {notebook} nor {page}")
    return chapters, pages


def _version(root: Path) -> str:
    """The package's version and, in a clone, the commit; "-dirty" says that files were changed since."""
    git = ["git", "-C", str(root), "describe", "--always", "--dirty", "--exclude", "*"]
    try:
        commit = subprocess.run(git, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return f"jne {jne.__version__}"
    return f"jne {jne.__version__}, commit {commit}"


def copy_sources(root: Path, stage: Path, documents: Iterable[Path]) -> None:
    """Make ``stage`` anew: the book's settings and static files, and ``documents`` at the paths they have in it."""
    shutil.rmtree(stage, ignore_errors=True)
    shutil.copytree(root / "book", stage / "book", ignore=shutil.ignore_patterns("*.ipynb", ".*"))
    for document in documents:
        (stage / document).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(root / document, stage / document)
    shutil.copyfile(root / "_toc.yml", stage / "_toc.yml")
    config = yaml.safe_load((root / "_config.yml").read_text())
    sphinx = config.setdefault("sphinx", {}).setdefault("config", {})
    if mathjax := importlib.util.find_spec("sphinx-mathjax-offline"):
        # One file with its glyphs as SVG: Firefox loads no fonts for a page opened from disk.
        source, target = Path(mathjax.origin).parent / "static/mathjax", stage / "_mathjax/mathjax"
        shutil.copytree(source / "input/tex/extensions", target / "input/tex/extensions")
        shutil.copyfile(source / "tex-svg.js", target / "tex-svg.js")
        sphinx["mathjax_path"] = "mathjax/tex-svg.js"
        sphinx["html_static_path"] = [*sphinx.get("html_static_path", []), "_mathjax"]
    _set_repository(config)
    sphinx["myst_substitutions"] = measured(root)
    (stage / "_config.yml").write_text(yaml.safe_dump(config, sort_keys=False))


def _set_repository(config: dict) -> None:
    """Buttons that lead to the repository (source, issues, Binder, Colab): all of them where its address is known."""
    repository = config.setdefault("repository", {})
    repository["url"] = (os.environ.get("JNE_REPOSITORY") or repository.get("url") or "").removesuffix("/")
    known = bool(repository["url"])
    config.setdefault("html", {}).update(use_repository_button=known, use_issues_button=known)
    if not known:
        config["launch_buttons"] = {}


def make_html(stage: Path, target: Path, *, strict: bool = True) -> Path:
    """Run Jupyter Book on ``stage``; every warning is an error if ``strict``.

    Starts anew, as a second run repeats no warnings.
    """
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    command = "import sys; from jupyter_book.cli.main import main; sys.exit(main())"
    options = ["build", str(stage), "--path-output", str(target), *(["-W", "-n", "--keep-going"] if strict else [])]
    log = target / "log.txt"
    with log.open("w") as stream:
        run = subprocess.run(
            [sys.executable, "-c", command, *options],
            stdout=stream,
            stderr=subprocess.STDOUT,
            env=os.environ | {"NO_COLOR": "1"},
        )
    html = target / "_build/html"
    if run.returncode or not (html / "index.html").is_file():
        lines = re.sub(r"\x1b\[[0-9;]*m", "", log.read_text()).replace(f"{stage}/", "").splitlines()
        bad = [line for line in lines if re.search(r"\b(WARNING|ERROR|CRITICAL)\b", line)]
        raise BookError("the pages are not in order:\n\n" + "\n".join(bad or lines[-15:]) + f"\n\nThe whole log: {log}")
    return html


def check_target(out: Path) -> None:
    """Refuse to replace a folder that is no book."""
    if out.is_file() or (out.is_dir() and any(out.iterdir()) and not (out / "searchindex.js").is_file()):
        raise ValueError(f"out: {out} holds something else than a book; give a new or an empty folder")


def publish(html: Path, out: Path) -> None:
    """Move the finished pages to ``out`` in one step, so that a book is there at any time."""
    new, old = out.with_name(f".{out.name}.new"), out.with_name(f".{out.name}.old")
    for leftover in (new, old):
        shutil.rmtree(leftover, ignore_errors=True)
    out.parent.mkdir(parents=True, exist_ok=True)
    shutil.move(html, new)
    if out.exists():
        out.rename(old)
    new.rename(out)
    shutil.rmtree(old, ignore_errors=True)


def _select(only: Iterable[str], chapters: Mapping[str, Path]) -> list[str]:
    only = {Path(name).stem for name in only}
    if unknown := sorted(only - set(chapters)):
        raise ValueError(f"only: no chapter {unknown[0]!r}; there are {', '.join(chapters)}")
    return [name for name in chapters if not only or name in only]
