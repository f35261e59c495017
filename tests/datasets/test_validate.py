"""`jne validate`: what no chapter could use is named before anything is fitted."""

import re

import numpy as np
import pytest
from click.testing import CliRunner
from conftest import make_content

import jne
from jne.cli import main
from jne.datasets import validate, value_problems

SIDES = np.array(["left", "right"] * 4, object)
VERTEX = np.repeat(np.arange(4), 2)


def with_voxels(**variables):
    return make_content().assign({name: ("voxel", np.asarray(values)) for name, values in variables.items()})


BAD = {
    "hemispheres as letters": (with_voxels(hemisphere=np.array(["L", "R"] * 4, object)), "has the values 'L'"),
    "vertices from 1": (with_voxels(hemisphere=SIDES, vertex=VERTEX + 1), "from 1 to 4: subtract 1"),
    "negative vertices": (with_voxels(hemisphere=SIDES, vertex=VERTEX - 1), "vertex runs from -1 to 2"),
    "halves of vertices": (with_voxels(hemisphere=SIDES, vertex=VERTEX + 0.5), "8 values that are not whole numbers"),
    "too large vertices": (with_voxels(hemisphere=SIDES, vertex=VERTEX + 32_490), "indices 0 to 32491"),
    "vertices without hemispheres": (with_voxels(vertex=VERTEX), "vertex without hemisphere"),
    "areas as doubles": (with_voxels(roi=np.array([1, 2, np.nan, 1, 1, 2, 2, 2])), "type float64, needed: text"),
    "areas that are NaN": (with_voxels(roi=np.array([*"ABCDEFG", np.nan], object)), "1 values that are no text"),
    "an atlas of doubles": (with_voxels(roi_mine=np.ones(8)), "roi_mine has type float64"),
    "a ceiling of text": (with_voxels(noise_ceiling=np.array(["0.5"] * 8, object)), "noise_ceiling has type object"),
    "folds with NaN": (make_content().assign(fold=("stimulus", np.append(np.arange(59.0) % 5, np.nan))), "no fold"),
    "folds without name": (
        make_content().assign(fold=("stimulus", np.array([*"abcde"] * 11 + ["", "nan", "a", "b", "c"], object))),
        "fold has 2 values that name no fold",
    ),
    "floats as pictures": (
        make_content().assign(thumbnail=(("stimulus", "y", "x", "rgb"), np.zeros((60, 4, 4, 3), "f4"))),
        r"thumbnail has shape \(60, 4, 4, 3\), float32",
    ),
    "colours first": (
        make_content().assign(thumbnail=(("stimulus", "rgb", "y", "x"), np.zeros((60, 3, 4, 4), np.uint8))),
        r"thumbnail has shape \(60, 3, 4, 4\)",
    ),
    "pictures of nothing": (
        make_content().assign(thumbnail=(("stimulus", "y", "x", "rgb"), np.zeros((60, 0, 0, 3), np.uint8))),
        r"thumbnail has shape \(60, 0, 0, 3\)",
    ),
    **{
        f"{name} of two axes": (
            make_content().assign({name: (("voxel", "k"), np.zeros((8, 2), int))}), rf"variable {name} has dimensions"
        )
        for name in ("vertex", "noise_ceiling", "roi", "roi_mine", "hemisphere", "level")
    },
    "folds of two axes": (
        make_content().assign(fold=(("stimulus", "k"), np.zeros((60, 2), int))), "variable fold has dimensions"
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", BAD)
def test_what_no_chapter_could_use_is_named(kind):
    content, message = BAD[kind]
    with pytest.raises(ValueError, match=message):
        jne.EncodingDataset(content).check_values()


@pytest.mark.parametrize("kind", ["hemispheres as letters", "halves of vertices", "folds with NaN", "colours first"])
def test_the_command_names_it_in_a_file(kind, tmp_path):
    content, message = BAD[kind]
    content.to_netcdf(tmp_path / "data.nc", engine="h5netcdf")
    result = CliRunner().invoke(main, ["validate", str(tmp_path / "data.nc")])
    assert result.exit_code == 1 and isinstance(result.exception, SystemExit), result.output
    assert re.search(message, result.output), result.output


def test_what_is_well_passes():
    content = with_voxels(hemisphere=SIDES, vertex=np.array([0, 0, 7, 7, 2, 2, 9, 9]))
    content = content.assign(
        fold=("stimulus", np.array([*"abcde"] * 12, object)),
        thumbnail=(("stimulus", "y", "x", "rgb"), np.zeros((60, 4, 4, 3), np.uint8)),
    )
    jne.EncodingDataset(content).check_values()


def test_values_are_checked_column_by_column_with_the_same_findings(monkeypatch):
    """Against one look at the whole."""
    content = make_content()
    content["responses"].values[3, [1, 6]] = np.nan
    content["responses"].values[1, 4] = np.inf
    content["responses"].values[:, 2] = 7
    whole = value_problems(content)
    monkeypatch.setattr(validate, "_SCAN_BYTES", 1)
    monkeypatch.setattr(validate, "_SCAN_COLUMNS", 1)
    assert value_problems(content) == whole
    assert "3 non-finite values of 480, in 3 of 8 voxels (first: stimulus 1, voxel 4)" in whole[0]
    assert "1 of 8 voxels are constant (first: 2)" in whole[1] and len(whole) == 2
