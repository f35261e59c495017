"""The synthetic cortex keeps its promises: planted shares, ceilings, profiles, determinism."""

import numpy as np
import pytest
from scipy.stats import spearmanr

from jne import load_dataset
from jne._core import sha256
from jne.cortex import AREAS, CATEGORY_AREAS, LEVELS, load_cortex
from jne.datasets import synthetic
from jne.datasets import synthetic_stimuli as _stimuli
from jne.datasets.synthetic import synthetic_cortex
from jne.datasets.synthetic_areas import planted_profile, thinned_vertices, true_layers

SMALL = {"n_train": 200, "n_validation": 20, "n_test": 60, "n_features": 32, "thin": 16}


def small(**changes):
    return synthetic_cortex(**{**SMALL, "cache": False, **changes})


def signals(data, subject=1, seed=0):
    """Noise-free responses ``(n_voxels, n_stimuli)``."""
    counts = {split: len(data.stimuli(split)) for split in ("train", "validation", "test")}
    stimuli = _stimuli.draw_stimuli(seed, subject, counts, SMALL["n_features"])
    alpha = planted_profile("alpha", data.attrs["alpha"], subject, seed)
    kept = thinned_vertices(data.attrs["thin"])
    layer = true_layers(data.attrs.get("layer", "shared"))[kept]
    blocks = synthetic._signals(stimuli, kept, alpha[kept], data.get("gate_category"), layer, subject, seed, 512)
    return np.concatenate([signal for _, signal in blocks])


def shared(one, two):
    """Number of stimuli with the same features in both."""
    return len({row.tobytes() for row in one} & {row.tobytes() for row in two})


@pytest.fixture(scope="module")
def data():
    return small()


@pytest.fixture(scope="module")
def ungated():
    return small(gate=False)


@pytest.mark.parametrize("gate", [True, False])
def test_planted_share_is_exactly_what_no_linear_map_explains(gate, data, ungated):
    data = data if gate else ungated
    signal = signals(data)
    features = np.column_stack([np.ones(data.n_stimuli), data.features("all").astype(float)])
    fit = features @ np.linalg.lstsq(features, signal.T, rcond=None)[0]
    share = (signal.T - fit).var(axis=0) / signal.var(axis=1)
    np.testing.assert_allclose(share, data.get("true_nonlinearity"), atol=1e-6)
    np.testing.assert_allclose(signal.var(axis=1), 1, rtol=1e-6)


def test_test_responses_are_the_mean_of_their_repeats(data):
    repeats = data.repeats()
    assert repeats.shape == (60, 3, data.n_voxels)
    np.testing.assert_allclose(data.responses("test"), repeats.mean(axis=1), atol=1e-6)


def test_noise_ceiling_is_the_planted_one_within_its_sampling_error():
    data = small(n_test=400, ceiling="rising")
    planted, estimated = data.get("true_noise_ceiling"), data.get("noise_ceiling")
    # Three repeats of 400 stimuli: about 0.04 per voxel; the signal of the test stimuli is not exactly 1 either.
    assert np.abs(estimated - planted).mean() < 0.06
    assert abs((estimated - planted).mean()) < 0.02
    assert np.corrcoef(estimated, planted)[0, 1] > 0.9


def test_training_noise_gives_the_planted_ceiling(data):
    noise = data.responses("train") - signals(data).T[data.stimuli("train")]
    ceiling = 1 / (1 + noise.var(axis=0))
    assert np.abs(ceiling - data.get("true_noise_ceiling")).mean() < 0.03


def test_gate_changes_only_the_nonlinear_part_of_category_areas(data, ungated):
    gated = np.isin(data.get("roi"), [area for members in CATEGORY_AREAS.values() for area in members])
    assert np.array_equal(data.get("gate_category") != "", gated)
    assert (ungated.get("gate_category") == "").all()
    same = (data.content["responses"].values == ungated.content["responses"].values).all(axis=0)
    assert np.array_equal(same, ~gated)
    for name in ("true_nonlinearity", "true_noise_ceiling"):
        assert np.array_equal(data.get(name), ungated.get(name))


