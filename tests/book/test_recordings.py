"""Pages on recordings: their own words, what cannot be shown in one list, voxels by their name."""

import json
import re
from pathlib import Path

import nbformat
import numpy as np
import pytest
from conftest import make_content
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

import jne
from jne.book.recordings import fit_to_data, fit_to_recordings, recorded_unit

ROOT = Path(__file__).resolve().parents[2]
OF_SIMULATIONS = re.compile(r"synthetic|planted|simulat|\bgated?\b|scenario", re.IGNORECASE)


def lack(text):
    return new_output("display_data", {"text/markdown": text}, metadata={"jne": "not shown"})


def shown(text):
    return new_output("display_data", {"text/markdown": text})


@pytest.fixture(params=["neuron", None, "synthetic"])
def values(request, tmp_path):
    content = make_content()
    content.attrs |= {"synthetic": int(request.param == "synthetic")}
    if request.param == "neuron":
        content.attrs["unit"] = "neuron"
    jne.save_dataset(content, tmp_path / "data.nc")
    return {"data": str(tmp_path / "data.nc")}, request.param


def page(folder, values, cells):
    nbformat.write(new_notebook(cells=cells), folder / "page.ipynb")
    fit_to_data(folder / "page.ipynb", values)
    return nbformat.read(folder / "page.ipynb", as_version=4).cells


CELLS = [
    new_markdown_cell("# Title\n\nVoxels of {math}`voxel`."),
    new_markdown_cell("Planted.", metadata={"jne": {"recordings": ["Recorded", "voxels."]}}),
    new_code_cell("plant()", metadata={"jne": {"recordings": ""}}, outputs=[shown("planted")]),
    new_markdown_cell("## Only there", metadata={"jne": {"only": "recordings"}}),
    new_code_cell("show()", outputs=[shown("3 voxels"), lack("No `roi` of voxels.")]),
    new_markdown_cell("Text.\n\n## Is there a trend?\n\nProse."),
    new_code_cell("trend()", outputs=[lack("Without levels there is none.")]),
    new_markdown_cell("### Tested"),
    new_code_cell("test()", outputs=[lack("Without levels there is none.")]),
    new_markdown_cell("## What this chapter does not show\n\nMuch."),
]


def test_a_page_speaks_of_the_data(tmp_path, values):
    values, kind = values
    cells = page(tmp_path, values, [cell.copy() for cell in CELLS])
    text = "\n".join(cell.source for cell in cells)
    if kind == "synthetic":
        assert recorded_unit(values) is None and len(cells) == len(CELLS) - 1 and "## Only there" not in text
        assert "Planted." in text and "## Is there a trend?" in text
        return
    word = kind or "voxel"
    assert recorded_unit(values) == word
    assert "lanted" not in text and f"Recorded\n{word}s." in text and f"{word.capitalize()}s of {{math}}`voxel`" in text
    assert "trend?" not in text and "trend()" not in text  # folded with the section in it
    headings = [cell.source.splitlines()[0] for cell in cells if cell.source.startswith("#")]
    assert headings[-2:] == ["## What these data do not show", "## What this chapter does not show"]
    (listed,) = [cell.source for cell in cells if "do not show\n\nWhat this chapter leaves out" in cell.source]
    assert f"* **Only there**: No `roi` of {word}s." in listed
    assert listed.count("Without levels there is none.") == 1 and "* **Is there a trend**: Without" in listed
    (kept,) = [cell for cell in cells if cell.source == "show()"]
    assert [output.data["text/markdown"] for output in kept.outputs] == [f"3 {word}s"]


def test_what_must_be_known_first_stands_below_the_title(tmp_path):
    first, more = shown("**Before anything else.** No voxel."), shown("more")
    cells = [
        new_markdown_cell("# Title\n\nProse."),
        new_markdown_cell("## Data"),
        new_code_cell("a", outputs=[first, more]),
    ]
    end = new_code_cell("record()", metadata={"tags": ["remove-cell"]}, outputs=[shown("recorded")])
    cells += [new_code_cell("b", outputs=[first.copy()]), new_code_cell("c"), new_markdown_cell("## End"), end]
    cells += [new_code_cell("d = 1", metadata={"tags": ["parameters"]})]
    nbformat.write(new_notebook(cells=cells), tmp_path / "page.ipynb")
    assert fit_to_recordings(tmp_path / "page.ipynb", "site") == "site"
    title, said, data, *kept = nbformat.read(tmp_path / "page.ipynb", as_version=4).cells
    assert title.source.startswith("# Title") and data.source == "## Data"
    assert said.source  # cells without are left out of pages
    assert said.metadata.tags == ["remove-input"] and said.outputs[0].data["text/markdown"].endswith("else.** No site.")
    assert [cell.source for cell in kept] == [
        "a",
        "## End",
        "record()",
        "d = 1",
    ]  # no fold that shows nothing at the end
    assert [output.data["text/markdown"] for output in kept[0].outputs] == ["more"]


