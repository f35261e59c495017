"""Other norms, z-scored Jacobians and gain change: dense float64 oracles, closed forms, and what must not change."""

from math import gamma

import numpy as np
import pytest
import torch
from cases import CASES, Residual, normal
from oracles import dense_jacobian, of_jacobian, of_variants, sample_covariance
from torch import nn

from jne.jacobians.engine import prepare
from jne.measures import REGISTRY, VARIANTS, gain_change, nonlinearity, variants

FOLLOW = ("jne", "mean_deviation", "gain", "relative", "jne_ss")
SMALL = "30kB"
KINDS = {key: {"norm": "l1", "zscore_jacobian": False} | arguments for key, arguments in VARIANTS.items()}


def assert_close(found, expected, rtol=1e-5):
    """Equal to ``rtol`` of themselves or, where numbers cancel, of the largest; NaN where the other is."""
    scale = max(np.nanmax(np.abs(expected), initial=0), 1e-9)
    np.testing.assert_allclose(np.asarray(found), expected, rtol=rtol, atol=rtol * scale, equal_nan=True)


@pytest.mark.parametrize("readout", ["auto", False])
@pytest.mark.parametrize("name", CASES)
def test_every_variant_of_every_model_equals_the_dense_oracle(name, readout):
    case = CASES[name]
    model, X = case.model(), case.samples(8)
    J, sigma = dense_jacobian(model, X), sample_covariance(X)
    for kind in list(KINDS.values())[1:]:  # the first is the published one, which test_nonlinearity.py tries
        result = nonlinearity(model, X, readout=readout, **kind)
        expected = of_jacobian(J, sigma, kind["norm"], kind["zscore_jacobian"])
        for measure in FOLLOW:
            # Squares of differences of deviations: in float32 their digits are those of the deviations' own squares.
            scale = expected["gain"] ** 2 if measure == "jne_ss" else expected["gain"] + expected["mean_deviation"]
            error = np.abs(result[measure].values - expected[measure])
            near = 1e-5 * np.abs(expected[measure]) + 1e-6 * (1 if measure == "relative" else 10 * scale)
            undefined = np.isnan(expected[measure])
            assert np.array_equal(np.isnan(result[measure]), undefined), (kind, measure)
            assert ((error <= near) | undefined).all(), (kind, measure, np.nanmax(error))
        assert_close(result.nonlinear_share, expected["nonlinear_share"], 3e-5)


@pytest.mark.parametrize("n_voxels", [5, 60])  # 60: forward mode without a readout
@pytest.mark.parametrize("readout", [True, False])
@pytest.mark.parametrize("kind", list(KINDS)[1:])
def test_a_variant_is_exact_in_blocks_of_any_size_and_memory(kind, readout, n_voxels):
    model, X = Residual(n_voxels=n_voxels, activation="gelu"), normal(12, 7)
    arguments = KINDS[kind]
    expected = of_jacobian(dense_jacobian(model, X), sample_covariance(X), arguments["norm"], kind[:5] == "jne_z")
    for options in ({"n_voxels_batch": 4}, {"max_memory": SMALL}, {"return_samples": False, "max_memory": SMALL}):
        result = nonlinearity(model, X, readout=readout, precision="float64", **arguments, **options)
        for name in expected.keys() & set(result):
            assert_close(result[name], expected[name], 1e-9)


