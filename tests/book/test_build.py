"""The book: parameters, execution, the stage, the pages, and what is left when something fails."""

import ast
import html
import importlib
import json
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import nbformat
import pytest
import yaml
from click.testing import CliRunner

import jne
from jne._core import available_cores
from jne.book.build import build_book, default_folder, find_root, read_contents
from jne.book.execute import BookError, execute_notebook
from jne.book.html import make_html
from jne.book.measured import measured_texts
from jne.book.notebooks import declared_parameters, make_presentable, read_parameters
from jne.cli import main

ROOT = Path(__file__).resolve().parents[2]
PARAMETERS = 'data = "synthetic"  # a dataset = a file\nseed: int = 0\noptions = {\n    "thin": 1,\n}  # très'
DOCUMENTED = ("jne.RidgeEncoder", "jne.statistics.spearman", "jne.plotting.performance.describe")
BUILD = (
    "import sys; from jne.book import build_book; build_book(root=sys.argv[1], report=lambda t: print(t, flush=True))"
)
CODE = [
    "import sys, os, warnings\nfrom tqdm import tqdm\nimport matplotlib.pyplot as plt",
    "for _ in tqdm(range(3)): pass",
    'warnings.warn("look out")\nprint(f"{data = }, {seed = }, {options = }")',
    "print(sys.executable, os.getcwd())",
    "plt.plot([1, 2, 3])\nplt.show()",
]


def write_notebook(path, *cells, title="A chapter", parameters=PARAMETERS, about=None):
    """A small chapter: title, parameters cell, then code cells."""
    v4 = nbformat.v4
    notebook = v4.new_notebook(
        metadata={
            "kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"},
            **({"jne": about} if about else {}),
        }
    )
    tagged = v4.new_code_cell(parameters, metadata={"tags": ["parameters"]})
    notebook.cells = [v4.new_markdown_cell(f"# {title}"), tagged, *map(v4.new_code_cell, cells)]
    path.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(notebook, path)
    return path


def make_root(folder, chapters=("first", "second")):
    """A small book: an index page, a static file and ``chapters`` that print one line."""
    (folder / "book/params").mkdir(parents=True)
    (folder / "book/_static").mkdir()
    (folder / "book/_static/jne.css").write_text("/* nothing */\n")
    (folder / "book/references.bib").write_text("")
    (folder / "book/intro.md").write_text("# Welcome\n\nSee {doc}`" + chapters[0] + "`.\n")
    for name in chapters:
        write_notebook(folder / f"book/{name}.ipynb", 'print("hello", seed)', title=name.title())
    toc = {"format": "jb-book", "root": "book/intro", "chapters": [{"file": f"book/{name}"} for name in chapters]}
    (folder / "_toc.yml").write_text(yaml.safe_dump(toc))
    shutil.copyfile(ROOT / "_config.yml", folder / "_config.yml")
    (folder / "book/params/demo.yml").write_text("all: {seed: 3}\n")
    return folder


@pytest.fixture(scope="module")
def book(tmp_path_factory):
    """The project's own pages with small chapters in place of the real ones, built once with a data file."""
    root = tmp_path_factory.mktemp("clone")
    for name in ("_config.yml", "_toc.yml"):
        shutil.copyfile(ROOT / name, root / name)
    shutil.copytree(ROOT / "book", root / "book", ignore=shutil.ignore_patterns("*.ipynb"))
    toc = (ROOT / "_toc.yml").read_text()
    names = [n for n in re.findall(r"(?:root|file): book/(\w+)", toc) if not (ROOT / f"book/{n}.md").exists()]
    for name in names:
        # Only the page that the tests read needs all of it.
        code = CODE if name == "hierarchy" else ["print(seed)"]
        write_notebook(root / f"book/{name}.ipynb", *code, title=name.replace("_", " ").capitalize())
    # Docstrings of three names stand for those of all, which `make book` reads.
    api = (ROOT / "book/api.md").read_text().splitlines(keepends=True)
    api = [line for line in api if not re.match(" +~?jne", line) or line.strip(" ~\n") in DOCUMENTED]
    (root / "book/api.md").write_text("".join(api))
    (root / "book/params/own.yml").write_text(
        "all: {seed: 5}\nhierarchy: {seed: 6, options: {thin: 7, x: [null, true]}}\n"
    )
    data = root / "recordings é.nc"
    data.write_text("of another kind")
    lines = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("JNE_REPOSITORY", "")  # as where the address is not known
        index = build_book("own", data, root=root, report=lines.append)
    return root, index, lines


