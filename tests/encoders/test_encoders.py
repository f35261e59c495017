from contextlib import nullcontext

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.linear_model import Ridge

from jne import EncodingDataset, ResidualEncoder, RidgeEncoder, jacobian, load_encoder, nonlinearity
from jne._core import read_tensors, write_tensors
from jne.accuracy import r2_score
from jne.encoders.residual import ACTIVATIONS


def make_arrays(n_features=6, n_voxels=5, n_train=300, n_val=80, noise=0.5, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(2, 3, (n_train + n_val, n_features)).astype(np.float32)
    signal = X @ rng.normal(size=(n_features, n_voxels)) / 3
    Y = (10 + signal + noise * rng.normal(size=signal.shape)).astype(np.float32)
    return X[:n_train], Y[:n_train], X[n_train:], Y[n_train:]


def small(**options):
    return ResidualEncoder(**{"hidden_size": 32, "max_epochs": 60, "lr": 3e-3, "device": "cpu", **options})


def test_early_stopping_returns_the_best_weights_not_the_last():
    X, Y, X_val, Y_val = make_arrays(n_train=40, noise=3.0)  # little data, much noise: it overfits at once
    encoder = small(hidden_size=128, max_epochs=200, lr=1e-2, patience=10).fit(X, Y, X_val, Y_val)
    losses = encoder.history_["validation_loss"]
    best = encoder.history_["best_epoch"]
    assert best == int(np.argmin(losses)) and len(losses) == best + 11
    loss = np.mean((encoder.scale_responses(encoder.predict(X_val)) - encoder.scale_responses(Y_val)) ** 2)
    assert loss == pytest.approx(losses[best], rel=1e-4)
    assert losses[-1] > 1.02 * losses[best]


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_every_activation_learns_the_planted_map(activation):
    arrays = make_arrays(n_train=600)
    encoder = small(activation=activation, max_epochs=150).fit(*arrays)
    X, Y, _, _ = make_arrays(n_train=600, seed=0)
    assert np.median(encoder.score(X, Y)) > 0.8


def test_the_network_is_the_papers_formula():
    encoder = small(n_blocks=2, max_epochs=2, activation="tanh").fit(*make_arrays())
    weights = {name: value.double() for name, value in encoder.module_.state_dict().items()}
    x = torch.randn(4, 6, dtype=torch.float64)
    h = torch.tanh(x @ weights["first.weight"].T)
    for block in range(2):
        h = torch.tanh(h @ weights[f"blocks.{block}.weight"].T) + h
    expected = h @ weights["readout.weight"].T
    torch.testing.assert_close(encoder.module_(x.float()).double(), expected, rtol=1e-5, atol=1e-6)
    assert set(weights) == {"first.weight", "blocks.0.weight", "blocks.1.weight", "readout.weight"}


def test_with_biases_the_network_is_equation_7_of_the_paper():
    encoder = small(bias=True, max_epochs=2, activation="tanh").fit(*make_arrays())
    weights = {name: value.double() for name, value in encoder.module_.state_dict().items()}
    layer = lambda name, h: h @ weights[f"{name}.weight"].T + weights[f"{name}.bias"]  # noqa: E731
    x = torch.randn(4, 6, dtype=torch.float64)
    h = torch.tanh(layer("first", x))
    for block in range(2):
        h = torch.tanh(layer(f"blocks.{block}", h)) + h
    torch.testing.assert_close(encoder.module_(x.float()).double(), layer("readout", h), rtol=1e-5, atol=1e-6)
    assert len(weights) == 8


@pytest.mark.parametrize(("optimizer", "decay"), [("adam", 0), ("adamw", 0.5)])
def test_the_first_step_is_that_of_the_named_optimizer(optimizer, decay):
    X, Y, X_val, Y_val = make_arrays()
    lr = 1e-3
    encoder = small(optimizer=optimizer, weight_decay=0.5, max_epochs=1, lr=lr, bias=True).fit(X, Y, X_val, Y_val)
    start = encoder.initial_module(X.shape[1], Y.shape[1])
    z, y = torch.from_numpy(encoder.scale_features(X)), torch.from_numpy(encoder.scale_responses(Y))
    torch.nn.functional.mse_loss(start(z), y).backward()
    for before, after in zip(start.parameters(), encoder.module_.parameters(), strict=True):
        # Of both, the first step of a weight is lr in the direction of its gradient; AdamW takes its decay off before.
        moved = before.detach() * (1 - lr * decay) - lr * before.grad / (before.grad.abs() + 1e-8)
        torch.testing.assert_close(after.detach(), moved, rtol=1e-4, atol=1e-6)


def test_equation_7_is_cloned_saved_and_loaded(tmp_path):
    X, Y, X_val, Y_val = make_arrays()
    encoder = clone(small(bias=True, optimizer="adam", max_epochs=5)).fit(X, Y, X_val, Y_val)
    again = load_encoder(encoder.save(tmp_path / "equation7.safetensors"))
    assert again.get_params() == encoder.get_params() and again.bias is True and again.optimizer == "adam"
    np.testing.assert_array_equal(again.predict(X_val), encoder.predict(X_val))
    assert "bias=True" in again.describe() and "optimizer='adam'" in again.describe()
    result = nonlinearity(encoder, X_val)
    assert result.path == "factorised" and result.differentiation == "products"


def test_a_file_from_before_there_were_biases_is_loaded(tmp_path):
    X, Y, X_val, Y_val = make_arrays()
    encoder = small(max_epochs=2).fit(X, Y, X_val, Y_val)
    header, tensors = read_tensors(encoder.save(tmp_path / "new.safetensors"))
    for name in ("bias", "optimizer"):
        del header["parameters"][name]
    old = load_encoder(write_tensors(tensors, header, tmp_path / "old.safetensors", where="in a parameter"))
    assert old.get_params() == encoder.get_params()
    np.testing.assert_array_equal(old.predict(X_val), encoder.predict(X_val))


def test_predictions_speak_the_callers_units():
    X, Y, X_val, Y_val = make_arrays()
    encoder = small().fit(X, Y, X_val, Y_val)
    scaled = small().fit(100 * X + 7, 5 * Y - 3, 100 * X_val + 7, 5 * Y_val - 3)
    np.testing.assert_allclose(scaled.predict(100 * X_val + 7), 5 * encoder.predict(X_val) - 3, rtol=1e-3, atol=1e-2)


def test_a_seed_gives_the_same_encoder_and_another_seed_another():
    arrays = make_arrays()
    first, again, other = (small(random_state=s, batch_size=64).fit(*arrays).predict(arrays[2]) for s in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).max() > 1e-3


def test_the_callers_random_state_is_left_alone():
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    small(max_epochs=1).fit(*make_arrays())
    assert torch.rand(1) == expected


@pytest.mark.parametrize("make", [small, RidgeEncoder])
@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_the_caller_may_have_switched_gradients_off(make, mode):
    arrays = make_arrays()
    expected = make().fit(*arrays).predict(arrays[2])
    with mode():
        encoder = make().fit(*arrays)
        np.testing.assert_array_equal(encoder.predict(arrays[2]), expected)
    assert np.abs(jacobian(encoder, arrays[2][:5])).max() > 0  # no tensor of it is bound to that mode


def test_the_order_of_minibatches_is_drawn_from_the_encoder_s_seed(monkeypatch):
    seeds, draw = [], torch.randperm
    monkeypatch.setattr(torch, "randperm", lambda n, generator: seeds.append(generator.initial_seed()) or draw(n))
    rng = np.random.default_rng(0)
    X, Y = rng.normal(size=(40, 3)), rng.normal(size=(40, 2))
    ResidualEncoder(4, batch_size=8, max_epochs=2, random_state=17, device="cpu").fit(X, Y, X[:9], Y[:9])
    assert seeds == [17, 17]


def test_minibatches_see_every_sample_once():
    arrays = make_arrays(n_train=100)
    encoder = small(batch_size=32, lr=0.0, max_epochs=1).fit(*arrays)
    full = small(lr=0.0, max_epochs=1).fit(*arrays)
    assert encoder.history_["train_loss"][0] == pytest.approx(full.history_["train_loss"][0], rel=1e-5)


@pytest.mark.parametrize("make", [small, RidgeEncoder])
def test_save_and_load_give_the_same_encoder(make, tmp_path):
    arrays = make_arrays()
    encoder = make().fit(*arrays)
    loaded = load_encoder(encoder.save(tmp_path / "encoder.safetensors"))
    np.testing.assert_array_equal(loaded.predict(arrays[2]), encoder.predict(arrays[2]))
    assert loaded.get_params() == encoder.get_params() and loaded.history_ == encoder.history_
    np.testing.assert_array_equal(loaded.covariance_, encoder.covariance_)
    assert type(encoder).load(tmp_path / "encoder.safetensors").get_params() == encoder.get_params()


def test_files_that_are_no_encoder_are_named(tmp_path):
    path = tmp_path / "broken.safetensors"
    small(max_epochs=1).fit(*make_arrays()).save(path)
    with pytest.raises(ValueError, match="holds a ResidualEncoder, not a RidgeEncoder"):
        RidgeEncoder.load(path)
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(ValueError, match=r"broken\.safetensors .* cannot be read as a safetensors file"):
        load_encoder(path)


@pytest.mark.parametrize("sizes", [{}, {"n_features": 90, "n_train": 60, "n_val": 20}])
def test_ridge_equals_scikit_learn_at_the_chosen_alpha(sizes):
    X, Y, X_val, Y_val = make_arrays(**sizes)
    encoder = RidgeEncoder(alphas=[1.0, 100.0]).fit(X, Y, X_val, Y_val)
    pool, target = np.concatenate([X, X_val]), np.concatenate([Y, Y_val])
    z = encoder.scale_features(pool)
    for voxel, alpha in enumerate(encoder.history_["alpha"]):
        oracle = Ridge(alpha=alpha).fit(z, target[:, voxel])
        np.testing.assert_allclose(encoder.predict(pool)[:, voxel], oracle.predict(z), rtol=1e-4, atol=1e-3)


def test_ridge_regularises_noise_more_than_signal():
    X, Y, X_val, Y_val = make_arrays(n_train=60)
    Y[:, 0], Y_val[:, 0] = (
        np.random.default_rng(0).normal(size=(2, 80))[0, :60],
        np.random.default_rng(1).normal(size=80),
    )
    alpha = RidgeEncoder().fit(X, Y, X_val, Y_val).history_["alpha"]
    assert alpha[0] > max(alpha[1:])


@pytest.mark.parametrize("n_train", [300, 4])
def test_the_covariance_is_that_of_the_zscored_training_features(n_train):
    arrays = make_arrays(n_train=n_train)
    encoder = small(max_epochs=1).fit(*arrays)
    factor = encoder.covariance_
    covariance = factor if n_train >= 6 else factor @ factor.T
    np.testing.assert_allclose(covariance, np.corrcoef(arrays[0].T), atol=1e-4)


def test_a_dataset_is_read_by_split_and_layer(tiny_dataset):
    data: EncodingDataset = tiny_dataset
    encoder = small().fit(data, layer="deep")
    assert encoder.layer_ == "deep"
    expected = r2_score(data.responses("test"), encoder.predict(data.features("test", "deep")))
    np.testing.assert_array_equal(encoder.score(data), expected)


def bad(change):
    arrays = dict(zip(("X", "Y", "X_val", "Y_val"), make_arrays(), strict=True))
    change(arrays)
    return list(arrays.values())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda a: a.update(Y=a["Y"][:-1]), "X has 300 samples and Y has 299"),
        (lambda a: a.update(Y_val=a["Y_val"][:-1]), "X_val has 80 samples and Y_val has 79"),
        (lambda a: a.update(X_val=a["X_val"][:, 1:]), "X has 6 features and X_val has 5"),
        (lambda a: a.update(Y_val=a["Y_val"][:, 1:]), "Y has 5 voxels and Y_val has 4"),
        (lambda a: a["X"].__setitem__((0, 0), np.nan), "X holds 1 non-finite values of 1800"),
        (lambda a: a["Y"].__setitem__((0, 0), np.inf), "Y holds 1 non-finite values of 1500"),
        (lambda a: a["Y"].__setitem__((slice(None), 2), 1), "1 of 5 voxels have a constant training response.*voxel 2"),
        (lambda a: a.update(X=a["X"][:, 0]), r"X has shape \(300,\)"),
        (lambda a: a.update(Y=None), "four arrays"),
    ],
)
@pytest.mark.parametrize("make", [small, RidgeEncoder])
def test_bad_training_data_is_named(make, change, message):
    with pytest.raises(ValueError, match=message):
        make().fit(*bad(change))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"activation": "swish"}, "activation='swish'; accepted are 'relu'"),
        ({"optimizer": "sgd"}, "optimizer='sgd'; accepted are 'adamw', 'adam'"),
        ({"bias": 1}, "bias=1 is not a truth value"),
        ({"hidden_size": 0}, "hidden_size=0"),
        ({"patience": 0}, "patience=0"),
        ({"n_blocks": -1}, "n_blocks=-1"),
    ],
)
def test_bad_parameters_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        small(**options)


