"""Executed chapters as pages: code folded, figures with captions, provenance and alternative text, terms linked."""

from __future__ import annotations

import ast
import base64
import hashlib
import html
import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

import nbformat

from jne.notebooks import declared_parameters

# Nothing in here is prose: code, mathematics, links, tags, roles, addresses.
_PROTECTED = r"\{[\w:-]+\}`[^`]*`|`+[^`]*`+|\$\$.*?\$\$|\$[^$]*\$|!?\[[^\]]*\](?:\([^)]*\))?|<[^>]*>|https?://\S+"


def lay_out(path: Path, notebook: str, facts: Mapping[str, str] = {}, terms: Iterable[str] = ()) -> None:
    """Turn the executed notebook at ``path`` into the source of a page, in place.

    Parameters
    ----------
    path : Path
        Executed notebook; its figures are written to ``_figures`` beside it.
    notebook : str
        Its path in the repository, named beneath every figure.
    facts : mapping of str
        What else to name there: the parameter set, the version.
    terms : iterable of str
        Terms of the glossary: the first mention of each becomes a link.
    """
    content = nbformat.read(path, as_version=4)
    default = declared_parameters(content).get("seed")
    seed = {} if default is None else {"seed": str(ast.literal_eval(default))}
    number = 0
    for cell in content.cells:
        if cell.cell_type != "code":
            continue
        tags = cell.metadata.setdefault("tags", [])
        prompt = "Parameters of this run" if "parameters" in tags else "Code"
        cell.metadata["mystnb"] = {"code_prompt_show": prompt, "code_prompt_hide": prompt, "markdown_format": "myst"}
        if not {"hide-input", "hide-cell", "remove-input", "remove-cell"} & set(tags):
            tags.append("hide-input")
        for output in cell.outputs:
            shown = output.get("metadata", {}).get("jne")
            if isinstance(shown, Mapping):
                number += 1
                about = {**shown["about"], **({} if "seed" in shown["about"] else seed), "notebook": notebook, **facts}
                image = _write_image(output.data["image/png"], path.parent / "_figures")
                text = _figure(f"_figures/{image.name}", f"fig-{path.stem}-{number}", shown, about)
                output.data, output.metadata = nbformat.from_dict({"text/markdown": text}), {}
        cell.outputs = [output for output in cell.outputs if output.get("metadata", {}).get("jne") != "caption"]
    link_terms(content, terms)
    nbformat.write(content, path)


def link_terms(content: nbformat.NotebookNode, terms: Iterable[str]) -> None:
    """Make the first mention of each term in the text cells a link to the glossary."""
    left = {term.lower(): term for term in terms}

    def replace(match: re.Match) -> str:
        text = match[0]
        term = left.pop(text.lower(), None) or left.pop(text.lower().removesuffix("s"), None)
        return text if match[1] is None or term is None else f"{{term}}`{text} <{term}>`"

    for cell in content.cells:
        if cell.cell_type == "markdown" and left:
            # Longest first, so that JNE-SS is not taken for JNE.
            names = "|".join(re.escape(term) for term in sorted(left.values(), key=len, reverse=True))
            pattern = re.compile(rf"{_PROTECTED}|(?<![\w-])((?:{names})s?)(?![\w-])", re.IGNORECASE | re.DOTALL)
            paragraphs = re.split(r"(\n\s*\n)", cell.source)
            cell.source = "".join(
                p if re.match(r"\s*(#|```|:::|\||\$\$|\(|    )", p) else pattern.sub(replace, p) for p in paragraphs
            )


def glossary_terms(page: Path) -> list[str]:
    """The terms that the glossary at ``page`` defines; none where there is no such page."""
    block = re.search(r"```\{glossary\}\n(.*?)```", page.read_text(), re.DOTALL) if page.is_file() else None
    return re.findall(r"^(\S.*)\n(?=[ :])", block[1], re.MULTILINE) if block else []


def _write_image(encoded: str, folder: Path) -> Path:
    content = base64.b64decode(encoded)
    path = folder / f"{hashlib.sha256(content).hexdigest()[:16]}.png"
    folder.mkdir(exist_ok=True)
    path.write_bytes(content)
    return path


def _figure(uri: str, name: str, shown: Mapping, about: Mapping[str, str]) -> str:
    """MyST source of a figure with its caption, and beneath it where it is from."""
    facts = " · ".join(f"<span>{html.escape(f'{key}: {value}')}</span>" for key, value in about.items())
    return (
        f"``````{{figure}} {uri}\n:name: {name}\n:alt: {json.dumps(shown['alt'], ensure_ascii=False)}\n\n"
        f'{shown["caption"]}\n\n<p class="jne-provenance">{facts}</p>\n``````\n'
    )
