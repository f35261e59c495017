"""Verdicts that runs of a batch recorded, counted: tables whose counts are known."""

import itertools
import json

import pandas as pd
import pytest
from click.testing import CliRunner

from jne.cli import main
from jne.study import claims_of_runs, read_runs, recorded_claims
from jne.study.claims import CLAIMS


def entry(name, verdict, value=None):
    return {"id": name, "claim": CLAIMS[name], "verdict": verdict, "value": value, "reason": ".", "about": "planted"}


def row(number, layer, seed, synthetic=True, **own):
    """A run of which deep layers show the tiers, seed 1 of them only in part, and no run can test the categories."""
    deep = layer == "deep"
    tiers = entry("tiers", "does not hold" if not deep else "holds only if" if seed else "holds", 0.5 if deep else 0.1)
    verdicts = [
        tiers,
        entry("l2", "holds", 0.99),
        entry("v1-lowest", "does not hold"),
        entry("people", "cannot be tested"),
    ]
    recorded = {f"result.{n}.{key}": v for n, values in recorded_claims(verdicts).items() for key, v in values.items()}
    about = {"id": str(number), "notebook": "hierarchy", "status": "done", "seconds": 1.5 * number}
    return about | {"options.layer": layer, "seed": seed, "n": 7, "result.synthetic": synthetic} | recorded | own


@pytest.fixture
def summary(tmp_path):
    rows = [row(n, *pair) for n, pair in enumerate(itertools.product(("shallow", "deep"), (0, 1)))]
    rows.append({"id": "9", "notebook": "hierarchy", "status": "failed", "options.layer": "deep", "seed": 2})
    pd.DataFrame(rows).set_index("id").to_csv(tmp_path / "summary.csv")
    return tmp_path / "summary.csv"


def test_runs_that_show_a_claim_are_counted_by_what_was_varied(summary):
    found = {one["id"]: one for one in claims_of_runs(read_runs(summary))}
    assert list(found) == list(CLAIMS) and {one["about"] for one in found.values()} == {"planted"}
    tiers = found["tiers"]
    assert (tiers["verdict"], tiers["value"]) == ("holds only if", pytest.approx(0.3))
    assert tiers["runs"] == {"holds": 1, "holds only if": 1, "does not hold": 2, "cannot be tested": 0}
    assert tiers["shown"] == {"options.layer": {"shallow": [0, 2], "deep": [2, 2]}, "seed": {"0": [1, 2], "1": [1, 2]}}
    assert tiers["reason"] == (
        "Shown in 2 of 4 runs that can test it; value 0.30 (0.10 to 0.50); in 1 of them only if something is left out. "
        "By options.layer: shallow (0 of 2), deep (2 of 2). By seed: 0 (1 of 2), 1 (1 of 2)."
    )
    verdicts = {name: found[name]["verdict"] for name in ("l2", "v1-lowest", "people", "outdoor-scenes")}
    assert {tuple(one["first"]) for one in found.values()} == {("1 of 5 runs are not done, or recorded no verdict.",)}
    assert list(verdicts.values()) == ["holds", "does not hold", "cannot be tested", "cannot be tested"]
    assert found["l2"]["value"] == 0.99 and found["people"]["value"] is None


def test_what_holds_in_no_run_without_a_condition_does_not_hold_without_one_over_runs(tmp_path):
    pd.DataFrame([row(number, "deep", 1) for number in range(2)]).to_csv(tmp_path / "summary.csv", index=False)
    found = {one["id"]: one for one in claims_of_runs(read_runs(tmp_path / "summary.csv"))}
    assert (found["tiers"]["verdict"], found["l2"]["verdict"]) == ("holds only if", "holds")
    assert found["tiers"]["reason"].startswith("Shown in 2 of 2 runs") and "first" not in found["l2"]


def test_the_command_says_the_same(summary):
    told = CliRunner().invoke(main, ["replicate", str(summary)])
    assert told.exit_code == 0, told.stderr
    assert (
        told.stdout.startswith("1 of 5 runs are not done")
        and "RECOVERED ONLY IF" in told.stdout
        and "2 of 4 runs" in told.stdout
        and "nothing about a" in told.stdout
    )
    as_json = CliRunner().invoke(main, ["replicate", str(summary), "--json"])
    assert json.loads(as_json.stdout) == claims_of_runs(read_runs(summary))
    two = CliRunner().invoke(main, ["replicate", str(summary), str(summary)])
    assert two.exit_code == 1 and "one batch" in two.stderr


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is empty"),
        (b"\xff\xfe\x00", "UTF-16"),
        (b"a,b\n1,2\n", "claims: true"),
        (b"id,status\n1,done\n", "claims: true"),
        (b"id,status,result.claim.l2,result.claim value.l2\n1,done,holds,often\n", "often"),
    ],
)
def test_another_table_is_refused_in_a_sentence(tmp_path, content, said):
    (tmp_path / "summary.csv").write_bytes(content)
    told = CliRunner().invoke(main, ["replicate", str(tmp_path / "summary.csv")])
    assert told.exit_code == 1 and "summary.csv" in told.stderr and said in told.stderr
    assert "Traceback" not in told.stderr


def test_recordings_and_synthetic_runs_are_not_one_table():
    rows = pd.DataFrame([row(1, "deep", 0), row(2, "deep", 1, synthetic=False)]).astype(str)
    with pytest.raises(ValueError, match="recordings and of synthetic"):
        claims_of_runs(rows)
