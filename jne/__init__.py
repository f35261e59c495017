"""Jacobian-based nonlinearity of neural encoding models.

The names below load on first use, so that ``import jne`` and ``jne --help`` are quick.
"""

import importlib
import importlib.metadata

__version__ = importlib.metadata.version("jne")

_HOME = {
    "EncodingDataset": "jne.datasets",
    "load_dataset": "jne.datasets",
    "save_dataset": "jne.datasets",
    "load_cortex": "jne.cortex.areas",
    "extract_features": "jne.features.extract",
    "write_features": "jne.features.extract",
    "ResidualEncoder": "jne.encoders",
    "RidgeEncoder": "jne.encoders",
    "load_encoder": "jne.encoders",
    "r2_score": "jne.accuracy",
    "noise_ceiling": "jne.accuracy",
    "bootstrap_r2": "jne.accuracy",
    "significant_voxels": "jne.accuracy",
    "prediction_share": "jne.accuracy",
    "jacobian": "jne.jacobians.jacobian",
    "split_readout": "jne.jacobians.jacobian",
    "nonlinearity": "jne.measures.nonlinearity",
    "crossfit_nonlinearity": "jne.measures.crossfit",
    "area_share": "jne.statistics.area_tables",
    "activation_network": "jne.simulations.responses",
    "mixed_response": "jne.simulations.responses",
    "closed_form": "jne.simulations.closed_forms",
    "record": "jne.book.records",
    "Study": "jne.study.study",
    "run_study": "jne.study.study",
    "report": "jne.study.report",
}

__all__ = ["__version__", *_HOME]


def __getattr__(name: str):
    if name not in _HOME:
        raise AttributeError(f"module 'jne' has no attribute {name!r}; it has {', '.join(sorted(_HOME))}")
    value = getattr(importlib.import_module(_HOME[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
