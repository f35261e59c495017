"""The contract of `Encoder`: a small subclass outside the package goes wherever the package's own go."""

import numpy as np
import pytest
import torch
import xarray as xr
from sklearn.base import clone
from torch import nn

import jne
from jne import ResidualEncoder, RidgeEncoder
from jne.encoders import Encoder


class TanhEncoder(Encoder):
    """Least squares on ``tanh(A x)`` with random directions A; twenty lines, nothing but the contract."""

    def __init__(self, n_units=20, scales=(0.5, 1.0), random_state=0):
        self.n_units = n_units
        self.scales = scales
        self.random_state = random_state

    def _make_module(self, n_features, n_voxels):
        first, last = nn.Linear(n_features, self.n_units, bias=False), nn.Linear(self.n_units, n_voxels, bias=False)
        for half, scale in zip(first.weight.data.chunk(2), self.scales, strict=True):
            half.mul_(scale)
        return nn.Sequential(first, nn.Dropout(0.1), nn.Tanh(), last)

    def initial_module(self, n_features, n_voxels):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.random_state)
            return self._make_module(n_features, n_voxels)

    def _fit(self, arrays, progress):
        self._fit_scaling(arrays.X, arrays.Y)
        self.module_ = self.initial_module(arrays.X.shape[1], arrays.Y.shape[1]).eval()
        hidden = self.module_[:-1](torch.from_numpy(self.scale_features(arrays.X)))
        Y = torch.from_numpy(self.scale_responses(arrays.Y))
        self.module_[-1].weight = nn.Parameter(torch.linalg.lstsq(hidden.detach(), Y).solution.T.contiguous())


@pytest.fixture
def arrays():
    rng = np.random.default_rng(0)
    X = rng.normal(2, 3, (160, 4)).astype(np.float32)
    Y = (np.tanh(X @ rng.normal(size=(4, 3)) / 3) + 0.1 * rng.normal(size=(160, 3))).astype(np.float32)
    return X[:100], Y[:100], X[100:120], Y[100:120], X[120:]


def test_an_own_encoder_is_cloned_unfitted_with_its_parameters(arrays):
    encoder = TanhEncoder(n_units=8, scales=[1, 2]).fit(*arrays[:4])
    copy = clone(encoder)
    assert copy.get_params() == {"n_units": 8, "random_state": 0, "scales": [1, 2]} and not hasattr(copy, "module_")
    assert encoder.with_seed(3).random_state == 3 and encoder.random_state == 0
    assert repr(copy) == "TanhEncoder(n_units=8, scales=[1, 2])"
    assert encoder.describe() == "TanhEncoder(n_units=8, random_state=0, scales=[1, 2])"


@pytest.mark.parametrize("scales", [(0.5, 1.0), np.array([0.5, 1.0])])
def test_an_own_encoder_is_saved_and_loaded(arrays, scales, tmp_path):
    encoder = TanhEncoder(n_units=8, scales=scales).fit(*arrays[:4])
    loaded = jne.load_encoder(encoder.save(tmp_path / "own.safetensors"))
    assert type(loaded) is TanhEncoder and loaded.history_ == {} and loaded.scales == (0.5, 1.0)
    np.testing.assert_array_equal(loaded.predict(arrays[4]), encoder.predict(arrays[4]))
    # It comes back in evaluation mode, or its dropout would be refused.
    xr.testing.assert_equal(jne.nonlinearity(loaded, arrays[4]), jne.nonlinearity(encoder, arrays[4]))


def test_an_own_encoder_is_measured_in_z_scores(arrays):
    encoder = TanhEncoder().fit(*arrays[:4])
    result = jne.nonlinearity(encoder, arrays[4])
    assert result.attrs["model"] == "TanhEncoder" and "z-scored" in result.attrs["units"]
    A, W = (layer.weight.detach().double().numpy() for layer in (encoder.module_[0], encoder.module_[-1]))
    slope = 1 - np.tanh(encoder.scale_features(arrays[4]) @ A.T) ** 2
    J = np.einsum("vh,nh,hd->nvd", W, slope, A)
    np.testing.assert_allclose(result.jne, np.abs(J - J.mean(0)).sum(-1).std(0), rtol=1e-4)


