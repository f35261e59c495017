"""What each measure is called on an axis."""

from __future__ import annotations

LABELS = {
    "r2": "R²",
    "r2_linear": "R², linear encoder",
    "r2_difference": "R² nonlinear − linear",
    "noise_ceiling": "noise ceiling (share of variance)",
    "jne": "JNE (z-scored response / z-scored feature)",
    "nonlinear_share": "nonlinear share",
    "crossfit_share": "cross-fitted share",
    "true_nonlinearity": "planted nonlinear share",
}
_SHORT = {
    "r2_linear": "R², linear",
    "jne": "JNE",
    "noise_ceiling": "noise ceiling",
    "true_nonlinearity": "planted share",
}


def label_of(measure: str) -> str:
    """A measure's name with its unit."""
    return LABELS.get(measure, measure)


def short_label(measure: str) -> str:
    """A measure's name where there is little room."""
    return _SHORT.get(measure, label_of(measure))
