"""`nonlinearity` against a dense float64 oracle, closed forms, foreign models, and everything it must refuse."""

import copy
import importlib
import re

import numpy as np
import pytest
import torch
import xarray as xr
from cases import ACTIVATIONS, CASES, Residual, normal
from held import peak_of_tensors
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from oracles import dense_jacobian, of_jacobian, sample_covariance
from torch import nn
from torch.nn import functional as F

from jne._core import check_card, write_netcdf
from jne.jacobians import jacobian
from jne.jacobians.engine import prepare
from jne.measures import factorised
from jne.measures.covariance import covariance_factor
from jne.measures.nonlinearity import nonlinearity
from jne.measures.registry import REGISTRY

MEASURES = ("jne", "mean_deviation", "gain", "relative", "nonlinear_share")


class FakeEncoder:
    """What an encoder promises, and nothing else."""

    def __init__(self, covariance=None):
        self.module_ = Residual()
        self.covariance_ = covariance

    def scale_features(self, X):
        return ((np.asarray(X) - 3) / 2).astype(np.float32)


def assert_equal(result, expected, rtol=1e-5, names=MEASURES, scale=None):
    """Equal to ``rtol``; a difference of large numbers (of size ``scale``) to 1e-6 of them in float32."""
    scale = expected["gain"] + expected["mean_deviation"] if scale is None else scale
    for name in names:
        absolute = rtol / 10 * (scale if name in ("jne", "mean_deviation", "gain") else 1)
        error = np.abs(result[name].values - expected[name])
        assert (error <= rtol * np.abs(expected[name]) + absolute).all(), f"{name}: {error.max()}"


def assert_same(a, b, rtol=1e-6):
    for name in set(a.data_vars) | set(b.data_vars):
        scale = float(np.nanmax(np.abs(a[name].values)))
        np.testing.assert_allclose(a[name].values, b[name].values, rtol=rtol, atol=rtol * scale, err_msg=name)


# The oracle -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("readout", [True, False])
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_every_activation_and_block_size_equals_the_of_jacobian(activation, readout):
    model, X = Residual(activation=activation), normal(40, 7, seed=1)
    expected = of_jacobian(dense_jacobian(model, X), sample_covariance(X))
    for batch in (None, 1, 4, 100):
        result = nonlinearity(model, X, readout=readout, n_voxels_batch=batch)
        assert result.path == ("factorised" if readout else "general")
        assert_equal(result, expected)
        ss = expected["jne_ss"]
        np.testing.assert_allclose(result.jne_ss, ss, rtol=1e-4, atol=1e-6 * (expected["gain"] ** 2).max())


@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_any_shape_dtype_stride_depth_and_block_equals_the_of_jacobian(data):
    draw = lambda low, high: data.draw(st.integers(low, high))  # noqa: E731
    D, H, V, N, seed = draw(1, 9), draw(1, 9), draw(1, 12), draw(3, 12), draw(0, 1000)
    activation = data.draw(st.sampled_from(list(ACTIVATIONS)))
    model = Residual(D, H, V, draw(0, 3), activation, seed)
    values = normal(2 * N, 2 * D, seed=seed + 1).numpy()
    dtype = data.draw(st.sampled_from(["float16", "float32", "float64", ">f4", "int8"]))
    values = (4 * values if dtype == "int8" else values).astype(dtype)
    layout = data.draw(st.sampled_from(["contiguous", "strided", "reversed", "fortran", "tensor"]))
    X = values[:N, :D]
    X = {"strided": values[::2, ::2], "reversed": X[::-1, ::-1], "fortran": np.asfortranarray(X)}.get(layout, X)
    X = torch.from_numpy(X.astype(X.dtype.newbyteorder("=")))[:, :] if layout == "tensor" else X
    exact = torch.from_numpy(np.asarray(X).astype(np.float64))
    assume(not _near_a_kink(model, exact))
    precision = data.draw(st.sampled_from(["float32", "float64"]))
    result = nonlinearity(
        model,
        X,
        covariance=np.eye(D),
        readout=data.draw(st.sampled_from(["auto", True, False])),
        precision=precision,
        n_voxels_batch=data.draw(st.sampled_from([None, 1, 2, 5])),
    )
    expected = of_jacobian(dense_jacobian(model, exact), np.eye(D))
    names = ("jne", "mean_deviation", "gain")
    scale = _size_before_cancellation(model)
    assert_equal(result, expected, rtol=1e-5 if precision == "float32" else 1e-11, names=names, scale=scale)
    known = expected["gain"] > 0.1 * scale  # elsewhere the share divides rounding by rounding
    part = {name: expected[name][known] for name in MEASURES}
    assert_equal(result.isel(voxel=known), part, rtol=3e-5, names=["nonlinear_share"])


class Drawn(nn.Module):
    """Linear layers, activations and sums in any order, as drawn."""

    def __init__(self, n_features, steps, n_voxels, seed):
        super().__init__()
        torch.manual_seed(seed)
        self.steps, self.layers, self.widths = steps, nn.ModuleList(), [n_features]
        for kind, what in steps:
            width = self.widths[-1]
            self.layers.append(nn.Linear(width, what) if kind == "linear" else nn.Identity())
            self.widths.append(what if kind == "linear" else width)
        self.readout = nn.Linear(self.widths[-1], n_voxels)

    def forward(self, x):
        seen = [x]
        for (kind, what), layer in zip(self.steps, self.layers, strict=True):
            if kind == "linear":
                seen.append(layer(seen[-1]))
            elif kind == "activation":
                seen.append(seen[-1] if what == "identity" else ACTIVATIONS[what](seen[-1]))
            else:
                seen.append(seen[-1] + seen[self.widths.index(self.widths[len(seen)])])
        return self.readout(seen[-1])


STEP = st.one_of(
    st.tuples(st.just("linear"), st.integers(1, 6)),
    st.tuples(st.just("activation"), st.sampled_from(list(ACTIVATIONS))),
    st.tuples(st.just("sum"), st.none()),
)