def test_an_own_encoder_is_crossfitted(arrays):
    result = jne.crossfit_nonlinearity(TanhEncoder(n_units=8).with_seed, arrays, n_splits=1, n_groups=4)
    assert np.isfinite(result.crossfit_nonlinear).all() and (result.crossfit_linear > 0).all()
    assert result.attrs["encoder"] == "TanhEncoder(n_units=8, random_state=0, scales=(0.5, 1.0))"


def test_an_own_encoder_is_studied_beside_a_linear_reference(tiny_dataset, tmp_path):
    settings = {"n_bootstrap": 10, "folder": tmp_path}
    study = jne.run_study(tiny_dataset, encoder=TanhEncoder(n_units=8), seed=3, **settings)
    expected = TanhEncoder(n_units=8, random_state=3).fit(tiny_dataset)
    X = tiny_dataset.features("test")
    np.testing.assert_allclose(study.encoder.predict(X), expected.predict(X), rtol=1e-3, atol=1e-4)
    assert study.linear.get_params() == ResidualEncoder(activation=None, random_state=3).get_params()
    again = jne.run_study(tiny_dataset, encoder=TanhEncoder, encoder_options={"n_units": 8}, seed=3, **settings)
    assert again.encoder.get_params() == study.encoder.get_params()
    assert study.null().sizes["voxel"] == 8 and study.crossfit(n_splits=1, n_groups=4).attrs["n_groups"] == 4


def test_a_study_of_the_papers_encoder_seeds_a_copy_of_the_prototype(tiny_dataset, tmp_path):
    prototype = ResidualEncoder(hidden_size=8, max_epochs=2, random_state=9, device="cpu")
    study = jne.run_study(tiny_dataset, encoder=prototype, seed=3, n_bootstrap=10, folder=tmp_path)
    assert study.encoder.get_params() == {**prototype.get_params(), "random_state": 3}
    assert study.linear.get_params() == {**prototype.get_params(), "random_state": 3, "activation": None}
    assert not hasattr(prototype, "module_")


def test_what_is_no_encoder_is_not_studied(tiny_dataset):
    with pytest.raises(ValueError, match=r"encoder='ridge'; give an encoder \(a subclass of jne.encoders.Encoder\)"):
        jne.run_study(tiny_dataset, encoder="ridge")


@pytest.mark.parametrize("encoder", [ResidualEncoder(hidden_size=8), RidgeEncoder(alphas=[1, 10])])
def test_scikit_learn_clones_the_packages_own_encoders(encoder):
    assert clone(encoder).get_params() == encoder.get_params()
    assert not set(encoder.get_params()) ^ set(encoder.__init__.__code__.co_varnames[1:])


def test_parameters_that_were_set_later_are_checked_by_fit(arrays):
    with pytest.raises(ValueError, match="max_epochs=0 is not a whole number of at least 1"):
        ResidualEncoder().set_params(max_epochs=0).fit(*arrays[:4])
    with pytest.raises(ValueError, match="one of alphas=-1; accepted is a number above 0"):
        RidgeEncoder().set_params(alphas=[-1]).fit(*arrays[:4])


def test_a_subclass_that_lacks_a_part_of_the_contract_says_which(arrays):
    with pytest.raises(TypeError, match="_make_module"):
        type("NoModule", (Encoder,), {"_fit": lambda self, arrays, progress: None})()
    Forgetful = type("Forgetful", (TanhEncoder,), {"_fit": lambda self, arrays, progress: None})
    with pytest.raises(TypeError, match=r"Forgetful._fit left module_, x_mean_, .* unset; let it call self._fit_scal"):
        Forgetful().fit(*arrays[:4])


