"""Headers of brain images that say, or unpack to, what no header has: refused in a sentence, within the limit."""

import base64
import gzip
import tracemalloc
import zlib

import nibabel
import numpy as np
import pytest
from scipy.io import savemat

from jne.prepare.brain_files import load_image, open_image, open_maps
from jne.prepare.nsd.betas import read_session
from jne.prepare.nsd.layout import read_map

BIG = 100_000_000
LIMIT = 8_000_000
XML_BUFFER = 40_000_000
"""That nibabel sets aside for any GIFTI file, about."""

pytestmark = pytest.mark.filterwarnings("ignore")  # of nibabel, about the same things


@pytest.fixture(autouse=True)
def limit(monkeypatch):
    monkeypatch.setenv("JNE_MAX_MEMORY", str(LIMIT))


def nifti(path, extensions, *, kind=nibabel.Nifti1Header, start=None, order="<", flag=b"\1\0\0\0", magic=None):
    """A volume of nothing, whose header is followed by these bytes."""
    header = kind(endianness=order)
    header.set_data_shape((3, 3, 3)), header.set_data_dtype("u1")
    header["magic"] = magic or header["magic"]
    header["vox_offset"] = len(header.binaryblock) + 4 + len(extensions) if start is None else start
    content = header.binaryblock + flag + extensions + bytes(27)
    path.write_bytes(gzip.compress(content, 1) if path.suffix == ".gz" else content)


def extension(size, code=6, content=b"", order="<"):
    return np.array([size, code], order + "i4").tobytes() + content


def pair(path, extensions):
    nifti(path.with_suffix(".hdr"), extensions, kind=nibabel.nifti1.Nifti1PairHeader, start=0)
    path.write_bytes(bytes(27))


