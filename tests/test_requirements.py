"""What is pinned, what pyproject.toml asks for, and what the packages ask of each other, are one story."""

import importlib.metadata
import itertools
import sys
import tomllib
from functools import cache
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
EXTRAS = PROJECT["project"]["optional-dependencies"]
BOOK, TEST = frozenset({"book", "batch"}), frozenset({"clip", "images", "slurm", "test"})
# pyarrow would change the strings of pandas: tests run as the book does, and once a week with it (newest.yml).
UNPINNED = {"parquet"}
PYTHONS = [f"3.{minor}" for minor in range(11, 15)]
SYSTEMS = {
    "linux": {"sys_platform": "linux", "platform_system": "Linux", "os_name": "posix"},
    "macos": {"sys_platform": "darwin", "platform_system": "Darwin", "os_name": "posix"},
}
MACHINES = list(itertools.product(PYTHONS, SYSTEMS))


def pins(file, machine=None):
    """``{name: version}`` of a file of exact versions, as one machine reads it."""
    requirements = [
        Requirement(line) for line in (ROOT / file).read_text().splitlines() if line and not line.startswith("#")
    ]
    return {
        canonicalize_name(requirement.name): next(iter(requirement.specifier)).version
        for requirement in requirements
        if machine is None or requirement.marker is None or requirement.marker.evaluate(environment(*machine))
    }


def environment(python, system):
    return {"python_version": python, "python_full_version": f"{python}.1", **SYSTEMS[system]}


@cache
def asked_by(name):
    """The requirements of an installed package; None for one that only other machines have."""
    try:
        return [Requirement(line) for line in importlib.metadata.requires(name) or []]
    except importlib.metadata.PackageNotFoundError:
        return None


def closure(lines, machine):
    """Every requirement that the given ones lead to: ``{name: [the ranges asked for]}``."""
    found, seen, waiting = {}, set(), [Requirement(line) for line in lines]
    while waiting:
        requirement = waiting.pop()
        name, extras = canonicalize_name(requirement.name), frozenset(requirement.extras)
        if name == "jne":
            waiting += [Requirement(line) for extra in extras for line in EXTRAS[extra]]
            continue
        found.setdefault(name, []).append(requirement.specifier)
        if (name, extras) not in seen:
            seen.add((name, extras))
            waiting += [
                other
                for other in asked_by(name) or []
                if other.marker is None
                or any(other.marker.evaluate({**environment(*machine), "extra": extra}) for extra in ["", *extras])
            ]
    # PyTorch pins the libraries of its cards itself, and only its wheels for cards ask for them.
    cards = ("nvidia-", "cuda-", "triton")
    return {name: ranges for name, ranges in found.items() if not name.startswith(cards)}


@cache
def needed(extras, machine):
    lines = [*PROJECT["project"]["dependencies"], *(line for extra in sorted(extras) for line in EXTRAS[extra])]
    # hatchling asks for editables only once it makes an editable wheel.
    return closure([*lines, *PROJECT["build-system"]["requires"], "editables"], machine)


def differences(pinned, wanted):
    """What is not pinned, and what is pinned for nobody (unknown where a package is not installed here)."""
    unknown = any(asked_by(name) is None for name in wanted)
    return set(wanted) - set(pinned), set() if unknown else set(pinned) - set(wanted)


@cache
def not_as_pinned():
    """What is installed in another version than the pinned one, as in the weekly run with the newest releases."""
    machine = (f"3.{sys.version_info.minor}", "macos" if sys.platform == "darwin" else "linux")
    versions = {**pins("requirements.txt", machine), **pins("requirements-test.txt", machine)}
    there = {canonicalize_name(found.name): found.version.split("+")[0] for found in importlib.metadata.distributions()}
    return {name: (there.get(name), version) for name, version in versions.items() if there.get(name) != version}


# What packages ask for is read from those that are installed.
as_pinned = pytest.mark.skipif(bool(not_as_pinned()), reason=f"installed and pinned differ: {not_as_pinned()}")


@as_pinned
@pytest.mark.parametrize("machine", MACHINES, ids="-".join)
def test_the_book_installs_what_it_needs_and_nothing_else(machine):
    assert differences(pins("requirements.txt", machine), needed(BOOK, machine)) == (set(), set())


@as_pinned
@pytest.mark.parametrize("machine", MACHINES, ids="-".join)
def test_tests_add_what_only_they_need(machine):
    pinned = pins("requirements-test.txt", machine)
    assert not set(pinned) & set(pins("requirements.txt", machine))
    assert differences({*pinned, *needed(BOOK, machine)}, needed(BOOK | TEST, machine)) == (set(), set())


@as_pinned
@pytest.mark.parametrize("machine", MACHINES, ids="-".join)
def test_every_exact_version_is_one_that_all_who_ask_accept(machine):
    versions = {**pins("requirements.txt", machine), **pins("requirements-test.txt", machine)}
    refused = {
        name: (versions[name], str(wanted))
        for name, ranges in needed(BOOK | TEST, machine).items()
        for wanted in ranges
        if not wanted.contains(versions[name], prereleases=True)
    }
    assert refused == {}


def test_every_extra_is_pinned_or_left_out_on_purpose():
    assert BOOK | TEST | UNPINNED == set(EXTRAS)


def test_the_versions_of_python_are_the_same_everywhere():
    accepted = SpecifierSet(PROJECT["project"]["requires-python"])
    assert [f"3.{minor}" for minor in range(20) if f"3.{minor}.1" in accepted] == PYTHONS
    told = [line.split(" :: ")[-1] for line in PROJECT["project"]["classifiers"] if "Python :: 3." in line]
    assert told == PYTHONS
    matrix = yaml.safe_load((ROOT / ".github/workflows/tests.yml").read_text())["jobs"]["ci"]["strategy"]["matrix"]
    assert set(PYTHONS) == set(matrix["python"]) | {case["python"] for case in matrix["include"]}
