"""The built book as a reader meets it: every page from disk, in Chromium, with the network blocked.

Run by `make check-book`. The book is `_build/html`, or the folder in the environment variable JNE_BOOK.
"""

import io
import itertools
import os
import shutil
from pathlib import Path
from urllib.parse import unquote, urlsplit

import numpy as np
import pytest
from PIL import Image

pytestmark = pytest.mark.browser

ROOT = Path(__file__).resolve().parent.parent
BOOK = Path(os.environ.get("JNE_BOOK", ROOT / "_build/html")).resolve()
PAGES = sorted(path.relative_to(BOOK).as_posix() for path in [*BOOK.glob("book/*.html"), *BOOK.glob("search.html")])
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
WIDTHS = (360, 768, 1280)

if missing := [
    reason
    for there, reason in ((PAGES, f"no book in {BOOK}: run `make book` first"), (CHROMIUM, "no Chromium on the path"))
    if not there
]:
    if "JNE_BOOK" in os.environ:  # asked for: not to be passed over in silence
        raise RuntimeError("; ".join(missing))
    pytest.skip("; ".join(missing), allow_module_level=True)

axe_playwright = pytest.importorskip("axe_playwright_python.sync_playwright")
playwright_api = pytest.importorskip("playwright.sync_api")

RAW_LATEX = r"""() => {
  const copy = document.querySelector("article, #search-results, main").cloneNode(true);
  copy.querySelectorAll("mjx-container, pre, code, script, style").forEach(node => node.remove());
  const source = /\$[^\s$][^$]*\$|\\[(\[]|\\(frac|bar|mathrm|begin|lVert|Sigma|delta|sum)\b|\$\$/g;
  return copy.textContent.match(source) || [];
}"""
IMAGES = """() => Array.from(document.querySelectorAll("article img")).map(image => (
  {src: image.src, alt: image.alt, width: image.naturalWidth, shown: image.getBoundingClientRect().width}
))"""
WIDE = """() => {
  const limit = document.documentElement.clientWidth;
  if (document.scrollingElement.scrollWidth <= limit) return [];
  return Array.from(document.querySelectorAll("article *"))
    .filter(node => node.getBoundingClientRect().right > limit + 1)
    .slice(0, 3).map(node => node.outerHTML.slice(0, 200)).concat("the page scrolls sideways");
}"""


@pytest.fixture(scope="module")
def chromium():
    with playwright_api.sync_playwright() as playwright:
        options = ["--no-sandbox", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"]
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=options)
        yield browser
        browser.close()


def new_page(chromium, **options):
    """A page without network; its `trouble` lists console errors and requests that failed or left the machine."""
    context = chromium.new_context(viewport={"width": 1280, "height": 900}, **options)
    context.set_default_timeout(60_000)
    page = context.new_page()
    page.trouble = []

    def local_only(route):
        if urlsplit(route.request.url).scheme in ("http", "https", "ws", "wss"):
            page.trouble.append(f"request to {route.request.url}")
            return route.abort()
        return route.continue_()

    context.route("**/*", local_only)
    page.on("console", lambda message: page.trouble.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: page.trouble.append(str(error)))
    page.on("requestfailed", lambda request: page.trouble.append(f"failed: {request.url} ({request.failure})"))
    return page


@pytest.fixture(scope="module", params=PAGES)
def opened(request, chromium):
    page = new_page(chromium)
    page.goto((BOOK / request.param).as_uri())
    page.add_style_tag(content="* { transition: none !important; }")  # side bars slide when the window changes
    page.evaluate("window.MathJax && MathJax.startup ? MathJax.startup.promise : null")
    yield page
    page.context.close()


def test_opens_without_an_error_or_a_request_to_another_host(opened):
    assert not opened.trouble


def test_mathematics_is_set(opened):
    assert opened.evaluate(RAW_LATEX) == []
    assert opened.locator("mjx-merror").count() == 0
    if opened.url.endswith("method.html"):
        assert opened.locator("article mjx-container").count() > 50


def test_images_are_drawn_and_have_words(opened):
    for image in opened.evaluate(IMAGES):
        assert image["width"] > 0 and image["shown"] > 0, image
        assert len(image["alt"]) > 20 and not image["alt"].endswith((".png", ".svg")), image


def test_figures_say_where_they_are_from(opened):
    for figure in opened.locator(".cell_output figure").all():
        text = figure.locator(".jne-provenance").inner_text()
        for fact in ("notebook: book/", "parameters: ", "version: jne "):
            assert fact in text


@pytest.mark.parametrize("width", WIDTHS)
def test_nothing_is_wider_than_the_screen(opened, width):
    opened.set_viewport_size({"width": width, "height": 900})
    assert opened.evaluate(WIDE) == []


