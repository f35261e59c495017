"""Z-scores within runs and sessions, against SciPy."""

from pathlib import Path

import numpy as np
import pytest
import scipy.stats

from jne.prepare.array_zscores import zscored
from jne.prepare.zscores import zscore_groups, zscore_within

RNG = np.random.default_rng(0)
SESSIONS = np.repeat([1, 2, 3], [12, 8, 10])
RUNS = np.concatenate([np.repeat([1, 2], 6), np.repeat([1, 2], 4), np.repeat([1, 2], 5)])


@pytest.mark.parametrize("zscore", ["run", "session"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_equal_to_scipy_within_each_group(zscore, dtype):
    order = RNG.permutation(len(SESSIONS))
    sessions, runs = SESSIONS[order], RUNS[order]
    values = (RNG.normal(size=(len(order), 7)) + 50 * sessions[:, None]).astype(dtype)
    found = zscore_within(values, zscore_groups(sessions, runs, zscore))
    group = sessions * 10 + (runs if zscore == "run" else 0)
    for number in np.unique(group):
        np.testing.assert_allclose(
            found[group == number], scipy.stats.zscore(values[group == number].astype(float), axis=0), atol=1e-5
        )


def test_runs_of_different_sessions_are_different_groups():
    assert zscore_groups([1, 1, 2, 2], [1, 1, 1, 1], "run").tolist() == [0, 0, 1, 1]
    assert zscore_groups(["02", "02", "01", "01"], None, "session").tolist() == [0, 0, 1, 1]


def test_none_leaves_values_as_they_are():
    values = RNG.normal(size=(4, 2)).astype(np.float32)
    np.testing.assert_array_equal(zscore_within(values, zscore_groups([1, 1, 2, 2], None, "none")), values)


def test_constant_and_unknown_voxels_are_not_a_number_in_their_group_only():
    values = RNG.normal(size=(8, 3))
    values[:4, 0], values[5, 1] = 0.1, np.nan
    found = zscore_within(values, np.repeat([0, 1], 4))
    assert np.isnan(found).tolist() == [[True, False, False]] * 4 + [[False, True, False]] * 4


def test_errors_say_what_is_accepted():
    with pytest.raises(ValueError, match="zscore='block'; accepted: run, session, none"):
        zscore_groups([1, 1], [1, 1], "block")
    with pytest.raises(ValueError, match="runs of the trials are not known; accepted here: session, none"):
        zscore_groups([1, 1], None, "run")
    with pytest.raises(ValueError, match=r"run 2 of session 1 has one trial.*session or none"):
        zscore_groups([1, 1, 1], [1, 1, 2], "run")


@pytest.mark.parametrize(
    "values", [np.array([1.0, np.nan, 2, 2]), np.array([1.0, 1, np.inf, 2])], ids=["NaN", "infinite"]
)
def test_stimuli_whose_session_is_not_known_are_counted(values):
    responses = RNG.normal(size=(4, 2))
    with pytest.raises(ValueError, match=r"session: the array of a\.npz is not known for 1 stimuli"):
        zscored(responses, {"session": values}, "session", Path("a.npz"), averaged=False)
    for known in (np.array([1.0, 1, 2, 2]), np.array([1, 1, 2, 2]), np.array(list("aabb"))):
        found = zscored(responses, {"session": known}, "session", Path("a.npz"), averaged=False)
        np.testing.assert_allclose(found[:2], scipy.stats.zscore(responses[:2]), atol=1e-6)
