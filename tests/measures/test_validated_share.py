"""The share that responses confirm, against a brute-force oracle, planted truths and the size of its test."""

import numpy as np
import pytest
from confirmed_worlds import world
from oracles import of_validation
from scipy.stats import t as student_t

import jne


def validated(X, f, y, **options):
    n = len(y)
    return jne.validated_share(f[-n:], y, X[-n:], all_predictions=f, all_features=X, **options)


def test_the_definition_stimulus_by_stimulus():
    X, f, y, _ = world(0, n_all=60, n_test=20, n_features=5, n_voxels=4, alpha=0.4)
    found, expected = validated(X, f, y), of_validation(X, f, y)
    np.testing.assert_allclose(found.validated_predicted, expected["validated_predicted"], rtol=1e-9)
    np.testing.assert_allclose(found.validated_nonlinear, expected["validated_nonlinear"], rtol=1e-8)
    kept = np.isfinite(found.validated_share.values)
    np.testing.assert_allclose(found.validated_share.values[kept], expected["validated_share"][kept], rtol=1e-8)
    np.testing.assert_allclose(found.p_value, student_t.sf(expected["t"], 18), rtol=1e-6)


@pytest.mark.parametrize("n_all", [400, 2000])
def test_it_is_the_planted_share_of_a_perfect_prediction_whatever_the_map_is_taken_from(n_all):
    alpha = np.linspace(0, 1, 60)
    shares = []
    for seed in range(10):
        X, _, _, signal = world(seed, n_all=n_all, n_test=n_all, n_features=100, n_voxels=60, alpha=alpha)
        shares.append(jne.validated_share(signal, signal, X).validated_share.values)
    # A map of 100 features from 400 stimuli takes up a quarter of what it should leave; the correction gives it back.
    np.testing.assert_allclose(np.mean(shares, axis=0), alpha, atol=0.06)
    assert abs((np.mean(shares, axis=0) - alpha).mean()) < 0.01


def test_noise_of_the_responses_does_not_move_its_mean():
    alpha = np.linspace(0, 0.8, 300)
    means = {}
    for ceiling in (0.6, 0.2):
        X, f, y, _ = world(1, n_all=4000, n_test=2000, n_features=24, n_voxels=300, alpha=alpha, ceiling=ceiling)
        means[ceiling] = float(validated(X, f, y).validated_share.mean())
    assert abs(means[0.6] - means[0.2]) < 0.01


@pytest.mark.parametrize(
    ("noise", "clusters", "n_all", "n_features"),
    [("normal", 0, 600, 48), ("t", 0, 600, 48), ("growing", 0, 600, 48), ("normal", 6, 600, 48),
     ("normal", 0, 300, 150), ("normal", 0, 1200, 300)],
)  # fmt: skip
def test_size_on_linear_voxels(noise, clusters, n_all, n_features):
    sets = 20 if n_features < 300 else 8
    rates = []
    for seed in range(sets):
        n_test = min(n_all, 600)
        X, f, y, _ = world((3, seed), n_all, n_test, n_features, noise=noise, clusters=clusters)
        rates.append((validated(X, f, y).p_value < 0.05).mean())
    assert np.mean(rates) <= 0.065


def test_power():
    calls = [(validated(*world((4, seed), 1200, 600, alpha=0.15)[:3]).p_value < 0.05).mean() for seed in range(5)]
    assert np.mean(calls) >= 0.75


def test_the_error_is_the_spread_over_sets_of_stimuli():
    draws = [validated(*world((5, s), 1500, 500, 12, 40, 0.3, 0.5, weights=0)[:3]) for s in range(40)]
    spread = np.std([d.validated_share for d in draws], axis=0, ddof=1)
    error = np.sqrt(np.mean([d.validated_share_se**2 for d in draws], axis=0))
    assert np.median(error / spread) == pytest.approx(1, abs=0.15)


