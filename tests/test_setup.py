"""What `make`, the checks before a commit and other people's machines rely on."""

import ast
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
import yaml

ROOT = Path(__file__).resolve().parent.parent
MAKEFILE = (ROOT / "Makefile").read_text()
BIN = Path(sys.executable).parent


def called(*command, **options):
    return subprocess.run(command, capture_output=True, text=True, **options)


def planted(folder, file, line):
    """A copy of the package with one more import, and what `make lint` says of it."""
    shutil.copytree(ROOT / "jne", folder / "jne", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", folder)
    with open(folder / "jne" / file, "a") as source:
        source.write(line)
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    return called(BIN / "lint-imports", "--no-logo", "--no-cache", cwd=folder, env=environment)


@pytest.mark.parametrize(
    ("file", "line", "told"),
    [
        ("measures/deviations.py", "from jne.plotting import show\n", r"jne\.measures\.deviations -> jne\.plotting"),
        ("study/report.py", "from jne.simulations import recover\n", r"jne\.study\.report -> jne\.simulations"),
        ("statistics/trends.py", "def f():\n    import jne.study\n", r"jne\.statistics\.trends -> jne\.study"),
    ],
)
def test_an_import_of_a_wing_that_is_not_below_fails_lint(tmp_path, file, line, told):
    found = planted(tmp_path, file, line)
    assert found.returncode == 1 and re.search(told, found.stdout), found.stdout + found.stderr


def test_the_package_as_it_is_passes_lint(tmp_path):
    found = planted(tmp_path, "measures/deviations.py", "")
    assert found.returncode == 0 and "1 kept, 0 broken" in found.stdout, found.stdout + found.stderr


def test_make_needs_nothing_newer_than_the_one_of_macos():
    # GNU make 3.81: no .SHELLFLAGS, so that a failure before a pipe would pass unseen; no .ONESHELL, $(file ...) or !=.
    assert not re.search(r"\.SHELLFLAGS|\.ONESHELL|\$\(file|^\w+ *!=", MAKEFILE, re.MULTILINE)
    recipes = re.findall(r"^\t(.*)$", MAKEFILE, re.MULTILINE)
    assert len(recipes) > 15
    assert not [line for line in recipes if re.search(r"(?<!\|)\|(?!\|)", re.sub(r"'[^']*'|PARAMS=\S+", "", line))]


def test_make_lists_every_target():
    targets = re.search(r"^\.PHONY: (.*)$", MAKEFILE, re.MULTILINE)[1].split()
    listed = called("make", "--no-print-directory", "help", cwd=ROOT).stdout.splitlines()
    assert {line.split()[0] for line in listed} == set(targets)


@pytest.mark.parametrize(
    ("found", "chosen"),
    [
        ({"python3": 12}, "python3"),
        ({"python3": 14, "python3.12": 12}, "python3.12"),
        ({"python3": 10, "python3.13": 13, "python3.11": 11}, "python3.13"),
        ({"python3": 14}, "python3"),
        ({"python3": 9, "python3.14": 14}, "python3.14"),
        ({"python3": 15}, ""),
    ],
    ids=str,
)
def test_make_takes_the_newest_python_only_where_there_is_no_other(found, chosen, tmp_path):
    for name, minor in found.items():
        stub = tmp_path / name
        code = f"import sys; sys.version_info = (3, {minor}, 1); exec(sys.argv[1])"
        stub.write_text(f"#!/bin/sh\nexec '{sys.executable}' -S -c '{code}' \"$2\"\n")
        stub.chmod(0o755)
    lines = f"include {ROOT / 'Makefile'}\nchosen:\n\t@echo '[$(PYTHON)]'\n"
    environment = {"PATH": str(tmp_path)}
    run = called(shutil.which("make"), "--no-print-directory", "-f", "-", "chosen", input=lines, env=environment)
    assert run.stdout == f"[{chosen}]\n", run.stderr


def test_make_book_does_not_wait_for_what_only_tests_need(tmp_path):
    lines = called("make", "-n", "book", f"VENV={tmp_path}/venv", cwd=ROOT).stdout
    assert "-r requirements.txt" in lines and "requirements-test.txt" not in lines and "jne book" in lines
    lines = called("make", "-n", "test", f"VENV={tmp_path}/venv", cwd=ROOT).stdout
    assert lines.index("-r requirements.txt") < lines.index("-r requirements-test.txt") < lines.index("-m pytest")


def test_what_reads_proc_is_skipped_where_there_is_none():
    free = []
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        lines = path.read_text().splitlines()
        if path == Path(__file__) or not any("/proc/" in line for line in lines):
            continue
        for node in ast.parse("\n".join(lines)).body:
            marks = " ".join(ast.unparse(mark) for mark in getattr(node, "decorator_list", []))
            reads = any("/proc/" in line for line in lines[node.lineno - 1 : node.end_lineno])
            if isinstance(node, ast.FunctionDef) and reads and not re.search(r"linux|LINUX|glibc", marks):
                free.append(f"{path.name}: {node.name}")
    assert free == []


def test_hooks_before_a_commit_are_those_of_the_environment():
    (repo,) = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"]
    assert repo["repo"] == "local"
    assert {hook["id"] for hook in repo["hooks"]} == {"ruff-check", "ruff-format", "nbstripout"}
    assert all(hook["language"] == "system" and hook["entry"].startswith(".venv/bin/") for hook in repo["hooks"])


def test_the_hook_takes_nothing_from_a_notebook_but_its_outputs(tmp_path):
    (repo,) = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"]
    command = next(hook["entry"] for hook in repo["hooks"] if hook["id"] == "nbstripout").split()
    notebooks = sorted((ROOT / "book").glob("*.ipynb"))
    copies = [tmp_path / path.name for path in notebooks]
    for path, copy in zip(notebooks, copies, strict=True):
        content = nbformat.read(path, 4)
        code = next(cell for cell in content.cells if cell.cell_type == "code")
        code.outputs, code.execution_count = [nbformat.v4.new_output("stream", text="1")], 1
        nbformat.write(content, copy)
    run = called(BIN / Path(command[0]).name, *command[1:], *copies)
    assert run.returncode == 0, run.stderr
    assert [nbformat.read(path, 4) for path in copies] == [nbformat.read(path, 4) for path in notebooks]
