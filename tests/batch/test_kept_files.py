"""What a batch and a book keep passes from lab to lab: read as a stranger's files; no link is written through."""

import errno
import json
import os

import nbformat
import pytest
from conftest import no_longer_than
from test_batch import write_grid, write_notebook

from jne.batch import read_grid, summary_table
from jne.batch.run import execute_run, read_record, write_record
from jne.batch.submit import pending_runs
from jne.book import chapter_records, declared_parameters, read_notebook, read_records


@pytest.fixture(autouse=True)
def no_waiting():
    with no_longer_than(20):
        yield


@pytest.fixture
def kept(tmp_path):
    """A batch of one run, its folder, and the file of its record."""
    write_notebook(tmp_path / "a.ipynb", "pass")
    grid = read_grid(write_grid(tmp_path, {"notebooks": ["a.ipynb"]}))
    (tmp_path / "out/runs").mkdir(parents=True)
    return grid, tmp_path / "out", tmp_path / "out/runs" / f"{grid.runs[0].name}.json"


def pipe(path):
    os.mkfifo(path)


def device(path):
    path.symlink_to("/dev/zero")


def nothing(path):
    path.symlink_to(path.with_name("nowhere"))


def huge(path):
    with path.open("wb") as file:
        file.truncate(10**12)


NO_FILES = {
    "pipe": (pipe, "is a pipe"), "device": (device, "is a device"), "link to nothing": (nothing, "is a link to"),
    "folder": (lambda path: path.mkdir(), "is a folder"), "huge": (huge, "JNE_MAX_MEMORY"),
    "binary": (lambda path: path.write_bytes(b"\xff\xfe\x00"), "cannot be read|not whole in UTF-16"),
    "deep": (lambda path: path.write_text("[" * 10**5), "cannot be read"),
    "empty": (lambda path: path.write_text(""), "cannot be read|is empty"),
}  # fmt: skip
RECORDS = {
    "a list": [1], "no status": {}, "another status": {"status": "<script>"}, "status of many": {"status": ["done"]},
    "seconds of text": {"status": "done", "seconds": "{{ 7*7 }}"},
    "memory of text": {"status": "done", "peak_memory": "1"},
    "results are a list": {"status": "done", "results": [1]},
    "a result is a list": {"status": "done", "results": {"a": [1]}},
    "error is a text": {"status": "failed", "error": "<b>"},
    "reason is a list": {"status": "failed", "error": {"reason": [1]}},
    "parameters are a text": {"status": "done", "parameters": "x"},
}  # fmt: skip


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs pipes")
@pytest.mark.parametrize("kind", NO_FILES)
def test_records_and_notebooks_are_plain_files_within_the_limit(kept, tmp_path, monkeypatch, kind):
    monkeypatch.setenv("JNE_MAX_MEMORY", "20MB")
    make, message = NO_FILES[kind]
    grid, folder, path = kept
    make(path)
    if message.startswith("cannot be read"):
        with pytest.warns(UserWarning, match=rf"record of a run: .*({message}).* set aside as .*json.damaged"):
            assert summary_table(grid, folder)["status"].tolist() == ["missing"]
        path.with_name(f"{path.name}.damaged").rename(path)
    else:
        with pytest.raises(ValueError, match=rf"record of a run: .*{message}"):
            summary_table(grid, folder)
    make(tmp_path / "b.ipynb")
    for read in (read_notebook, read_records, declared_parameters):
        with pytest.raises(ValueError, match=message):
            read(tmp_path / "b.ipynb")
    monkeypatch.setenv("JNE_RECORDS", str(path))
    with pytest.raises(ValueError, match=message):
        chapter_records()


@pytest.mark.parametrize("kind", RECORDS)
def test_records_of_another_form_are_told_and_set_aside(kept, kind):
    grid, folder, path = kept
    path.write_text(json.dumps(RECORDS[kind]))
    with pytest.warns(UserWarning, match=r"record of a run: .*\.json (holds|.* cannot be read).* set aside as"):
        assert summary_table(grid, folder)["status"].tolist() == ["missing"]
    assert path.with_name(f"{path.name}.damaged").is_file() and pending_runs(grid, folder) == [*grid.runs]