def test_stimuli_for_the_map_may_hold_the_test_stimuli_or_not():
    X, f, y, _ = world(6, n_all=300, n_test=100, n_features=10, n_voxels=3)
    X, f = X.astype(np.float32), f.astype(np.float32)
    both = validated(X, f, y)
    apart = jne.validated_share(f[-100:], y, X[-100:], all_predictions=f[:-100], all_features=X[:-100])
    assert both.attrs["n_all"] == apart.attrs["n_all"] == 300
    np.testing.assert_allclose(both.validated_share, apart.validated_share, rtol=1e-9)
    doubled = jne.validated_share(f[[0, 0, *range(9)]], y[:11], X[[0, 0, *range(9)]], n_components=2)
    assert doubled.attrs["n_all"] == 11


def test_with_many_features_principal_components_need_slopes_or_are_asked_for():
    X, f, y, _ = world(7, n_all=90, n_test=50, n_features=48, n_voxels=3)
    found = validated(X, f, y)
    assert np.isnan(found.validated_share).all() and np.isnan(found.p_value).all() and not found.confirmed.any()
    assert "48 features needs twice as many stimuli, and there are 90" in found.attrs["reason"]
    fewer = validated(X, f, y, n_components=20)
    assert "first 20 principal components of 48" in fewer.attrs["linear_map"] and np.isfinite(fewer.p_value).all()
    with pytest.raises(ValueError, match=r"n_components=46 with 90 stimuli .* at most 45"):
        validated(X, f, y, n_components=46)
    # What is linear in the components left out counts as nonlinear, as it says.
    X = np.random.default_rng(0).normal(size=(2000, 8))
    values = (X - X.mean(axis=0)) / X.std(axis=0)
    last = values @ np.linalg.svd(values, full_matrices=False)[2][-1:].T
    told = jne.validated_share(last, last, X, n_components=7)
    assert float(told.validated_share[0]) == pytest.approx(1, abs=0.05)


def test_slopes_make_linear_what_principal_components_leave_out():
    rng = np.random.default_rng(13)
    X = rng.normal(size=(100, 80))
    slopes = rng.normal(size=(200, 80))
    linear = X @ slopes.T
    f = linear + 5 * rng.normal(size=linear.shape)  # made up by the fit; the responses are linear
    y = linear + rng.normal(size=linear.shape)
    without = jne.validated_share(f, y, X, n_components=50)
    assert (without.p_value < 0.05).mean() > 0.9
    found = jne.validated_share(f, y, X, slopes=slopes + 0.05 * rng.normal(size=slopes.shape))
    assert "given slopes in the others" in found.attrs["linear_map"] and (found.p_value < 0.05).mean() < 0.09
    # Where all features enter, what is linear is found without.
    few = {"responses": y, "features": X[:, :40]}
    one, other = (jne.validated_share(f, **few, slopes=given) for given in (None, slopes[:, :40]))
    np.testing.assert_allclose(one.validated_share, other.validated_share, rtol=1e-9)


def test_a_linear_prediction_has_share_0_and_no_test():
    rng = np.random.default_rng(8)
    X = rng.normal(size=(200, 6)).astype(np.float32)
    f = (X @ rng.normal(size=(6, 4)) + 100).astype(np.float32)
    found = jne.validated_share(f, f + rng.normal(size=f.shape), X)
    assert (found.validated_share == 0).all() and np.isnan(found.p_value).all()


def test_where_nothing_is_predicted_there_is_no_share():
    X, f, y, _ = world(9, n_all=600, n_test=600, n_features=12, alpha=0.5)
    shuffled = validated(X, f, np.random.default_rng(0).permutation(y))
    assert np.isnan(shuffled.validated_share).mean() > 0.9
    y[:, 0] = 3.0
    assert np.isnan(validated(X, f, y).validated_share[0])


def test_areas_are_ratios_of_sums_and_categories_average_to_the_whole():
    X, f, y, _ = world(10, n_all=400, n_test=300, n_features=8, n_voxels=6, alpha=0.5, ceiling=0.8)
    category, area = np.tile(["face", "scene", "word"], 100), ["V1", "V1", "", "PPA", "PPA", "PPA"]
    found = validated(X, f, y, category=category, area=area)
    assert list(found.area.values) == ["PPA", "V1"] and list(found.category.values) == ["face", "scene", "word"]
    sums = found[["validated_nonlinear", "validated_predicted"]].isel(voxel=slice(0, 2)).sum()
    ratio = float(sums.validated_nonlinear / sums.validated_predicted)
    assert float(found.area_share.sel(area="V1")) == pytest.approx(ratio)
    np.testing.assert_allclose(found.by_category.mean("category"), found.validated_share, rtol=1e-9)
    np.testing.assert_allclose(found.area_by_category.mean("category"), found.area_share, rtol=1e-9)


