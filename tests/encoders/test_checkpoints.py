"""Fits that resume: wherever they are stopped, they end with the weights of one that was not, byte for byte."""

import os
import textwrap
import time
import warnings
from functools import partial

import copies
import numpy as np
import pytest
import torch
import xarray as xr

from jne import EncodingDataset, ResidualEncoder, run_study
from jne._core import DiskFullError, read_tensors
from jne.encoders import checkpoints, residual

OPTIONS = {"hidden_size": 16, "max_epochs": 12, "patience": 3, "lr": 1e-2, "device": "cpu", "random_state": 3}


class Killed(BaseException):
    """What no handler of an error catches, as a signal would end it."""


@pytest.fixture
def arrays():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(150, 6)).astype(np.float32)
    Y = (np.abs(X @ rng.normal(size=(6, 5))) + rng.normal(size=(150, 5))).astype(np.float32)
    return X[:100], Y[:100], X[100:], Y[100:]


@pytest.fixture
def always(monkeypatch):
    """A checkpoint after every epoch."""
    monkeypatch.setattr(checkpoints, "SECONDS", 0)
    monkeypatch.setattr(checkpoints, "SHARE", float("inf"))


def content(encoder, path):
    return encoder.save(path).read_bytes()


def kill(monkeypatch, calls, fit, what=(ResidualEncoder, "_epoch")):
    """Run a fit that is killed at the next call of a function (an epoch) after so many."""
    left, function = [calls], getattr(*what)

    def counted(*given, **options):
        left[0] -= 1
        if left[0] < 0:
            raise Killed
        return function(*given, **options)

    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(*what, counted)
        fit()


EPOCH, IN_WRITING = (ResidualEncoder, "_epoch"), (os, "replace")


@pytest.mark.usefixtures("always")
@pytest.mark.parametrize(
    "options", [{"patience": 40}, {"patience": 40, "batch_size": 32}, {"patience": 8, "n_blocks": 0, "lr": 3e-3}]
)
def test_a_fit_killed_ten_times_ends_with_the_same_bytes(options, arrays, tmp_path, monkeypatch):
    options = {**OPTIONS, "max_epochs": 40, **options}
    encoder = ResidualEncoder(**options).fit(*arrays)
    expected, n_epochs = content(encoder, tmp_path / "whole"), len(encoder.history_["train_loss"])
    moments = np.random.default_rng(0).integers(0, 4, 10)
    assert moments.sum() < n_epochs
    for number, moment in enumerate(moments):
        where = IN_WRITING if number % 3 == 2 else EPOCH
        fit = partial(ResidualEncoder(**options).fit, *arrays, folder=tmp_path / "fits")
        kill(monkeypatch, moment, fit, where)
    again = ResidualEncoder(**options).fit(*arrays, folder=tmp_path / "fits")
    assert content(again, tmp_path / "again") == expected and again.history_ == encoder.history_
    assert len(list((tmp_path / "fits").iterdir())) == 1


@pytest.mark.usefixtures("always")
def test_a_finished_fit_is_read_and_runs_no_epoch(arrays, tmp_path, monkeypatch):
    expected = content(ResidualEncoder(**OPTIONS).fit(*arrays, folder=tmp_path / "fits"), tmp_path / "a")
    (path,) = (tmp_path / "fits").iterdir()
    assert not [name for name in read_tensors(path)[1] if not name.startswith("best.")]
    monkeypatch.setattr(ResidualEncoder, "_epoch", None)
    assert content(ResidualEncoder(**OPTIONS).fit(*arrays, folder=tmp_path / "fits"), tmp_path / "b") == expected


@pytest.mark.usefixtures("always")
def test_a_checkpoint_belongs_to_its_data_and_parameters(arrays, tmp_path, monkeypatch):
    folder = tmp_path / "fits"
    kill(monkeypatch, 3, lambda: ResidualEncoder(**OPTIONS).fit(*arrays, folder=folder))
    X, Y, X_val, Y_val = arrays
    others = {
        "seed": (OPTIONS | {"random_state": 4}, arrays),
        "rate": (OPTIONS | {"lr": 0.02}, arrays),
        "responses": (OPTIONS, (X, Y[::-1].copy(), X_val, Y_val)),
        "validation": (OPTIONS, (X, Y, X_val, Y_val + 1)),
    }
    for name, (options, given) in others.items():
        expected = content(ResidualEncoder(**options).fit(*given), tmp_path / "expected")
        found = content(ResidualEncoder(**options).fit(*given, folder=folder), tmp_path / "found")
        assert found == expected, name
    assert len(list(folder.iterdir())) == 5
    monkeypatch.setattr(checkpoints, "code_hash", lambda kind: "other code")
    kill(monkeypatch, 0, lambda: ResidualEncoder(**OPTIONS).fit(*arrays, folder=folder))


def flipped(path, place):
    damaged = bytearray(path.read_bytes())
    damaged[place] ^= 1
    path.write_bytes(damaged)


