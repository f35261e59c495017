"""The paper's order of networks by where they are nonlinear: it is there with skip connections, not without."""

import numpy as np
import pytest
import torch
from torch import nn

import jne

WIDTH, RESPONSES = 64, 16  # every response is a network with one output; its first layers are shared


class TwoPlaces(nn.Module):
    """Three fully connected layers, an activation after the first and the second, a skip round those in ``skips``."""

    def __init__(self, first, second, skips, seed):
        super().__init__()
        torch.manual_seed(seed)  # the same weights, PyTorch's, wherever the activation is
        self.layers = nn.ModuleList([nn.Linear(WIDTH, size) for size in (WIDTH, WIDTH, RESPONSES)])
        self.first, self.second, self.skips = first, second, skips

    def forward(self, x):
        hidden = self.first(self.layers[0](x)) + (x if 1 in self.skips else 0)
        hidden = self.second(self.layers[1](hidden)) + (hidden if 2 in self.skips else 0)
        return self.layers[2](hidden)


def mean_jne(activation, skips, n_seeds=1):
    """JNE with the activation nowhere, at the first place, at the second, at both: mean over draws of weights."""
    x = 20 * torch.rand(200, WIDTH, generator=torch.Generator().manual_seed(0)) - 10
    places = [[activation() if here else nn.Identity() for here in both] for both in ((0, 0), (1, 0), (0, 1), (1, 1))]
    networks = [[TwoPlaces(*place, skips, seed) for place in places] for seed in range(n_seeds)]
    options = {"covariance": False, "return_samples": False}
    return np.mean([[float(jne.nonlinearity(one, x, **options).jne.mean()) for one in row] for row in networks], axis=0)


@pytest.mark.parametrize("activation", [nn.ReLU, nn.LeakyReLU, nn.GELU, nn.SiLU])
def test_order_is_the_papers_with_a_skip_round_each_layer_and_is_not_with_fewer(activation):
    none, shallow, deep, both = mean_jne(activation, skips=(1, 2))
    assert none < 1e-6 and shallow < 0.97 * deep and deep < 0.97 * both
    _, shallow, deep, both = mean_jne(activation, skips=(2,))
    assert deep < 0.8 * shallow and shallow < both
    _, shallow, deep, both = mean_jne(activation, skips=(), n_seeds=4)  # the last two differ less than draws do
    assert shallow < both < deep
