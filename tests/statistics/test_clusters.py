"""Tables of clusters by hand; what scaling within areas makes of nothing; clusters in place of categories."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from jne.statistics import (
    HIGH,
    WHOLE,
    apparent_counts,
    apparent_selectivity,
    cluster_agreement,
    cluster_areas,
    cluster_contents,
    cluster_maps,
    common_categories,
    highest_clusters,
    min_max,
    shuffled_areas,
    with_clusters,
)


def result(scores, category, roi, significant=None):
    significant = np.ones(len(roi), bool) if significant is None else significant
    return xr.Dataset(
        {
            "jne_ss": (("sample", "voxel"), np.asarray(scores, float)),
            "category": ("sample", np.asarray(category, object)),
            "roi": ("voxel", np.asarray(roi, object)),
            "significant": ("voxel", significant),
        }
    )


def test_moj_and_mom_by_hand():
    scores = [[1, 2, 30, 4], [3, 4, 50, 6], [5, 0, 70, 9]]
    one = result(scores, ["10", "10", "2"], ["V2", "V1", "V1", ""], [True, True, False, True])
    maps = cluster_maps(one)
    assert list(maps.category.values) == ["2", "10"]  # by number
    np.testing.assert_array_equal(maps, [[5, 0, 70, 9], [2, 3, 40, 5]])
    expected = pd.DataFrame({"2": [14 / 3, 0.0, 5.0], "10": [10 / 3, 3.0, 2.0]}, index=[WHOLE, "V1", "V2"])
    pd.testing.assert_frame_equal(cluster_areas(one), expected, check_names=False)


def test_rows_may_be_the_papers_areas():
    scores, category = np.arange(8.0).reshape(2, 4), ["1", "2"]
    named = result(scores, category, ["MT", "PHA1", "PHA2", "MST"])
    table = cluster_areas(named, paper=True)
    assert list(table.index) == [WHOLE, "EBA", "PPA"] and table.loc["EBA"].tolist() == [1.5, 5.5]
    assert list(cluster_areas(result(scores, category, list("abcd")), paper=True).index) == [WHOLE, *"abcd"]
    assert list(cluster_areas(named.drop_vars("roi")).index) == [WHOLE]
    nothing = named.assign(significant=("voxel", np.zeros(4, bool)))
    assert cluster_areas(nothing).empty and apparent_selectivity(cluster_areas(nothing))["n_areas"] == 0


def test_scaling_within_areas_by_hand():
    table = pd.DataFrame([[1.0, 2, 3], [5, 5, 5], [0, 8, 10]], index=["a", "flat", "b"], columns=list("123"))
    np.testing.assert_allclose(min_max(table), [[0, 0.5, 1], [np.nan] * 3, [0, 0.8, 1]])
    found = apparent_selectivity(table)
    assert found == {"n_high": 3, "n_preferred": 1, "n_areas": 2, "n_clusters": 3}


def test_shuffled_stimuli_look_selective_once_scaled():
    # 43 clusters and ten areas, as many as the paper has; every value of the same law.
    rng = np.random.default_rng(0)
    n_clusters, n_areas = 43, 10
    scores = rng.random((1000, 4 * n_areas)).astype(np.float32)
    one = result(scores, (np.arange(1000) % n_clusters).astype(str), np.repeat([f"a{i}" for i in range(n_areas)], 4))
    tables = shuffled_areas(one, 20, random_state=1)
    found = pd.DataFrame([apparent_selectivity(table) for table in tables])
    alone = pd.DataFrame([apparent_selectivity(table.drop(index=WHOLE)) for table in tables])
    # Where areas prefer any cluster at random, k (1 - (1 - 1 / k) ** m) different ones are preferred.
    expected = n_clusters * (1 - (1 - 1 / n_clusters) ** n_areas)
    assert alone["n_preferred"].mean() == pytest.approx(expected, abs=0.4)
    # Means over many stimuli and voxels are nearly normal: so many of them are in the top fifth of their range.
    normal = np.random.default_rng(2).normal(size=(4000, n_clusters))
    low, high = normal.min(axis=1, keepdims=True), normal.max(axis=1, keepdims=True)
    share = ((normal - low) / (high - low) >= HIGH).sum(axis=1).mean()
    assert alone["n_high"].mean() / n_areas == pytest.approx(share, rel=0.15)
    assert (found["n_high"] >= n_areas + 1).all()  # whatever the data
    # What is shuffled is each voxel's own.
    np.testing.assert_allclose([table.loc[WHOLE].mean() for table in tables], scores.mean(), rtol=0.01)


def clusters(labels, positions, chosen=(2, 3)):
    return xr.Dataset(
        {
            "label": (("seed", "k", "sample"), labels),
            "position": (("seed", "stimulus"), positions),
            "tested": ("stimulus", [True] * 6 + [False]),
            "chosen": ("seed", list(chosen)),
            "by_silhouette": ("seed", list(chosen)),
            "sample_of": (("subject", "stimulus_of_subject"), [[0, 1, 2, 3, 4, 5], [5, 4, -1, -1, -1, -1]]),
        },
        {"seed": [4, 5], "k": [2, 3], "subject": ["one", "two"]},
    )


def test_agreement_of_seeds_by_hand():
    labels = [[[0, 0, 0, 1, 1, 1], [0, 0, 1, 1, 2, 2]], [[1, 1, 1, 0, 0, 0], [0, 1, 2, 0, 1, 2]]]
    found = cluster_agreement(clusters(labels, [[1, 2, 3, 4, 5, 6, 0], [6, 5, 4, 3, 2, 1, 0]]))
    assert list(found.index) == [(4, 5)]
    row = found.iloc[0]
    assert row[["k_first", "k_second", "rand", "order"]].tolist() == [2, 3, 1, 1]
    # No pair is together in both: (0 - e) / (m - e) with 3 pairs in each of 15, so e = 9/15, m = 3.
    assert row["rand_largest"] == pytest.approx(-0.6 / 2.4)
    assert cluster_agreement(clusters(labels, np.zeros((2, 7))).isel(seed=[0])).empty


def test_results_with_clusters_in_place_of_categories():
    labels = np.tile([[0, 0, 0, 1, 1, 1], [0, 0, 1, 1, 2, 2]], (2, 1, 1))
    found = clusters(labels, np.zeros((2, 7)))
    one = result(np.zeros((6, 2)), ["face"] * 6, ["V1", "V2"])
    two = one.isel(sample=slice(0, 2)).drop_vars("category")
    named = with_clusters({"one": one, "two": two, "three": one}, found)
    assert list(named) == ["one", "two"]
    assert named["one"]["category"].values.tolist() == list("111222")
    assert named["two"]["category"].values.tolist() == list("22")
    assert with_clusters({"one": one}, found, seed=1)["one"]["category"].values.tolist() == list("112233")
    assert common_categories(named, 1) == ["2"] and common_categories({"one": named["one"]}, 3) == ["1", "2"]
    with pytest.raises(ValueError, match="2 stimuli in its result, 6 in clusters"):
        with_clusters({"one": two}, found)


def test_contents_of_clusters_by_hand():
    one = result(np.zeros((5, 1)), ["face", "face", "word", "word", "word"], ["V1"])
    clustered = one.assign(category=("sample", np.array(["10", "10", "10", "2", "2"], object)))
    found = cluster_contents(clustered, one)
    assert found["n_stimuli"].to_dict() == {"2": 2, "10": 3} and found["category"].to_dict() == {
        "2": "word",
        "10": "face",
    }
    assert found.loc["10", "share"] == pytest.approx(2 / 3)
    unknown = cluster_contents(clustered, one.drop_vars("category"))
    assert list(unknown) == ["n_stimuli"]
    table = pd.DataFrame([[1.0, 2], [3, 0]], index=["V1", "FFA"], columns=["2", "10"])
    assert highest_clusters(table, found) == {"V1": "10 (face)", "FFA": "2 (word)"}
    assert highest_clusters(table, unknown) == {"V1": "10", "FFA": "2"}
    counts = apparent_counts({"data": table}, [table, table.loc[["V1"]]])
    assert counts["n_high"].to_dict() == {"data": 2, "shuffled, least": 1, "shuffled, most": 2}


def test_shuffles_of_no_seed_are_those_of_seed_0():
    one = result(np.random.default_rng(0).random((12, 4)), np.repeat(["1", "2", "3"], 4), list("aabb"))
    seeds = {}, {"random_state": 0}, {"random_state": 1}
    for plain, seeded, other in zip(*(shuffled_areas(one, 2, **seed) for seed in seeds), strict=True):
        pd.testing.assert_frame_equal(plain, seeded)
        assert not plain.equals(other)