@pytest.fixture
def plain_pages(monkeypatch):
    """The text of executed notebooks as pages: for tests of chapters, to which Sphinx adds seconds."""
    monkeypatch.setattr("jne.book.build.make_html", write_plain_pages)


def write_plain_pages(stage, target, **options):
    html = target / "_build/html"
    (html / "_sources/book").mkdir(parents=True, exist_ok=True)
    (html / "book").mkdir(exist_ok=True)
    for path in stage.glob("book/*.ipynb"):
        cells = nbformat.read(path, as_version=4).cells
        texts = [output.get("text", "") for cell in cells for output in cell.get("outputs", ())]
        (html / f"book/{path.stem}.html").write_text("".join(texts))
    for name in ("index.html", "searchindex.js"):
        (html / name).write_text("")
    return html


@pytest.mark.slow
def test_build(book):
    root, index, lines = book
    assert index == root / "_build/recordings é/html/index.html" and index.is_file()
    assert (index.parent / "book/intro.html").is_file()
    assert lines[-1] == f"The book is at {index}"
    assert any(re.fullmatch(r"  hierarchy +\d+\.\d s", line) for line in lines)


@pytest.mark.slow
def test_stage_mirrors_the_repository(book):
    root, index, _ = book
    stage = index.parent.parent / "stage"
    executed = nbformat.read(stage / "book/hierarchy.ipynb", as_version=4)
    assert all(cell.execution_count for cell in executed.cells if cell.cell_type == "code")
    assert (stage / "_toc.yml").read_text() == (root / "_toc.yml").read_text()
    assert yaml.safe_load((stage / "_config.yml").read_text())["only_build_toc_files"] is True
    for path in ("book/glossary.md", "book/references.bib", "book/_static/jne.css"):
        assert (stage / path).read_bytes() == (root / path).read_bytes()
    assert not nbformat.read(root / "book/hierarchy.ipynb", as_version=4).cells[2].outputs


@pytest.mark.slow
def test_page_shows_figure_and_parameters_but_no_paths(book):
    root, index, _ = book
    page = (index.parent / "book/hierarchy.html").read_text()
    image = re.search(r'src="\.\./(_images/[^"]+\.png)"', page)
    assert (index.parent / image[1]).stat().st_size > 1000
    text = re.sub(r"<[^>]+>", "", page)
    assert "data = 'recordings é.nc', seed = 6, options = {'thin': 7, 'x': [None, True]}" in text.replace("&#39;", "'")
    assert "seed: int = 6" in text and "# Parameters" not in text
    assert "look out" in text and "it/s" not in text
    for file in (*index.parent.glob("book/*.html"), *index.parent.glob("_sources/book/*")):
        content = file.read_text()
        assert str(root) not in content and sys.prefix not in content and "ipykernel_" not in content, file
    assert "injected" not in page and "papermill" not in page


@pytest.mark.slow
def test_pages_need_no_network(book):
    _, index, _ = book
    pytest.importorskip("sphinx-mathjax-offline")
    for name in ("method", "hierarchy"):
        page = (index.parent / f"book/{name}.html").read_text()
        assert not re.findall(r'<(?:script|img|iframe)[^>]+src="https?://[^"]+"', page)
        assert not re.findall(r'<link[^>]+rel="stylesheet"[^>]+href="https?://', page)
    assert (index.parent / "_static/mathjax/tex-svg.js").is_file()


@pytest.mark.slow
def test_package_page_has_a_line_for_each_name_and_then_its_docstring(book):
    _, index, _ = book
    page = (index.parent / "book/api.html").read_text()
    for name in DOCUMENTED:
        assert page.index(f'href="#{name}"') < page.index(f'<dt class="sig sig-object py" id="{name}"')
    assert 'id="jne.RidgeEncoder.score"' in page  # inherited


