"""Files that others made: nothing in them opens another file, nothing waits, and what they hold has a limit."""

import base64
import gzip
import os
import re
import shutil
import tracemalloc
import zipfile
import zlib
from functools import cache
from types import SimpleNamespace

import h5py
import nibabel
import numpy as np
import pandas as pd
import pytest
import xarray as xr
from conftest import make_content, no_longer_than
from PIL import Image
from scipy.io import savemat

import jne
from jne._core import read_netcdf
from jne.book import load_yaml, read_parameters
from jne.datasets import open_content, value_problems
from jne.features import FeatureWriter, ImageFiles, open_images, read_feature_file
from jne.prepare.array_files import load_array
from jne.prepare.array_sources import load_named
from jne.prepare.brain_files import load_image, open_maps, read_values
from jne.prepare.coco import _read_annotations, _read_stimuli
from jne.prepare.glmsingle import open_glmsingle
from jne.prepare.labels import read_label_names
from jne.prepare.nsd.betas import read_session
from jne.prepare.nsd.categories import read_categories
from jne.prepare.nsd.trials import read_shared, read_trials
from jne.prepare.surface import _open as open_surface
from jne.prepare.surface_labels import read_annotation
from jne.prepare.trials import read_trials as read_stimuli

CANARY = "the text of a file that nobody named"
N = 20
BIG = 100_000_000
LIMIT = 10_000_000
XML_BUFFER = 40_000_000
"""That nibabel sets aside for any GIFTI file, about."""


@pytest.fixture(autouse=True)
def no_waiting():
    """Whatever would wait is told so."""
    with no_longer_than(20):
        yield


# Files that pull in other files


def external_storage(file, name, shape, folder):
    (folder / "canary").write_bytes((CANARY.encode() * 10_000)[: 8 * int(np.prod(shape))])
    file.create_dataset(name, shape, "f8", external=[(str(folder / "canary"), 0, h5py.h5f.UNLIMITED)])


def external_link(file, name, shape, folder):
    file[name] = h5py.ExternalLink(other(folder, shape), "/x")


def link_within_a_group(file, name, shape, folder):
    file[name] = np.ones(shape)
    file.create_group("more")["deep"] = h5py.ExternalLink(other(folder, shape), "/x")


def soft_link_through_another_file(file, name, shape, folder):
    file["door"] = h5py.ExternalLink(other(folder, shape), "/")
    file[name] = h5py.SoftLink("/door/x")


def virtual(file, name, shape, folder):
    layout = h5py.VirtualLayout(shape, "f8")
    layout[...] = h5py.VirtualSource(other(folder, shape), "x", shape)
    file.create_virtual_dataset(name, layout)


def link_to_a_pipe(file, name, shape, folder):
    os.mkfifo(folder / "pipe")
    file[name] = h5py.ExternalLink(str(folder / "pipe"), "/x")


def virtual_of_a_pipe(file, name, shape, folder):
    os.mkfifo(folder / "pipe")
    layout = h5py.VirtualLayout(shape, "f8")
    layout[...] = h5py.VirtualSource(str(folder / "pipe"), "x", shape)
    file.create_virtual_dataset(name, layout)


def other(folder, shape):
    with h5py.File(folder / "other.h5", "w") as file:
        file["x"] = np.frombuffer((CANARY.encode() * 10_000)[: 8 * int(np.prod(shape))]).reshape(shape)
    return str(folder / "other.h5")


PULLS = (external_storage, external_link, link_within_a_group, soft_link_through_another_file, virtual,
         link_to_a_pipe, virtual_of_a_pipe)  # fmt: skip


def features(folder, pull):
    with h5py.File(folder / "f.h5", "w") as file:
        file["stimulus_id"] = np.arange(N)
        pull(file, "layer1", (N, 4), folder)
    return read_feature_file(folder / "f.h5").features("layer1")


def arrays(folder, pull):
    with h5py.File(folder / "a.h5", "w") as file:
        pull(file, "x", (N, 4), folder)
    return load_named(folder / "a.h5", ["x"])


def dataset(folder, pull):
    make_content().to_netcdf(folder / "d.nc", engine="h5netcdf")
    with h5py.File(folder / "d.nc", "r+") as file:
        shape = file["deep"].shape
        del file["deep"]
        pull(file, "deep", shape, folder)
        if isinstance(file.get("deep", getlink=True), h5py.HardLink):
            for i, name in enumerate(("stimulus", "feature_deep")):
                file["deep"].dims[i].attach_scale(file[name])
    return jne.load_dataset(folder / "d.nc").features("test", "deep")


