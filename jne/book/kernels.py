"""Processes for notebooks: started anew, or as copies of one process that has loaded what all of them import.

Loading torch and what stands on it takes seconds of a core, more than many a chapter needs besides.
"""

from __future__ import annotations

import importlib
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing, nullcontext, suppress
from typing import Any

from jne.book.notebooks import install_hint

try:
    from ipykernel.kernelspec import get_kernel_dict
    from jupyter_client.kernelspec import KernelSpec
    from jupyter_client.manager import AsyncKernelManager
except ModuleNotFoundError as missing:
    raise ModuleNotFoundError(install_hint(missing)) from missing

# The optimizers of torch load the compiler.
_OF_ALL = ("ipykernel.kernelapp", "torch._dynamo", "jne.plotting", "jne.simulations", "jne.statistics", "jne.study")
_SERVE = "import sys; sys.path[:] = [p for p in sys.path if p]; from jne.book.kernels import serve; serve(sys.argv[1:])"
_STARTING = threading.Lock()


class ThisPython(AsyncKernelManager):
    """Starts the interpreter that runs this code, whichever kernels are installed under the name python3.

    Parameters
    ----------
    environment : mapping
        Added to the kernel's environment.
    started : callable, optional
        Called with its process id.
    loaded : LoadedProcess, optional
        What to copy in place of starting anew.
    """

    # Without it every kernel prints a warning in the terminal.
    transport_encryption = "auto"

    def __init__(
        self,
        environment: Mapping[str, str],
        started: Callable[[int], object] | None = None,
        loaded: LoadedProcess | None = None,
    ):
        super().__init__(kernel_name="python3")
        self.environment, self.started, self.loaded = environment, started, loaded

    @property
    def kernel_spec(self) -> KernelSpec:
        spec = get_kernel_dict()
        spec["argv"] = [sys.executable, *spec["argv"][1:]]
        # A progress bar would become one block of output per update.
        spec["env"] = {"TQDM_DISABLE": "1", "JNE_PROGRESS": "0"}
        spec["env"] |= self.environment
        return KernelSpec(**spec)

    async def start_kernel(self, **options) -> None:
        # Two that start at once could choose the same ports.
        with _STARTING:
            await super().start_kernel(**options)
        if self.started:
            self.started(self.provisioner.pid)

    async def _async_launch_kernel(self, kernel_cmd: list[str], **options) -> None:
        copy = self.loaded and self.loaded.copy(["-f", self.connection_file], options["cwd"], options["env"])
        if copy is None:
            return await super()._async_launch_kernel(kernel_cmd, **options)
        place: Any = self.provisioner
        place.process, place.pid, place.pgid, place.cwd = copy, copy.pid, copy.pid, options["cwd"]
        self._reconcile_connection_info(place.connection_info)

    async def _async_interrupt_kernel(self) -> None:
        # Before it is shut down a kernel is interrupted, and one that is idle reports that as an error.
        if not self.shutting_down:
            await super()._async_interrupt_kernel()


def loaded_process(sources: Sequence[str], environment: Mapping[str, str]) -> closing | nullcontext:
    """A context with the `LoadedProcess` for notebooks of these sources, or with None where it would win nothing."""
    # Frameworks of macOS do not survive a fork, and without the package there is nothing to load.
    users = sum("import jne" in source or "from jne" in source for source in sources)
    if sys.platform != "linux" or users < 2:
        return nullcontext()
    return closing(LoadedProcess(environment))


class LoadedProcess:
    """A process that has imported what chapters import, and copies itself when asked.

    ``environment`` is added to its own, such as the number of threads, which is read when libraries load.
    """

    def __init__(self, environment: Mapping[str, str]):
        # Matplotlib reads its backend when it loads; notebooks have this one.
        self.environment = {"MPLBACKEND": "module://matplotlib_inline.backend_inline", **environment}
        self._process: Any = None  # until it is asked for
        self._lock = threading.Lock()

    def copy(self, arguments: Sequence[str], folder: str | None, environment: Mapping[str, str]) -> _Copy | None:
        """A copy that becomes a kernel with these command-line arguments; None where the process has ended."""
        request = {"arguments": arguments, "folder": os.fspath(folder or os.getcwd()), "environment": dict(environment)}
        with self._lock:
            self._process = self._process or self._start()
            try:
                self._process.stdin.write(json.dumps(request) + "\n")
                self._process.stdin.flush()
                answer = self._process.stdout.readline()
            except BrokenPipeError:
                answer = ""
        return _Copy(int(answer)) if answer else None

    def close(self) -> None:
        """End it and its copies."""
        if self._process:
            with self._process, suppress(BrokenPipeError):
                self._process.stdin.close()

    def _start(self) -> subprocess.Popen:
        command, pipe = [sys.executable, "-c", _SERVE, *_OF_ALL], subprocess.PIPE
        # In a session of its own: an interrupt in the terminal is for who started it.
        options = {"stdin": pipe, "stdout": pipe, "text": True, "start_new_session": True}
        # No shell: this Python, with a text of this module.
        return subprocess.Popen(command, env=os.environ | self.environment, **options)  # noqa: S603


class _Copy:
    """What a kernel manager asks of a process, for one that is a child of another."""

    stdin = stdout = stderr = None

    def __init__(self, pid: int):
        self.pid = pid

    def poll(self) -> int | None:
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return 1  # how it ended is known to its parent only
        return None

    wait = poll

    def send_signal(self, number: int) -> None:
        os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


def serve(modules: Sequence[str]) -> None:
    """Load ``modules``, then answer every line of the standard input with the process id of a copy, until it ends.

    The standard input is a pipe that ends when the process at its other side does, however that ends.
    """
    try:
        for name in modules:
            importlib.import_module(name)
    except Exception:  # a chapter that imports it says what is wrong
        return
    copies: set[int] = set()
    ended: set[int] = set()
    signal.signal(signal.SIGCHLD, lambda *_: _wait_for_ended(ended))
    for line in iter(sys.stdin.readline, ""):
        pid = os.fork()
        if pid == 0:
            _become_kernel(**json.loads(line))
            return
        copies.add(pid)
        print(pid, flush=True)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    _wait_for_ended(ended)
    for pid in copies - ended:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def _wait_for_ended(ended: set[int]) -> None:
    """Take leave of the copies that have ended; their processor time then counts as their parent's."""
    with suppress(ChildProcessError):  # there is none
        while pid := os.waitpid(-1, os.WNOHANG)[0]:
            ended.add(pid)


def _become_kernel(arguments: list[str], folder: str, environment: Mapping[str, str]) -> None:
    from ipykernel.kernelapp import launch_new_instance

    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    os.setsid()
    os.environ.update(environment)
    os.chdir(folder)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(2, 1)
    # A kernel ends with this process.
    launch_new_instance(argv=[*arguments, f"--IPKernelApp.parent_handle={os.getppid()}"])
