"""The rule of every claim, on made-up results in which it is known what they show."""

from dataclasses import replace

import numpy as np
import pytest
from study.replication_cases import AREAS, PREFERRED, RISING, evidence, made_up

from jne.statistics import nothing_predicted
from jne.study.claims import CLAIMS, Evidence, judge_all
from jne.study.claims.accuracy import accuracy_claims
from jne.study.claims.categories import category_claims
from jne.study.claims.hierarchy import hierarchy_claims, one_sided, smallest_p, tiers_rise
from jne.study.claims.measure import measure_claims

TURNED = dict(zip(AREAS, reversed(RISING.values()), strict=True))
ABOUT_AREAS = ("v1-lowest", "tiers", "eba-highest")


def verdicts(**changes):
    return {verdict.id: verdict for verdict in judge_all(evidence(**changes))}


def test_where_everything_shows_every_claim_holds():
    found = verdicts(explained=0.8)
    assert list(found) == list(CLAIMS)
    assert {name: verdict.reason for name, verdict in found.items() if verdict.verdict != "holds"} == {}
    assert found["v1-lowest"].value == pytest.approx(1 / 1.3, rel=0.02)
    assert found["eba-highest"].value == pytest.approx(2.4 / 2.2, rel=0.02)
    assert found["explained"].value == pytest.approx(0.8)


def test_accuracy_that_is_alike_only_in_all_areas_together_and_explains_less():
    base = evidence(noise=0.15).base
    alike, _, explained = accuracy_claims(Evidence(base, "no other", "no other", {}))
    assert alike.verdict == "holds only if" and "Below 0.82: V1" in alike.reason
    assert explained.verdict == "does not hold" and explained.value == pytest.approx(0.5)
    assert accuracy_claims(Evidence(evidence(noise=9).base, "no", "no", {}))[0].verdict == "does not hold"


def test_with_the_order_turned_round_the_verdicts_turn():
    found = verdicts(jne=TURNED)
    assert {found[name].verdict for name in ABOUT_AREAS} == {"does not hold"}
    assert found["tiers"].value < -0.5 and "shown, though, with: the validated share" in found["tiers"].reason.lower()
    assert "HVC < IVC < PVC" in found["tiers"].reason


@pytest.mark.parametrize(
    ("changes", "condition"),
    [
        ({"best": {"jne": TURNED}}, "only if all voxels have the layer deep, not each its best one"),
        ({"seed": {"jne": TURNED}}, "only if the encoders have the seeds 0, not 1"),
        ({"validated": TURNED}, "only if JNE is taken, not the share of the prediction that the responses confirm"),
        ({"explained": {area: value / 3 for area, value in RISING.items()}}, "not matched on R² / noise ceiling"),
    ],
    ids=["best layer", "seed", "validated share", "matched"],
)
def test_the_condition_under_which_a_claim_holds_is_named(changes, condition):
    found = verdicts(**changes)
    for name in ABOUT_AREAS:
        assert found[name].verdict == "holds only if" and condition.lower() in found[name].reason.lower(), found[name]


def test_what_cannot_be_tried_is_said_and_changes_nothing():
    found = verdicts(best="there is one layer")
    assert found["tiers"].verdict == "holds" and "each voxel's best layer (there is one layer)" in found["tiers"].reason


def test_of_planted_responses_it_is_said_whether_the_planted_share_shows_it():
    """A cortex that is linear everywhere, and JNE that rises all the same."""
    one = evidence(n=1, best={"jne": TURNED})
    for truth, words in (
        (0.0, "The planted share does not show it (it is the same in all areas)"),
        (1.0, "share shows it"),
    ):
        base = {name: result.assign(true_nonlinearity=truth * result["jne"]) for name, result in one.base.items()}
        found = hierarchy_claims(Evidence(base, one.seed, one.best, {}, "deep"))
        assert all(verdict.verdict == "holds only if" and words in verdict.reason for verdict in found)


def test_one_subject_without_the_order_is_enough():
    one = evidence(n=3)
    one.base["subject 1"] = made_up(jne=TURNED, seed=1)
    found = {verdict.id: verdict for verdict in judge_all(one)}
    assert {found[name].verdict for name in ABOUT_AREAS} == {"does not hold"}
    assert "V2, " not in found["v1-lowest"].reason and "below V1 in 1 of 3 subjects" in found["v1-lowest"].reason


