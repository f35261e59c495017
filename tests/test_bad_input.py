"""Everything that may be wrong with what a person hands us: one clear message each, and nothing written."""

import errno
import os
import platform
import re
import signal
import zipfile
from pathlib import Path

import copies
import numpy as np
import pytest
import xarray as xr
from click.testing import CliRunner
from conftest import make_content
from PIL import Image

import jne
from jne.cli import main

N_IMAGES, N_UNITS = 20, 4


def good_inputs(folder: Path) -> dict[str, Path]:
    """Files of every kind, all well: images, responses, repeats, arrays, a dataset."""
    rng = np.random.default_rng(0)
    (folder / "images").mkdir()
    for i in range(N_IMAGES):
        Image.fromarray(rng.integers(0, 255, (16, 16, 3), np.uint8)).save(folder / "images" / f"image{i}.png")
    repeats = rng.normal(size=(N_IMAGES, N_UNITS, 3))
    np.save(folder / "repeats.npy", repeats)
    np.save(folder / "responses.npy", repeats.mean(axis=2))
    arrays = {
        "x": rng.normal(size=(30, 5)), "y": rng.normal(size=(30, 6)), "roi": np.array(list("AABBCC")),
        "index": np.array([0, 0, 1, 1, 2, 2]), "names": np.array(["A", "B", "C"]), "fold": np.arange(30) % 5,
        "split": np.repeat(["train", "validation", "test"], [20, 4, 6]), "id": np.arange(30).astype(str),
        "ceiling": np.full(6, 0.5), "repeats": rng.normal(size=(30, 2, 6)),
    }  # fmt: skip
    arrays["repeats"] = arrays["y"][:, None] + 0.3 * arrays["repeats"]
    np.savez(folder / "arrays.npz", **arrays)
    make_content().to_netcdf(folder / "data.nc", engine="h5netcdf")
    return {name: folder / name for name in ("images", "responses.npy", "repeats.npy", "arrays.npz", "data.nc")}


@pytest.fixture
def folder(tmp_path):
    good_inputs(tmp_path)
    return tmp_path


def edit_npy(name, change):
    def do(folder):
        array = np.load(folder / name)
        np.save(folder / name, change(array))

    return do


def put(*where, value):
    def change(array):
        array[where] = value
        return array

    return change


def edit_arrays(**changes):
    def do(folder):
        with np.load(folder / "arrays.npz") as file:
            arrays = dict(file)
        for name, change in changes.items():
            arrays[name] = change(arrays[name])
        np.savez(folder / "arrays.npz", **arrays)

    return do


def edit_data(change):
    def do(folder):
        content = change(make_content())
        content.to_netcdf(folder / "data.nc", engine="h5netcdf")

    return do


def truncate(name, share=0.6):
    def do(folder):
        content = (folder / name).read_bytes()
        (folder / name).write_bytes(content[: int(len(content) * share)])

    return do


def overwrite(name, content=b"not what the name says"):
    return lambda folder: (folder / name).write_bytes(content)


def truncated_zip(folder):
    with zipfile.ZipFile(folder / "images.zip", "w") as file:
        for image in sorted((folder / "images").iterdir()):
            file.write(image, image.name)
    truncate("images.zip")(folder)


def no_images(folder):
    for image in (folder / "images").iterdir():
        image.unlink()


def blocked_out(folder):
    (folder / "out.nc").mkdir()


def nothing(folder):
    pass


def images(*options, responses="responses.npy", source="images"):
    return ["prepare", "images", "--images", source, "--responses", responses, "--out", "out.nc", *options]


def arrays(mapping="features=x,responses=y", *options, source="arrays.npz"):
    return ["prepare", "arrays", "--input", source, "--map", mapping, "--out", "out.nc", *options]


REPEATS = images("--repeats", "repeats.npy")
INFO, VALIDATE = ["info", "data.nc"], ["validate", "data.nc"]

