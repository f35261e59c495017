"""A full disk is a sentence with the space that is needed, whatever is written: no signal, the old file as it was.

Each writer writes to a small disk of twelve sizes, in a process of its own; this file as a script starts them all, so
that what they import is read once.
"""

import gc
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest

HERE = Path(__file__).parent
OLD = b"what was there before"
N_SIZES = 12


# What each has to write is made once, and written to every size of disk.


def dataset(given: Path):
    import jne

    data = jne.load_dataset(given / "data.nc")
    return lambda disk: jne.save_dataset(data, disk / "out.nc")


def result(given: Path):
    import xarray as xr

    from jne._core import write_netcdf

    rng = np.random.default_rng(0)
    values = xr.Dataset({name: (("a", name), rng.normal(size=(90, 300))) for name in "bc"})
    return lambda disk: write_netcdf(values, disk / "out.nc")


def features(given: Path):
    from jne.features import FeatureWriter

    rng = np.random.default_rng(0)

    def write(disk):
        with FeatureWriter(disk / "out.h5", [f"image{i}" for i in range(120)], {"one": 300, "two": 40}, {}) as writer:
            for _ in range(6):
                writer.append({"one": rng.normal(size=(20, 300)), "two": rng.normal(size=(20, 40))})
            writer.finish()

    return write


def encoder(given: Path):
    import jne

    fitted = jne.RidgeEncoder().fit(jne.load_dataset(given / "data.nc"))
    return lambda disk: fitted.save(disk / "out.safetensors")


def record(given: Path):
    from jne._core import write_json

    content = {f"name{i}": "a text of some length" for i in range(4000)}
    return lambda disk: write_json(content, disk / "out.json")


def cached_result(given: Path):
    """What `run_study` keeps."""
    import xarray as xr

    from jne._core import cached

    values = xr.Dataset({"b": ("c", np.random.default_rng(0).normal(size=20_000))})

    def write(disk):
        os.environ["JNE_RESULTS"] = str(disk)
        cached("study", "out", {"a": 1}, lambda: values)

    return write


def pages(folder: Path) -> Path:
    for i in range(12):
        (folder / f"{i % 3}").mkdir(parents=True, exist_ok=True)
        (folder / f"{i % 3}/{i}.html").write_bytes(np.random.default_rng(i).bytes(9000))
    return folder


def book(given: Path):
    """Pages that are done, made on another disk."""
    from jne.book import publish

    def write(disk):
        shutil.rmtree(given / "html", ignore_errors=True)
        publish(pages(given / "html"), disk / "out.html")

    return write


def book_in_place(given: Path):
    """What Jupyter Book would need; it is not begun."""
    from jne.book import make_html

    stage = pages(given / "stage")
    return lambda disk: disk.name == "free" or make_html(stage, disk / "out.sphinx"), 20_000_000


def kept_chapter(given: Path):
    from jne._core import atomic_folder

    executed = pages(given / "executed")

    def write(disk):
        with atomic_folder(disk / "out.chapter") as part:
            shutil.copytree(executed, part, dirs_exist_ok=True)

    return write


def summary(given: Path):
    """Of a batch."""
    import pandas as pd

    from jne.batch import write_summary

    table = pd.DataFrame(np.random.default_rng(0).normal(size=(400, 9)))
    return lambda disk: write_summary(table, disk)


def categories(given: Path):
    annotations = given / "instances_train2017.json"
    return command("prepare", "categories", "--stimuli", given / "nsd.csv", "--annotations", annotations, out="out.csv")


def arrays(given: Path):
    return command("prepare", "arrays", "--input", given / "arrays.npz", "--map", "features=x,responses=y")


def nifti(given: Path):
    return command("prepare", "nifti", "--maps", given / "maps.nii", "--mask", given / "mask.nii", "--stimuli",
                   given / "trials.csv", "--features", given / "features.npz")  # fmt: skip


def nsd(given: Path):
    return command("prepare", "nsd", "--root", given / "nsd", "--subject", 1, "--features", given / "nsd.h5",
                   "--noise-ceiling", "repeats")  # fmt: skip


def maps_of_a_study(given: Path):
    """What `jne measure` writes."""
    import xarray as xr

    import jne

    rng, n = np.random.default_rng(0), 12**3
    place = {"affine": np.eye(4).ravel(), "shape": [12] * 3}
    result = xr.Dataset({"ijk": (("voxel", "axis"), np.argwhere(np.ones((12, 12, 12))), place)})
    result = result.assign({name: ("voxel", rng.normal(size=n)) for name in ("r2", "jne")})
    slopes = xr.Dataset({"mean_jacobian": (("voxel", "feature"), rng.normal(size=(n, 30)))})
    return lambda disk: jne.write_maps(result, disk / "out.maps", mean_jacobian=slopes)


def command(*arguments, out="out.nc"):
    from jne.cli import main

    words = [str(argument) for argument in arguments]
    return lambda disk: main([*words, "--out", str(disk / out)], standalone_mode=False)


WRITERS = (dataset, result, features, encoder, record, cached_result, book, book_in_place, kept_chapter, summary,
           categories, arrays, nifti, nsd, maps_of_a_study)  # fmt: skip


