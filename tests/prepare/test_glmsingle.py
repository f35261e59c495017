"""Betas of GLMsingle in the files that it writes; its pickles are not opened."""

import pickle

import h5py
import nibabel
import numpy as np
import pytest
from map_studies import AFFINE, SHAPE, make_study

from jne._core import spans
from jne.prepare import glmsingle, prepare_fsaverage, prepare_nifti

N_VERTICES = 2562


def python_file(path, betas):
    """``wanthdf5``: betas ``(..., trial)``, other results, and empty datasets for what was not wanted."""
    with h5py.File(path, "w") as file:
        file.create_dataset("HRFindex", data=np.ones(betas.shape[:-1]))
        file.create_dataset("betasmd", data=betas)
        for name in ("R2", "rrbadness", "pcvoxels"):
            file.create_dataset(name, data=h5py.Empty("f"))


def matlab_file(path, betas):
    """What ``save(..., '-v7.3')`` makes of ``modelmd``: axes in the other order, chunks, a block of the user before."""
    with h5py.File(path, "w", userblock_size=512) as file:
        axes = betas.transpose()
        chunks = tuple(max(1, size // 2) for size in axes.shape)
        file.create_dataset("modelmd", data=axes, chunks=chunks, compression="gzip")
        file["modelmd"].attrs["MATLAB_class"] = np.bytes_("single")
        file.create_group("#refs#")


@pytest.fixture
def study(tmp_path):
    """A mask of 2 x 6 x 4 voxels, outside which GLMsingle has NaN."""
    study = make_study(tmp_path)
    mask = np.zeros(SHAPE, np.uint8)
    mask[1:3] = 1
    betas = np.full((*SHAPE, len(study.table)), np.nan, "f4")
    betas[mask > 0] = study.maps(int(mask.sum())).T
    nibabel.save(nibabel.Nifti1Image(mask, AFFINE), tmp_path / "mask.nii.gz")
    study.write_table()
    return study, betas, mask > 0


WRITERS = {
    "TYPED_FITHRF_GLMDENOISE_RR.hdf5": python_file,
    "TYPEB_FITHRF.h5": python_file,
    "TYPEC_FITHRF_GLMDENOISE.mat": matlab_file,
}


@pytest.mark.parametrize("name", WRITERS)
@pytest.mark.parametrize("block", [100, 2**20], ids=["small blocks", "large blocks"])
def test_betas_of_sessions_are_read_in_order(study, name, block, monkeypatch):
    study, betas, inside = study
    monkeypatch.setattr(glmsingle, "_BLOCK_BYTES", block)
    files, folder = [], study.folder
    for session, rows in study.table.groupby("session").groups.items():
        (folder / f"ses-{session}").mkdir()
        files.append(folder / f"ses-{session}" / name)
        WRITERS[name](files[-1], betas[..., rows])
    lines = []
    given = {"mask": folder / "mask.nii.gz", "report": lines.append}
    data = prepare_nifti(folder / "trials.csv", folder / "features.npz", folder / "a.nc", maps=files, **given)
    study.check(data, betas[inside].T)
    np.testing.assert_array_equal(data.get("ijk"), np.argwhere(inside))
    assert list(data.content["ijk"].attrs["affine"]) == list(AFFINE.ravel())
    assert data.attrs["affine_from"] == "mask.nii.gz"
    assert any("is taken to lie on the grid of the mask" in line and "(5, 6, 4)" in line for line in lines)
    # Sessions are in the names of the folders, so the pattern gives the same, and z-scores within them.
    given["maps"] = [folder / "ses-*" / name]
    data = prepare_nifti(folder / "trials.csv", folder / "features.npz", folder / "b.nc", zscore="session", **given)
    study.check(data, betas[inside].T, "session")


@pytest.mark.parametrize("writer", [python_file, matlab_file])
@pytest.mark.parametrize("between", [(), (1, 1)])
def test_betas_of_vertices(study, writer, between, monkeypatch):
    monkeypatch.setattr(glmsingle, "_BLOCK_BYTES", 2**16)
    study, folder = study[0], study[0].folder
    maps = study.maps(2 * N_VERTICES)
    name = "TYPED_FITHRF_GLMDENOISE_RR." + ("hdf5" if writer is python_file else "mat")
    for side, part in (("left", maps[:, :N_VERTICES]), ("right", maps[:, N_VERTICES:])):
        (folder / side).mkdir()
        writer(folder / side / name, part.T.reshape(N_VERTICES, *between, -1))
    files = {side: [folder / side / name] for side in ("left", "right")}
    mask = np.zeros((N_VERTICES, 1, 1), "f4")
    mask[5:2500:20] = 1
    nibabel.save(nibabel.MGHImage(mask, np.eye(4)), folder / "mask.mgh")
    masks = dict.fromkeys(files, folder / "mask.mgh")
    out = prepare_fsaverage(folder / "trials.csv", folder / "features.npz", folder / "a.nc", maps=files, masks=masks)
    vertex = np.flatnonzero(mask)
    assert list(out.get("vertex")) == [*vertex, *vertex] and out.content["vertex"].attrs["mesh"] == "fsaverage4"
    study.check(out, maps[:, np.append(vertex, N_VERTICES + vertex)])


class Harm:
    """A pickle of it writes a file when it is opened."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


def refused(study, name, **options):
    folder = study.folder
    options = {"mask": folder / "mask.nii.gz", **options}
    with pytest.raises(ValueError) as told:
        prepare_nifti(folder / "trials.csv", folder / "features.npz", folder / "a.nc", maps=[folder / name], **options)
    assert not (folder / "a.nc").exists()
    return str(told.value)


def test_a_pickle_is_not_opened_and_the_lines_that_it_tells_work(study, monkeypatch):
    study, betas, inside = study
    folder, name = study.folder, "TYPED_FITHRF_GLMDENOISE_RR.npy"
    with (folder / name).open("wb") as file:
        np.lib.format.write_array_header_1_0(file, {"descr": "|O", "fortran_order": False, "shape": ()})
        pickle.dump(np.array(Harm(folder / "harm"), object), file)
    told = refused(study, name)
    assert "pickle" in told and "wanthdf5" in told and not (folder / "harm").exists()
    with pytest.raises(ValueError, match=r"(?s)never opened.*wanthdf5"):
        prepare_fsaverage(
            folder / "trials.csv", folder / "features.npz", folder / "a.nc", maps={"left": [folder / name]}
        )
    np.load(folder / name, allow_pickle=True)
    assert (folder / "harm").exists()  # as whoever opens it finds
    np.save(folder / name, {"betasmd": betas})
    lines = [line[4:] for line in told.splitlines() if line.startswith("    ")]
    monkeypatch.chdir(folder)
    exec("\n".join(lines), {})
    made = prepare_nifti(
        "trials.csv", "features.npz", "a.nc", maps=["TYPED_FITHRF_GLMDENOISE_RR.hdf5"], mask="mask.nii.gz"
    )
    study.check(made, betas[inside].T)


def test_files_without_betas_of_single_trials_are_named(study):
    study, betas, _ = study
    folder = study.folder
    with h5py.File(folder / "TYPEA_ONOFF.hdf5", "w") as file:
        file["onoffR2"] = np.ones(SHAPE)
    assert "neither betasmd (GLMsingle in Python) nor modelmd (in MATLAB); it has onoffR2" in refused(
        study, "TYPEA_ONOFF.hdf5"
    )
    python_file(folder / "flat.hdf5", betas.reshape(-1, betas.shape[-1]))
    assert "betasmd of" in (told := refused(study, "flat.hdf5")) and "needed: (x, y, z, trial)" in told
    (folder / "old.mat").write_bytes(b"MATLAB 5.0 MAT-file, Platform: GLNXA64".ljust(200))
    assert "-v7.3 is needed" in refused(study, "old.mat")
    python_file(folder / "few.hdf5", betas[..., 1:])
    assert "40 rows, and there are 39 maps" in refused(study, "few.hdf5")
    python_file(folder / "good.hdf5", betas)
    content = (folder / "good.hdf5").read_bytes()
    (folder / "cut.hdf5").write_bytes(content[: len(content) // 2])
    assert "cut.hdf5" in (told := refused(study, "cut.hdf5")) and "damaged" in told


def test_a_grid_of_another_shape_or_none_is_refused(study):
    study, betas, _ = study
    folder = study.folder
    python_file(folder / "a.hdf5", betas)
    assert "neither a mask nor an atlas is given" in refused(study, "a.hdf5", mask=None)
    nibabel.save(nibabel.Nifti1Image(np.ones((5, 6, 5), "u1"), AFFINE), folder / "other.nii.gz")
    told = refused(study, "a.hdf5", mask=folder / "other.nii.gz")
    assert "(5, 6, 5)" in told and "(5, 6, 4)" in told and "equal shapes" in told
    assert "no grid of their own" in refused(study, "a.hdf5", resample=True)
    python_file(folder / "b.hdf5", betas[:4])
    with pytest.raises(ValueError, match=r"b\.hdf5 has the grid \(4, 6, 4\), and the first"):
        files = [folder / "a.hdf5", folder / "b.hdf5"]
        prepare_nifti(folder / "trials.csv", folder / "features.npz", folder / "a.nc", maps=files)
    with pytest.raises(ValueError, match=r"mask\.nii\.gz is an image and .*a\.hdf5 is not"):
        files = [folder / "a.hdf5", folder / "mask.nii.gz"]
        prepare_nifti(folder / "trials.csv", folder / "features.npz", folder / "a.nc", maps=files)


@pytest.mark.parametrize(("chunks", "step"), [((7, 1, 2, 3), 7), (None, 1)])
def test_maps_are_read_by_whole_chunks_so_that_each_is_unpacked_once(study, chunks, step, monkeypatch):
    betas, steps = np.random.default_rng(0).normal(size=(20, 4, 6, 5)), []
    with h5py.File(study[0].folder / "c.mat", "w") as file:
        file.create_dataset("modelmd", data=betas, chunks=chunks)
    monkeypatch.setattr(glmsingle, "_BLOCK_BYTES", 1)
    monkeypatch.setattr(glmsingle, "spans", lambda n, k: steps.append(k) or spans(n, k))
    rows = list(glmsingle._rows(study[0].folder / "c.mat", "maps", np.array([3, 50])))
    np.testing.assert_array_equal(rows, betas.reshape(20, -1)[:, [3, 50]])
    assert steps == [step]
