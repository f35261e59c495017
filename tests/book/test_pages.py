"""Executed chapters become pages: folded code, numbered figures with words and provenance, terms that are explained."""

import base64
import io
import re

import matplotlib

matplotlib.use("Agg")

import nbformat
import numpy as np
import pytest
import xarray as xr
from matplotlib import pyplot as plt
from PIL import Image

from jne import plotting
from jne._core import as_written
from jne.book.pages import fold_together, glossary_terms, lay_out, link_terms
from jne.plotting import describe

v4 = nbformat.v4


def displayed(figure, *, caption="See *this*.", result=None, monkeypatch):
    """The outputs that `show` leaves in a notebook."""
    outputs = []

    def record(what, metadata):
        if isinstance(what, plt.Figure):
            content = io.BytesIO()
            what.savefig(content, format="png")
            data = {"image/png": base64.b64encode(content.getvalue()).decode()}
        else:
            data = {"text/markdown": what.data}
        outputs.append(v4.new_output("display_data", data=data, metadata=metadata))

    monkeypatch.setattr("jne.plotting.style.display", record)
    plotting.show(figure, caption, result)
    return outputs


@pytest.fixture
def page(tmp_path, monkeypatch):
    result = xr.Dataset(
        {"jne_ss": (("sample", "voxel"), [[1.0, 2.0]])}, attrs={"data": "<b>A & B</b>", "layer": "deep"}
    )
    figure, ax = plt.subplots()
    ax.set(xlabel="noise ceiling", ylabel="R²")
    figure.suptitle("Synthetic: accuracy")
    code = v4.new_code_cell("draw()", outputs=displayed(figure, result=result, monkeypatch=monkeypatch))
    shown = v4.new_code_cell("1 + 1", metadata={"tags": ["show-input"]})
    parameters = v4.new_code_cell("seed = 3", metadata={"tags": ["parameters"]})
    path = tmp_path / "chapter.ipynb"
    nbformat.write(v4.new_notebook(cells=[v4.new_markdown_cell("# Title\n\nThe JNE."), parameters, code, shown]), path)
    lay_out(path, "book/chapter.ipynb", {"version": "jne 1"}, {"JNE": "A measure."})
    return nbformat.read(path, as_version=4)


def test_code_is_folded_unless_it_is_the_point(page):
    _, parameters, code, shown, _ = page.cells
    assert "hide-input" in parameters.metadata.tags and "hide-input" in code.metadata.tags
    assert "hide-input" not in shown.metadata.tags
    assert parameters.metadata.mystnb.code_prompt_show == "Parameters of this run"


def test_code_stands_in_one_fold_beside_the_figure_that_it_makes():
    def code(source, *tags, shows=False):
        outputs = [v4.new_output("stream", text="1")] if shows else []
        return v4.new_code_cell(source, metadata={"tags": list(tags)}, outputs=outputs)

    first, second, last = (v4.new_markdown_cell(text) for text in ("One.", "Two.", "Three."))
    notebook = v4.new_notebook(cells=[
        code("seed = 0", "parameters"), code("import jne"), first, code("fit()"), code("draw()", shows=True), second,
        code("write()", "remove-cell"), code("table()", shows=True), code("point()", "show-input"),
        code("more()"), last, code("show()", "hide-input", shows=True), code("end()"),
    ])  # fmt: skip
    fold_together(notebook)
    assert [cell.source for cell in notebook.cells] == [
        "seed = 0", "One.", "import jne\n\nfit()\n\ndraw()", "Two.", "write()", "table()", "point()",
        "Three.", "more()\n\nshow()", "end()",
    ]  # fmt: skip


