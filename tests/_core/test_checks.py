"""Arrays from a person's hand: read as what they are, or refused by name."""

import warnings
from datetime import date

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import sparse

from jne._core.checks import as_numbers

MASKED = np.ma.masked_array([[1.0, 2.0], [3.0, 4.0]], [[False, True], [False, False]])


@pytest.mark.parametrize(
    "values",
    [
        [[1, 2], [3, 4]],
        np.array([[1, 2], [3, 4]], ">i2"),
        np.array([[1, 2], [3, 4]], object),
        np.ma.masked_array([[1, 2], [3, 4]]),
        pd.DataFrame({"a": [1, 3], "b": pd.array([2, 4], "Int64")}),
        torch.tensor([[1.0, 2], [3, 4]], requires_grad=True),
        torch.tensor([[1, 2], [3, 4]], dtype=torch.bfloat16),
    ],
    ids=["list", "big-endian", "objects", "mask of nothing", "nullable frame", "with gradient", "bfloat16"],
)
def test_every_kind_of_real_numbers_is_read_without_a_warning(values):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = as_numbers(values, "X", np.float32)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, [[1, 2], [3, 4]])


REFUSED = {
    "masked": (MASKED, r"Y is a masked array in which 1 of 4 values are masked; .* leave out"),
    "list of masked arrays": (list(MASKED), "1 of 4 values are masked"),
    "masked constant": ([1.0, np.ma.masked], "masked"),
    "complex": (np.array([1 + 2j]), "Y has dtype complex128; give real numbers"),
    "complex tensor": (torch.tensor([1j]), "Y has dtype complex64"),
    "texts": (np.array(["1.5", "2"]), "Y has dtype <U3"),
    "dates": (np.array(["2020-01-01"], "datetime64[D]"), "Y has dtype datetime64"),
    "objects": (np.array([1.0, None], object), r"Y holds None \(NoneType\) at \[1\]; give real numbers"),
    "object of a date": ([date(2020, 1, 1)], "datetime.date"),
    "ragged": ([[1, 2], [3]], "Y cannot be read as an array of numbers"),
    "sparse": (sparse.csr_array(np.eye(2)), r"Y is a sparse csr_array; give Y.toarray\(\)"),
    "sparse tensor": (torch.eye(2).to_sparse(), r"layout torch.sparse_coo; .*to_dense"),
    "quantised tensor": (torch.quantize_per_tensor(torch.ones(2), 0.1, 0, torch.qint8), r"qint8.*dequantize"),
    "beyond float32": (np.array([1.0, 1e39]), r"Y holds 1 values beyond 3.4e\+38, the largest of float32"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_what_are_no_real_numbers_is_refused_by_name(kind):
    values, message = REFUSED[kind]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(ValueError, match=message):
            as_numbers(values, "Y", np.float32)


def test_what_is_masked_or_absent_is_nan_where_nan_stands_for_missing():
    for values in (MASKED[0], pd.array([1, None], "Int64"), [1.0, None], [1.0, np.ma.masked]):
        np.testing.assert_array_equal(as_numbers(values, "Y", float, missing=True), [1, np.nan])


def test_infinity_and_nan_stay_what_they_were():
    np.testing.assert_array_equal(as_numbers([np.inf, np.nan], "Y", np.float32), [np.inf, np.nan])


def test_whole_numbers_are_not_cut_from_others():
    assert as_numbers([1.0, 2.0], "vertex", int).dtype == int
    with pytest.raises(ValueError, match="vertex holds 2 values that are not whole numbers, of 3"):
        as_numbers([1.5, 2.0, np.nan], "vertex", int)
