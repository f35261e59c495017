"""Dense Jacobians against torch.func in float64, and the readout found in modules of every shape."""

import copy

import numpy as np
import pytest
import torch
from torch import nn

from jne.jacobians.jacobian import jacobian, split_readout


class Residual(nn.Module):
    """A residual encoder written with functions instead of modules."""

    def __init__(self, n_features=6, hidden=8, n_voxels=5):
        super().__init__()
        self.readout = nn.Linear(hidden, n_voxels)  # registered first: the order of names is not that of calls
        self.first = nn.Linear(n_features, hidden, bias=False)
        self.block = nn.Linear(hidden, hidden)

    def forward(self, x):
        h = torch.relu(self.first(x))
        h = torch.relu(self.block(h)) + h
        return self.readout(h)


class Gated(nn.Module):
    """An arbitrary module: products of layers, a buffer, a linear end deep inside."""

    def __init__(self):
        super().__init__()
        self.gate, self.value = nn.Linear(6, 8), nn.Linear(6, 8)
        self.register_buffer("scale", torch.linspace(0.5, 1.5, 8))
        self.head = nn.Sequential(nn.LayerNorm(8), nn.Sequential(nn.Linear(8, 5)))

    def forward(self, x):
        return self.head(torch.sigmoid(self.gate(x)) * self.value(x) * self.scale)


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


def dense(model, X):
    model = copy.deepcopy(model).double()
    return torch.func.vmap(torch.func.jacrev(lambda x: model(x[None])[0]))(X.double()).detach().numpy()


@pytest.fixture
def X():
    return torch.randn(7, 6, generator=torch.Generator().manual_seed(1))


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


@pytest.mark.parametrize("make", [Residual, Gated, lambda: nn.Linear(6, 5), lambda: nn.Sequential(nn.Linear(6, 9))])
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
    model = Residual()
    trunk, weight = split_readout(model, X)
    assert weight.data_ptr() == model.readout.weight.data_ptr()
    assert trunk.first.weight.data_ptr() != model.first.weight.data_ptr()
    assert isinstance(trunk.readout, nn.Identity) and isinstance(model.readout, nn.Linear)


def test_split_readout_works_in_the_precision_of_the_model(X):
    trunk, weight = split_readout(Residual().double(), X)
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


@pytest.mark.parametrize("make", [Residual, Gated, lambda: nn.Linear(6, 1), lambda: nn.Linear(6, 20)])
@pytest.mark.parametrize("chunk", [None, 1, 3])
def test_jacobian_equals_the_oracle(make, chunk, X):
    model = make()
    J = jacobian(model, X, chunk=chunk)
    assert J.dtype == np.float32
    np.testing.assert_allclose(J, dense(model, X), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(
        jacobian(model, X, chunk=chunk, precision="float64"), dense(model, X), rtol=1e-11, atol=1e-13
    )


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
        jacobian(Residual(), X, chunk=chunk)