@pytest.mark.slow
def test_downloads_are_the_executed_chapters(book):
    _, index, _ = book
    download = nbformat.read(index.parent / "_sources/book/hierarchy.ipynb", as_version=4)
    figure = download.cells[-1].outputs[0]
    assert "image/png" in figure.data and "hide-input" not in download.cells[-1].metadata.get("tags", [])


def test_pages_quote_what_was_measured():
    texts = measured_texts(ROOT)
    grid = json.loads((ROOT / "benchmarks/results/batch.json").read_text())["grid"]
    plain, two = grid["seconds"]["plain loop, no cache"], grid["seconds"]["batch, 2 workers"]
    assert f"| batch, 2 workers | {two / 60:.1f} | {plain / two:.1f} |" in texts["batch_grid"]
    encoders = json.loads((ROOT / "benchmarks/results/encoders.json").read_text())["summary"]
    for way in ("release", "equation 7"):
        assert f"{encoders[way]['r2']['mean']:.3f}" in texts["encoder_difference"]
    pages = "".join(path.read_text() for path in (ROOT / "book").iterdir() if path.suffix in (".md", ".ipynb"))
    assert set(re.findall(r"{{(\w+)}}", pages)) == set(texts)
    assert not [name for name, text in texts.items() if "nobody has measured" in text]
    card = json.loads((ROOT / "benchmarks/results/gpu.json").read_text())["sections"]
    assert (
        f"200,000 voxels | one NVIDIA H200 | {card['brain, float32']['plain']['seconds']:.0f} seconds |"
        in texts["plan_time"]
    )
    assert (
        "| the Jacobian kept, 1,000 stimuli, 15,000 voxels | 46.08 |" in texts["plan_memory"]
    )  # 1000 x 15000 x 768 x 4 bytes
    validated = json.loads((ROOT / "benchmarks/results/validated.json").read_text())["sections"]
    few = validated["recovery: 1000 training stimuli, 64 features"]["1 fits"]
    assert f"| 64 | 1,000 | {few['explained']:.0%} | {few['jne']['with_share']:.2f} |" in texts["plan_stimuli"]


def test_without_measurements_the_pages_say_so(tmp_path):
    assert all("nobody has measured yet" in text for text in measured_texts(tmp_path).values())


@pytest.mark.slow
def test_launch_buttons_are_there_where_the_repository_is_known_and_a_book_outlives_a_page_that_warns(
    book, tmp_path, monkeypatch
):
    assert not re.findall(r'href="https?://[^"]+"', (book[1].parent / "book/hierarchy.html").read_text())
    monkeypatch.setenv("JNE_REPOSITORY", "https://github.com/someone/jne/")
    root = make_root(tmp_path)
    index = build_book(root=root, report=lambda line: None)
    page = (index.parent / "book/second.html").read_text()
    targets = {
        "https://mybinder.org/v2/gh/someone/jne/main?urlpath=lab/tree/book/second.ipynb",
        "https://colab.research.google.com/github/someone/jne/blob/main/book/second.ipynb",
        "https://github.com/someone/jne",
    }
    assert targets <= set(re.findall(r'href="(https://[^"]+)"', page)) and "hello 3" in page
    index.write_text("the last good book")
    (root / "book/intro.md").write_text("# Welcome\n\nSee {eq}`eq-nowhere` and {doc}`missing`.\n")
    with pytest.raises(BookError, match=r"(?s)book/intro\.md:3: WARNING.*missing.*log\.txt"):
        build_book(root=root, only=[], report=lambda line: None)
    assert index.read_text() == "the last good book"


