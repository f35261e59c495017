"""What files and people name is shown as it is written on every page, and does nothing in Python or in the browser."""

import json
import shutil
from pathlib import Path
from urllib.parse import quote

import nbformat
import numpy as np
import pytest
import yaml
from bs4 import BeautifulSoup
from click.testing import CliRunner
from conftest import make_content

from jne.book import build_book
from jne.cli import main
from jne.datasets import save_dataset

ROOT = Path(__file__).resolve().parents[2]
TEXTS = (
    "{{ 7*7 }}", '{{cycler.__init__.__globals__.os.system("touch PWNED")}}', "{% raw %}", "{0.__class__}",
    "{{quick_time}}", "`tick`", "``", "```", "$x^2$", "$$y$$", r"\(z\)", r"\[w\]", r"\begin{equation}v\end{equation}",
    r"a\\b \*", "*b* __c__", "<script>fired('tag')</script>", "</p></article><script>fired(2)</script>",
    "<img src=x onerror=\"fired('img')\">", "<svg/onload=fired(3)>", "<!-- hidden", "<!--", "&lt;b&gt; &#60; &amp;",
    "[l](javascript:fired(4))", "![p](p.png)", "[r]: x", "<javascript:fired(5)>",
    "https://example.org/x www.example.org", "a@example.org", "{cite}`nobody`", "{term}`JNE`",
    "```{raw} html\n<script>fired(6)</script>\n```", ":::{note}\nhidden\n:::", "``````", "a\n\n# b", "a\n\n    code",
    "a\n---", "- list", "1. one", "> quote", "| a | b |", ": definition", "[^1]", "(target)=", "% comment", "+++",
    "---", "***", "it's \"quoted\" ... --", "  two  spaces ", "tab\there", "\u202eright to left", "日本", "\udcff",
    "\x1b[31mred", "#", "~~s~~",
)  # fmt: skip
# Everything that fits into the name of a variable or a file: no slash, no more than 255 bytes.
ALL = "{{ 7*7 }} `t` $x$ *b* <img src=x onerror=fired('%s')> [l](javascript:fired()) <script>fired() it's |"
ATTRIBUTE = """{{cycler.__init__.__globals__.os.system("touch PWNED")}}</span></p><script>fired('%s')</script>"""


def hostile(place):
    return f"{place} {ALL % place}"


def hostile_content():
    """A small dataset with such a text in every place that has one."""
    content = make_content(n_stimuli=120, n_voxels=12)
    layers = {name: f"{name} {ALL % name}" for name in ("early", "deep")}
    content = content.rename({**layers, **{f"feature_{name}": f"feature_{new}" for name, new in layers.items()}})
    names = [f"{word} {payload}" for word in ("area", "category") for payload in (ALL % word, ATTRIBUTE % word)]
    content["roi"] = "voxel", np.array(names[:2] * 6, object)
    content["roi_other"] = "voxel", np.array([hostile("atlas"), "V1"] * 6, object)
    content["category"] = "stimulus", np.array(names[2:] * 60, object)
    content["stimulus_id"] = "stimulus", np.array([f"{hostile('stimulus')} {n}" for n in range(120)], object)
    content.attrs = {name: f"{name} {ATTRIBUTE % name}" for name in ("name", "licence", "source", "subject")}
    content.attrs |= {"default_layer": layers["deep"], "synthetic": 1, hostile("attribute"): hostile("value")}
    return content


SHOWN = """import jne, pandas as pd
from jne.plotting import *
dataset = jne.load_dataset(data)
study = jne.run_study(dataset, encoder_options={"hidden_size": 4, "max_epochs": 2}, n_bootstrap=20)
result = study.result
print(dataset)
texts = json.load(open(file))
areas = list(dict.fromkeys(dataset.get("roi").astype(str)))"""
WAYS = [
    'show(figure_map(result, "jne", significant=False), "Caption {area} and {each}.", result, '
    ' area=areas[0],each=each("**{name}**: {value}", dict.fromkeys(areas, areas[1])))',
    'show_table(pd.DataFrame({"rho": [0.1, 0.2]}, index=areas))\npd.DataFrame({areas[0]: [1]}, index=areas[1:])',
    'jne.record("recorded " + areas[0].replace(".", " "), areas[1])\ncannot_show(result, "vertex")',
    'for text in texts:\n    remark("{text}", text=text)',
    'for text in texts:\n    remark("* [{text}](intro.md)\\n* *{text}*", text=text)',
    'for text in texts:\n    remark("| {text} | `b` |\\n|---|---|\\n| {text} | **{text}** |", text=text)',
    'for text in texts:\n    remark("Ways <b>{text}</b> and ### {text}.", text=text)',
]
PYTHON = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
FIRES = "function fired(text) { document.documentElement.setAttribute('data-fired', text || 'yes'); }\n"


