"""Cross-fitting against dense Jacobians in float64, planted truths, and what it must refuse."""

import re
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import oracles
import pytest
import torch
import xarray as xr
from cases import CASES
from held import peak_of_tensors
from torch import nn

import jne
from jne import EncodingDataset, run_study
from jne._core import Budget, second_moment
from jne.datasets import Training
from jne.encoders import Encoder
from jne.jacobians.engine import make_trunk, prepare
from jne.measures import crossfit
from jne.measures.crossfit_pair import Comparison, Units
from jne.measures.crossfit_products import jacobian_products, linear_basis, prediction_products, split_pair
from jne.measures.crossfit_shares import TERMS, Terms, errors_to_bound, jackknife_error, share
from jne.measures.crossfit_splits import N_TEST_GROUPS, draw_groups, draw_splits
from jne.simulations import mixed_response
from jne.study import shuffle_within

N_TRAIN, N_VALIDATION, N_TEST, N_FEATURES, N_VOXELS = 60, 20, 30, 5, 7


class OddEncoder(Encoder):
    """An encoder that does not end in a linear layer, and is only drawn, not trained."""

    def __init__(self, random_state=0):
        self.random_state = random_state

    def _make_module(self, n_features, n_voxels):
        generator = torch.Generator().manual_seed(self.random_state)
        module = nn.Sequential(nn.Linear(n_features, 6), nn.Tanh(), nn.Linear(6, n_voxels), nn.Softplus())
        with torch.no_grad():
            for p in module.parameters():
                p.copy_(torch.randn(p.shape, generator=generator))
        return module

    initial_module = _make_module

    def _fit(self, arrays, progress):
        self._fit_scaling(arrays.X, arrays.Y)
        self.module_ = self.initial_module(arrays.X.shape[1], arrays.Y.shape[1]).eval()


def quick(seed, **options):
    return jne.ResidualEncoder(**{"hidden_size": 16, "max_epochs": 8, "device": "cpu", "random_state": seed, **options})


@pytest.fixture
def arrays():
    rng = np.random.default_rng(0)
    n = N_TRAIN + N_VALIDATION + N_TEST
    # Features and voxels of very different scales, which each half z-scores with its own numbers.
    X = (rng.normal(size=(n, N_FEATURES)) * [1, 10, 0.1, 3, 1] + [0, 5, 0, -1, 100]).astype(np.float32)
    Y = (X @ rng.normal(size=(N_FEATURES, N_VOXELS)) + rng.normal(size=(n, N_VOXELS))).astype(np.float32)
    (X, X_val, X_test), (Y, Y_val, _) = (np.split(a, [N_TRAIN, N_TRAIN + N_VALIDATION]) for a in (X, Y))
    return X, Y, X_val, Y_val, X_test


def expected_of(encoders, arrays, unseen=None):
    """Every measure of two fits, in z-scores of all training stimuli."""
    X, Y, X_val, _, X_test = arrays
    x_scale, y_scale = X.std(axis=0, dtype=float), Y.std(axis=0, dtype=float)
    J = [oracles.encoder_jacobian(encoder, X_test) * x_scale / y_scale[:, None] for encoder in encoders]
    unseen = (np.concatenate([X_val, X_test]) if unseen is None else unseen).astype(float)
    P = [encoder.predict(unseen.astype(np.float32)).astype(float) / y_scale for encoder in encoders]
    sigma = np.corrcoef(X.T.astype(float))
    return oracles.of_two_jacobians(*J, sigma) | oracles.of_two_predictions(unseen, *P)


def comparison(arrays, precision="float64", limit=10**9, step=None, order=slice(None)):
    X, Y, X_val, Y_val, X_test = arrays
    units = Units(Training(X, Y, X_val, Y_val))
    unseen = np.concatenate([X_val, X_test])
    metric = second_moment(units.features(X))
    return Comparison(units, X_test[order], unseen, metric, "cpu", precision, limit, step)


