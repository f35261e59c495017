"""Clusters of stimuli: planted ones are found as many as there are, by every seed, and the same for all subjects."""

import numpy as np
import pytest
import xarray as xr
from sklearn.metrics import adjusted_rand_score, silhouette_score

from jne import EncodingDataset
from jne.datasets import cluster_stimuli, embed, sort_places
from jne.statistics import cluster_agreement

N_PLANTED, N_EACH = 7, 7


def dataset(seed, shared=None, n_train=20, prefix="shared"):
    """Seven Gaussians far from each other; ``shared`` are the tested stimuli of another dataset."""
    world, rng = np.random.default_rng(3), np.random.default_rng(seed)
    centres = 12 * world.normal(size=(N_PLANTED, 10))
    n_test = N_PLANTED * N_EACH
    member = rng.permutation(np.arange(n_train + n_test) % N_PLANTED)
    X = centres[member] + rng.normal(size=(len(member), 10))
    ids = [f"own{seed}-{i}" for i in range(n_train)] + [f"{prefix}-{i}" for i in range(n_test)]
    if shared is not None:
        X[-n_test:] = shared.features("test")
        member[-n_test:] = shared.get("category")[-n_test:].astype(int)
    content = {
        "deep": (("stimulus", "feature_deep"), X.astype(np.float32)),
        "responses": (("stimulus", "voxel"), rng.normal(size=(len(X), 2))),
        "split": ("stimulus", ["train"] * (n_train - 5) + ["validation"] * 5 + ["test"] * n_test),
        "stimulus_id": ("stimulus", ids),
        "category": ("stimulus", member.astype(str)),
    }
    return EncodingDataset(xr.Dataset(content))


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("JNE_RESULTS", str(tmp_path_factory.mktemp("results")))
        first = dataset(0)
        second, other = dataset(1, first), dataset(2)  # other pictures under the same names
        subjects = {"one": first, "two": second, "three": other}
        return subjects, cluster_stimuli(subjects, most=9, n_stimuli=110)


def test_seven_planted_clusters_are_found_as_seven_by_every_seed(found):
    subjects, clusters = found
    assert clusters["chosen"].values.tolist() == [N_PLANTED, N_PLANTED]
    labels = clusters["label"].sel(k=N_PLANTED).values
    for name, samples in zip(subjects, clusters["sample_of"].values, strict=True):
        planted = subjects[name].get("category")[subjects[name].stimuli("test")]
        assert [adjusted_rand_score(planted, own[samples]) for own in labels] == [1, 1]


def test_the_number_may_be_given_and_costs_nothing(found, monkeypatch, tmp_path):
    subjects, clusters = found
    monkeypatch.setattr("jne.datasets.stimulus_clusters._clustered", lambda *args, **options: clusters)
    monkeypatch.setenv("JNE_RESULTS", str(tmp_path))
    given = cluster_stimuli(subjects, most=9, n_stimuli=110, n_clusters=4)
    assert given["chosen"].values.tolist() == [4, 4] and given["by_silhouette"].values.tolist() == [7, 7]
    with pytest.raises(ValueError, match=r"n_clusters=12, and .* most=9"):
        cluster_stimuli(subjects, most=9, n_stimuli=110, n_clusters=12)


def test_seeds_agree_on_what_is_there_and_start_apart(found):
    agreement = cluster_agreement(found[1])
    (row,) = agreement.to_dict("records")
    assert (row["k_first"], row["k_second"], row["rand"]) == (N_PLANTED, N_PLANTED, 1)
    assert 0 < row["rand_largest"] < 1  # nine clusters divide Gaussians at will
    assert found[1]["start"].values.tolist() == ["pca", "random"]


def test_what_all_saw_is_embedded_once_and_the_rest_drawn(found):
    _, clusters = found
    one, two, three = clusters["sample_of"].values
    n_test = N_PLANTED * N_EACH
    np.testing.assert_array_equal(one, two)
    assert not set(one) & set(three) and clusters.sizes["sample"] == 2 * n_test
    assert clusters.sizes["stimulus"] == 110 and int(clusters["tested"].sum()) == 2 * n_test


def test_clusters_are_numbered_along_the_one_axis(found):
    _, clusters = found
    labels = clusters["label"].sel(k=N_PLANTED).values[0]
    position = clusters["position"].values[0][clusters["tested"].values]
    middles = [np.median(position[labels == number]) for number in range(N_PLANTED)]
    assert middles == sorted(middles)


def test_a_start_from_components_has_no_seed_and_no_sign_of_its_own():
    X = np.random.default_rng(0).normal(size=(16, 5)) * [5, 2, 1, 1, 1]
    np.testing.assert_array_equal(embed(X, 1, random_state=0), embed(X, 1, random_state=1))
    assert np.ptp(embed(X, 1, start="random", random_state=0) - embed(X, 1, start="random", random_state=1)) > 0
    with pytest.raises(ValueError, match="use 'pca' or 'random'"):
        embed(X, 1, start="middle")


def test_silhouette_is_scikit_learns_of_the_labels_given():
    places = np.concatenate([np.random.default_rng(0).normal(size=(10, 2)) + 9 * i for i in range(3)])
    labels, scores = sort_places(places, [2, 3, 4])
    assert scores.argmax() == 1 and adjusted_rand_score(labels[1], np.repeat([0, 1, 2], 10)) == 1
    # By hand, from distances alone.
    d = np.linalg.norm(places[:, None] - places[None], axis=-1)
    own = [d[i, labels[1] == labels[1][i]].sum() / 9 for i in range(30)]
    next_one = [min(d[i, labels[1] == o].mean() for o in range(3) if o != labels[1][i]) for i in range(30)]
    by_hand = np.mean([(b - a) / max(a, b) for a, b in zip(own, next_one, strict=True)])
    assert scores[1] == pytest.approx(by_hand) == pytest.approx(silhouette_score(places, labels[1]))


def test_too_few_or_unlike_stimuli_are_refused(tmp_path, monkeypatch):
    monkeypatch.setenv("JNE_RESULTS", str(tmp_path))
    data = dataset(0)
    few = EncodingDataset(data.content.isel(stimulus=slice(0, 25)))
    with pytest.raises(ValueError, match="5 stimuli are tested, and at least 8"):
        cluster_stimuli({"one": few})
    narrow = EncodingDataset(data.content.isel(feature_deep=slice(0, 4)))
    with pytest.raises(ValueError, match="two has 4 features and one 10"):
        cluster_stimuli({"one": data, "two": narrow})
    with pytest.raises(ValueError, match="there is none"):
        cluster_stimuli({})