def make_inputs(folder: Path) -> None:
    """Something to write, for every writer; noise, which no compression makes smaller."""
    import nibabel
    import pandas as pd
    from conftest import make_content
    from nsd_tree import make_tree, write_features

    rng = np.random.default_rng(0)
    make_content(n_stimuli=100, n_voxels=300).to_netcdf(folder / "data.nc", engine="h5netcdf")
    np.savez(folder / "arrays.npz", x=rng.normal(size=(60, 30)), y=rng.normal(size=(60, 1000)))
    image = rng.normal(size=(8, 8, 8, 60)).astype("f4")
    nibabel.save(nibabel.Nifti1Image(image, np.eye(4)), folder / "maps.nii")
    nibabel.save(nibabel.Nifti1Image(np.ones((8, 8, 8), "u1"), np.eye(4)), folder / "mask.nii")
    pd.DataFrame({"id": [f"i{i}" for i in range(60)]}).to_csv(folder / "trials.csv", index=False)
    np.savez(folder / "features.npz", stimulus_id=[f"i{i}" for i in range(60)], deep=rng.normal(size=(60, 9)))
    write_features(make_tree(folder / "nsd", subjects=(1,), surface=False), folder / "nsd.h5")
    n = 3000
    table = pd.DataFrame({"cocoId": range(n), "nsdId": range(n), "cocoSplit": "train2017", "cropBox": "(0, 0, 0, 0)"})
    table.to_csv(folder / "nsd.csv")
    images = [{"id": i, "width": 9, "height": 9} for i in range(n)]
    content = {"images": images, "annotations": [], "categories": []}
    (folder / "instances_train2017.json").write_text(json.dumps(content))


@pytest.fixture(scope="module")
def said(tmp_path_factory):
    """What was said on the disks of each writer, and how it ended."""
    given, out = tmp_path_factory.mktemp("given"), tmp_path_factory.mktemp("out")
    make_inputs(given)
    environment = os.environ | {"PYTHONHASHSEED": "0"}
    run = subprocess.run([sys.executable, __file__, given, out], capture_output=True, text=True, env=environment)
    assert run.returncode == 0, run.stdout + run.stderr
    return out


def can_mount() -> bool:
    if not hasattr(os, "geteuid") or os.geteuid() or sys.platform != "linux":
        return False
    found = subprocess.run(["unshare", "--mount", "mount", "-t", "tmpfs", "tmpfs", "/mnt"], capture_output=True)
    return found.returncode == 0


@pytest.mark.slow
@pytest.mark.skipif(not can_mount(), reason="needs root on Linux, to mount a small disk")
@pytest.mark.parametrize("writer", [writer.__name__ for writer in WRITERS])
def test_a_full_disk_is_a_sentence_at_every_size(said, writer):
    status = json.loads((said / f"{writer}.json").read_text())
    texts = (said / f"{writer}.txt").read_text()
    assert status == 0, f"exit status {status} after: {texts}"
    lines = texts.splitlines()
    assert len(lines) == N_SIZES
    for line in lines:
        assert ("no space left" in line or "are needed" in line) and " free" in line, line


def attempts(name: str, write, folder: Path, out: Path) -> None:
    """Write to disks of all sizes, and keep what was said."""
    write, size = write if isinstance(write, tuple) else (write, 0)
    free, disk = folder / "free", folder / "disk"
    free.mkdir(parents=True), disk.mkdir()
    write(free)
    gc.freeze()  # what was imported is not looked through each time
    # That are not made again where they are.
    whole = name in ("cached_result", "book_in_place", "maps_of_a_study")
    made = [] if whole else [path.name for path in free.iterdir() if not path.name.startswith(".")]
    folders = [name for name in made if (free / name).is_dir()]
    size = size or sum(path.stat().st_size for path in free.rglob("*") if path.is_file())
    # These write work files besides, so that more than the dataset is needed.
    most = {"nsd": 1.6, "nifti": 1.6}.get(name, 0.95)
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", str(disk)], check=True)
    try:
        for share in np.linspace(0.05, most, N_SIZES):
            subprocess.run(["mount", "-o", f"remount,size={max(8192, int(share * size))}", str(disk)], check=True)
            attempt(write, disk, made, folders, out)
            for path in disk.iterdir():
                shutil.rmtree(path) if path.is_dir() else path.unlink()
    finally:
        subprocess.run(["umount", "--lazy", str(disk)], check=True)


def attempt(write, disk: Path, made: list[str], folders: list[str], out: Path) -> None:
    old = [disk / name / "index.html" if name in folders else disk / name for name in made]
    for path in old:
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(OLD)
    try:
        write(disk)
        raise SystemExit("nothing was said")
    except (ValueError, OSError) as error:
        text = str(error)
    except Exception as error:
        assert hasattr(error, "exit_code"), repr(error)
        text = error.message
    # As in any script: what is left open is closed.
    gc.collect()
    with out.open("a") as file:
        file.write(text.replace("\n", " ") + "\n")
    left = [path for path in disk.rglob("*") if path.is_file() and path.stat().st_size]
    # The sessions of NSD that are done stay, to go on from.
    left = [path for path in left if path.parent.name != "out.nc.work" or path.name.startswith(".")]
    assert sorted(left) == sorted(old), left
    assert all(path.read_bytes() == OLD for path in old)


def main() -> None:
    """Each writer in a fork, which may end by a signal; what they import is imported before."""
    from jne.prepare import prepare_arrays, prepare_nifti, prepare_nsd  # noqa: F401

    given, out = Path(sys.argv[1]), Path(sys.argv[2])
    prepared = {writer.__name__: writer(given) for writer in WRITERS}
    for name, write in prepared.items():
        if not (pid := os.fork()):
            with (out / f"{name}.txt").open("a") as errors:
                os.dup2(errors.fileno(), 2), os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
            attempts(name, write, out / name, out / f"{name}.txt")
            for file in h5py.h5f.get_obj_ids(types=h5py.h5f.OBJ_FILE):
                file.close()  # where the library dies if it cannot write
            os._exit(0)  # what else an end tidies up takes longer than to write
        status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        (out / f"{name}.json").write_text(json.dumps(status))


if __name__ == "__main__":
    sys.path[:0] = [str(HERE.parent)]
    main()