def with_matrix(path):
    nibabel.save(nibabel.Spm99AnalyzeImage(np.ones((3, 3, 3), "f4"), np.eye(4)), path)
    savemat(path.with_suffix(".mat"), {"M": np.eye(4), "more": np.zeros(BIG // 8)}, do_compression=True)


def cifti(path, label):
    text = b'<CIFTI Version="2"><Matrix><MatrixIndicesMap AppliesToMatrixDimension="0" '
    text += b'IndicesMapToDataType="CIFTI_INDEX_TYPE_LABELS"><NamedMap><MapName>a</MapName><LabelTable>'
    text += label + b"</LabelTable></NamedMap></MatrixIndicesMap></Matrix></CIFTI>"
    nifti(path, extension(8 + len(text), 32, text), kind=nibabel.Nifti2Header)


GIFTI = """<GIFTI Version="1.0" NumberOfDataArrays="1">{before}{arrays}</GIFTI>"""
ARRAY = """<DataArray Intent="NIFTI_INTENT_NONE" DataType="NIFTI_TYPE_UINT8" ArrayIndexingOrder="RowMajorOrder"
Dimensionality="1" Dim0="{n}" Encoding="{kind}" Endian="LittleEndian"><Data>{data}</Data></DataArray>"""


def gifti(path, *arrays, before=""):
    """Arrays of ``(declared, unpacked)`` bytes."""
    packed = {size: base64.b64encode(zlib.compress(bytes(size), 1)).decode() for _, size in arrays}
    texts = [ARRAY.format(n=n, kind="GZipBase64Binary", data=packed[size]) for n, size in arrays]
    text = GIFTI.format(before=before, arrays="".join(texts)).encode()
    path.write_bytes(gzip.compress(text, 1) if path.suffix == ".gz" else text)


def declared(path, n, kind, data):
    path.write_text(GIFTI.format(before="", arrays=ARRAY.format(n=n, kind=kind, data=data)))


TOO_MUCH = r"limit is 8 MB .*JNE_MAX_MEMORY"
SMALL = "says that it has .* bytes; needed: at least 8"
BEYOND = "an array unpacks to more than the 9 bytes"
HEADERS = {
    "bytes of an extension": ("m.nii.gz", lambda p: nifti(p, extension(BIG, content=bytes(BIG - 8))), TOO_MUCH),
    "bytes that are said": ("m.nii", lambda p: nifti(p, extension(2**31 - 16), start=2.0**31), TOO_MUCH),
    "bytes that are said, gz": ("m.nii.gz", lambda p: nifti(p, extension(2**31 - 16), start=2.0**31), TOO_MUCH),
    "big-endian": ("m.nii", lambda p: nifti(p, extension(2**31 - 16, order=">"), start=2.0**31, order=">"), TOO_MUCH),
    "NIfTI-2": (
        "m.nii", lambda p: nifti(p, extension(2**31 - 16), start=2**62, kind=nibabel.Nifti2Header), TOO_MUCH
    ),
    "number of extensions": ("m.nii.gz", lambda p: nifti(p, extension(16, content=bytes(8)) * 10**5), TOO_MUCH),
    "number of small ones": ("m.nii.gz", lambda p: nifti(p, extension(8) * 10**5), TOO_MUCH),
    "number in a pair": ("m.img", lambda p: pair(p, extension(8) * 10**5), TOO_MUCH),
    "of no bytes": ("m.nii.gz", lambda p: nifti(p, extension(0) + bytes(BIG)), SMALL),
    "of less": ("m.nii.gz", lambda p: nifti(p, extension(-(2**31)) + bytes(BIG)), SMALL),
    "of no bytes in a pair": ("m.img", lambda p: pair(p, extension(0) + bytes(1000)), SMALL),
    "data far away": ("m.nii", lambda p: nifti(p, b"", start=1e30), "cannot be read"),
    "data at infinity": ("m.nii", lambda p: nifti(p, b"", start=np.inf), "cannot be read"),
    "data nowhere": ("m.nii", lambda p: nifti(p, b"", start=np.nan), "cannot be read"),
    "XML of CIFTI": ("m.nii.gz", lambda p: cifti(p, b'<Label Key="0"/>' * 10**5), TOO_MUCH),
    "matrix of SPM": ("m.img", with_matrix, TOO_MUCH),
    "beyond its dimensions": ("m.gii", lambda p: gifti(p, (9, BIG)), BEYOND),
    "a little beyond": ("m.gii", lambda p: gifti(p, (9, 10)), BEYOND),
    "packed beyond": ("m.gii.gz", lambda p: gifti(p, (9, BIG)), BEYOND),
    "one array": ("m.gii", lambda p: gifti(p, (BIG, BIG)), TOO_MUCH),
    "many arrays": ("m.gii", lambda p: gifti(p, *[(10**6, 10**6)] * 20), TOO_MUCH),
    "declared as text": ("m.gii", lambda p: declared(p, 10**12, "ASCII", "1 2 3"), TOO_MUCH),
    "declared plainly": ("m.gii", lambda p: declared(p, 10**12, "Base64Binary", "AAAA"), TOO_MUCH),
    "of less than nothing": ("m.gii", lambda p: declared(p, -9, "GZipBase64Binary", "eJwDAAAAAAE="), "cannot be read"),
    "number of arrays": ("m.gii.gz", lambda p: gifti(p, *[(0, 0)] * 4000), TOO_MUCH),
    "number of labels": (
        "m.gii.gz",
        lambda p: gifti(p, (3, 3), before="<LabelTable>" + "<Label Key='0'/>" * 5000 + "</LabelTable>"), TOO_MUCH,
    ),
    "texts in texts": (
        "m.gii",
        lambda p: p.write_text("<!DOCTYPE x [<!ENTITY a0 'aaaaaaaaaa'>" + "".join(
            f"<!ENTITY a{i} '{f'&a{i - 1};' * 10}'>" for i in range(1, 9)
        ) + f"]>{GIFTI.format(before='<MetaData><MD><Name>&a8;</Name></MD></MetaData>', arrays='')}"),
        "cannot be read",
    ),
    "text of another file": (
        "m.gii",
        lambda p: p.write_text("<!DOCTYPE x [<!ENTITY a SYSTEM '/etc/passwd'>]>" + GIFTI.format(
            before="<MetaData><MD><Name>n</Name><Value>&a;</Value></MD></MetaData>",
            arrays=ARRAY.format(n=9, kind="GZipBase64Binary", data=base64.b64encode(zlib.compress(bytes(99))).decode()),
        )),
        BEYOND,
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", HEADERS)
def test_headers_are_refused_before_they_are_unpacked(tmp_path, kind):
    name, write, message = HEADERS[kind]
    write(tmp_path / name)
    assert (tmp_path / name).stat().st_size < 3e6
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match=message):
            image = load_image(tmp_path / name, "maps")
            list(open_maps(image, tmp_path / name, "maps", (3, 3, 3)).rows(np.arange(3)))
        assert tracemalloc.get_traced_memory()[1] < 3 * LIMIT + XML_BUFFER
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("kind", [nibabel.Nifti1Header, nibabel.Nifti2Header])
@pytest.mark.parametrize("name", ["m.nii", "m.nii.gz"])
def test_usual_extensions_are_read(tmp_path, name, kind, order):
    extensions = extension(32, 6, b"a comment".ljust(24, b"\0"), order) + extension(16, 4, bytes(8), order)
    nifti(tmp_path / name, extensions, kind=kind, order=order)
    image = load_image(tmp_path / name, "maps")
    assert [e.get_code() for e in image.header.extensions] == [6, 4] and not np.asarray(image.dataobj).any()


def test_usual_arrays_and_labels_are_read(tmp_path):
    gifti(tmp_path / "m.gii", (9, 9), (9, 9), before="<LabelTable><Label Key='1'>V1</Label></LabelTable>")
    image = load_image(tmp_path / "m.gii", "atlas")
    assert [array.data.shape for array in image.darrays] == [(9,), (9,)]
    assert image.labeltable.get_labels_as_dict() == {1: "V1"}


@pytest.mark.parametrize("read", [
    lambda path: read_map([path]), lambda path: read_session([path], [(3, 3, 3)], np.arange(5), 1),
    lambda path: open_image(path, "mask"),
], ids=["map", "betas", "mask"])  # fmt: skip
def test_images_of_nsd_go_through_the_same_door(tmp_path, read):
    nifti(tmp_path / "m.nii.gz", extension(8) * 10**5)
    with pytest.raises(ValueError, match=TOO_MUCH):
        read(tmp_path / "m.nii.gz")
