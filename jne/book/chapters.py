"""Chapters run side by side, longest first, each kept for as long as nothing that it is made of has changed."""

from __future__ import annotations

import os
import shutil
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path

from jne._core import (
    DamagedError,
    atomic_folder,
    available_cores,
    code_hash,
    hash_parameters,
    one_at_a_time,
    provenance,
    read_sealed_json,
    results_dir,
    set_aside,
    sha256,
    size_of,
    thread_environment,
    visible_gpus,
    write_json,
    write_sealed_json,
)  # fmt: skip
from jne.book.counterparts import FIGURES, figures_digest, write_figures
from jne.book.execute import BookError, execute_notebook
from jne.book.kernels import LoadedProcess, loaded_process
from jne.book.notebook_files import read_notebook
from jne.book.progress import Progress
from jne.book.records import RECORDS, read_records

_DIGESTS = "digests.json"
"""The file, in the folder of a kept chapter, of the digests of the others."""


@dataclass(frozen=True)
class Chapter:
    """A notebook of the book and the values of its parameters.

    ``after`` are chapters whose records it reads, ``cost`` about how long it takes beside others; both stand in the
    notebook's metadata under ``jne``.
    """

    name: str
    path: Path
    values: Mapping
    after: tuple[str, ...] = ()
    cost: float = 0


def read_chapter(name: str, path: Path, values: Mapping, root: Path) -> Chapter:
    """A chapter with what its notebook says of itself; ``path`` is relative to ``root``."""
    about = read_notebook(root / path).metadata.get("jne", {})
    return Chapter(name, path, values, tuple(about.get("after", ())), about.get("cost", 0))


def default_jobs() -> int:
    """How many chapters run at a time: one per core that this process may use; one where they share a card."""
    return 1 if visible_gpus() else available_cores()


def needed_chapters(chapters: Mapping[str, Chapter], selected: Sequence[str]) -> list[str]:
    """``selected`` and the chapters whose records they read, in the book's order."""
    needed, waiting = set(), list(selected)
    while waiting:
        name = waiting.pop()
        if name not in needed:
            needed.add(name)
            waiting += chapters[name].after
    return [name for name in chapters if name in needed]


