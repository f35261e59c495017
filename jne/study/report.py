"""What to report of a study before its numbers are believed: the measures, what they follow, warnings in words."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping

import numpy as np
import xarray as xr

from jne.accuracy import prediction_share, too_few_bootstraps
from jne.measures import REGISTRY
from jne.statistics import predicted_voxels, spearman
from jne.study.seed_agreement import seed_agreement, seed_lines, seed_warnings, share_of_one_fit
from jne.study.study import Study

_LISTED = (
    "r2", "r2_linear", "r2_linearised", "noise_ceiling", "jne", "nonlinear_share", "prediction_share", "crossfit_share",
    "null_share",
)  # fmt: skip
MEASURES = {name: REGISTRY[name].label for name in _LISTED}
"""What a report lists, with the words it uses."""

_OF_ALL = ("r2", "r2_linear", "r2_linearised", "noise_ceiling")
_FOLLOWS = ("jne", "nonlinear_share", "prediction_share", "crossfit_share")
STRONG = 0.3
"""Rank correlation with the noise ceiling from which a measure is said to follow it."""
FEW_STIMULI = 200
"""Below so many held-out stimuli JNE is known to no better than about 5 % (chapter on trust)."""


def report(
    study: Study, *, n_splits: int = 2, n_groups: int = 8, max_memory: str = "2GB", progress: bool = False
) -> dict:
    """Summarise what a study measured, and warn where its measures follow something else than nonlinearity.

    Beside what the study holds, it takes the cross-fitted share (`jne.crossfit_nonlinearity`) and the share of an
    encoder fitted to responses shuffled over stimuli, both cached in the study's folder. The first is slow: with the
    default arguments, 20 fits. Of a study with several seeds both are of single fits: the plain share is that of their
    mean.

    Parameters
    ----------
    study : Study
        From `jne.run_study`.
    n_splits, n_groups : int
        Of the cross-fitting: divisions in halves, and groups of training stimuli for standard errors.
    max_memory : str
        As in `jne.nonlinearity`.
    progress : bool
        Whether to show progress bars on stderr.

    Returns
    -------
    dict
        Ready for JSON. ``data``: what was analysed; ``voxels``: counts, of all, significant (R² above 0, FDR) and
        reliable (cross-fitted) ones; ``measures``: for each of `MEASURES` that there is, ``n`` (finite values),
        ``q25``, ``median``, ``q75``, and ``with_noise_ceiling``, the rank correlation over voxels with the noise
        ceiling (None where it is not known), over significant voxels but for R² and the noise ceiling, which are over
        all; ``seeds``, of a study with several: ``n`` and ``agreement``, for JNE and the nonlinear share the intraclass
        correlation of two seeds' maps over significant voxels (`jne.statistics.intraclass_correlation`); ``warnings``:
        sentences. NaN is None.

    Examples
    --------
    >>> import tempfile, jne
    >>> data = jne.load_dataset("synthetic", thin=64, n_train=200, n_validation=50, n_test=50, cache=False)
    >>> options = {"hidden_size": 16, "max_epochs": 5}
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     study = jne.run_study(data, encoder_options=options, folder=folder)
    ...     summary = jne.report(study, n_splits=1, n_groups=4)
    >>> summary["voxels"]["all"] == len(data.get("roi"))
    True
    """
    crossfit = study.crossfit(n_splits, n_groups=n_groups, max_memory=max_memory, progress=progress)
    null = study.null(max_memory=max_memory, progress=progress)
    return summarise(study.result, crossfit, null, _plain_share(study), _facts(study))


def _facts(study: Study) -> dict:
    attributes, parts = study.result.attrs, study.parts
    layers = {layer: part.encoder.layer_ or "all layers side by side" for layer, part in parts.items()}
    widths = sorted({len(part.encoder.x_mean_) for part in parts.values()})
    return {
        "name": study.data.name,
        "synthetic": bool(study.data.synthetic),
        "layer": next(iter(layers.values())) if len(layers) == 1 else f"best of each voxel: {', '.join(layers)}",
        "evaluation": attributes["evaluation"],
        "n_samples": int(study.result.sizes["sample"]),
        "n_features": widths[0] if len(widths) == 1 else f"{widths[0]} to {widths[-1]}",
        "encoder": next(iter(parts.values())).encoder.describe(),
    }


def _plain_share(study: Study) -> np.ndarray | None:
    """Share from the encoder's predictions at all stimuli; None where they are too few for a linear map."""
    shares = np.full(study.result.sizes["voxel"], np.nan)
    for layer, part in study.parts.items():
        X = study.data.features("all", part.encoder.layer_)
        if len(X) < X.shape[1] + 2:
            return None
        shares[study.voxels_of(layer)] = prediction_share(X, part.encoder.predict(X))
    return shares


