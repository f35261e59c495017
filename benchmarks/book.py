"""What the book costs: minutes to build, bytes and time to the first paint of each page opened from disk.

    .venv/bin/python benchmarks/book.py               # the pages of the book in _build/html
    .venv/bin/python benchmarks/book.py quick demo    # builds with these parameter sets before, from an empty cache

Prints a table and writes results/book.json, whose times the landing page quotes. Needs Chromium.
"""

from __future__ import annotations

import argparse
import json
import os
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


def build_seconds(params: str) -> float:
    """Wall time of `jne book` with an empty cache."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "jne.cli", "book", "--params", params]
        start = time.perf_counter()
        subprocess.run(command, cwd=ROOT, env=os.environ | {"JNE_RESULTS": folder}, check=True)
        return time.perf_counter() - start


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
    parameter_sets = parser.parse_args().params
    found = json.loads(RESULTS.read_text()) if RESULTS.is_file() else {}
    builds = found.get("builds", {})
    for params in parameter_sets:
        builds[params] = {"seconds": round(build_seconds(params), 1), "machine": machine(os.cpu_count())}
    book = ROOT / "_build/html"
    if not (book / "index.html").is_file():
        sys.exit("There is no book in _build/html: run `make book` first")
    pages = page_costs(book)
    write_json({"machine": machine(os.cpu_count()), "builds": builds, "pages": pages}, RESULTS)
    print(f"{'page':<24}{'HTML':>10}{'loaded':>12}{'first paint':>14}")
    for name, cost in pages.items():
        kib, loaded = cost["html_bytes"] / 1024, cost["loaded_bytes"] / 1024
        print(f"{name:<24}{kib:>6.0f} KiB{loaded:>8.0f} KiB{cost['first_paint_ms']:>11.0f} ms")
    for params, build in builds.items():
        print(f"built with {params}: {build['seconds']:.0f} s on {build['machine']['cores']} cores")


if __name__ == "__main__":
    main()