def test_a_record_is_read_as_it_was_written(kept):
    grid, folder, path = kept
    results = {"a": None, "b": 1, "c": 0.5, "d": "text", "e": True, "f.V1": float("nan")}
    written = write_record(folder / "runs", grid.runs[0], "failed", results=results, seconds=1.5, error={"reason": "x"})
    assert str(read_record(folder / "runs", grid.runs[0])) == str(written) and path.is_file()


NOTEBOOKS = {
    "cells are numbers": {"cells": [1]}, "no source": {"cells": [{"cell_type": "code", "metadata": {}}]},
    "source is a number": {"cells": [{"cell_type": "code", "metadata": {}, "source": 1}]},
    "tags are a text": {"cells": [{"cell_type": "code", "metadata": {"tags": "parameters"}, "source": ""}]},
    "no cells": {},
    "outputs are numbers": {"cells": [{"cell_type": "code", "metadata": {}, "source": "", "outputs": [1]}]},
    "a record is a number": {"cells": [{"cell_type": "code", "metadata": {}, "source": "", "outputs": [
        {"output_type": "display_data", "data": {}, "metadata": {"jne_record": 3}}]}]},
    "a record without a name": {"cells": [{"cell_type": "code", "metadata": {}, "source": "", "outputs": [
        {"output_type": "display_data", "data": {}, "metadata": {"jne_record": {"value": 3}}}]}]},
}  # fmt: skip


@pytest.mark.parametrize("kind", NOTEBOOKS)
def test_notebooks_of_another_form_are_told(tmp_path, kind):
    content = {"nbformat": 4, "nbformat_minor": 4, "metadata": {}} | NOTEBOOKS[kind]
    (tmp_path / "a.ipynb").write_text(json.dumps(content))
    with pytest.raises(ValueError, match=r"a\.ipynb (cannot be read as a notebook|holds a record of another form)"):
        read_records(tmp_path / "a.ipynb")


def test_links_planted_where_a_run_writes_are_not_written_through(kept, tmp_path, monkeypatch):
    """Of the executed notebook, its log and its record."""
    from jne._core import code_hash
    from jne.batch.resources import Resources

    grid, folder, _ = kept
    run = grid.runs[0]
    monkeypatch.setattr("jne.batch.run.execute_notebook", lambda notebook, target, *_, **__: nbformat.write(
        nbformat.read(notebook, as_version=4), target))  # fmt: skip
    names = (f"{run.name}.ipynb", f".{run.name}.ipynb", f"{run.name}.log")
    for name in names:
        (tmp_path / name.strip(".")).write_text("precious")
        (folder / "runs" / name).symlink_to(tmp_path / name.strip("."))
    execute_run(run, folder / "runs", tmp_path, Resources(), {}, code_hash())
    assert all((tmp_path / name.strip(".")).read_text() == "precious" for name in names)
    assert read_record(folder / "runs", run)["status"] == "done" and not (folder / "runs" / names[0]).is_symlink()


def test_a_run_that_meets_a_full_disk_leaves_no_half_notebook(kept, tmp_path, monkeypatch):
    from jne._core import DiskFullError, code_hash
    from jne.batch.resources import Resources

    def full(notebook, target, *_, **__):
        target.write_text("{")
        raise OSError(errno.ENOSPC, "No space left on device")

    grid, folder, path = kept
    monkeypatch.setattr("jne.batch.run.execute_notebook", full)
    with pytest.raises(DiskFullError, match=r"no space left .*\.ipynb: .* needed, .* free"):
        execute_run(grid.runs[0], folder / "runs", tmp_path, Resources(), {}, code_hash())
    assert not path.exists() and not list((folder / "runs").glob("*.ipynb"))