BAD = {
    "images: no such folder": (nothing, images(source="absent"), r"absent"),
    "images: empty folder": (no_images, images(), r"images.*(no|0) image"),
    "images: truncated zip": (truncated_zip, images(source="images.zip"), r"images\.zip"),
    "images: one does not decode": (overwrite("images/image7.png"), images(), r"image7\.png"),
    "images: one is cut short": (truncate("images/image3.png"), images(), r"image3\.png"),
    "responses: no such file": (nothing, images(responses="absent.npy"), r"no file absent\.npy"),
    "responses: another kind of file": (overwrite("responses.npy"), images(), r"responses\.npy \(22 bytes\) is not a"),
    "responses: truncated": (truncate("responses.npy"), images(), r"responses\.npy \(\d+ bytes\) is not a whole \.npy"),
    "responses: Python objects": (edit_npy("responses.npy", lambda a: a.astype(object)), images(), r"responses\.npy"),
    "responses: text": (edit_npy("responses.npy", lambda a: a.astype(str)), images(), r"responses\.npy.*type"),
    "responses: one dimension": (edit_npy("responses.npy", lambda a: a[:, 0]), images(), r"shape \(20,\)"),
    "responses: other count": (edit_npy("responses.npy", lambda a: a[:-1]), images(), r"\(19, 4\).*20 images"),
    "responses: square": (
        edit_npy("responses.npy", lambda a: np.ones((20, 20))),
        images(),
        r"\(20, 20\).*--units-first",
    ),
    "responses: wrong way round": (nothing, images("--units-first"), r"\(20, 4\).*20"),
    "responses: NaN": (
        edit_npy("responses.npy", put(3, 2, value=np.nan)),
        images(),
        r"1 of 4 units.*non-finite.*unit 2",
    ),
    "responses: infinite": (edit_npy("responses.npy", put(3, 1, value=np.inf)), images(), r"1 of 4 units.*unit 1"),
    "responses: constant": (
        edit_npy("responses.npy", put(slice(None), 3, value=1)),
        images(),
        r"1 of 4.*constant.*unit 3",
    ),
    "responses: all constant": (
        edit_npy("responses.npy", np.ones_like),
        images("--drop-bad-voxels"),
        r"all 4 units.*nothing is left",
    ),
    "repeats: other units": (
        edit_npy("repeats.npy", lambda a: a[:, :3]),
        REPEATS,
        r"\(20, 3, 3\).*4 units and 20 images",
    ),
    "repeats: two dimensions": (edit_npy("repeats.npy", lambda a: a[..., 0]), REPEATS, r"repeats.*shape \(20, 4\)"),
    "repeats: one only": (edit_npy("repeats.npy", lambda a: a[..., :1]), REPEATS, r"at most 1 repeats.*needed: 2"),
    "repeats: infinite": (edit_npy("repeats.npy", put(0, 0, 0, value=np.inf)), REPEATS, r"1 infinite values of 240"),
    "repeats: of other images": (edit_npy("repeats.npy", lambda a: a[::-1]), REPEATS, r"correlate.*another order"),
    "split: too few test stimuli": (nothing, images("--test-fraction", "0.05"), r"1 test .*needed: at least 3"),
    "split: more than all": (nothing, images("--test-fraction", "1.5"), r"test_fraction=1\.5"),
    "out: a folder": (blocked_out, images(), r"out\.nc is a folder"),
    "out: another ending": (nothing, [*images()[:-1], "out.csv"], r"out\.csv ends in '\.csv'"),
    "arrays: no such file": (nothing, arrays(source="absent.npz"), r"no file absent\.npz"),
    "arrays: truncated": (truncate("arrays.npz"), arrays(), r"arrays\.npz \(\d+ bytes\) cannot be read"),
    "arrays: another kind of file": (overwrite("arrays.npz"), arrays(), r"arrays\.npz \(22 bytes\) cannot be read"),
    "arrays: unknown ending": (overwrite("a.dat"), arrays(source="a.dat"), r"'\.dat'; accepted are \.npz, \.h5"),
    "arrays: foreign HDF5": (overwrite("a.h5"), arrays(source="a.h5"), r"a\.h5 \(22 bytes\) cannot be read"),
    "arrays: Python objects": (edit_arrays(x=lambda a: a.astype(object)), arrays(), r"holds Python objects"),
    "map: unknown role": (nothing, arrays("features=x,betas=y"), r"'betas' is not a role; accepted are features"),
    "map: no equals sign": (nothing, arrays("features"), r"'features' is not of the form ROLE=ARRAY"),
    "map: role twice": (nothing, arrays("features=x,responses=y,responses=y"), r"responses is given 2 times"),
    "map: no features": (nothing, arrays("responses=y"), r"features is missing"),
    "map: no responses": (nothing, arrays("features=x"), r"responses is missing"),
    "map: no such array": (nothing, arrays("features=z,responses=y"), r"no array 'z'; it has x, y"),
    "features: one dimension": (edit_arrays(x=lambda a: a[:, 0]), arrays(), r"features x.*shape \(30,\)"),
    "features: text": (edit_arrays(x=lambda a: a.astype(str)), arrays(), r"features x.*needed: real numbers"),
    "features: NaN": (edit_arrays(x=put(0, 1, value=np.nan)), arrays(), r"variable x: 1 non-finite values of 150"),
    "features: infinite": (edit_arrays(x=put(0, 1, value=np.inf)), arrays(), r"variable x: 1 non-finite values of 150"),
    "features: all constant": (edit_arrays(x=np.zeros_like), arrays(), r"variable x: all 5 features are constant"),
    "arrays: counts do not match": (edit_arrays(y=lambda a: a[:-1]), arrays(), r"\(29, 6\).*30 stimuli"),
    "arrays: square": (edit_arrays(y=lambda a: np.ones((30, 30))), arrays(), r"\(30, 30\).*--stimuli-first"),
    "arrays: NaN response": (edit_arrays(y=put(2, 5, value=np.nan)), arrays(), r"1 of 6 units.*unit 5"),
    "arrays: constant voxel": (edit_arrays(y=put(slice(None), 0, value=7)), arrays(), r"1 of 6.*constant.*unit 0"),
    "roi: other count": (
        edit_arrays(roi=lambda a: a[:5]),
        arrays("features=x,responses=y,roi=roi"),
        r"roi.*5 along the voxel axis.*6 voxels",
    ),
    "roi: out of its names": (
        edit_arrays(index=put(0, value=9)),
        arrays("features=x,responses=y,roi=index,roi_names=names"),
        r"0 to 9.*3 areas",
    ),
    "roi: an area with no voxel": (
        edit_arrays(index=lambda a: np.minimum(a, 1)),
        arrays("features=x,responses=y,roi=index,roi_names=names"),
        r"1 of 3 areas have no voxel \(C\)",
    ),
    "roi: names without numbers": (nothing, arrays("features=x,responses=y,roi_names=names"), r"needs an integer roi"),
    "split: a stimulus in two": (
        edit_arrays(id=put(29, value="0")),
        arrays("features=x,responses=y,split=split,stimulus_id=id"),
        r"1 stimuli are in more than one split \(first: 0\)",
    ),
    "split: unknown name": (
        edit_arrays(split=put(0, value="dev")),
        arrays("features=x,responses=y,split=split"),
        r"\['dev'\]; accepted are train",
    ),
    "split: two test stimuli": (
        edit_arrays(split=lambda a: np.where(np.arange(30) < 28, "train", a)),
        arrays("features=x,responses=y,split=split"),
        r"2 test stimuli, needed: at least 3",
    ),
    "fold: two only": (
        edit_arrays(fold=lambda a: a % 2),
        arrays("features=x,responses=y,fold=fold"),
        r"2 different values, needed: at least 3",
    ),
    "ceiling: above one": (
        edit_arrays(ceiling=put(1, value=1.5)),
        arrays("features=x,responses=y,noise_ceiling=ceiling"),
        r"1 of 6 .*\[0, 1\]",
    ),
    "repeats: two axes": (
        edit_arrays(repeats=lambda a: a[:, 0]),
        arrays("features=x,responses=y,repeats=repeats"),
        r"repeats.*shape \(30, 6\)",
    ),
    "layer: no such default": (
        nothing,
        arrays("features=x,responses=y", "--default-layer", "z"),
        r"default_layer is 'z'",
    ),
    "dataset: no such file": (nothing, ["info", "absent.nc"], r"no dataset file absent\.nc"),
    "dataset: truncated": (truncate("data.nc", 0.3), INFO, r"data\.nc \(\d+ bytes\) cannot be read.*truncated"),
    "dataset: another kind of file": (overwrite("data.nc"), VALIDATE, r"data\.nc \(22 bytes\) cannot be read"),
    "dataset: no responses": (edit_data(lambda c: c.drop_vars("responses")), INFO, r"variable responses .* is missing"),
    "dataset: no feature layer": (edit_data(lambda c: c.drop_vars(["early", "deep"])), VALIDATE, r"no feature layer"),
    "dataset: neither split nor fold": (edit_data(lambda c: c.drop_vars("split")), VALIDATE, r"neither split nor fold"),
    "dataset: repeats of other stimuli": (
        edit_data(lambda c: c.isel(test_stimulus=slice(5))),
        VALIDATE,
        r"\(5, 3, 8\), needed: \(20, 'n_repeats', 8\)",
    ),
    "dataset: NaN inside": (
        edit_data(lambda c: c.assign(deep=c.deep.where(c.deep < 2))),
        VALIDATE,
        r"variable deep: \d+ non-finite",
    ),
}