DAMAGE = {
    "one bit of a weight": lambda path: flipped(path, -5),
    "one digit of the history": lambda path: flipped(path, path.read_bytes().index(b"train_loss") + 20),
    "half of it": lambda path: path.write_bytes(path.read_bytes()[: path.stat().st_size // 2]),
    "nothing in it": lambda path: path.write_bytes(b""),
    "an encoder": lambda path: ResidualEncoder(max_epochs=1).fit(*[np.eye(5, dtype="f4")] * 4).save(path),
    "a folder": lambda path: (path.unlink(), path.mkdir()),
}


@pytest.mark.usefixtures("always")
@pytest.mark.filterwarnings("ignore:no checkpoint was written")  # where a folder has its name
@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_a_damaged_checkpoint_is_named_and_the_fit_starts_again(damage, arrays, tmp_path, monkeypatch):
    expected = content(ResidualEncoder(**OPTIONS).fit(*arrays), tmp_path / "whole")
    kill(monkeypatch, 3, lambda: ResidualEncoder(**OPTIONS).fit(*arrays, folder=tmp_path / "fits"))
    (path,) = (tmp_path / "fits").iterdir()
    damage(path)
    with pytest.warns(UserWarning, match=rf"{path.name}.*; the fit starts again"):
        encoder = ResidualEncoder(**OPTIONS).fit(*arrays, folder=tmp_path / "fits")
    assert content(encoder, tmp_path / "again") == expected


@pytest.mark.usefixtures("always")
def test_a_full_disk_costs_the_checkpoint_and_not_the_fit(arrays, tmp_path, monkeypatch):
    def full(*given, **options):
        raise DiskFullError(tmp_path / "x", 10**15)

    expected = content(ResidualEncoder(**OPTIONS).fit(*arrays), tmp_path / "whole")
    monkeypatch.setattr(checkpoints, "write_tensors", full)
    with pytest.warns(UserWarning, match="no checkpoint was written, and the fit goes on: no space left"):
        encoder = ResidualEncoder(**OPTIONS).fit(*arrays, folder=tmp_path / "fits")
    assert content(encoder, tmp_path / "again") == expected


def test_short_fits_write_nothing_and_checkpoints_have_their_share_of_the_time(arrays, tmp_path, monkeypatch):
    ResidualEncoder(**OPTIONS).fit(*arrays, folder=tmp_path / "fits")
    assert not (tmp_path / "fits").exists()
    now, written = [0.0], []
    monkeypatch.setattr(checkpoints.time, "monotonic", lambda: now[0])

    def write(run, path):
        written.append((now[0], run.finished))
        now[0] += 2.0  # seconds that a checkpoint takes

    def epoch(*given):
        now[0] += 10.0
        return 0.0

    monkeypatch.setattr(checkpoints, "_write", write)
    monkeypatch.setattr(ResidualEncoder, "_epoch", epoch)
    monkeypatch.setattr(residual.nn.functional, "mse_loss", lambda *given: torch.tensor(1 / (1 + now[0])))
    ResidualEncoder(**OPTIONS | {"max_epochs": 60}).fit(*arrays, folder=tmp_path / "fits")
    # The first after half a minute, the next when 2 s are a hundredth of what has passed since.
    assert written == [(30.0, False), (232.0, False), (434.0, False)]


@pytest.mark.usefixtures("always")
def test_a_study_killed_in_its_fits_ends_with_the_same_files(tiny_dataset, tmp_path, monkeypatch):
    options = {key: value for key, value in OPTIONS.items() if key != "random_state"}

    def study(folder):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of few bootstraps
            return run_study(tiny_dataset, encoder_options=options, n_bootstrap=10, folder=tmp_path / folder)

    whole, settings = study("whole"), {"n_splits": 1, "n_groups": 4, "refit": False}
    for epochs in (2, 9):
        kill(monkeypatch, epochs, lambda: study("killed"))
    again = study("killed")
    for epochs in (4, 5):
        kill(monkeypatch, epochs, lambda: again.crossfit(**settings))
    xr.testing.assert_equal(again.crossfit(**settings), whole.crossfit(**settings))
    for name in ("nonlinear.safetensors", "linear.safetensors"):
        assert (again.folder / name).read_bytes() == (whole.folder / name).read_bytes()
    assert not list((tmp_path / "killed").rglob("*.fits"))


@pytest.mark.usefixtures("always")
def test_folds_resume_too(tiny_content, tmp_path, monkeypatch):
    folds = tiny_content.drop_vars(["split", "responses_repeats"]).assign(fold=("stimulus", np.arange(60) % 3))
    data, encoder = EncodingDataset(folds), ResidualEncoder(**OPTIONS)
    expected = encoder.cross_predict(data)
    for epochs in (3, 7, 7):
        kill(monkeypatch, epochs, lambda: encoder.cross_predict(data, folder=tmp_path))
    np.testing.assert_array_equal(encoder.cross_predict(data, folder=tmp_path), expected)


@pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
def test_a_process_that_is_killed_at_any_moment_goes_on(arrays, tmp_path, monkeypatch):
    options = {**OPTIONS, "max_epochs": 40, "patience": 40, "batch_size": 10}
    np.savez(tmp_path / "arrays.npz", *arrays)
    script = f"""
        import numpy as np
        from jne import ResidualEncoder
        from jne.encoders import checkpoints
        checkpoints.SECONDS, checkpoints.SHARE = 0, float("inf")
        epoch = ResidualEncoder._epoch
        ResidualEncoder._epoch = lambda *given: open("epochs", "a").write(".") and epoch(*given)
        ResidualEncoder(**{options}).fit(*np.load("arrays.npz").values(), folder="fits")
    """
    begun, deadline = tmp_path / "epochs", time.monotonic() + 60
    process = copies.start(textwrap.dedent(script), folder=tmp_path)
    while not begun.exists() or begun.stat().st_size < 9:
        assert process.is_alive() and time.monotonic() < deadline
        time.sleep(0.002)
    process.kill()  # wherever it is: in an epoch, or in writing
    process.join()
    n_epochs, epoch = [], ResidualEncoder._epoch
    monkeypatch.setattr(ResidualEncoder, "_epoch", lambda *given: n_epochs.append(1) or epoch(*given))
    again = ResidualEncoder(**options).fit(*arrays, folder=tmp_path / "fits")
    assert len(n_epochs) <= 40 - 8
    assert content(again, tmp_path / "a") == content(ResidualEncoder(**options).fit(*arrays), tmp_path / "b")