def write_notebook(path, *cells, parameters):
    v4 = nbformat.v4
    tagged = v4.new_code_cell(parameters, metadata={"tags": ["parameters"]})
    cells = [v4.new_markdown_cell("# A chapter"), tagged, *map(v4.new_code_cell, cells)]
    nbformat.write(v4.new_notebook(metadata=PYTHON, cells=cells), path)


def make_book(root):
    """A small book with the settings of this one and a page's function that such texts would call."""
    for name in ("_config.yml", "book/_static/jne.css", "book/references.bib"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / name, root / name)
    (root / "book/_static/jne.js").write_text((ROOT / "book/_static/jne.js").read_text() + FIRES)
    (root / "book/intro.md").write_text("# Welcome\n\nIt took {{quick_time}}, {{ nobody }}.\n")
    (root / "book/params").mkdir()
    return root


@pytest.fixture(scope="module")
def book(tmp_path_factory):
    """HTML of a small book whose chapter shows a dataset's names in the ways that chapters do."""
    root = make_book(tmp_path_factory.mktemp("clone"))
    folder = root / "it's a {folder} $x$"
    folder.mkdir()
    data = folder / f"{hostile('file')}.nc"
    save_dataset(hostile_content(), data)
    (root / "texts.json").write_text(json.dumps(TEXTS))
    parameters = 'data = "x"\nseed = 0\nfile = "texts.json"\noptions = {}'
    write_notebook(root / "book/first.ipynb", "import json\n" + SHOWN, *WAYS, parameters=parameters)
    toc = {"format": "jb-book", "root": "book/intro", "chapters": [{"file": "book/first"}]}
    (root / "_toc.yml").write_text(yaml.safe_dump(toc))
    options = {hostile("key"): [hostile("element"), 1]}
    (root / "book/params/demo.yml").write_text(yaml.safe_dump({"all": {"options": options}}))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("JNE_RESULTS", str(root / "results"))
        return build_book("demo", data, root=root, report=lambda text: None).parent


def parsed(page):
    return BeautifulSoup(page.read_text(encoding="utf-8"), "html.parser")


def plain(text):
    text = str(text).encode("utf-8", "backslashreplace").decode().replace("\x1b", r"\x1b")
    return " ".join(text.split())


def check_nothing_was_made(html):
    """No element, link or handler on any page comes from such a text."""
    pages = [page for page in html.rglob("*.html") if "_static" not in page.parts]
    assert pages
    for page in pages:
        soup = parsed(page)
        handlers = [value for tag in soup.find_all(True) for name, value in tag.attrs.items() if name.startswith("on")]
        assert not [value for value in handlers if "fired(" in value], page
        assert not [tag for tag in soup.find_all("script") if "fired(" in tag.get_text()], page
        assert not soup.find_all("svg", onload=True) and not soup.find_all("img", src="x"), page
        for tag in soup.find_all(["a", "img", "iframe"]):
            assert not (tag.get("href") or tag.get("src") or "").startswith("javascript"), page
    assert not list(html.parents[1].rglob("PWNED")) and not Path("PWNED").exists()


@pytest.mark.slow
def test_book_shows_texts_as_they_are_written(book):
    check_nothing_was_made(book)
    root = book.parents[2]
    assert not (root / "PWNED").exists()
    soup = parsed(book / "book/first.html")
    text = plain(soup.find("article").get_text())
    content = hostile_content()
    names = [*np.unique(content["roi"].values.astype(str)), content.attrs["name"], content.attrs["default_layer"]]
    for name in names:
        assert plain(name) in text, name
    caption = plain(soup.find("figcaption").get_text())
    assert all(plain(name) in caption for name in np.unique(content["roi"].values.astype(str)))
    facts = plain(soup.find(class_="jne-provenance").get_text())
    assert plain(content.attrs["name"]) in facts and plain(content.attrs["default_layer"]) in facts
    index = [plain(cell.get_text()) for cell in soup.find_all("th")]
    assert all(index.count(plain(name)) >= 1 for name in np.unique(content["roi"].values.astype(str)))
    assert str(root) not in (book / "book/first.html").read_text()
    assert json.dumps(str(root))[1:-1] not in (book / "_sources/book/first.ipynb").read_text()
    welcome = parsed(book / "book/intro.html").find("article").get_text()
    assert "It took a time that nobody has measured yet, {{ nobody }}." in welcome


@pytest.fixture(scope="module")
def shown(book):
    """The texts of the outputs of the chapter, by the element that holds them."""
    by_tag = {}
    for output in parsed(book / "book/first.html").find("article").find_all(class_="cell_output"):
        for node in output.find_all(["p", "td", "th", "a", "em", "b", "strong"]):
            by_tag.setdefault(node.name, set()).add(plain(node.get_text()))
    return by_tag


@pytest.mark.slow
@pytest.mark.parametrize("text", TEXTS, ids=lambda text: ascii(text)[1:25])
def test_each_text_stands_as_written_in_every_kind_of_markup(shown, text):
    assert [tag for tag, texts in shown.items() if plain(text) not in texts] == []
    assert plain(f"Ways {text} and ### {text}.") in shown["p"]