def test_a_category_with_all_of_the_nonlinearity():
    rng = np.random.default_rng(11)
    x, face = rng.normal(size=(6000, 1)), np.arange(6000) % 4 == 0
    signal = x + np.where(face[:, None], (x**2 - 1) / np.sqrt(2), 0)
    found = jne.validated_share(signal, signal + rng.normal(size=signal.shape), x, category=np.where(face, "a", "b"))
    # The variance of the quadratic part is 1 among the faces; that of the whole prediction 1 + 1/4.
    np.testing.assert_allclose(found.by_category[:, 0], [1 / 1.25, 0], atol=4 * found.by_category_se[:, 0].max())
    assert float(found.by_category_se[0, 0]) < 0.08


def test_folds_have_means_of_their_own():
    X, f, y, _ = world(12, n_all=300, n_test=300, n_features=10, n_voxels=5, alpha=0.4)
    fold = np.arange(300) % 3
    shifted = jne.validated_share(f + 5.0 * fold[:, None], y - 2.0 * fold[:, None], X, fold=fold)
    plain = jne.validated_share(f, y, X, fold=fold)
    np.testing.assert_allclose(shifted.validated_share, plain.validated_share, rtol=1e-7)


def test_cross_validated_predictions_of_linear_voxels_have_share_0_and_the_size_of_the_test():
    """Ridge regression on features and rectified projections: in one map of all folds the share would be -0.07."""
    shares, rates = [], []
    for seed in range(5):
        rng = np.random.default_rng((14, seed))
        X, fold = rng.normal(size=(200, 12)), np.arange(200) % 4
        y = X @ rng.normal(size=(12, 100)) / np.sqrt(12) + rng.normal(size=(200, 100))
        D = np.column_stack([X, np.maximum(X @ rng.normal(size=(12, 60)), 0) / np.sqrt(12) - 0.4])
        f = np.empty_like(y)
        for k in range(4):
            fitted = fold != k
            inverse = np.linalg.inv(D[fitted].T @ D[fitted] + np.diag([10.0] * 12 + [30.0] * 60))
            f[~fitted] = D[~fitted] @ (inverse @ D[fitted].T @ y[fitted])
        found = jne.validated_share(f, y, X, fold=fold, area=["V1"] * 100)
        shares.append(found.area_share.item())
        rates.append((found.p_value < 0.05).mean().item())
    assert abs(np.mean(shares)) < 0.01 and np.mean(rates) <= 0.065
    assert found.attrs["dependence"] == 2 and "each fold's from its own" in found.attrs["linear_map"]
    few = jne.validated_share(f, y, X, fold=np.arange(200) // 2)
    assert "in each fold" in few.attrs["reason"] and np.isnan(few.validated_share).all()


def test_units_offsets_and_rotations_do_not_matter():
    X, f, y, _ = world(15, n_all=200, n_test=100, n_features=10, n_voxels=4, alpha=0.4, ceiling=0.6)
    plain = validated(X, f, y)
    turned = X @ np.linalg.qr(np.random.default_rng(0).normal(size=(10, 10)))[0]
    useless = np.column_stack([X, np.full(200, 0.1), X[:, 0], X[:, 0] + X[:, 1]])
    for changed in (
        (X, f + 1e6, y),
        (1e8 * X, 1e-8 * f, 1e8 * y),
        (X + 1e6, f, y + 1e6),
        (turned, f, y),
        (useless, f, y),
    ):
        found = validated(*changed)
        np.testing.assert_allclose(found.validated_share, plain.validated_share, rtol=1e-6)
        np.testing.assert_allclose(found.p_value, plain.p_value, rtol=1e-4)


def test_dead_voxels_and_stimuli_without_a_map_do_not_spoil_the_rest():
    X, f, y, _ = world(16, n_all=400, n_test=200, n_features=10, n_voxels=40, alpha=0.4, ceiling=0.6)
    plain = validated(X, f[:, 1:], y[:, 1:], area=["V1"] * 39)
    y[:, 0] = 0.1  # whose mean is rounded
    found = validated(X, f, y, area=["V1"] * 40)
    assert np.isnan(found.validated_nonlinear[0]) and np.isnan(found.p_value[0])
    assert found.area_share.item() == pytest.approx(plain.area_share.item(), rel=1e-9)
    # A feature of one test stimulus alone: its map is not known without it, and the others' are as before.
    alone = validated(np.column_stack([X, np.arange(400) == 300]), f, y, area=["V1"] * 40)
    assert alone.area_products.values[100] == 0
    assert alone.area_share.item() == pytest.approx(plain.area_share.item(), abs=plain.area_share_se.item() / 2)


def test_groups_of_few_stimuli_have_the_error_of_few():
    X, f, y, _ = world(17, n_all=200, n_test=100, n_features=6, n_voxels=3, alpha=0.5, ceiling=0.8)
    found = validated(X, f, y, category=["one", "two", "two", *["rest"] * 97], area=["V1"] * 3)
    assert np.isnan(found.by_category_se.sel(category="one")).all()
    u = found.area_products.values[1:3, 0] / found.area_predicted.item()
    error = np.std(u, ddof=1) / np.sqrt(2)
    share = found.area_by_category.sel(category="two").item()
    whole = found.area_share_se.item()
    assert found.area_by_category_se.sel(category="two").item() == pytest.approx(error, abs=abs(share) * 0.5 + whole)


def test_test_stimuli_are_found_in_the_coarser_precision_and_predictions_must_agree():
    X, f, y, _ = world(18, n_all=60, n_test=30, n_features=4, n_voxels=2)
    X[:, 1:] = np.maximum(X[:, 1:], 0)
    single, negative = X.astype(np.float32), np.where(X == 0, -0.0, X)
    for given, everything in (
        (single, X),
        (X, single),
        (negative, X),
        ((1e6 * X).astype(int), (1e6 * X).astype(int) * 1.0),
    ):
        found = jne.validated_share(f[-30:], y, given[-30:], all_predictions=f, all_features=everything)
        assert found.attrs["n_all"] == 60
    with pytest.raises(ValueError, match="differ at stimuli whose features are the same, in 2 of 2"):
        jne.validated_share(2 * f[-30:] + 1, y, X[-30:], all_predictions=f, all_features=X)


def test_no_area_is_empty_none_or_nan():
    X, f, y, _ = world(19, n_all=60, n_test=30, n_features=4, n_voxels=4)
    found = validated(X, f, y, area=np.array(["V1", None, np.nan, ""], object))
    assert list(found.area.values) == ["V1"]
    assert validated(X, f, y, area=[""] * 4).sizes["area"] == 0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"responses": np.zeros((20, 3))}, "needed"),
        ({"all_predictions": np.zeros((30, 2))}, "together"),
        ({"all_predictions": np.zeros((30, 2)), "all_features": np.zeros((30, 5))}, "all_features"),
        ({"fold": np.zeros(20), "all_predictions": np.zeros((30, 2)), "all_features": np.zeros((30, 4))}, "with fold"),
        ({"fold": np.zeros(20), "slopes": np.zeros((2, 4))}, "with fold"),
        ({"category": ["a"] * 3}, "category has shape"),
        ({"area": ["a"] * 3}, "area has shape"),
        ({"n_components": 0}, "n_components=0"),
        ({"slopes": np.zeros((4, 2))}, "slopes has shape"),
        ({"features": np.full((20, 4), np.nan)}, "not finite"),
        ({"predictions": np.zeros(20)}, "two dimensions"),
    ],
)
def test_wrong_arguments_are_named(change, message):
    given = {"predictions": np.zeros((20, 2)), "responses": np.zeros((20, 2)), "features": np.zeros((20, 4))}
    with pytest.raises(ValueError, match=message):
        jne.validated_share(**{**given, **change})


def test_few_stimuli_are_refused():
    with pytest.raises(ValueError, match="at least 8"):
        jne.validated_share(np.zeros((7, 1)), np.zeros((7, 1)), np.zeros((7, 1)))
