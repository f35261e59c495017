"""Scripts in processes of their own, which may be killed: copies of one that has imported the package before."""

import multiprocessing
import os
import sys
from pathlib import Path

_CONTEXT = multiprocessing.get_context("spawn" if sys.platform == "win32" else "forkserver")
if sys.platform != "win32":
    wings = ["jne.cli", "jne.study", "jne.prepare.nsd", "jne.prepare.things", "jne.features"]
    # What torch and xarray import only when a network is fitted and a file is written, which takes seconds.
    _CONTEXT.set_forkserver_preload([*wings, "torch._dynamo", "distributed"])


def execute(script, arguments, folder, environment):
    """What ``python -c`` does."""
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    sys.argv = ["-c", *arguments]
    exec(compile(script, "<script>", "exec"), {"__name__": "__main__"})


def start(script, *arguments, folder="."):
    """A process that runs a script, with the environment of now."""
    given = script, [str(argument) for argument in arguments], str(Path(folder).resolve()), dict(os.environ)
    process = _CONTEXT.Process(target=execute, args=given)
    process.start()
    return process


def run(script, *arguments, folder=".", timeout=120):
    """How a script ends: 0, the exit status, or the number of the signal, negative."""
    process = start(script, *arguments, folder=folder)
    process.join(timeout)
    if process.exitcode is None:
        process.kill()
        raise TimeoutError(f"it does not end within {timeout} s")
    return process.exitcode
