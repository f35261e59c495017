"""Memory and address space that run out are one sentence, from the command and from Python."""

import subprocess
import sys

import numpy as np
import pytest
from click.testing import CliRunner

import jne
from jne._core import RefusedError, is_out_of_memory, memory_told, reading
from jne.cli import main
from jne.encoders import RidgeEncoder

SAID = {
    "torch": RuntimeError("[enforce fail at alloc_cpu.cpp:127] err == 0. DefaultCPUAllocator: can't allocate memory: "
                          "you tried to allocate 131072 bytes. Error code 12 (Cannot allocate memory)"),
    "NumPy": MemoryError("Unable to allocate 7.28 TiB for an array with shape (1, 2) and data type float64"),
    "Python": MemoryError(),
    "C++": RuntimeError("std::bad_alloc"),
    "the system": OSError(12, "Cannot allocate memory"),
    "threads": RuntimeError("can't start new thread"),
    "the loader": ImportError("libtorch_cpu.so: failed to map segment from shared object"),
    "HDF5": OSError("Can't synchronously read data (unable to allocate memory for chunk)"),
}  # fmt: skip
OTHERS = [
    RuntimeError("shapes disagree"),
    ImportError("no module x"),
    OSError(2, "no such file"),
    ValueError("bad_alloc"),
]


@pytest.mark.parametrize("library", SAID)
def test_every_library_is_understood(library):
    with pytest.raises(MemoryError, match=r"^inside: there is not enough memory.*ulimit -v.*batch_size") as told:
        with memory_told("fit"), memory_told("inside"):
            raise SAID[library]
    assert len(str(told.value)) < 300 and "enforce" not in str(told.value)


@pytest.mark.parametrize("error", OTHERS, ids=repr)
def test_other_errors_stay_what_they_are(error):
    assert not is_out_of_memory(error)
    with pytest.raises(type(error)) as told, memory_told("fit"):
        raise error
    assert told.value is error


def test_a_file_is_not_called_damaged_where_memory_runs_out(tmp_path):
    """A kept result would else be set aside."""
    with pytest.raises(RefusedError, match="takes more memory than is free"), reading(tmp_path, "encoder", "one"):
        raise SAID["torch"]


def failing(*args, **options):
    raise SAID["torch"]


def test_a_fit_and_a_measure_say_it(monkeypatch):
    rng = np.random.default_rng(0)
    X, Y = rng.normal(size=(40, 3)), rng.normal(size=(40, 2))
    encoder = RidgeEncoder().fit(X, Y, X[:9], Y[:9])
    with monkeypatch.context() as patched, pytest.raises(MemoryError, match=r"^fit: .*\(131072 bytes more"):
        patched.setattr("jne.encoders.base.moments", failing)
        patched.setattr("jne.encoders.base.check_training", failing)
        RidgeEncoder().fit(X, Y, X[:9], Y[:9])
    measure = jne.nonlinearity  # which loads the module
    monkeypatch.setattr(sys.modules["jne.measures.nonlinearity"], "prepare", failing)
    with pytest.raises(MemoryError, match=r"^nonlinearity: there is not enough"):
        measure(encoder, X)


@pytest.mark.parametrize("library", SAID)
def test_commands_say_it_in_one_line(monkeypatch, library):
    def fail(*args):
        raise SAID[library]

    monkeypatch.setattr(sys, "unraisablehook", sys.unraisablehook)
    monkeypatch.setattr(jne, "load_dataset", fail)
    run = CliRunner().invoke(main, ["info", "mine.nc"])
    assert run.exit_code == 1 and isinstance(run.exception, SystemExit)
    assert run.output.startswith("Error: there is not enough memory") and run.output.count("\n") == 1


@pytest.mark.skipif(sys.platform != "linux", reason="limits the address space")
def test_a_process_without_address_space_says_it():
    code = (
        "import torch, sys, resource; from jne._core import memory_told\n"
        "pages = int(open('/proc/self/statm').read().split()[0]) * resource.getpagesize()\n"
        "resource.setrlimit(resource.RLIMIT_AS, (pages + 2**26,) * 2)\n"
        "with memory_told('fit'):\n    torch.ones(2**30)"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert run.returncode == 1 and "NoMemoryError: fit: there is not enough memory (4294967296 bytes" in run.stderr