def test_levels_deepen_from_the_first_layer_to_the_last():
    data = small(layer="deepening")
    pairs = set(zip(data.get("level"), data.get("true_layer"), strict=True))
    assert sorted(layer for _, layer in pairs) == [f"layer{number}" for number in (1, 2, 2, 3, 3, 4)]
    assert {("V1", "layer1"), ("V4", "layer3"), ("higher", "layer4")} < pairs
    assert data.default_layer == "layer4" and "true_layer" not in data.attrs
    assert data.attrs["alpha"] == "flat" and not data.attrs["gate"]


@pytest.mark.parametrize("alpha", ["flat", "none"])
def test_the_planted_share_of_a_deepening_cortex_is_exactly_what_its_own_layer_does_not_explain(alpha):
    data = small(layer="deepening", alpha=alpha)
    layer, found = data.get("true_layer"), np.empty(data.n_voxels)
    for name in np.unique(layer):
        signal = signals(data)[layer == name].T
        design = np.column_stack([np.ones(data.n_stimuli), data.features("all", name)]).astype(float)
        fit = design @ np.linalg.lstsq(design, signal, rcond=None)[0]
        found[layer == name] = (signal - fit).var(axis=0) / signal.var(axis=0)
    np.testing.assert_allclose(found, data.get("true_nonlinearity"), atol=1e-4)
    assert (found.max() < 1e-8) == (alpha == "none")


@pytest.mark.parametrize("category", ["faces", "scenes", "bodies"])
def test_gated_units_vary_most_within_their_category(category):
    stimuli = _stimuli.draw_stimuli(0, 1, {"train": 2000, "validation": 80, "test": 80}, 64)
    inside = np.char.find(stimuli.category, category) >= 0
    gate = stimuli.gate(category)
    assert gate[inside].mean() > 0.8 and gate[~inside].mean() < 0.05
    for units, larger in (
        (_stimuli.hidden_units(stimuli, 0, category), True),
        (_stimuli.hidden_units(stimuli, 0), False),
    ):
        ratio = units[:, inside].var(axis=1).mean() / units[:, ~inside].var(axis=1).mean()
        assert (ratio > 2) == larger


def test_thinned_vertices_have_the_values_of_the_full_cortex():
    few = {"n_train": 32, "n_validation": 5, "n_test": 10, "n_features": 16}
    full, thin = small(thin=1, **few), small(thin=16, **few)
    place = {key: i for i, key in enumerate(zip(full.get("hemisphere"), full.get("vertex"), strict=True))}
    index = [place[key] for key in zip(thin.get("hemisphere"), thin.get("vertex"), strict=True)]
    for name in ("responses", "responses_repeats", "true_nonlinearity", "true_noise_ceiling", "noise_ceiling"):
        assert np.array_equal(full.get(name)[..., index], thin.get(name)), name


def test_thinning_leaves_every_area_a_few_vertices():
    data = small(thin=1000)
    for area in AREAS:
        for hemisphere in ("left", "right"):
            assert np.count_nonzero((data.get("roi") == area) & (data.get("hemisphere") == hemisphere)) >= 4


@pytest.mark.parametrize("block_size", [1, 37, 4096])
def test_block_size_never_changes_a_bit(block_size, data):
    parameters = {name: data.attrs[name] for name in ("subject", "alpha", "ceiling", "seed", *SMALL)} | {"gate": True}
    other = synthetic._generate(parameters, block_size)
    for name in ("responses", "responses_repeats", "noise_ceiling"):
        assert np.array_equal(other[name].values, data.get(name)), name