@pytest.mark.slow
def test_a_failing_chapter_stops_no_other_and_the_last_book_stays(tmp_path, monkeypatch):
    monkeypatch.setenv("JNE_RESULTS", str(tmp_path / "kept"))
    root = make_root(tmp_path / "clone", ("first", "second", "third", "fourth"))
    (root / "_build/html").mkdir(parents=True)
    (root / "_build/html/searchindex.js").write_text("the last good book")
    write_notebook(
        root / "book/second.ipynb", "before = 1", "value = 40 + 2\nprint('so far')\nraise KeyError('no ' + str(value))"
    )
    write_notebook(root / "book/third.ipynb", "1 / 0", about={"after": ["first"]})
    write_notebook(root / "book/fourth.ipynb", "never = 1", about={"after": ["second"]})
    lines = []
    with pytest.raises(BookError) as caught:
        build_book(root=root, jobs=2, report=lines.append)
    message = str(caught.value)
    left = root / "_build/chapters/second/book/second.ipynb"
    assert "book/second.ipynb stopped in this cell:\n\n    value = 40 + 2\n    print('so far')" in message
    assert "KeyError: 'no 42'" in message and str(left) in message and len(message.splitlines()) < 30
    assert "book/third.ipynb stopped in this cell:\n\n    1 / 0\n\nZeroDivisionError: division by zero" in message
    assert "book/fourth.ipynb was not run: it comes after second" in message
    assert "so far" in left.read_text() and "Traceback" in left.read_text()
    assert any(line.endswith("second: failed; the others go on") for line in lines)
    assert any(re.search(r"first: \d+\.\d s$", line) for line in lines)
    assert (root / "_build/html/searchindex.js").read_text() == "the last good book"


@pytest.mark.slow
def test_a_chapter_is_kept_until_something_it_is_made_of_changes(tmp_path, monkeypatch, plain_pages):
    monkeypatch.setenv("JNE_RESULTS", str(tmp_path / "kept"))
    root = make_root(tmp_path / "clone")
    write_notebook(root / "book/second.ipynb", "import time\nprint('at', time.time_ns())")

    def printed(**options):
        index = build_book(root=root, report=lambda line: None, **options)
        return re.search(r"at (\d+)", (index.parent / "book/second.html").read_text())[1]

    first = printed()
    assert printed() == first
    (root / "book/params/other.yml").write_text("all: {seed: 4}")
    assert printed(params="other") != first and printed() == first
    rerun = printed(rerun=True)
    assert rerun != first and printed() == rerun


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    """A book whose second chapter reads, built alone, what the first recorded and showed; both import the package."""
    root = make_root(tmp_path_factory.mktemp("recorded") / "clone")
    shown = "import matplotlib.pyplot as plt\nfrom jne.plotting import show\nshow(plt.subplots()[0], 'Two', paper='6b')"
    process = "import os\nprint(os.getppid(), os.path.exists('_toc.yml'), os.environ['OMP_NUM_THREADS'], sep='\\n')"
    record = "import jne\njne.record('answer', {'V2': 42, 'V1': 0.5})"
    write_notebook(root / "book/first.ipynb", record, shown, "plt.plot([1, 2])\nplt.show()", process, title="First")
    reading = "from jne.book import chapter_figures, chapter_records\nprint(list(chapter_records()['first'].items()),"
    reading += " [(one.anchor, one.title, one.paper, one.caption) for one in chapter_figures()])"
    write_notebook(root / "book/second.ipynb", reading, process, about={"after": ["first"]})
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("JNE_RESULTS", str(root.parent / "kept"))
        patch.setattr("jne.book.build.make_html", write_plain_pages)
        return root, build_book(root=root, only=["second"], jobs=2, report=lambda line: None)


