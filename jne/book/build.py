"""Build the book: papermill executes every chapter, Jupyter Book makes HTML of the executed copies."""

from __future__ import annotations

import re
import shutil
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

import jne
from jne._core import folder_name, in_units, whole_number
from jne.book.chapters import default_jobs, needed_chapters, read_chapter, run_chapters
from jne.book.html import check_target, copy_sources, make_html, publish
from jne.book.notebooks import existing_file, install_hint, make_presentable, nameable, read_parameters
from jne.book.pages import glossary_terms, lay_out
from jne.book.progress import Progress
from jne.book.recordings import fit_to_data

try:
    from rich.console import Console
    from sphinx_external_toc.parsing import MalformedError, parse_toc_yaml
except ModuleNotFoundError as missing:
    raise ModuleNotFoundError(install_hint(missing)) from missing


_OWN_FOLDERS = {"stage", "sphinx", "html", "html-build", "only", "batch", "chapters"}
"""What is in ``_build`` besides a folder for each dataset."""


def build_book(
    params: str | Path = "demo",
    data: str | Path | None = None,
    out: str | Path | None = None,
    *,
    only: Iterable[str] = (),
    jobs: int | None = None,
    rerun: bool = False,
    root: str | Path | None = None,
    report: Callable[[str], object] = print,
    console: Console | None = None,
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
    jobs : int, optional
        How many chapters run at a time; by default one per core that this process may use, and one where there is a
        card.
    rerun : bool, default=False
        Run even the chapters that an earlier build ran with the same notebook, parameters, files and code.
    root : path, optional
        Folder with ``_toc.yml``; found from the working folder or the package by default.
    report : callable, default=print
        Called with every line of progress.
    console : rich.console.Console, optional
        Where to show live progress, if it is a terminal.

    Returns
    -------
    Path
        The book's ``index.html``.

    Raises
    ------
    BookError
        If cells of chapters fail (after all others have run), or a page gives a warning.
    ValueError
        If an argument is unusable, or another build is at work on the same ``out``.
    """
    root = find_root(root)
    paths, pages = read_contents(root)
    selected = _select(only, paths)
    jobs = default_jobs() if jobs is None else whole_number(jobs, "jobs", 1)
    data = None if data is None else existing_file(data, "data")
    values = read_parameters(params, {name: root / path for name, path in paths.items()}, data=data, root=root)
    chapters = {name: read_chapter(name, path, values[name], root) for name, path in paths.items()}

    work = default_folder(root, data)
    work = work / "only" if selected != list(chapters) else work
    out = nameable((work / "html" if out is None else Path(out).expanduser()).resolve(), "out")
    check_target(out)
    if out != work / "html":
        work = out.with_name(f"{out.name}-build")
    with _alone(work, out):
        html, seconds = _build(chapters, pages, selected, work, params, jobs, rerun, root, report, console)
        publish(html, out)
        if work.name == f"{out.name}-build":
            shutil.rmtree(work)

    for name, value in seconds.items():
        report(f"  {name:<{max(map(len, seconds))}} {value:7.1f} s")
    if skipped := [name for name in chapters if name not in selected]:
        report(f"Not executed, so without figures: {', '.join(skipped)}")
    report(f"The book is at {out / 'index.html'}")
    return out / "index.html"


def default_folder(root: Path, data: Path | None) -> Path:
    """Where a book is made: of each dataset in a folder of its own."""
    return root / "_build" / folder_name(data.stem, _OWN_FOLDERS) if data else root / "_build"


def _build(
    chapters, pages, selected, work, params, jobs, rerun, root, report, console
) -> tuple[Path, dict[str, float]]:
    """Run and lay out in the folder ``work``: the finished HTML there, and the seconds that each part took."""
    stage = work / "stage"
    values = copy_sources(root, stage, [*pages, *(chapter.path for chapter in chapters.values())])
    running = [chapters[name] for name in needed_chapters(chapters, selected)]
    progress = Progress(len(running), report, console)
    seconds = run_chapters(running, root=root, stage=stage, jobs=jobs, progress=progress, rerun=rerun)
    seconds = {name: seconds[name] for name in chapters if name in seconds}
    for chapter in running:
        make_presentable(stage / chapter.path, chapter.values, root)

    report("Making the pages ...")
    start = time.perf_counter()
    downloads = {chapter.path: (stage / chapter.path).read_bytes() for chapter in chapters.values()}
    facts = {"parameters": f"{Path(params).name} (folded at the top)", "version": _version(root)}
    terms = glossary_terms(root / "book/glossary.md")
    for chapter in chapters.values():
        unit = fit_to_data(stage / chapter.path, chapter.values)
        words = {term: in_units(definition, unit) for term, definition in terms.items()}
        lay_out(stage / chapter.path, str(chapter.path), facts if chapter in running else {}, words, values)
    html = make_html(stage, work / "sphinx", jobs=jobs)
    for path, content in downloads.items():  # in place of the source of the page
        (html / "_sources" / path).write_bytes(content)
    return html, {**seconds, "pages": time.perf_counter() - start}


@contextmanager
def _alone(work: Path, out: Path) -> Iterator[None]:
    """Refuse a second build of the same book at the same time."""
    work.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(work.parent / f".{work.name}.lock", timeout=0):
            yield
    except Timeout:
        raise ValueError(
            f"out: another build is at work on {out}; wait until it has ended, or give another folder with --out"
        ) from None


def find_root(root: str | Path | None = None) -> Path:
    """Folder of the book: ``root``, else the first with ``_toc.yml`` above the working folder or the package."""
    candidates = [Path(root)] if root else [Path.cwd(), *Path.cwd().parents, Path(__file__).resolve().parents[2]]
    for folder in candidates:
        if (folder / "_toc.yml").is_file() and (folder / "_config.yml").is_file():
            return nameable(folder.resolve(), "root")
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
        # No shell, and no word in it but the folder is from outside.
        commit = subprocess.run(git, capture_output=True, text=True, check=True).stdout.strip()  # noqa: S603
    except (OSError, subprocess.CalledProcessError):
        return f"jne {jne.__version__}"
    return f"jne {jne.__version__}, commit {commit}"


def _select(only: Iterable[str], chapters: Mapping[str, Path]) -> list[str]:
    only = {Path(name).stem for name in only}
    if unknown := sorted(only - set(chapters)):
        raise ValueError(f"only: no chapter {unknown[0]!r}; there are {', '.join(chapters)}")
    return [name for name in chapters if not only or name in only]
