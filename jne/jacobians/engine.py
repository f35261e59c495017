"""The door of this wing for the measures: a model made ready, its derivatives, its trunk and readout, in blocks."""

from jne.jacobians.derivatives import Derivative, differentiate, plan
from jne.jacobians.model import (
    DTYPES,
    Call,
    FittedEncoder,
    Problem,
    as_outputs,
    choose_device,
    close,
    matrix_precision,
    moved,
    own_place,
    prepare,
)
from jne.jacobians.readout import split_readout
from jne.jacobians.trunk import Trunk, make_trunk, unit_vectors

__all__ = [
    "DTYPES",
    "Call",
    "Derivative",
    "FittedEncoder",
    "Problem",
    "Trunk",
    "as_outputs",
    "choose_device",
    "close",
    "differentiate",
    "make_trunk",
    "matrix_precision",
    "moved",
    "own_place",
    "plan",
    "prepare",
    "split_readout",
    "unit_vectors",
]
