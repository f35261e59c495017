"""Sample selectivity: the index, the interaction test on planted and on null tables, and the ungated generator."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import jne
from jne.accuracy import prediction_share
from jne.statistics.area_tables import area_samples, category_table
from jne.statistics.selectivity import (
    _spread,
    called_selective,
    calling_rates,
    can_test,
    interaction_test,
    selectivity_index,
    shuffle_test,
)
from jne.statistics.subject_tables import mean_table
from jne.study import ungated_responses, ungated_tables

AREAS = [f"area {number}" for number in range(12)]
CATEGORIES = list("abcdefgh")


def null_tables(n, seed=0):
    """Tables without interaction: a category profile that all areas share, and noise that differs by area."""
    rng = np.random.default_rng(seed)
    profile = rng.standard_normal((n, 1, len(CATEGORIES)))
    noise = rng.standard_normal((n, len(AREAS), len(CATEGORIES))) * np.linspace(0.1, 0.4, len(AREAS))[:, None]
    return xr.DataArray(profile + noise, {"area": AREAS, "category": CATEGORIES}, ("draw", "area", "category"))


def as_table(values):
    return pd.DataFrame(np.asarray(values), AREAS, CATEGORIES)


def test_the_index_is_what_most_areas_do_not_share():
    profile = np.arange(8.0)
    table = as_table(np.tile(profile, (12, 1)))
    table.loc["area 3", "b"] += 2
    expected = np.zeros((12, 8))
    expected[3, 1] = 2
    np.testing.assert_allclose(selectivity_index(table), expected)


def test_the_spread_of_cells_is_a_factor_per_area_times_one_per_category():
    areas, categories = np.array([1.0, 2, 5]), np.array([0.5, 1, 3, 7])
    signs = np.random.default_rng(0).choice([-1, 1], size=(6, 3, 4))
    np.testing.assert_allclose(_spread(signs * np.outer(areas, categories)), np.outer(areas, categories))


def test_null_cells_are_called_in_five_percent():
    null = null_tables(8)
    held_out = null_tables(40, seed=1)
    p = [interaction_test([as_table(one)], [null])["p"] for one in held_out.values]
    assert (np.concatenate(p) < 0.05).mean() == pytest.approx(0.05, abs=0.02)


def test_planted_cells_are_found_and_subjects_add_up():
    null = null_tables(14)
    tables = [as_table(one) for one in null_tables(2, seed=2).values]
    for table in tables:
        table.loc["area 2", "c"] += 1.5
        table.loc["area 9", "f"] += 1.5
    cells = interaction_test(tables, [null, null_tables(14, seed=3)])
    assert called_selective(cells) == {"c": ["area 2"], "f": ["area 9"]}
    assert cells["z"].idxmax() == ("area 2", "c")
    assert cells["p"].min() == pytest.approx(1 / (14 * 96 + 1))


def test_one_draw_is_not_enough_and_categories_must_agree():
    with pytest.raises(ValueError, match="1 draw gives no spread"):
        interaction_test([as_table(np.zeros((12, 8)))], [null_tables(1)])
    one = as_table(null_tables(1).values[0])
    other = one.rename(columns={"a": "another"})
    with pytest.raises(ValueError, match="different categories"):
        interaction_test([one, other], [null_tables(2)] * 2)


def test_areas_that_one_subject_lacks_are_left_out():
    one, nulls = as_table(null_tables(1).values[0]), null_tables(3)
    cells = interaction_test([one, one.drop(index="area 4")], [nulls, nulls.drop_sel(area="area 4")])
    assert list(cells.index.unique("area")) == [area for area in AREAS if area != "area 4"]
    mean = mean_table([one, one.drop(index="area 4") + 2])
    np.testing.assert_allclose(mean.loc["area 5"], one.loc["area 5"] + 1)
    assert "area 4" not in mean.index


def test_calling_rates_leave_gated_areas_out():
    cells = pd.MultiIndex.from_product([["V1", "FFC"], ["a", "b"]])
    off, on = pd.Series([0.01, 0.5, 0.5, 0.5], cells), pd.Series([0.5, 0.5, 0.01, 0.01], cells)
    rates = calling_rates({"test": (off, on)}, ["FFC"])
    assert rates.loc["test"].to_dict() == {"gate off, all areas": 0.25, "gate on, ungated areas": 0.0}


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    folder = tmp_path_factory.mktemp("study")
    options = {"thin": 40, "n_train": 600, "n_validation": 120, "n_test": 160, "n_features": 32, "cache": False}
    encoder = {"hidden_size": 64, "lr": 0.005, "max_epochs": 60}
    data = jne.load_dataset("synthetic", **options)
    return jne.run_study(data, encoder_options=encoder, folder=folder)


def test_the_signed_deviation_is_what_jne_ss_squares(study):
    result = study.result
    signed = np.sqrt(result["jne_ss"].values) * result["deviation_sign"].values
    np.testing.assert_allclose(signed.mean(axis=0), 0, atol=1e-4)
    np.testing.assert_allclose((signed**2).mean(axis=0) ** 0.5, result["jne"].values, rtol=1e-4)
    samples = area_samples(result, signed=True)
    here = signed[:, (result.roi.values.astype(str) == "V1") & result.significant.values].mean(axis=1)
    np.testing.assert_allclose(samples["V1"], (here - here.mean()) / here.std(), atol=1e-4)


def test_ungated_responses_are_as_linear_and_as_noisy_as_the_voxels(study):
    train, validation = ungated_responses(study, 0)
    assert train.shape == study.data.responses("train").shape and len(validation) == 120
    X = np.concatenate([study.data.features(split) for split in ("train", "validation")])
    unexplained = prediction_share(X, np.concatenate([train, validation]))
    share = prediction_share(X, study.encoder.predict(X))
    ceiling = study.result["noise_ceiling"].values.clip(0.01, 0.99)
    # A linear map leaves the noise and the nonlinear part of the signal, less what it fits by chance.
    expected = (1 - ceiling * (1 - share)) * (1 - X.shape[1] / len(X))
    assert np.abs(unexplained - expected).mean() < 0.05
    assert np.corrcoef(unexplained, expected)[0, 1] > 0.9
    again, _ = ungated_responses(study, 0)
    np.testing.assert_array_equal(train, again)


def test_ungated_tables_have_the_form_of_the_study_and_are_found_again(study, monkeypatch):
    tables = ungated_tables(study, 2)
    observed = category_table(study.result)
    assert list(tables["area"].values) == list(observed.index) and tables["jne_ss"].shape == (2, *observed.shape)
    np.testing.assert_allclose(tables["jne_ss"].sum("category"), 0, atol=0.05)  # 20 stimuli of each of 8 categories
    assert not np.allclose(tables["jne_ss"][0], tables["jne_ss"][1])
    monkeypatch.setattr("jne.study.selectivity_null._ungated", None)
    xr.testing.assert_identical(ungated_tables(study, 2), tables)
    # Other ways to sort the stimuli, such as clusters, need no other fits; four categories as one have their mean.
    names = study.result["category"].values.astype(str)
    halves = np.where(np.isin(names, observed.columns[:4]), "one", "two")
    of_four = tables["jne_ss"].sel(category=observed.columns[:4]).mean("category")
    found = ungated_tables(study, 2, category=halves)["jne_ss"]
    np.testing.assert_allclose(found.sel(category="one"), of_four, atol=1e-6)
    with pytest.raises(ValueError, match="one of each of the study's stimuli"):
        ungated_tables(study, 2, category=halves[1:])


def test_shuffling_stimuli_asks_for_differences_between_categories(study):
    result = study.result.copy()
    rng = np.random.default_rng(0)
    result["jne_ss"] = ("sample", "voxel"), rng.random(result["jne_ss"].shape)
    assert (shuffle_test(result, 199) < 0.05).to_numpy().mean() == pytest.approx(0.05, abs=0.05)
    faces = result["category"].values.astype(str) == "faces"
    result["jne_ss"].values[faces] += 1
    p = shuffle_test(result, 199)
    assert (p["faces"] == 1 / 200).all() and (p.drop(columns="faces") > 0.05).all().all()


def test_what_cannot_be_tested_is_said(study):
    assert can_test({"one": study.result}) == ""
    assert "no categories" in can_test({"one": study.result.drop_vars("category")})
    few = study.result.isel(sample=slice(0, 20))
    assert "at least 5 are needed" in can_test({"one": few})
    kinds = study.result["category"].values.astype(str)
    for n_faces, said in ((4, "only 4 of a category"), (5, "")):
        rows = [*np.flatnonzero(kinds == "faces")[:n_faces], *np.flatnonzero(kinds == "food")[:9]]
        assert can_test({"one": study.result.isel(sample=rows)})[: len("only 4 of a category")] == said
    assert "folds" in can_test({"one": study.result.assign_attrs(evaluation="all stimuli")})
