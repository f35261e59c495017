"""How nonlinear each response is: JNE and JNE-SS, the shares, and what two fits share."""

from jne.measures.crossfit import crossfit_nonlinearity
from jne.measures.crossfit_shares import SHARES, TERMS, share
from jne.measures.nonlinearity import nonlinearity

__all__ = ["SHARES", "TERMS", "crossfit_nonlinearity", "nonlinearity", "share"]
