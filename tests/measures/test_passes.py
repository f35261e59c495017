"""Passes through a network with large inputs: counted, told before they begin, and what memory would spare."""

import logging
import re

import numpy as np
import pytest
import torch
from torch import nn

import jne
from jne.measures import passes as module

H, N, V = 6, 5, 4


class Attentive(nn.Module):
    """What the chain rule does not know, so that its Jacobians are taken pass by pass."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.a, self.b = nn.Linear(12, H), nn.Linear(H, V)

    def forward(self, x):
        return self.b(torch.sin(torch.cumsum(self.a(x.flatten(1)), 1)))


@pytest.fixture
def slow(monkeypatch):
    """As if a pass took long; how many were told of and taken."""
    counts = {"told": 0, "taken": 0}

    tick, begin = module.Passes.tick, module.Passes.begin

    def counted(self, n):
        counts["taken"] += n
        tick(self, n)

    def told(self, product, X, width, per_sample, times=1, enough=None):
        counts["told"] += per_sample * times * len(X)
        begin(self, product, X, width, per_sample, times, enough)

    monkeypatch.setattr(module, "_SHORT", 0.0)
    monkeypatch.setattr(module.Passes, "tick", counted)
    monkeypatch.setattr(module.Passes, "begin", told)
    return counts


@pytest.mark.parametrize(
    ("options", "expected", "per_sample"),
    [
        ({"readout": True}, N * H, H),
        ({"readout": False}, N * V, V),
        ({"readout": False, "zscore_jacobian": True}, 2 * N * V, V),
        ({"readout": True, "zscore_jacobian": True, "progress": True}, N * H, H),
    ],
    ids=["trunk", "rows", "rows, z-scored", "trunk, z-scored, with a bar"],
)
def test_as_many_passes_are_taken_as_are_told(slow, caplog, options, expected, per_sample):
    X = np.random.default_rng(0).normal(size=(N, 3, 2, 2)).astype("f4")
    with caplog.at_level(logging.INFO, "jne"):
        jne.nonlinearity(Attentive(), X, **options)
    assert slow["told"] == slow["taken"] == expected
    (line,) = [record.getMessage() for record in caplog.records if "passes" in record.getMessage()]
    assert line.startswith(f"{per_sample} passes through the network for each of {N} samples")
    assert f"{expected} in all" in line


def test_that_a_large_model_is_tried_first_is_told(monkeypatch, caplog, capsys):
    X = np.random.default_rng(0).normal(size=(N, 3, 2, 2)).astype("f4")
    jne.nonlinearity(Attentive(), X, progress=True)
    assert "slopes are compared" not in capsys.readouterr().err
    monkeypatch.setattr("jne.jacobians.model._SHORT", 0.0)
    jne.nonlinearity(Attentive(), X, progress=True)
    assert re.search(
        rf"its first answers took \d+ s, and now its slopes are compared with them at {N} samples",
        capsys.readouterr().err,
    )
    with caplog.at_level(logging.INFO, "jne"):
        jne.nonlinearity(Attentive(), X)
    assert "slopes are compared" in caplog.text and "slopes" not in capsys.readouterr().err


def test_a_bar_is_told_before_it_where_nobody_reads_the_log(slow, capsys):
    X = np.random.default_rng(0).normal(size=(N, 3, 2, 2)).astype("f4")
    jne.nonlinearity(Attentive(), X, readout=True, progress=True)
    assert f"{N * H} in all" in capsys.readouterr().err


def test_what_is_taken_again_says_how_much_memory_spares_it(slow, caplog):
    model = nn.Sequential(nn.Flatten(), Attentive())
    X = np.random.default_rng(0).normal(size=(40, 12)).astype("f4")
    memory = _refusals(model, X)[0]  # too little to keep the trunk's Jacobians of all samples
    slow |= {"told": 0, "taken": 0}
    caplog.clear()
    with caplog.at_level(logging.INFO, "jne"):
        jne.nonlinearity(model, X, readout=True, max_memory=memory)
    assert slow["told"] == slow["taken"] > 40 * H
    enough = re.search(r"[2-5] times.*With max_memory of (.*) they are taken once", caplog.text)[1]
    caplog.clear()
    with caplog.at_level(logging.INFO, "jne"):
        jne.nonlinearity(model, X, readout=True, max_memory=int(1.3 * float(enough.split()[0]) * 1000))
    assert enough.split()[1].startswith("kB") and " times" not in caplog.text


def test_advice_on_memory_is_one_that_helps():
    X = np.random.default_rng(0).normal(size=(N, 3, 2, 2)).astype("f4")
    text = _refusals(Attentive(), X)[1][-1]
    assert "smaller inputs" in text and "readout=False, which holds one row" in text
    assert f"takes {V} passes a sample, one for each voxel, instead of {H}" in text


def _refusals(model, X):
    """The least memory that is accepted, and the messages on the way to it."""
    memory, texts = 10, []
    while True:
        try:
            jne.nonlinearity(model, X, readout=True, max_memory=memory)
            return memory, texts
        except ValueError as error:
            texts.append(str(error))
            memory = int(re.search(r"(\d+) bytes\)? of working", texts[-1])[1])