@pytest.mark.slow
def test_a_chapter_reads_what_those_before_it_recorded(recorded, monkeypatch, plain_pages):
    """Also where it is built alone, and from what an earlier build has kept; likewise the figures it showed."""
    root, index = recorded
    monkeypatch.setenv("JNE_RESULTS", str(root.parent / "kept"))
    lines = []
    again = build_book(root=root, only=[], report=lines.append)
    expected = "[('answer.V2', 42), ('answer.V1', 0.5)] [('fig-first-1', 'First', ('6b',), 'Two')]"
    for page in (index.parent / "book/second.html", again.parent / "book/second.html"):
        assert expected in html.unescape(re.sub(r"<[^>]+>", "", page.read_text()))
    assert "[1/2] first: as in an earlier build" in lines


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="processes are copied on Linux only")
def test_chapters_that_import_the_package_are_copies_of_one_process(recorded):
    stage = recorded[1].parent.parent / "stage"
    chapters = (nbformat.read(stage / f"book/{name}.ipynb", as_version=4) for name in ("first", "second"))
    first, second = ([cell.outputs for cell in chapter.cells if cell.cell_type == "code"] for chapter in chapters)
    assert [output.output_type for output in first[-2]] == ["display_data"] and "image/png" in first[-2][0].data
    ((parent, here, threads),) = {tuple(outputs[-1][0].text.split()) for outputs in (first, second)}
    assert int(parent) != os.getpid() and here == "True"
    assert int(threads) == max(1, available_cores() // 2)


@pytest.mark.slow
def test_a_second_build_of_the_same_book_is_refused_in_a_sentence(tmp_path, plain_pages):
    root = make_root(tmp_path)
    write_notebook(root / "book/first.ipynb", "import time\ntime.sleep(60)")
    with subprocess.Popen([sys.executable, "-c", BUILD, str(root)], stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout.readline().startswith("Running")
        with pytest.raises(ValueError, match=r"another build is at work on .*_build/html; wait .* --out"):
            build_book(root=root, report=lambda line: None)
        write_notebook(root / "book/first.ipynb", "print('quick')")
        index = build_book(root=root, out=tmp_path / "elsewhere/html", report=lambda line: None)
        assert "quick" in (index.parent / "book/first.html").read_text()
        assert [path.name for path in index.parent.parent.iterdir()] == ["html", ".html-build.lock"]
        other.kill()


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc").is_dir(), reason="reads /proc")
@pytest.mark.parametrize("phase", ["chapters", "copies", "pages"])
def test_a_client_that_is_killed_leaves_nothing_running(tmp_path, phase):
    root = make_root(tmp_path)
    if phase != "pages":
        code = ["import time\ntime.sleep(300)", *(["import jne"] if phase == "copies" else [])]
        for name in ("first", "second"):
            write_notebook(root / f"book/{name}.ipynb", *code)
    # How much the copied process has loaded does not matter here.
    loads = "import jne.book.kernels as kernels; kernels._OF_ALL = ('ipykernel.kernelapp',); "
    command = [sys.executable, "-c", loads + BUILD, str(root)]
    mark = {"JNE_TEST_MARK": str(tmp_path)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=os.environ | mark) as client:
        wanted = "Making the pages" if phase == "pages" else "Running first"
        while not client.stdout.readline().startswith(wanted):
            pass
        deadline = time.monotonic() + 60
        # The client, and what it has started: both chapters, and for copies the process that they are copies of.
        while len(marked(tmp_path)) < {"chapters": 2, "pages": 2, "copies": 1 + 1 + min(2, available_cores())}[phase]:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        client.kill()
    while marked(tmp_path):
        assert time.monotonic() < deadline, marked(tmp_path)
        time.sleep(0.1)


def marked(folder):
    """Processes that were started, directly or not, with the mark of this folder."""
    found = []
    for path in Path("/proc").glob("[0-9]*/environ"):
        try:
            content, state = path.read_bytes(), (path.parent / "stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            continue
        if f"JNE_TEST_MARK={folder}".encode() in content and state != "Z":
            found.append(path.parent.name)
    return found


def test_a_process_that_does_not_answer_in_time_is_said_to_be_just_that(tmp_path, monkeypatch):
    notebook = write_notebook(tmp_path / "a.ipynb", "pass")
    slow = tmp_path / "slow.py"
    slow.write_text("import time; time.sleep(60)")
    monkeypatch.setenv("JNE_KERNEL_SECONDS", "1")
    monkeypatch.setattr(
        "jne.book.kernels.get_kernel_dict", lambda: {"argv": ["python", str(slow)], "language": "python"}
    )
    with pytest.raises(
        BookError, match=r"(?s)a\.ipynb did not start.*not answer in 1 s.*JNE_KERNEL_SECONDS=5"
    ) as caught:
        execute_notebook(notebook, tmp_path / "out/a.ipynb", {}, root=tmp_path)
    assert "memory" not in str(caught.value)
    monkeypatch.setenv("JNE_KERNEL_SECONDS", "soon")
    with pytest.raises(ValueError, match="JNE_KERNEL_SECONDS='soon'; accepted are whole seconds"):
        execute_notebook(notebook, tmp_path / "out/a.ipynb", {}, root=tmp_path)


def test_a_kernel_that_ends_well_reports_no_interrupt(tmp_path):
    """An idle kernel that is interrupted before it is shut down says KeyboardInterrupt, in some of the cases."""
    interrupts = []
    notebook = write_notebook(tmp_path / "a.ipynb", "import signal, pathlib\n"
        "signal.signal(signal.SIGINT, lambda *_: pathlib.Path('interrupted').touch())")  # fmt: skip
    with (tmp_path / "log").open("w") as log:
        execute_notebook(notebook, tmp_path / "out/a.ipynb", {}, root=tmp_path, log=log, started=interrupts.append)
    assert len(interrupts) == 1 and not (tmp_path / "interrupted").exists()
    assert "KeyboardInterrupt" not in (tmp_path / "log").read_text()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["..", "stage", "HTML", "html", "sphinx", "only", "batch", ".html.new", "html-build"])
def test_a_dataset_never_gets_a_folder_of_the_book(tmp_path, name):
    folder = default_folder(tmp_path, tmp_path / f"{name}.nc")
    assert folder == tmp_path / "_build" / f"_{name}"
    assert default_folder(tmp_path, tmp_path / "monkey.a.nc") == tmp_path / "_build/monkey.a"


def test_pages_that_do_not_fit_on_the_disk_say_so(tmp_path, monkeypatch):
    (tmp_path / "stage").mkdir()
    (tmp_path / "stage/index.md").write_text("# A page")
    monkeypatch.setattr("shutil.disk_usage", lambda path: type("Usage", (), {"free": 1e6})())
    with pytest.raises(OSError, match=r"no space left .*: 20 MB .* needed, 1 MB .* free"):
        make_html(tmp_path / "stage", tmp_path / "sphinx")


def test_only_one_chapter(tmp_path, plain_pages):
    root = make_root(tmp_path)
    lines = []
    index = build_book(root=root, only=["book/second.ipynb"], report=lines.append)
    assert index == root / "_build/only/html/index.html"
    assert "hello 3" in (index.parent / "book/second.html").read_text()
    assert "hello 3" not in (index.parent / "book/first.html").read_text()
    assert "Not executed, so without figures: first" in lines


def test_killed_kernel_names_the_cell(tmp_path):
    notebook = write_notebook(tmp_path / "a.ipynb", "big = 1", "import os\nos._exit(137)", "after = 1")
    with pytest.raises(BookError, match=r"(?s)a\.ipynb stopped in this cell:\n\n    import os\n    os\._exit.*memory"):
        execute_notebook(notebook, tmp_path / "out/a.ipynb", {}, root=tmp_path)


def test_kernel_is_this_python(tmp_path, monkeypatch):
    """Another kernel of the same name, as on many machines, is not used."""
    spec = {"argv": ["/bin/false", "{connection_file}"], "language": "python", "display_name": "Other"}
    (tmp_path / "kernels/python3").mkdir(parents=True)
    (tmp_path / "kernels/python3/kernel.json").write_text(json.dumps(spec))
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path))
    code = "import os, sys\nprint([sys.executable, os.getcwd(), os.environ['JNE_PROGRESS'], options])"
    notebook = write_notebook(tmp_path / "a.ipynb", code)
    executed = tmp_path / "out/a.ipynb"
    execute_notebook(notebook, executed, {"options": {"a": {"b": None}, "c": "d's"}}, root=tmp_path)
    printed = nbformat.read(executed, as_version=4).cells[-1].outputs[0].text
    assert printed.strip() == repr([sys.executable, str(tmp_path), "0", {"a": {"b": None}, "c": "d's"}])


