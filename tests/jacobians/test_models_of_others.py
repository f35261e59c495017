"""Models as people have them: what is kept of a call, other precisions, compiled, and what is no model here."""

import threading
import types
from functools import partial

import numpy as np
import pytest
import torch
import xarray as xr
from himalaya.ridge import Ridge
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline
from torch import nn
from torch.nn.utils import parametrizations, prune

import jne
from jne._core import copied, new_session

X = torch.randn(24, 6, generator=torch.Generator().manual_seed(1))


def network():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 3)).eval()


class Keeping(nn.Module):
    """The network, with ``keep(self, hidden)`` called at every answer."""

    def __init__(self, keep):
        super().__init__()
        self.first, _, self.last = network()
        self.seen, self.keep = [], keep

    def forward(self, x):
        hidden = torch.tanh(self.first(x))
        self.keep(self, hidden)
        return self.last(hidden)


def with_hook(keep):
    model = network()
    model[1].register_forward_hook(lambda module, given, answer: keep(model, answer))
    return model


def pruned():
    model = network()
    for layer in (model[0], model[2]):
        prune.l1_unstructured(layer, "weight", 0.3)
    return model


def normed(norm, layer):
    model = network()
    norm(model[layer])
    return model.eval()


KEPT = {
    "an activation": lambda: Keeping(lambda self, h: setattr(self, "hidden", h)),
    "a list of them": lambda: Keeping(lambda self, h: self.seen.append(h)),
    "pairs in a list": lambda: Keeping(lambda self, h: self.seen.append((h, {"mean": h.mean()}))),
    "their gradients": lambda: Keeping(lambda self, h: h.requires_grad and (h.retain_grad(), self.seen.append(h))),
    "NumPy arrays": lambda: Keeping(lambda self, h: self.seen.append(h.detach().numpy())),
    "numbers": lambda: Keeping(lambda self, h: self.seen.append(h.mean().item())),
    "by a hook": lambda: with_hook(lambda model, h: setattr(model, "hidden", h)),
    "weight_norm": lambda: normed(nn.utils.weight_norm, 0),
    "weight_norm of the readout": lambda: normed(nn.utils.weight_norm, 2),
    "spectral_norm": lambda: normed(nn.utils.spectral_norm, 0),
    "parametrised": lambda: normed(parametrizations.weight_norm, 2),
    "pruned": pruned,
    "in another precision": lambda: network().half(),
    "compiled": lambda: torch.compile(network(), backend="eager"),
    "compiled in part": lambda: nn.Sequential(torch.compile(network()[:2], backend="aot_eager"), network()[2]).eval(),
}


@pytest.mark.parametrize("kind", KEPT)
def test_the_jacobian_is_the_closed_form_whatever_a_model_keeps(kind):
    model = KEPT[kind]()
    model(X[:4].to(next(model.parameters()).dtype))
    first, last = (layer for layer in model.modules() if isinstance(layer, nn.Linear))
    hidden = torch.tanh(first(X.to(first.weight.dtype)))
    J = torch.einsum("vh,nh,hd->nvd", last.weight, 1 - hidden**2, first.weight).detach().float()
    tolerance = 5e-3 if kind == "in another precision" else 1e-5
    np.testing.assert_allclose(jne.jacobian(model, X), J, atol=tolerance)
    deviation = (J - J.mean(0)).abs().sum(-1)
    for readout in (True, False):
        found = jne.nonlinearity(model, X, readout=readout).jne
        np.testing.assert_allclose(found, deviation.std(0, unbiased=False), rtol=10 * tolerance)


def test_a_copy_keeps_what_was_kept_and_not_its_graph():
    model = Keeping(lambda self, h: self.seen.append(h))
    model(X)
    other = copied(model)
    assert model.seen[0].requires_grad and not other.seen[0].requires_grad
    assert torch.equal(model.seen[0], other.seen[0]) and other.seen[0].data_ptr() != model.seen[0].data_ptr()


UNCOPIED = {
    "a lock": lambda: setattr_of("lock", threading.Lock()),
    "a generator": lambda: setattr_of("stream", (i for i in range(3))),
    "an open file": lambda: setattr_of("log", open(__file__)),
    "a node of the graph": lambda: Keeping(lambda self, h: setattr(self, "node", h.grad_fn)),
}


def setattr_of(name, value):
    model = network()
    setattr(model, name, value)
    return model


@pytest.mark.parametrize("kind", UNCOPIED)
def test_a_model_that_cannot_be_copied_is_taken_as_a_function(kind):
    model = UNCOPIED[kind]()
    model(X)
    with pytest.raises(ValueError, match=r"model cannot be copied \(TypeError: cannot pickle .*lambda x: model\(x\)"):
        jne.jacobian(model, X)
    np.testing.assert_allclose(jne.jacobian(lambda x: model(x), X), jne.jacobian(network(), X), atol=1e-6)


NO_DERIVATIVE = {
    "argmax": (lambda x: x.argmax(1), "torch.int64, which has no derivative"),
    "threshold": (lambda x: x > 0, "torch.bool, which has no derivative"),
    "whole numbers": (lambda x: (9 * x).int(), "torch.int32, which has no derivative"),
    "bytes": (lambda x: x.abs().to(torch.uint8), "torch.uint8, which has no derivative"),
    "eight bits": (lambda x: x.to(torch.float8_e4m3fn), "float8_e4m3fn, which has no derivative"),
    "quantised": (lambda x: torch.quantize_per_tensor(x, 0.1, 0, torch.qint8), "torch.qint8, which has no derivative"),
    "sparse": (lambda x: x.relu().to_sparse(), r"layout torch.sparse_coo; it must return Y.to_dense\(\)"),
    "a list": (lambda x: [x], "a list"),
}


