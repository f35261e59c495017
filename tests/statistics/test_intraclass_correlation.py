"""Agreement of raters: the published example, a planted share of variance, and what has none."""

import numpy as np
import pytest

from jne.statistics import intraclass_correlation

# Shrout and Fleiss (1979), table 2: four judges, six targets; table 4 has the correlations.
JUDGES = np.array([[9, 6, 8, 7, 10, 6], [2, 1, 4, 1, 5, 2], [5, 3, 6, 2, 6, 4], [8, 2, 8, 6, 9, 7]])


@pytest.mark.parametrize(("kind", "published"), [("1", 0.17), ("2,1", 0.29)])
def test_the_published_example(kind, published):
    assert round(intraclass_correlation(JUDGES, kind), 2) == published


@pytest.mark.parametrize("kind", ["1", "2,1"])
def test_it_is_the_share_of_variance_that_is_the_targets_own(kind):
    rng = np.random.default_rng(0)
    values = rng.normal(size=4000) + np.sqrt(3) * rng.normal(size=(3, 4000))
    assert intraclass_correlation(values, kind) == pytest.approx(1 / 4, abs=0.03)
    values[0, :5] = np.nan
    assert intraclass_correlation(values, kind) == intraclass_correlation(values[:, 5:], kind)


def test_a_rater_that_gives_more_to_all_agrees_less():
    target = np.random.default_rng(0).normal(size=50)
    same, shifted = np.stack([target, target]), np.stack([target, target + 1])
    assert intraclass_correlation(same) == intraclass_correlation(same, "1") == 1
    # The raters' variance is (1 - 0)^2 / 2, and all there is beside that of the targets.
    assert intraclass_correlation(shifted) == pytest.approx(target.var(ddof=1) / (target.var(ddof=1) + 1 / 2))


def test_where_there_is_nothing_to_agree_on():
    assert np.isnan(intraclass_correlation(np.full((3, 5), 0.1))) and np.isnan(intraclass_correlation(np.ones((1, 5))))
    assert np.isnan(intraclass_correlation(np.full((2, 5), np.nan)))
    with pytest.raises(ValueError, match="kind='3' is not known; give '1' or '2,1'"):
        intraclass_correlation(JUDGES, "3")
    with pytest.raises(ValueError, match=r"values has shape \(6,\), needed"):
        intraclass_correlation(JUDGES[0])
