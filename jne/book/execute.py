"""One notebook, run by papermill in a process of this Python, told cell by cell."""

from __future__ import annotations

import logging
import math
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, Any

from jne.book.kernels import LoadedProcess, ThisPython
from jne.book.notebook_files import read_notebook
from jne.book.notebooks import install_hint

try:
    import papermill
    from papermill.clientwrap import PapermillNotebookClient
    from papermill.engines import NBClientEngine, papermill_engines
    from papermill.translators import PythonTranslator, papermill_translators
except ModuleNotFoundError as missing:
    raise ModuleNotFoundError(install_hint(missing)) from missing

# Papermill warns about parameters that its line-by-line parser cannot read; `read_parameters` is the judge here. Its
# errors are raised as well.
logging.getLogger("papermill").setLevel(logging.CRITICAL)

START_SECONDS = 120
"""How long a notebook's process has to answer at first; the environment variable JNE_KERNEL_SECONDS overrides it."""


class BookError(RuntimeError):
    """A chapter or the book failed; the message says where, and what is left to look at.

    ``cell`` is the source of the cell that stopped a chapter, ``reason`` what it stopped with.
    """

    def __init__(self, message: str, *, cell: str = "", reason: str = ""):
        super().__init__(message)
        self.cell, self.reason = cell, reason


class _Source(str):
    """The source of a value, in place of one that papermill would not write as it is."""


class _Translator(PythonTranslator):
    """Papermill's own writer of parameters, which makes texts of all keys of a mapping."""

    @classmethod
    def translate(cls, val: Any) -> str:
        return str(val) if isinstance(val, _Source) else super().translate(val)


papermill_translators.register("python", _Translator)


def _written(value: Any) -> Any:
    """``value``, or its source where a mapping in it has keys that are no texts."""
    return value if _only_text_keys(value) else _Source(_source(value))


def _only_text_keys(value: Any) -> bool:
    if isinstance(value, dict):
        return all(isinstance(key, str) and _only_text_keys(item) for key, item in value.items())
    return all(map(_only_text_keys, value)) if isinstance(value, list) else True


def _source(value: Any) -> str:
    if isinstance(value, dict):
        return f"{{{', '.join(f'{_source(key)}: {_source(item)}' for key, item in value.items())}}}"
    if isinstance(value, list):
        return f"[{', '.join(map(_source, value))}]"
    return f"float({str(value)!r})" if isinstance(value, float) and not math.isfinite(value) else repr(value)


class _Engine(NBClientEngine):
    """Papermill's own way of running a notebook, with a kernel manager that is given, and word of every cell."""

    @classmethod
    def execute_managed_notebook(cls, nb_man, kernel_name, *, manager, on_cell, folder, printed, **_):
        begin, total = nb_man.cell_start, len(nb_man.nb.cells)

        def cell_start(cell, cell_index=None, **options):
            on_cell((cell_index or 0) + 1, total)
            begin(cell, cell_index, **options)

        nb_man.cell_start = cell_start
        seconds = _start_seconds()
        client = PapermillNotebookClient(nb_man, km=manager, kernel_name=kernel_name, startup_timeout=seconds)
        streams = {"stdout": printed, "stderr": printed} if printed else {}
        client.execute(cwd=folder, cleanup_kc=True, **streams)


papermill_engines.register("jne", _Engine)


def execute_notebook(
    notebook: Path,
    executed: Path,
    parameters: Mapping,
    *,
    root: Path,
    environment: Mapping[str, str] | None = None,
    started: Callable[[int], object] | None = None,
    on_cell: Callable[[int, int], object] = lambda number, total: None,
    log: IO | None = None,
    loaded: LoadedProcess | None = None,
) -> None:
    """Execute ``notebook`` with ``parameters`` in the folder ``root`` and save the result, complete or not.

    ``environment`` is added to that of the kernel; ``started`` is called with the kernel's process id, ``on_cell`` with
    the number of each cell that begins and how many there are; ``log`` takes what the kernel would print in the
    terminal; a copy of ``loaded`` is the kernel, where it is given.

    Raises
    ------
    BookError
        If a cell fails, the process dies, or it does not answer in time.
    """
    executed.parent.mkdir(parents=True, exist_ok=True)
    # Where a chapter puts a file that its page shows, beside the executed notebook.
    environment = {"JNE_PAGE_FOLDER": str(executed.parent.absolute()), **(environment or {})}
    begun = []

    def tell(number: int, total: int) -> None:
        begun.append(number)
        on_cell(number, total)

    try:
        papermill.execute_notebook(
            _as_it_is(notebook),
            _as_it_is(executed.absolute()),
            {name: _written(value) for name, value in parameters.items()},
            engine_name="jne",
            kernel_name="python3",
            language="python",
            progress_bar=False,
            manager=ThisPython(environment, started, loaded),
            on_cell=tell,
            folder=str(root),
            printed=log,
        )
    except papermill.PapermillExecutionError as error:
        source, what = error.source, f"{error.ename}: {error.evalue}"
    except RuntimeError as error:
        if begun:
            source = read_notebook(executed).cells[begun[-1] - 1].source
            what = f"{error}\nIts process was killed: most often the machine had too little memory."
        else:
            source = ""
            what = (
                f"{error}\nIts process did not answer in {_start_seconds()} s, most often because the machine is busy. "
                f"Give it longer: JNE_KERNEL_SECONDS={5 * _start_seconds()}"
            )
    else:
        return
    indented = "\n".join(f"    {line}" for line in source.strip().splitlines())
    shown = notebook.relative_to(root) if notebook.is_relative_to(root) else notebook
    stopped = f"stopped in this cell:\n\n{indented}" if begun else "did not start:"
    raise BookError(
        f"{shown} {stopped}\n\n{what[:3000]}\n\nThe notebook as far as it got, with the whole traceback: {executed}",
        cell=source,
        reason=what,
    )


def _as_it_is(path: Path) -> str:
    """For papermill, which fills parameters into braces of a path."""
    return str(path).replace("{", "{{").replace("}", "}}")


def _start_seconds() -> int:
    given = os.environ.get("JNE_KERNEL_SECONDS", "")
    if given and not (given.isdigit() and int(given)):
        raise ValueError(f"JNE_KERNEL_SECONDS={given!r}; accepted are whole seconds, such as 300")
    return int(given or START_SECONDS)