def test_small_memory_means_several_blocks_and_no_kept_trunks():
    # What the test above relies on.
    from jne._core import Budget, parse_bytes
    from jne.jacobians.engine import choose_readout, make_trunk
    from jne.measures.deviations import Work
    from jne.measures.factorised import plan_tiles
    from jne.measures.readings import Reading

    problem = prepare(Residual(n_voxels=60, activation="gelu"), normal(12, 7), "cpu", "float64")
    module, weight = choose_readout(problem, True)
    budget = Budget(parse_bytes(SMALL) * 15 // 16)
    work = Work(problem.X, torch.eye(7).double(), budget, None, True, print, Reading("l1", True))
    tiling = plan_tiles(work, make_trunk(module, problem.probe, weight.shape[1], budget), weight)
    assert tiling.voxels < 60 and not tiling.keep


def test_the_default_is_the_published_variant_and_attributes_say_which():
    model, X = Residual(), normal(20, 7)
    default, named = nonlinearity(model, X), nonlinearity(model, X, norm="l1", zscore_jacobian=False)
    assert default.identical(named.assign_attrs(default.attrs))
    assert (default.norm, default.zscore_jacobian) == ("l1", 0)
    for name in default:
        assert default[name].long_name == REGISTRY[name].definition
    other = nonlinearity(model, X, norm="l2", zscore_jacobian=True)
    assert (other.norm, other.zscore_jacobian, other.units) == ("l2", 1, "1")
    for name in ("jne", "mean_deviation", "gain", "jne_ss"):
        assert other[name].units == "1"
        assert "L2" in other[name].long_name and "z-scored over features" in other[name].long_name
    assert other.nonlinear_share.attrs == default.nonlinear_share.attrs
    squared = nonlinearity(model, X, norm="l2")
    assert squared.jne.units == default.jne.units and squared.jne.long_name == default.jne.long_name.replace("L1", "L2")


def test_the_share_follows_neither_argument():
    model, X = Residual(), normal(30, 7)
    for readout in (True, False):
        for kind in KINDS.values():
            result = nonlinearity(model, X, readout=readout, precision="float64", **kind)
            expected = nonlinearity(model, X, readout=readout, precision="float64").nonlinear_share
            np.testing.assert_allclose(result.nonlinear_share, expected, rtol=1e-10)


# Closed forms ---------------------------------------------------------------------------------------------------------


class Slopes(nn.Module):
    """``y_v = x_0 sum_u W[v, u] s_u`` with slopes ``s = R z``: at ``x_0 = 0`` the one slope is ``W s``, along x_0."""

    def __init__(self, root, weight):
        super().__init__()
        self.root, self.readout = root, nn.Linear(*weight.T.shape, bias=False)
        self.readout.weight = nn.Parameter(weight)

    def forward(self, x):
        return self.readout(x[:, :1] * (x[:, 1:] @ self.root.T))


@pytest.mark.parametrize("readout", [True, False])
def test_zero_mean_gaussian_slopes_have_the_papers_jne(readout):
    root, weight = normal(6, 6, seed=1, dtype=torch.float64), normal(3, 6, seed=2, dtype=torch.float64)
    z = normal(20_000, 6, dtype=torch.float64)
    X = torch.cat([torch.zeros(len(z), 1), z], 1)
    # A.9.1: sqrt((1 - 2/pi) w' Sigma w), the half-normal distribution's standard deviation.
    expected = np.sqrt((1 - 2 / np.pi) * np.diag(weight @ root @ root.T @ weight.T))
    for norm in ("l1", "l2"):  # one slope: both norms are its absolute value
        result = nonlinearity(Slopes(root, weight), X, norm=norm, readout=readout, precision="float64")
        np.testing.assert_allclose(result.jne, expected, rtol=0.02)
    np.testing.assert_allclose(gain_change(Slopes(root, weight), X, precision="float64"), expected, rtol=0.02)


def test_l2_of_a_sum_of_squares():
    # delta = 2 |x - xbar|: chi with D degrees of freedom, of mean m and variance D - m^2.
    D, X = 8, normal(4000, 8)
    result = nonlinearity(lambda x: (x**2).sum(-1), X, norm="l2")
    delta = 2 * (X - X.mean(0)).double().norm(dim=1)
    assert result.jne.item() == pytest.approx(float(delta.std(correction=0)), rel=1e-5)
    m = np.sqrt(2) * gamma(4.5) / gamma(4)
    assert result.mean_deviation.item() == pytest.approx(2 * m, rel=0.01)
    assert result.jne.item() == pytest.approx(2 * np.sqrt(D - m**2), rel=0.04)


def test_zscored_rows_do_not_see_the_size_of_a_jacobian():
    # y = c(x) a'z at small z: the Jacobian has one direction and any size, so z-scoring leaves nothing that varies.
    a = torch.linspace(-1, 2, 5)
    X = torch.cat([normal(50, 1), torch.zeros(50, 5)], 1)
    model = lambda x: torch.exp(x[:, :1]) * (x[:, 1:] @ a)[:, None]  # noqa: E731
    plain, scaled = nonlinearity(model, X), nonlinearity(model, X, zscore_jacobian=True)
    assert plain.jne.item() > 1 and scaled.jne.item() < 1e-5
    row = np.append(0, a)
    assert scaled.gain.item() == pytest.approx(np.abs((row - row.mean()) / row.std()).sum(), rel=1e-5)


def test_a_constant_row_makes_its_voxel_undefined_and_leaves_the_others():
    # At the first sample the second voxel's units are all silent: a Jacobian of zeros.
    first, readout = nn.Linear(3, 5, bias=False), nn.Linear(5, 2, bias=False)
    with torch.no_grad():
        first.weight.copy_(torch.tensor([[1.0, 2, 0], [-1, 0, 1], [1, 0, 0], [-1, 2, 0], [-1, 0, 0]]))
        readout.weight.copy_(torch.tensor([[1.0, 1, 1, 1, 1], [1, 0, 1, 0, 0]]))
    model = nn.Sequential(first, nn.ReLU(), readout)
    X = normal(20, 3)
    X[0] = torch.tensor([-3.0, 0.1, 0.1])
    for way in (True, False):
        result = nonlinearity(model, X, zscore_jacobian=True, readout=way, n_bootstrap=10)
        for name in ("jne", "gain", "mean_deviation", "relative", "jne_low", "jne_se"):
            assert np.isnan(result[name]).values.tolist() == [False, True], name
        assert (result.deviation_sign[:, 1] == 0).all() and not result.nonlinear_share.isnull().any()


@pytest.mark.parametrize("readout", ["auto", False])
def test_a_linear_model_has_no_variant_of_jne_and_no_gain_change(readout):
    model, X = nn.Linear(6, 5), normal(30, 6)
    for kind in KINDS.values():
        result = nonlinearity(model, X, readout=readout, **kind)
        assert (result.jne < 1e-5 * result.gain).all() and (result.gain > 0.01).all()
    np.testing.assert_allclose(gain_change(model, X), 0, atol=1e-6)


# Gain change and the table of variants --------------------------------------------------------------------------------


@pytest.mark.parametrize("name", CASES)
def test_variants_and_gain_change_equal_their_oracles(name):
    model, X = CASES[name].model(), CASES[name].samples(8)
    expected = of_variants(dense_jacobian(model, X))
    found = variants(model, X, precision="float64")
    assert set(found) == set(expected)
    for key in found:
        assert_close(found[key], expected[key], 1e-6)
        assert found[key].attrs == {"long_name": REGISTRY[key].definition, "units": REGISTRY[key].unit_of(False)}
    change = gain_change(model, X)
    assert_close(change, expected["gain_change"], 1e-4)
    assert change.name == "gain_change" and change.units == "response units per feature unit"


def test_gain_change_in_many_blocks_is_the_same():
    model, X = Residual(n_voxels=60), normal(30, 7)
    whole = gain_change(model, X, precision="float64")
    np.testing.assert_allclose(gain_change(model, X, precision="float64", max_memory="60kB"), whole, rtol=1e-12)


def test_what_is_no_norm_or_no_truth_value_is_refused():
    with pytest.raises(ValueError, match="norm='L1' is not known; give 'l1' or 'l2'"):
        nonlinearity(Residual(), normal(20, 7), norm="L1")
    with pytest.raises(ValueError, match="zscore_jacobian=1 is not a truth value"):
        nonlinearity(Residual(), normal(20, 7), zscore_jacobian=1)


def test_an_infinite_slope_is_refused_before_it_is_z_scored():
    X = normal(20, 3)
    X[4] = 0
    model = lambda x: x.norm(dim=1).sqrt()[:, None] * torch.ones(5)  # noqa: E731
    for n_voxels in (1, 5):
        with pytest.raises(ValueError, match="slope that is not finite at sample 4"):
            nonlinearity(lambda x, n=n_voxels: model(x)[:, :n], X, zscore_jacobian=True)
