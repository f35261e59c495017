"""What the benchmarks share: the machine in words, clocks, peaks of memory, and results that resume."""

from __future__ import annotations

import json
import os
import platform
import re
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import torch

from jne._core import results_dir, write_json

LINUX = sys.platform.startswith("linux")


def machine(threads: int) -> dict:
    """The machine that the numbers belong to."""
    blas = re.search(r"BLAS_INFO=(\w+)", torch.__config__.show())
    instructions = torch.backends.cpu.get_cpu_capability()
    return {
        "cpu": _cpu_model(),
        "cores": os.cpu_count(),
        "threads": threads,
        "instructions": instructions,
        "memory_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "torch": torch.__version__,
        "blas": blas[1] if blas else "unknown",
    }


def _cpu_model() -> str:
    if LINUX:
        names = re.findall(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
        if names:
            return names[0]
    return platform.processor() or "unknown"


def interleaved(methods: Mapping[str, Callable[[], object]], repeats: int) -> dict[str, dict[str, list[float]]]:
    """Wall and CPU seconds of every method, ``repeats`` times in turn, so that what slows the machine slows all."""
    seconds = {name: {"wall": [], "cpu": []} for name in methods}
    for _ in range(repeats):
        for name, method in methods.items():
            wall, cpu = time.perf_counter(), time.process_time()
            method()
            seconds[name]["cpu"].append(time.process_time() - cpu)
            seconds[name]["wall"].append(time.perf_counter() - wall)
    return seconds


def ratios(seconds: Mapping, reference: str = "gemm") -> dict[str, dict[str, float]]:
    """Median over repeats of every method's time over that of ``reference`` in the same repeat."""
    return {
        name: {
            clock: statistics.median(a / b for a, b in zip(times[clock], seconds[reference][clock], strict=True))
            for clock in ("wall", "cpu")
        }
        for name, times in seconds.items()
    }


def peak_above(method: Callable[[], object]) -> int:
    """Bytes by which the resident memory of this process rises above what it is now, at most, while ``method`` runs."""
    Path("/proc/self/clear_refs").write_text("5")  # sets the peak to the present size
    before = _status("VmRSS")
    method()
    return _status("VmHWM") - before


def _status(field: str) -> int:
    return int(re.search(rf"^{field}:\s*(\d+) kB$", Path("/proc/self/status").read_text(), re.MULTILINE)[1]) * 1024


class Results:
    """Sections of a JSON file that is written when all are measured; until then they are kept among the caches.

    Parameters
    ----------
    path : Path
    settings : mapping
        What a number depends on (threads, sizes, code, versions). Sections measured with others are not used again.
    fresh : bool
        Whether to measure everything again.
    """

    def __init__(self, path: Path, settings: Mapping, fresh: bool):
        self.path, self.unfinished = path, results_dir() / "benchmarks" / path.name
        self.content = {"settings": json.loads(json.dumps(settings)), "sections": {}}
        for earlier in () if fresh else (self.unfinished, self.path):
            if earlier.exists() and (found := _read(earlier))["settings"] == self.content["settings"]:
                self.content = found
                return

    def section(self, name: str, measure: Callable[[], dict]) -> dict:
        """The section, measured now unless it is there."""
        sections = self.content["sections"]
        if name in sections:
            print(f"{name}: kept from an earlier run", flush=True)
            return sections[name]
        print(f"{name} ...", end=" ", flush=True)
        load, start = os.getloadavg()[0], time.perf_counter()
        sections[name] = {**measure(), "load_before": load, "load_after": os.getloadavg()[0]}
        sections[name]["seconds_taken"] = time.perf_counter() - start
        write_json(self.content, self.unfinished)
        print(f"{sections[name]['seconds_taken']:.0f} s", flush=True)
        return sections[name]

    def finish(self, **parts) -> None:
        """Write the file, with ``parts`` beside the sections."""
        self.content |= parts
        write_json(self.content, self.path)
        self.unfinished.unlink(missing_ok=True)
        print(f"Written to {self.path}")


def _read(path: Path) -> dict:
    try:
        content = json.loads(path.read_text())
    except ValueError as error:
        raise SystemExit(f"{path} is not a JSON file ({error}); remove it") from error
    return {"settings": None, **content}


def over_seeds(sections: Sequence[Mapping[str, float]]) -> dict[str, dict[str, float]]:
    """``{number: {mean, min, max}}`` of numbers that every section has."""
    rows = {name: [section[name] for section in sections] for name in sections[0]}
    return {n: {"mean": statistics.fmean(v), "min": min(v), "max": max(v)} for n, v in rows.items()}
