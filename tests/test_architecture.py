"""The house: which wing may import which, and that everybody comes in by a wing's door."""

import ast
import importlib
import json
from functools import cache
from pathlib import Path

import pytest

import jne
from jne._core import MADE_BY, code_hash

ROOT = Path(__file__).resolve().parent.parent
WINGS = sorted(path.parent.name for path in (ROOT / "jne").glob("*/__init__.py"))
DOORS = {"jne.jacobians.engine"}  # for the measures, and for the benchmarks of what is behind it


def looked_at(source):
    """Imports, calls and classes of a source."""
    kinds = (ast.Import, ast.ImportFrom, ast.Call, ast.ClassDef)
    return [node for node in ast.walk(ast.parse(source)) if isinstance(node, kinds)]


@cache
def nodes_of(path):
    return looked_at(path.read_text())


def sources():
    """Every source of package, tests, benchmarks, examples and chapters: ``(name, wing or None, nodes)``."""
    for folder in ("jne", "tests", "benchmarks", "examples"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            parts = path.relative_to(ROOT).parts
            wing = parts[1] if folder in ("jne", "tests") and len(parts) > 2 else None
            yield "/".join(parts), wing, nodes_of(path)
    for path in sorted((ROOT / "book").glob("*.ipynb")):
        for cell in json.loads(path.read_text())["cells"]:
            if cell["cell_type"] == "code":
                yield path.name, None, looked_at("".join(cell["source"]))


def imported(nodes):
    """``(module, name or None)`` of every import of this package."""
    for node in nodes:
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "jne":
            yield from ((node.module, alias.name) for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from ((alias.name, None) for alias in node.names if alias.name.split(".")[0] == "jne")


def inner(module, name, wing):
    """Whether an import reaches past the door of another wing."""
    parts = module.split(".")
    if len(parts) == 1:
        return name is not None and name not in {*jne.__all__, *WINGS, "accuracy"}
    if parts[1] == wing or module in DOORS or parts[1] == "accuracy":
        return False
    return len(parts) > 2 or (name is not None and name not in importlib.import_module(module).__all__)


def test_nobody_imports_the_inner_modules_of_another_wing():
    found = [f"{file}: {m}.{n}" for file, wing, nodes in sources() for m, n in imported(nodes) if inner(m, n, wing)]
    assert not found


def test_the_top_of_the_package_is_the_wings_and_accuracy():
    assert len(WINGS) <= 15
    assert {path.name for path in (ROOT / "jne").glob("*.py*") if path.suffix != ".typed"} == {
        "__init__.py",
        "__init__.pyi",
        "accuracy.py",
    }


def wings_behind(start):
    """Every wing that running ``start`` may run code of; names are followed through the doors to their modules."""
    found, seen, waiting = set(), set(), [start]
    while waiting:
        module = waiting.pop()
        path = ROOT / Path(*module.split(".")).with_suffix(".py")
        if module in seen or not path.is_file():
            continue
        seen.add(module)
        for source, name in imported(nodes_of(path)):
            if source != "jne":
                found.add(source.split(".")[1])
                value = getattr(importlib.import_module(source), name or "", None)
                waiting.append(getattr(value, "__module__", source))
    return found


MAKERS = {
    "dataset": ["jne.datasets.synthetic"],
    "clusters": ["jne.datasets.stimulus_clusters"],
    "session": ["jne.prepare.nsd.sessions"],
    "smooth-maps": ["jne.cortex.smooth_maps"],
    "fit": ["jne.encoders"],
    "crossfit": ["jne.measures.crossfit"],
    "study": ["jne.study.study"],
    "selectivity-null": ["jne.study.selectivity_null"],
    "simulation": [
        f"jne.simulations.{name}"
        for name in ("convergence", "fitted_networks", "networks", "recovery", "varied_settings")
    ],
}


@pytest.mark.parametrize("kind", MAKERS)
def test_a_cache_key_knows_every_wing_that_has_a_part(kind):
    assert set().union(*map(wings_behind, MAKERS[kind])) <= set(MADE_BY[kind])


def test_every_kind_that_is_kept_has_its_maker_in_the_test_above():
    assert {*MAKERS, "run", "chapter"} == set(MADE_BY)  # the last two are of everything below them


@pytest.mark.parametrize(
    ("wing", "files"), [*((wing, "[a-z]*.py") for wing in (*WINGS, "accuracy")), ("plotting", "*.html")]
)
def test_an_edit_changes_exactly_the_keys_that_depend_on_its_wing(wing, files, monkeypatch):
    """A comment in a reader, a figure, an encoder ...: whose results are computed again."""
    before = {kind: code_hash(kind) for kind in MADE_BY}
    edited = next(iter(sorted((ROOT / "jne" / wing).glob(files))), ROOT / "jne" / f"{wing}.py")
    original = Path.read_bytes
    monkeypatch.setattr(Path, "read_bytes", lambda self: original(self) + b"# comment" * (self == edited))
    code_hash.cache_clear()
    try:
        changed = {kind for kind in MADE_BY if code_hash(kind) != before[kind]}
    finally:
        code_hash.cache_clear()
    assert changed == {kind for kind, wings in MADE_BY.items() if wing in wings}


def calls(nodes, name):
    return [node for node in nodes if isinstance(node, ast.Call) and getattr(node.func, "id", None) == name]


def switched(call, name):
    """The value of a switch of a call, or None."""
    return next((getattr(word.value, "value", None) for word in call.keywords if word.arg == name), None)


def test_what_makes_numbers_lets_no_list_end_before_the_other():
    """Where two lists are to be of one length, the shorter would cut the longer without a word."""
    wings = {"jacobians", "measures", "encoders", "statistics", "prepare"}
    found = [
        f"{file}:{call.lineno}"
        for file, wing, nodes in sources()
        if file.startswith("jne/") and wing in wings
        for call in calls(nodes, "zip")
        if not switched(call, "strict")
    ]
    assert [place.split(":")[0] for place in found] == ["jne/jacobians/chain_rule.py"], found  # arguments, some given


def test_values_do_not_change_once_they_are_made():
    """All but what counts how far a long run has come."""
    found = [
        file
        for file, _, nodes in sources()
        if file.startswith("jne/")
        for node in nodes
        if isinstance(node, ast.ClassDef)
        for mark in node.decorator_list
        if getattr(mark, "id", None) == "dataclass"
        or (getattr(getattr(mark, "func", None), "id", None) == "dataclass" and not switched(mark, "frozen"))
    ]
    assert sorted(found) == ["jne/encoders/checkpoints.py", "jne/features/progress.py"]