@pytest.mark.parametrize("kind", BAD)
def test_bad_input_is_named_and_nothing_is_written(kind, folder, monkeypatch):
    prepare, command, message = BAD[kind]
    monkeypatch.chdir(folder)
    prepare(folder)
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}
    result = CliRunner().invoke(main, command)
    assert result.exit_code == 1, result.output
    assert isinstance(result.exception, SystemExit), result.exception
    output = " ".join(result.output.split())
    assert re.search(message, output), output
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()} == before


def test_the_inputs_are_good_before_they_are_made_bad(folder, monkeypatch):
    monkeypatch.chdir(folder)
    everything = "features=x,responses=y,roi=index,roi_names=names,stimulus_id=id,noise_ceiling=ceiling,repeats=repeats"
    for command in (arrays(everything + ",split=split"), arrays("features=x,responses=y,fold=fold"), INFO, VALIDATE):
        result = CliRunner().invoke(main, command)
        assert result.exit_code == 0, result.output
    assert jne.load_dataset("out.nc").folds is not None


def test_validate_lists_every_violation_at_once(folder, monkeypatch):
    monkeypatch.chdir(folder)
    content = make_content()
    content["responses"].values[:, 2] = 4
    content["deep"].values[1, 1] = np.nan
    content["split"].values[0] = "dev"
    content.to_netcdf("data.nc", engine="h5netcdf")
    result = CliRunner().invoke(main, VALIDATE)
    assert result.exit_code == 1 and "breaks the format in 3 ways" in result.output
    assert result.output.count("\n- ") + result.output.startswith("- ") == 3


