"""What to report of a study before its numbers are believed: the measures, what they follow, warnings in words."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping

import numpy as np
import xarray as xr
from scipy.stats import t as student_t

from jne._core import VOXEL, in_units, plural
from jne.accuracy import prediction_share
from jne.measures import REGISTRY
from jne.statistics import nothing_predicted, predicted_voxels, said_first, spearman
from jne.study.report_warnings import warnings_of
from jne.study.seed_agreement import seed_agreement, seed_lines, seed_warnings, share_of_one_fit
from jne.study.study import Study

_LISTED = (
    "r2", "r2_linear", "r2_linearised", "noise_ceiling", "explained", "jne", "nonlinear_share", "prediction_share",
    "validated_share", "crossfit_share", "null_share",
)  # fmt: skip
MEASURES = {name: REGISTRY[name].label for name in _LISTED}
"""What a report lists, with the words it uses."""

_OF_ALL = ("r2", "r2_linear", "r2_linearised", "noise_ceiling", "explained")


def report(
    study: Study,
    *,
    crossfit: bool = False,
    n_splits: int = 2,
    n_groups: int = 8,
    max_memory: str = "2GB",
    progress: bool = False,
) -> dict:
    """Summarise what a study measured, and warn where its measures follow something else than nonlinearity.

    Beside what the study holds, it takes the share of an encoder fitted to responses shuffled over stimuli and, where
    it is asked for, the cross-fitted share (`jne.crossfit_nonlinearity`), both cached in the study's folder. Of a study
    with several seeds both are of single fits: the plain share is that of their mean.

    Parameters
    ----------
    study : Study
        From `jne.run_study`.
    crossfit : bool
        Whether to cross-fit: with the default arguments, 20 fits.
    n_splits, n_groups : int
        Of the cross-fitting: divisions in halves, and groups of training stimuli for standard errors.
    max_memory : str
        As in `jne.nonlinearity`.
    progress : bool
        Whether to show progress bars on stderr.

    Returns
    -------
    dict
        Ready for JSON. ``first``, where an encoder predicts nothing, or no more than the linear one: what must
        be known before anything else (then no measure has a median where nothing is predicted); ``data``: what
        was analysed; ``voxels``: counts, of all, significant (R² above 0, FDR), confirmed (significant ones
        whose nonlinearity the responses confirm, FDR) and, cross-fitted, reliable ones; ``confirmed``: of all
        significant voxels together, ``share``, ``se`` and ``p_value`` of the validated share and its
        ``linear_map``, None where it could not be taken, and ``reason`` why not; ``measures``: for each of
        `MEASURES` that there is, ``n`` (finite values), ``q25``, ``median``, ``q75``, and
        ``with_noise_ceiling`` and ``with_explained``, the rank correlations over voxels with the noise ceiling
        and with R² over it (None where it is not known), over significant voxels but for R² and the noise
        ceiling, which are over all; ``seeds``, of a study with several: ``n`` and ``agreement``, for JNE and
        the nonlinear share the intraclass correlation of two seeds' maps over significant voxels
        (`jne.statistics.intraclass_correlation`); ``warnings``: sentences. Sentences call voxels what the dataset does
        (``unit`` of ``data``), keys do not. NaN is None.

    Examples
    --------
    >>> import tempfile, jne
    >>> data = jne.load_dataset("synthetic", thin=64, n_train=200, n_validation=50, n_test=50, cache=False)
    >>> options = {"hidden_size": 16, "max_epochs": 5}
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     study = jne.run_study(data, encoder_options=options, folder=folder)
    ...     summary = jne.report(study)
    >>> summary["voxels"]["all"] == len(data.get("roi"))
    True
    """
    halves = None
    if crossfit:
        halves = study.crossfit(n_splits, n_groups=n_groups, max_memory=max_memory, progress=progress)
    null = study.null(max_memory=max_memory, progress=progress)
    return summarise(study.result, halves, null, _plain_share(study), _facts(study))


def _facts(study: Study) -> dict:
    attributes, parts = study.result.attrs, study.parts
    layers = {layer: part.encoder.layer_ or "all layers side by side" for layer, part in parts.items()}
    widths = sorted({len(part.encoder.x_mean_) for part in parts.values()})
    return {
        "name": study.data.name,
        "synthetic": bool(study.data.synthetic),
        "unit": study.data.attrs.get("unit", VOXEL),
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
    result: xr.Dataset, crossfit: xr.Dataset | None, null: xr.Dataset, plain_share: np.ndarray | None, facts: Mapping
) -> dict:
    """The report from its parts, see `report`; nothing is computed but the summary."""
    values = {name: result[name].values for name in MEASURES if name in result}
    if plain_share is not None:
        values["prediction_share"] = plain_share
    if crossfit is not None:
        values["crossfit_share"] = crossfit["nonlinear_share"].values
    values["null_share"] = null["null_share"].values
    predicted = predicted_voxels(result)
    values |= {name: np.where(predicted, values[name], np.nan) for name in values.keys() - set(_OF_ALL)}
    measures = {name: _measure(name, values) for name in MEASURES if name in values}
    voxels = {"all": int(result.sizes["voxel"]), "significant": int(result["significant"].sum())}
    if "confirmed" in result:
        voxels["confirmed"] = int((result["confirmed"] & result["significant"]).sum())
    if crossfit is not None:
        voxels["reliable"] = int(crossfit["reliable"].sum())
    unit = facts.get("unit")
    confirmed, seeds = _confirmed(result), seed_agreement(result, predicted)
    if confirmed:
        confirmed |= {name: in_units(confirmed[name], unit) for name in ("reason", "linear_map") if name in confirmed}
    told = warnings_of(result, measures, voxels, facts, confirmed, predicted, share_of_one_fit(result, predicted))
    first = [in_units(sentence, unit) for sentence in said_first(result)]
    return {
        **({"first": first} if first else {}),
        "data": dict(facts),
        "voxels": voxels,
        **({"confirmed": confirmed} if confirmed else {}),
        "measures": measures,
        **({"seeds": seeds} if seeds else {}),
        "warnings": [in_units(sentence, unit) for sentence in (*told, *seed_warnings(seeds))],
    }


def _confirmed(result: xr.Dataset) -> dict | None:
    """The validated share of all areas together: ratio of sums, with the error of its numerator."""
    nothing = {"share": None, "se": None, "p_value": None}
    if reason := nothing_predicted(result):
        return {**nothing, "reason": reason}
    if "validated_reason" in result.attrs:
        return {**nothing, "reason": result.attrs["validated_reason"]}
    if "validated_products" not in result:
        return None
    products = result["validated_products"].values
    below, n = float(result["validated_predicted_sum"]), len(products)
    if not result["significant"].any():
        return {**nothing, "reason": "no voxel is significant"}
    if not below > 0 or products.std() == 0:
        return {**nothing, "reason": "nothing nonlinear is predicted in any significant voxel"}
    mean, error = products.mean(), products.std(ddof=1) / np.sqrt(n)
    error_of_null = error * np.sqrt(result.attrs.get("validated_dependence", 1.0))
    p = float(student_t.sf(mean / error_of_null, n - 2))
    return {
        "linear_map": result.attrs.get("validated_linear_map", "of each layer's features, for the voxels that have it"),
        "share": float(mean / below),
        "se": float(error / below),
        "p_value": p,
    }


def _measure(name: str, values: Mapping[str, np.ndarray]) -> dict:
    finite = values[name][np.isfinite(values[name])]
    low, middle, high = np.quantile(finite, [0.25, 0.5, 0.75]) if len(finite) else [np.nan] * 3
    numbers = {"q25": low, "median": middle, "q75": high}
    for other in ("noise_ceiling", "explained"):
        known = other in values and name not in ("noise_ceiling", "explained")
        numbers[f"with_{other}"] = spearman(values[name], values[other]) if known else np.nan
    return {"n": len(finite), **{key: float(v) if np.isfinite(v) else None for key, v in numbers.items()}}


_COUNTS = {
    "significant": "significant",
    "confirmed": "with a nonlinearity that the responses confirm",
    "reliable": "reliable (cross-fitted)",
}


def report_text(content: Mapping, width: int = 79) -> str:
    """A report for a terminal: text in lines of at most ``width`` characters, and a table of 79."""
    data, voxels, first = content["data"], content["voxels"], content.get("first", [])
    units = plural(data.get("unit") or VOXEL)
    counts = ", ".join(f"{voxels[name]} {word}" for name, word in _COUNTS.items() if name in voxels)
    about = [
        *first,
        f"{data['n_samples']} stimuli ({data['evaluation']}), {data['n_features']} features ({data['layer']})",
        f"{voxels['all']} {units}: {counts}",
    ]
    lines = [
        *(line for text in about for line in textwrap.wrap(text, width, initial_indent="  ", subsequent_indent="  ")),
        *_confirmed_lines(content.get("confirmed"), units, width),
        "",
        f"  {'over ' + units:<25}{'n':>7}{'25 %':>8}{'median':>8}{'75 %':>8}{'ρ ceiling':>10}{'ρ R²/ceil.':>11}",
    ]
    for name, numbers in content["measures"].items():
        if not numbers["n"] and not content["measures"]["jne"]["n"]:  # nothing is predicted, which has been said
            continue
        cells = "".join(_number(numbers[key], "8.3f") for key in ("q25", "median", "q75"))
        rho = _number(numbers["with_noise_ceiling"], "+10.2f") + _number(numbers["with_explained"], "+11.2f")
        lines.append(f"  {MEASURES[name]:<25}{numbers['n']:>7}{cells}{rho}")
    lines += seed_lines(content.get("seeds", {}), width)
    told = [warning for warning in content["warnings"] if warning not in first]
    lines += ["", "Warnings" if told else "No warnings." if not first else "No further warnings."]
    warnings = [textwrap.fill(f"- {warning}", width, subsequent_indent="  ") for warning in told]
    return "\n".join([data["name"], *lines, *warnings])


def _number(value: float | None, form: str) -> str:
    width = int(form.strip("+").split(".")[0])
    return f"{'–':>{width}}" if value is None else f"{value:{form}}"


def _confirmed_lines(confirmed: Mapping | None, units: str, width: int) -> list[str]:
    """What the responses confirm of all significant voxels, which are called ``units``, together, in words."""
    if confirmed is None:
        return []
    if confirmed["share"] is None:
        text = f"Whether the responses confirm a nonlinearity is not known: {confirmed['reason']}."
    else:
        text = f"Of what is predicted in all significant {units} together, the responses confirm "
        text += f"{confirmed['share']:z.1%} as nonlinear (standard error {confirmed['se']:.1%}, p = "
        text += f"{confirmed['p_value']:.2g}; linear map {confirmed['linear_map']})."
    return textwrap.wrap(text, width, initial_indent="  ", subsequent_indent="  ")