def test_declared_parameters(tmp_path):
    tricky = 'data = "a=b#c"  # x = y\nseed: int = 0\noptions = dict(\n    a=1,\n)\nlayer = None\nunset: int\nx.y = 2'
    notebook = write_notebook(tmp_path / "a.ipynb", parameters=tricky)
    assert list(declared_parameters(notebook)) == ["data", "seed", "options", "layer"]


def test_presented_parameters(tmp_path):
    notebook = write_notebook(tmp_path / "a.ipynb")
    make_presentable(notebook, {"seed": 4, "options": {"thin": 2}, "data": "synthetic"}, tmp_path)
    source = nbformat.read(notebook, as_version=4).cells[1].source
    assert source == "data = 'synthetic'  # a dataset = a file\nseed: int = 4\noptions = {'thin': 2}  # très"
    long = {"options": {f"an option {i}": list(range(20)) for i in range(3)}}
    make_presentable(notebook, long, tmp_path)
    source = nbformat.read(notebook, as_version=4).cells[1].source
    assert max(map(len, source.splitlines())) <= 90
    assert ast.literal_eval(declared_parameters(notebook)["options"]) == long["options"]


def read(root, text, data=None):
    file = root / "mine.yml"
    file.write_text(text)
    return read_parameters(file, {n: root / p for n, p in read_contents(root)[0].items()}, data=data, root=root)


