"""The benchmark's methods measure the same thing, its fits find known lines, and its results resume."""

import json
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import paths
import pytest
import torch
from click.testing import CliRunner
from torch.utils.flop_counter import FlopCounterMode

from jne.plotting import performance

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "benchmarks"))

import _common  # noqa: E402
import _features  # noqa: E402
import _fits  # noqa: E402
import _methods  # noqa: E402
import _targets  # noqa: E402
import engine  # noqa: E402
import fits  # noqa: E402
import gpu  # noqa: E402

CASE = _methods.Case(6, 30, 12, 16)


@pytest.fixture(scope="module")
def problem():
    return _methods.Problem(CASE, torch.float64)


@pytest.mark.parametrize("name", engine.OTHERS)
def test_every_other_method_gives_the_measures_of_jne(name, problem):
    found = engine.OTHERS[name](problem)
    expected = _methods.ours(problem, covariance=False, precision="float64")
    for measure in ("jne", "mean_deviation"):
        np.testing.assert_allclose(found[measure], expected[measure], rtol=1e-10)


@pytest.mark.parametrize("name", engine.OTHERS)
def test_a_sample_left_out_near_a_kink_is_left_out_of_the_mean(name):
    fewer = _methods.Problem(CASE, torch.float64)
    fewer.X = fewer.X[:-1]
    expected = _methods.ours(fewer, covariance=False, precision="float64")
    np.testing.assert_allclose(engine.OTHERS[name](fewer)["jne"], expected["jne"], rtol=1e-10)


@pytest.mark.parametrize("name", engine.SCALED)
def test_what_is_timed_on_some_voxels_gives_those_voxels(name, problem):
    some, whole = engine.OTHERS[name](problem, n_voxels=7), engine.OTHERS[name](problem)
    torch.testing.assert_close(some["jne"], whole["jne"][:7])


def test_gemm_multiplies_every_sample(problem):
    _methods.gemm(problem)
    weight = problem.network.readout.weight.detach()
    torch.testing.assert_close(problem.block, weight @ problem.A[-1])
    assert CASE.flops == 2 * 6 * 30 * 12 * 16


def test_accuracy_is_that_of_float32():
    found = engine.measure_accuracy(_methods.Case(8, 20, 24, 32))
    assert 0 < found["samples_kept"] <= 8
    for errors in found["largest_relative_error"].values():
        assert all(1e-9 < error < 1e-4 for error in errors.values())


def test_a_line_is_fitted_to_small_and_large_alike():
    sizes = [10, 100, 1000]
    fit = engine._line(sizes, [0.5 + 0.01 * size for size in sizes])
    assert fit["slope"] == pytest.approx(0.01) and fit["intercept"] == pytest.approx(0.5)
    assert fit["largest_relative_miss"] < 1e-9
    assert engine._line(sizes, [1.0, 1.0, 100.0])["largest_relative_miss"] > 0.1


def test_ratios_are_medians_over_repeats_of_the_same_repeat():
    seconds = {
        "gemm": {"wall": [1.0, 2.0, 4.0], "cpu": [1.0, 1.0, 1.0]},
        "a": {"wall": [2.0, 4.0, 40.0], "cpu": [3.0, 1.0, 2.0]},
    }
    assert _common.ratios(seconds) == {"gemm": {"wall": 1, "cpu": 1}, "a": {"wall": 2, "cpu": 2}}


@pytest.mark.skipif(not _common.LINUX, reason="reads the peak from /proc")
def test_a_peak_is_seen_after_it_is_gone():
    peak = _common.peak_above(lambda: torch.ones(25_000_000).sum())
    assert 95e6 < peak < 120e6


def test_results_resume_unless_the_settings_changed(tmp_path):
    path, calls = tmp_path / "results.json", []

    def run(settings, fresh=False):
        results = _common.Results(path, settings, fresh)
        return results, results.section("a", lambda: calls.append(1) or {"value": len(calls)})["value"]

    assert run({"n": 1})[1] == 1
    results, value = run({"n": 1})
    assert value == 1 and not path.exists()
    results.finish(machine="this")
    assert json.loads(path.read_text())["machine"] == "this" and run({"n": 1})[1] == 1
    assert run({"n": 2})[1] == 2 and json.loads(path.read_text())["settings"] == {"n": 1}
    assert run({"n": 2}, fresh=True)[1] == 3
    path.write_text("{")
    with pytest.raises(SystemExit, match="not a JSON file"):
        run({"n": 3})
    assert path.read_text() == "{"