def test_same_parameters_give_the_same_bytes_and_are_opened_again(tmp_path, monkeypatch):
    hashes = []
    for folder in ("one", "two"):
        monkeypatch.setenv("JNE_RESULTS", str(tmp_path / folder))
        data = synthetic_cortex(**SMALL)
        assert data.path.parent == tmp_path / folder / "datasets"
        hashes.append(sha256(data.path))
    assert hashes[0] == hashes[1]
    written = data.path.stat().st_mtime_ns
    again = load_dataset("synthetic", **SMALL)
    assert again.path == data.path and again.path.stat().st_mtime_ns == written
    assert synthetic_cortex(**{**SMALL, "seed": 1}).path != data.path
    assert synthetic_cortex(**{**SMALL, "thin": np.int64(16)}).path == data.path


def test_file_keeps_every_parameter_and_the_truth(tmp_path, monkeypatch):
    monkeypatch.setenv("JNE_RESULTS", str(tmp_path))
    data = synthetic_cortex(subject=2, gate=False, **SMALL)
    expected = {"subject": 2, "alpha": "rising", "ceiling": "flat", "gate": 0, "seed": 0, "synthetic": 1, **SMALL}
    assert {name: data.attrs[name] for name in expected} == expected
    assert data.synthetic and data.default_layer == data.attrs["true_layer"] == "layer3"
    assert data.content["vertex"].attrs["mesh"] == "fsLR-32k"
    assert set(data.get("level")) == set(LEVELS)
    assert set(data.get("category")) == set(_stimuli.CATEGORIES)
    assert len(set(data.get("stimulus_id"))) == data.n_stimuli


@pytest.mark.parametrize("name", ["alpha", "ceiling"])
def test_profiles_rise_or_stay_flat(name):
    level = np.array([LEVELS.index(level) for level in load_cortex().level])
    rising, flat = (planted_profile(name, profile, 1, 0) for profile in ("rising", "flat"))
    assert spearmanr(level, rising)[0] > 0.85
    assert abs(spearmanr(level, flat)[0]) < 0.15
    means = [np.mean([planted_profile(name, "flat", s, 0)[level == i].mean() for s in (1, 2, 3, 4)]) for i in range(6)]
    np.testing.assert_allclose(means, np.mean(means), atol=0.03)
    # The same field, whatever the profile: only the mean of a level moves.
    for i in range(6):
        np.testing.assert_allclose((rising - flat)[level == i].std(), 0, atol=1e-12)
    assert 0 < rising.min() and rising.max() < 1


def test_small_shares_are_a_fifth_of_the_rising_ones_and_stay_above_zero():
    level = np.array([LEVELS.index(level) for level in load_cortex().level])
    rising, few = (planted_profile("alpha", profile, 1, 0) for profile in ("rising", "small"))
    # Of V1 the spread is as large a part of the level in both; the field is the same.
    np.testing.assert_allclose(5 * few[level == 0], rising[level == 0])
    means = [5 * few[level == i].mean() / rising[level == i].mean() for i in range(6)]
    np.testing.assert_allclose(means, 1, atol=0.12)
    assert 0 < few.min() and few.max() < 0.25


def test_the_four_scenarios_differ_only_in_their_profiles():
    scenarios = {(a, c): small(alpha=a, ceiling=c) for a in ("flat", "rising") for c in ("flat", "rising")}
    for (a, c), data in scenarios.items():
        assert np.array_equal(data.get("true_nonlinearity"), scenarios[a, "flat"].get("true_nonlinearity"))
        assert np.array_equal(data.get("true_noise_ceiling"), scenarios["flat", c].get("true_noise_ceiling"))
        assert np.array_equal(data.features("all"), scenarios["flat", "flat"].features("all"))
    v1 = scenarios["rising", "flat"].get("level") == "V1"
    assert scenarios["rising", "flat"].get("true_nonlinearity")[v1].mean() < 0.25
    assert scenarios["flat", "rising"].get("true_noise_ceiling")[v1].mean() < 0.35


