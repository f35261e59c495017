"""Confirmed nonlinearity by area and category: by hand, of a planted cell, and the rate of tables with a call."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from jne.statistics.confirmed_categories import confirmed_table, confirmed_test, double_centred

AREAS, CATEGORIES = ["PPA", "V1", "FFA"], np.tile(["face", "scene", "word", "tool"], 30)


def study(products, categories=CATEGORIES, predicted=(2.0, 1.0, 4.0), share=None):
    predicted = np.array(predicted)
    share = products.mean(axis=0) / predicted if share is None else share
    return xr.Dataset(
        {
            "validated_area_products": (("sample", "area"), products),
            "validated_area_predicted": ("area", predicted),
            "validated_area_share": ("area", share),
            "category": ("sample", np.asarray(categories, object)),
        },
        {"area": AREAS},
    )


def noise(seed):
    return np.random.default_rng(seed).standard_t(4, size=(len(CATEGORIES), 3))


def test_the_table_by_hand():
    products = np.array([[2.0, 1, 4], [4, 3, 0], [0, 5, 8]])
    table = confirmed_table(study(products, ["face", "face", "scene"]))
    expected = pd.DataFrame({"face": [3 / 2, 2.0, 2 / 4], "scene": [0, 5.0, 8 / 4]}, index=["PPA", "V1", "FFA"])
    pd.testing.assert_frame_equal(table.loc[expected.index], expected, check_names=False)
    weighted = table.loc["V1"] @ [2 / 3, 1 / 3]
    assert weighted == pytest.approx(products[:, 1].mean())
    centred = double_centred(table)
    np.testing.assert_allclose([*centred.sum(), *centred.sum(axis=1)], 0, atol=1e-12)
    assert centred.loc["V1", "face"] == pytest.approx(2 - 3.5 - (1.5 + 2 + 0.5) / 3 + 11 / 6)


def test_areas_of_which_nothing_is_predicted_are_left_out():
    table = confirmed_table(study(noise(0), predicted=(2, 1e-9, 4), share=[0.1, np.nan, 0.1]))
    assert "V1" not in table.index and len(table) == 2


def test_a_planted_cell_is_called_and_no_other():
    subjects = []
    for seed in range(3):
        order = np.random.default_rng(seed).permutation(CATEGORIES)
        products = noise(seed)
        products[order == "scene", 0] += 1.2
        products += 2 * (order == "face")[:, None] * [2, 1, 4]  # of every area alike
        subjects.append(study(products, order))
    found = confirmed_test(subjects, 199)
    assert list(found.index[found["selective"]]) == [("PPA", "scene")]
    assert found["index"].groupby("area").sum().abs().max() < 1e-12
    assert found.loc[("PPA", "scene"), "p"] == 1 / 200


def test_five_percent_of_tables_have_a_call_where_nothing_is():
    calls = []
    for seed in range(200):
        same = seed % 2
        rng = np.random.default_rng((seed, 1))
        common = rng.normal(size=(len(CATEGORIES), 1))  # what a stimulus does in all areas and subjects that saw it
        subjects = []
        for subject in range(2):
            own = common if same else rng.normal(size=common.shape)
            order = CATEGORIES if same else rng.permutation(CATEGORIES)
            subjects.append(study(noise((seed, subject)) + own * [2, -1, 4], order))
        calls.append(confirmed_test(subjects, 99, random_state=seed)["selective"].any())
    assert np.mean(calls) <= 0.065


def test_what_has_no_interaction_is_refused():
    one = study(noise(0)).isel(area=[0])
    with pytest.raises(ValueError, match=r"1 areas .* two areas or more"):
        confirmed_test([one])
    with pytest.raises(ValueError, match="the same two categories"):
        confirmed_test([study(noise(0)), study(noise(1), np.roll(np.repeat(["a", "b"], 60), 1))])
    with pytest.raises(ValueError, match="no category"):
        confirmed_table(study(noise(0)).drop_vars("category"))
