"""Executed chapters as pages: one fold of code a figure, captions, alternative text, one line of provenance, terms."""

from __future__ import annotations

import ast
import base64
import hashlib
import io
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import nbformat
from PIL import Image

from jne._core import as_written
from jne.book.counterparts import figure_anchor
from jne.book.measured import put_in
from jne.book.notebook_files import read_notebook
from jne.book.notebooks import declared_parameters

_ALONE = {"parameters", "show-input", "hide-cell", "remove-input", "remove-cell"}
_ABOUT = ("responses", "data", "layer", "seed")  # in this order: a notebook's file sorts its keys
# Nothing in here is prose: code, mathematics, links, tags, roles, addresses.
_PROTECTED = r"\{[\w:-]+\}`[^`]*`|`+[^`]*`+|\$\$.*?\$\$|\$[^$]*\$|!?\[[^\]]*\](?:\([^)]*\))?|<[^>]*>|https?://\S+"


def lay_out(
    path: Path,
    notebook: str,
    facts: Mapping[str, str] = {},
    terms: Mapping[str, str] = {},
    values: Mapping[str, str] = {},
) -> None:
    """Turn the executed notebook at ``path`` into the source of a page, in place.

    Parameters
    ----------
    path : Path
        Executed notebook; its figures are written to ``_figures`` beside it.
    notebook : str
        Its path in the repository, named in the line at the page's end that says where its figures are from.
    facts : mapping of str
        What else to name there: the parameter set, the version.
    terms : mapping of str to str
        Terms of the glossary and their definitions; see `link_terms`.
    values : mapping of str to str
        What `measured_texts` has for ``{{name}}`` in its text.
    """
    content = read_notebook(path)
    default = declared_parameters(content).get("seed")
    seed = {} if default is None else {"seed": str(ast.literal_eval(default))}
    abouts: list[dict[str, str]] = []
    for cell in content.cells:
        if cell.cell_type != "code":
            cell.source = put_in(cell.source, values)
            continue
        tags = cell.metadata.setdefault("tags", [])
        prompt = "Parameters of this run" if "parameters" in tags else "Code"
        settings = {"code_prompt_show": prompt, "code_prompt_hide": prompt, "markdown_format": "myst"}
        cell.metadata["mystnb"] = settings | cell.metadata.get("mystnb", {})
        if not {"show-input", "hide-input", "hide-cell", "remove-input", "remove-cell"} & set(tags):
            tags.append("hide-input")
        for output in cell.outputs:
            shown = output.get("metadata", {}).get("jne")
            if isinstance(shown, Mapping):
                found = {**seed, **shown["about"]}
                abouts.append({name: found[name] for name in _ABOUT if name in found})
                uri = _write_image(output.data["image/png"], path.parent / "_figures")
                text = _figure(uri, figure_anchor(path.stem, len(abouts)), shown)
                output.data, output.metadata = nbformat.from_dict({"text/markdown": text}), {}
        cell.outputs = [output for output in cell.outputs if output.get("metadata", {}).get("jne") != "caption"]
    fold_together(content)
    link_terms(content, terms)
    if abouts:
        line = _provenance(path.stem, abouts, {"notebook": notebook, **facts})
        content.cells.append(nbformat.v4.new_markdown_cell(line))
    nbformat.write(content, path)


def fold_together(content: nbformat.NotebookNode) -> None:
    """Put folded code that shows nothing into the fold of the next code that shows something, in place.

    So a page has one fold beside each figure, with all that it takes; what a notebook keeps apart stays one idea a cell
    there. Parameters, code that is not folded and the last cells stay as they are.
    """
    kept, silent = [], []
    for cell in content.cells:
        tags = set(cell.metadata.get("tags", []))
        if cell.cell_type == "code" and not tags & _ALONE:
            if not cell.outputs:
                silent.append(cell)
            else:
                cell.source = "\n\n".join([*(before.source for before in silent), cell.source])
                kept = [one for one in kept if not any(one is before for before in silent)]
                silent = []
        elif cell.cell_type == "code" and "show-input" in tags:
            silent = []
        kept.append(cell)
    content.cells = kept


