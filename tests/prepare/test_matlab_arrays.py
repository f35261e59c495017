"""MATLAB's files of version 7.3 as MATLAB writes them: axes reversed in HDF5, cells of references to characters."""

import h5py
import numpy as np
import pytest

from jne.prepare import parse_map, prepare_arrays

N, N_VOXELS = 40, 6
MAP = "features=clip,responses=betas,roi=area,roi_names=names,stimulus_id=pictures,split=part"
NAMES = ["V1", "hV4", "Gebiet ä"]


def save(path, **arrays):
    """What MATLAB's save(..., '-v7.3') makes of numbers and of cells of characters (a list)."""
    with h5py.File(path, "w", userblock_size=512) as file:
        refs = file.create_group("#refs#")
        for name, values in arrays.items():
            if isinstance(values, list):
                cell = file.create_dataset(name, (1, len(values)), h5py.ref_dtype)
                for place, text in enumerate(values):
                    codes = np.frombuffer(text.encode("utf-16-le"), "u2")
                    one = refs.create_dataset(f"{name}{place}", data=codes[:, None] if text else np.zeros(2, "u8"))
                    one.attrs["MATLAB_class"] = np.bytes_("char")
                    if not text:
                        one.attrs["MATLAB_empty"] = np.uint8(1)
                    cell[0, place] = one.ref
                cell.attrs["MATLAB_class"] = np.bytes_("cell")
            else:
                item = file.create_dataset(name, data=np.atleast_2d(values).T)
                item.attrs["MATLAB_class"] = np.bytes_("double" if values.dtype.kind == "f" else "uint16")
    with path.open("r+b") as file:
        file.write(b"MATLAB 7.3 MAT-file, Platform: GLNXA64, Created on: Mon Jan 01 00:00:00 2024 HDF5 schema 1.00 .")
    return path


@pytest.fixture
def arrays():
    rng = np.random.default_rng(0)
    found = {"clip": rng.normal(size=(N, 3)), "betas": rng.normal(size=(N, N_VOXELS))}
    found |= {"area": np.array([1.0, 1, 2, 3, 3, 0]), "names": NAMES}
    found |= {
        "pictures": [f"bild{i}.png" for i in range(N)],
        "part": ["train"] * 25 + ["validation"] * 5 + ["test"] * 10,
    }
    return found


def prepare(folder, arrays, mapping=MAP, **options):
    return prepare_arrays(save(folder / "study.mat", **arrays), parse_map(mapping), folder / "out.nc", **options)


def test_arrays_are_as_matlab_shows_them(tmp_path, arrays):
    said = []
    data = prepare(tmp_path, arrays, report=said.append)
    np.testing.assert_array_equal(data.features(), arrays["clip"].astype("f4"))
    np.testing.assert_array_equal(data.responses(), arrays["betas"].astype("f4"))
    assert list(data.get("roi")) == ["V1", "V1", "hV4", "Gebiet ä", "Gebiet ä", ""]
    assert list(data.get("stimulus_id")) == arrays["pictures"] and list(data.get("split")) == arrays["part"]
    assert "count into roi_names from 1" in said[0]


def test_areas_may_be_cells_of_their_own(tmp_path, arrays):
    arrays["area"] = ["V1", "", "V1", "hV4", "hV4", "hV4"]
    data = prepare(tmp_path, arrays, MAP.replace("roi_names=names,", ""))
    assert list(data.get("roi")) == arrays["area"]


def test_vertices_that_count_from_one(tmp_path, arrays):
    mapping, said = f"{MAP},vertex=v,hemisphere=side", []
    arrays |= {"v": np.array([1.0, 5, 2562, 8, 10, 11]), "side": ["left"] * 3 + ["right"] * 3}
    data = prepare(tmp_path, arrays, mapping, mesh="fsaverage4", report=said.append)
    assert list(data.get("vertex")) == [0, 4, 2561, 7, 9, 10] and "1 is subtracted" in said[1]
    arrays["v"][2] = 600
    data = prepare(tmp_path, arrays, mapping, mesh="fsaverage4", report=said.append)
    assert list(data.get("vertex")) == [1, 5, 600, 8, 10, 11] and "if it counts from 1, save vertex - 1" in said[-1]


def test_what_may_mean_two_things_is_refused_with_the_reason(tmp_path, arrays):
    zero = arrays | {"area": np.array([0.0, 0, 1, 2, 2, 1])}
    with pytest.raises(ValueError, match=r"goes from 0 to 2, and roi_names has 3 areas. MATLAB counts from 1"):
        prepare(tmp_path, zero)
    save(tmp_path / "study.mat", **arrays)
    with h5py.File(tmp_path / "study.mat", "r+") as file:
        del file["clip"].attrs["MATLAB_class"]
    with pytest.raises(ValueError, match=r"'clip' of .* was not saved by MATLAB"):
        prepare_arrays(tmp_path / "study.mat", parse_map(MAP), tmp_path / "out.nc")
    with h5py.File(tmp_path / "study.mat", "r+") as file:
        file["clip"].attrs["MATLAB_class"] = np.bytes_("string")
        file["clip"].attrs["MATLAB_object_decode"] = np.int32(3)
    with pytest.raises(ValueError, match=r"MATLAB's class string.*cellstr\(x\)"):
        prepare_arrays(tmp_path / "study.mat", parse_map(MAP), tmp_path / "out.nc")
    (tmp_path / "old.mat").write_bytes(b"MATLAB 5.0 MAT-file, Platform: GLNXA64" + bytes(200))
    with pytest.raises(ValueError, match=r"version 7 or older; save it as save\('old\.mat', \.\.\., '-v7\.3'\)"):
        prepare_arrays(tmp_path / "old.mat", parse_map(MAP), tmp_path / "out.nc")
