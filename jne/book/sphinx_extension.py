"""A Sphinx extension that mends, for this book's pages, what other extensions leave."""

from __future__ import annotations

import functools
import html
import importlib
import inspect
import pydoc
import re
from collections.abc import Iterator
from pathlib import Path

import click
from docutils import nodes
from jinja2 import FileSystemLoader
from jinja2.sandbox import SandboxedEnvironment
from numpydoc import docscrape_sphinx
from sphinx.transforms import SphinxTransform

# What scikit-learn gives every estimator is in its own documentation.
_CLASS = [
    "   :members:",
    "   :inherited-members: BaseEstimator",
    "   :exclude-members: set_fit_request, set_predict_request, set_score_request",
]

_FIGURE = r'(<a [^>]*image-reference"[^>]*>\s*<img [^>]*style="width: (\d+)px)'
_REFERENCE = r"\[R[0-9a-f]{12}-(\d+)\]"
"""To the literature of a docstring, as numpydoc leaves it."""
_SMALLEST = 0.7
"""Of the width that a figure's letters are made for."""


def setup(app) -> dict[str, bool]:
    """Register the hooks; called by Sphinx."""
    app.connect("source-read", _append_docstrings)
    app.connect("source-read", _list_commands)
    app.connect("sphinx-click-process-description", _examples_as_blocks)
    app.connect("html-page-context", _mend_page, priority=900)
    app.connect("builder-inited", _say_safe)
    app.connect("html-collect-pages", _escape_titles)
    app.add_transform(_AsWritten)
    # Numpydoc would make it, and compile its one template, anew for every docstring.
    docscrape_sphinx.SandboxedEnvironment = lambda loader: _numpydoc_templates()
    return {"parallel_read_safe": True, "parallel_write_safe": True}


@functools.cache
def _numpydoc_templates() -> SandboxedEnvironment:
    return SandboxedEnvironment(loader=FileSystemLoader(Path(docscrape_sphinx.__file__).parent / "templates"))


def _say_safe(app) -> None:
    """The two extensions that do not say whether pages may be read side by side keep nothing from page to page."""
    for name in {"sphinx_multitoc_numbering", "sphinx_jupyterbook_latex"} & app.extensions.keys():
        app.extensions[name].parallel_read_safe = True


class _AsWritten(SphinxTransform):
    """Texts from data, which stand in a ``bdi`` (`jne._core.as_written`), keep their quotation marks."""

    default_priority = 740  # before those of sentences are made round

    def apply(self, **options) -> None:
        for begin in list(self.document.findall(nodes.raw)):
            if not begin.astext().startswith("<bdi ") or begin.parent is None:
                continue
            text = nodes.inline(classes=["tex2jax_ignore", "mathjax_ignore"], support_smartquotes=False)
            place = begin.parent.index(begin)
            while len(begin.parent) > place + 1:
                node = begin.parent.pop(place + 1)
                if isinstance(node, nodes.raw):
                    break
                text += node
            begin.parent.replace(begin, text)


def _escape_titles(app) -> list:
    # The search page takes the headings that it lists for HTML.
    titles = app.builder.indexer._all_titles
    for page, found in titles.items():
        titles[page] = [(html.escape(title), name) for title, name in found]
    return []


def _append_docstrings(app, page: str, source: list[str]) -> None:
    """Below the lists of names in a page, the whole docstring of each name: under the list's heading, in its order."""
    if ".. autosummary::" not in source[0]:
        return
    full = []
    for line in source[0].splitlines():
        if line.startswith("### "):
            full += ["", line[1:], ""]
        elif named := re.fullmatch(r" +~?(jne\.[\w.]+)", line):
            kind = "class" if inspect.isclass(pydoc.locate(named[1])) else "function"
            options = _CLASS if kind == "class" else []
            full += ["```{eval-rst}", f".. auto{kind}:: {named[1]}", *options, "```", ""]
    source[0] += "\n".join(full)


def _examples_as_blocks(app, context, lines: list[str]) -> None:
    """Lines that a help text keeps as they are become a code block: a line block would lose backslashes and indents."""
    mended, block = [], []
    for line in [*lines, ""]:
        if line.startswith("|   "):
            block.append(line.removeprefix("|   "))
            continue
        if block:
            language = "shell" if block[0].startswith(("jne ", "hf ")) else "text"
            mended += ["", f".. code-block:: {language}", "", *(f"   {code}" for code in block), ""]
            block = []
        mended.append(line.removeprefix("| "))
    lines[:] = mended[:-1]


def _list_commands(app, page: str, source: list[str]) -> None:
    """Above the texts of all commands, a list of them."""
    if not (found := re.search(r"^\.\. click:: (\S+):(\w+)\n   :prog: (\w+)$", source[0], re.MULTILINE)):
        return
    main = getattr(importlib.import_module(found[1]), found[2])
    # A link in Markdown knows no headings but Markdown's.
    rows = [f'| <a href="#{name.replace(" ", "-")}"><code>{name}</code></a> | {command.get_short_help_str(200)} |'
            for name, command in _commands(main, found[3])]  # fmt: skip
    table = "\n".join(["| command | what it does |", "| --- | --- |", *rows])
    heading = "```{eval-rst}\n.. click::"
    source[0] = source[0].replace(heading, f"{table}\n\n{heading}")


def _commands(group: click.Group, name: str) -> Iterator[tuple[str, click.Command]]:
    context = click.Context(group)
    for each in group.list_commands(context):
        command = group.get_command(context, each)
        if isinstance(command, click.Group):
            yield from _commands(command, f"{name} {each}")
        else:
            yield f"{name} {each}", command


def _mend_page(app, page: str, template: str, context: dict, doctree) -> None:
    # Two extensions load the scripts of thebe, which the book does not use; the second time is an error.
    context["script_files"] = [script for script in context["script_files"] if not _of_thebe(script)]
    # The theme writes these texts as HTML.
    for name in ("root_title", "pagetitle", *(["docstitle"] if page == "search" else [])):
        context[name] = html.escape(context.get(name) or "")
    # Its children have the role of bibliography entries, which a list may not have.
    if "body" in context:
        body = context["body"].replace('<div role="list" class="citation', '<div class="citation')
        body = re.sub(_REFERENCE, r"[\1]", body)
        context["body"] = re.sub(_FIGURE, _readable, body)


def _readable(figure: re.Match) -> str:
    """A figure that is never shrunk so far that its letters are too small; it scrolls sideways instead (jne.css)."""
    return f"{figure[1]}; min-width: {round(_SMALLEST * int(figure[2]))}px"


def _of_thebe(script) -> bool:
    body = getattr(script, "attributes", {}).get("body") or ""
    return "THEBE" in body or "thebe" in str(getattr(script, "filename", ""))