@settings(max_examples=60, deadline=None)
@given(
    steps=st.lists(STEP, max_size=8),
    sizes=st.tuples(st.integers(1, 6), st.integers(1, 9), st.integers(3, 8)),
    seed=st.integers(0, 1000),
    readout=st.booleans(),
    rank=st.sampled_from([None, 1, 3, "full"]),
    batch=st.sampled_from([None, 1, 4]),
)
def test_any_network_of_layers_activations_and_sums_equals_the_of_jacobian(steps, sizes, seed, readout, rank, batch):
    D, V, N = sizes
    model, X = Drawn(D, steps, V, seed), normal(N, D, seed=seed)
    F_ = normal(D, D + 1 if rank in (None, "full") or rank == D else rank, seed=seed + 1, dtype=torch.float64).numpy()
    sigma = F_ @ F_.T if rank else sample_covariance(X)
    given_as = None if rank is None else (sigma if rank == "full" else F_)
    options = {"covariance": given_as, "readout": readout, "n_voxels_batch": batch, "precision": "float64"}
    result, expected = nonlinearity(model, X, **options), of_jacobian(dense_jacobian(model, X), sigma)
    assert result.path == ("factorised" if readout else "general")
    if readout:
        assert result.differentiation == "products"
    assert_equal(result, expected, rtol=1e-9, names=("jne", "mean_deviation", "gain"))
    known = expected["gain"] > 1e-6  # elsewhere the share divides rounding by rounding
    part = {name: expected[name][known] for name in MEASURES}
    assert_equal(result.isel(voxel=known), part, rtol=1e-8, names=["nonlinear_share"])


def _size_before_cancellation(model):
    """L1 norm per voxel of the Jacobian were all weights positive and all slopes 1: what rounding is relative to."""
    J = model.first.weight.detach().abs().double()
    for block in model.blocks:
        J = block.weight.detach().abs().double() @ J + J
    return (model.readout.weight.detach().abs().double() @ J).sum(1).numpy()


def _near_a_kink(model, X):
    """Whether a pre-activation of the network is within rounding of 0, where float32 may choose the other slope."""
    seen = []
    model = copy.deepcopy(model).double()
    for layer in (model.first, *model.blocks):
        layer.register_forward_hook(lambda m, a, y: seen.append(y.abs().min().item()))
    model(X)
    return min(seen) < 1e-4


@pytest.mark.parametrize("activation", ["relu", "gelu"])
def test_a_trunk_large_enough_for_masks_equals_the_of_jacobian(activation):
    model, X = Residual(130, 190, 40, activation=activation), normal(6, 130, seed=3)
    result = nonlinearity(model, X, readout=True, precision="float64")
    assert result.differentiation == "products"
    assert_equal(result, of_jacobian(dense_jacobian(model, X), sample_covariance(X)), rtol=1e-9)


def test_a_hidden_layer_used_again_after_a_sum_equals_the_of_jacobian():
    class Dense(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b, self.c = nn.Linear(7, 9), nn.Linear(9, 9), nn.Linear(9, 9)
            self.readout = nn.Linear(9, 12)

        def forward(self, x):
            h = torch.tanh(self.a(x))
            first = h + torch.tanh(self.b(h))
            second = torch.tanh(self.c(first)) + h
            return self.readout(second + first)

    model, X = Dense(), normal(10, 7)
    result = nonlinearity(model, X)
    assert result.differentiation == "products"
    assert_equal(result, of_jacobian(dense_jacobian(model, X), sample_covariance(X)))


def test_two_linear_layers_in_a_row_equal_the_of_jacobian():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(5, 6), nn.Linear(6, 7), nn.ReLU(), nn.Linear(7, 40))
    X = normal(20, 5)
    result = nonlinearity(model, X)
    assert result.differentiation == "products"
    assert_equal(result, of_jacobian(dense_jacobian(model, X), sample_covariance(X)))