def test_bad_voxels_are_dropped_on_request_and_counted(folder, monkeypatch):
    monkeypatch.chdir(folder)
    edit_arrays(y=lambda a: put(slice(None), 0, value=7)(put(2, 5, value=np.nan)(a)))(folder)
    result = CliRunner().invoke(main, arrays("features=x,responses=y,roi=roi", "--drop-bad-voxels"))
    assert result.exit_code == 0 and "Left out: 2 voxels" in result.output
    data = jne.load_dataset("out.nc")
    assert data.n_voxels == 4 and list(data.get("roi")) == ["A", "B", "B", "C"]
    assert data.attrs["n_dropped_voxels"] == 2 and data.attrs["dropped_voxels"] == "0, 5"


def test_a_full_disk_is_named_and_leaves_nothing(folder, monkeypatch):
    def full(self, path, **options):
        path.write(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.chdir(folder)
    monkeypatch.setattr(xr.Dataset, "to_netcdf", full)
    result = CliRunner().invoke(main, arrays())
    assert result.exit_code == 1 and "no space left on the disk while writing out.nc" in result.output
    assert not list(folder.glob("*out.nc*")) and not list(folder.glob(".*"))


KILLED = """
import os, signal, sys
from pathlib import Path
import numpy as np, safetensors.torch, xarray as xr
import jne, jne._core.tensor_files
from jne.cli import main

stage, folder = sys.argv[1:]
os.chdir(folder)

def half(path):
    path.write(b"half a file") if hasattr(path, "write") else Path(path).write_bytes(b"half a file")
    os.kill(os.getpid(), signal.SIGKILL)

write = xr.Dataset.to_netcdf
def to_netcdf(self, path, **options):
    if stage in ("prepare", "study"):
        half(path)
    return write(self, path, **options)

if stage in ("prepare", "study"):
    xr.Dataset.to_netcdf = to_netcdf
if stage == "fit":
    jne._core.tensor_files.save_file = lambda tensors, path, metadata: half(path)
if stage in ("prepare", "prepare-again"):
    main(["prepare", "arrays", "--input", "arrays.npz", "--map", "features=x,responses=y", "--out", "out.nc"])
else:
    options = {"hidden_size": 8, "max_epochs": 5, "device": "cpu"}
    jne.run_study(jne.load_dataset("data.nc"), encoder_options=options, n_bootstrap=10, folder="studies")
"""


@pytest.mark.parametrize("stage", ["prepare", "fit", "study"])
def test_a_kill_leaves_no_half_file_and_the_next_call_goes_on(stage, folder):
    assert copies.run(KILLED, stage, folder) == -signal.SIGKILL
    halves = [p for p in folder.rglob("*") if p.is_file() and p.read_bytes() == b"half a file"]
    assert len(halves) == 1 and halves[0].name.startswith(".") and halves[0].suffix == ".part"
    survivors = {p: p.stat().st_mtime_ns for p in folder.rglob("*.safetensors") if p != halves[0]}
    assert len(survivors) == (2 if stage == "study" else 0)
    assert copies.run(KILLED, "prepare-again" if stage == "prepare" else "again", folder) == 0
    assert not list(folder.rglob("*.part"))
    assert {p: p.stat().st_mtime_ns for p in survivors} == survivors
    if stage == "prepare":
        assert jne.load_dataset(folder / "out.nc").n_voxels == 6
    else:
        assert len(list(folder.glob("studies/*/study.nc"))) == 1


def test_leftovers_of_a_living_process_stay(tmp_path):
    from jne._core import atomic_path

    alive = tmp_path / f".a.nc.{platform.node()}.{os.getppid()}.part"
    alive.write_bytes(b"in progress")
    with atomic_path(tmp_path / "a.nc") as part:
        part.write_bytes(b"whole")
    assert alive.exists() and (tmp_path / "a.nc").read_bytes() == b"whole"
