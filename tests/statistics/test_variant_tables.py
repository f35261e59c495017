"""The tables of variants: numpy's and scipy's correlations over the voxels that count, and what is not known."""

import numpy as np
import pytest
import xarray as xr
from scipy.stats import spearmanr

from jne.measures import VARIANTS
from jne.statistics import followed_table, variant_correlations
from jne.statistics.variants import SCALED

NAMES = [*VARIANTS, *SCALED, "gain_change", "nonlinear_share", "r2", "noise_ceiling", "true_nonlinearity"]


@pytest.fixture
def result():
    rng = np.random.default_rng(0)
    content = {name: ("voxel", rng.normal(size=60)) for name in NAMES}
    content["r2"] = "voxel", rng.uniform(size=60)
    return xr.Dataset(content | {"significant": ("voxel", np.arange(60) < 50)})


def test_correlations_are_pearsons_over_significant_voxels(result):
    table = variant_correlations(result)
    assert list(table.columns) == [*VARIANTS, *SCALED] and list(table.index) == NAMES[:8]
    for one, other in (("jne", "jne_z_l1"), ("gain_change", "jne_scaled_l2")):
        a, b = result[one].values[:50], result[other].values[:50]
        assert table.loc[one, other] == pytest.approx(np.corrcoef(a, b)[0, 1])
    assert table.loc["jne_l2", "jne_l2"] == 1


def test_what_is_followed_is_a_rank_correlation_over_significant_voxels(result):
    table = followed_table(result)
    assert list(table.columns) == ["r2", "noise_ceiling", "true_nonlinearity"] and list(table.index) == NAMES[:8]
    expected = spearmanr(result["jne_l2"][:50], result["noise_ceiling"][:50]).statistic
    assert table.loc["jne_l2", "noise_ceiling"] == pytest.approx(expected)
    assert list(followed_table(result.drop_vars(["noise_ceiling", "true_nonlinearity"])).columns) == ["r2"]


def test_an_undefined_voxel_is_left_out_of_its_own_variant_alone(result):
    whole, followed = variant_correlations(result), followed_table(result)
    result["jne_z_l1"][3] = np.nan
    table, kept = variant_correlations(result), np.delete(np.arange(50), 3)
    assert table.loc["jne", "jne_l2"] == whole.loc["jne", "jne_l2"]
    expected = np.corrcoef(result["jne"].values[kept], result["jne_z_l1"].values[kept])[0, 1]
    assert table.loc["jne", "jne_z_l1"] == pytest.approx(expected)
    found = followed_table(result)
    assert found.loc["jne_z_l1", "r2"] == pytest.approx(
        spearmanr(result["jne_z_l1"].values[kept], result["r2"].values[kept]).statistic
    )
    assert found.drop("jne_z_l1").equals(followed.drop("jne_z_l1"))


def test_without_voxels_that_count_there_is_no_number(result):
    result["significant"][:] = False
    assert variant_correlations(result).isna().all(axis=None) and followed_table(result).isna().all(axis=None)


def test_two_voxels_have_no_rank_correlation(result):
    """It would be 1 or -1."""
    for n, known in ((2, False), (3, True)):
        few = result.isel(voxel=np.flatnonzero(result["significant"])[:n])
        assert followed_table(few).notna().any(axis=None) == known
