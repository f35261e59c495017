"""The test over voxels, against SciPy's; and how often it calls what is not there."""

import numpy as np
import pytest
import xarray as xr
from scipy.stats import ttest_ind

from jne.statistics import exchanged_rate, voxel_test

AREAS = {"V1": "V1", "V2": "V2", "V3": "V3", "hV4": "V4", "LO1": "intermediate", "EBA": "higher", "PPA": "higher",
         "OPA": "higher", "RSC": "higher", "": ""}  # fmt: skip


def result(of_areas=0.0, n=40, seed=0):
    rng = np.random.default_rng(seed)
    roi = np.repeat(list(AREAS), n)
    values = rng.normal(size=len(roi)) + np.repeat(of_areas * rng.normal(size=len(AREAS)), n)
    level = np.array([AREAS[area] for area in roi], object)
    content = {"roi": roi.astype(object), "level": level, "jne": values, "significant": rng.random(len(roi)) < 0.8}
    return xr.Dataset({name: ("voxel", entry) for name, entry in content.items()})


def test_p_values_are_welchs_over_significant_voxels():
    one = result(0.3)
    kept = one.isel(voxel=np.flatnonzero(one["significant"]))
    values, level = kept["jne"].values, kept["level"].values.astype(str)
    first, last = values[level == "V1"], values[level == "higher"]
    found = voxel_test(one)
    assert list(found) == ["PVC", "IVC", "HVC"]
    expected = ttest_ind(last, first, equal_var=False, alternative="greater").pvalue
    assert found.loc["HVC", "PVC"] == pytest.approx(expected, rel=1e-6)
    assert found.loc["PVC", "HVC"] == pytest.approx(1 - expected, rel=1e-6)


def test_the_test_is_right_for_voxels_that_are_independent_and_wrong_for_areas_that_differ():
    rates = np.mean([[exchanged_rate(result(size, seed=seed), n_draws=200)["pair"] for size in (0, 1)]
                     for seed in range(20)], axis=0)  # fmt: skip
    assert rates[0] == pytest.approx(0.05, abs=0.02)
    assert rates[1] > 0.3
