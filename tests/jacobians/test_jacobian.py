"""Dense Jacobians against torch.func in float64, and the readout found in modules of every shape."""

import copy

import numpy as np
import pytest
import torch
from cases import CASES, Functional, Gated
from oracles import dense_jacobian
from torch import nn

from jne._core import Budget
from jne.jacobians import jacobian, split_readout
from jne.jacobians.derivatives import Derivative, plan, pull_autograd


def ends(readout, after):
    """A module whose forward applies ``after`` to the output of its last linear layer."""

    class Ends(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.readout = nn.Linear(6, 8), readout

        def forward(self, x):
            return after(self, torch.sigmoid(self.first(x)))  # positive, as the outputs are

    return Ends()


def readout():
    """A linear layer so far above 0 that a ReLU after it changes no number."""
    layer = nn.Linear(8, 8)
    nn.init.constant_(layer.bias, 100.0)
    return layer


@pytest.fixture
def X():
    return torch.randn(7, 6, generator=torch.Generator().manual_seed(1))


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


@pytest.mark.parametrize("make", [Functional, Gated, lambda: nn.Linear(6, 5), lambda: nn.Sequential(nn.Linear(6, 9))])
def test_split_readout_rebuilds_the_model(make, X):
    model = make()
    before = copy.deepcopy(model.state_dict())
    trunk, weight = split_readout(model, X[:2])
    with torch.no_grad():
        rest = model(X) - trunk(X) @ weight.T
    np.testing.assert_allclose(rest, rest[:1].expand_as(rest), atol=1e-6)  # what is left is the bias
    assert weight.shape[0] == model(X).shape[1]
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    assert not any(module._forward_hooks for module in model.modules())


def test_split_readout_copies_the_trunk_and_not_the_weight(X):
    model = Functional()
    trunk, weight = split_readout(model, X)
    assert weight.data_ptr() == model.readout.weight.data_ptr()
    assert trunk.first.weight.data_ptr() != model.first.weight.data_ptr()
    assert isinstance(trunk.readout, nn.Identity) and isinstance(model.readout, nn.Linear)


def test_split_readout_works_in_the_precision_of_the_model(X):
    trunk, weight = split_readout(Functional().double(), X)
    assert weight.dtype == torch.float64 and next(trunk.parameters()).dtype == torch.float64


@pytest.mark.parametrize(
    "after",
    [
        lambda m, h: torch.relu(m.readout(h)),  # active everywhere: numbers alone would not tell
        lambda m, h: torch.relu_(m.readout(h)),
        lambda m, h: m.readout(h).mul_(2),
        lambda m, h: m.readout(h) + h,
        lambda m, h: m.readout(torch.tanh(m.readout(h))),
        lambda m, h: m.readout(h @ m.readout.weight),
        lambda m, h: nn.functional.linear(h, m.readout.weight),
    ],
)
def test_split_readout_gives_none_where_there_is_no_linear_end(after, X):
    assert split_readout(ends(readout(), after), X) is None


def test_split_readout_of_a_function_is_none(X):
    assert split_readout(lambda x: x @ torch.ones(6, 2), X) is None


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("chunk", [None, 1, 3])
def test_jacobian_equals_the_oracle(name, chunk):
    model, X = CASES[name].model(), CASES[name].samples(7)
    expected = dense_jacobian(model, X)
    J = jacobian(model, X, chunk=chunk)
    assert J.dtype == np.float32
    np.testing.assert_allclose(J, expected, rtol=2e-5, atol=2e-6)
    double = jacobian(model, X, chunk=chunk, precision="float64")
    np.testing.assert_allclose(double, expected, rtol=1e-11, atol=1e-13)


@pytest.mark.parametrize("n_voxels", [1, 20])
def test_jacobian_of_few_and_of_many_voxels_equals_the_oracle(n_voxels, X):
    model = nn.Linear(6, n_voxels)
    np.testing.assert_allclose(jacobian(model, X), dense_jacobian(model, X), rtol=1e-5, atol=1e-6)


def test_jacobian_flattens_images_and_takes_functions():
    X = torch.randn(4, 3, 5, 5)
    J = jacobian(lambda x: (x**2).sum((1, 2, 3)), X)
    np.testing.assert_allclose(J, 2 * X.reshape(4, 1, 75), rtol=1e-6)


def test_jacobian_refuses_what_does_not_fit_and_says_how_much_it_needs():
    X = torch.zeros(20, 40)
    with pytest.raises(
        ValueError, match=r"\(20, 60, 40\) needs at least .* \(\d+ bytes\).*max_memory.*nonlinearity"
    ) as error:
        jacobian(nn.Linear(40, 60), X, max_memory="150kB")
    needed = int(str(error.value).split("(")[2].split(" bytes")[0])
    assert 192e3 < needed < 250e3
    assert jacobian(nn.Linear(40, 60), X, max_memory=needed).shape == (20, 60, 40)


@pytest.mark.parametrize("chunk", [0, 1.5, True, "all"])
def test_jacobian_refuses_a_bad_chunk(chunk, X):
    with pytest.raises(ValueError, match=r"chunk=.* is not a whole number of at least 1"):
        jacobian(Functional(), X, chunk=chunk)


def test_outputs_without_any_input_have_a_slope_of_zero(X):
    weight = torch.ones(3, requires_grad=True)
    rows = pull_autograd(lambda x: weight.expand(len(x), 3) ** 2, torch.as_tensor(X), torch.eye(3))
    assert rows.shape[1] == 3 and not rows.any()


def test_the_least_memory_is_enough_for_one_direction_of_one_sample():
    derivative = Derivative("reverse", lambda X, directions: X, sample_bytes=100, direction_bytes=40)
    X, width = torch.zeros(20, 7), 7
    least = 100 + 40 + 3 * 4 * width + 12 * width  # graph, direction, a row on the way, its mean
    assert plan(derivative, X, 8, width, Budget(least), None) == (1, 1, False)
    with pytest.raises(ValueError, match=rf"one row of one sample's Jacobian needs at least {least} bytes"):
        plan(derivative, X, 8, width, Budget(least - 1), None)
    assert plan(derivative, X, 8, width, Budget(10**6), None) == (8, 20, True)