def summarise(
    result: xr.Dataset, crossfit: xr.Dataset, null: xr.Dataset, plain_share: np.ndarray | None, facts: Mapping
) -> dict:
    """The report from its parts, see `report`; nothing is computed but the summary."""
    values = {name: result[name].values for name in MEASURES if name in result}
    if plain_share is not None:
        values["prediction_share"] = plain_share
    values["crossfit_share"] = crossfit["nonlinear_share"].values
    values["null_share"] = null["null_share"].values
    predicted = predicted_voxels(result)
    values |= {name: np.where(predicted, values[name], np.nan) for name in values.keys() - set(_OF_ALL)}
    ceiling = values.get("noise_ceiling")
    measures = {name: _measure(values[name], ceiling if name != "noise_ceiling" else None) for name in MEASURES
                if name in values}  # fmt: skip
    voxels = {
        "all": int(result.sizes["voxel"]),
        "significant": int(result["significant"].sum()),
        "reliable": int(crossfit["reliable"].sum()),
    }
    seeds = seed_agreement(result, predicted)
    return {
        "data": dict(facts),
        "voxels": voxels,
        "measures": measures,
        **({"seeds": seeds} if seeds else {}),
        "warnings": [
            *_warnings(measures, voxels, facts, values, _too_few(result), share_of_one_fit(result, predicted)),
            *_linearised_warnings(result, predicted),
            *seed_warnings(seeds),
        ],
    }


def _linearised_warnings(result: xr.Dataset, predicted: np.ndarray) -> list[str]:
    if "r2_linearised" not in result or not predicted.any():
        return []
    gain = float(np.nanmedian((result["r2"] - result["r2_linearised"]).values[predicted]))
    if gain > 0:
        return []
    return [
        f"The mean Jacobian alone predicts as well as the encoder (median difference of R² {gain:+.3f} over "
        "significant voxels): the responses do not confirm what its Jacobian does from stimulus to stimulus."
    ]


def _measure(values: np.ndarray, ceiling: np.ndarray | None) -> dict:
    finite = values[np.isfinite(values)]
    low, middle, high = np.quantile(finite, [0.25, 0.5, 0.75]) if len(finite) else [np.nan] * 3
    rho = np.nan if ceiling is None else spearman(values, ceiling)
    numbers = {"q25": low, "median": middle, "q75": high, "with_noise_ceiling": rho}
    return {"n": len(finite), **{name: float(v) if np.isfinite(v) else None for name, v in numbers.items()}}


def _too_few(result: xr.Dataset) -> str:
    settings = result.attrs
    if "p_value" not in result:
        return ""
    return too_few_bootstraps(result["p_value"].values, settings["n_bootstrap"], settings["q"])


