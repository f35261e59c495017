"""The page that goes through the paper: every value follows from what was recorded and judged, and moves with it."""

import ast
import re
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import nbformat
import pytest
import yaml

from jne.book import STATEMENTS, mathematics_claims, paper_rows
from jne.book.counterparts import ChapterFigure
from jne.book.paper_facts import LEADING, MATHEMATICS, PARTS, ROWS
from jne.book.paper_tables import claims_text, face_of, rows_text
from jne.study import CLAIMS

ROOT = Path(__file__).resolve().parents[2]
LAYOUTS = ("each hidden layer", "second layer", "no skip")
SIMULATIONS = {"window_error": 0.011, "off_the_kink": 0.0, "kink.even": 3e-9, "kink.odd": 4.9e-4, "kink.highest": 0.31,
               "amplitude_r.10": 0.88, "amplitude_r.100": 0.987, "from_100": 0.7, "at_unit_scale.GELU.Loc1": -37.0,
               "draws in order.he": 0.9, "draws in order.torch": 0.1,
               **{f"activations in order.{name}": share for name, share in zip(LAYOUTS, (1.0, 0.0, 0.25), strict=True)}
               }  # fmt: skip
RECORDS = {
    "simulations": SIMULATIONS,
    "trust": {"jne.linear": 0.0, "jne_follows.partial_ceiling": 0.81, "jne_follows.partial_truth": 0.33},
    "performance": {"closed_form_faster": 1.6, "few": "1,000 voxels"},
    "spatial_distribution": {"r2": 0.345, "r2_linear": 0.221},
}


def recorded_by(chapter):
    """Names under which a chapter's source records something: of `jne.record`, of captions and of remarks."""
    cells = nbformat.read(ROOT / f"book/{chapter}.ipynb", as_version=4).cells
    names = set()
    for source in (cell.source for cell in cells if cell.cell_type == "code"):
        for node in ast.walk(ast.parse(source)):
            if not isinstance(node, ast.Call):
                continue
            called = ast.unparse(node.func)
            if called in ("record", "jne.record"):
                names |= {node.args[0].value} if isinstance(node.args[0], ast.Constant) else set()
            elif called in ("show", "remark"):
                names |= {keyword.arg for keyword in node.keywords if keyword.arg}
                if any(keyword.arg is None for keyword in node.keywords):  # **numbers, a dictionary of this cell
                    keys = [
                        key for made in ast.walk(ast.parse(source)) if isinstance(made, ast.Dict) for key in made.keys
                    ]
                    names |= {key.value for key in keys if isinstance(key, ast.Constant)}
    return names


def judged(**changes):
    """Verdicts on the mathematics, with some of what the chapter *Simulations* recorded changed."""
    found = mathematics_claims({**RECORDS, "simulations": SIMULATIONS | changes})
    return {verdict["id"]: verdict for verdict in found}


def brain(seed=0, about="planted"):
    words = ("holds", "holds only if", "does not hold", "cannot be tested")
    return [
        {"id": name, "claim": claim, "verdict": words[number % 4], "value": None if number % 4 == 3 else 0.5 + seed,
         "reason": f"{'Only if condition ' + str(seed) + ': ' if number % 4 == 1 else ''}found {seed}. Then {seed}.",
         "about": about}
        for number, (name, claim) in enumerate(CLAIMS.items())
    ]  # fmt: skip


def figure(tmp_path, *paper, chapter="hierarchy", number=2):
    return ChapterFigure(chapter, number, "Hierarchy", paper, "A caption.", 'Lines: "dots".', str(tmp_path / "one.png"))


def test_mathematics_are_judged_by_the_papers_own_numbers():
    found = judged()
    assert list(found) == list(MATHEMATICS)
    verdicts = {name: verdict["verdict"] for name, verdict in found.items()}
    assert verdicts == {
        "unit-curve": "holds", "relu-peak": "holds only if", "place-order": "holds only if", "samples": "holds",
        "scale": "holds only if", "linear-zero": "holds", "gain": "does not hold", "closed-form": "holds",
    }  # fmt: skip
    assert {verdict["about"] for verdict in found.values()} == {"mathematics"}
    assert found["place-order"]["reason"].startswith("Only if the network has a skip round each hidden layer: ")
    assert "a skip round the second layer 0%; no skip 25%" in found["place-order"]["reason"]


