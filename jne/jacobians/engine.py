"""The door of this wing for the measures: a model made ready, its derivatives, its trunk and readout, in blocks."""

from jne.jacobians.calls import Call, as_outputs, cast, close, moved, own_place
from jne.jacobians.derivatives import Derivative, differentiate, plan
from jne.jacobians.model import (
    DTYPES,
    FittedEncoder,
    Problem,
    choose_device,
    matrix_precision,
    prepare,
    refuse_changed,
)
from jne.jacobians.readout import split_readout
from jne.jacobians.slopes import refuse_infinite
from jne.jacobians.trunk import Trunk, make_trunk, unit_vectors

__all__ = [
    "DTYPES",
    "Call",
    "Derivative",
    "FittedEncoder",
    "Problem",
    "Trunk",
    "as_outputs",
    "cast",
    "choose_device",
    "close",
    "differentiate",
    "make_trunk",
    "matrix_precision",
    "moved",
    "own_place",
    "plan",
    "prepare",
    "refuse_changed",
    "refuse_infinite",
    "split_readout",
    "unit_vectors",
]
