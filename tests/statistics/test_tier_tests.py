"""The test over voxels, against SciPy's; and how often it calls what is not there."""

import numpy as np
import pytest
import xarray as xr
from scipy.stats import ttest_ind

from jne.cortex import load_cortex
from jne.statistics import exchanged_rate, smooth_rate, tier_area_test, voxel_test

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


def on_the_mesh(every):
    cortex = load_cortex()
    chosen = np.arange(0, len(cortex), every)
    content = {name: getattr(cortex, name)[chosen] for name in ("roi", "level", "hemisphere", "vertex")}
    content["jne"] = np.zeros(len(chosen))
    return xr.Dataset({n: ("voxel", v.astype(object) if v.dtype.kind == "U" else v) for n, v in content.items()})


def test_the_test_over_voxels_is_right_where_they_are_independent_and_calls_smooth_noise():
    # After one step of smoothing vertices this far apart have nothing in common.
    rough = smooth_rate(on_the_mesh(100), fwhms=(1,), n_maps=100)
    assert rough.loc[1, "pair"] == pytest.approx(0.05, abs=0.04)
    smooth = smooth_rate(on_the_mesh(20), fwhms=(20,), n_maps=8)
    assert 0.2 < smooth.loc[20, "pair"] <= 0.5 and smooth.loc[20, "order"] <= smooth.loc[20, "pair"]
    assert smooth_rate(result()) is None


def test_over_areas_the_smallest_p_is_one_over_the_number_of_orders():
    names = {"V2": "V2", "V3": "V3", "hV4": "V4", "EBA": "higher", "PPA": "higher", "OPA": "higher", "V1": "V1"}
    content = {"roi": list(names), "level": list(names.values()), "jne": [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 0.0]}
    one = xr.Dataset({name: ("voxel", np.array(v, object if name != "jne" else float)) for name, v in content.items()})
    p = tier_area_test({"one": one, "two": one})
    # 3 of 6 areas: twenty choices. One of V1 against three: four.
    assert p.loc["HVC", "IVC"] == pytest.approx(1 / 20) and p.loc["IVC", "HVC"] == pytest.approx(19 / 20)
    assert p.attrs["null"] == "areas exchanged" and np.isnan(p.loc["PVC", "PVC"])
    assert np.isnan(tier_area_test({"one": one.isel(voxel=[0, 1, 6])}).loc["IVC", "PVC"])


def test_over_areas_a_planted_order_is_called_and_turned_round_it_is_not():
    one = on_the_mesh(10)
    # A few small areas, for the sake of time.
    one = one.isel(voxel=one["roi"].isin(["LO1", "LO2", "V3CD", "V8", "PIT", "VVC", "PHA1", "MST", "V4t"]).values)
    step = np.where(one["level"] == "higher", 1.0, 0.0) + 0.1 * np.random.default_rng(0).random(one.sizes["voxel"])
    planted, turned = (tier_area_test({"one": one.assign(jne=("voxel", sign * step))}) for sign in (1, -1))
    assert planted.attrs["null"] == "smooth maps"
    assert planted.loc["HVC", "IVC"] < 0.05 < 0.9 < turned.loc["HVC", "IVC"]
    assert planted.loc["HVC", "IVC"] + planted.loc["IVC", "HVC"] == pytest.approx(1)


def test_with_one_tier_there_is_no_order():
    one = result()
    one["level"][:] = np.where(one["roi"] == "EBA", "higher", "")
    found = exchanged_rate(one, n_draws=10)
    assert list(found) == ["order", "pair"] and np.isnan(list(found.values())).all()