def test_float32_weak_nonlinearity_on_a_large_gain_keeps_its_digits():
    class Weak(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.readout = nn.Linear(20, 30, bias=False), nn.Linear(30, 9, bias=False)

        def forward(self, x):
            h = self.first(x)
            return self.readout(h + 0.01 * torch.tanh(h))

    model, X = Weak(), normal(50, 20)
    expected = of_jacobian(dense_jacobian(model, X), sample_covariance(X))
    for readout in (True, False):
        result = nonlinearity(model, X, readout=readout)
        np.testing.assert_allclose(result.mean_deviation, expected["mean_deviation"], rtol=3e-4)
        np.testing.assert_allclose(result.nonlinear_share, expected["nonlinear_share"], rtol=3e-4)


# Closed forms ---------------------------------------------------------------------------------------------------------


def test_sum_of_squares():
    D, X = 8, normal(4000, 8)
    result = nonlinearity(lambda x: (x**2).sum(-1), X)
    delta = 2 * (X - X.mean(0)).abs().sum(1).double()
    assert result.jne.item() == pytest.approx(float(delta.std(correction=0)), rel=1e-5)
    # Against the population: the sampling error of a standard deviation is about 1 / sqrt(2 N) = 1.1 %.
    assert result.jne.item() == pytest.approx(2 * np.sqrt(D * (1 - 2 / np.pi)), rel=0.04)
    assert result.mean_deviation.item() == pytest.approx(2 * D * np.sqrt(2 / np.pi), rel=0.01)


@pytest.mark.parametrize("bias", [-1.0, 0.3, 2.0])
def test_one_relu_unit_has_the_jne_of_its_share_of_active_samples(bias):
    unit = nn.Linear(5, 1)
    with torch.no_grad():
        unit.bias.fill_(bias * unit.weight.norm())
    X = normal(301, 5)
    p = float((unit(X) > 0).double().mean())
    norm = unit.weight.abs().sum().item()
    result = nonlinearity(nn.Sequential(unit, nn.ReLU()), X)
    assert 0 < p < 1
    assert result.jne.item() == pytest.approx(norm * np.sqrt(p * (1 - p)) * abs(1 - 2 * p), rel=1e-5)
    assert result.mean_deviation.item() == pytest.approx(2 * norm * p * (1 - p), rel=1e-5)


WEIGHT = normal(4, 6)
LINEAR = {
    "one layer": lambda: nn.Linear(6, 4),
    "three layers": lambda: nn.Sequential(nn.Linear(6, 9), nn.Linear(9, 9), nn.Linear(9, 4)),
    "residual": lambda: Residual(6, 9, 4, activation="identity"),
    "more voxels than features": lambda: Residual(6, 9, 50, activation="identity"),
    "function": lambda: lambda x, W=WEIGHT: x @ W.T,
    "always active": lambda: nn.Sequential(_shifted(6, 9, 100.0), nn.ReLU(), nn.Linear(9, 4)),
}


def _shifted(n_in, n_out, bias):
    layer = nn.Linear(n_in, n_out)
    nn.init.constant_(layer.bias, bias)
    return layer


@pytest.mark.parametrize("readout", ["auto", False])
@pytest.mark.parametrize("name", LINEAR)
def test_a_linear_model_has_no_nonlinearity(name, readout):
    result = nonlinearity(LINEAR[name](), normal(30, 6), readout=readout)
    assert (result.gain > 0.01).all()
    assert (result.jne < 1e-5 * result.gain).all()
    assert (result.relative < 1e-5).all()
    assert (result.nonlinear_share < 1e-9).all() and (result.nonlinear_share >= 0).all()


def test_shares_of_relu_and_of_a_quadratic():
    x = normal(20_000, 1)
    x = (x - x.mean()) / x.std(correction=0)
    relu = nonlinearity(torch.relu, x, return_samples=False)
    quadratic = nonlinearity(lambda x: x + x**2 / np.sqrt(2), x, return_samples=False)
    # Population values 1/3 (half of the samples active) and 1/2 (exact for these standardised samples).
    assert relu.nonlinear_share.item() == pytest.approx(1 / 3, abs=0.012)
    assert quadratic.nonlinear_share.item() == pytest.approx(0.5, abs=1e-4)
    assert relu.jne.item() < 0.02 and relu.mean_deviation.item() == pytest.approx(0.5, abs=0.01)  # the blind spot


@pytest.mark.parametrize("factor", [-3.0, 0.01])
def test_jne_scales_with_the_output_and_the_share_does_not(factor):
    model, X = Residual(), normal(30, 7)
    scaled = copy.deepcopy(model)
    with torch.no_grad():
        scaled.readout.weight.mul_(factor)
    a, b = nonlinearity(model, X), nonlinearity(scaled, X)
    for name in set(a) - {"deviation_sign"}:
        expected = abs(factor) ** REGISTRY[name].response_power * a[name]
        np.testing.assert_allclose(b[name], expected, rtol=1e-4, atol=1e-7 * factor**2, err_msg=name)


def test_rotating_and_scaling_the_features_moves_l1_but_not_the_share():
    model, X = Residual().double(), normal(50, 7)
    M = torch.linalg.qr(normal(7, 7, dtype=torch.float64))[0] * 2.5
    a = nonlinearity(model, X, precision="float64")
    b = nonlinearity(lambda z: model(z @ M.inverse()), X.double() @ M, precision="float64")
    np.testing.assert_allclose(a.nonlinear_share, b.nonlinear_share, rtol=1e-9)
    assert (np.abs(a.relative / b.relative - 1) > 1e-3).all()
    assert {name for name in a if np.allclose(a[name], b[name])} == {name for name in a if REGISTRY[name].rotation}


def test_a_voxel_without_input_is_nan_without_warnings():
    model = Residual()
    with torch.no_grad():
        model.readout.weight[2] = 0
    for readout in (True, False):
        result = nonlinearity(model, normal(20, 7), readout=readout)
        assert float(result.jne[2]) == float(result.gain[2]) == 0
        for name in ("relative", "nonlinear_share"):
            assert np.flatnonzero(np.isnan(result[name])).tolist() == [2]


# Covariance -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("n_voxels", [2, 13, 60])
@pytest.mark.parametrize("readout", [True, False])
def test_covariance_as_matrix_and_as_factor(readout, n_voxels):
    model, X = Residual(n_voxels=n_voxels), normal(20, 7)
    thin, square = normal(7, 3, seed=5).numpy(), normal(7, 7, seed=6).numpy()
    for sigma, given_as in (
        (thin @ thin.T, thin @ thin.T),  # singular
        (thin @ thin.T, thin),
        (square @ square.T, square @ square.T),
        (np.eye(7), torch.eye(7)),
    ):
        expected = of_jacobian(dense_jacobian(model, X), sigma.astype(float))
        assert_equal(nonlinearity(model, X, covariance=given_as, readout=readout), expected)


@pytest.mark.parametrize("n_samples", [4, 40])
def test_the_default_covariance_is_that_of_x(n_samples):
    model, X = Residual(), normal(n_samples, 7) * torch.arange(1, 8)
    expected = of_jacobian(dense_jacobian(model, X), sample_covariance(X))
    assert_equal(nonlinearity(model, X), expected)


@pytest.mark.parametrize("n_samples", [4, 40])
def test_the_factor_of_the_default_covariance_gives_it_back(n_samples):
    X = normal(n_samples, 7)
    factor, source = covariance_factor(None, prepare(Residual(), X, "cpu", "float32"))
    np.testing.assert_allclose(factor @ factor.T, np.cov(X, rowvar=False), atol=1e-6)
    assert source == "X"


def test_no_covariance_no_share():
    result = nonlinearity(Residual(), normal(20, 7), covariance=False)
    assert "nonlinear_share" not in result and result.covariance == "none"


def test_an_encoder_gives_its_units_features_and_covariance():
    F_ = normal(7, 4, seed=9).numpy()
    X = normal(20, 7).numpy() * 2 + 3
    encoder = FakeEncoder(covariance=F_)
    result = nonlinearity(encoder, X)
    expected = of_jacobian(dense_jacobian(encoder.module_, encoder.scale_features(X)), F_ @ F_.T)
    assert_equal(result, expected)
    assert result.units == "z-scored response units per z-scored feature unit" and result.jne.units == result.units
    assert result.covariance.startswith("training features of the encoder")
    assert_same(result, nonlinearity(encoder.module_, encoder.scale_features(X), covariance=F_))


# Invariances ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("readout", [True, False])
def test_the_order_of_samples_does_not_matter(readout):
    model, X = Residual(), normal(31, 7)
    order = np.random.default_rng(0).permutation(31)
    a, b = nonlinearity(model, X, readout=readout), nonlinearity(model, X[order], readout=readout)
    assert_same(a.isel(sample=order), b)


@pytest.mark.parametrize(("readout", "n_voxels"), [(True, 13), (True, 110), (False, 13), (False, 20)])
def test_blocks_and_memory_do_not_matter(readout, n_voxels):
    model, X = Residual(10, 12, n_voxels), normal(6, 10)
    for return_samples in (True, False):
        options = {"readout": readout, "return_samples": return_samples, "n_bootstrap": 5}
        whole = nonlinearity(model, X, **options)
        for options_too in (
            {"n_voxels_batch": 3 if n_voxels < 100 else 31},
            {"max_memory": _least_memory(model, X, options)},
        ):
            assert_same(whole, nonlinearity(model, X, **options, **options_too))


@settings(max_examples=15, deadline=None)
@given(data=st.data())
def test_order_blocks_and_memory_do_not_matter_at_any_size(data):
    draw = lambda low, high: data.draw(st.integers(low, high))  # noqa: E731
    D, H, V, N, seed = draw(1, 8), draw(1, 8), draw(1, 24), draw(3, 9), draw(0, 1000)
    model, X = (
        Residual(D, H, V, draw(0, 2), data.draw(st.sampled_from(list(ACTIVATIONS))), seed),
        normal(N, D, seed=seed),
    )
    options = {"readout": data.draw(st.sampled_from(["auto", True, False])), "precision": "float64"}
    options |= {"return_samples": data.draw(st.booleans()), "covariance": normal(D, D + 1, seed=1).numpy()}
    whole, order = nonlinearity(model, X, **options), np.random.default_rng(seed).permutation(N)
    small = {"n_voxels_batch": draw(1, 24), "max_memory": _least_memory(model, X, options)}
    other = nonlinearity(model, X[order], **options, **small)
    scale = float(whole.gain.max() + whole.mean_deviation.max())
    for name in ("jne", "mean_deviation", "gain", *(["jne_ss"] if options["return_samples"] else [])):
        values = whole[name][order] if name == "jne_ss" else whole[name]
        np.testing.assert_allclose(other[name], values, rtol=1e-9, atol=1e-12 * max(scale, scale**2), err_msg=name)
    known = whole.gain.values > 1e-6
    np.testing.assert_allclose(other.nonlinear_share[known], whole.nonlinear_share[known], rtol=1e-8, atol=1e-12)


def _least_memory(model, X, options):
    """What the refusal says is needed, until nothing is refused."""
    needed = 1000
    for _ in range(5):
        try:
            nonlinearity(model, X, **options, max_memory=needed)
            return needed
        except ValueError as error:
            needed = int(re.search(r"\((\d+) bytes\)", str(error))[1])
    raise AssertionError("the bytes that the refusal names are refused")


def test_model_and_samples_are_left_alone():
    model, X = Residual(), normal(20, 7)
    before, values = copy.deepcopy(model.state_dict()), X.clone()
    nonlinearity(model, X, precision="float64")
    nonlinearity(lambda x: x.mul_(2).square(), X)
    assert torch.equal(X, values)
    assert all(
        value.dtype == torch.float32 and torch.equal(before[k], value) for k, value in model.state_dict().items()
    )
    assert all(p.requires_grad and p.grad is None for p in model.parameters())


def test_precision():
    model, X = Residual(), normal(30, 7)
    expected = of_jacobian(dense_jacobian(model, X), sample_covariance(X))
    double = nonlinearity(model, X, precision="float64")
    assert_equal(double, expected, rtol=1e-11)
    assert double.jne_ss.dtype == np.float64 and double.jne.dtype == np.float64
    assert_equal(nonlinearity(model, X, precision="tf32"), expected, rtol=1e-3)
    before = torch.backends.cuda.matmul.allow_tf32
    assert nonlinearity(model, X).jne_ss.dtype == np.float32
    assert torch.backends.cuda.matmul.allow_tf32 == before


def test_the_switch_of_tf32_is_set_within_and_restored_whichever_way_it_was_set():
    matmul = torch.backends.cuda.matmul
    name = "fp32_precision" if hasattr(matmul, "fp32_precision") else "allow_tf32"
    on, off = ("tf32", "ieee") if name == "fp32_precision" else (True, False)
    before, seen = getattr(matmul, name), []

    def model(x):
        seen.append(getattr(matmul, name))
        return x**2

    try:
        for own in (on, off):
            setattr(matmul, name, own)
            for precision, within in (("float32", off), ("tf32", on), ("float64", off)):
                seen.clear()
                nonlinearity(model, normal(5, 3), precision=precision)
                # The first calls only try the model out.
                assert seen[-1] == within and getattr(matmul, name) == own
    finally:
        setattr(matmul, name, before)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA card")
@pytest.mark.parametrize("readout", [True, False])
@pytest.mark.parametrize("activation", ["relu", "gelu"])
def test_cuda_gives_the_same(activation, readout):
    model, X = Residual(200, 300, 500, activation=activation), normal(30, 200)
    cpu = nonlinearity(model, X, device="cpu", readout=readout, n_bootstrap=10)
    assert_same(cpu, nonlinearity(model, X, device="cuda", readout=readout, n_bootstrap=10), rtol=1e-5)


# Foreign models -------------------------------------------------------------------------------------------------------


class InPlace(nn.Module):
    """Writes into its input and its hidden units, through a tensor of its own: torch.func cannot follow."""

    def __init__(self, n_voxels):
        super().__init__()
        self.first, self.readout = nn.Linear(5, 6), nn.Linear(6, n_voxels)

    def forward(self, x):
        x[:, 0] *= 2
        h = torch.zeros(len(x), 6, dtype=x.dtype, device=x.device)
        h[:] = self.first(x)
        h.tanh_()
        return self.readout(h)


@pytest.mark.parametrize("readout", ["auto", False])
@pytest.mark.parametrize("name", CASES)
def test_foreign_models_equal_their_of_jacobian(name, readout):
    model, X = CASES[name].model(), CASES[name].samples()
    expected = of_jacobian(dense_jacobian(model, X), sample_covariance(X))
    assert_equal(nonlinearity(model, X, readout=readout, precision="float64"), expected, rtol=1e-9)
    assert_equal(nonlinearity(model, X, readout=readout), expected, rtol=2e-5)
    assert_equal(nonlinearity(model, X, readout=readout, n_voxels_batch=5), expected, rtol=2e-5)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA card")
@pytest.mark.parametrize("name", CASES)
def test_foreign_models_on_cuda_equal_their_of_jacobian(name):
    model, X = CASES[name].model(), CASES[name].samples()
    expected = of_jacobian(dense_jacobian(model, X), sample_covariance(X))
    for samples in (X, X.cuda()):
        result = nonlinearity(model, samples, device="cuda", precision="float64")
        assert result.device.startswith("cuda")
        assert_equal(result, expected, rtol=1e-9)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA card")
@pytest.mark.parametrize(("precision", "rtol"), [("float32", 1e-5), ("tf32", 1e-3)])
def test_cuda_keeps_its_precision_and_its_memory(precision, rtol):
    model, X = Residual(200, 300, 2000, activation="gelu"), normal(200, 200)
    exact = nonlinearity(model, X, device="cpu", precision="float64")
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    result = nonlinearity(model, X, device="cuda", precision=precision, max_memory="60MB")
    beside = result.jne_ss.nbytes + 4 * sum(p.numel() for p in model.parameters()) + 4 * X.numel()
    assert torch.cuda.max_memory_allocated() - before < 60e6 + beside
    for name in MEASURES:
        scale = float((exact.gain + exact.mean_deviation).max()) if name in ("jne", "mean_deviation", "gain") else 1
        np.testing.assert_allclose(result[name], exact[name], rtol=rtol, atol=rtol / 10 * scale, err_msg=name)


@pytest.mark.parametrize("n_voxels", [4, 40])  # 40: forward mode would be tried first
@pytest.mark.parametrize("readout", [True, False])
def test_in_place_operations_fall_back_to_backward_passes(readout, n_voxels):
    torch.manual_seed(0)
    model, X = InPlace(n_voxels), normal(10, 5)
    equivalent = nn.Sequential(copy.deepcopy(model.first), nn.Tanh(), copy.deepcopy(model.readout))
    with torch.no_grad():
        equivalent[0].weight[:, 0] *= 2
    result = nonlinearity(model, X, readout=readout)
    assert result.differentiation == "reverse"
    assert_equal(result, of_jacobian(dense_jacobian(equivalent, X), sample_covariance(X)))


class Cube(torch.autograd.Function):
    """A derivative written by hand, with a backward pass that vmap cannot treat."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x**3

    @staticmethod
    def backward(ctx, grad):
        (x,) = ctx.saved_tensors
        return torch.from_numpy(3 * x.numpy() ** 2) * grad if grad.sum().item() else grad * 0


def test_what_vmap_cannot_treat_falls_back_to_single_backward_passes():
    X = normal(10, 5)
    result = nonlinearity(Cube.apply, X)
    assert result.differentiation == "autograd"
    assert_equal(result, of_jacobian(dense_jacobian(lambda x: x**3, X), sample_covariance(X)))


@pytest.mark.parametrize(
    ("n_voxels", "readout", "mode"), [(3, False, "reverse"), (40, False, "forward"), (40, True, "products")]
)
def test_the_mode_needs_the_fewest_passes(n_voxels, readout, mode):
    result = nonlinearity(Residual(n_voxels=n_voxels), normal(9, 7), readout=readout)
    assert result.differentiation == mode


def test_a_few_outputs_of_a_wide_trunk_are_not_factorised():
    assert nonlinearity(Residual(30, 40, 2), normal(9, 30)).path == "general"
    assert nonlinearity(Residual(30, 40, 50), normal(9, 30)).path == "factorised"


def test_a_readout_can_be_given():
    model, X = Residual(), normal(20, 7)
    trunk = copy.deepcopy(model)
    trunk.readout = nn.Identity()
    result = nonlinearity(model, X, readout=(trunk, model.readout.weight))
    assert result.path == "factorised" and result.readout == "given"
    assert_same(result, nonlinearity(model, X, readout=True))
    as_function = nonlinearity(lambda x: model(x) + 1, X, readout=(lambda x: trunk(x), model.readout.weight))
    assert as_function.path == "factorised"
    assert_same(result, as_function, rtol=1e-5)


# Result ---------------------------------------------------------------------------------------------------------------


def test_result_is_documented_and_survives_a_file(tmp_path):
    X = normal(20, 7)
    result = nonlinearity(Residual(), X, n_bootstrap=20, random_state=3, max_memory="1GB", n_voxels_batch=4)
    assert result.jne.dims == ("voxel",) and result.jne_ss.dims == ("sample", "voxel")
    np.testing.assert_allclose(result.jne**2, result.jne_ss.mean("sample"), rtol=1e-6)
    attributes = {
        "model": "Residual", "readout": "auto", "device": "cpu", "precision": "float32", "max_memory": 10**9,
        "n_voxels_batch": 4, "n_bootstrap": 20, "return_samples": 1, "random_state": 3, "n_samples": 20, "n_voxels": 13,
        "n_features": 7, "path": "factorised", "differentiation": "products", "format_version": 2,
        "units": "response units per feature unit",
    }  # fmt: skip
    if not torch.cuda.is_available():
        assert {name: result.attrs[name] for name in attributes} == attributes
    assert result.covariance.startswith("X") and result.version_torch == torch.__version__
    assert all(variable.long_name and variable.units for variable in result.data_vars.values())
    xr.testing.assert_identical(xr.load_dataset(write_netcdf(result, tmp_path / "result.nc")), result)
    assert "jne_ss" not in nonlinearity(Residual(), X, return_samples=False)
    # Errors are given where they are asked for.
    assert "jne_se" in result and "jne_se" not in nonlinearity(Residual(), X)


@pytest.mark.parametrize("readout", [True, False])
def test_bootstrap_resamples_deviations_with_the_mean_jacobian_fixed(readout):
    model, X = Residual(), normal(25, 7)
    J = dense_jacobian(model, X)
    delta = np.abs(J - J.mean(0)).sum(-1)
    draws = np.random.default_rng(4).multinomial(25, [1 / 25] * 25, 60)
    resampled = [np.repeat(delta, times, axis=0) for times in draws]
    result = nonlinearity(model, X, n_bootstrap=60, random_state=4, readout=readout)
    root = (25 / 24) ** 0.5
    t = 2.0638985616280205  # 97.5 % quantile of Student's t with 24 degrees of freedom, from a table
    for name, estimate, values in (
        ("jne", delta.std(0) * 25 / 24, np.array([sample.std(0) for sample in resampled]) * 25 / 24),
        ("mean_deviation", delta.mean(0) * root, np.array([sample.mean(0) for sample in resampled]) * root),
    ):
        se = values.std(0, ddof=1)
        np.testing.assert_allclose(result[f"{name}_se"], se, rtol=1e-4)
        np.testing.assert_allclose(result[f"{name}_low"], estimate * np.exp(-t * se / estimate), rtol=1e-4)
        np.testing.assert_allclose(result[f"{name}_high"], estimate * np.exp(t * se / estimate), rtol=1e-4)


@pytest.mark.parametrize("readout", [True, False])
def test_the_caller_may_have_switched_gradients_off(readout):
    X = normal(25, 7)
    expected, J = nonlinearity(Residual(), X, readout=readout), jacobian(Residual(), X)
    with torch.no_grad():
        xr.testing.assert_identical(nonlinearity(Residual(), X, readout=readout), expected)
    model = Residual()
    with torch.inference_mode():
        xr.testing.assert_identical(nonlinearity(model, torch.as_tensor(X) + 0, readout=readout), expected)
        assert np.array_equal(jacobian(model, torch.as_tensor(X) + 0), J)


def test_errors_are_the_same_in_float64_as_in_float32():
    X = normal(400, 4)
    single, double = (
        nonlinearity(lambda x: (x**4).sum(-1), X, precision=precision, n_bootstrap=200)
        for precision in ("float32", "float64")
    )
    assert_same(single, double, rtol=1e-4)
    assert float(double.jne_se[0]) > 1  # of a JNE of about 40


def test_the_error_of_a_rare_unit_is_said_to_be_too_small_and_is_half_of_the_true_one():
    # One ReLU unit, active with probability p: the mean deviation is 2 p (1 - p), of which p is estimated.
    n, X = 4000, normal(4000, 1, dtype=torch.float64)
    result = nonlinearity(lambda x: torch.relu(x - 1.5), X, n_bootstrap=400, precision="float64")
    p = float((X > 1.5).double().mean())
    true = 2 * (1 - 2 * p) * np.sqrt(p * (1 - p) / n)
    assert float(result.mean_deviation_se[0]) == pytest.approx(true / 2, rel=0.1)
    for part in ("se", "low", "high"):
        assert "mean Jacobian held fixed" in result[f"mean_deviation_{part}"].long_name


def test_bootstrap_is_seeded():
    run = lambda seed: nonlinearity(Residual(), normal(25, 7), n_bootstrap=10, random_state=seed)  # noqa: E731
    xr.testing.assert_identical(run(1), run(1))
    assert (run(1).jne_se != run(2).jne_se).all() and (run(1).jne == run(2).jne).all()


def test_progress_goes_to_stderr(capsys):
    for model, readout in (
        (Residual(), True),
        (Residual(), False),
        (nn.Linear(7, 3), True),
        (Residual(7, 9, 30), False),
    ):
        nonlinearity(model, normal(20, 7), readout=readout, progress=True)
        out, err = capsys.readouterr()
        assert out == "" and "100%" in err
        nonlinearity(model, normal(20, 7), readout=readout, progress=True, zscore_jacobian=True)
        assert "100%" in capsys.readouterr().err
    nonlinearity(Residual(), normal(20, 7))
    assert capsys.readouterr().err == ""


# Memory ---------------------------------------------------------------------------------------------------------------


def dense_end(n_voxels):
    layers = nn.Linear(50, 100), nn.ReLU(), nn.Linear(100, 100), nn.ReLU(), nn.Linear(100, n_voxels)
    return nn.Sequential(*layers)


def convolution():
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.GELU(), nn.Flatten(), nn.Linear(144, 60), nn.Tanh())


# Model, samples, voxels at a time, z-scored, mode. Dense Jacobians would take 5, 3, 3, 3, 2.8, 3, 3 and 3 MB, those of
# the first's trunk 2.5 MB.
HELD = {
    "products": (lambda: dense_end(200), (125, 50), None, False, "products"),
    "rows": (lambda: nn.Sequential(dense_end(60), nn.Tanh()), (250, 50), None, False, "reverse"),
    "rows in blocks": (lambda: nn.Sequential(dense_end(60), nn.Tanh()), (250, 50), 60, False, "reverse"),
    "columns": (lambda: nn.Sequential(dense_end(250), nn.Tanh()), (60, 50), None, False, "forward"),
    "images": (convolution, (60, 3, 8, 8), None, False, "reverse"),
    "products z-scored": (lambda: dense_end(500), (30, 50), None, True, "products"),
    "rows z-scored": (lambda: nn.Sequential(dense_end(60), nn.Tanh()), (250, 50), None, True, "reverse"),
    "columns z-scored": (lambda: nn.Sequential(dense_end(250), nn.Tanh()), (60, 50), None, True, "forward"),
}


@pytest.mark.parametrize("name", HELD)
def test_peak_memory_stays_within_the_limit(name):
    draw, shape, batch, zscore, mode = HELD[name]
    torch.manual_seed(0)
    model, X = draw(), normal(*shape)
    limits = {"max_memory": "2.5MB", "return_samples": False, "n_voxels_batch": batch}
    result, peak = peak_of_tensors(lambda: nonlinearity(model, X, zscore_jacobian=zscore, **limits))
    assert result.differentiation == mode
    # Half of it is for blocks and the rest for what is made on the way, which leaves a quarter here.
    assert 0.1 * 2.5e6 < peak < 0.75 * 2.5e6


@pytest.mark.parametrize("readout", [True, False])
def test_too_little_memory_is_refused_with_the_bytes_it_needs(readout):
    model, X = Residual(50, 60, 8), normal(9, 50)
    with pytest.raises(ValueError, match=r"needs at least .*\(\d+ bytes\).*max_memory is .*; raise max_memory"):
        nonlinearity(model, X, readout=readout, max_memory="4kB")
    assert _least_memory(model, X, {"readout": readout}) > 4_000


@pytest.mark.parametrize(
    ("text", "size"), [("2GB", 2 * 10**9), ("500 MiB", 500 * 2**20), ("1.5 gb", 1.5e9), (10**8, 10**8)]
)
def test_memory_is_given_in_words_or_bytes(text, size):
    assert nonlinearity(Residual(), normal(9, 7), max_memory=text).max_memory == size


# Refusals -------------------------------------------------------------------------------------------------------------


def _bad(X, value):
    X = X.clone()
    X[3, 2] = value
    return X


class Unfitted:
    def fit(self, X, Y):
        return self

    def predict(self, X):
        return X


class Multiplied(nn.Module):
    """A module whose answer is ``factor(x, training)`` times a linear layer's."""

    def __init__(self, factor):
        super().__init__()
        self.layer, self.factor = nn.Linear(7, 8), factor

    def forward(self, x):
        return self.layer(x) * self.factor(x, self.training)


def drop_path(x, training):
    """Leaves a whole sample out, once in twenty."""
    return (torch.rand(len(x), 1) > 0.05).to(x) if training else 1.0


def child_in_training(child):
    """A network in evaluation mode with a child, two levels down, that is not."""
    model = nn.Sequential(nn.Linear(7, 8), nn.Sequential(nn.Sequential(child), nn.Linear(8, 8))).eval()
    child.train()
    return model


class Attention(nn.Module):
    def __init__(self):
        super().__init__()
        self.attention = nn.MultiheadAttention(7, 1, dropout=0.3, batch_first=True)

    def forward(self, x):
        return self.attention(*[x[:, None]] * 3, need_weights=False)[0][:, 0]


X20 = normal(20, 7)
REFUSED = {
    "nested dropout": (lambda: (child_in_training(nn.Dropout(0.1)), X20), {}, r"Dropout \(1.0.0\).*model.eval\(\)"),
    "dropout in place": (lambda: (child_in_training(nn.Dropout(0.1, inplace=True)), X20), {}, r"Dropout.*model.eval"),
    "alpha dropout": (lambda: (child_in_training(nn.AlphaDropout(0.1)), X20), {}, r"AlphaDropout.*model.eval"),
    "nested batch norm": (lambda: (child_in_training(nn.BatchNorm1d(8)), X20), {}, r"BatchNorm1d.*model.eval"),
    "batch norm without averages": (
        lambda: (nn.Sequential(nn.Linear(7, 8), nn.BatchNorm1d(8, track_running_stats=False)).eval(), X20),
        {},
        "depends on the other samples",
    ),
    "random slopes": (lambda: (child_in_training(nn.RReLU()), X20), {}, r"differently.*model.eval"),
    "dropout of attention": (lambda: (Attention(), X20), {}, r"differently.*model.eval"),
    "dropout by function": (lambda: (lambda x: F.dropout(x, 0.05), X20), {}, "differently.*twice"),
    "dropped paths": (lambda: (Multiplied(drop_path), X20), {}, r"differently.*model.eval"),
    "own branch on training": (
        lambda: (Multiplied(lambda x, training: 0.9 if training else 1.0), X20),
        {},
        r"training mode, and answers differently in evaluation; call model.eval\(\)",
    ),
    "noise on a few units": (
        lambda: (lambda x: x + torch.randn_like(x) * (torch.rand_like(x) < 0.03), X20),
        {},
        "differently.*twice",
    ),
    "NaN": (lambda: (Residual(), _bad(X20, np.nan)), {}, "X holds 1 non-finite values of 140"),
    "infinity": (lambda: (Residual(), _bad(X20, np.inf)), {}, "X holds 1 non-finite"),
    "one sample": (lambda: (Residual(), X20[:1]), {}, "n_samples of at least 2"),
    "two samples": (lambda: (Residual(), X20[:2]), {}, "X has 2 samples.*JNE of any model is 0; give at least 3"),
    "no samples": (lambda: (Residual(), X20[:0]), {}, r"X has shape \(0, 7\)"),
    "a vector": (lambda: (Residual(), X20[0]), {}, r"X has shape \(7,\)"),
    "text": (lambda: (Residual(), np.full((3, 7), "a")), {}, "give real numbers"),
    "complex": (lambda: (Residual(), X20.to(torch.complex64)), {}, "complex64; give real"),
    "dropout": (lambda: (nn.Sequential(nn.Linear(7, 8), nn.Dropout(0.1)), X20), {}, r"Dropout \(1\).*model.eval\(\)"),
    "batch norm": (
        lambda: (nn.Sequential(nn.Linear(7, 8), nn.BatchNorm1d(8)), X20),
        {},
        r"BatchNorm1d.*model.eval\(\)",
    ),
    "random": (lambda: (lambda x: x * torch.rand(1), X20), {}, r"differently.*twice.*model.eval\(\)"),
    "mixes samples": (lambda: (lambda x: x - x.mean(0), X20), {}, "depends on the other samples"),
    "no gradient": (lambda: (torch.no_grad()(Residual()), X20), {}, "carry no gradient"),
    "non-finite outputs": (lambda: (lambda x: x / 0, X20), {}, "non-finite"),
    "one answer for all": (lambda: (lambda x: (x**2).sum(), X20), {}, "torch.vmap"),
    "a map of outputs": (lambda: (lambda x: x[:, None, :], X20), {}, "flattening"),
    "tuple": (lambda: (lambda x: (x, x), X20), {}, "returned a tuple"),
    "no model": (lambda: (3, X20), {}, "model=3 is not"),
    "not fitted": (lambda: (Unfitted(), X20), {}, "Unfitted .*no torch model.*a fitted encoder"),
    "precision": (lambda: (Residual(), X20), {"precision": "half"}, "precision='half'.*float32, tf32, float64"),
    "device": (lambda: (Residual(), X20), {"device": "gpu9"}, "device='gpu9'.*'auto'"),
    "max_memory": (lambda: (Residual(), X20), {"max_memory": "lots"}, "max_memory='lots'.*'2GB'"),
    "no max_memory": (lambda: (Residual(), X20), {"max_memory": 0}, "max_memory=0"),
    "batch": (lambda: (Residual(), X20), {"n_voxels_batch": 0}, "n_voxels_batch=0 is not a whole number of at least 1"),
    "n_bootstrap": (lambda: (Residual(), X20), {"n_bootstrap": -1}, "n_bootstrap=-1"),
    "one bootstrap": (lambda: (Residual(), X20), {"n_bootstrap": 1}, "n_bootstrap=1"),
    "seed": (lambda: (Residual(), X20), {"random_state": None}, "random_state=None"),
    "return_samples": (lambda: (Residual(), X20), {"return_samples": "no"}, "return_samples='no'"),
    "readout": (lambda: (Residual(), X20), {"readout": "last"}, "readout='last'"),
    "no readout": (lambda: (torch.relu, X20), {"readout": True}, "readout=True, but model does not end"),
    "wrong readout": (
        lambda: (Residual(), X20),
        {"readout": (nn.Identity(), torch.ones(13, 7))},
        "differ by more than",
    ),
    "readout shape": (lambda: (Residual(), X20), {"readout": (nn.Identity(), torch.ones(2, 7))}, r"shape \(2, 7\)"),
    "covariance shape": (lambda: (Residual(), X20), {"covariance": np.eye(6)}, r"covariance has shape \(6, 6\) for 7"),
    "covariance True": (lambda: (Residual(), X20), {"covariance": True}, "covariance=True"),
    "covariance NaN": (lambda: (Residual(), X20), {"covariance": np.eye(7) * np.nan}, "non-finite"),
    "asymmetric": (lambda: (Residual(), X20), {"covariance": np.triu(np.ones((7, 7)))}, "not symmetric"),
    "negative": (lambda: (Residual(), X20), {"covariance": -np.eye(7)}, "negative eigenvalue"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refusals_say_what_is_wrong_and_what_is_accepted(name):
    make, options, message = REFUSED[name]
    torch.manual_seed(0)  # a sample dropped once in twenty is not seen in every draw
    with pytest.raises(ValueError, match=message):
        nonlinearity(*make(), **options)


@pytest.mark.parametrize("name", ["own branch on training", "nested dropout", "dropped paths"])
def test_a_refused_model_keeps_its_modes(name):
    torch.manual_seed(0)
    model = REFUSED[name][0]()[0]
    modes = [module.training for module in model.modules()]
    with pytest.raises(ValueError):
        nonlinearity(model, X20)
    assert [module.training for module in model.modules()] == modes


def test_a_card_with_too_little_free_is_refused_before_the_work(monkeypatch):
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (10**9, 8 * 10**9))
    monkeypatch.setattr(torch.cuda, "memory_reserved", lambda device: 5 * 10**8)
    monkeypatch.setattr(torch.cuda, "memory_allocated", lambda device: 2 * 10**8)
    check_card(torch.device("cuda"), 9 * 10**8, 4 * 10**8)  # 1.3 GB: just free
    with pytest.raises(ValueError, match=r"take 401 MB.*cuda has 1.3 GB .*free; lower max_memory.*device='cpu'"):
        check_card(torch.device("cuda"), 9 * 10**8, 401 * 10**6)
    check_card(torch.device("cpu"), 10**15, 0)


def test_what_is_returned_of_every_sample_counts_into_what_a_card_must_have(monkeypatch):
    asked, module = [], importlib.import_module("jne.measures.nonlinearity")  # the wing has its function by this name
    monkeypatch.setattr(module, "check_card", lambda device, limit, held: asked.append(held))
    for return_samples in (True, False):
        nonlinearity(Residual(), normal(20, 7), return_samples=return_samples)
    assert asked[0] - asked[1] == 4 * 20 * 13  # float32, samples, voxels


def test_blocks_take_half_of_what_is_free_and_leave_the_rest_to_what_is_made_on_the_way(monkeypatch):
    seen, plan_tiles = [], factorised.plan_tiles

    def seen_plan(work, trunk, weight):
        seen.append((work.budget.free, trunk, plan_tiles(work, trunk, weight)))
        return seen[-1][2]

    monkeypatch.setattr(factorised, "plan_tiles", seen_plan)
    nonlinearity(Residual(7, 9, 3000), normal(2000, 7), readout=True, max_memory="3MB", return_samples=False)
    ((free, trunk, tiling),) = seen
    row, column = 4 * (7 + 7), 4 * 2000  # slopes and their product with the covariance's factor; a voxel's deviations
    assert 0.4 * free < tiling.rows * row + tiling.samples * trunk.sample_bytes + tiling.voxels * column <= 0.5 * free


def test_harmless_training_modes_are_accepted():
    model = nn.Sequential(nn.Linear(7, 8), nn.Dropout(0.0), nn.LayerNorm(8), nn.Linear(8, 3)).train()
    assert (nonlinearity(model, X20).jne > 0).all()
    assert model.training