def _warnings(
    measures: Mapping, voxels: Mapping, facts: Mapping, values: Mapping, few: str, of_one_fit: float | None
) -> list[str]:
    found = []
    for name in _FOLLOWS:
        rho = measures.get(name, {}).get("with_noise_ceiling")
        if rho is not None and abs(rho) >= STRONG:
            direction = "higher" if rho > 0 else "lower"
            found.append(
                f"{_sentence(MEASURES[name])} follows the noise ceiling over voxels (rank correlation {rho:+.2f}): it "
                f"is {direction} where the signal is better. Differences in it between voxels or areas need not be "
                "differences in nonlinearity; compare areas of the same noise ceiling."
            )
    if "noise_ceiling" not in measures:
        found.append(
            "The noise ceiling is not known, so nothing here can show whether a measure follows the signal-to-noise "
            "ratio. Repeats of some stimuli would."
        )
    if few:
        found.append(few)
    gain = float(np.nanmedian(values["r2"] - values["r2_linear"])) if "r2_linear" in values else np.nan
    if gain <= 0:
        found.append(
            f"The nonlinear encoder predicts no better than the linear one (median difference of R² {gain:+.3f}): what "
            "its Jacobian's variation is for remains open."
        )
    share, null, shared = (measures[name]["median"] for name in ("nonlinear_share", "null_share", "crossfit_share"))
    share, which = (share, "") if of_one_fit is None else (of_one_fit, " of one fit")
    if share is not None and null is not None and null >= share / 2:
        found.append(
            f"An encoder fitted to shuffled responses has a median share of {null:.2f}, at least half of the "
            f"{share:.2f} measured{which}: fitting noise alone can make a share of this size."
        )
    if share is not None and shared is not None and shared < share / 2:
        found.append(
            f"The cross-fitted share (median {shared:.2f}) is less than half of the plain one{which} ({share:.2f}): "
            "most of the plain share is not shared by two encoders that saw different stimuli. Either it is fitting "
            "noise, or half of the stimuli are too few to learn it."
        )
    if voxels["reliable"] < voxels["all"] / 2:
        found.append(
            f"Only {voxels['reliable']} of {voxels['all']} voxels are reliable (two encoders agree on more than "
            "noise); in the others the cross-fitted share is not given."
        )
    if facts["n_samples"] < FEW_STIMULI:
        found.append(
            f"The measures rest on {facts['n_samples']} stimuli; with fewer than about {FEW_STIMULI}, JNE itself and "
            "above all JNE-SS depend on which stimuli these were."
        )
    if facts["synthetic"]:
        found.append("The responses are synthetic: nothing here is a finding about a brain.")
    return found


def report_text(content: Mapping, width: int = 100) -> str:
    """A report as lines of at most ``width`` characters, for a terminal."""
    data, voxels = content["data"], content["voxels"]
    lines = [
        data["name"],
        f"  {data['n_samples']} stimuli ({data['evaluation']}), {data['n_features']} features ({data['layer']})",
        f"  {voxels['all']} voxels: {voxels['significant']} significant, {voxels['reliable']} reliable (cross-fitted)",
        "",
        f"  {'over voxels':<28}{'n':>7}{'25 %':>9}{'median':>9}{'75 %':>9}{'ρ ceiling':>11}",
    ]
    for name, numbers in content["measures"].items():
        cells = "".join(_number(numbers[key], "9.3f") for key in ("q25", "median", "q75"))
        rho = _number(numbers["with_noise_ceiling"], "+11.2f")
        lines.append(f"  {MEASURES[name]:<28}{numbers['n']:>7}{cells}{rho}")
    lines += seed_lines(content.get("seeds", {}), width)
    lines += ["", "Warnings" if content["warnings"] else "No warnings."]
    warnings = [textwrap.fill(f"- {warning}", width, subsequent_indent="  ") for warning in content["warnings"]]
    return "\n".join(lines + warnings)


def _number(value: float | None, form: str) -> str:
    width = int(form.strip("+").split(".")[0])
    return f"{'–':>{width}}" if value is None else f"{value:{form}}"


def _sentence(text: str) -> str:
    return text[0].upper() + text[1:]