def run_chapters(
    chapters: Sequence[Chapter], *, root: Path, stage: Path, jobs: int, progress: Progress, rerun: bool = False
) -> dict[str, float]:
    """Execute chapters, ``jobs`` at a time, into ``stage`` at the paths they have in ``root``.

    A chapter that was executed before from the same notebook, parameters, files and code is taken from the results
    folder. One that fails stops none of the others, but those that come after it.

    Parameters
    ----------
    chapters : sequence of Chapter
        With all that they come after.
    root, stage : Path
    jobs : int
    progress : Progress
        Told of what begins, goes on and ends.
    rerun : bool
        Execute even what is kept.

    Returns
    -------
    dict
        Seconds that each took; 0 for what was kept.

    Raises
    ------
    BookError
        If chapters failed, after all others have ended: each with its cell and its error.
    """
    environment = thread_environment(max(1, available_cores() // jobs))
    running: dict[Future, Chapter] = {}
    pids: dict[str, int] = {}
    waiting = sorted(chapters, key=lambda chapter: -chapter.cost)
    seconds: dict[str, float] = {}
    failures: dict[str, BookError] = {}

    def work(chapter: Chapter) -> float:
        start = time.perf_counter()
        options = {"started": lambda pid: pids.__setitem__(chapter.name, pid), "rerun": rerun}
        options |= {"environment": environment, "loaded": loaded}
        done = _run(chapter, root, stage, on_cell=lambda *at: progress.cell(chapter.name, *at), **options)
        return time.perf_counter() - start if done else 0.0

    sources = [(root / chapter.path).read_text(encoding="utf-8") for chapter in chapters]
    with loaded_process(sources, environment) as loaded, ThreadPoolExecutor(jobs) as pool, progress:
        try:
            while waiting or running:
                for chapter in _ready(waiting, seconds)[: jobs - len(running)]:
                    waiting.remove(chapter)
                    progress.begin(chapter.name)
                    running[pool.submit(work, chapter)] = chapter
                if not running:  # what is left waits for what has failed
                    break
                for future in wait(running, timeout=1, return_when=FIRST_COMPLETED).done:
                    chapter = running.pop(future)
                    try:
                        seconds[chapter.name] = future.result()
                        progress.end(chapter.name, seconds[chapter.name])
                    except BookError as error:
                        failures[chapter.name] = error
                        progress.fail(chapter.name)
        except BaseException:
            # The threads wait for these.
            for pid in pids.values():
                _kill(pid)
            raise
    if failures:
        left_out = [f"{c.path} was not run: it comes after {', '.join(c.after)}" for c in waiting]
        raise _combined(list(failures.values()), left_out)
    return seconds


def _ready(waiting: Sequence[Chapter], done: Mapping) -> list[Chapter]:
    return [chapter for chapter in waiting if set(chapter.after) <= set(done)]


def _kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return


def _combined(failures: list[BookError], left_out: list[str]) -> BookError:
    first = failures[0]
    if len(failures) == 1 and not left_out:
        return first
    return BookError("\n\n".join([*map(str, failures), *left_out]), cell=first.cell, reason=first.reason)


def _run(
    chapter: Chapter,
    root: Path,
    stage: Path,
    *,
    environment: Mapping[str, str],
    loaded: LoadedProcess | None,
    started: Callable,
    on_cell: Callable,
    rerun: bool,
) -> bool:
    """Execute a chapter, or take it from where it is kept; whether it was executed."""
    before = {name: read_notebook(stage / f"book/{name}.ipynb") for name in chapter.after}
    records = {name: read_records(notebook) for name, notebook in before.items()}
    kept = results_dir() / "chapters" / f"{chapter.name}-{_key(chapter, root, records, figures_digest(before))}"
    with one_at_a_time(kept):
        fresh = rerun or not _whole(kept)
        if fresh:
            folder = stage.with_name("chapters") / chapter.name
            shutil.rmtree(folder, ignore_errors=True)
            executed = folder / chapter.path
            if records:
                path = write_json(records, folder / "records.json", sort_keys=False).absolute()
                figures = write_figures(before, folder / "figures").absolute()
                environment = {**environment, RECORDS: str(path), FIGURES: str(figures)}
            options = {"environment": environment, "loaded": loaded, "started": started, "on_cell": on_cell}
            execute_notebook(root / chapter.path, executed, chapter.values, root=root, **options)
            _keep(executed.parent, kept)
    shutil.copytree(kept, (stage / chapter.path).parent, dirs_exist_ok=True, ignore=lambda *_: [_DIGESTS])
    return fresh


def _keep(folder: Path, kept: Path) -> None:
    with atomic_folder(kept, size_of(folder)) as part:
        shutil.copytree(folder, part, dirs_exist_ok=True)
        write_sealed_json({"files": _files(part)}, part / _DIGESTS)


def _whole(kept: Path) -> bool:
    """Whether a chapter is kept; one whose files are not what they were is named and set aside."""
    if not kept.exists():
        return False
    try:
        if read_sealed_json(kept / _DIGESTS, "kept chapter")["files"] != _files(kept):
            raise DamagedError(f"kept chapter: {kept} is damaged: its files are not what was written")
    except (DamagedError, FileNotFoundError, KeyError) as error:
        set_aside(kept, error)
        return False
    return True


def _files(folder: Path) -> dict[str, str]:
    """Digest of each file of a chapter."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file() and path.name != _DIGESTS)
    return {path.relative_to(folder).as_posix(): sha256(path) for path in paths}


def _key(chapter: Chapter, root: Path, records: Mapping, figures: str) -> str:
    """Sixteen digits that change with the notebook, its parameters, the files they name, the code and the versions."""
    # What the metadata hold for recordings is a part of the page.
    cells = [
        (cell.cell_type, cell.source, *([own] if (own := cell.metadata.get("jne")) else []))
        for cell in read_notebook(root / chapter.path).cells
    ]
    files = {str(path): _state(path) for path in _named_files(chapter.values, root)}
    measured = {path.name: sha256(path) for path in sorted((root / "benchmarks/results").glob("*.json"))}
    content = {"cells": cells, "values": chapter.values, "files": files, "measured": measured, "records": records}
    content |= {"figures": figures} if chapter.after else {}
    return hash_parameters({**content, "code": code_hash("chapter"), **provenance()})


def _named_files(value, root: Path) -> list[Path]:
    if isinstance(value, Mapping):
        value = list(value.values())
    if isinstance(value, list | tuple):
        return [path for item in value for path in _named_files(item, root)]
    if not isinstance(value, str | Path) or "\0" in str(value) or len(str(value)) > 1000:
        return []
    path = root / value
    return [path] if path.is_file() else []


def _state(path: Path) -> tuple[int, int]:
    found = path.stat()
    return found.st_size, found.st_mtime_ns
