"""Names of areas: levels, tiers, and the paper's ten."""

import pytest

from jne.cortex import (
    AREAS,
    ATLAS_LEVELS,
    LEVELS,
    PAPER_AREAS,
    TIERS,
    area_level,
    area_levels,
    load_cortex,
    paper_areas,
    tiers,
)


def test_every_level_has_one_tier_and_every_area_a_known_level():
    assert sorted(level for members in TIERS.values() for level in members) == sorted(LEVELS)
    assert {level for names in ATLAS_LEVELS.values() for level in names.values()} == set(LEVELS)
    assert {area: level for area, (level, _) in AREAS.items()} == ATLAS_LEVELS["HCP_MMP1"]
    assert (area_levels(load_cortex().roi) == load_cortex().level).all()


def test_the_papers_ten_areas_and_their_tiers():
    names = list(PAPER_AREAS)
    assert names == ["V1", "V2", "V3", "V4", "EBA", "PPA", "RSC", "OPA", "FFA-1", "FFA-2"]
    assert tiers(area_levels(names)).tolist() == ["PVC"] + ["IVC"] * 3 + ["HVC"] * 6
    assert paper_areas(names).tolist() == names


def test_eight_of_the_ten_have_a_stand_in_on_the_synthetic_cortex():
    found = set(paper_areas(load_cortex().roi)) - {""}
    assert found == set(PAPER_AREAS) - {"OPA", "FFA-2"}


@pytest.mark.parametrize(
    ("name", "level"),
    [
        ("V1v", "V1"), ("lh.V2d", "V2"), ("L_V3_ROI", "V3"), ("hV4", "V4"), ("lhV4", "V4"),
        ("R_V3CD_ROI", "intermediate"),
        ("lEBA", "higher"), ("RHPPA", "higher"), ("FFA_1", "higher"), ("v3a", "intermediate"), ("PHC1", "higher"),
        ("IPS0", "intermediate"), ("IPS3", ""), ("EVC", ""), ("", ""), ("4", ""), ("LO3", "intermediate"),
    ],
)  # fmt: skip
def test_names_are_read_as_studies_write_them(name, level):
    assert area_level(name) == level


def test_the_area_named_rsc_of_the_parcellation_is_not_the_scene_area():
    assert (area_level("RSC"), area_level("RSC", "HCP_MMP1"), area_level("RSC (HCP_MMP1)")) == ("higher", "", "")
    assert area_levels(["RSC", "PHA1"]).tolist() == ["", "higher"]
    assert area_levels(["RSC", "PHA1", "PPA"]).tolist() == ["higher"] * 3
    assert paper_areas(["RSC", "PHA1"]).tolist() == ["", "PPA"]


def test_nothing_stands_in_for_an_area_that_is_there():
    assert paper_areas(["EBA", "MT", "hV4", "V4", "V1", "V1 (HCP_MMP1)", "FFC"]).tolist() == [
        "EBA", "", "V4", "", "V1", "", "FFA-1",
    ]  # fmt: skip
