"""Derivatives that are not the slope of the answers, copies that are not the model, slopes that are not finite."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from jne._core import cast, moved
from jne.jacobians.calls import as_outputs, close
from jne.jacobians.jacobian import jacobian
from jne.jacobians.model import prepare, refuse_changed
from jne.jacobians.slopes import refuse_wrong_slopes
from jne.measures import nonlinearity


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


X = torch.randn(60, 6, generator=torch.Generator().manual_seed(1))


class Between(nn.Module):
    """Two linear layers with ``middle(self, x)`` between them."""

    def __init__(self, middle, n_voxels=3):
        super().__init__()
        self.first, self.readout = nn.Linear(6, 6), nn.Linear(6, n_voxels)
        self.middle = middle

    def forward(self, x):
        return self.readout(self.middle(self, x))


def switched_off(switch):
    def middle(self, x):
        with switch():
            hidden = torch.tanh(self.first(x))
        return x + 5 * hidden

    return middle


CUT_OFF = {
    "no_grad": switched_off(torch.no_grad),
    "inference_mode": switched_off(torch.inference_mode),
    "detach": lambda self, x: x + torch.tanh(self.first(x)).detach(),
    "data": lambda self, x: x + torch.tanh(self.first(x)).data,
    "one percent": lambda self, x: x + 0.01 * torch.tanh(self.first(x)).detach(),
    "NumPy": lambda self, x: x + torch.from_numpy(np.tanh(x.detach().numpy())),
    "simulated quantisation": lambda self, x: torch.fake_quantize_per_tensor_affine(x, 0.5, 0, -128, 127),
    "a gate": lambda self, x: x * torch.sigmoid(self.first(x)).detach(),
}


@pytest.mark.parametrize("kind", CUT_OFF)
@pytest.mark.parametrize("n_voxels", [3, 40])
def test_a_model_of_which_a_part_has_no_derivative_is_refused(kind, n_voxels):
    with pytest.raises(ValueError, match=r"derivative is not the slope of its answers.*torch.no_grad\(\)"):
        nonlinearity(Between(CUT_OFF[kind], n_voxels).eval(), X)


def test_a_wrong_derivative_written_by_hand_is_refused():
    class Reversed(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x.clone()

        @staticmethod
        def backward(ctx, grad):
            return -grad

    with pytest.raises(ValueError, match="derivative is not the slope"):
        jacobian(lambda x: torch.tanh(x) + Reversed.apply(x), X)


JUMPS = {
    "whole numbers": lambda self, x: x + (3 * torch.tanh(self.first(x))).int(),
    "long": lambda self, x: x + x.long(),
    "rounding": lambda self, x: x + torch.round(x),
    "threshold": lambda self, x: F.threshold(x, 0.1, -3),
}


@pytest.mark.parametrize("kind", JUMPS)
def test_answers_that_jump_are_refused(kind):
    with pytest.raises(ValueError, match=r"answers jump, by up to .* a cast to whole numbers, rounding"):
        nonlinearity(Between(JUMPS[kind]).eval(), X)


@pytest.mark.parametrize(
    ("middle", "message"),
    [
        (lambda self, x: x * torch.inference_mode()(torch.tanh)(self.first(x)), "cannot differentiate it; remove"),
        (lambda self, x: x + torch.from_numpy(np.tanh(x.numpy())), "cannot differentiate it; remove"),
        (lambda self, x: x * x.abs().max().item(), "depends on the other samples"),
        (lambda self, x: x - x.mean(0).detach(), "depends on the other samples"),
    ],
    ids=["inference tensors in a product", "NumPy", "item", "detached mean"],
)
def test_what_torch_cannot_follow_is_told_in_words(middle, message):
    with pytest.raises(ValueError, match=message):
        nonlinearity(Between(middle).eval(), X)


RIGHT = {
    "kinks": (lambda: nn.Sequential(nn.Linear(6, 2000), nn.ReLU(), nn.Linear(2000, 3)), X),
    "kinks at the samples": (lambda: lambda x: x.abs(), X.relu()),
    "steep": (lambda: lambda x: torch.tanh(1e5 * x), X),
    "fast": (lambda: lambda x: torch.sin(1e4 * x), X),
    "a large constant": (lambda: lambda x: torch.tanh(x) + 1e6, X),
    "only positive inputs": (lambda: lambda x: x.sqrt() + x.log(), X.abs() + 0.1),
    "largest of two": (lambda: lambda x: F.max_pool1d(x[:, None], 2)[:, 0], X),
    "float32 inside": (lambda: lambda x: torch.tanh(x.float() @ torch.ones(6, 2)).to(x), X),
    "float16 inside": (lambda: Between(lambda self, x: torch.tanh(self.first(x).half().to(x))), X),
    "bfloat16 inside": (lambda: Between(lambda self, x: torch.tanh(self.first(x).bfloat16().to(x))), X),
    "half precision": (lambda: nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 3)).bfloat16(), X),
    "images": (lambda: nn.Sequential(nn.Conv2d(3, 4, 3), nn.GELU(), nn.Flatten(), nn.Linear(144, 5)), X[:, :3]),
    "one sample many times": (lambda: nn.Sequential(nn.Linear(6, 9), nn.ReLU(), nn.Linear(9, 3)), X[[0] * 40]),
    "constant": (lambda: lambda x: 0 * x, X),
    "whole numbers as input": (lambda: nn.Linear(6, 3), torch.arange(60).reshape(10, 6)),
    "a tensor that is no buffer": (lambda: lambda x: torch.tanh(x @ torch.ones(6, 2)), X),
}


@pytest.mark.parametrize("kind", RIGHT)
def test_a_right_derivative_is_taken_whatever_its_kinks_and_rounding(kind):
    make, samples = RIGHT[kind]
    if kind == "images":
        samples = torch.randn(20, 3, 8, 8)
    model = make()
    problem = prepare(model.eval() if isinstance(model, nn.Module) else model, samples, "cpu", "float32")
    assert problem.n_samples == len(samples)


def test_the_rounding_of_equal_samples_is_no_jump():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(5, 64), nn.ReLU(), nn.Linear(64, 500))
    refuse_wrong_slopes(model, torch.randn(1, 5).repeat(4, 1), 500)


@pytest.mark.parametrize("n_samples", [2, 3, 16])
def test_few_samples_are_enough_to_see_it(n_samples):
    refuse_wrong_slopes(Between(lambda self, x: torch.tanh(x)), X[:n_samples], 3)
    with pytest.raises(ValueError, match="not the slope"):
        refuse_wrong_slopes(Between(CUT_OFF["detach"]), X[:n_samples], 3)


# Complex weights ------------------------------------------------------------------------------------------------------


class Energy(nn.Module):
    """Energy ``|x . f|^2`` of complex filters f, ``(n_features, n_filters)``."""

    def __init__(self, f, parameter=False):
        super().__init__()
        self.register_parameter("f", nn.Parameter(f)) if parameter else self.register_buffer("f", f)

    def forward(self, x):
        return (x.to(self.f.dtype) @ self.f).abs() ** 2


@pytest.mark.parametrize("parameter", [False, True])
@pytest.mark.parametrize(("precision", "rtol"), [("float32", 1e-4), ("float64", 1e-6)])
def test_complex_filters_have_the_jacobian_of_the_closed_form(parameter, precision, rtol):
    f = torch.randn(6, 3, dtype=torch.complex64)
    model = Energy(f, parameter).eval()
    x, f = X.double(), f.to(torch.complex128)
    J = (2 * (f.conj()[None] * (x.to(f.dtype) @ f)[:, None]).real).mT
    np.testing.assert_allclose(jacobian(model, X, precision=precision), J, rtol=rtol, atol=rtol)
    deviation = (J - J.mean(0)).abs().sum(-1)
    result = nonlinearity(model, X, precision=precision)
    np.testing.assert_allclose(result.jne, deviation.std(0, unbiased=False), rtol=rtol)
    assert model.f.dtype == torch.complex64


@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_complex_filters_before_a_readout_stay_complex(precision):
    f = torch.randn(6, 3, dtype=torch.complex64)
    model = nn.Sequential(Energy(f), nn.Linear(3, 40)).eval()
    results = [nonlinearity(model, X, readout=readout, precision=precision) for readout in (True, False)]
    assert [result.path for result in results] == ["factorised", "general"]
    np.testing.assert_allclose(results[0].jne, results[1].jne, rtol=1e-4)


def test_complex_answers_are_refused():
    with pytest.raises(ValueError, match=r"returned torch.complex64; it must return real numbers, such as Y.abs\(\)"):
        nonlinearity(torch.fft.fft, X)


def test_a_cast_keeps_what_is_complex_and_what_is_whole():
    module = nn.Module()
    for name, dtype in (("real", torch.float32), ("waves", torch.complex64), ("index", torch.int64)):
        module.register_buffer(name, torch.ones(2, dtype=dtype))
    module.half_waves = nn.Parameter(torch.full((2,), 1 + 2j))
    cast(module, torch.zeros(1, dtype=torch.float64))
    dtypes = [module.real.dtype, module.waves.dtype, module.index.dtype, module.half_waves.dtype]
    assert dtypes == [torch.float64, torch.complex128, torch.int64, torch.complex128]
    assert (module.half_waves == 1 + 2j).all()


class Forgetful(nn.Linear):
    """A layer that loses its bias when it is copied."""

    def __deepcopy__(self, memo):
        copied = nn.Linear(self.in_features, self.out_features)
        with torch.no_grad():
            copied.weight.copy_(self.weight)
            copied.bias.zero_()
        return copied


def test_a_copy_that_answers_otherwise_is_refused():
    model = nn.Sequential(Forgetful(6, 3), nn.Tanh())
    with pytest.raises(ValueError, match=r"answers otherwise once it is copied to cpu in torch\.float32: by up to"):
        nonlinearity(model, X)
    problem = prepare(nn.Linear(6, 3), X, "cpu", "float64")
    refuse_changed(as_outputs(moved(problem.model, problem.X)), problem)


def test_close_takes_the_coarser_of_two_precisions():
    a = torch.tensor([1.0, 2.0])
    assert close(a.double() * 1.00001, a) and not close(a.double() * 1.00001, a.double())


# Slopes that are not finite -------------------------------------------------------------------------------------------


def root(x):
    return torch.where(x > 0, torch.sqrt(x), 0 * x) @ torch.ones(4, 3)


@pytest.mark.parametrize("take", [nonlinearity, jacobian])
@pytest.mark.parametrize("options", [{}, {"max_memory": "60kB"}], ids=["kept", "in blocks"])
def test_a_slope_that_is_not_finite_names_its_sample(take, options):
    samples = torch.rand(60, 4) + 0.1
    samples[50, 2] = -1
    with pytest.raises(ValueError, match=r"not finite at sample 50 of X \(counting from 0\).*torch.where"):
        take(root, samples, **options)


@pytest.mark.parametrize("n_voxels", [3, 40])
def test_an_infinite_slope_is_named_in_front_of_a_readout_and_in_forward_mode_too(n_voxels):
    model = nn.Sequential(nn.Softplus(), nn.Linear(4, 4), nn.Linear(4, n_voxels)).eval()
    model[0].forward = torch.sqrt
    samples = torch.rand(60, 4) + 0.1
    samples[[7, 20], 1] = 0
    for readout in (True, False):
        with pytest.raises(ValueError, match="not finite at sample 7, 20 of X"):
            nonlinearity(model, samples, readout=readout)


def test_samples_beyond_float32_are_told_as_such():
    with pytest.raises(ValueError, match=r"X holds values beyond float32 .*precision='float64'"):
        nonlinearity(nn.Linear(6, 3), X.double() * 1e39)


@pytest.mark.parametrize(
    "samples",
    [X.to_sparse(), torch.quantize_per_tensor(X, 0.1, 0, torch.qint8), X.to("meta")],
    ids=["sparse", "quantised", "meta"],
)
def test_tensors_without_plain_numbers_are_refused(samples):
    with pytest.raises(ValueError, match=r"X has dtype .*; give an ordinary tensor"):
        nonlinearity(nn.Linear(6, 3), samples)


def test_a_model_is_tried_between_samples_and_nowhere_else():
    """Beyond them it may not be defined."""
    places = []

    class Seen(nn.Module):
        def forward(self, x):
            places.append(x.detach().reshape(-1, 6))
            return x.abs() @ torch.ones(6, 2).to(x)  # kinks, so that every step is tried

    refuse_wrong_slopes(Seen(), X, 2)
    tried = torch.cat(places)
    assert len(tried) > 10 * len(X)
    assert (tried >= X.amin(0) - 1e-6).all() and (tried <= X.amax(0) + 1e-6).all()
