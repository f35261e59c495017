"""What the book costs: minutes to build, bytes and time to the first paint of each page opened from disk.

    .venv/bin/python benchmarks/book.py               # the pages of the book in _build/html
    .venv/bin/python benchmarks/book.py quick demo    # builds with these parameter sets before, from an empty cache
    .venv/bin/python benchmarks/book.py --busy demo   # likewise, beside one process that is never idle

Prints a table and writes results/book.json, whose times the landing page quotes. Needs Chromium.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from urllib.parse import unquote, urlsplit

from _common import machine
from playwright.sync_api import sync_playwright

from jne._core import write_json

ROOT = Path(__file__).resolve().parent.parent
RESULTS = Path(__file__).resolve().parent / "results/book.json"
PAINT = "() => performance.getEntriesByName('first-contentful-paint')[0]?.startTime"


BUSY = "while True: pass"


def build_costs(params: str, busy: bool) -> dict[str, float]:
    """Seconds, and seconds of processor time of the whole tree, of `jne book` with an empty cache; and once more."""
    other = subprocess.Popen([sys.executable, "-c", BUSY]) if busy else None
    try:
        with tempfile.TemporaryDirectory() as folder:
            first, again = (_timed(params, folder) for _ in range(2))
    finally:
        if other:
            other.kill()
            other.wait()
    return {"seconds": first[0], "cpu_seconds": first[1], "again_seconds": again[0]}


def _timed(params: str, results: str) -> tuple[float, float]:
    command = [sys.executable, "-m", "jne.cli", "book", "--params", params]
    start, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, cwd=ROOT, env=os.environ | {"JNE_RESULTS": results}, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return round(time.perf_counter() - start, 1), round(used, 1)


def page_costs(book: Path, repeats: int = 5) -> dict[str, dict[str, float]]:
    """Of each page: bytes of all files that it loads, and milliseconds to its first paint, the median over repeats."""
    costs = {}
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        for path in sorted(book.glob("book/*.html")):
            paints, files = [], set()
            for _ in range(repeats):
                context = browser.new_context(viewport={"width": 1280, "height": 900})
                page = context.new_page()
                page.on("request", lambda request, files=files: files.add(unquote(urlsplit(request.url).path)))
                page.goto(path.as_uri())
                page.wait_for_function(f"{PAINT[6:]} !== undefined")
                paints.append(page.evaluate(PAINT))
                context.close()
            size = sum(Path(name).stat().st_size for name in files if Path(name).is_file())
            costs[path.stem] = {
                "html_bytes": path.stat().st_size,
                "loaded_bytes": size,
                "first_paint_ms": round(statistics.median(paints), 1),
            }
        browser.close()
    return costs


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("params", nargs="*", help="parameter sets to build the book with first: quick, demo, paper")
    parser.add_argument("--busy", action="store_true", help="build beside a process that is never idle")
    given = parser.parse_args()
    found = json.loads(RESULTS.read_text()) if RESULTS.is_file() else {}
    kinds = {kind: found.get(kind, {}) for kind in ("builds", "builds_busy")}
    for params in given.params:
        costs = build_costs(params, given.busy)
        kinds["builds_busy" if given.busy else "builds"][params] = {**costs, "machine": machine(os.cpu_count())}
        write_json({**found, **kinds}, RESULTS)
    book = ROOT / "_build/html"
    if not (book / "index.html").is_file():
        sys.exit("There is no book in _build/html: run `make book` first")
    pages = page_costs(book)
    write_json({"machine": machine(os.cpu_count()), **kinds, "pages": pages}, RESULTS)
    print(f"{'page':<24}{'HTML':>10}{'loaded':>12}{'first paint':>14}")
    for name, cost in pages.items():
        kib, loaded = cost["html_bytes"] / 1024, cost["loaded_bytes"] / 1024
        print(f"{name:<24}{kib:>6.0f} KiB{loaded:>8.0f} KiB{cost['first_paint_ms']:>11.0f} ms")
    for kind, builds in kinds.items():
        for params, build in builds.items():
            texts = [f"{name} {value:.0f}" for name, value in build.items() if name != "machine"]
            print(f"{kind}, {params}: {', '.join(texts)} on {build['machine']['cores']} cores")


if __name__ == "__main__":
    main()