def test_a_promise_is_met_or_missed():
    gemm = {"plain": 1.2, "share, covariance of X": 1.4, "share, full rank": 1.5, "backward per voxel": 24}
    gemm |= {"vmap(jacfwd)": 1.8, "vmap(jacfwd), two passes": 3.6, "vmap(jacrev)": 30}
    times = {"case": {"V": 15000}, "in_gemm": {name: {"wall": value} for name, value in gemm.items()}}
    verdicts = [target["met"] for target in _targets.judge({"times": times}, "wall")]
    assert verdicts == [True, True, False, True, False, True]


def test_what_was_not_run_has_no_bar():
    table = pd.DataFrame({"1,000 voxels": {"plain": 1.3, "closed form": 5.0}, "15,000 voxels": {"plain": 1.1}})
    ax = performance.plot_times(table)
    assert [text.get_text() for text in ax.texts] == ["1.3", "5", "1.1", ""]
    assert [text.get_text() for text in ax.get_yticklabels()] == ["jne", "closed form, Jacobian kept"]


def test_the_closed_form_of_the_paper_is_run_where_its_jacobian_fits(problem):
    assert _methods.Case(1000, 15000).jacobian_bytes == 46_080_000_000
    J = torch.func.vmap(torch.func.jacrev(problem.one))(problem.X)
    expected = _methods.measures([J])
    torch.testing.assert_close(_methods.closed_form(problem)["jne"], expected["jne"], rtol=1e-10, atol=0)
    small, large = (engine.measure_times(_methods.Case(3, V, 4, 5), 1, 20)["in_gemm"] for V in (10, 1001))
    assert "closed form" in small and "closed form" not in large
    assert set(_targets.RELATIVE) <= set(small)


def test_variants_are_held_to_the_published_ones_time():
    gemm = dict.fromkeys(engine.OTHERS, 2.0) | {"plain": 1.0, "share, covariance of X": 1.0, "share, full rank": 1.0}
    gemm |= {"plain, L2": 1.05, "z-scored, L1": 2.2, "z-scored, L2": 2.4}
    times = {"case": {"V": 1000}, "in_gemm": {name: {"wall": value} for name, value in gemm.items()}}
    judged = [target for target in _targets.judge({"times": times}, "wall") if "over plain's" in target["what"]]
    assert [(target["limit"], target["met"]) for target in judged] == [(1.1, True), (2.3, True), (2.3, False)]


def test_committed_results_are_drawn():
    benchmark = json.loads((ROOT / "benchmarks/results/engine.json").read_text())
    table = performance.times_table(benchmark)
    assert [column.split()[0] for column in table] == ["1,000", "15,000"]
    assert ((table > 0) | table.isna()).all(axis=None)
    drawn = [label for name, label in performance.LABELS.items() if name in table.index]
    assert [text.get_text() for text in performance.plot_times(table).get_yticklabels()] == drawn
    memory = performance.memory_table(benchmark)
    brain = memory[memory.voxels == 200_000]
    assert len(brain) == 1 and brain["peak (GB)"].item() < 2 < brain["Jacobian (GB)"].item()
    # What the page says of time and accuracy is what the file says.
    assert benchmark["settings"]["quick"] is False
    assert {target["what"] for target in benchmark["targets"]} == {
        target["what"] for target in _targets.judge(benchmark["sections"], performance.clock_of(benchmark))
    }


def test_the_numbers_in_the_readme_are_those_of_the_benchmark():
    root = Path(__file__).parent.parent
    times = json.loads((root / "benchmarks/results/engine.json").read_text())["sections"]["times, V=15000"]["in_gemm"]
    cost = {name: value["wall"] for name, value in times.items()}
    told = (root / "README.md").read_text()
    told = told[told.index("**How fast.**") :].split("\n\n")[0].replace("\n", " ")
    assert f"takes {cost['plain']:.2f} plain matrix products" in told
    assert f"({cost['share, full rank']:.2f} with the nonlinear share)" in told
    assert f"{cost['backward per voxel'] / cost['plain']:.0f} times less than one backward pass per voxel" in told
    card = json.loads((root / "benchmarks/results/gpu.json").read_text())
    exact, rough = (card["sections"][f"brain, {precision}"] for precision in ("float32", "tf32"))
    assert f"one {card['settings']['device']}" in told and (exact["case"]["V"], exact["case"]["N"]) == (200_000, 1000)
    seconds = [brain["plain"]["seconds"] for brain in (exact, rough)]
    assert "takes {:.1f} s in float32 and {:.1f} s in TF32".format(*seconds) in told
    fits = json.loads((root / "benchmarks/results/fits.json").read_text())
    case, epoch = (fits["sections"]["full batch"][name] for name in ("case", "in_gemm"))
    assert "{n:,} training stimuli, {D} features and {V:,} voxels".format(**case) in told
    assert (
        f"takes {fits['subject']['minutes']:.0f} minutes on the two cores" in told and fits["machine"]["threads"] == 2
    )
    assert f"takes {epoch:.2f} times the plain matrix products" in told and not fits["settings"]["quick"]