def fitted(make, arrays):
    X, Y, X_val, Y_val, _ = arrays
    half = slice(0, N_TRAIN // 2), slice(N_TRAIN // 2, None)
    return tuple(make(seed).fit(X[h], Y[h], X_val, Y_val) for seed, h in enumerate(half))


MAKERS = {
    "residual": quick,
    "gelu": lambda seed: quick(seed, activation="gelu"),
    "no linear end": OddEncoder,
    "linear": lambda seed: quick(seed, activation=None),
    "one of each": lambda seed: (OddEncoder, quick)[seed](seed),
}


@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
def test_products_equal_those_of_dense_jacobians(make, arrays):
    encoders = fitted(make, arrays)
    expected = expected_of(encoders, arrays)
    found = comparison(arrays).terms(encoders)
    largest = max(np.abs(expected[name]).max() for name in TERMS)
    for name, values in zip(TERMS, found, strict=True):
        np.testing.assert_allclose(values, expected[name], atol=3e-6 * largest, err_msg=name)
    samples, expected_samples = comparison(arrays).samples(encoders), expected["crossfit_jne_ss"]
    np.testing.assert_allclose(samples, expected_samples, atol=3e-6 * max(1, np.abs(expected_samples).max()))


@pytest.mark.parametrize("folds", [None, np.arange(N_TRAIN) % 5])
def test_a_whole_run_is_the_mean_over_splits_of_what_dense_jacobians_give(folds, arrays, monkeypatch):
    """Whatever is drawn, which features the metric is of, where predictions are compared, what the mean is over."""
    X, Y, X_val, Y_val, X_test = arrays
    given = Training(X, Y, X_val, Y_val, folds), X_test, X_val if folds is not None else np.concatenate([X_val, X_test])
    if folds is not None:
        monkeypatch.setattr(crossfit, "_arrays", lambda data, layer: given)
    else:
        assert all(map(np.array_equal, crossfit._arrays(arrays, None)[2], given[2]))
    options = {"n_splits": 3, "n_groups": 4, "precision": "float64", "return_samples": True, "refit": False}
    result = jne.crossfit_nonlinearity(OddEncoder, arrays, random_state=5, **options)
    groups, expected = draw_groups(N_TRAIN, 4, folds, 5), []
    for split in draw_splits(4, 3, N_VALIDATION, folds, 5):
        encoders = []
        for chosen, held, seed in zip(split.groups, split.validation, split.seeds, strict=True):
            own = np.isin(groups, chosen)
            encoders.append(OddEncoder(seed).fit(X[own], Y[own], X_val[held], Y_val[held]))
        expected.append(expected_of(encoders, (X, Y, X_val, Y_val, X_test), unseen=given[2]))
    for name in (*TERMS, "crossfit_jne_ss"):
        mean = np.mean([one[name] for one in expected], axis=0)
        np.testing.assert_allclose(result[name], mean, atol=3e-6 * np.abs(mean).max(), err_msg=name)
    for name in TERMS:
        spread = np.std([one[name] for one in expected], axis=0, ddof=1)
        np.testing.assert_allclose(result[f"{name}_split_sd"], spread, atol=1e-5 * np.abs(result[name]).max().item())


def test_with_folds_predictions_are_compared_at_stimuli_that_no_fit_has_seen(tiny_content):
    content = tiny_content.drop_vars(["split", "responses_repeats"]).assign(fold=("stimulus", np.arange(60) % 5))
    arrays, X_test, unseen = crossfit._arrays(EncodingDataset(content), None)
    rows = [{tuple(row) for row in X} for X in (arrays.X, arrays.X_val, X_test, unseen)]
    assert rows[3] == rows[1] and not rows[3] & rows[0] and rows[2] == rows[0] | rows[1]


def test_a_run_with_another_covariance_does_not_take_the_splits_that_are_kept(arrays, tmp_path):
    options = {"n_splits": 1, "n_groups": 4, "refit": False}
    kept, other, again = (
        jne.crossfit_nonlinearity(OddEncoder, arrays, covariance=metric, folder=folder, **options)
        for metric, folder in ((np.eye(5), tmp_path), (np.diag([1.0, 0, 0, 0, 4]), tmp_path), (None, tmp_path / "new"))
    )
    fresh = jne.crossfit_nonlinearity(OddEncoder, arrays, covariance=np.diag([1.0, 0, 0, 0, 4]), **options)
    xr.testing.assert_equal(other, fresh)
    assert not np.allclose(kept.crossfit_linear, other.crossfit_linear)
    assert not np.allclose(again.crossfit_linear, other.crossfit_linear)


# Encoders have features in a row.
@pytest.mark.parametrize("name", [name for name, case in CASES.items() if len(case.shape) == 1])
def test_products_of_any_two_models_equal_those_of_dense_jacobians(name):
    case = CASES[name]
    X, models = case.samples(9), [case.model(seed) for seed in (0, 1)]
    pair = tuple(prepare(model, X, "cpu", "float64") for model in models)
    factor, budget = torch.linalg.cholesky(torch.eye(pair[0].n_features).double() + 1), Budget(10**9)
    with torch.no_grad():
        found = jacobian_products(pair, split_pair(pair), factor, budget, None)
    J = [oracles.dense_jacobian(model, X) for model in models]
    expected = oracles.of_two_jacobians(*J, (factor @ factor.T).numpy())
    for values, term in zip(found, TERMS[:2], strict=True):
        scale = max(np.abs(expected[one]).max() for one in TERMS[:2])
        np.testing.assert_allclose(values, expected[term], rtol=1e-9, atol=1e-11 * scale, err_msg=term)


@pytest.mark.parametrize("make", [quick, OddEncoder])
@pytest.mark.parametrize(
    "change", [{"step": 1}, {"step": 3}, {"limit": 200_000}, {"order": slice(None, None, -1)}, {"precision": "float32"}]
)
def test_blocks_memory_order_and_precision_do_not_change_the_answer(make, change, arrays):
    encoders = fitted(make, arrays)
    rtol = 1e-4 if "precision" in change else 1e-10
    one, other = comparison(arrays), comparison(arrays, **change)
    np.testing.assert_allclose(other.terms(encoders), one.terms(encoders), rtol=rtol, atol=rtol)
    order = change.get("order", slice(None))
    np.testing.assert_allclose(other.samples(encoders), one.samples(encoders)[order], rtol=rtol, atol=rtol)


def test_neither_jacobian_is_held():
    # Two dense Jacobians would take 24 MB, those of the trunks 4.8 MB.
    def made(n_voxels):
        return nn.Sequential(nn.Linear(50, 100), nn.ReLU(), nn.Linear(100, n_voxels))

    torch.manual_seed(0)
    X = torch.randn(120, 50)
    pair = tuple(prepare(made(500), X, "cpu", "float32") for _ in range(2))
    split, basis = split_pair(pair), linear_basis(X)

    @torch.no_grad()
    def run():
        jacobian_products(pair, split, torch.eye(50), Budget(2_500_000), None)
        prediction_products(pair, split, X, basis, Budget(2_500_000), None)

    _, peak = peak_of_tensors(run)
    assert 0.1 * 2.5e6 < peak < 2.5e6


def two_trunks(rank, n=400):
    X = torch.randn(n, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    models = [nn.Sequential(nn.Linear(3, h), nn.Tanh(), nn.Linear(h, 2)) for h in (5, 4)]
    pair = tuple(prepare(model, X.numpy(), "cpu", "float64") for model in models)
    return pair, split_pair(pair), torch.ones(3, rank, dtype=torch.float64)


def test_the_least_memory_is_two_copies_of_the_products_with_the_covariance():
    """A covariance of high rank, beside which nothing else counts."""
    rank, limit = 200, 1
    pair, split, factor = two_trunks(rank)
    for _ in range(3):
        try:
            found = jacobian_products(pair, split, factor, Budget(limit), None)
            break
        except ValueError as error:
            limit = int(re.search(r"(\d+) bytes\)? of working memory and", str(error))[1])
    copies = 2 * 8 * (5 + 4) * rank
    assert copies < limit < 1.2 * copies
    for least, most in zip(found, jacobian_products(pair, split, factor, Budget(10**9), None), strict=True):
        torch.testing.assert_close(least, most)


@pytest.mark.parametrize(("free", "passes"), [(3.5, 2), (4.5, 1)])
def test_trunks_are_gone_through_once_where_a_quarter_of_memory_holds_their_jacobians(free, passes, monkeypatch):
    (pair, split, factor), seen = two_trunks(rank=1), []

    def counted(*arguments):
        trunk = make_trunk(*arguments)
        return replace(trunk, jacobians=lambda X: seen.append(len(X)) or trunk.jacobians(X))

    monkeypatch.setattr("jne.measures.crossfit_products.make_trunk", counted)
    jacobian_products(pair, split, factor, Budget(int(free * 8 * 400 * 3 * (5 + 4))), None)
    assert sum(seen) == passes * 2 * 400


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA card")
def test_the_device_does_not_change_the_answer(arrays):
    encoders = fitted(quick, arrays)
    where = comparison(arrays)
    there = Comparison(**{**where.__dict__, "device": "cuda"})
    np.testing.assert_allclose(there.terms(encoders), where.terms(encoders), rtol=1e-9)


@pytest.fixture(scope="module")
def planted():
    """Voxels 0-9 linear, 10-19 pure noise, 20-39 with shares up to 1."""
    rng = np.random.default_rng(0)
    alpha = np.concatenate([np.zeros(20), np.linspace(0.3, 1, 20)])
    X = rng.normal(size=(2000, 8))
    _, Y = mixed_response(X, alpha, 0.6, n_units=4)
    Y[:, 10:20] = rng.normal(size=(2000, 10))
    (X, X_val, X_test), (Y, Y_val, _) = (np.split(a, [1400, 1800]) for a in (X, Y))
    make = lambda seed: quick(seed, hidden_size=32, batch_size=140, lr=6e-3, max_epochs=40, patience=4)  # noqa: E731
    result = jne.crossfit_nonlinearity(make, (X, Y, X_val, Y_val, X_test), n_splits=2, n_groups=6, return_samples=True)
    return alpha, result


SHARES = ["nonlinear_share", "prediction_share"]


@pytest.mark.parametrize("share", SHARES)
def test_a_linear_truth_gives_zero_within_its_errors(share, planted):
    value, error = planted[1][share][:10], planted[1][f"{share}_se"][:10]
    assert np.isfinite(value).all()
    assert (np.abs(value) < 3 * error).all() and np.abs(value).max() < 0.05


@pytest.mark.parametrize("share", SHARES)
def test_pure_noise_gives_nan_or_zero_within_its_errors(share, planted):
    value, error = planted[1][share][10:20], planted[1][f"{share}_se"][10:20]
    assert np.isnan(value).sum() >= 7
    assert not (np.abs(value) > 3 * error).any()


@pytest.mark.parametrize("share", SHARES)
def test_planted_shares_are_found(share, planted):
    alpha, result = planted
    assert np.corrcoef(alpha[20:], result[share][20:])[0, 1] > 0.95
    np.testing.assert_allclose(result[share][20:], alpha[20:], atol=0.25)


def test_a_value_is_nan_exactly_where_the_lower_bound_of_its_denominator_is_not_above_zero(planted):
    result = planted[1]
    below = result.crossfit_nonlinear / 2 + result.crossfit_linear
    deleted = result.crossfit_nonlinear_jackknife / 2 + result.crossfit_linear_jackknife
    deleted_test = result.crossfit_nonlinear_jackknife_test / 2 + result.crossfit_linear_jackknife_test
    variance = 5 / 6 * ((deleted - deleted.mean("group")) ** 2).sum("group")
    variance += 7 / 8 * ((deleted_test - deleted_test.mean("test_group")) ** 2).sum("test_group")
    t = 2.570581835636314  # 97.5 % quantile of Student's t with 5 degrees of freedom, from a table
    np.testing.assert_array_equal(result.reliable, below > t * np.sqrt(variance))
    np.testing.assert_array_equal(np.isfinite(result.nonlinear_share), result.reliable)
    kept = result.reliable
    np.testing.assert_allclose(result.nonlinear_share[kept], (result.crossfit_nonlinear / 2 / below)[kept])
    np.testing.assert_allclose(
        result.prediction_share[kept], (result.crossfit_residual / result.crossfit_predicted)[kept]
    )


def test_a_denominator_is_reliable_beyond_its_bound_with_the_errors_of_both_kinds_of_stimuli():
    """Errors of 1 each, the root of 2 together, and 3.18 of them with four groups: 4.5."""
    linear, nothing = np.array([4.4, 4.6]), np.zeros(2)
    groups = linear + np.array([1, -1, 1, -1])[:, None] / np.sqrt(3)
    np.testing.assert_allclose(jackknife_error(groups), 1)
    terms = Terms(nothing, linear, nothing, linear)
    without = Terms(np.zeros((4, 2)), groups, np.zeros((4, 2)), groups)
    for name in SHARES:
        assert share(name, terms, without, without).reliable.tolist() == [False, True]


def test_jne_ss_has_its_shape_and_two_fits_agree_on_it_where_there_is_something(planted):
    samples = planted[1].crossfit_jne_ss
    assert samples.dims == ("sample", "voxel") and samples.shape == (200, 40)
    # Its mean is the covariance of two fits' deviations: a square would be positive without any signal.
    assert (samples.mean("sample")[30:] > 0).all()
    assert samples.mean("sample")[10:20].mean() < 0.05 * samples.mean("sample")[30:].mean()


def test_the_jackknife_of_a_mean_is_its_textbook_error():
    values = np.random.default_rng(0).normal(size=(9, 3))
    deleted = np.stack([np.delete(values, i, axis=0).mean(axis=0) for i in range(9)])
    np.testing.assert_allclose(jackknife_error(deleted), values.std(axis=0, ddof=1) / 3)


def test_an_area_is_a_ratio_of_sums_not_a_mean_of_ratios(planted):
    result = planted[1]
    names = np.repeat(["linear", "noise", "planted"], [10, 10, 20])
    table = jne.area_share(result, names)
    assert list(table.n_voxels) == [10, 10, 20]
    c, c0 = result.crossfit_nonlinear.values[20:].sum() / 2, result.crossfit_linear.values[20:].sum()
    assert table.nonlinear_share["planted"] == pytest.approx(c / (c + c0))
    variance = 0
    for part in ("jackknife", "jackknife_test"):
        c, c0 = (result[f"crossfit_{name}_{part}"].values[:, 20:].sum(-1) for name in ("nonlinear", "linear"))
        ratios = c / 2 / (c / 2 + c0)
        variance += (len(ratios) - 1) / len(ratios) * ((ratios - ratios.mean()) ** 2).sum()
    row = table.loc["planted"]
    assert row.nonlinear_share_se == pytest.approx(np.sqrt(variance))
    half = 2.570581835636314 * row.nonlinear_share_se  # Student's t, 5 degrees of freedom
    assert row.nonlinear_share_low == pytest.approx(row.nonlinear_share - half)
    assert row.nonlinear_share_high == pytest.approx(row.nonlinear_share + half)
    assert table.reliable["planted"] and abs(table.nonlinear_share["linear"]) < 3 * table.nonlinear_share_se["linear"]
    whole = jne.area_share(result, share_name="prediction_share")
    assert list(whole.index) == ["all voxels"]
    assert whole.prediction_share.item() == pytest.approx(
        float(result.crossfit_residual.sum() / result.crossfit_predicted.sum())
    )


def test_an_area_s_sums_are_over_significant_voxels_with_an_area(planted):
    result = planted[1].assign(significant=("voxel", np.arange(40) >= 25))
    names = np.repeat(["", "planted"], 20)
    table = jne.area_share(result, names)
    assert list(table.index) == ["planted"] and table.n_voxels.item() == 20 and table.n_significant.item() == 15
    c, c0 = result.crossfit_nonlinear.values[25:].sum() / 2, result.crossfit_linear.values[25:].sum()
    assert table.nonlinear_share.item() == pytest.approx(c / (c + c0))


@pytest.mark.parametrize("n_groups", [4, 8])
def test_a_share_of_zero_is_above_its_bound_in_two_and_a_half_percent(n_groups):
    # Group by group, a numerator that is noise around zero over a denominator that is well known.
    rng = np.random.default_rng(0)
    n_draws = 20_000
    groups = np.stack([rng.normal(size=(n_groups, n_draws)), rng.normal(10, 0.1, (n_groups, n_draws))] * 2)
    terms, deleted = groups.mean(axis=1), (groups.sum(axis=1, keepdims=True) - groups) / (n_groups - 1)
    test = np.repeat(terms[:, None], N_TEST_GROUPS, axis=1)
    found = share("prediction_share", *(Terms(*part) for part in (terms, deleted, test)))
    # Four standard errors of such a rate over these draws.
    assert np.mean(found.low > 0) == pytest.approx(0.025, abs=0.0045)
    assert np.mean(found.high < 0) == pytest.approx(0.025, abs=0.0045)


def test_terms_without_a_group_of_test_stimuli_are_those_of_the_others(arrays):
    encoders = fitted(quick, arrays)
    found = comparison(arrays).without_test_groups(encoders)
    groups = draw_groups(N_TEST, N_TEST_GROUPS, None, 0)
    assert len(found[0]) == 8  # of which the method speaks
    for group in (0, 5):
        expected = expected_of(encoders, (*arrays[:4], arrays[4][groups != group]))
        for name, values in zip(TERMS[:2], found, strict=False):
            np.testing.assert_allclose(values[group], expected[name], atol=1e-5 * np.abs(expected[name]).max())


def test_errors_hold_what_other_test_stimuli_would_change():
    # Two networks that are much alike and that nobody fits, so that all there is to err comes from test stimuli.
    def network(own):
        drawn = torch.Generator().manual_seed(0)
        module = nn.Sequential(nn.Linear(3, 6), nn.Tanh(), nn.Linear(6, 4))
        with torch.no_grad():
            for p in module.parameters():
                p.copy_(torch.randn(p.shape, generator=drawn))
            module[0].weight += own * torch.randn(6, 3, generator=drawn)
        scales = {"x_mean_": np.zeros(3), "x_scale_": np.ones(3), "y_scale_": np.ones(4)}
        return SimpleNamespace(module_=module, **scales)

    pair, rng = (network(0.2), network(-0.2)), np.random.default_rng(0)
    train = rng.normal(size=(20, 3)), rng.normal(size=(20, 4)), rng.normal(size=(20, 3)), rng.normal(size=(20, 4))
    values, errors = {name: [] for name in SHARES}, {name: [] for name in SHARES}
    for _ in range(20):
        there = comparison((*train[:2], rng.normal(size=(80, 3)), train[3], rng.normal(size=(80, 3))))
        terms, without = (
            part.each(lambda t: t.sum(-1)) for part in (there.terms(pair), there.without_test_groups(pair))
        )
        for name in SHARES:
            found = share(name, terms, terms.each(lambda t: np.repeat(t, 8)), without)
            values[name].append(found.value)
            errors[name].append(found.se)
    for name in SHARES:
        # Two and a half standard errors of a standard deviation from so few draws.
        assert np.sqrt(np.mean(np.square(errors[name]))) == pytest.approx(np.std(values[name], ddof=1), rel=0.4), name


def test_a_bound_has_one_degree_of_freedom_less_than_the_fewest_groups():
    assert errors_to_bound(8, 8) == pytest.approx(2.3646242515927849)
    assert errors_to_bound(4, 8) == pytest.approx(3.1824463052842638)


def test_area_share_names_what_is_wrong(planted):
    with pytest.raises(ValueError, match="lacks crossfit_nonlinear"):
        jne.area_share(xr.Dataset({"jne": ("voxel", np.ones(3))}))
    with pytest.raises(ValueError, match="share_name='jne'"):
        jne.area_share(planted[1], share_name="jne")
    with pytest.raises(ValueError, match="area='lobe'"):
        jne.area_share(planted[1], "lobe")
    with pytest.raises(ValueError, match=r"shape \(3,\).* 40 voxels"):
        jne.area_share(planted[1], np.array(["a", "b", "c"]))


@pytest.mark.parametrize("make", [lambda seed: quick(0), lambda seed: OddEncoder(3)], ids=["residual", "own"])
def test_a_seed_that_is_ignored_is_refused_before_any_fit(make, arrays, monkeypatch):
    monkeypatch.setattr(Encoder, "fit", lambda *args, **kwargs: pytest.fail("fitted"))
    with pytest.raises(ValueError, match="same initial weights: it ignores its seed"):
        jne.crossfit_nonlinearity(make, arrays)


def test_one_encoder_for_both_halves_is_refused(arrays):
    encoder = jne.RidgeEncoder()
    with pytest.raises(ValueError, match="ignores its seed"):
        jne.crossfit_nonlinearity(lambda seed: encoder, arrays)


def test_ridge_has_no_start_and_no_nonlinearity(arrays):
    result = jne.crossfit_nonlinearity(lambda seed: jne.RidgeEncoder(), arrays, n_splits=1, n_groups=4)
    np.testing.assert_allclose(result.crossfit_nonlinear, 0, atol=1e-12)
    np.testing.assert_allclose(result.prediction_share, 0, atol=1e-6)
    assert np.isnan(result.nonlinear_share_split_sd).all()


@pytest.mark.parametrize(
    "change, message",
    [
        ({"n_splits": 0}, "n_splits=0"),
        ({"n_groups": 3}, "n_groups=3 is not a whole number of at least 4"),
        ({"n_groups": 4, "n_splits": 4}, "n_splits=4, and 4 groups can be halved in 3 ways"),
        ({"n_groups": 40}, "n_groups=40 with 60 training stimuli; accepted is at most 30"),
        ({"covariance": False}, "covariance=False"),
        ({"covariance": np.eye(4)}, r"covariance has shape \(4, 4\) for 5 features"),
        ({"max_memory": "9kB"}, r"needs at least .* max_memory is 9 kB"),
        ({"precision": "half"}, "precision='half'"),
    ],
)
def test_bad_settings_are_told_before_any_fit(change, message, arrays, monkeypatch):
    monkeypatch.setattr(Encoder, "fit", lambda *args, **kwargs: pytest.fail("fitted"))
    with pytest.raises(ValueError, match=message):
        jne.crossfit_nonlinearity(quick, arrays, **change)


def test_memory_counts_all_stimuli_although_it_is_checked_with_few(arrays, monkeypatch):
    monkeypatch.setattr(Encoder, "fit", lambda *args, **kwargs: pytest.fail("fitted"))
    arrays = (*arrays[:4], np.repeat(arrays[4], 100, axis=0))
    with pytest.raises(ValueError, match="the covariance and the linear map needs at least"):
        jne.crossfit_nonlinearity(quick, arrays, max_memory="400kB")
    with pytest.raises(ValueError, match=r"deviations of all samples and voxels .* give return_samples=False"):
        jne.crossfit_nonlinearity(
            quick,
            tuple(a[:, [0] * 500] if i in (1, 3) else a for i, a in enumerate(arrays)),
            max_memory="8MB",
            return_samples=True,
        )


def test_too_few_stimuli_for_a_linear_map_leave_only_the_predictions_out(arrays):
    X, Y, X_val, Y_val, X_test = arrays
    wide = [np.random.default_rng(i).normal(size=(len(a), 120)) for i, a in enumerate((X, X_val, X_test))]
    result = jne.crossfit_nonlinearity(quick, (wide[0], Y, wide[1], Y_val, wide[2]), n_splits=1, n_groups=4)
    assert np.isnan(result.prediction_share).all() and np.isnan(result.crossfit_predicted).all()
    assert np.isfinite(result.crossfit_nonlinear).all() and np.isfinite(result.crossfit_linear_se).all()


def test_bad_data_are_named(arrays):
    with pytest.raises(ValueError, match="give an EncodingDataset or"):
        jne.crossfit_nonlinearity(quick, arrays[:4])
    with pytest.raises(ValueError, match="X_test has shape"):
        jne.crossfit_nonlinearity(quick, (*arrays[:4], arrays[4][:, :3]))
    with pytest.raises(ValueError, match="has no fit"):
        jne.crossfit_nonlinearity(lambda seed: SimpleNamespace(), arrays)


def test_halves_share_nothing_and_first_splits_stay_the_same():
    groups = draw_groups(100, 8, None, 0)
    assert np.bincount(groups).min() >= 12 and np.diff(groups).min() < 0  # at random, not one after the other
    few, many = (draw_splits(8, n, 21, None, 0) for n in (2, 6))
    seeds = [seed for split in many for seed in split.seeds]
    assert len(set(seeds)) == 12 and [s.seeds for s in few] == [s.seeds for s in many[:2]]
    for split in many:
        assert sorted(np.concatenate(split.groups)) == list(range(8)) and len(split.groups[0]) == 4
        assert sorted(np.concatenate(split.validation)) == list(range(21))
    assert len({tuple(sorted(map(tuple, split.groups))) for split in many}) == 6


def test_groups_of_a_dataset_with_folds_keep_neighbours_together():
    folds = np.repeat([2, 0, 1], 20)
    groups = draw_groups(60, 6, folds, 0)
    for fold, expected in ((0, {0, 1}), (1, {2, 3}), (2, {4, 5})):
        assert set(groups[folds == fold]) == expected


def test_an_encoder_sees_only_its_own_half(arrays, monkeypatch):
    seen = []
    fit = Encoder.fit

    def spy(self, X, Y, X_val, Y_val, **options):
        seen.append((self.random_state, {tuple(x) for x in X}, {tuple(x) for x in X_val}))
        return fit(self, X, Y, X_val, Y_val, **options)

    measured, terms = [], Comparison.terms

    def spy_on_pairs(self, encoders):
        measured.append(tuple(encoders))
        return terms(self, encoders)

    monkeypatch.setattr(Encoder, "fit", spy)
    monkeypatch.setattr(Comparison, "terms", spy_on_pairs)
    jne.crossfit_nonlinearity(OddEncoder, arrays, n_splits=1, n_groups=4)
    assert len(seen) == 2 + 4
    (split,) = draw_splits(4, 1, N_VALIDATION, None, 0)
    for (seed, _, held), rows, own in zip(seen[:2], split.validation, split.seeds, strict=True):
        assert seed == own and held == {tuple(x) for x in arrays[2][rows]}
    # Without a group, one encoder of the two is a new one and the other that of all groups.
    (first, second), *refits = measured
    assert all((one is first) != (two is second) for one, two in refits) and len(refits) == 4
    (seed, X, X_val), (other_seed, other, other_val) = seen[:2]
    assert seed != other_seed and not X & other and not X_val & other_val
    assert len(X | other) == N_TRAIN and len(X_val | other_val) == N_VALIDATION
    for refit_seed, refitted, _ in seen[2:]:
        assert refitted < (X if refit_seed == seed else other) and len(refitted) == N_TRAIN // 4


def test_a_killed_run_goes_on_with_the_splits_that_are_left(arrays, tmp_path, monkeypatch):
    make = lambda seed: quick(seed, max_epochs=2)  # noqa: E731
    whole = jne.crossfit_nonlinearity(make, arrays, n_splits=2, n_groups=4)
    fits = []
    fit = Encoder.fit

    def killed(self, *args, **options):
        fits.append(1)
        if len(fits) == 8:
            raise KeyboardInterrupt
        return fit(self, *args, **options)

    monkeypatch.setattr(Encoder, "fit", killed)
    options = {"n_splits": 2, "n_groups": 4, "folder": tmp_path}
    with pytest.raises(KeyboardInterrupt):
        jne.crossfit_nonlinearity(make, arrays, **options)
    assert len(list(tmp_path.rglob("*.nc"))) == 1
    resumed = jne.crossfit_nonlinearity(make, arrays, **options)
    assert len(fits) == 8 + 6
    xr.testing.assert_identical(resumed, whole)
    jne.crossfit_nonlinearity(make, arrays, **options)
    assert len(fits) == 8 + 6
    jne.crossfit_nonlinearity(lambda seed: quick(seed, max_epochs=2, lr=0.1), arrays, **{**options, "n_splits": 1})
    assert len(fits) == 8 + 6 + 6


STUDY = {"encoder_options": {"hidden_size": 16, "max_epochs": 4, "device": "cpu"}, "n_bootstrap": 20}


@pytest.fixture(params=["split", "folds"])
def study(request, tiny_content):
    if request.param == "folds":
        folds = ("stimulus", np.arange(60) % 4)
        tiny_content = tiny_content.drop_vars(["split", "responses_repeats"]).assign(fold=folds)
    return run_study(EncodingDataset(tiny_content), **STUDY)


def test_a_study_is_cross_fitted_once(study, monkeypatch):
    result = study.crossfit(n_splits=2, n_groups=4, return_samples=True)
    assert {"nonlinear_share", "prediction_share", "reliable", "roi", "stimulus_id", "crossfit_jne_ss"} <= set(result)
    assert list(jne.area_share(result).index) == ["V1", "V4"] and result.attrs["layer"] == "deep"
    monkeypatch.setattr(Encoder, "fit", lambda *args, **kwargs: pytest.fail("fitted again"))
    xr.testing.assert_identical(study.crossfit(n_splits=2, n_groups=4, return_samples=True), result)
    assert study.crossfit(n_splits=1, n_groups=4, return_samples=True).attrs["n_splits"] == 1


def test_a_study_s_null_is_that_of_shuffled_responses(study, monkeypatch):
    result = study.null()
    assert result.null_share.shape == (8,) and np.isfinite(result.null_share).all()
    assert study.null(1).null_share.values.tolist() != result.null_share.values.tolist()
    monkeypatch.setattr(Encoder, "fit", lambda *args, **kwargs: pytest.fail("fitted again"))
    xr.testing.assert_identical(study.null(), result)


def test_shuffling_keeps_every_stimulus_in_its_fold():
    folds = np.arange(40) % 4
    order = shuffle_within(folds, np.random.default_rng(0))
    assert sorted(order) == list(range(40)) and (folds[order] == folds).all() and (order != np.arange(40)).any()


def test_without_refits_two_fits_a_split_give_the_same_shares_and_errors_over_test_stimuli(arrays):
    fits = []

    def make(seed):
        encoder = quick(seed)
        inner = encoder.fit
        encoder.fit = lambda *a, **k: fits.append(seed) or inner(*a, **k)
        return encoder

    options = {"n_splits": 1, "precision": "float64"}
    few = jne.crossfit_nonlinearity(make, arrays, refit=False, **options)
    assert len(fits) == 2
    whole = jne.crossfit_nonlinearity(quick, arrays, **options)
    for name in TERMS:
        np.testing.assert_allclose(few[name], whole[name], rtol=1e-9)
        np.testing.assert_allclose(few[f"{name}_jackknife_test"], whole[f"{name}_jackknife_test"], rtol=1e-9)
        np.testing.assert_allclose(
            few[f"{name}_se"], jackknife_error(whole[f"{name}_jackknife_test"].values), rtol=1e-9
        )
    assert few.sizes["group"] == 0
    names = np.array(["a"] * N_VOXELS)
    assert jne.area_share(few, names).index.tolist() == ["a"]