def test_headings_are_in_order(opened):
    if opened.url.endswith("search.html"):
        pytest.skip("made by the theme, without an article")
    script = """() => Array.from(document.querySelectorAll("article :is(h1, h2, h3, h4, h5, h6)"))
        .map(node => Number(node.tagName[1]))"""
    levels = opened.evaluate(script)
    assert levels.count(1) == 1 and levels[0] == 1
    assert all(after <= before + 1 for before, after in itertools.pairwise(levels)), levels


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_accessibility(opened, scheme):
    opened.set_viewport_size({"width": 1280, "height": 900})
    opened.emulate_media(color_scheme=scheme, reduced_motion="reduce")
    opened.wait_for_function(f"document.documentElement.dataset.theme === '{scheme}'")
    found = axe_playwright.Axe().run(opened, options={"iframes": False, "resultTypes": ["violations"]})
    serious = [
        f"{violation['id']}: {node['failureSummary']} {node['html'][:200]}"
        for violation in found.response["violations"]
        if violation["impact"] in ("serious", "critical")
        for node in violation["nodes"]
    ]
    assert not serious, "\n".join(serious[:20])


def test_code_is_folded_and_one_key_opens_it(opened):
    if not (cells := opened.locator("div.cell.tag_hide-input")).count():
        pytest.skip("a page without code")
    shown = [cell for cell in cells.all() if cell.locator(".cell_input pre").first.is_visible()]
    assert not shown
    cells.first.locator("summary").focus()
    opened.keyboard.press("Enter")
    assert cells.first.locator(".cell_input pre").first.is_visible()


@pytest.fixture
def page(chromium):
    page = new_page(chromium)
    yield page
    assert not page.trouble
    page.context.close()


def test_search_finds_the_jacobian(page):
    page.goto((BOOK / "book/intro.html").as_uri())
    page.keyboard.press("Control+k")
    page.keyboard.type("Jacobian")
    page.keyboard.press("Enter")
    page.wait_for_url("**/search.html?q=Jacobian*")
    page.locator("#search-results li a", has_text="The measure").first.wait_for(timeout=10_000)


def test_first_key_skips_to_the_content(page):
    page.goto((BOOK / "book/method.html").as_uri())
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent.trim()") == "Skip to main content"


def colourful(picture: bytes) -> float:
    """Share of a picture's pixels that are neither grey nor nearly so."""
    pixels = np.asarray(Image.open(io.BytesIO(picture)).convert("RGB")).astype(int)
    return (np.ptp(pixels, axis=-1) > 60).mean()


def test_surface_draws_and_turns(chromium):
    views = [name for name in PAGES if 'class="jne-view"' in (BOOK / name).read_text()]
    if not views:
        pytest.skip("no interactive surface in this book")
    for name in views:
        page = new_page(chromium)
        page.goto((BOOK / name).as_uri())
        frame = page.locator("iframe.jne-view").first
        frame.scroll_into_view_if_needed()
        frame.element_handle().content_frame().wait_for_selector("canvas")
        for _ in range(40):
            if colourful(before := frame.screenshot()) > 0.02:
                break
            page.wait_for_timeout(500)
        assert colourful(before) > 0.02
        box = frame.bounding_box()
        x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
        page.mouse.move(x, y)
        page.mouse.down()
        page.mouse.move(x + 20, y + 10, steps=8)  # not so far that the coloured areas are behind
        page.mouse.up()
        page.wait_for_timeout(500)
        turned = frame.screenshot()
        assert turned != before and colourful(turned) > 0.02
        assert not page.trouble
        page.context.close()


def test_internal_links_and_anchors_lead_somewhere():
    soups = {}

    def soup(path):
        if path not in soups:
            soups[path] = pytest.importorskip("bs4").BeautifulSoup(path.read_text(), "html.parser")
        return soups[path]

    broken = []
    for name in [*PAGES, "genindex.html"]:
        for link in soup(BOOK / name).select("a[href], link[rel=next], link[rel=prev]"):
            parts = urlsplit(link["href"])
            if parts.scheme or parts.netloc:
                continue
            target = ((BOOK / name).parent / unquote(parts.path)).resolve() if parts.path else BOOK / name
            if not target.is_file():
                broken.append(f"{name}: {link['href']}")
            elif parts.fragment and target.suffix == ".html":
                anchor = unquote(parts.fragment)
                if soup(target).find(id=anchor) is None and soup(target).find(attrs={"name": anchor}) is None:
                    broken.append(f"{name}: {link['href']}")
    assert not broken