@pytest.mark.parametrize("kind", NO_DERIVATIVE)
def test_answers_without_a_derivative_are_told_as_such(kind):
    model, message = NO_DERIVATIVE[kind]
    with pytest.raises(ValueError, match=f"model returned .*{message}"):
        jne.nonlinearity(model, X)


W = torch.randn(6, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
MIXED = nn.Sequential(nn.Linear(6, 4), nn.Linear(4, 3).double()).eval()
FAILS = {
    "arrays of float64": (lambda x: torch.tanh(x @ W), {}, r"torch\.float32.*give precision='float64'"),
    "weights of float32": (lambda x: x @ W.float(), {"precision": "float64"}, "give precision='float32'"),
    "layers of two precisions": (MIXED, {}, r"give model.float\(\) and precision='float32'"),
    "another width": (nn.Linear(7, 3), {}, r", \(16, 6\), torch.float32 on cpu .*\(16x6 and 7x3\)\)$"),
    "two arguments": (lambda x, y: x, {}, "missing 1 required positional argument"),
    "whole numbers as input": (nn.Embedding(9, 3), {}, "indices"),
    "its own error": (lambda x: {}["weights"], {}, "KeyError: 'weights'"),
}


@pytest.mark.parametrize("kind", FAILS)
def test_a_model_that_fails_is_told_with_what_it_was_given_and_what_it_would_take(kind):
    model, options, message = FAILS[kind]
    with pytest.raises(ValueError, match=f"model fails on the first samples of X.*{message}"):
        jne.jacobian(model, X, **options)


def test_functions_over_float64_work_in_that_precision():
    J = (1 - torch.tanh(X.double() @ W) ** 2)[:, :, None] * W.T
    np.testing.assert_allclose(jne.jacobian(lambda x: torch.tanh(x @ W), X, precision="float64"), J, rtol=1e-10)


OTHERS = {
    "himalaya": (Ridge(), r"model=Ridge \(of himalaya\) is no torch model.*jne.RidgeEncoder.*from its coef_"),
    "scikit-learn": (LinearRegression(), r"model=LinearRegression \(of sklearn\) is no torch model"),
    "a pipeline": (make_pipeline(LinearRegression()), r"model=Pipeline \(of sklearn\)"),
    "a wrapped network": (
        types.SimpleNamespace(module_=network(), fit=None, predict=None),
        r"is no encoder of jne; give the torch module in it \(Sequential\)",
    ),
    "an encoder before its fit": (jne.RidgeEncoder(), r"model=RidgeEncoder has no module_: .* call its fit first"),
}


@pytest.mark.parametrize("kind", OTHERS)
def test_fitted_models_of_other_packages_are_told_what_to_do(kind):
    model, message = OTHERS[kind]
    if isinstance(model, Ridge | LinearRegression):
        model.fit(X.numpy(), X[:, :2].numpy())
    for measure in (jne.nonlinearity, jne.jacobian):
        with pytest.raises(ValueError, match=message):
            measure(model, X)


# What the session has set for torch ----------------------------------------------------------------------------------


@pytest.fixture(params=["float64", "bfloat16", "another device"])
def session(request):
    """A session with other defaults than torch's."""
    if request.param == "another device":
        with torch.device("meta"):
            yield
        return
    torch.set_default_dtype(getattr(torch, request.param))
    yield
    torch.set_default_dtype(torch.float32)


def test_fits_and_files_do_not_depend_on_what_the_session_has_set(session, tmp_path):
    rng = np.random.default_rng(0)
    A, B = rng.normal(size=(90, 4)), rng.normal(size=(90, 2))
    arrays = A[:60], B[:60], A[60:75], B[60:75]
    for encoder in (jne.RidgeEncoder(cv=2), jne.ResidualEncoder(8, max_epochs=3, batch_size=20)):
        found = encoder.fit(*arrays).predict(A)
        again = jne.load_encoder(encoder.save(tmp_path / "encoder.safetensors"))
        np.testing.assert_array_equal(again.predict(A), found)
        measured, J = jne.nonlinearity(encoder, A[75:]).jne, jne.jacobian(encoder, A[75:])
        with new_session():
            np.testing.assert_array_equal(encoder.fit(*arrays).predict(A), found)
            np.testing.assert_allclose(jne.nonlinearity(encoder, A[75:]).jne, measured)
            np.testing.assert_allclose(jne.jacobian(encoder, A[75:]), J)


def crossfit():
    rng = np.random.default_rng(0)
    A, B = rng.normal(size=(240, 4)), rng.normal(size=(240, 2))
    arrays = A[:200], B[:200], A[200:220], B[200:220], A[220:]
    encoders = partial(jne.ResidualEncoder, 4, max_epochs=2)
    return jne.crossfit_nonlinearity(lambda seed: encoders(random_state=seed), arrays, n_splits=1, n_groups=4)


@pytest.fixture(scope="module")
def crossfitted():
    return crossfit()


def test_slopes_and_cross_fitting_do_not_either(crossfitted, session):
    with pytest.raises(ValueError, match="derivative is not the slope of its answers"):
        jne.nonlinearity(lambda x: x * x.detach() ** 2, X.double().numpy().astype("f4"))
    xr.testing.assert_allclose(crossfit(), crossfitted)


def test_the_session_keeps_what_it_has_set(session):
    before = torch.get_default_dtype(), torch.get_default_device()
    with pytest.raises(ZeroDivisionError), new_session():
        assert torch.empty(1).dtype == torch.float32 and torch.empty(1).device.type == "cpu"
        raise ZeroDivisionError
    assert (torch.get_default_dtype(), torch.get_default_device()) == before
