"""The study on a small planted dataset: cached, resumed after a crash, and right."""

import numpy as np
import pytest
import xarray as xr
from conftest import make_content
from oracles import encoder_jacobian

import jne
from jne import EncodingDataset, run_study
from jne.statistics import area_samples, area_table, category_table, level_trend, spearman
from jne.study import shuffle_within
from jne.study.measuring import measure_study

OPTIONS = {"encoder_options": {"hidden_size": 16, "max_epochs": 30, "device": "cpu"}, "n_bootstrap": 50}


@pytest.fixture(scope="module", autouse=True)
def results_of_this_file(results_of_fixtures, tmp_path_factory):
    """The study of this file is fitted once, and found by the other tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("JNE_RESULTS", str(tmp_path_factory.mktemp("studies")))
        yield


@pytest.fixture
def study(tiny_dataset):
    return run_study(tiny_dataset, **OPTIONS)


def test_the_result_is_what_its_parts_give(study, tiny_dataset):
    X, Y = tiny_dataset.features("test"), tiny_dataset.responses("test")
    np.testing.assert_allclose(study.result.r2, jne.r2_score(Y, study.encoder.predict(X)))
    np.testing.assert_allclose(study.result.r2_linear, jne.r2_score(Y, study.linear.predict(X)))
    direct = jne.nonlinearity(study.encoder, X)
    np.testing.assert_allclose(study.result.jne, direct.jne, rtol=1e-6)
    np.testing.assert_allclose(study.result.jne_ss, direct.jne_ss, rtol=1e-6)
    slopes = encoder_jacobian(study.encoder, X).mean(0)
    linearised = study.encoder.predict(X).mean(0) + (X - X.mean(0)) @ slopes.T
    np.testing.assert_allclose(study.result.r2_linearised, jne.r2_score(Y, linearised), rtol=1e-4)
    np.testing.assert_allclose(study.result.noise_ceiling, jne.noise_ceiling(tiny_dataset.repeats()))
    assert study.linear.activation is None and study.encoder.activation == "relu"
    assert list(study.result.roi.values) == ["V1", "V4"] * 4


def test_the_result_carries_its_parameters(study, tiny_dataset):
    attributes = xr.open_dataset(study.folder / "study.nc", engine="h5netcdf").attrs
    assert attributes["seed"] == 0 and attributes["layer"] == "deep" and attributes["synthetic"] == 1
    assert attributes["data_hash"] == tiny_dataset.hash
    assert {"format_version", "version_jne", "version_torch", "code_hash", "n_bootstrap"} <= set(attributes)


def test_variants_are_those_of_its_encoder_and_are_kept(study, tiny_dataset, monkeypatch):
    found = study.variants()
    direct = jne.nonlinearity(study.encoder, tiny_dataset.features("test"), norm="l2", zscore_jacobian=True)
    np.testing.assert_allclose(found.jne_z_l2, direct.jne, rtol=1e-6)
    np.testing.assert_allclose(found.jne, study.result.jne, rtol=1e-6)
    for name in ("r2", "nonlinear_share", "noise_ceiling", "roi", "significant"):
        assert (found[name].values == study.result[name].values).all()
    assert found.attrs["synthetic"] == 1 and found.jne_z_l1.units == "1"
    assert found.jne_l2.units == "z-scored response units per z-scored feature unit"
    monkeypatch.setattr("jne.study.refits.variants", None)
    xr.testing.assert_identical(study.variants(), found)


def test_a_second_call_only_reads(study, tiny_dataset, monkeypatch):
    def fail(*args, **kwargs):
        raise AssertionError("computed again")

    monkeypatch.setattr("jne.study.study.measure_study", fail)
    monkeypatch.setattr(jne.ResidualEncoder, "fit", fail)
    xr.testing.assert_identical(run_study(tiny_dataset, **OPTIONS).result, study.result)


def test_without_the_linear_reference_the_rest_is_the_same(tiny_dataset, tmp_path):
    alone = run_study(tiny_dataset, linear=False, folder=tmp_path, **OPTIONS)
    assert alone.linear is None and not (alone.folder / "linear.safetensors").exists()
    both = run_study(tiny_dataset, folder=tmp_path, **OPTIONS)
    xr.testing.assert_identical(alone.result, both.result.drop_vars("r2_linear"))
    assert run_study(tiny_dataset, linear=False, folder=tmp_path, **OPTIONS).linear is not None  # as it is there


@pytest.mark.parametrize("change", [{"seed": 1}, {"layer": "early"}, {"n_bootstrap": 51}, {"q": 0.1}])
def test_every_parameter_makes_its_own_study(study, tiny_dataset, change):
    assert run_study(tiny_dataset, **{**OPTIONS, **change}).folder != study.folder


def test_too_few_bootstraps_to_call_any_voxel_are_told(tiny_dataset):
    few = {"encoder_options": {"hidden_size": 16, "lr": 0.03, "device": "cpu"}, "n_bootstrap": 2, "q": 0.01}
    for _ in range(2):  # computed, then read
        with pytest.warns(UserWarning, match="2 bootstraps are too few to call them; take n_bootstrap="):
            assert not run_study(tiny_dataset, **few).result.significant.any()


def test_changed_data_makes_its_own_study(study, tiny_content):
    tiny_content["responses"].values[0, 0] += 1
    assert run_study(EncodingDataset(tiny_content), **OPTIONS).folder != study.folder


def test_an_interrupted_study_goes_on_where_it_stopped(tiny_dataset, tmp_path, monkeypatch):
    monkeypatch.setattr(
        "jne.study.study.measure_study", lambda *args, **kwargs: (_ for _ in ()).throw(KeyboardInterrupt)
    )
    with pytest.raises(KeyboardInterrupt):
        run_study(tiny_dataset, folder=tmp_path, **OPTIONS)
    monkeypatch.setattr("jne.study.study.measure_study", measure_study)
    fits = []
    fit = jne.ResidualEncoder.fit
    monkeypatch.setattr(jne.ResidualEncoder, "fit", lambda *a, **k: fits.append(1) or fit(*a, **k))
    resumed = run_study(tiny_dataset, folder=tmp_path, **OPTIONS)
    assert not fits and np.isfinite(resumed.result.r2).all()


@pytest.fixture(scope="module")
def seeded(tmp_path_factory):
    """A study of three seeds, and the folder of it and of those of one seed."""
    folder = tmp_path_factory.mktemp("seeds")
    data = EncodingDataset(make_content())
    return run_study(data, seed=2, n_seeds=3, folder=folder, **OPTIONS), folder


def test_several_seeds_are_studied_as_one_model(seeded):
    study, folder = seeded
    X, Y = study.data.features("test"), study.data.responses("test")
    alone = [run_study(study.data, seed=seed, folder=folder, linear=False, **OPTIONS) for seed in (2, 3, 4)]
    predictions = np.mean([one.encoder.predict(X) for one in alone], axis=0)
    np.testing.assert_allclose(study.result.r2, jne.r2_score(Y, predictions), rtol=1e-5)
    maps = np.stack([one.result.jne for one in alone])
    np.testing.assert_allclose(study.result.jne_by_seed, maps, rtol=1e-6)
    np.testing.assert_allclose(study.result.jne_seed_se, maps.std(0, ddof=1) / np.sqrt(3), rtol=1e-6)
    direct = jne.nonlinearity(jne.MeanEncoder.of([one.encoder for one in alone]), X)
    np.testing.assert_allclose(study.result.jne, direct.jne, rtol=1e-6)
    np.testing.assert_allclose(study.result.nonlinear_share, direct.nonlinear_share, rtol=1e-6)
    assert list(study.result.seed) == [2, 3, 4] and study.result.attrs["n_seeds"] == 3
    assert (
        study.linear.random_state == 2
        and study.encoder.describe() == jne.MeanEncoder.of([one.encoder for one in alone]).describe()
    )


def test_fits_are_those_of_the_studies_of_one_seed_and_fitted_once(seeded, monkeypatch):
    study, folder = seeded
    monkeypatch.setattr(jne.ResidualEncoder, "fit", None)
    again = run_study(study.data, seed=2, n_seeds=2, folder=folder, **OPTIONS)
    assert again.result.sizes["seed"] == 2 and again.folder != study.folder
    xr.testing.assert_identical(run_study(study.data, seed=2, n_seeds=3, folder=folder, **OPTIONS).result, study.result)
    names = {path.name for path in folder.glob("*/*.safetensors")}
    assert names == {"nonlinear.safetensors", "linear.safetensors"}


def test_refits_of_several_seeds_are_single_fits(seeded):
    study, _ = seeded
    crossfit = study.crossfit(n_splits=1, n_groups=4, refit=False)
    single = study.encoder.single()
    assert crossfit.attrs["encoder"].startswith("ResidualEncoder(") and single.random_state == 2
    X, Y, X_val, Y_val = (
        read(split) for split in ("train", "validation") for read in (study.data.features, study.data.responses)
    )
    rng = np.random.default_rng(0)
    order, order_val = shuffle_within(np.zeros(len(X)), rng), rng.permutation(len(X_val))
    null = jne.nonlinearity(single.fit(X, Y[order], X_val, Y_val[order_val]), study.data.features("test"))
    np.testing.assert_allclose(study.null().null_jne, null.jne, rtol=1e-6)


def test_one_seed_has_the_key_and_the_variables_that_it_always_had(tiny_dataset, study):
    again = run_study(tiny_dataset, n_seeds=1, **OPTIONS)
    assert again.folder == study.folder and "n_seeds" not in again.result.attrs
    assert not [name for name in again.result.variables if "seed" in name]


def test_seeds_that_would_change_nothing_are_refused(tiny_dataset):
    with pytest.raises(ValueError, match=r"n_seeds=2, but the encoder \(RidgeEncoder\) was given a random_state"):
        run_study(tiny_dataset, encoder=jne.RidgeEncoder, encoder_options={"random_state": 1}, n_seeds=2)
    with pytest.raises(ValueError, match="n_seeds=0 is not a whole number of at least 1"):
        run_study(tiny_dataset, n_seeds=0)
    with pytest.raises(ValueError, match=r"n_seeds=2, but the encoder \(MeanEncoder\) has no random_state"):
        run_study(tiny_dataset, encoder=jne.MeanEncoder(jne.ResidualEncoder(8)), n_seeds=2)


def test_a_dataset_with_folds_is_predicted_by_cross_validation(tiny_content):
    folds = np.arange(60) % 4
    data = EncodingDataset(tiny_content.drop_vars(["split", "responses_repeats"]).assign(fold=("stimulus", folds)))
    study = run_study(data, **OPTIONS)
    predictions = jne.ResidualEncoder(**OPTIONS["encoder_options"]).cross_predict(data)
    np.testing.assert_allclose(study.result.r2, jne.r2_score(data.responses(), predictions))
    assert "r2_linearised" not in study.result
    assert study.result.sizes["sample"] == 60 and "R² cross-validated over 4 folds" in study.result.attrs["evaluation"]


@pytest.fixture
def result():
    roi = np.repeat(["FFC", "V1", "V4", "V2"], 3)
    level = np.repeat(["higher", "V1", "V4", "V2"], 3)
    rng = np.random.default_rng(0)
    categories = np.array(["faces", "food"] * 10)
    scores = rng.random((20, 12)) + 5 * (categories == "faces")[:, None] * (roi == "FFC")
    variables = {"roi": roi.astype(object), "level": level.astype(object), "jne": np.repeat([4.0, 1.0, 3.0, 2.0], 3)}
    content = {name: ("voxel", values) for name, values in variables.items()}
    content |= {"jne_ss": (("sample", "voxel"), scores), "category": ("sample", categories.astype(object))}
    return xr.Dataset(content)


def test_areas_come_in_the_order_of_the_hierarchy(result):
    table = area_table(result, ("jne",))
    assert list(table.index) == ["V1", "V2", "V4", "FFC"]
    assert list(table.jne) == [1, 2, 3, 4] and set(table.n_voxels) == {3}
    assert level_trend(table, "jne") == pytest.approx(1)
    assert level_trend(table.assign(jne=[4, 3, 2, 1]), "jne") == pytest.approx(-1)


def test_the_preferred_category_stands_out_in_its_area_only(result):
    table = category_table(result)
    assert table.loc["FFC", "faces"] > 0.9 and abs(table.loc["V1", "faces"]) < 0.5
    z = area_samples(result)
    np.testing.assert_allclose(z.mean(), 0, atol=1e-12)
    np.testing.assert_allclose(z.std(ddof=0), 1)


def test_without_areas_all_voxels_are_one(result):
    z = area_samples(result.drop_vars("roi"))
    mean = result.jne_ss.values.mean(axis=1)
    assert list(z) == ["all voxels"]
    np.testing.assert_allclose(z["all voxels"], (mean - mean.mean()) / mean.std())


def test_spearman_leaves_out_what_is_not_finite():
    assert spearman([1, 2, 3, np.nan], [2, 4, 9, 1]) == pytest.approx(1)
    assert np.isnan(spearman([1, 2, np.nan], [1, 2, 3])) and np.isnan(spearman([1, 1, 1], [1, 2, 3]))
