"""What runs on a card: every way of the engine, and fits, on the card where there is one.

The CPU goes the same ways in any case, also those that are only taken where tensors are on a card. Only what computing
needs is imported here, so that the file runs on a machine with little more than torch.
"""

import paths
import pytest
import torch

from jne._core import matrix_precision

CARD = pytest.param(
    "cuda", marks=[pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA")]
)
LIMITS = {"float32": 1e-5, "tf32": 1e-2, "float64": 2e-6}


@pytest.fixture
def as_on_a_card(monkeypatch):
    """Tensors say that they are on a card, so that the CPU goes the ways that are meant for one."""
    monkeypatch.setattr(torch.Tensor, "is_cuda", property(lambda tensor: True))


def worst(errors):
    return max(errors.items(), key=lambda item: item[1])


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA")
@pytest.mark.parametrize("precision", LIMITS)
@pytest.mark.parametrize("name", paths.CHECKS)
def test_every_way_on_a_card_equals_dense_jacobians(name, precision):
    measure, error = worst(paths.CHECKS[name]("cuda", precision))
    # A unit whose input rounds to the other side of a kink has another slope; what a linear map leaves is a difference.
    rough = precision == "tf32" and ("ReLU" in name or name == "cross-fitting")
    limit = 0.1 if rough else LIMITS[precision]
    assert error < limit, measure


@pytest.mark.usefixtures("as_on_a_card")
@pytest.mark.parametrize("name", paths.CHECKS)
def test_the_ways_of_a_card_equal_dense_jacobians_on_the_cpu(name):
    measure, error = worst(paths.CHECKS[name]("cpu", "float32"))
    assert error < LIMITS["float32"], measure


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA")
def test_tf32_is_used_where_it_is_asked_for_and_only_there():
    a = torch.randn(256, 256, generator=torch.Generator().manual_seed(0)).cuda()
    exact = a.double() @ a.double()
    with matrix_precision("float32"):
        single = (a @ a - exact).abs().max()
    with matrix_precision("tf32"):
        rough = (a @ a - exact).abs().max()
    assert single < 1e-3 < rough


@pytest.mark.parametrize("batch_size", [None, 64])
@pytest.mark.parametrize("device", [CARD, "cpu"])
def test_a_fit_does_not_depend_on_the_device(device, batch_size):
    assert paths.of_fit(device, batch_size)["predictions"] < 1e-3


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA")
def test_the_engine_keeps_its_memory_on_a_card():
    model, X = paths.Residual(200, 300, 2000, activation="gelu"), paths.normal(200, 200)
    paths.nonlinearity(model, X, device="cuda")  # what the libraries keep for themselves
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    result = paths.nonlinearity(model, X, device="cuda", max_memory="60MB")
    beside = result.jne_ss.nbytes + 4 * sum(p.numel() for p in model.parameters()) + 4 * X.numel()
    assert torch.cuda.max_memory_allocated() - before < 60e6 + beside