def result(folder, pull):
    with h5py.File(folder / "r.nc", "w") as file:
        file["x"] = np.arange(4.0)
        pull(file, "y", (4,), folder)
    return read_netcdf(folder / "r.nc")


def images(folder, pull):
    with h5py.File(folder / "i.h5", "w") as file:
        pull(file, "imgBrick", (2, 8, 8, 3), folder)
    return open_images(folder / "i.h5")[0]


def betas(folder, pull):
    with h5py.File(folder / "b.hdf5", "w") as file:
        pull(file, "betas", (N, 2, 3, 4), folder)
    return read_session([folder / "b.hdf5"], [(4, 3, 2)], np.arange(5), N)


def glmsingle(folder, pull):
    with h5py.File(folder / "g.hdf5", "w") as file:
        pull(file, "betasmd", (2, 3, 4, N), folder)
    return list(open_glmsingle(folder / "g.hdf5", "maps").columns(np.arange(24)))


def thingsvision(folder, pull):
    (folder / "file_names.txt").write_text("\n".join(map(str, range(N))))
    with h5py.File(folder / "features.hdf5", "w") as file:
        pull(file, "features", (N, 4), folder)
    return read_feature_file(folder).features(folder.name)


def part(folder, pull):
    with h5py.File(folder / "p.h5.part", "w") as file:
        pull(file, "layer1", (N, 4), folder)
    size = (folder / "p.h5.part").stat().st_size
    left = SimpleNamespace(n_done=0, rows="", places=[], size=size)
    # Whoever makes such a file can make the record beside it, too.
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("jne.features.feature_writer.read_progress", lambda *_: left)
        return FeatureWriter(folder / "p.h5", np.arange(N).astype(str), {"layer1": 4}, {})


def minc(folder, pull):
    with h5py.File(folder / "m.mnc", "w") as file:
        pull(file, "minc-2.0", (4, 4, 4), folder)
    return load_image(folder / "m.mnc", "maps")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs pipes")
@pytest.mark.parametrize("pull", PULLS)
@pytest.mark.parametrize(
    "reader", [features, arrays, dataset, result, images, betas, glmsingle, thingsvision, part, minc]
)
def test_hdf5_that_reaches_out_is_refused(tmp_path, reader, pull):
    with pytest.raises(
        ValueError, match=r"(link to|its values in) another file; needed: a file that holds all"
    ) as told:
        print(reader(tmp_path, pull))
    assert CANARY not in str(told.value)


GIFTI = """<?xml version="1.0" encoding="UTF-8"?><GIFTI Version="1.0" NumberOfDataArrays="1">
<DataArray Intent="NIFTI_INTENT_NONE" DataType="{kind}" ArrayIndexingOrder="RowMajorOrder" Dimensionality="1"
Dim0="{n}" Encoding="{encoding}" Endian="LittleEndian" ExternalFileName="{other}" ExternalFileOffset="0">
<Data>{data}</Data></DataArray></GIFTI>"""


@pytest.mark.parametrize("ending", [".gii", ".gii.gz", ".label.gii"])
def test_gifti_that_names_another_file_is_refused(tmp_path, ending):
    (tmp_path / "canary").write_text(CANARY)
    values = {"kind": "NIFTI_TYPE_UINT8", "n": len(CANARY), "encoding": "ExternalFileBinary", "data": ""}
    text = GIFTI.format(**values, other=tmp_path / "canary").encode()
    path = tmp_path / f"lh{ending}"
    path.write_bytes(gzip.compress(text) if ending.endswith("gz") else text)
    with pytest.raises(ValueError, match="cannot be read as"):
        print(bytes(next(open_surface(path, "maps").rows(np.arange(len(CANARY))))))


def test_postscript_that_is_called_a_photograph_is_not_run(tmp_path):
    """Pillow has Ghostscript draw it, if that is there."""
    lines = "%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\nshowpage\n"
    (tmp_path / "a.png").write_text(lines)
    with pytest.raises(ValueError, match="cannot identify image file"):
        ImageFiles(tmp_path)[0]


# Chunks of HDF5


