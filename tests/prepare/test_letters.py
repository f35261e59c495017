"""Letters of every language in names: UTF-8 is read, another encoding is named, and what looks alike is alike."""

import json
import unicodedata

import h5py
import nibabel
import numpy as np
import pytest
from click.testing import CliRunner
from conftest import make_content
from map_studies import AFFINE, SHAPE, make_study
from PIL import Image

import jne
from jne.cli import main
from jne.features import FeatureWriter, ImageFiles, open_images, read_feature_file
from jne.prepare import prepare_arrays, prepare_nifti
from jne.prepare.labels import read_label_names
from jne.prepare.surface_labels import read_annotation
from jne.prepare.trials import read_trials

APART = unicodedata.normalize("NFD", "hügel_é")
TOGETHER = "hügel_é"


def test_pictures_named_on_a_mac_are_those_of_the_table(tmp_path):
    """Ids in NFD in the features and in NFC in the table, and the other way round; files of maps, too."""
    make_study(tmp_path)
    names = {"features": APART, "table": TOGETHER}
    for _ in range(2):
        with np.load(tmp_path / "features.npz") as file:
            arrays = dict(file)
        ids = [names["features"] + str(i) for i in range(len(arrays["stimulus_id"]))]
        np.savez(tmp_path / "f.npz", **{**arrays, "stimulus_id": np.array(ids)})
        lines = ["id,map,split"]
        for i in range(24):
            image = nibabel.Nifti1Image(np.random.default_rng(i).normal(size=SHAPE), AFFINE)
            nibabel.save(image, tmp_path / f"{APART}{i}.nii")
            split = "train" if i < 16 else "validation" if i < 20 else "test"
            lines.append(f"{names['table']}{i},{TOGETHER}{i}.nii,{split}")
        (tmp_path / "t.csv").write_text("\n".join(lines), encoding="utf-8")
        data = prepare_nifti(tmp_path / "t.csv", tmp_path / "f.npz", tmp_path / "out.nc", mask=mask(tmp_path))
        assert list(data.get("stimulus_id")) == [f"{TOGETHER}{i}" for i in range(24)] and data.n_further == 3
        names = {"features": TOGETHER, "table": APART}


def mask(folder):
    nibabel.save(nibabel.Nifti1Image(np.ones(SHAPE, "u1"), AFFINE), folder / "mask.nii")
    return folder / "mask.nii"


