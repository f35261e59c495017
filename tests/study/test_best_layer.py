"""Each voxel in its best layer: the choice is right, blind to test responses, and changes nothing else."""

import inspect

import numpy as np
import pytest
import xarray as xr

import jne
from jne import EncodingDataset, ResidualEncoder, run_study
from jne.study import BestLayerStudy, assemble, best_layers

OPTIONS = {"encoder_options": {"hidden_size": 8, "max_epochs": 10, "device": "cpu"}, "n_bootstrap": 50}
TRUE = np.array(["early", "deep", "deep", "late"] * 5)


def make_content(seed=0, n=160) -> xr.Dataset:
    """Three layers, and voxels that are linear in one of them; the middle layer is nobody's."""
    rng = np.random.default_rng(seed)
    layers = {name: rng.normal(size=(n, 4)).astype("float32") for name in ("early", "middle", "deep", "late")}
    signal = np.stack([layers[name] @ rng.normal(size=4) for name in TRUE], axis=1)
    responses = signal / signal.std(axis=0) + 0.5 * rng.normal(size=signal.shape)
    test = np.arange(n) >= n - 40
    repeats = responses[test][:, None] + 0.1 * rng.normal(size=(40, 3, len(TRUE)))
    return xr.Dataset(
        {
            **{name: (("stimulus", f"feature_{name}"), values) for name, values in layers.items()},
            "responses": (("stimulus", "voxel"), responses.astype("float32")),
            "responses_repeats": (("test_stimulus", "repeat", "voxel"), repeats.astype("float32")),
            "split": ("stimulus", np.where(test, "test", np.where(np.arange(n) < 30, "validation", "train"))),
            "stimulus_id": ("stimulus", [f"image{i:03d}" for i in range(n)]),
            "roi": ("voxel", np.array(["V1", "V4"] * 10, object)),
            "category": ("stimulus", np.array(["food", "faces"] * (n // 2), object)),
        },
        attrs={"name": "layers", "default_layer": "late", "synthetic": 1},
    )


@pytest.fixture
def content():
    return make_content()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The cache of this file: what is fitted once is found by the other tests."""
    return tmp_path_factory.mktemp("studies")


@pytest.fixture
def study(content, folder):
    return run_study(EncodingDataset(content), "best", folder=folder, **OPTIONS)


def test_linear_voxels_of_a_deepening_cortex_choose_the_layer_they_are_planted_in():
    sizes = {"thin": 64, "n_train": 300, "n_validation": 50, "n_test": 10, "cache": False}
    data = jne.load_dataset("synthetic", layer="deepening", alpha="none", **sizes)
    assert (best_layers(data) == data.get("true_layer")).mean() >= 0.9


def test_test_responses_have_no_part_in_the_choice(content):
    before = best_layers(EncodingDataset(content))
    assert (before == TRUE).all()
    test, rng = np.flatnonzero(content["split"] == "test"), np.random.default_rng(1)
    content["responses"][test] = content["responses"].values[rng.permutation(test)] + rng.normal(size=(40, 20))
    assert (best_layers(EncodingDataset(content)) == before).all()


def test_the_result_is_that_of_each_layers_own_study(study, content, folder):
    assert isinstance(study, BestLayerStudy) and list(study.studies) == ["early", "deep", "late"]
    assert list(study.result.layer.values) == list(TRUE) and study.result.attrs["layer"] == "best"
    for layer in study.studies:
        voxels = np.flatnonzero(layer == TRUE)
        own = content.isel(voxel=voxels).drop_vars(
            [name for name in ("early", "middle", "deep", "late") if name != layer]
        )
        alone = run_study(EncodingDataset(own.assign_attrs(default_layer=layer)), folder=folder, **OPTIONS)
        for name in ("jne", "jne_ss", "nonlinear_share", "r2", "r2_linear", "p_value", "noise_ceiling", "roi"):
            assert study.result[name].dims == alone.result[name].dims
            assert np.array_equal(study.result[name].isel(voxel=voxels).values, alone.result[name].values), name
    p = study.result.p_value.values
    assert (study.result.significant.values == jne.significant_voxels(p)).all()
    assert study.result.roi.values.tolist() == content["roi"].values.tolist()


def test_a_second_call_only_reads(study, content, folder, monkeypatch):
    def fail(*args, **kwargs):
        raise AssertionError("computed again")

    monkeypatch.setattr("jne.study.study.measure_study", fail)
    monkeypatch.setattr("jne.encoders.base.Encoder._fit_arrays", fail)
    again = run_study(EncodingDataset(content), "best", folder=folder, **OPTIONS)
    xr.testing.assert_identical(again.result, study.result)
    assert list(again.parts) == list(study.parts)


def test_refits_are_assembled_from_those_of_the_layers(study):
    together = study.null()
    for layer, part in study.parts.items():
        assert np.array_equal(together.null_share.values[study.voxels_of(layer)], part.null().null_share.values)
    assert (together.significant.values == study.result.significant.values).all()
    assert together.attrs["layer"] == "best" and list(together.layer.values) == list(TRUE)
    crossed = study.crossfit(1, n_groups=4, refit=False)
    late = study.parts["late"].crossfit(1, n_groups=4, refit=False)
    shared = crossed.nonlinear_share.values[study.voxels_of("late")]
    assert np.array_equal(shared, late.nonlinear_share.values, equal_nan=True)
    assert study.variants().jne_l2.sizes == {"voxel": 20}


def test_with_one_layer_it_is_the_study_of_that_layer(content):
    data = EncodingDataset(content.drop_vars(["early", "middle", "deep"]))
    best, own = run_study(data, "best", **OPTIONS), run_study(data, **OPTIONS)
    assert best.parts["late"].folder == own.folder
    xr.testing.assert_equal(best.result.drop_vars("layer"), own.result)


def test_a_layer_of_that_name_is_just_that(content):
    data = EncodingDataset(content.rename(middle="best", feature_middle="feature_best"))
    assert not isinstance(run_study(data, "best", linear=False, **OPTIONS), BestLayerStudy)


def test_unknown_layers_are_refused_by_naming_those_there_are(content):
    with pytest.raises(ValueError, match="no layer 'bset'; the layers are early, middle, deep, late"):
        run_study(EncodingDataset(content), "bset", **OPTIONS)


def test_a_layer_of_few_voxels_leaves_them_to_their_next_best(content):
    early, deep = (np.flatnonzero(name == TRUE) for name in ("early", "deep"))
    assert (best_layers(EncodingDataset(content.isel(voxel=[*early[:4], *deep]))) == "deep").all()
    chosen = best_layers(EncodingDataset(content.isel(voxel=[*early[:5], *deep])))
    assert list(chosen) == ["early"] * 5 + ["deep"] * 10
    assert (best_layers(EncodingDataset(content.isel(voxel=early[:2]))) == "early").all()


def test_with_folds_a_stimulus_is_predicted_from_the_layer_chosen_without_its_fold(content, monkeypatch):
    monkeypatch.setattr("jne.study.best_layer.LEAST_VOXELS", 1)
    folds = np.arange(content.sizes["stimulus"]) % 3
    content = content.drop_vars(["split", "responses_repeats"]).assign(fold=("stimulus", folds))
    # Voxel 0 is early's, but for a fold whose responses are another layer's and so large that they decide the choice.
    content["responses"][folds == 0, 0] = 9 * content["late"].values[folds == 0, 0]
    data = EncodingDataset(content)
    study = run_study(data, "best", linear=False, **{**OPTIONS, "n_bootstrap": 500})
    chosen = xr.open_dataset(study.folder / "layers.nc", engine="h5netcdf")
    assert study.result.layer.values[0] == "late" and chosen.fold_layer.values[0, 0] == "early"
    deep = np.flatnonzero(study.result.layer == "deep")
    assert (chosen.fold_layer.values[:, deep] == "deep").all()
    alone = EncodingDataset(content.isel(voxel=deep).assign_attrs(default_layer="deep"))
    predictions = ResidualEncoder(**OPTIONS["encoder_options"]).cross_predict(alone)
    np.testing.assert_allclose(study.result.r2.values[deep], jne.r2_score(alone.responses(), predictions), rtol=1e-6)
    assert study.result.attrs["evaluation"].endswith("over 3 folds, layers chosen without the fold")


def test_every_setting_of_a_study_is_handed_on(content, monkeypatch):
    handed = {}
    monkeypatch.setattr("jne.study.best_layer.run_best_layer", lambda data, **settings: handed.update(settings))
    run_study(EncodingDataset(content), "best", seed=3)
    assert set(handed) == set(inspect.signature(run_study).parameters) - {"data", "layer"} and handed["seed"] == 3


def test_assembly_leaves_out_what_differs_by_layer():
    layer = np.array(["b", "a", "b"])

    def part(values, width):
        variables = {
            "jne": ("voxel", values),
            "roi": ("voxel", ["V1" if value == 1 else "higher" for value in values]),
            "by_feature": (("voxel", "feature"), np.ones((len(values), width))),
            "stimulus_id": ("sample", ["x", "y"]),
        }
        return xr.Dataset(variables, attrs={"seed": 0, "data_hash": str(values)})

    found = assemble({"a": part([1.0], 2), "b": part([0.0, 2.0], 3)}, lambda name: np.flatnonzero(layer == name))
    assert found.jne.values.tolist() == [0, 1, 2] and "by_feature" not in found
    assert found.roi.values.tolist() == ["higher", "V1", "higher"]
    assert found.stimulus_id.values.tolist() == ["x", "y"] and found.attrs == {"seed": 0}


def test_the_report_takes_it(study):
    found = jne.report(study, n_splits=1, n_groups=4)
    assert found["data"]["layer"] == "best of each voxel: early, deep, late" and found["data"]["n_features"] == 4
    assert found["measures"]["prediction_share"]["n"] == found["voxels"]["significant"]
