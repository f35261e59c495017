"""The door of this wing for the measures: a model made ready, its derivatives, its trunk and readout, in blocks."""

from jne.jacobians.calls import Call, as_outputs
from jne.jacobians.derivatives import Derivative, Product, differentiate, plan
from jne.jacobians.model import DTYPES, Model, Problem, prepare
from jne.jacobians.readout import Readout, choose_readout, linear_end
from jne.jacobians.slopes import refuse_infinite
from jne.jacobians.trunk import Trunk, make_trunk, unit_vectors

__all__ = [
    "DTYPES",
    "Call",
    "Derivative",
    "Model",
    "Problem",
    "Product",
    "Readout",
    "Trunk",
    "as_outputs",
    "choose_readout",
    "differentiate",
    "linear_end",
    "make_trunk",
    "plan",
    "prepare",
    "refuse_infinite",
    "unit_vectors",
]