def test_names_that_look_alike_are_one_wherever_they_come_in(tmp_path):
    Image.new("RGB", (9, 9)).save(tmp_path / f"{APART}.png")
    assert ImageFiles(tmp_path).ids.tolist() == [TOGETHER]
    (tmp_path / "ids.txt").write_text(APART, encoding="utf-8")
    assert list(open_images(tmp_path, [tmp_path / "ids.txt"]).ids) == [TOGETHER]
    (tmp_path / "areas.csv").write_text(f"index,name\n1,{APART}\n1,{TOGETHER}\n", encoding="utf-8")
    assert read_label_names(tmp_path / "areas.csv") == {1: TOGETHER}
    np.savez(tmp_path / "twice.npz", stimulus_id=[APART, TOGETHER], deep=np.ones((2, 3)))
    with pytest.raises(ValueError, match="more than once"):
        read_feature_file(tmp_path / "twice.npz")
    with FeatureWriter(tmp_path / "f.h5", [APART], {"deep": 3}, {}) as writer:
        writer.append({"deep": np.ones((1, 3))})
        writer.finish()
    assert read_feature_file(tmp_path / "f.h5").index([TOGETHER]).tolist() == [0]
    content = make_content()
    content["roi"] = "voxel", [APART, TOGETHER] * (content.sizes["voxel"] // 2)
    assert set(jne.datasets.EncodingDataset(content).get("roi")) == {TOGETHER}


# Bytes that are not UTF-8


def annotation(path):
    colours = np.array([[0, 0, 0, 0], [10, 20, 30, 0]])
    nibabel.freesurfer.write_annot(path, np.zeros(5, int) + 1, colours, [b"none", b"h\xfcgel"], fill_ctab=True)


def hdf5(path, dtype):
    with h5py.File(path, "w") as file:
        file["x"] = np.random.default_rng(0).normal(size=(30, 3))
        file["y"] = np.random.default_rng(1).normal(size=(30, 1))
        file.create_dataset("id", (30,), dtype)[:] = [b"h\xfcgel%d" % i for i in range(30)]
        file.create_dataset("stimulus_id", (30,), dtype)[:] = [b"h\xfcgel%d" % i for i in range(30)]
        del file["y"]


def arrays(path):
    rng = np.random.default_rng(0)
    names = np.array([b"h\xfcgel%d" % i for i in range(30)])
    np.savez(path, x=rng.normal(size=(30, 3)), y=rng.normal(size=(30, 4)), id=names)
    prepare_arrays(path, [("features", "x"), ("responses", "y"), ("stimulus_id", "id")], path.with_name("out.nc"))


def ids(path):
    np.savez(path, x=np.ones((2, 3)), stimulus_id=np.array([b"h\xfcgel", b"x"]))
    read_feature_file(path)


def text(content, read):
    return lambda path: (path.write_bytes(content), read(path))


TABLE = b"id,category\n1,a\n2,h\xfcgel\n"
LATIN = {
    "trials.csv": (text(TABLE, read_trials), "line 3, column category has 'hügel'"),
    "trials.tsv": (text(TABLE.replace(b",", b"\t"), read_trials), "line 3, column category has 'hügel'"),
    "trials.txt": (text(b"1.png\nh\xfcgel.png\n", read_trials), "line 2 has 'hügel.png'"),
    "marked.csv": (text(b"\xef\xbb\xbfid,category\n1,h\xfcgel\n", read_trials), "line 2, column category has 'hügel'"),
    "areas.csv": (text(b"index,name\n1,h\xfcgel\n", read_label_names), "line 2, column name has 'hügel'"),
    "areas.txt": (text(b"1 h\xfcgel\n", read_label_names), "line 1 has '1 hügel'"),
    "cp1252.csv": (text(b"index,name\n1,V1 \x96 left\n", read_label_names), "line 2, column name has 'V1 – left'"),
    "areas.annot": (lambda path: (annotation(path), read_annotation(path)), "'hügel'"),
    "vlen.h5": (lambda path: (hdf5(path, h5py.string_dtype()), read_feature_file(path)), "stimulus_id .*'hügel0'"),
    "fixed.h5": (lambda path: (hdf5(path, "S9"), read_feature_file(path)), "stimulus_id .*'hügel0'"),
    "ids.npz": (ids, "stimulus_id .*'hügel'"),
    "arrays.npz": (arrays, "stimulus_id: .*'hügel0'"),
}


@pytest.mark.parametrize("name", LATIN)
def test_another_encoding_is_named_with_its_place(tmp_path, name):
    read, place = LATIN[name]
    with pytest.raises(ValueError, match=place) as error:
        read(tmp_path / name)
    assert name in str(error.value) and "codec" not in str(error.value) and "CP1252 -t UTF-8" in str(error.value)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_unicode_is_read_however_it_is_marked(tmp_path, encoding):
    (tmp_path / "trials.csv").write_bytes("id,category\n1,丘\n2,hügel\n3,丘\n".encode(encoding))
    assert read_trials(tmp_path / "trials.csv").table["category"].tolist() == ["丘", "hügel", "丘"]
    (tmp_path / "areas.txt").write_bytes("1 視覚野 V1\n".encode(encoding))
    assert read_label_names(tmp_path / "areas.txt") == {1: "視覚野 V1"}


# Terminals


@pytest.mark.parametrize("charset", ["latin-1", "cp1252", "ascii"])
@pytest.mark.parametrize("command", [["info"], ["info", "--json"], ["validate"]])
def test_no_terminal_is_too_poor_for_a_name(tmp_path, charset, command):
    content = make_content().assign_attrs(name="ρ 視覚野 ☃ \x1b[31m")
    content["roi"] = "voxel", ["視覚野", "V2_$x$"] * (content.sizes["voxel"] // 2)
    content.to_netcdf(tmp_path / "data.nc", engine="h5netcdf")
    run = CliRunner(charset=charset).invoke(main, [*command, str(tmp_path / "data.nc")])
    assert run.exit_code == 0, run.output
    assert "\x1b" not in run.output
    if "--json" in command:
        assert json.loads(run.output)["name"] == "ρ 視覚野 ☃ \x1b[31m"


@pytest.mark.parametrize("charset", ["latin-1", "cp1252", "ascii"])
@pytest.mark.parametrize("option", [[], ["--json"]])
def test_a_report_is_printed_on_every_terminal(monkeypatch, charset, option):
    for name in ("load_dataset", "run_study", "report"):
        module = "jne.datasets" if name == "load_dataset" else "jne.study"
        monkeypatch.setattr(f"{module}.{name}", lambda *args, **options: {"ρ": "é\x1b[2J\x9b"})
    monkeypatch.setattr("jne.study.report_text", lambda content: "ρ é\x1b[2J\x9b")
    for name in ("layer_to_study", "fits_of_study", "layers_of", "expected_time"):
        answer = {"layers_of": [], "fits_of_study": 1, "expected_time": "ρ\x1b[2J"}.get(name)
        monkeypatch.setattr(f"jne.cli.report.{name}", lambda *args, answer=answer: answer)
    run = CliRunner(charset=charset).invoke(main, ["report", "data.nc", *option])
    assert run.exit_code == 0, run.output
    assert not {"\x1b", "\x9b"} & set(run.output)
    if option:
        assert json.loads(run.stdout) == {"ρ": "é\x1b[2J\x9b"}


@pytest.mark.parametrize("command", [["info"], ["validate"], ["report"], ["measure", "--out", "d"]])
def test_escapes_in_errors_do_not_reach_the_terminal(tmp_path, command):
    content = make_content()
    content["hemisphere"] = "voxel", ["\x1b[2J\x9b"] * content.sizes["voxel"]
    content.to_netcdf(tmp_path / "\x1b[31mdata.nc", engine="h5netcdf")
    run = CliRunner().invoke(main, [*command, str(tmp_path / "\x1b[31mdata.nc")])
    assert run.exit_code == 1 and "hemisphere has the values" in run.output
    assert not {"\x1b", "\x9b"} & set(run.output)
