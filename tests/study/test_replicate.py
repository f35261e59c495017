"""`jne replicate` from end to end: subjects whose order is planted, turned round, shuffled away, or not there."""

import json

import numpy as np
import pytest
from click.testing import CliRunner
from study.replication_cases import ENCODER, permuted, synthetic

from jne import EncodingDataset, save_dataset
from jne.cli import main
from jne.study import judge_studies, replicate, replicate_text, run_study, spoken_verdict
from jne.study.claims import CLAIMS, VERDICTS, Evidence
from jne.study.claims.hierarchy import hierarchy_claims

OPTIONS = ["--hidden-size", "16", "--lr", "0.01", "--max-epochs", "60", "--seeds", "1"]
KEYS = ["id", "claim", "verdict", "value", "reason", "about"]
SETTINGS = {"n_seeds": 1, "encoder_options": ENCODER, "n_bootstrap": 300}


@pytest.fixture(scope="module", autouse=True)
def results_of_this_file(results_of_fixtures, tmp_path_factory):
    """Studies are kept from one test to the next."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("JNE_RESULTS", str(tmp_path_factory.mktemp("replicate")))
        yield


@pytest.fixture(scope="module")
def subjects():
    return {f"subject {number}": synthetic(number) for number in (1, 2)}


@pytest.fixture(scope="module")
def verdicts(subjects, results_of_this_file):
    return replicate(subjects, **SETTINGS)


def test_every_claim_has_a_verdict_by_the_schema(verdicts):
    assert [verdict["id"] for verdict in verdicts] == list(CLAIMS)
    for verdict in verdicts:
        assert list(verdict) == KEYS and verdict["verdict"] in VERDICTS and verdict["about"] == "planted"
        assert verdict["value"] is None or np.isfinite(verdict["value"])
        assert verdict["reason"].endswith(".") and verdict["claim"] == CLAIMS[verdict["id"]]
    assert json.loads(json.dumps(verdicts, allow_nan=False)) == verdicts


def test_the_planted_hierarchy_is_recovered_and_the_planted_share_is_told(verdicts):
    tiers = {verdict["id"]: verdict for verdict in verdicts}["tiers"]
    assert tiers["verdict"] == "holds" and tiers["value"] > 0.3
    assert "The planted share shows it" in tiers["reason"] and "dealt out to the areas at random" in tiers["reason"]


def test_of_planted_responses_the_text_says_what_is_recovered(verdicts):
    text = replicate_text(verdicts)
    assert "\nRECOVERED" in text and "\nHOLDS" not in text and "CANNOT BE" not in text and "nothing about a" in text
    assert max(map(len, text.splitlines())) <= 100
    recorded = replicate_text([verdict | {"about": "recordings"} for verdict in verdicts])
    assert "\nHOLDS" in recorded and "RECOVERED" not in recorded and "synthetic" not in recorded


def test_studies_that_are_there_are_judged_as_replicate_does(subjects, verdicts):
    studies = {name: run_study(data, **SETTINGS) for name, data in subjects.items()}
    other = {name: run_study(data, seed=1, **SETTINGS).result for name, data in subjects.items()}
    assert judge_studies(studies, other_seeds=other, best_layer="there is one layer") == verdicts
    weak = {"subject 1": other["subject 1"].assign(significant=other["subject 1"]["significant"] & False)}
    tiers = {verdict["id"]: verdict for verdict in judge_studies(studies, other_seeds=weak)}["tiers"]
    assert "seeds 1 (with them, nothing is predicted: 0 of" in tiers["reason"]
    with pytest.raises(ValueError, match="give at least one"):
        judge_studies({})


@pytest.mark.parametrize(
    ("verdict", "about", "reason", "words"),
    [
        ("holds", "recordings", "R.", "holds"),
        ("does not hold", "planted", "R.", "not recovered"),
        ("holds only if", "planted", "Only if a. B: c.", "recovered only if a"),
        ("holds only if", "recordings", "Only if a, and if b: c. D.", "holds only if a, and if b"),
        ("holds only if", "mathematics", "Only if all of V1.5: c.", "holds only if all of V1.5"),
    ],
)
def test_a_verdict_in_words_has_its_condition(verdict, about, reason, words):
    assert spoken_verdict({"verdict": verdict, "about": about, "reason": reason}) == words


def test_with_the_planted_levels_turned_round_the_verdict_turns(subjects, verdicts):
    """The same responses under other names: what was V1 is called a higher area, and the other way round."""
    results = {name: run_study(data, **SETTINGS).result for name, data in subjects.items()}
    for name, result in results.items():
        rank = {area: number for number, area in enumerate(dict.fromkeys(result["roi"].values))}
        areas = sorted(
            rank, key=lambda area, r=result: float(r["true_nonlinearity"].values[r["roi"].values == area].mean())
        )
        turned = dict(zip(areas, reversed(areas), strict=True))
        level = dict(zip(result["roi"].values, result["level"].values, strict=True))
        roi = np.array([turned[area] for area in result["roi"].values], object)
        results[name] = result.assign(
            roi=("voxel", roi), level=("voxel", np.array([level[area] for area in roi], object))
        )
    lowest, tiers, _ = hierarchy_claims(Evidence(results, "no other", "no other", {}))
    assert (lowest.verdict, tiers.verdict) == ("does not hold", "does not hold") and tiers.value < -0.3


def test_of_responses_to_other_stimuli_nothing_can_be_tested(subjects):
    found = replicate({"one": permuted(subjects["subject 1"])}, **SETTINGS)
    assert {verdict["verdict"] for verdict in found} == {"cannot be tested"}
    assert all(verdict["reason"].startswith("Nothing is predicted: ") for verdict in found)
    assert replicate_text(found).startswith("Nothing is predicted: ") and found[0]["first"] == found[-1]["first"]


def test_a_subject_of_whom_nothing_is_predicted_is_left_out_and_said_so(subjects, verdicts):
    both = {"subject 1": subjects["subject 1"], "other": permuted(subjects["subject 1"])}
    found = {verdict["id"]: verdict for verdict in replicate(both, **SETTINGS)}
    assert (
        found["l2"]["verdict"] != "cannot be tested" and "other is left out, as nothing is" in found["l2"]["first"][0]
    )
    text = replicate_text(list(found.values()))
    assert text.startswith("other is left out, as nothing is predicted: ") and text.count("is left out") == 1


def test_reasons_name_the_unit(subjects):
    of = lambda unit: EncodingDataset(subjects["subject 1"].content.assign_attrs(unit=unit))  # noqa: E731
    studies = {unit: run_study(of(unit), **SETTINGS) for unit in ("neuron", "site")}
    one = {verdict["id"]: verdict for verdict in judge_studies({"one": studies["neuron"]})}
    assert "over significant neurons" in one["l2"]["reason"] and "voxel" not in str([v["reason"] for v in one.values()])
    both = {verdict["id"]: verdict for verdict in judge_studies(studies)}
    assert "over significant voxels" in both["l2"]["reason"] and "neuron" not in both["l2"]["reason"]


def test_one_area_and_no_categories(subjects, tmp_path):
    data = subjects["subject 1"]
    content = data.content.isel(voxel=np.flatnonzero(data.get("roi") == "V1")).drop_vars(
        ["category", "true_nonlinearity"]
    )
    file = tmp_path / "area.nc"
    save_dataset(content.assign_attrs(synthetic=0), file)
    outcome = CliRunner().invoke(main, ["replicate", str(file), "--json", *OPTIONS])
    assert outcome.exit_code == 0, outcome.output
    found = {verdict["id"]: verdict for verdict in json.loads(outcome.stdout)}
    assert {verdict["about"] for verdict in found.values()} == {"recordings"}
    untested = {name for name, verdict in found.items() if verdict["verdict"] == "cannot be tested"}
    assert untested == {"r2-lowest-in-v1", "v1-lowest", "tiers", "eba-highest", "people", "outdoor-scenes"}
    assert "there are V1" in found["v1-lowest"]["reason"] and "no categories" in found["people"]["reason"]
    assert "area of IVC, HVC has a significant voxel" in found["tiers"]["reason"]
    outcome = CliRunner().invoke(main, ["replicate", str(file), *OPTIONS])
    assert "1 of the paper's 10 areas: V1." in outcome.stdout and "CANNOT BE TESTED" in outcome.stdout


def test_what_cannot_be_used_ends_with_status_1(subjects, tmp_path):
    run = lambda *files: CliRunner().invoke(main, ["replicate", *map(str, files)])  # noqa: E731
    assert run().exit_code == 2
    absent = run(tmp_path / "absent.nc")
    assert absent.exit_code == 1 and "no dataset file" in absent.stderr
    content = subjects["subject 1"].content
    files = [save_dataset(content.assign_attrs(synthetic=kind), tmp_path / f"{kind}.nc").path for kind in (0, 1)]
    assert run(files[0], files[0]).exit_code == 1
    with pytest.raises(ValueError, match="recorded and synthetic"):
        replicate({file.stem: EncodingDataset(content.assign_attrs(synthetic=int(file.stem))) for file in files})
    with pytest.raises(ValueError, match="give at least one"):
        replicate({})


def test_help_has_the_rules():
    text = CliRunner().invoke(main, ["replicate", "--help"]).output
    assert all(name in text for name in CLAIMS)
    assert all(word in text for word in VERDICTS)
