"""`jne report`: what it says of studies whose truth is known."""

import json

import numpy as np
import pytest
import xarray as xr
from click.testing import CliRunner

from jne.cli import main
from jne.datasets import save_dataset
from jne.simulations import mixed_response
from jne.study.report import MEASURES, report_text, summarise

FACTS = {"name": "made", "synthetic": False, "layer": "deep", "evaluation": "held-out test stimuli",
         "n_samples": 500, "n_features": 4, "encoder": "none"}  # fmt: skip


def parts(n=101, seed=0, **changes):
    """A result, a cross-fitting and a null with nothing to warn of, but for what is changed."""
    rng = np.random.default_rng(seed)
    ceiling = np.linspace(0.1, 0.9, n)
    values = {"r2": ceiling / 2 + 0.05, "r2_linear": ceiling / 2, "noise_ceiling": ceiling, "jne": rng.permutation(n),
              "nonlinear_share": rng.permutation(n) / n, "crossfit": rng.permutation(n) / n, "null": np.full(n, 0.01),
              "significant": np.ones(n, bool), "reliable": np.ones(n, bool), "confirmed": np.ones(n, bool),
              "validated_share": rng.permutation(n) / n, "products": np.linspace(0.5, 1.5, 20)[:, None]}  # fmt: skip
    values |= changes
    pack = lambda *names: xr.Dataset({name: ("voxel", values[name]) for name in names if values[name] is not None})  # noqa: E731
    result = pack(
        "r2",
        "r2_linear",
        *({"r2_linearised", "explained"} & {*values}),
        "noise_ceiling",
        "jne",
        "nonlinear_share",
        "validated_share",
        "significant",
        "confirmed",
    ).assign(
        validated_products=("sample", values["products"][:, 0]),
        validated_predicted_sum=2.0,
    )
    crossfit = pack("crossfit", "reliable").rename(crossfit="nonlinear_share")
    return result, crossfit, pack("null").rename(null="null_share"), None, FACTS


@pytest.mark.parametrize(
    "changes",
    [{"significant": np.arange(101) < 10}, {"r2": np.linspace(-0.9, 0.8, 101)}],
    ids=["few significant", "median below zero"],
)
def test_where_nothing_is_predicted_that_comes_first_and_no_measure_has_a_median(changes):
    content = summarise(*parts(**changes))
    assert content["first"][0].startswith("Nothing is predicted: ")
    text = report_text(content).splitlines()
    assert text[1].strip().startswith("Nothing is predicted: ") and report_text(content).count("Nothing is") == 1
    for name in ("jne", "nonlinear_share", "validated_share", "crossfit_share"):
        assert content["measures"][name]["n"] == 0 and content["measures"][name]["median"] is None
    assert content["measures"]["r2"]["n"] == 101 and content["confirmed"]["share"] is None
    assert "JNE, as" not in report_text(content) and "R², nonlinear" in report_text(content)  # no row of dashes
    content["seeds"] = {"n": 2, "agreement": {"jne": None}}
    assert "Mean of 2 fits.\n" in report_text(content)


def test_that_a_linear_encoder_predicts_as_well_comes_first():
    content = summarise(*parts(r2_linear=np.linspace(0.1, 0.9, 101) / 2 + 0.05))
    assert "no better than the linear one (median difference of R² +0.000)" in content["first"][0]
    assert report_text(content).count("no better than the linear") == 1
    assert content["measures"]["jne"]["n"] == 101


@pytest.mark.parametrize(
    "changes", [{"r2": np.full(101, -0.1)}, {"null": np.ones(101), "reliable": np.zeros(101, bool)}]
)
def test_sentences_name_the_unit_and_keys_and_names_stay(changes):
    *results, facts = parts(**changes)
    content = summarise(*results, {**facts, "unit": "neuron", "name": "voxels of V4"})
    assert content["voxels"]["all"] == 101 and content["warnings"]
    assert "voxel" not in " ".join([*content.get("first", []), *content["warnings"], str(content["confirmed"])])
    name, *lines = report_text(content).splitlines()
    assert name == "voxels of V4" and "voxel" not in "\n".join(lines) and "  101 neurons: " in "\n".join(lines)


