"""What is kept is computed once, read every time, and by one process at a time."""

from contextlib import contextmanager

import numpy as np
import pytest
import xarray as xr

from jne._core import hash_parameters, kept


def test_what_is_kept_is_computed_once_and_read_every_time(tmp_path):
    made = []

    def compute():
        made.append(xr.Dataset({"value": ("voxel", [1.0, 2.0])}))
        return made[-1]

    first, second = (kept(tmp_path / "deep" / "result.nc", compute) for _ in range(2))
    assert len(made) == 1 and first is not made[0]
    xr.testing.assert_identical(first, second)


def test_reader_writer_and_lock_can_be_ones_own(tmp_path):
    path, held = tmp_path / "number.txt", []

    @contextmanager
    def lock(path):
        held.append(path.exists())
        yield
        held.append(path.exists())

    options = {"read": lambda path: int(path.read_text()), "write": lambda value, path: path.write_text(str(value))}
    assert kept(path, lambda: 7, lock=lock, **options) == 7
    assert kept(path, lambda: 8, lock=lock, **options) == 7
    assert held == [False, True, True, True]


def test_a_computation_that_fails_leaves_nothing(tmp_path):
    def compute():
        raise RuntimeError("no")

    with pytest.raises(RuntimeError, match="no"):
        kept(tmp_path / "result.nc", compute)
    assert not (tmp_path / "result.nc").exists()


def test_a_key_changes_with_every_number_and_the_shape_of_an_array():
    values = np.zeros(5000)
    other = values.copy()
    other[2500] = 1
    keys = [hash_parameters({"values": array}) for array in (values, values.copy(), other, values.reshape(2, -1))]
    assert keys[0] == keys[1] and len(set(keys)) == 3
