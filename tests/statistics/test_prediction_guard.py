"""What is said of a study before anything else."""

import numpy as np
import xarray as xr

from jne.statistics import said_first


def predicted(r2, r2_linear):
    values = {"r2": r2, "r2_linear": r2_linear, "significant": np.ones_like(r2, bool)}
    return xr.Dataset({name: ("voxel", np.asarray(value)) for name, value in values.items()})


def test_an_encoder_that_predicts_no_better_than_the_linear_one_is_told_by_how_much():
    r2 = np.linspace(0.1, 0.3, 20)
    assert said_first(predicted(r2, r2 - 0.02)) == []
    for worse, gain in ((0.0, "+0.000"), (0.05, "-0.050")):
        (said,) = said_first(predicted(r2, r2 + worse))
        assert said.startswith("The nonlinear encoder predicts no better") and f"R² {gain}" in said
