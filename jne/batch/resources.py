"""What one run may use, and how a cluster is asked for it: the sections of a grid file that are not about science."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, fields
from pathlib import Path

from jne._core import parse_bytes, whole_number
from jne.book import existing_file, load_yaml


@dataclass(frozen=True)
class Resources:
    """What one run may use.

    Attributes
    ----------
    threads : int
        Of every numerical library in the run's process.
    gpu : int, optional
        0 hides all GPUs, 1 asks for one; None takes one where there are any.
    memory : int, optional
        Bytes; a run that takes more is stopped.
    timeout : float, optional
        Seconds; a run that takes longer is stopped.
    """

    threads: int = 1
    gpu: int | None = None
    memory: int | None = None
    timeout: float | None = None


def read_resources(given, file: Path) -> Resources:
    """The section ``resources`` of a grid file."""
    where = f"{file}, resources"
    options = dict(as_mapping(given, where, [field.name for field in fields(Resources)]))
    for name, least in (("threads", 1), ("gpu", 0)):
        if options.get(name) is not None:
            whole_number(options[name], f"{where}: {name}", least)
    if (options.get("gpu") or 0) > 1:
        raise ValueError(f"{where}: gpu is {options['gpu']!r}; accepted are 0 and 1")
    if options.get("memory") is not None:
        options["memory"] = parse_bytes(options["memory"], f"{where}: memory")
    if options.get("timeout") is not None:
        options["timeout"] = _seconds(options["timeout"], f"{where}: timeout")
    return Resources(**{name: value for name, value in options.items() if value is not None})


def read_slurm(given, file: Path) -> dict:
    """The section ``slurm`` of a grid file: options, or the path of a file of them."""
    where = f"{file}, slurm"
    if isinstance(given, str):
        file = existing_file(file.parent / given, where)
        given, where = load_yaml(file), str(file)
    return as_mapping(given, where)


def as_mapping(content, where: str, accepted: Iterable[str] | None = None) -> dict:
    """``content`` as a mapping (nothing is an empty one), with no other names than those accepted."""
    content = {} if content is None else content
    if not isinstance(content, dict) or not all(isinstance(name, str) for name in content):
        raise ValueError(f"{where}: expected names with values, not {content!r}")
    if unknown := [name for name in content if accepted and name not in accepted]:
        raise ValueError(f"{where}: {unknown[0]!r} is not known; accepted are {', '.join(accepted)}")
    return content


def _seconds(value, where: str) -> float:
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*(s|min|m|h|)\s*", str(value))
    if not match or not float(match[1]):
        raise ValueError(f"{where} is {value!r}; accepted are seconds, or such as 90s, 30min, 4h")
    return float(match[1]) * {"": 1, "s": 1, "m": 60, "min": 60, "h": 3600}[match[2]]