def test_subjects_share_test_stimuli_and_profiles_and_nothing_else():
    one, *others = (small(subject=subject) for subject in (1, 2, 3, 4))
    levels, level = np.unique(one.get("level"), return_inverse=True)
    for other in others:
        for layer in one.layers:
            assert np.array_equal(one.features("test", layer), other.features("test", layer))
        assert not shared(one.features("train"), other.features("train"))
        for name in ("true_nonlinearity", "true_noise_ceiling"):
            values = [d.get(name) for d in (one, other)]
            residual = [v - np.array([v[level == i].mean() for i in range(len(levels))])[level] for v in values]
            assert abs(np.corrcoef(*residual)[0, 1]) < 0.3
        together = np.corrcoef(one.responses("test").ravel(), other.responses("test").ravel())[0, 1]
        assert abs(together) < 0.05


def test_seed_redraws_everything():
    one, two = small(), small(seed=1)
    assert not shared(one.features("test"), two.features("test"))
    assert not np.array_equal(one.get("true_nonlinearity"), two.get("true_nonlinearity"))


def test_variation_within_areas_is_smooth():
    whole = load_cortex()
    values = planted_profile("alpha", "flat", 1, 0)
    start, stop = whole.adjacency.nonzero()
    within = whole.roi[start] == whole.roi[stop]
    neighbours = np.corrcoef(values[start[within]], values[stop[within]])[0, 1]
    shuffled = np.random.default_rng(0).permutation(values)
    assert neighbours > 0.8
    assert abs(np.corrcoef(shuffled[start[within]], shuffled[stop[within]])[0, 1]) < 0.05


def test_layers_are_graded_by_what_they_keep_of_the_true_layer():
    data = small(n_train=2000)
    target = data.features("all")
    explained = {}
    for layer in data.layers:
        features = np.column_stack([np.ones(data.n_stimuli), data.features("all", layer)]).astype(float)
        fit = features @ np.linalg.lstsq(features, target, rcond=None)[0]
        explained[layer] = 1 - (target - fit).var(axis=0).sum() / target.var(axis=0).sum()
    assert explained["layer3"] == pytest.approx(1)
    assert 0.3 < explained["layer1"] < explained["layer2"] < 0.98
    assert explained["layer1"] < explained["layer4"] < 0.98


def test_features_have_a_power_law_spectrum():
    data = small(n_train=2000)
    variance = np.linalg.eigvalsh(np.cov(data.features("all").T))[::-1]
    slope = np.polyfit(np.log(np.arange(1, 33)), np.log(variance), 1)[0]
    assert slope == pytest.approx(-_stimuli.SPECTRUM_EXPONENT, abs=0.15)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"alpha": "falling"}, "alpha='falling'.*flat, rising"),
        ({"ceiling": 0.5}, "ceiling=0.5.*flat, rising"),
        ({"gate": "on"}, "gate='on'.*True and False"),
        ({"layer": "final"}, "layer='final'.*shared, deepening"),
        ({"layer": "deepening", "gate": True}, "gate=True with layer='deepening'.*gate=False"),
        ({"subject": 5}, "subject=5.*1, 2, 3, 4"),
        ({"subject": True}, "subject=True"),
        ({"thin": 0}, "thin=0 .*at least 1"),
        ({"n_test": 2}, "n_test=2 .*at least 3"),
        ({"n_features": 8}, "n_features=8 .*at least 16"),
        ({"n_train": 100, "n_features": 64}, "n_train=100.*128"),
        ({"seed": -1}, "seed=-1 .*at least 0"),
    ],
)
def test_errors_say_what_was_given_and_what_is_accepted(options, message):
    with pytest.raises(ValueError, match=message):
        synthetic_cortex(**options)


def test_unknown_options_are_refused():
    with pytest.raises(TypeError, match="noise"):
        load_dataset("synthetic", noise=1)
