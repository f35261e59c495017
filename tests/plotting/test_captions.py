"""Captions and remarks are filled with numbers, as they are and not as Markdown, and keep them for the record."""

from pathlib import Path

import nbformat
import numpy as np
import pandas as pd
import pytest
import xarray as xr

from jne.book import read_records
from jne.plotting import each, performance, say_data
from jne.plotting.captions import fill


def test_numbers_are_filled_in_as_they_are_and_recorded_not_rounded():
    numbers = {
        "r2": xr.DataArray(np.float32(0.25)),
        "n": np.int64(1234),
        "rho": pd.Series({"V1": 0.126, "as they are": -1.0}),
        "area": "V1 *a*",
        "none": float("nan"),
    }
    text, metadata = fill("{r2:.3f} {n:,} {rho[V1]:.2f} {rho[as they are]:+.0f} {none:.2f} {area}", numbers)
    assert text.startswith("0.250 1,234 0.13 -1 nan <bdi") and text.endswith("V1 &#42;a&#42;</bdi>")
    output = nbformat.v4.new_output("display_data", metadata=metadata)
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(outputs=[output])])
    recorded = {"r2": 0.25, "n": 1234, "rho.V1": 0.126, "rho.as they are": -1.0, "area": "V1 *a*", "none": None}
    assert read_records(notebook) == recorded
    assert fill("{as it is} {", {}) == ("{as it is} {", {})


def test_a_piece_of_text_for_each_entry():
    called = each("**{name}**: {value}", {"faces": "FFC, *", "b|c": "V4"}, "; ")
    assert called == {"faces": "FFC, *", "b|c": "V4"}
    assert called.text.startswith("**faces**: <bdi") and "|" not in called.text and called.text.endswith(": V4")
    rho = each("{name} {low:+.2f} to {high:+.2f}", pd.DataFrame({"low": [0.1], "high": [0.2]}, index=["JNE"]))
    assert rho.text == "JNE +0.10 to +0.20" and rho == {"JNE.low": 0.1, "JNE.high": 0.2}
    assert not each("{name}", {})


@pytest.mark.parametrize("numbers", [{"x": [1, 2]}, {"x": None}, {"x": {"a": object()}}])
def test_what_is_no_number_is_refused(numbers):
    with pytest.raises(ValueError, match="accepted are bool, int, float, str, or a mapping"):
        fill("{x}", numbers)


def test_datasets_of_a_page_are_a_sentence(tiny_dataset, monkeypatch):
    said = []
    monkeypatch.setattr("jne.plotting.style.remark", lambda text, **numbers: said.append(fill(text, numbers)[0]))
    say_data({"one": tiny_dataset})
    say_data({"one": tiny_dataset, "two": tiny_dataset})
    n_voxels, n_stimuli = tiny_dataset.n_voxels, tiny_dataset.n_stimuli
    assert f"responses of {n_voxels:,} voxels to {n_stimuli:,} stimuli (" in said[0]
    assert all(f"{len(tiny_dataset.stimuli(split)):,} {split}" in said[0] for split in ("train", "validation", "test"))
    assert "Beside it" not in said[0] and said[1].startswith(said[0]) and "Beside it" in said[1]


def test_outside_a_clone_the_package_brings_what_was_measured(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(performance, "_BROUGHT", tmp_path)
    (tmp_path / "engine.json").write_text('{"a": 1}')
    assert performance.read(Path("benchmarks/results/engine.json")) == {"a": 1}
    assert performance.read(Path("elsewhere/engine.json")) is None
