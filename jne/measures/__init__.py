"""How nonlinear each response is: JNE and JNE-SS, the shares, and what two fits share."""

from jne.measures.crossfit import crossfit_nonlinearity
from jne.measures.crossfit_shares import SHARES, TERMS, Terms, share
from jne.measures.linearised import linearised_predictions
from jne.measures.nonlinearity import nonlinearity
from jne.measures.registry import REGISTRY, Measure, label_of, short_label
from jne.measures.validated_share import LEAST_STIMULI, validated_share
from jne.measures.variants import VARIANTS, gain_change, variants

__all__ = [
    "LEAST_STIMULI",
    "REGISTRY",
    "SHARES",
    "TERMS",
    "VARIANTS",
    "Measure",
    "Terms",
    "crossfit_nonlinearity",
    "gain_change",
    "label_of",
    "linearised_predictions",
    "nonlinearity",
    "share",
    "short_label",
    "validated_share",
    "variants",
]
