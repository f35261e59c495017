"""Trunks whose steps are recognised: their Jacobians against autograd, and whose memory is used for what."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from jne.jacobians import chain_rule as rule
from jne.jacobians.chain_rule import chain_rule, recognise


class Trunk(nn.Module):
    def __init__(self, forward):
        super().__init__()
        torch.manual_seed(0)
        self.a, self.b, self.c = (nn.Linear(4, 4) for _ in range(3))
        self.wide = nn.Linear(8, 4)
        self.same = nn.Identity()
        self.wire = forward

    def forward(self, x):
        return self.wire(self, x)


WIRINGS = {
    "residual block": lambda m, x: (h := F.relu(m.a(x))) + F.relu(m.b(h)),
    "sum with a linear layer, whose weight is its Jacobian": lambda m, x: F.relu(m.a(x)) + m.b(x),
    "two linear layers, whose weights are their Jacobians": lambda m, x: torch.tanh(m.a(x) + m.b(x)),
    "a linear layer, read twice": lambda m, x: torch.tanh(y := m.a(x)) + y,
    "a value and the same under another name": lambda m, x: (h := F.relu(m.a(x))) + m.same(h),
    "a value twice": lambda m, x: (h := torch.tanh(m.a(x))) + h,
    "a sum, read again later": lambda m, x: (s := F.relu(m.a(x)) + F.relu(m.b(x))) + torch.sigmoid(m.c(s)) + s,
    "a value that a sum overwrites too early": lambda m, x: (
        torch.tanh(h := m.same(g := F.relu(m.a(x)))) + (h + F.relu(m.b(x))) + g
    ),
    "the input itself": lambda m, x: x + F.relu(m.a(x)) + x,
    "two linear layers in a row": lambda m, x: F.gelu(m.b(m.a(x))) + m.c(m.b(x)),
    "trunks side by side": lambda m, x: torch.cat([F.relu(m.c(F.relu(m.a(x)))), torch.tanh(m.b(x))], 1),
    "side by side, read by a layer": lambda m, x: F.relu(m.wide(torch.cat((F.relu(m.a(x)), x), dim=-1))),
    "side by side, some of it twice": lambda m, x: torch.cat([h := F.relu(m.a(x)), m.b(x), h], 1),
    "side by side, all of it linear": lambda m, x: torch.concat([m.a(x), x], 1),
    "nothing nonlinear": lambda m, x: m.b(m.a(x)) + x,
}


@pytest.mark.parametrize("mask_from", [0, 2**22])
@pytest.mark.parametrize("wiring", WIRINGS)
def test_jacobians_are_those_of_autograd_and_weights_stay_as_they_were(wiring, mask_from, monkeypatch):
    monkeypatch.setattr(rule, "_MASK_FROM", mask_from)
    module = Trunk(WIRINGS[wiring]).double()
    weights = [weight.clone() for weight in module.parameters()]
    X = torch.randn(6, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    steps = recognise(module)
    for _ in range(2):  # what the first call would leave behind, the second would find
        expected = torch.func.vmap(torch.func.jacrev(lambda x: module(x[None])[0]))(X)
        J = chain_rule(steps, X).expand(expected.shape)
        torch.testing.assert_close(J, expected, rtol=1e-12, atol=1e-12)
    assert all(map(torch.equal, weights, module.parameters()))


def test_slopes_of_every_kind_count_where_rows_without_one_are_left_out(monkeypatch):
    monkeypatch.setattr(rule, "_MASK_FROM", 0)
    module = Trunk(lambda m, x: F.hardswish(m.c(F.hardswish(m.b(F.hardswish(m.a(x))))))).double()
    with torch.no_grad():
        for weight in module.parameters():
            weight *= 8  # slopes are 0, below 0, above 1, and 1
    X = torch.randn(6, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    expected = torch.func.vmap(torch.func.jacrev(lambda x: module(x[None])[0]))(X)
    torch.testing.assert_close(chain_rule(recognise(module), X), expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("owned", [True, False])
def test_a_sum_uses_the_memory_of_a_jacobian_that_is_its_own(owned):
    values = [rule.Value(torch.ones(2, 3), torch.full((2, 3, 5), float(i)), owned=owned) for i in (1, 2)]
    total = rule.add(*values)
    assert (total.J == 3).all() and total.owned
    assert (total.J is values[0].J) == owned


@pytest.mark.parametrize(
    "forward",
    [
        lambda m, x: m.a(x) * m.b(x),
        lambda m, x: torch.add(m.a(x), x, alpha=2),
        lambda m, x: m.a(x) + 1,
        lambda m, x: torch.cat([m.a(x), x]),
        lambda m, x: torch.cat([m.a(x), torch.zeros(1, 4)], 1),
    ],
)
def test_what_it_does_not_know_is_not_recognised(forward):
    assert recognise(Trunk(forward)) is None