@pytest.mark.parametrize(
    ("changes", "name", "verdict"),
    [
        ({"window_error": 0.4}, "unit-curve", "does not hold"),
        ({"off_the_kink": 0.1}, "unit-curve", "does not hold"),
        ({"kink.even": 4e-4}, "relu-peak", "holds"),
        ({"kink.odd": 0.0}, "relu-peak", "does not hold"),
        ({f"activations in order.{name}": 1.0 for name in LAYOUTS}, "place-order", "holds"),
        ({"activations in order.each hidden layer": 0.75}, "place-order", "does not hold"),
        ({"amplitude_r.100": 0.97}, "samples", "does not hold"),
        ({"at_unit_scale.GELU.Loc1": -2.0}, "scale", "holds"),
        ({"from_100": 20.0}, "scale", "does not hold"),
    ],
)
def test_a_rule_turns_with_the_number_it_rests_on(changes, name, verdict):
    before, after = judged(), judged(**changes)
    assert after[name]["verdict"] == verdict != before[name]["verdict"] and after[name] != before[name]
    assert {other for other in before if before[other] != after[other]} == {name}


def test_what_was_not_recorded_cannot_be_tested_and_says_so():
    found = {verdict["id"]: verdict for verdict in mathematics_claims({"simulations": {}, "trust": {}})}
    assert {verdict["verdict"] for verdict in found.values()} == {"cannot be tested"}
    assert "simulations recorded no 'window_error'" in found["unit-curve"]["reason"]
    few = mathematics_claims({"simulations": {"amplitude_r.10": 0.9}})
    assert next(one for one in few if one["id"] == "samples")["verdict"] == "cannot be tested"


def test_with_another_dataset_every_value_of_every_row_moves(tmp_path):
    other = {chapter: {name: value if isinstance(value, str) else value * 1.25 + 0.011 for name, value in own.items()}
             for chapter, own in RECORDS.items()}  # fmt: skip
    one, two = (
        paper_rows(records, [*brain(seed), *mathematics_claims(records)], [])
        for seed, records in ((0, RECORDS), (1, other))
    )
    texts = [rows_text(rows, part, {}) for rows in (one, two) for part in PARTS]
    for before, after in zip(one, two, strict=True):
        for old, new in zip(before.verdicts, after.verdicts, strict=True):
            assert old["reason"] != new["reason"], old["id"]
            assert old["value"] is None or old["value"] != new["value"], old["id"]
        assert not before.here or before.here != after.here
        # What is left is said of the paper.
        assert before.row == after.row
    assert all(before != after for before, after in zip(texts[: len(PARTS)], texts[len(PARTS) :], strict=True))


def test_every_statement_has_a_row_and_every_row_names_its_figures():
    named = [name for row in ROWS for name in row.statements]
    assert sorted(named) == sorted(STATEMENTS) and {row.part for row in ROWS} == set(PARTS)
    assert {name for leading in LEADING.values() for name in leading} <= set(named)
    items = ", ".join(row.items for row in ROWS)
    numbers = {int(number) for number in re.findall(r"Figure (\d+)", items)}
    assert numbers == {*range(1, 19), 21} and set(re.findall(r"Table (\d)", items)) == set("12345")
    with pytest.raises(ValueError, match="none on unit-curve"):
        paper_rows({}, brain(), [])


def test_planted_responses_are_recovered_and_recordings_hold(tmp_path):
    for about, has, lacks in (("planted", "**recovered**", "**holds**"), ("recordings", "**holds**", "**recovered**")):
        rows = paper_rows(RECORDS, [*brain(0, about), *mathematics_claims(RECORDS)], [])
        text = rows_text(rows, "II", {})
        assert has in text and lacks not in text
        # What is about no brain says the same on any responses.
        assert "**holds only if a window has an odd number of inputs**" in rows_text(rows, "I", {})
    assert "Median R² is 0.221 (linear) and 0.345 (nonlinear)" in text


def test_a_row_shows_the_counterparts_of_its_figures(tmp_path):
    mine, panel, other = (figure(tmp_path, *paper, number=n) for n, paper in enumerate((["18"], ["7b"], ["17"]), 1))
    rows = paper_rows(RECORDS, [*brain(), *mathematics_claims(RECORDS)], [mine, panel, other])
    (row,) = [one for one in rows if one.row.part == "III"]
    assert row.figures == (mine, panel) and face_of("II", [mine, other]) == [other]
    assert face_of("III", [mine, panel]) == [panel] and face_of("III", [mine]) == [mine]
    text = rows_text(rows, "III", {mine.anchor: "_paper/x.png"})
    assert "{image} _paper/x.png" in text and ":target: hierarchy.html#fig-hierarchy-1" in text
    assert ':alt: "Hierarchy: Lines: \\"dots\\"."' in text
    assert "{numref}`Hierarchy, figure {number} <fig-hierarchy-2>`" in text
    assert "No chapter has a figure of it." in rows_text(rows, "IV", {})
    # A panel's letter is its row's where the paper's panels are rows of their own.
    assert not face_of("I", [figure(tmp_path, "3")]) and face_of("I", [figure(tmp_path, "Figure 3d")])