def test_a_page_that_is_not_about_the_recordings_says_so_and_keeps_its_words(tmp_path, values):
    values, kind = values
    cells = [new_markdown_cell("# Title\n\nVoxels."), new_code_cell("show()", outputs=[lack("Planted.")])]
    nbformat.write(new_notebook(cells=cells, metadata={"jne": {"simulated": True}}), tmp_path / "page.ipynb")
    assert fit_to_data(tmp_path / "page.ipynb", values) is None
    found = nbformat.read(tmp_path / "page.ipynb", as_version=4).cells
    assert [cell.source for cell in (found[0], found[-1])] == [cell.source for cell in cells] and found[-1].outputs
    assert [cell.source for cell in found[1:-1]] == ([] if kind == "synthetic" else [found[1].source])
    assert kind == "synthetic" or found[1].source.startswith("*Nothing on this page is from the recordings")


def test_chapters_that_make_their_own_data_are_named():
    for path in (ROOT / "book").glob("*.ipynb"):
        content = json.loads(path.read_text())
        unused = any("# not used" in "".join(cell["source"]) for cell in content["cells"])
        assert content["metadata"]["jne"].get("simulated", False) == unused, path


def test_what_the_paper_did_with_its_voxels_stays(tmp_path):
    table = "``````{list-table}\n* - In the paper\n  - Here\n* - All voxels.\n\n    Voxels."
    table += "\n  - Some voxels.\n\n    Voxels.\n``````"
    cells = [new_markdown_cell("# Title"), new_code_cell("show_rows()", outputs=[shown(table)])]
    nbformat.write(new_notebook(cells=cells), tmp_path / "page.ipynb")
    fit_to_recordings(tmp_path / "page.ipynb", "neuron")
    text = nbformat.read(tmp_path / "page.ipynb", as_version=4).cells[1].outputs[0].data["text/markdown"]
    assert text == table.replace("Some voxels.\n\n    Voxels.", "Some neurons.\n\n    Neurons.")


def test_parameters_of_the_synthetic_cortex_are_left_out_whole(tmp_path):
    source = "data = 'own.nc'\nsubject = 1  # of the synthetic cortex\nseed = 0\n# of the synthetic cortex, too\n"
    source += "options = {'thin': 16,\n           'n_test': 200}\nmore = [1,\n        2]  # of two synthetic cortices\n"
    source += "# of the encoder\nwidth = {'a': 1,\n         'b': 2}\n# the end"
    nbformat.write(new_notebook(cells=[new_code_cell(source, metadata={"tags": ["parameters"]})]), tmp_path / "p.ipynb")
    fit_to_recordings(tmp_path / "p.ipynb")
    (cell,) = nbformat.read(tmp_path / "p.ipynb", as_version=4).cells
    assert cell.source == "data = 'own.nc'\nseed = 0\n# of the encoder\nwidth = {'a': 1,\n         'b': 2}\n# the end"


def test_chapters_without_a_file_keep_their_words(tmp_path):
    for data in ("synthetic", str(tmp_path / "absent.nc")):
        assert recorded_unit({"data": data}) is None
    assert recorded_unit({}) is None


@pytest.mark.parametrize("chapter", ["intro", "spatial_distribution", "hierarchy", "sample_selectivity"])
def test_prose_on_recordings_has_no_word_about_simulated_responses(chapter):
    for cell in json.loads((ROOT / f"book/{chapter}.ipynb").read_text())["cells"]:
        if cell["cell_type"] == "markdown":
            own = cell["metadata"].get("jne", {}).get("recordings", cell["source"])
            text = own if isinstance(own, str) else "\n".join(own)
            found = OF_SIMULATIONS.search(re.sub(r"\{doc\}`simulations`", "", text))
            assert found is None, text


def test_figures_and_texts_name_the_unit(monkeypatch):
    from matplotlib import pyplot as plt

    from jne import plotting

    told = []
    monkeypatch.setattr(plotting.style, "display", lambda what, metadata: told.append((what, metadata)))
    figure, ax = plt.subplots()
    ax.hist(np.arange(5.0))
    ax.set(ylabel="voxels", title="one voxel of V1")
    content = make_content()
    result = content.assign_attrs(unit="vertex", synthetic=0)
    plotting.show(figure, "In {n} voxels.", result, n=3)
    assert (ax.get_ylabel(), ax.get_title()) == ("vertices", "one vertex of V1")
    assert told[0][1]["jne"]["caption"] == "In 3 vertices." and "vertices" in told[0][1]["jne"]["about"]["responses"]
    assert "vertices" in told[0][1]["jne"]["alt"]


def test_a_unit_is_a_word(tmp_path):
    content = make_content()
    content.attrs["unit"] = "<b>neuron</b>"
    with pytest.raises(ValueError, match="attribute unit='<b>neuron</b>'; needed: one of them in small letters"):
        jne.save_dataset(content, tmp_path / "data.nc")
