"""Time and memory of a running notebook, and the limits on them."""

from __future__ import annotations

import threading
import time

import psutil

from jne._core import format_bytes
from jne.batch.resources import Resources


class Watch(threading.Thread):
    """Looks at a kernel and the processes that it starts: how much memory, how long; stops them at a limit.

    As a context manager it watches for the length of the block, and leaves no process behind.

    Attributes
    ----------
    peak : int
        Bytes: the most that these processes had in memory together, looked at every fifth of a second.
    seconds : float
    reason : str
        ``timeout`` or ``memory`` where the kernel was stopped for it.
    explanation : str
    """

    interval = 0.2

    def __init__(self, resources: Resources):
        super().__init__(daemon=True)
        self.resources = resources
        self.peak, self.seconds, self.reason, self.explanation = 0, 0.0, "", ""
        self._kernel: psutil.Process | None = None
        self._seen: dict[int, psutil.Process] = {}
        self._over = threading.Event()

    def started(self, pid: int) -> None:
        """Name the kernel to watch."""
        self._kernel = psutil.Process(pid)

    def __enter__(self) -> Watch:
        self._start = time.monotonic()
        self.start()
        return self

    def __exit__(self, *_) -> None:
        self._over.set()
        self.join()
        self.seconds = time.monotonic() - self._start
        self._kill()

    def run(self) -> None:
        while not self._over.wait(self.interval):
            self._measure()
            limit = self.resources.memory
            if self.resources.timeout and time.monotonic() - self._start > self.resources.timeout:
                self.reason, self.explanation = "timeout", f"stopped after {self.resources.timeout:g} s, its timeout"
            elif limit and self.peak > limit:
                self.reason = "memory"
                self.explanation = f"stopped at {format_bytes(self.peak)}; its limit is {format_bytes(limit)}"
            if self.reason and self._kernel:
                self._kill()
                return

    def _measure(self) -> None:
        if self._kernel is None:
            return
        total = 0
        try:
            for process in (self._kernel, *self._kernel.children(recursive=True)):
                self._seen[process.pid] = process
                total += process.memory_info().rss
        except psutil.NoSuchProcess:
            return
        self.peak = max(self.peak, total)

    def _kill(self) -> None:
        for process in self._seen.values():
            try:
                process.kill()
            except psutil.NoSuchProcess:
                continue