def test_a_clean_study_gets_no_warning():
    content = summarise(*parts())
    assert content["warnings"] == [] and "No warnings." in report_text(content)
    assert max(map(len, report_text(content).splitlines())) <= 79  # a page is not wider
    assert content["measures"]["noise_ceiling"]["median"] == pytest.approx(0.5)
    assert content["measures"]["nonlinear_share"]["q25"] == pytest.approx(25 / 101)
    assert content["measures"]["noise_ceiling"]["with_noise_ceiling"] is None


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"jne": np.arange(101)}, "JNE, as published follows the noise ceiling over voxels (rank correlation +1.00)"),
        (
            {"nonlinear_share": np.linspace(0.9, 0.1, 101)},
            "Nonlinear share follows the noise ceiling over voxels (rank correlation -1",
        ),
        ({"noise_ceiling": None}, "noise ceiling is not known"),
        ({"r2": np.full(101, 0.1), "r2_linear": np.full(101, 0.2)}, "predicts no better than the linear one"),
        ({"r2_linearised": np.linspace(0.1, 0.9, 101) / 2 + 0.06}, "The mean Jacobian alone predicts as well"),
        (
            {
                "explained": np.arange(101),
                "jne": np.arange(101) ** 2,
                "noise_ceiling": np.random.default_rng(7).random(101),
            },
            "these follow R² / noise ceiling, how well a voxel is predicted from these features (rank "
            "correlation): JNE",
        ),
        (
            {"products": np.linspace(-1, 1, 20)[:, None], "confirmed": np.zeros(101, bool)},
            "predicts nothing here: of all significant voxels together, the responses confirm a share of +0.000 "
            "(standard error 0.070, p = 0.5), and one in 0 of 101 voxels",
        ),
        (
            {"products": np.linspace(0.05, 0.15, 20)[:, None]},
            "Nearly all that is predicted here is linear in these features",
        ),
        ({"null": np.full(101, 0.4)}, "fitting noise alone can make a share of this size"),
        ({"crossfit": np.full(101, 0.05)}, "less than half of the plain one"),
        ({"reliable": np.arange(101) < 7}, "Only 7 of 101 voxels are reliable"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_each_warning(changes, words):
    warnings = summarise(*parts(**changes))["warnings"]
    assert sum(words in warning for warning in warnings) == 1 and len(warnings) == 1, warnings


def test_too_few_bootstraps_are_told():
    result, *rest = parts(significant=np.zeros(101, bool), reliable=np.ones(101, bool))
    result = result.assign(p_value=("voxel", np.r_[1 / 201, np.full(100, 0.5)])).assign_attrs(n_bootstrap=200, q=0.05)
    assert sum("200 bootstraps are too few" in warning for warning in summarise(result, *rest)["warnings"]) == 1


def test_how_far_seeds_agree_is_said_in_words():
    result, *rest = parts()
    rng = np.random.default_rng(0)
    signal, noise = rng.normal(size=101), rng.normal(size=(400, 101))
    alike, unlike = (np.sqrt(share) * signal + np.sqrt(1 - share) * noise for share in (0.95, 0.2))
    result["jne_by_seed"], result["nonlinear_share_by_seed"] = (("seed", "voxel"), unlike), (("seed", "voxel"), alike)
    content = summarise(result, *rest)
    agreement, text = content["seeds"]["agreement"], " ".join(report_text(content).split())
    scale = signal.var(ddof=1)  # the share of variance that is the targets', as drawn
    expected = {"jne": 0.2 * scale / (0.2 * scale + 0.8), "nonlinear_share": 0.95 * scale / (0.95 * scale + 0.05)}
    assert agreement == pytest.approx(expected, abs=0.02) and content["seeds"]["n"] == 400
    assert f"JNE, as published: poorly ({agreement['jne']:.2f}); nonlinear share: closely (0.9" in text
    (warning,) = content["warnings"]
    assert "Two seeds' maps of JNE agree poorly" in warning
    assert "seeds" not in summarise(*parts())
    # What is compared with the null and the cross-fitted share, which are of single fits, is of single fits, too.
    result["nonlinear_share_by_seed"] = ("seed", "voxel"), np.full((400, 101), 0.015)
    result["jne_by_seed"] = ("seed", "voxel"), np.stack([signal] * 400)
    (warning,) = summarise(result, *rest)["warnings"]
    assert "has a median share of 0.01, at least half of the 0.01 measured of one fit" in warning
    json.dumps(content, allow_nan=False)


def test_undefined_values_are_counted_and_never_numbers():
    values = np.full(101, np.nan)
    values[:3] = [0.1, 0.2, 0.3]
    content = summarise(*parts(crossfit=values, null=np.full(101, np.nan)))
    assert content["measures"]["crossfit_share"]["n"] == 3
    assert content["measures"]["crossfit_share"]["median"] == pytest.approx(0.2)
    assert content["measures"]["null_share"]["median"] is None
    json.dumps(content, allow_nan=False)


@pytest.mark.slow
def test_command_on_voxels_of_known_nonlinearity(tmp_path):
    rng = np.random.default_rng(0)
    n, alpha = 700, np.repeat([0.0, 0.6], 10)
    X = rng.normal(size=(n, 6))
    _, Y = mixed_response(X, alpha, 0.9, n_units=4)
    content = xr.Dataset(
        {
            "deep": (("stimulus", "feature_deep"), X.astype("float32")),
            "responses": (("stimulus", "voxel"), Y.astype("float32")),
            "split": ("stimulus", np.repeat(["train", "validation", "test"], [480, 120, 100]).astype(object)),
            "stimulus_id": ("stimulus", np.array([f"s{i}" for i in range(n)], object)),
        },
        attrs={"name": "known", "synthetic": 1},
    )
    path = tmp_path / "known.nc"
    save_dataset(content, path)
    options = ["--hidden-size", "48", "--lr", "0.003", "--crossfit", "--splits", "1", "--device", "cpu", "--json"]
    run = CliRunner().invoke(main, ["report", str(path), *options])
    assert run.exit_code == 0, run.output
    found = json.loads(run.stdout)
    assert set(found["measures"]) == set(MEASURES) - {"noise_ceiling", "explained"}
    assert found["voxels"]["all"] == 20 and found["voxels"]["significant"] == 20
    # Half of the voxels are linear and half have a share of 0.6, so the quartiles fall into the two halves.
    share = found["measures"]["crossfit_share"]
    assert abs(share["q25"]) < 0.1 < 0.3 < share["q75"] < 0.8
    validated = found["measures"]["validated_share"]
    assert abs(validated["q25"]) < 0.1 < 0.3 < validated["q75"] < 0.8
    assert 10 <= found["voxels"]["confirmed"] <= 11 and found["confirmed"]["p_value"] < 1e-6
    assert found["measures"]["null_share"]["n"] == 20
    assert any("synthetic" in w for w in found["warnings"])
    again = CliRunner().invoke(main, ["report", str(path), *options[:-1]])
    assert again.exit_code == 0 and "cross-fitted share" in again.output


def test_command_names_a_missing_file(tmp_path):
    run = CliRunner().invoke(main, ["report", str(tmp_path / "gone.nc")])
    assert run.exit_code == 1 and "no dataset file" in run.output


def test_measures_are_of_significant_voxels_and_accuracy_of_all():
    significant = np.arange(101) < 50
    content = summarise(*parts(significant=significant, jne=np.where(significant, 1.0, 9.0)))
    assert content["measures"]["jne"]["q75"] == 1 and content["measures"]["jne"]["n"] == 50
    assert content["measures"]["crossfit_share"]["n"] == content["measures"]["null_share"]["n"] == 50
    assert content["measures"]["r2"]["n"] == content["measures"]["noise_ceiling"]["n"] == 101