def chunk(path, packed, *filters, **options):
    """A dataset of 80 bytes, whose one chunk holds other ones."""
    plan = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    plan.set_chunk((10,))
    for code in filters:
        plan.set_filter(code, h5py.h5z.FLAG_OPTIONAL, options.get("values", ()))
    with h5py.File(path, "w") as file:
        space = h5py.h5s.create_simple((10,))
        item = h5py.h5d.create(file.id, b"a", h5py.h5t.IEEE_F64LE, space, plan)
        item.write_direct_chunk((0,), packed)


def patched(path, old, new, **options):
    """Numbers that a filter reads, changed in the file."""
    with h5py.File(path, "w") as file:
        file.create_dataset("a", data=np.arange(1000) % 9, chunks=(1000,), **options)
    content = path.read_bytes()
    old, new = (np.array(values, "<u4").tobytes() for values in (old, new))
    assert content.count(old) == 1
    path.write_bytes(content.replace(old, new))


def noise(n):
    return np.random.default_rng(0).bytes(n)


DEFLATE, LZF = h5py.h5z.FILTER_DEFLATE, h5py.h5z.FILTER_LZF
CHUNKS = {
    "inflates": (lambda path: chunk(path, zlib.compress(bytes(BIG // 4)), DEFLATE), "more than the 80 that it should"),
    "inflates, shuffled": (
        lambda path: chunk(path, zlib.compress(bytes(BIG // 4)), h5py.h5z.FILTER_SHUFFLE, DEFLATE), "more than the 80"
    ),
    "inflates a little": (lambda path: chunk(path, zlib.compress(noise(100_000)), DEFLATE), "more than the 80"),
    "is no stream": (lambda path: chunk(path, noise(100_000), DEFLATE), "more than the 80"),
    "is cut": (lambda path: chunk(path, zlib.compress(noise(100_000))[:60_000], DEFLATE), "more than the 80"),
    "lzf": (lambda path: chunk(path, noise(300_000), LZF), "more than the 80"),
    "packed twice": (
        lambda path: chunk(path, zlib.compress(zlib.compress(bytes(BIG // 4))), DEFLATE, DEFLATE), "packed 2 times"
    ),
    "another filter": (lambda path: chunk(path, bytes(80), 32015), "filter 32015 .* loaded from elsewhere.*h5repack"),
    "another filter before": (lambda path: chunk(path, bytes(80), 305, DEFLATE), "filter 305 .* loaded from elsewhere"),
    "szip": (lambda path: chunk(path, b"\xff" * 80, h5py.h5z.FILTER_SZIP, values=(141, 8)), "loaded from elsewhere"),
    "lzf of another size": (
        lambda path: patched(path, (4, 261, 8000), (4, 261, 2**32 - 1), compression="lzf"), "its filter lzf"
    ),
    "scaleoffset of another size": (
        lambda path: patched(path, (2, 0, 1000, 0, 8), (2, 0, 2**32 - 1, 0, 8), scaleoffset=0), "filter scaleoffset"
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", CHUNKS)
def test_chunks_unpack_to_what_they_declare_and_load_no_code(tmp_path, monkeypatch, kind):
    """Where HDF5 looks for filters lies a pipe, on which it would wait."""
    write, message = CHUNKS[kind]
    write(tmp_path / "a.h5")
    assert (tmp_path / "a.h5").stat().st_size < 500_000
    monkeypatch.setenv("JNE_MAX_MEMORY", "20MB")
    os.mkfifo(tmp_path / "libfilter.so")
    h5py.h5pl.prepend(bytes(tmp_path))
    try:
        with pytest.raises(ValueError, match=message):
            load_named(tmp_path / "a.h5", ["a"])
    finally:
        h5py.h5pl.remove(0)


@pytest.mark.parametrize("options", [
    {"compression": "gzip"}, {"compression": "gzip", "shuffle": True, "fletcher32": True}, {"compression": "lzf"},
    {"compression": "lzf", "shuffle": True}, {"scaleoffset": 0}, {"scaleoffset": 0, "compression": "gzip"},
    {"fletcher32": True}, {},
], ids=str)  # fmt: skip
def test_chunks_of_every_common_filter_are_read(tmp_path, monkeypatch, options):
    """Also where they could unpack to more than the limit, for all that their sizes tell."""
    values = np.random.default_rng(0).integers(0, 9, 200_000)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("a", data=values, chunks=(20_000,), **options)
    monkeypatch.setenv("JNE_MAX_MEMORY", "12MB")
    np.testing.assert_array_equal(load_named(tmp_path / "a.h5", ["a"])["a"], values)


# What is no plain file


def write_parameters(path):
    path.write_text("all: {subject: 1}\n")


def write_csv(path):
    pd.DataFrame({"id": ["a", "b"]}).to_csv(path, index=False)


def write_names(path):
    path.write_text("index,name\n1,V1\n")


def write_categories(path):
    path.write_text("nsdId,category\n3,food\n")


def write_features(path):
    np.savez(path, stimulus_id=np.arange(N), a=np.ones((N, 2)))


def write_png(path):
    Image.new("RGB", (9, 9)).save(path)


def write_zip(path):
    with zipfile.ZipFile(path, "w") as file, file.open("a.png", "w") as stream:
        Image.new("RGB", (9, 9)).save(stream, "PNG")


def select(path):
    """The images of these ids."""
    write_zip(path.with_name("some.zip"))
    return open_images(path.with_name("some.zip"), [path])


def write_encoder(path):
    rng = np.random.default_rng(0)
    X, Y = rng.normal(size=(60, 4)), rng.normal(size=(60, 2))
    jne.RidgeEncoder().fit(X[:50], Y[:50], X[50:], Y[50:]).save(path)


def write_volume(path):
    nibabel.save(nibabel.Nifti1Image(np.ones((3, 3, 3), "f4"), np.eye(4)), path)


def write_surface(path):
    array = nibabel.gifti.GiftiDataArray(np.ones(9, "f4"))
    nibabel.save(nibabel.gifti.GiftiImage(darrays=[array]), path)


def write_annotation(path):
    labels, table, names = np.array([0, 0, 1]), np.array([[1, 2, 3, 0, 0], [4, 5, 6, 0, 0]]), ["a", "b"]
    nibabel.freesurfer.write_annot(path, labels, table, names, fill_ctab=True)


def write_pair(path):
    nibabel.save(nibabel.Nifti1Pair(np.ones((3, 3, 3), "f4"), np.eye(4)), path)
    path.rename(path.with_name("own.img")), path.symlink_to("own.img")


def write_bricks(path):
    with h5py.File(path, "w") as file:
        file["imgBrick"] = np.zeros((2, 8, 8, 3), "u1")


PLAIN = {
    "dataset": ("d.nc", lambda path: make_content().to_netcdf(path, engine="h5netcdf"), jne.load_dataset),
    "result": ("r.nc", lambda path: xr.Dataset({"a": 1}).to_netcdf(path, engine="h5netcdf"), read_netcdf),
    "features": ("f.npz", write_features, read_feature_file),
    "arrays": ("a.npz", write_features, lambda path: load_named(path, ["a"])),
    "responses": ("r.npy", lambda path: np.save(path, np.ones((3, 4))), lambda path: load_array(path, "responses", 2)),
    "zip of images": ("i.zip", write_zip, lambda path: ImageFiles(path)[0]),
    "HDF5 of images": ("i.h5", write_bricks, lambda path: open_images(path)[0]),
    "image of a folder": ("images/i.png", write_png, lambda path: ImageFiles(path.parent)[0]),
    "select": ("ids.txt", lambda path: path.write_text("a\n"), select),
    "volume": ("m.nii.gz", write_volume, lambda path: load_image(path, "maps")),
    "header and volume": ("m.img", write_pair, lambda path: load_image(path.with_suffix(".hdr"), "maps")),
    "surface": ("m.gii", write_surface, lambda path: load_image(path, "maps")),
    "annotation": ("lh.annot", write_annotation, read_annotation),
    "one number a vertex": (
        "lh.curv", lambda path: nibabel.freesurfer.write_morph_data(path, np.ones(5)),
        lambda path: open_surface(path, "maps"),
    ),
    "stimuli": ("s.csv", write_csv, read_stimuli),
    "names of areas": ("n.csv", write_names, read_label_names),
    "label descriptions": ("n.txt", lambda path: path.write_text("1 V1\n"), read_label_names),
    "categories": ("c.csv", write_categories, lambda path: read_categories(path, np.array([3]))),
    "stimulus table": (
        "n.csv", lambda path: path.write_text('cocoId,cocoSplit,cropBox,nsdId\n1,train,"(0,0,0,0)",2\n'),
        lambda path: _read_stimuli(path),
    ),
    "annotations": (
        "instances_train.json", lambda path: path.write_text('{"images": [], "categories": [], "annotations": []}'),
        lambda path: _read_annotations(path, "name"),
    ),
    "shared images": (
        "e.mat", lambda path: savemat(path, {"sharedix": np.arange(1, 9)}, do_compression=True), read_shared
    ),
    "trials": (
        "t.tsv", lambda path: path.write_text("SUBJECT\tSESSION\tRUN\t73KID\n1\t1\t1\t5\n"),
        lambda path: read_trials(path, 1),
    ),
    "YAML": ("p.yml", write_parameters, load_yaml),
    "parameters": ("p.yml", write_parameters, lambda path: read_parameters(path, {}, root=path.parent)),
    "encoder": ("e.safetensors", write_encoder, jne.load_encoder),
}  # fmt: skip


@pytest.fixture(params=PLAIN)
def kind(request, tmp_path):
    name, write, read = PLAIN[request.param]
    (tmp_path / name).parent.mkdir(exist_ok=True)
    return tmp_path / name, write, read


def pipe(path):
    os.mkfifo(path)


def link_to_pipe(path):
    os.mkfifo(path.with_name("pipe"))
    path.symlink_to("pipe")


def device(path):
    path.symlink_to("/dev/zero")


def link_to_nothing(path):
    path.symlink_to(path.with_name("nowhere"))


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs pipes")
@pytest.mark.parametrize("make", [pipe, link_to_pipe, device, link_to_nothing])
def test_what_is_no_plain_file_is_told_and_not_waited_for(kind, make):
    path, write, read = kind
    write(path)  # what is read beside it
    path.unlink()
    make(path)
    with pytest.raises(
        (ValueError, OSError), match=r"is a (pipe|device|link to .*nowhere)|are links to nothing .*nowhere"
    ):
        read(path)


def test_what_datalad_keeps_is_read(kind):
    path, write, read = kind
    write(path)
    key = path.parent / ".git/annex/objects/Xx/9Z" / f"MD5E-s9--abc{path.suffix}"
    key.parent.mkdir(parents=True)
    shutil.move(path.resolve(), key)
    key.chmod(0o444)
    path.unlink(missing_ok=True)
    path.symlink_to(key.relative_to(path.parent))
    try:
        read(path)
    except ValueError as error:  # of content that is too little for this test to write
        assert re.search(r"sections|no notebook|has no column|nothing", str(error)), error


# What takes more memory than is said


@pytest.fixture
def limit(monkeypatch):
    monkeypatch.setenv("JNE_MAX_MEMORY", str(LIMIT))


def big_npz(path):
    np.savez_compressed(path, stimulus_id=np.arange(100), a=np.zeros((100, BIG // 800)))


def big_hdf5(path, **options):
    with h5py.File(path, "w") as file:
        file["stimulus_id"] = np.arange(BIG // 80)[:3]
        file.create_dataset("a", (BIG // 80, 10), "f8", **{"chunks": (1000, 10), **options})


def big_ids(path):
    with h5py.File(path, "w") as file:
        file.create_dataset("stimulus_id", (BIG // 8,), h5py.string_dtype(), chunks=(1000,))
        file.create_dataset("a", (BIG // 8, 1), "f8", chunks=(1000, 1))


def big_layer(path):
    with h5py.File(path, "w") as file:
        file["stimulus_id"] = np.arange(100)
        file.create_dataset("a", (100, BIG // 800), "f8", chunks=(100, 100))


def big_dataset(path):
    make_content().to_netcdf(path, engine="h5netcdf")
    with h5py.File(path, "r+") as file:
        del file["deep"], file["feature_deep"]
        n = file["stimulus"].shape[0]
        scale = file.create_dataset("feature_deep", (BIG // (8 * n),), ">f4", chunks=(1000,))
        scale.make_scale("This is a netCDF dimension but not a netCDF variable.         1")
        deep = file.create_dataset("deep", (n, BIG // (8 * n)), "f8", chunks=(n, 1000))
        deep.dims[0].attach_scale(file["stimulus"])
        deep.dims[1].attach_scale(scale)


def big_labels(path):
    with h5py.File(path, "w") as file:
        file.create_dataset("roi", (BIG // 8,), "f8", chunks=(1000,)).make_scale("roi")


def big_volume(path):
    with gzip.open(path, "wb", compresslevel=1) as file:
        header = nibabel.Nifti1Header()
        header.set_data_shape((250, 250, 400)), header.set_data_dtype("f4"), header["magic"].fill(b"n+1")
        header["vox_offset"] = 352
        file.write(header.binaryblock + bytes(4))
        for _ in range(BIG // 10**6):
            file.write(bytes(10**6))


def big_surface(path):
    packed = base64.b64encode(zlib.compress(bytes(BIG), 1)).decode()
    values = {"kind": "NIFTI_TYPE_UINT8", "n": BIG, "encoding": "GZipBase64Binary", "other": ""}
    path.write_text(GIFTI.format(**values, data=packed))


def big_gzip(path):
    path.write_bytes(packed_zeros())


@cache
def packed_zeros():
    return gzip.compress(bytes(BIG), 1)


def big_zip(path):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("a.png", bytes(BIG // 4))


def big_picture(path):
    Image.new("1", (9000, 9000)).save(path)


def big_brick(path):
    with h5py.File(path, "w") as file:
        file.create_dataset("imgBrick", (2, 20_000, 20_000, 3), "u1", chunks=(1, 100, 100, 3))


def many_bricks(path):
    with h5py.File(path, "w") as file:
        file.create_dataset("imgBrick", (10**9, 8, 8, 3), "u1", chunks=(1, 8, 8, 3))


def big_matlab(path):
    savemat(path, {"sharedix": np.arange(1, 9), "more": np.zeros(BIG // 8)}, do_compression=True)


def aliases(path):
    lines = ["a0: &a0 [1, 2, 3, 4, 5, 6, 7, 8, 9]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 9)]
    path.write_text("\n".join(lines))


def merged_aliases(path):
    lines = ["a0: &a0 {a: 1, b: 2}"]
    lines += [f"a{i}: &a{i} {{<<: [{', '.join([f'*a{i - 1}'] * 9)}]}}" for i in range(1, 9)]
    path.write_text("\n".join(lines))


def aliases_of_a_long_text(path):
    path.write_text(f"a: &a {'x' * 10_000}\nb: &b [{', '.join(['*a'] * 2000)}]\nc: [{', '.join(['*b'] * 2000)}]\n")


def one_map(path):
    image = load_image(path, "maps")
    return next(open_maps(image, path, "maps", image.shape).rows(np.arange(3)))


BOMBS = {
    "npz of features": ("f.npz", big_npz, lambda path: read_feature_file(path).features("a")),
    "npz of arrays": ("a.npz", big_npz, lambda path: load_named(path, ["a"])),
    "HDF5 of arrays": ("a.h5", big_hdf5, lambda path: load_named(path, ["a"])),
    "a chunk": ("a.h5", lambda path: big_hdf5(path, chunks=(BIG // 800, 10)), lambda path: load_named(path, ["a"])),
    "a layer of features": ("f.h5", big_layer, lambda path: read_feature_file(path).features("a")),
    "some of a layer": ("f.h5", big_layer, lambda path: read_feature_file(path).features("a", range(50))),
    "ids of features": ("f.h5", big_ids, read_feature_file),
    "features of a dataset": ("d.nc", big_dataset, lambda path: jne.load_dataset(path).features("all", "deep")),
    "a variable of a dataset": ("d.nc", big_dataset, lambda path: jne.load_dataset(path).get("deep")),
    "labels of a dataset": ("d.nc", big_labels, open_content),
    "a result": ("r.nc", big_dataset, read_netcdf),
    "a mask": ("m.nii.gz", big_volume, lambda path: read_values(load_image(path, "mask"), path, "mask")),
    "one map": ("m.nii.gz", big_volume, one_map),
    "data of a surface": ("m.gii", big_surface, lambda path: load_image(path, "maps")),
    "a packed surface": ("m.gii.gz", big_gzip, lambda path: load_image(path, "maps")),
    "a packed annotation": ("lh.annot", big_gzip, read_annotation),
    "a packed table": ("s.csv", big_gzip, read_stimuli),
    "names of areas": ("n.txt", big_gzip, read_label_names),
    "packed annotations": ("instances_train.json", big_gzip, lambda path: _read_annotations(path, "name")),
    "a list of ids": ("ids.txt", big_gzip, select),
    "image of a zip": ("i.zip", big_zip, lambda path: ImageFiles(path)[0]),
    "a picture": ("i.png", big_picture, lambda path: ImageFiles(path.parent)[0]),
    "an image of an HDF5": ("i.h5", big_brick, lambda path: open_images(path)[0]),
    "images of an HDF5": ("i.h5", many_bricks, open_images),
    "MATLAB": ("e.mat", big_matlab, read_shared),
    "aliases": ("p.yml", aliases, load_yaml),
    "merged aliases": ("p.yml", merged_aliases, load_yaml),
    "aliases of a text": ("p.yml", aliases_of_a_long_text, load_yaml),
}


@pytest.mark.parametrize("bomb", BOMBS)
def test_what_takes_too_much_is_refused_before_it_is_unpacked(tmp_path, limit, bomb):
    name, write, read = BOMBS[bomb]
    write(tmp_path / name)
    assert (tmp_path / name).stat().st_size < 5e6
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match=r"limit is 10 MB .*JNE_MAX_MEMORY.* set .* JNE_MAX_MEMORY=\d+GB"):
            read(tmp_path / name)
        assert tracemalloc.get_traced_memory()[1] < 3 * LIMIT + XML_BUFFER
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("bomb", ["a layer of features", "image of a zip", "aliases of a text"])
def test_the_limit_can_be_set(tmp_path, monkeypatch, bomb):
    name, write, read = BOMBS[bomb]
    write(tmp_path / name)
    monkeypatch.setenv("JNE_MAX_MEMORY", "100GB")
    try:
        read(tmp_path / name)
    except ValueError as error:
        assert "cannot be decoded" in str(error)  # zeros are no image
    monkeypatch.setenv("JNE_MAX_MEMORY", "much")
    with pytest.raises(ValueError, match="JNE_MAX_MEMORY='much' is not a size"):
        read(tmp_path / name)


def test_by_default_the_limit_is_half_of_the_memory(tmp_path, monkeypatch):
    monkeypatch.delenv("JNE_MAX_MEMORY", raising=False)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("a", (10**6, 10**7), "f8", chunks=(1000, 1000))
    with pytest.raises(ValueError, match=r"80 TB.*half of this machine's memory"):
        load_named(tmp_path / "a.h5", ["a"])


def test_what_is_read_in_blocks_may_be_larger(tmp_path, monkeypatch):
    monkeypatch.setenv("JNE_MAX_MEMORY", "2MB")
    make_content(600, 8000).drop_vars("responses_repeats").to_netcdf(tmp_path / "d.nc", engine="h5netcdf")
    with open_content(tmp_path / "d.nc") as content:
        assert content["responses"].nbytes > 4 * 2e6
        assert value_problems(content) == []
    with h5py.File(tmp_path / "f.h5", "w") as file:
        file["stimulus_id"] = np.arange(5000)
        file.create_dataset("a", (5000, 1000), "f4", chunks=(10, 1000))
    assert read_feature_file(tmp_path / "f.h5").features("a", range(7, 90)).shape == (83, 1000)
    image = nibabel.Nifti1Image(np.ones((20, 20, 20, 200), "f4"), np.eye(4))
    nibabel.save(image, tmp_path / "m.nii.gz")
    image = load_image(tmp_path / "m.nii.gz", "maps")
    maps = open_maps(image, tmp_path / "m.nii.gz", "maps", (20, 20, 20))
    assert sum(1 for _ in maps.rows(np.arange(5))) == 200


@pytest.mark.parametrize(
    "shape", ["(-60, 7)", "(60, -7)", "(-60, -7)", f"({2**63 - 1}, 7)", f"({10**12}, 7)", "(True, 7)"]
)
@pytest.mark.filterwarnings("ignore:overflow encountered")
def test_arrays_of_impossible_shapes_are_named(tmp_path, shape):
    np.save(tmp_path / "a.npy", np.ones((60, 7)))
    content = (tmp_path / "a.npy").read_bytes()
    header = content[10:128].replace(b"(60, 7)", shape.encode())[:117].ljust(117) + b"\n"
    (tmp_path / "a.npy").write_bytes(content[:10] + header + content[128:])
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as file:
        file.write(tmp_path / "a.npy", "a.npy")
        file.write(tmp_path / "a.npy", "stimulus_id.npy")
    with pytest.raises(ValueError, match=r"a\.npz"):
        read_feature_file(tmp_path / "a.npz")
    with pytest.raises(ValueError, match=r"responses: .*a\.npy .* is not a whole \.npy file"):
        load_array(tmp_path / "a.npy", "responses", 2)
