import gc
import itertools
import os
import signal
from contextlib import contextmanager

# One thread each keeps small problems quick, workers out of each other's way, and results the same on any machine: said
# before anything that makes threads is imported, and to the processes that tests start.
for library in ("OMP", "MKL", "OPENBLAS"):
    os.environ[f"{library}_NUM_THREADS"] = "1"

import numpy as np  # noqa: E402
import pytest  # noqa: E402
import torch  # noqa: E402
import xarray as xr  # noqa: E402
from known_variables import look_up_once  # noqa: E402

from jne import EncodingDataset  # noqa: E402

torch.set_num_threads(1)
look_up_once()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers(config):
    """``-n auto`` is the cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def pytest_collection_finish():
    """What has been imported stays, and is not looked through for what could be freed."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session", autouse=True)
def results_of_fixtures(tmp_path_factory):
    """The folder that keeps what is made once for several tests: not that of a user's results."""
    folder = tmp_path_factory.mktemp("results")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("JNE_RESULTS", str(folder))
        yield folder


@pytest.fixture(scope="session")
def folders_of_tests(tmp_path_factory):
    """Numbered, without looking for those there are."""
    folder = tmp_path_factory.mktemp("results_of_tests")
    return (folder / str(number) for number in itertools.count())


@pytest.fixture(autouse=True)
def own_results(results_of_fixtures, folders_of_tests, monkeypatch):
    """Every test has its own results folder, unless its file says another: nothing is found that another test left."""
    if os.environ["JNE_RESULTS"] == str(results_of_fixtures):
        folder = next(folders_of_tests)
        folder.mkdir()
        monkeypatch.setenv("JNE_RESULTS", str(folder))


@contextmanager
def no_longer_than(seconds):
    """Whatever waits in the block is told so."""

    def late(*_):
        raise TimeoutError("it waits")

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def make_content(n_stimuli=60, n_voxels=8, seed=0) -> xr.Dataset:
    """Content of a small valid dataset: two layers, a planted linear response, areas, repeats."""
    rng = np.random.default_rng(seed)
    early, deep = (rng.normal(size=(n_stimuli, n)).astype("float32") for n in (4, 5))
    split = np.repeat(["train", "validation", "test"], [n_stimuli - 30, 10, 20])
    signal = deep @ rng.normal(size=(5, n_voxels))
    repeats = (signal[split == "test"][:, None] + rng.normal(size=(20, 3, n_voxels))).astype("float32")
    responses = (signal + rng.normal(size=signal.shape) / np.sqrt(3)).astype("float32")
    responses[split == "test"] = repeats.mean(axis=1)
    return xr.Dataset(
        {
            "early": (("stimulus", "feature_early"), early),
            "deep": (("stimulus", "feature_deep"), deep),
            "responses": (("stimulus", "voxel"), responses),
            "responses_repeats": (("test_stimulus", "repeat", "voxel"), repeats),
            "split": ("stimulus", split.astype(object)),
            "stimulus_id": ("stimulus", np.array([f"image{i:03d}" for i in range(n_stimuli)], object)),
            "roi": ("voxel", np.array(["V1", "V4"] * (n_voxels // 2), object)),
        },
        attrs={"name": "tiny", "default_layer": "deep", "synthetic": 1},
    )


@pytest.fixture
def tiny_content() -> xr.Dataset:
    return make_content()


@pytest.fixture
def tiny_dataset(tiny_content) -> EncodingDataset:
    return EncodingDataset(tiny_content)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item):
    """What a test of tests/plotting has drawn must have letters that a page can show; then its figures are closed."""
    if item.path.parent.name != "plotting":
        return (yield)
    from letters import check_letters
    from matplotlib import pyplot as plt

    try:
        yield
        check_letters()
    finally:
        plt.close("all")