BROKEN = """
raise ValueError(f"no area {options['text']}")"""


@pytest.fixture(scope="module")
def batch(tmp_path_factory):
    """HTML of a small batch: notebook, grid, parameters, results and errors of such names."""
    root = make_book(tmp_path_factory.mktemp("clone"))
    (root / "_toc.yml").write_text("format: jb-book\nroot: book/intro\n")
    folder = root / hostile("folder")
    folder.mkdir()
    data = folder / f"{hostile('data')}.nc"
    save_dataset(hostile_content(), data)
    cell = "import jne\njne.record('result ' + options['text'], {options['text']: seed, 'other': 1})\n"
    cell += "jne.record(options['text'] + '1', seed)\njne.record('said', options['text'])\nprint(data)"
    parameters = "data = 'x'\nseed = 0\noptions = {}\nlayer = None"
    broken = cell + "\njne.load_dataset(data).features('test', layer)\n" + BROKEN
    for name, code in (("good", cell), ("broken", broken)):
        write_notebook(folder / f"{hostile(name)}.ipynb", code, parameters=parameters)
    texts = [f"{word} {ALL % word}".replace(".", " ") for word in ("value", "choice")]
    content = {"notebooks": [f"{hostile(name)}.ipynb" for name in ("good", "broken")]}
    content |= {"parameters": {"data": data.name, "options": {hostile("parameter").replace(".", " "): 1}}}
    content |= {"grid": {"options.text": texts, "layer": [hostile("layer")]}}
    grid = folder / f"{hostile('grid')}.yml"
    grid.write_text(yaml.safe_dump(content))
    run = CliRunner().invoke(main, ["batch", str(grid), "--workers", "1", "--book"])
    html = root / "_build/batch" / grid.stem / "html"
    assert (html / "index.html").is_file(), run.output
    return root, html


@pytest.mark.slow
def test_batch_shows_texts_as_they_are_written(batch):
    root, html = batch
    check_nothing_was_made(html)
    assert not list(root.rglob("PWNED"))
    index = parsed(html / "index.html")
    text = plain(index.find("article").get_text())
    for name in ("good", "broken", "grid", "parameter", "layer"):
        assert plain(hostile(name)) in text, name
    assert "data: " + plain(f"{hostile('data')}.nc") in text
    for page in (index, parsed(html / "search.html")):
        assert plain(hostile("grid")) in plain(page.find("title").get_text())
    assert plain(hostile("grid")) in plain(index.find(class_="logo__title").get_text())
    for page in [*html.glob("good*.html"), *html.glob("broken*.html")]:
        shown = plain(parsed(page).find("article").get_text())
        assert "value" in shown and plain(f"value {ALL % 'value'}".replace(".", " ")) in shown
        alt = [plain(image["alt"]) for image in parsed(page).find("article").find_all("img")]
        assert any(plain(f"value {ALL % 'value'}".replace(".", " ")) in words for words in alt)
        titles = [plain(link.get_text()) for link in parsed(page).find("nav", class_="bd-links").find_all("a")]
        assert any(plain(hostile("layer")) in title for title in titles)
    for page in html.rglob("*.html"):
        assert str(root) not in page.read_text(), page


@pytest.mark.slow
@pytest.mark.browser
def test_nothing_happens_in_the_browser(book, batch):
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    playwright = pytest.importorskip("playwright.sync_api")
    if not chromium:
        pytest.skip("no Chromium on the path")
    with playwright.sync_playwright() as running:
        page = running.chromium.launch(executable_path=chromium, args=["--no-sandbox"]).new_page()
        trouble = []
        page.on("dialog", lambda dialog: (trouble.append(dialog.message), dialog.dismiss()))
        page.on("pageerror", lambda error: trouble.append(str(error)))
        for html in (book, batch[1]):
            pages = [path for path in html.rglob("*.html") if "_static" not in path.parts]
            # One that only leads to another leaves while it is asked.
            pages = [path for path in pages if 'http-equiv="refresh"' not in path.read_text().lower()]
            addresses = [path.as_uri() for path in pages]
            # A title is listed where half of it is asked for.
            asked = [
                "fired",
                "script",
                *(parsed(path).find("h1").get_text()[:-1] for path in pages if path.parent != html),
            ]
            addresses += [f"{(html / 'search.html').as_uri()}?q={quote(words)}" for words in asked]
            for address in addresses:
                page.goto(address)
                page.evaluate("window.MathJax && MathJax.startup ? MathJax.startup.promise : null")
                if "?q=" in address:
                    page.wait_for_selector("#search-results li, #search-results p")
                fired = page.evaluate("document.documentElement.getAttribute('data-fired')")
                assert fired is None and not trouble, (address, fired, trouble)
                assert page.locator("article mjx-container").count() == 0, address
        assert page.locator("#search-results li").count() > 0 or "Batch" in page.title()