def test_without_a_hierarchy_no_claim_about_areas_is_called_more_often_than_by_chance():
    rng = np.random.default_rng(0)
    calls = 0
    for draw in range(60):
        order = dict(zip(AREAS, rng.permutation(list(RISING.values())), strict=True))
        calls += tiers_rise({"one": made_up(jne=order, seed=draw)}, "jne", None).shown
    assert calls <= 6  # 3 are expected at most; more than 6 with a probability of .03


def test_where_areas_have_places_smooth_maps_are_the_null(monkeypatch):
    """Smooth maps that rise with the tier by themselves: what looks like a rise is none."""
    rising = np.array(list(RISING.values())) - np.mean(list(RISING.values()))
    covariances = np.outer(rising, rising)[None] + 0.01 * np.eye(len(AREAS))
    monkeypatch.setattr("jne.study.claims.hierarchy.smooth_null", lambda result, table: covariances)
    found = tiers_rise({"one": made_up()}, "jne", None)
    assert found.shown is False and "(smooth maps)" in found.words and found.value > 0.8


def test_the_smallest_p_of_areas_in_tiers():
    assert smallest_p(np.array([0, 1, 1, 1, 2, 2, 2, 2, 2, 2])) == pytest.approx(1 / 840)  # 10! / (3! 6!)
    assert (one_sided(0.5, 0.04), one_sided(-0.5, 0.04)) == (0.02, 0.98)


def test_categories_need_the_responses_and_what_they_do_not_confirm_is_named():
    for verdict in category_claims(evidence(1, confirmed={})):
        assert verdict.verdict == "holds only if" and "if JNE is taken" in verdict.reason
    turned = {"PPA": "faces", "RSC": "faces", "EBA": "food", "FFA-1": "faces", "FFA-2": "faces"}
    people, outdoor = category_claims(evidence(1, preferred=turned))
    assert {people.verdict, outdoor.verdict} == {"does not hold"} and "EBA: JNE-SS is highest for food" in people.reason
    assert category_claims(evidence(1, preferred=PREFERRED | {"OPA": "faces"}))[0].verdict == "holds"


def test_without_people_among_the_categories_the_claim_cannot_be_tested():
    one = evidence()
    for results in (one.base, one.seed, one.best):
        for name, result in results.items():
            words = np.char.replace(result["category"].values.astype(str), "faces", "tools")
            results[name] = result.assign(category=("sample", words.astype(object)))
    people, outdoor = category_claims(one)
    assert people.verdict == "cannot be tested" and "tools, food" in people.reason and outdoor.verdict == "holds"


def test_z_scored_variants_by_the_way_they_are_read():
    of = lambda **scores: measure_claims(evidence(1, scores=scores))[1]  # noqa: E731
    assert of().verdict == "holds"
    found = of(z=0.3)
    assert found.verdict == "holds only if" and found.value < 0.5 and "stimuli and features together" in found.reason
    assert of(z=0.3, scaled=0.3).verdict == "does not hold"


def test_a_measure_that_is_the_noise_ceiling_is_said_to_be():
    one = evidence(n=1)
    one.base["subject 0"]["jne"] = one.base["subject 0"]["noise_ceiling"]
    found = measure_claims(one)[2]
    assert (found.verdict, found.value) == ("does not hold", pytest.approx(1))


def test_when_nothing_counts_as_predicted():
    result = made_up()
    n = result.sizes["voxel"]
    assert nothing_predicted(result) == ""
    few = result.assign(significant=("voxel", np.arange(n) < n // 10 - 1))
    assert nothing_predicted(few).startswith(f"nothing is predicted: {n // 10 - 1} of {n} voxels")
    assert nothing_predicted(result.assign(significant=("voxel", np.arange(n) < n // 10))) == ""
    assert "median R² -0" in nothing_predicted(result.assign(r2=result["r2"] - 1))


def test_what_was_tried_of_some_subjects_only_is_said():
    whole = evidence(n=2)
    some = replace(whole, best={"subject 1": whole.best["subject 1"]}, seed={"subject 0": whole.seed["subject 0"]})
    tiers = {verdict.id: verdict for verdict in judge_all(some)}["tiers"]
    assert "each voxel's best layer (subject 1)" in tiers.reason and "seeds 1 (subject 0)" in tiers.reason
    assert "(subject" not in {verdict.id: verdict for verdict in judge_all(whole)}["tiers"].reason