@pytest.fixture
def gpu_benchmark(tmp_path, monkeypatch):
    """The benchmark of a card on the CPU, with few of its checks and one layer of its network."""
    monkeypatch.setattr(paths, "CHECKS", {name: paths.CHECKS[name] for name in ("readout, products", "rows")})
    monkeypatch.setattr(_features, "LAYERS", {"stem": 1})
    out = tmp_path / "gpu.json"

    def run():
        done = CliRunner().invoke(gpu.main, ["--quick", "--device", "cpu", "--out", str(out)])
        return done, json.loads(out.read_text())

    return run


def test_the_benchmark_of_a_card_goes_on_where_a_part_fails_and_measures_that_again(gpu_benchmark, monkeypatch):
    with monkeypatch.context() as broken:
        broken.setattr(gpu, "measure_wide", lambda *sizes: torch.ones(2) @ torch.ones(3))
        done, result = gpu_benchmark()
    wide = [f"accuracy at these widths, {precision}" for precision in gpu.PRECISIONS]
    assert done.exit_code == 1 and list(result["failed"]) == wide
    assert "not measured: accuracy at these widths, float32" in done.output
    assert "size" in result["failed"][wide[0]] and not set(wide) & set(result["sections"])
    done, result = gpu_benchmark()
    sections = result["sections"]
    assert done.exit_code == 0, done.output
    assert result["failed"] == {} and sections[wide[0]]["jne"] < 1e-4 and "subject: kept" in done.output
    errors = sections["accuracy, float32"]
    assert errors["failed"] == {} and max(errors["largest_relative_error"]["rows"].values()) < 1e-5
    assert sections["fits"]["minibatches, float32"]["batch_size"] == gpu.QUICK["batch_size"]
    assert sections["subject"]["epochs"] == {"nonlinear": 3, "linear": 3}
    assert max(sections["features"]["largest_error_over_largest_value"].values()) < 1e-4
    # What the page says of it.
    assert len(performance.card_table(result)) == 6
    assert list(performance.fits_table(sections["fits"]).index) == [
        f"{batches}, {precision}"
        for batches in ("full batch", "batches of 32")
        for precision in ("float32", "TF32 allowed")
    ]
    text, numbers = performance.describe_card(result)
    assert numbers["float32_error"] < 1e-5 and numbers["subject_voxels"] == 30 and "failed" not in text
    sections["accuracy, tf32"]["failed"] = {"rows": "RuntimeError: no"}
    text, numbers = performance.describe_card({**result, "failed": {"features": "no"}})
    assert text.format(**numbers).endswith("**Not measured, or failed:** accuracy, tf32, rows, features.")


def test_the_benchmark_of_fits_adds_up_a_subject_and_is_told(tmp_path):
    out = tmp_path / "fits.json"
    assert performance.read(out) is None
    done = CliRunner().invoke(fits.main, ["--quick", "--threads", "1", "--out", str(out)])
    assert done.exit_code == 0, done.output
    result = performance.read(out)
    epochs = result["sections"]["epochs until the stop"]["epochs"]
    assert set(epochs) == {"nonlinear", "linear"} and max(epochs.values()) <= fits.QUICK["max_epochs"]
    # Weights, best weights and both moments of the optimizer, in float32, of 12-16-16-16-30; then little else.
    n_weights = 12 * 16 + 2 * 16 * 16 + 16 * 30
    assert 4 * n_weights < result["sections"]["checkpoint"]["bytes"] < 4 * n_weights + 2000
    text, numbers = performance.describe_fits(result)
    assert "1 thread. One subject" in text.format(**numbers)
    assert list(performance.fits_table(result["sections"]).index) == ["full batch", "batches of 32"]


def test_a_subject_is_two_fits_and_the_rest():
    epoch = {"seconds_before": 10.0, "seconds_an_epoch": 2.0}
    rest = {"seconds_nonlinearity_scaled": 100.0, "seconds": {"predictions": 4.0, "R² with bootstrap": 12.0}}
    stop = {"epochs": {"nonlinear": 50, "linear": 30}}
    found = fits.subject({"full batch": epoch, "epochs until the stop": stop, "the rest of a study": rest})
    assert found["fits"] == {"nonlinear": 110 / 60, "linear": 70 / 60} and found["minutes"] == 300 / 60


def test_the_operations_of_an_epoch_are_counted():
    case, counted = _fits.FitCase(n=20, n_val=8, D=5, V=7, H=6), FlopCounterMode(display=False)
    arrays, _ = _fits.simulate(case)
    with counted:
        _fits.fit(case, arrays, 1, "cpu")
    assert counted.get_total_flops() == case.flops
