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
    "load_cortex": "jne.cortex",
    "extract_features": "jne.features",
    "write_features": "jne.features",
    "ResidualEncoder": "jne.encoders",
    "RidgeEncoder": "jne.encoders",
    "load_encoder": "jne.encoders",
    "r2_score": "jne.evaluate",
    "noise_ceiling": "jne.evaluate",
    "bootstrap_r2": "jne.evaluate",
    "significant_voxels": "jne.evaluate",
    "prediction_share": "jne.evaluate",
    "jacobian": "jne.jacobians",
    "split_readout": "jne.jacobians",
    "nonlinearity": "jne.estimators",
    "crossfit_nonlinearity": "jne.crossfit",
    "area_share": "jne.summaries",
    "activation_network": "jne.simulate",
    "mixed_response": "jne.simulate",
    "closed_form": "jne.closed_forms",
    "record": "jne.records",
    "Study": "jne.study",
    "run_study": "jne.study",
    "report": "jne.reporting",
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