def test_an_exploding_loss_says_what_to_do():
    with pytest.raises(ValueError, match="lower lr"):
        small(lr=1e30, activation="relu").fit(*make_arrays())


def test_an_unfitted_encoder_says_so(tmp_path):
    with pytest.raises(ValueError, match="not fitted"):
        small().predict(np.ones((2, 6)))
    with pytest.raises(ValueError, match="not fitted"):
        small().save(tmp_path / "x")
    encoder = small(max_epochs=1).fit(*make_arrays())
    with pytest.raises(ValueError, match=r"\(3, 5\).*\(n_samples, 6\)"):
        encoder.predict(np.ones((3, 5)))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA card")
def test_cuda_gives_the_same_encoder():
    arrays = make_arrays()
    cpu = small(max_epochs=5).fit(*arrays).predict(arrays[2])
    cuda = small(max_epochs=5, device="cuda").fit(*arrays).predict(arrays[2])
    np.testing.assert_allclose(cuda, cpu, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("make", [lambda: small(max_epochs=20), RidgeEncoder])
def test_cross_predictions_never_saw_their_fold(make, tiny_content):
    folds = np.arange(60) % 5
    content = tiny_content.drop_vars(["split", "responses_repeats"]).assign(fold=("stimulus", folds))
    predictions = make().cross_predict(EncodingDataset(content))
    assert np.median(r2_score(content.responses.values, predictions)) > 0.3
    # Other responses in one fold cannot change that fold's own predictions, but they change the others'.
    changed = content.copy(deep=True)
    changed["responses"][folds == 2] = 5 * changed["responses"][folds == 2] + 1
    after = make().cross_predict(EncodingDataset(changed))
    np.testing.assert_array_equal(after[folds == 2], predictions[folds == 2])
    assert np.abs(after[folds != 2] - predictions[folds != 2]).max() > 0.1


def test_cross_predictions_are_made_with_the_encoder_s_own_parameters(tiny_content):
    folds = np.arange(60) % 5
    content = tiny_content.drop_vars(["split", "responses_repeats"]).assign(fold=("stimulus", folds))
    predictions, Y = RidgeEncoder(alphas=[1e12]).cross_predict(EncodingDataset(content)), content["responses"].values
    # Of so much regularisation only the mean of the other folds is left.
    for fold in range(5):
        expected = np.broadcast_to(Y[folds != fold].mean(axis=0), (12, Y.shape[1]))
        np.testing.assert_allclose(predictions[folds == fold], expected, atol=1e-4)


def test_ridge_chooses_its_regularisation_over_the_datasets_own_folds(tiny_content):
    # Fold means differ in X and Y alike: only folds that keep them together see that this does not generalise.
    rng = np.random.default_rng(0)
    folds = np.repeat(np.arange(15), 4)
    shift = rng.normal(size=(15, 5))[folds] * 3
    content = tiny_content.drop_vars(["split", "responses_repeats"]).assign(fold=("stimulus", folds))
    content["deep"] = content["deep"] * 0.3 + shift
    content["responses"].values[:] = rng.normal(size=(15, 8))[folds] * 3 + 0.3 * rng.normal(size=(60, 8))
    grouped = RidgeEncoder().fit(EncodingDataset(content)).history_["alpha"]
    X, Y = content["deep"].values, content["responses"].values
    shuffled = RidgeEncoder().fit(X[4:], Y[4:], X[:4], Y[:4]).history_["alpha"]
    assert np.median(grouped) > 10 * np.median(shuffled)


def test_a_dataset_with_a_split_has_no_cross_predictions(tiny_dataset):
    with pytest.raises(ValueError, match="has a split and no folds"):
        small().cross_predict(tiny_dataset)


@pytest.mark.parametrize(("batch_size", "in_a_step"), [(50, 50), (None, 300), (1000, 300)])
def test_threads_are_counted_for_the_work_of_one_step(batch_size, in_a_step, monkeypatch):
    works = []
    monkeypatch.setattr("jne.encoders.residual.threads_for", lambda work: works.append(work) or nullcontext())
    small(batch_size=batch_size, max_epochs=1).fit(*make_arrays(n_features=6, n_voxels=5, n_train=300))
    assert works == [(6 * 32 + 2 * 32 * 32 + 32 * 5) * in_a_step]


def test_ridge_chooses_from_powers_of_ten_unless_told_otherwise():
    np.testing.assert_allclose(RidgeEncoder().alphas, [0.1, 1, 10, 100, 1e3, 1e4, 1e5, 1e6], rtol=1e-12)


@pytest.mark.parametrize("make", [lambda: small(max_epochs=2), RidgeEncoder])
def test_a_feature_that_never_varies_in_training_carries_nothing(make):
    X, Y, X_val, Y_val = make_arrays()
    X[:, 2] = X_val[:, 2] = 7
    encoder = make().fit(X, Y, X_val, Y_val)
    assert not encoder.scale_features(X)[:, 2].any() and np.isfinite(encoder.predict(X_val)).all()
