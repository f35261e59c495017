"""What a reader of the terminal sees while chapters run: which is at which cell, and for how long."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bars

_EVERY = 60
"""Seconds between two lines on what still runs, where there is no terminal."""


class Progress:
    """Live bars in a terminal, plain lines elsewhere; to be used as a context manager."""

    def __init__(self, total: int, report: Callable[[str], object], console: Console | None = None):
        self.total, self.report, self.done = total, report, 0
        self._lock, self._running, self._said = threading.Lock(), {}, time.monotonic()
        self._bars = None
        if console is not None and console.is_terminal:
            name = TextColumn("{task.description}", markup=False)
            columns = name, BarColumn(), TextColumn("cell"), MofNCompleteColumn(), TimeElapsedColumn()
            self._bars = Bars(*columns, console=console, transient=True)

    def __enter__(self) -> Self:
        if self._bars:
            self._bars.start()
        return self

    def __exit__(self, *error) -> None:
        if self._bars:
            self._bars.stop()

    def begin(self, name: str) -> None:
        """A chapter begins."""
        with self._lock:
            task = self._bars.add_task(name, total=None) if self._bars else None
            self._running[name] = [time.monotonic(), 0, 0, task]
        if not self._bars:
            self.report(f"Running {name} ...")

    def cell(self, name: str, number: int, total: int) -> None:
        """A chapter is at cell ``number`` of ``total``."""
        with self._lock:
            state = self._running[name]
            state[1:3] = number, total
            if self._bars:
                self._bars.update(state[3], completed=number - 1, total=total)
            now = time.monotonic()
            if self._bars or now - self._said < _EVERY:
                return
            self._said = now
            still = [f"{n}, cell {at} of {of}, {now - start:.0f} s" for n, (start, at, of, _) in self._running.items()]
        self.report(f"Still running: {'; '.join(still)}")

    def end(self, name: str, seconds: float) -> None:
        """A chapter has ended well, after ``seconds``; 0 where it was kept from an earlier build."""
        self._over(name, f"{seconds:.1f} s" if seconds else "as in an earlier build")

    def fail(self, name: str) -> None:
        """A chapter has failed."""
        self._over(name, "failed; the others go on")

    def _over(self, name: str, text: str) -> None:
        with self._lock:
            self.done += 1
            task = self._running.pop(name)[3]
            if self._bars:
                self._bars.remove_task(task)
        self.report(f"[{self.done}/{self.total}] {name}: {text}")
