"""Whether other sizes of tiles would be quicker than those of the engine."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from unittest import mock

import torch
from _clock import clock
from _methods import Case, Problem

from jne import nonlinearity
from jne._core import matrix_precision

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
    """`jne.nonlinearity` of a model on the device, with other rows at a time and other shares of its memory for trunks.

    Rates are those of what grows with the samples.
    """
    problem = Problem(Case(sizes["engine_samples"], case.V, case.D, case.H), product=False)
    problem.network.to(device)
    options = {"covariance": False, "return_samples": False, "precision": precision, "max_memory": max_memory}
    run = partial(nonlinearity, problem.network, device=str(device), **options)

    def share(constant: str, value: float) -> float:
        with mock.patch(f"jne.measures.factorised.{constant}", value):
            few, many = (clock(partial(run, problem.X[:n]), device, 2) for n in (4, len(problem.X)))
        return problem.case.flops * (1 - 4 / len(problem.X)) / (many - few) / rate

    return {
        "share_of_matrix_rate": {
            "rows": {str(rows): share("_MOST_ROWS", rows) for rows in sizes["rows"]},
            "share of the memory for trunks": {f"1/{part}": share("_TRUNK", 1 / part) for part in (64, 16, 4)},
        }
    }
