"""Threads sleep while they wait, and small fits have one."""

import os
import re
import subprocess
import sys

import numpy as np
import pytest
import torch
from torch import nn

import jne
from jne._core import threads, threads_for

ROOMY = {"hidden_size": 8, "max_epochs": 1, "device": "cpu"}


@pytest.fixture
def two_threads():
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(1)


def environment(**given):
    return {**{name: value for name, value in os.environ.items() if name != "OMP_WAIT_POLICY"}, **given}


def test_threads_of_torch_sleep_while_they_wait_once_jne_is_imported():
    # The library of threads itself says what it has read.
    command = [sys.executable, "-c", "import jne, torch; torch.ones(10) @ torch.ones(10)"]
    run = subprocess.run(command, env=environment(OMP_DISPLAY_ENV="TRUE"), capture_output=True, text=True, check=True)
    assert re.search(r"OMP_WAIT_POLICY\s*=\s*'PASSIVE'", run.stderr), run.stderr


@pytest.mark.parametrize(("given", "kept"), [({}, "PASSIVE"), ({"OMP_WAIT_POLICY": "ACTIVE"}, "ACTIVE")])
def test_processes_started_from_a_command_wait_likewise_unless_the_user_says_how(given, kept):
    command = [sys.executable, "-c", "import jne.cli, os; print(os.environ['OMP_WAIT_POLICY'])"]
    run = subprocess.run(command, env=environment(**given), capture_output=True, text=True, check=True)
    assert run.stdout.strip() == kept


@pytest.mark.parametrize(("work", "inside"), [(threads.SMALL, 1), (threads.SMALL + 1, 2)])
def test_a_small_step_has_one_thread_and_a_large_one_those_there_were(work, inside, two_threads):
    with pytest.raises(KeyError), threads_for(work):
        assert torch.get_num_threads() == inside
        raise KeyError
    assert torch.get_num_threads() == 2


@pytest.mark.parametrize(("batch_size", "inside"), [(10, 1), (None, 2)])
def test_a_fit_has_the_threads_of_its_gradient_step(batch_size, inside, two_threads, monkeypatch):
    # 4 * 8 + 2 * 8 * 8 + 8 * 3 weights: 1,840 multiply-adds in a step of 10 stimuli, 3,680 in one of 20.
    monkeypatch.setattr(threads, "SMALL", 2_000)
    used = []
    monkeypatch.setattr(nn.ReLU, "forward", lambda self, x: used.append(torch.get_num_threads()) or x.clamp(min=0))
    draw = np.random.default_rng(0).normal
    X, Y = draw(size=(20, 4)), draw(size=(20, 3))
    jne.ResidualEncoder(batch_size=batch_size, **ROOMY).fit(X, Y, X, Y)
    assert set(used) == {inside} and torch.get_num_threads() == 2