def test_figure_has_caption_words_and_size_and_the_page_one_line_of_provenance(page, tmp_path):
    (output,) = page.cells[2].outputs  # the caption that Jupyter shows has become that of the figure
    text = output.data["text/markdown"]
    image = re.match(r"`+\{figure\} (_figures/\w+\.png)\n", text)
    assert (tmp_path / image[1]).stat().st_size > 1000
    assert ':alt: "Synthetic: accuracy. R² against noise ceiling."' in text
    assert f":width: {round(plt.rcParams['figure.figsize'][0] * 96)}px" in text
    assert "\n\nSee *this*.\n" in text
    line = page.cells[-1].source
    head, study = line.split("</summary>")
    assert re.findall(r"<span>(.*?)</span>", head) == ["notebook: book/chapter.ipynb", "version: jne 1"]
    assert study.startswith("\n\n{numref}`fig-chapter-1`: ")
    assert re.findall(r"<span>(.*?)</span>", study) == [
        "responses: recorded, 1 stimuli (held-out test stimuli), 2 voxels",
        f"data: {as_written('<b>A & B</b>')}",
        "layer: deep",
        "seed: 3",
    ]


def test_description_names_panels_and_colours():
    figure, axes = plt.subplots(1, 2)
    figure.suptitle("Two maps")
    for ax, name in zip(axes, ("left", "right"), strict=True):
        ax.set_title(name)
        ax.set_axis_off()
    figure.colorbar(axes[0].imshow([[0, 1]]), ax=axes, label="JNE")
    assert describe(figure) == "Two maps. left. right. Colour: JNE."
    plt.close(figure)


def test_first_mentions_are_linked_and_nothing_else_is():
    source = (
        "# JNE\n\nTwo noise ceilings, `JNE`, $JNE$ and [JNE](x.html) and JNE-SS.\n\nThen JNE and JNE again.\n\n"
        "```python\nvertex\n```\n\n- vertex\n\n{doc}`vertex` and vertices"
    )
    notebook = v4.new_notebook(cells=[v4.new_markdown_cell(source), v4.new_markdown_cell("A JNE, a vertex.")])
    link_terms(notebook, {"JNE": "A.", "JNE-SS": "B.", "noise ceiling": "C.", "vertex": "D."})
    first, second = (cell.source for cell in notebook.cells)
    assert first.startswith(
        "# JNE\n\n```{margin}\n:class: jne-term\n**Noise ceiling**: C.\n```\n\nTwo {term}`noise ceilings"
    )
    assert "`JNE`, $JNE$ and [JNE](x.html) and {term}`JNE-SS <JNE-SS>`." in first
    assert "Then {term}`JNE <JNE>` and JNE again." in first
    assert first.endswith("```python\nvertex\n```\n\n- vertex\n\n{doc}`vertex` and vertices")
    assert second == "```{margin}\n:class: jne-term\n**Vertex**: D.\n```\n\nA JNE, a {term}`vertex <vertex>`."


def test_glossary_is_read(tmp_path):
    page = tmp_path / "glossary.md"
    page.write_text("# G\n\n```{glossary}\nnoise ceiling\n  The share\n  of it.\n\nJNE\n  A measure.\n```\n")
    assert glossary_terms(page) == {"noise ceiling": "The share of it.", "JNE": "A measure."}
    assert glossary_terms(tmp_path / "none.md") == {}


def test_images_of_a_page_are_a_third_as_large_and_look_the_same(tmp_path, monkeypatch):
    figure, ax = plt.subplots(figsize=(6, 4))
    rng = np.random.default_rng(0)
    ax.scatter(*rng.normal(size=(2, 2000)), c=rng.uniform(size=2000), cmap="viridis")
    code = v4.new_code_cell("draw()", outputs=displayed(figure, monkeypatch=monkeypatch))
    original = base64.b64decode(code.outputs[0].data["image/png"])
    path = tmp_path / "chapter.ipynb"
    nbformat.write(v4.new_notebook(cells=[v4.new_code_cell("seed = 0", metadata={"tags": ["parameters"]}), code]), path)
    lay_out(path, "book/chapter.ipynb", {}, {})
    (image,) = (tmp_path / "_figures").glob("*.png")
    assert image.stat().st_size < 0.6 * len(original)
    before, after = (np.asarray(Image.open(file).convert("RGB"), float) for file in (io.BytesIO(original), image))
    assert np.abs(before - after).mean() < 1.5
