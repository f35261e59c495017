"""Derivatives of any torch model, sample by sample.

`jne.jacobians.engine` is the door for the measures, which go through Jacobians in blocks.
"""

from jne.jacobians.jacobian import jacobian
from jne.jacobians.readout import split_last_layer, split_readout

__all__ = ["jacobian", "split_last_layer", "split_readout"]