def test_two_encoder_classes_of_one_name_are_refused():
    with pytest.raises(TypeError, match="has an encoder class ResidualEncoder already"):
        type("ResidualEncoder", (Encoder,), {})


def test_a_file_of_a_class_that_is_not_defined_says_so(arrays, tmp_path, monkeypatch):
    path = TanhEncoder().fit(*arrays[:4]).save(tmp_path / "own.safetensors")
    monkeypatch.setattr("jne.encoders.files._CLASSES", {})
    with pytest.raises(ValueError, match="holds a TanhEncoder; define that class, or import its module"):
        jne.load_encoder(path)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"encoder_options": {"hiden_size": 8}},
            "encoder_options names 'hiden_size'; ResidualEncoder has hidden",
        ),
        ({"encoder_options": [8]}, r"encoder_options=\[8\]; needed: names and values"),
        ({"encoder_options": {"lr": "1e-3"}}, r"lr='1e-3' \(a text\) is not a finite number"),
        ({"encoder": TanhEncoder(scales=(len,))}, r"scales=.*cannot be saved with its fit"),
        ({"n_bootstrap": "200"}, "n_bootstrap='200' is not a whole number"),
        ({"q": "0.05"}, r"q='0.05' \(a text\) is not a finite number"),
        ({"max_memory": "lots"}, "max_memory='lots' is not a size"),
        ({"layer": "best", "q": 2}, "q=2; needed: a false discovery rate"),
    ],
    ids=["unknown", "list", "text", "unsaved", "bootstrap", "rate", "memory", "best layer"],
)
def test_what_would_fail_after_the_fit_is_told_before_it(tiny_dataset, tmp_path, options, message):
    with pytest.raises(ValueError, match=message):
        jne.run_study(tiny_dataset, **options, folder=tmp_path)
    assert not list(tmp_path.iterdir())


SAME = {
    "hidden_size": [np.int64(8), np.array(8), torch.tensor(8), np.uint8(8)],
    "lr": [np.float32(0.5), np.float16(0.5), np.longdouble(0.5), torch.tensor(0.5)],
    "activation": [np.str_("gelu")],
    "bias": [np.bool_(True)],
    "batch_size": [np.int32(5)],
    "random_state": [np.uint16(3)],
}


@pytest.mark.parametrize("name", SAME)
def test_numbers_of_other_libraries_are_saved_as_pythons_own(name, arrays, tmp_path):
    for value in SAME[name]:
        given = value.item() if hasattr(value, "item") else value
        given = float(given) if name == "lr" else given
        plain, other = (ResidualEncoder(**{"hidden_size": 4, "max_epochs": 1, name: v}) for v in (given, value))
        assert plain.describe() == other.describe()
        found = other.fit(*arrays[:4]).save(tmp_path / "other.safetensors").read_bytes()
        assert found == plain.fit(*arrays[:4]).save(tmp_path / "plain.safetensors").read_bytes()
        assert jne.load_encoder(tmp_path / "other.safetensors").get_params()[name] == given


def test_a_study_with_numbers_of_numpy_is_that_of_pythons_own(tiny_dataset, tmp_path):
    sizes = np.array([4])
    for size, seed, n in ((sizes[0], np.int64(1), np.int32(10)), (4, 1, 10)):
        options = {"hidden_size": size, "max_epochs": 1}
        study = jne.run_study(tiny_dataset, encoder_options=options, seed=seed, n_bootstrap=n, folder=tmp_path)
    assert [path.name for path in tmp_path.iterdir() if path.is_dir()] == [study.folder.name]


def test_a_parameter_that_no_file_can_hold_is_named(arrays, tmp_path):
    encoder = TanhEncoder().fit(*arrays[:4]).set_params(scales=(0.5, np.datetime64("2020-01-01")))
    with pytest.raises(TypeError, match=r"datetime.date\(2020, 1, 1\), in a parameter or in history_, cannot be saved"):
        encoder.save(tmp_path / "own.safetensors")
    assert not list(tmp_path.iterdir())
