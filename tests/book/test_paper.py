"""What the book and the docstrings say of the paper is what the paper holds; what is its release's is called so.

The facts are those of Gao et al. (arXiv 2510.13688) and of the scripts that its authors released.
"""

import ast
import inspect
import re
import tokenize
from pathlib import Path

import nbformat
import pytest
import torch

import jne

ROOT = Path(__file__).resolve().parents[2]
RELEASE = "https://github.com/Gaitxh/JNE"
# Of the paper: clusters, features, stimuli (in thousands), all images, bootstraps, epochs of patience, subjects, tiers.
NUMBERS = {"43", "768", "8,000", "1,000", "73,000", "200", "8", "1", "2", "5", "7"}
# Of its simulations: inputs in a window, ranges of the inputs.
NUMBERS |= {"1,001", "10", "100", "10,000"}
# What only the release states or does, and what neither does.
NOT_OF_THE_PAPER = re.compile(
    r"\bno biases|without biases|1,?024\b|full batch|AdamW|weight decay|\b0\.001|\b512\b|every layer|preferred"
    r"|features (z-scored )?within (each )?runs?|(?<!form of )the paper's (encoder|network|settings|full batch)\b",
    re.IGNORECASE,
)
DENIED = re.compile(r"release|does not|cannot say")


def of_the_paper(texts: list[str]) -> list[str]:
    return [text for text in texts if re.search(r"\bpapers?\b", text, re.IGNORECASE)]


def text_of(path: Path) -> list[str]:
    """Blocks of prose: of a page, of a notebook's text cells, of the strings and comments of code."""
    if path.suffix == ".ipynb":
        cells = nbformat.read(path, as_version=4).cells
        return [block for cell in cells if cell.cell_type == "markdown" for block in cell.source.split("\n\n")]
    text = path.read_text()
    if path.suffix == ".md":
        fenced = re.compile(r"^```([^\n]*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
        text = fenced.sub(lambda found: found[2] if found[1].startswith("{") else "", text)
        return [part for block in re.split(r"\n\n|\n\s*(?=[*\d-])", text) for part in block.split("|")]
    if path.suffix == ".yml":
        return [line.partition("#")[2] for line in text.splitlines()]
    strings = [node.value for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Constant)]
    with tokenize.open(path) as file:
        comments = [token.string for token in tokenize.generate_tokens(file.readline) if token.type == tokenize.COMMENT]
    return [block for value in [*strings, *comments] if isinstance(value, str) for block in value.split("\n\n")]


def sentences(path: Path) -> list[str]:
    """All sentences of a file that speak of the paper."""
    if "paper" not in path.read_text().lower():
        return []
    blocks = [" ".join(block.split()) for block in text_of(path)]
    return of_the_paper([part for block in blocks for part in re.split(r"(?<=[.;?!])\s+", block)])


PAGES = sorted([*(ROOT / "book").glob("*.ipynb"), *(ROOT / "book").glob("*.md")])
FILES = sorted([ROOT / "README.md", *PAGES, *(ROOT / "book").glob("*/*.yml"), *(ROOT / "jne").rglob("*.py")])
SPOKEN = {str(path.relative_to(ROOT)): found for path in FILES if (found := sentences(path))}


def test_the_sentences_are_found():
    assert {"book/intro.ipynb", "book/method.md", "book/params/paper.yml", "jne/encoders/residual.py"} <= set(SPOKEN)
    assert sum(map(len, SPOKEN.values())) > 30


@pytest.mark.parametrize("name", SPOKEN)
def test_nothing_is_said_to_be_the_papers_that_is_not(name):
    wrong = [one for one in SPOKEN[name] if NOT_OF_THE_PAPER.search(one) and not DENIED.search(one)]
    assert not wrong


@pytest.mark.parametrize("name", [name for name in SPOKEN if name.startswith("book/")])
def test_numbers_in_sentences_on_the_paper_are_the_papers(name):
    spoken = [re.sub(r"`[^`]*`", "", one) for one in SPOKEN[name] if "release" not in one]
    found = {number for one in spoken for number in re.findall(r"(?<![\w.])\d[\d,.]*\d|(?<![\w.])\d\b", one)}
    assert found <= NUMBERS, found - NUMBERS


@pytest.mark.parametrize(
    ("page", "facts"),
    {
        "intro": ("about equally well", "V1", "V2 to V4", "four people", "noise ceiling"),
        "hierarchy": ("V1", "V2 to V4", "final layer"),
        "sample_selectivity": ("43 clusters", "no names", "highest in EBA", "FFA and EBA", "PPA and RSC"),
        "simulations": ("1,001 evenly spaced", "none < Loc1 < Loc2 < both", "does not say where", "the order holds"),
    }.items(),
)
def test_a_chapter_says_what_the_paper_has_on_its_question(page, facts):
    spoken = " ".join(" ".join(of_the_paper(text_of(ROOT / f"book/{page}.ipynb"))).split())
    assert not [fact for fact in facts if fact not in spoken]


def test_the_release_is_linked_once_with_what_it_holds_and_does_not():
    count = {path.name: len(re.findall(re.escape(RELEASE) + r"\b", path.read_text())) for path in PAGES}
    assert {name: number for name, number in count.items() if number} == {"method.md": 1}
    section = (ROOT / "book/method.md").read_text().partition("(paper-and-release)=")[2].partition("\n(")[0]
    assert RELEASE in section and all(word in section for word in ("no licence", "tests", "no quick Jacobian"))


def test_the_encoders_docstring_says_which_of_its_defaults_are_the_releases():
    text = " ".join(inspect.getdoc(jne.ResidualEncoder).partition("Parameters\n---")[0].split())
    of_paper = " ".join(one for one in text.split(". ") if "paper" in one)
    (of_release,) = [one for one in text.split(". ") if "``hidden_size=1024``" in one]
    assert all(word in of_paper for word in ("patience=8", "have biases", "optimizer is Adam,", "not state a width"))
    assert "release" in of_release
    assert all(word in of_release for word in ("No biases", "AdamW", "``lr``", "``weight_decay``", "max_epochs=512"))
    ours = {name: one.default for name, one in inspect.signature(jne.ResidualEncoder).parameters.items()}
    assert (ours["hidden_size"], ours["n_blocks"], ours["max_epochs"], ours["patience"]) == (1024, 2, 512, 8)
    # The release takes AdamW as PyTorch has it.
    theirs = inspect.signature(torch.optim.AdamW).parameters
    assert (ours["lr"], ours["weight_decay"]) == (theirs["lr"].default, theirs["weight_decay"].default)
    assert not [name for name, _ in jne.ResidualEncoder().initial_module(3, 2).named_parameters() if "bias" in name]