def test_parameters_are_merged(tmp_path):
    root = make_root(tmp_path)
    write_notebook(root / "book/second.ipynb", parameters="seed = 0")
    data = root / "d.nc"
    values = read(root, "all: {data: x, seed: 1, options: {a: 1}}\nfirst: {seed: 2}\nsecond:\n", data)
    assert values == {"first": {"data": str(data), "seed": 2, "options": {"a": 1}}, "second": {"seed": 1}}
    data.write_text("of another kind")
    assert read(root, "first: {data: d.nc}")["first"]["data"] == str(data)
    assert read(root, "") == {"first": {}, "second": {}}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("first: {sed: 1}", r"notebook first has no parameter 'sed'; it has data, seed, options"),
        ("all: {sed: 1}", r"no notebook has a parameter 'sed'; they have data, seed, options"),
        ("frist: {seed: 1}", r"no notebook 'frist'; sections are all, first, second"),
        ("seed: 1", r"expected sections \(all, first, second\)"),
        ("- seed", r"expected sections"),
        ("all: {seed: [", r"mine\.yml.*"),
        ("first: {data: gone.nc}", r"mine\.yml, data: there is no file .*gone\.nc"),
    ],
)
def test_wrong_parameters_are_refused(tmp_path, text, message):
    with pytest.raises((ValueError, OSError), match=message):
        read(make_root(tmp_path), text)


def test_data_that_no_chapter_reads_is_refused(tmp_path):
    root = make_root(tmp_path, ("first",))
    write_notebook(root / "book/first.ipynb", parameters="seed = 0")
    with pytest.raises(ValueError, match="no notebook has a parameter 'data'"):
        read(root, "", root / "d.nc")


def test_command_line_explains(tmp_path, monkeypatch):
    root = make_root(tmp_path)
    monkeypatch.chdir(root / "book")
    (root / "full").mkdir()
    (root / "full/thesis.tex").write_text("precious")
    for options, message in (
        (["--params", "fast"], "no parameter set 'fast'; there are demo"),
        (["--params", "fast.yml"], "params: there is no file"),
        (["--data", "gone.nc"], f"data: there is no file {root / 'book/gone.nc'}"),
        (["--only", "third"], "no chapter 'third'; there are first, second"),
        (["--out", "../full"], "holds something else than a book"),
    ):
        result = CliRunner().invoke(main, ["book", *options])
        assert result.exit_code == 1 and message in result.output, result.output
        assert "Traceback" not in result.output
    assert (root / "full/thesis.tex").exists() and not (root / "_build").exists()
    (root / "book/second.ipynb").unlink()
    result = CliRunner().invoke(main, ["book"])
    assert "_toc.yml names book/second, but" in result.output


def test_find_root(tmp_path, monkeypatch):
    root = make_root(tmp_path / "clone")
    (root / "book/deep").mkdir()
    monkeypatch.chdir(root / "book/deep")
    assert find_root() == root
    monkeypatch.chdir(tmp_path)
    assert find_root() == ROOT
    with pytest.raises(ValueError, match="no book"):
        find_root(tmp_path)


def test_missing_extra_names_the_command(monkeypatch):
    monkeypatch.setattr(jne, "book", importlib.import_module("jne.book"), raising=False)  # to have it back
    for name in [name for name in sys.modules if name.partition("jne.book")[:2] == ("", "jne.book")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "papermill", None)
    result = CliRunner().invoke(main, ["book", "--only", "no such chapter"])
    assert result.exit_code == 1 and "needs papermill" in result.output and "pip install -e '.[book]'" in result.output


def test_citation_file():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert citation["cff-version"] == "1.2.0"
    assert {"message", "title", "authors"} <= set(citation)
    paper = citation["preferred-citation"]
    assert {"type", "title", "authors"} <= set(paper) and len(paper["authors"]) == 7
