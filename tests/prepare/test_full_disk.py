"""A full disk is a sentence with the space that is needed, whatever is written: no signal, the old file as it was.

Each writer writes to a small disk of twenty sizes, each time in a process of its own; this file as a script starts it.
"""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

HERE = Path(__file__).parent
OLD = b"what was there before"
N_SIZES = 20


def dataset(given: Path, disk: Path) -> None:
    import jne

    jne.save_dataset(jne.load_dataset(given / "data.nc"), disk / "out.nc")


def result(given: Path, disk: Path) -> None:
    import xarray as xr

    from jne._core import write_netcdf

    rng = np.random.default_rng(0)
    write_netcdf(xr.Dataset({name: (("a", name), rng.normal(size=(90, 300))) for name in "bc"}), disk / "out.nc")


def features(given: Path, disk: Path) -> None:
    from jne.features import FeatureWriter

    rng = np.random.default_rng(0)
    with FeatureWriter(disk / "out.h5", [f"image{i}" for i in range(120)], {"one": 300, "two": 40}, {}) as writer:
        for _ in range(6):
            writer.append({"one": rng.normal(size=(20, 300)), "two": rng.normal(size=(20, 40))})
        writer.finish()


def encoder(given: Path, disk: Path) -> None:
    import jne

    jne.RidgeEncoder().fit(jne.load_dataset(given / "data.nc")).save(disk / "out.safetensors")


def record(given: Path, disk: Path) -> None:
    from jne._core import write_json

    write_json({f"name{i}": "a text of some length" for i in range(4000)}, disk / "out.json")


def cached_result(given: Path, disk: Path) -> None:
    """What `run_study` keeps."""
    import xarray as xr

    from jne._core import cached

    os.environ["JNE_RESULTS"] = str(disk)
    cached("study", "out", {"a": 1}, lambda: xr.Dataset({"b": ("c", np.random.default_rng(0).normal(size=20_000))}))


def categories(given: Path, disk: Path) -> None:
    annotations = given / "instances_train2017.json"
    command("prepare", "categories", "--stimuli", given / "nsd.csv", "--annotations", annotations,
            "--out", disk / "out.csv")  # fmt: skip


def arrays(given: Path, disk: Path) -> None:
    command("prepare", "arrays", "--input", given / "arrays.npz", "--map", "features=x,responses=y",
            "--out", disk / "out.nc")  # fmt: skip


def nifti(given: Path, disk: Path) -> None:
    command("prepare", "nifti", "--maps", given / "maps.nii", "--mask", given / "mask.nii", "--stimuli",
            given / "trials.csv", "--features", given / "features.npz", "--out", disk / "out.nc")  # fmt: skip


def nsd(given: Path, disk: Path) -> None:
    command("prepare", "nsd", "--root", given / "nsd", "--subject", 1, "--features", given / "nsd.h5",
            "--noise-ceiling", "repeats", "--out", disk / "out.nc")  # fmt: skip


def command(*arguments) -> None:
    from jne.cli import main

    main([str(argument) for argument in arguments], standalone_mode=False)


WRITERS = (dataset, result, features, encoder, record, cached_result, categories, arrays, nifti, nsd)


def make_inputs(folder: Path) -> None:
    """Something to write, for every writer; noise, which no compression makes smaller."""
    import json

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
def given(tmp_path_factory):
    folder = tmp_path_factory.mktemp("given")
    make_inputs(folder)
    return folder


def mount(disk: Path, size: int) -> None:
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(disk)], check=True, capture_output=True)


def can_mount() -> bool:
    if not hasattr(os, "geteuid") or os.geteuid() or sys.platform != "linux":
        return False
    found = subprocess.run(["unshare", "--mount", "mount", "-t", "tmpfs", "tmpfs", "/mnt"], capture_output=True)
    return found.returncode == 0


@pytest.mark.slow
@pytest.mark.skipif(not can_mount(), reason="needs root on Linux, to mount a small disk")
@pytest.mark.parametrize("writer", [writer.__name__ for writer in WRITERS])
def test_a_full_disk_is_a_sentence_at_every_size(given, tmp_path, writer):
    code = [sys.executable, __file__, writer, str(given), str(tmp_path)]
    run = subprocess.run(code, capture_output=True, text=True, timeout=300, env=os.environ | {"PYTHONHASHSEED": "0"})
    assert run.returncode == 0, run.stdout + run.stderr
    assert run.stdout.count("said") == N_SIZES


def attempt(writer, given: Path, disk: Path) -> tuple[int, str]:
    """Exit status of a process that writes, negative for a signal, and what it said."""
    read, write = os.pipe()
    if not (pid := os.fork()):
        os.dup2(write, 2)
        try:
            writer(given, disk)
        except (ValueError, OSError) as error:
            os.write(write, str(error).encode())
            os._exit(1)
        except BaseException as error:
            os.write(write, f"{type(error).__name__}: {getattr(error, 'message', error)}".encode())
            os._exit(1 if hasattr(error, "exit_code") else 2)
        # As in any script: what is left open is closed on the way out.
        sys.exit(0)
    os.close(write)
    with os.fdopen(read) as stream:
        said = stream.read()
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), said


def main() -> None:
    name, given, folder = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
    writer = next(writer for writer in WRITERS if writer.__name__ == name)
    free, disk = folder / "free", folder / "disk"
    free.mkdir(), disk.mkdir()
    writer(given, free)  # here, so that what it imports is there for all
    made = None if name == "cached_result" else next(free.glob("out.*"))  # that is not made again where it is
    size = sum(path.stat().st_size for path in free.rglob("*") if path.is_file())
    # These write work files besides, so that more than the dataset is needed.
    most = {"nsd": 1.6, "nifti": 1.6}.get(name, 0.95)
    for share in np.linspace(0.05, most, N_SIZES):
        mount(disk, max(8192, int(share * size)))
        try:
            if made:
                (disk / made.name).write_bytes(OLD)
            status, said = attempt(writer, given, disk)
            assert status == 1, f"{share:.2f} of {size}: exit status {status}, {said!r}"
            assert ("no space left" in said or "are needed" in said) and " free" in said, said
            left = [path for path in disk.rglob("*") if path.is_file() and path.stat().st_size]
            # The sessions of NSD that are done stay, to go on from.
            left = [path for path in left if path.parent.name != "out.nc.work" or path.name.startswith(".")]
            assert left == ([disk / made.name] if made else []), left
            assert not made or (disk / made.name).read_bytes() == OLD
            print(f"{share:.2f} said {said}")
        finally:
            subprocess.run(["umount", "--lazy", str(disk)], check=True)


if __name__ == "__main__":
    sys.path[:0] = [str(HERE.parent)]
    main()
