"""Damage to files: random flips, zeros and cuts, and the test that what is read of them is the same or an error."""

import os

import numpy as np
import torch
import xarray as xr

N = int(os.environ.get("JNE_FLIPS", 25))
"""Of each kind of file; the suite has a budget, and 200 were tried by hand."""


def damaged(content: bytes, rng: np.random.Generator) -> bytes:
    """One flipped bit, some zeros, or a cut."""
    out, place = bytearray(content), int(rng.integers(len(content)))
    kind = rng.choice(["bit", "bit", "bit", "byte", "zeros", "cut"])
    if kind == "cut":
        return bytes(out[:place])
    if kind == "zeros":
        out[place : place + 40] = bytes(len(out[place : place + 40]))
    else:
        out[place] ^= 1 << int(rng.integers(8)) if kind == "bit" else int(rng.integers(1, 256))
    return bytes(out)


def plain(value):
    """Nested content as what ``==`` compares, NaN and types of numbers included."""
    if isinstance(value, xr.Dataset):
        variables = [(name, v.dims, plain(v.values), plain(v.attrs)) for name, v in value.variables.items()]
        return variables, plain(value.attrs), dict(value.sizes)
    if isinstance(value, dict):
        return [(name, plain(one)) for name, one in value.items()]
    if isinstance(value, torch.Tensor):
        return plain(value.numpy())
    if isinstance(value, np.ndarray | np.generic):
        return (str(value.dtype), value.shape, value.tolist() if value.dtype.kind == "O" else value.tobytes())
    if isinstance(value, list | tuple):
        return [plain(one) for one in value]
    return value


def check_damage(path, make, read):
    """Of a file made and read by these, every damage is told with the file's name, or changes nothing that is read."""
    rng = np.random.default_rng(list(path.name.encode()))
    make(path)
    whole = path.read_bytes()
    expected, told = read(path), 0
    for number in range(N):
        path.write_bytes(damaged(whole, rng))
        try:
            found = read(path)
        except (ValueError, OSError) as error:
            assert path.name in str(error), (number, error)
            told += 1
        else:
            assert found == expected, number
    assert told