def link_terms(content: nbformat.NotebookNode, terms: Mapping[str, str]) -> None:
    """Make the first mention of each term a link to the glossary, with the definition in the margin of its paragraph.

    One note a paragraph; the pages show them where the window is wide enough for a margin.
    """
    left = {term.lower(): term for term in terms}
    found: list[str] = []

    def replace(match: re.Match) -> str:
        text = match[0]
        key = next((key for key in (text.lower(), text.lower().removesuffix("s")) if key in left), None)
        if match[1] is None or key is None:
            return text
        found.append(left.pop(key))
        return f"{{term}}`{text} <{found[-1]}>`"

    for cell in content.cells:
        if cell.cell_type != "markdown":
            continue
        blocks = re.split(r"(\n\s*\n)", cell.source)
        for number, block in enumerate(blocks):
            if left and re.match(r"[\w*]", block):  # no heading, list, table, code, directive
                # Longest first, so that JNE-SS is not taken for JNE.
                names = "|".join(re.escape(term) for term in sorted(left.values(), key=len, reverse=True))
                found.clear()
                linked = re.sub(rf"{_PROTECTED}|(?<![\w-])((?:{names})s?)(?![\w-])", replace, block, flags=re.I | re.S)
                blocks[number] = (_margin(found[0], terms[found[0]]) if found else "") + linked
        cell.source = "".join(blocks)


def glossary_terms(page: Path) -> dict[str, str]:
    """The terms that the glossary at ``page`` defines, with their definitions; none where there is no such page."""
    text = page.read_text(encoding="utf-8") if page.is_file() else ""
    block = re.search(r"```\{glossary\}\n(.*?)```", text, re.DOTALL)
    entries = re.findall(r"^(\S.*)\n  (.*(?:\n  .*)*)", block[1], re.MULTILINE) if block else []
    return {term: " ".join(definition.split()) for term, definition in entries}


def _margin(term: str, definition: str) -> str:
    return f"```{{margin}}\n:class: jne-term\n**{term[0].upper()}{term[1:]}**: {definition}\n```\n\n"


def _write_image(encoded: str, folder: Path) -> str:
    content = _with_palette(base64.b64decode(encoded))
    path = folder / f"{hashlib.sha256(content).hexdigest()[:16]}.png"
    folder.mkdir(exist_ok=True)
    path.write_bytes(content)
    return f"{folder.name}/{path.name}"


def _with_palette(content: bytes) -> bytes:
    """A PNG with at most 256 colours: for figures a third of the bytes, and nothing that one can see is lost."""
    image = Image.open(io.BytesIO(content))
    if image.mode == "RGBA" and image.getchannel("A").getextrema()[0] < 255:
        return content
    colours = image.convert("RGB").quantize(256, Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
    out = io.BytesIO()
    colours.save(out, "PNG", optimize=True)
    return out.getvalue()


def _figure(uri: str, name: str, shown: Mapping) -> str:
    """MyST source of a figure with its caption."""
    more = {"name": name, "target": f"../_images/{Path(uri).name}"}
    return figure_source(uri, shown["caption"], alt=shown["alt"], width=shown["width"], **more)


def _provenance(chapter: str, abouts: Sequence[Mapping[str, str]], facts: Mapping[str, str]) -> str:
    """One line on where a page's figures are from; unfolded, the study of each."""
    groups: dict[tuple, list[str]] = {}
    for number, about in enumerate(abouts, 1):
        groups.setdefault(tuple(about.items()), []).append(f"{{numref}}`{figure_anchor(chapter, number)}`")
    rows = [f"{', '.join(figures)}: {_spans(about)}" for about, figures in groups.items() if about]
    head = f"<summary>Where these figures are from · {_spans(facts.items())}</summary>"
    return "\n\n".join([f'<details class="jne-provenance">\n{head}', *rows, "</details>"]) + "\n"


def _spans(facts: Iterable[tuple[str, str]]) -> str:
    return " · ".join(f"<span>{name}: {as_written(value)}</span>" for name, value in facts)


def figure_source(uri: str, content: str, *, alt: str, width: int, **options: str) -> str:
    """MyST source of a figure ``width`` pixels wide; its first paragraph of ``content`` is the caption."""
    options |= {"alt": json.dumps(alt, ensure_ascii=False), "width": f"{width}px"}
    lines = "\n".join(f":{option}: {value}" for option, value in options.items())
    return f"``````{{figure}} {uri}\n{lines}\n\n{content}\n``````\n"