def test_texts_of_data_are_shown_as_they_are_written(tmp_path):
    verdicts = [one | {"reason": "<b>area</b> `x`. *More*: {cite}`nobody`."} for one in brain()]
    rows = paper_rows(RECORDS, [*verdicts, *mathematics_claims(RECORDS)], [])
    text = rows_text(rows, "IV", {})
    assert "<b>" not in text and "{cite}" not in text and "&#60;b&#62;" in text


def test_the_four_results_with_a_verdict_on_each_claim(tmp_path):
    words = dict.fromkeys(STATEMENTS, "recovered") | {"people": "recovered only if *so*"}
    shown = figure(tmp_path, "5")
    text = claims_text(words, [shown], {shown.anchor: "_paper/x.png"})
    assert all(f"**{part}. {PARTS[part]}.**" in text for part in LEADING)
    assert text.count("{image}") == 1 and "{cite}" not in text and "*so*" not in text
    with pytest.raises(KeyError):
        claims_text({}, [], {})


def test_every_name_that_the_page_asks_for_is_recorded_by_its_chapter():
    # With these records nothing is left untested, so they have every name that a rule asks for.
    assert "cannot be tested" not in {verdict["verdict"] for verdict in mathematics_claims(RECORDS)}
    asked = {(chapter, name.partition(".")[0]) for chapter, own in RECORDS.items() for name in own}
    fields = re.findall(r"\{(\w+)\[([^\]]+)\]", " ".join(text for row in ROWS for text in row.here))
    asked |= {(chapter, name.partition(".")[0]) for chapter, name in fields}
    after = nbformat.read(ROOT / "book/paper.ipynb", as_version=4).metadata["jne"]["after"]
    assert {chapter for chapter, _ in asked} <= set(after)
    assert {(chapter, name) for chapter, name in asked if name not in recorded_by(chapter)} == set()
    assert "unheard_of" not in recorded_by("spatial_distribution")


def test_the_cortex_of_small_shares_that_the_page_asks_for_is_planted_by_every_parameter_set():
    text = " ".join(text for row in ROWS for text in row.here)
    (asked,) = set(re.findall(r"premise_rows\.(share \w+, ceiling \w+)\.", text))
    cells = nbformat.read(ROOT / "book/spatial_distribution.ipynb", as_version=4).cells
    (default,) = re.findall(r"^premise = (\[\[.*\]\])", "\n".join(cell.source for cell in cells), re.MULTILINE)
    assert 'f"share {alpha}, ceiling {ceiling}"' in "\n".join(cell.source for cell in cells)
    for name in ("quick", "demo", "paper"):
        own = yaml.safe_load((ROOT / f"book/params/{name}.yml").read_text()).get("spatial_distribution") or {}
        premise = own.get("premise", ast.literal_eval(default))
        assert asked in {f"share {share}, ceiling {ceiling}" for share, ceiling in premise}, name


@pytest.mark.parametrize("page", ["paper", "intro"])
def test_the_page_holds_no_result_as_a_typed_number(page):
    cells = nbformat.read(ROOT / f"book/{page}.ipynb", as_version=4).cells
    cited = re.compile(r"\bA\.\d(?:\.\d)?|\bS\d\b|\bV\d\b|FFA-\d|Figures 19 and 20|Python 3\.11 to 3\.1\d")
    prose = " ".join(re.sub(r"```.*?```", "", c.source, flags=re.DOTALL) for c in cells if c.cell_type == "markdown")
    prose = cited.sub("", re.sub(r"`[^`]*`", "", prose))
    assert not re.findall(r"[^.]*\d+\.\d+[^.]*|\d+ ?%", prose)
    assert page != "paper" or not re.findall(r"\d", prose)
    code = [c for c in cells if c.cell_type == "code" and "parameters" not in c.metadata.get("tags", [])]
    constants = [node.value for c in code for node in ast.walk(ast.parse(c.source)) if isinstance(node, ast.Constant)]
    assert {value for value in constants if isinstance(value, int | float) and not isinstance(value, bool)} <= {1}
    texts = [cited.sub("", re.sub(r"\{[^}]*\}", "", text)) for text in constants if isinstance(text, str)]
    names = {"r2", "r2_linear"}
    assert not [text for text in texts if re.search(r"\d", text) and text not in names]
