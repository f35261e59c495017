"""Whether other sizes of tiles would be quicker than those of the engine."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from unittest import mock

import torch
from _clock import clock
from _methods import Case, Problem

from jne._core import Budget, matrix_precision, parse_bytes
from jne.jacobians.engine import choose_readout, make_trunk, prepare
from jne.measures.deviations import Work

factorised = importlib.import_module("jne.measures.factorised")
SUMS: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "norm": lambda J: torch.linalg.vector_norm(J, ord=1, dim=-1),
    "abs, sum": lambda J: J.abs_().sum(-1),
    "product alone": lambda J: J,
}


def measure_tiles(case: Case, sizes: dict, precision: str, device: torch.device, rate: float) -> dict:
    """Products and absolute row sums of some samples, ``rows`` of the readout at a time, in plain torch."""
    weight, A = torch.randn(case.V, case.H, device=device), torch.randn(case.H, case.D, device=device)
    found: dict[str, dict[str, float]] = {name: {} for name in SUMS}
    for rows in sizes["rows"]:
        out = torch.empty(min(rows, case.V), case.D, device=device)
        for name, sums in SUMS.items():

            def run(rows=rows, out=out, sums=sums):
                for _ in range(sizes["samples"]):
                    for part in weight.split(rows):
                        sums(torch.mm(part, A, out=out[: len(part)]))

            with matrix_precision(precision):
                seconds = clock(run, device, 2)
            found[name][str(rows)] = case.flops / case.N * sizes["samples"] / seconds / rate
    return {"share_of_matrix_rate": found}


def measure_engine_tiles(
    case: Case, sizes: dict, precision: str, device: torch.device, rate: float, max_memory: str
) -> dict:
    """The engine's own loop with other limits of rows, and other shares of the memory for trunk Jacobians."""
    problem = Problem(Case(sizes["engine_samples"], case.V, case.D, case.H), product=False)
    found: dict[str, dict[str, float]] = {"rows": {}, "share of the memory for trunks": {}}
    with torch.no_grad(), matrix_precision(precision):
        ready = prepare(problem.network, problem.X, str(device), precision)
        module, weight = choose_readout(ready, True)
        budget = Budget(parse_bytes(max_memory))
        nothing = ready.X.new_zeros(case.D, 0)
        work = Work(ready.X, nothing, budget, None, False, lambda done: None)
        trunk = make_trunk(module, ready.probe, case.H, budget)

        def share(**constants: float) -> float:
            with mock.patch.multiple(factorised, **constants):
                seconds = clock(lambda: [None for _ in factorised.factorised(work, trunk, weight)], device, 1)
            return problem.case.flops / seconds / rate

        for rows in sizes["rows"]:
            found["rows"][str(rows)] = share(_MOST_ROWS=rows)
        for part in (1 / 64, 1 / 16, 1 / 4):
            found["share of the memory for trunks"][str(part)] = share(_TRUNK=part)
    return {"share_of_matrix_rate": found}
