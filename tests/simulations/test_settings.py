"""What the key of a kept simulation says is what the simulation was called with."""

import inspect
from importlib import import_module

import pytest
import xarray as xr

from jne import simulations

CALLS = {
    "recover": "recovery",
    "converge": "convergence",
    "fit_networks": "fitted_networks",
}
KINDS = {
    "n_samples": [50, 60],
    "noise_ceilings": [0.2, 0.6],
    "encoder_options": {"hidden_size": 8},
    "configurations": {"one": ["relu"]},
}


@pytest.mark.parametrize("name", CALLS)
def test_every_argument_is_in_the_key_under_its_own_name(name, monkeypatch):
    function, seen = getattr(simulations, name), []
    empty = xr.Dataset(coords={one: [0] for one in ("noise_ceiling", "network", "seed")})

    def cached(kind, folder, parameters, compute):
        seen.append(parameters)
        return empty

    monkeypatch.setattr(import_module(f"jne.simulations.{CALLS[name]}"), "cached", cached)
    names = inspect.signature(function).parameters
    given = {one: KINDS.get(one, 100 + number) for number, one in enumerate(names)}
    function(**given)
    assert seen == [given]
