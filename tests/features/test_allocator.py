"""Freed memory stays with the process inside `kept_memory`, and goes back to the system afterwards."""

import platform
import subprocess
import sys

import pytest

from jne.features import allocator as _allocator
from jne.features.allocator import kept_memory

SCRIPT = """
import torch
from pathlib import Path
from jne.features.allocator import kept_memory

def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096 / 1e6

def take_and_free():
    for _ in range(10):
        torch.ones(20_000_000)  # 80 MB

take_and_free()
start = resident()
take_and_free()
outside = resident() - start
with kept_memory():
    take_and_free()
    inside = resident() - start
print(outside, inside, resident() - start)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="a setting of glibc")
def test_freed_memory_is_kept_inside_and_returned_after():
    run = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True)
    outside, inside, after = map(float, run.stdout.split())
    assert abs(outside) < 10
    assert 70 < inside < 700  # small blocks between the large ones let glibc keep up to seven
    assert abs(after) < 10


def test_other_c_libraries_are_left_alone(monkeypatch):
    monkeypatch.setattr(_allocator.ctypes, "CDLL", lambda name: object())
    with kept_memory():
        pass
