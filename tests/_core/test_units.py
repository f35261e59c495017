"""The word for what the responses are of, in texts."""

import pytest

from jne._core import in_units


@pytest.mark.parametrize(
    ("unit", "expected"),
    [
        ("neuron", "Neurons of V1: 3 neurons, a neuron"),
        ("vertex", "Vertices of V1: 3 vertices, a vertex"),
        ("surface voxel", "Surface voxels of V1: 3 surface voxels, a surface voxel"),
        ("voxel group", "Voxel groups of V1: 3 voxel groups, a voxel group"),
        (None, "Voxels of V1: 3 voxels, a voxel"),
    ],
)
def test_a_text_that_is_put_in_units_twice_says_them_once(unit, expected):
    once = in_units("Voxels of V1: 3 voxels, a voxel", unit)
    assert once == expected and in_units(once, unit) == expected
