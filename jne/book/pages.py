"""Executed chapters as pages: code folded, figures with captions, provenance and alternative text, terms linked."""

from __future__ import annotations

import ast
import base64
import hashlib
import io
import json
import re
from collections.abc import Mapping
from pathlib import Path

import nbformat
from PIL import Image

from jne._core import as_written
from jne.book.measured import put_in
from jne.book.notebook_files import read_notebook
from jne.book.notebooks import declared_parameters

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
        Its path in the repository, named beneath every figure.
    facts : mapping of str
        What else to name there: the parameter set, the version.
    terms : mapping of str to str
        Terms of the glossary and their definitions; see `link_terms`.
    values : mapping of str to str
        What `measured` has for ``{{name}}`` in its text.
    """
    content = read_notebook(path)
    default = declared_parameters(content).get("seed")
    seed = {} if default is None else {"seed": str(ast.literal_eval(default))}
    number = 0
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
                number += 1
                found = {**seed, **shown["about"]}
                about = {name: found[name] for name in _ABOUT if name in found} | {"notebook": notebook, **facts}
                uri = _write_image(output.data["image/png"], path.parent / "_figures")
                text = _figure(uri, f"fig-{path.stem}-{number}", shown, about)
                output.data, output.metadata = nbformat.from_dict({"text/markdown": text}), {}
        cell.outputs = [output for output in cell.outputs if output.get("metadata", {}).get("jne") != "caption"]
    link_terms(content, terms)
    nbformat.write(content, path)


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
    block = re.search(r"```\{glossary\}\n(.*?)```", page.read_text(), re.DOTALL) if page.is_file() else None
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


def _figure(uri: str, name: str, shown: Mapping, about: Mapping[str, str]) -> str:
    """MyST source of a figure with its caption, and beneath it where it is from."""
    facts = " · ".join(f"<span>{k}: {as_written(v)}</span>" for k, v in about.items())
    content = f'{shown["caption"]}\n\n<p class="jne-provenance">{facts}</p>'
    more = {"name": name, "target": f"../_images/{Path(uri).name}"}
    return figure_source(uri, content, alt=shown["alt"], width=shown["width"], **more)


def figure_source(uri: str, content: str, *, alt: str, width: int, **options: str) -> str:
    """MyST source of a figure ``width`` pixels wide; its first paragraph of ``content`` is the caption."""
    options |= {"alt": json.dumps(alt, ensure_ascii=False), "width": f"{width}px"}
    lines = "\n".join(f":{option}: {value}" for option, value in options.items())
    return f"``````{{figure}} {uri}\n{lines}\n\n{content}\n``````\n"
