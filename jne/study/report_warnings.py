"""What a report warns of, in sentences that say what to do."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import xarray as xr

from jne._core import capital
from jne.accuracy import too_few_bootstraps
from jne.measures import REGISTRY
from jne.statistics import said_first

_FOLLOWS = ("jne", "nonlinear_share", "prediction_share", "validated_share", "crossfit_share")
STRONG = 0.3
"""Rank correlation with the noise ceiling from which a measure is said to follow it."""
LITTLE = 0.1
"""Validated share of all significant voxels together below which the nonlinear part is said to be hardly anything."""
FEW_STIMULI = 200
"""Below so many held-out stimuli JNE is known to no better than about 5 % (chapter on trust)."""


def warnings_of(
    result: xr.Dataset,
    measures: Mapping,
    voxels: Mapping,
    facts: Mapping,
    confirmed: Mapping | None,
    predicted: np.ndarray,
    of_one_fit: float | None,
) -> list[str]:
    """Sentences on the parts of a report; see `jne.report`."""
    return [
        *_of_validation(confirmed, voxels),
        *_of_confounds(measures),
        *_of_accuracy(result, predicted),
        *_of_fits(measures, voxels, of_one_fit),
        *_of_data(facts),
    ]


def _of_validation(confirmed: Mapping | None, voxels: Mapping) -> list[str]:
    if confirmed is None or confirmed["share"] is None:
        return []
    share = f"{confirmed['share']:+z.3f} (standard error {confirmed['se']:.3f}, p = {confirmed['p_value']:.2g})"
    if confirmed["p_value"] > 0.05:
        return [
            "The nonlinear part of the predictions predicts nothing here: of all significant voxels together, the "
            f"responses confirm a share of {share}, and one in {voxels['confirmed']} of {voxels['significant']} "
            "voxels. JNE and the nonlinear share are of the fit; nothing says that they are of the responses."
        ]
    if confirmed["share"] < LITTLE:
        return [
            "Nearly all that is predicted here is linear in these features: of all significant voxels together, the "
            f"responses confirm a nonlinear share of {share}, and one in {voxels['confirmed']} of "
            f"{voxels['significant']} voxels. JNE and the nonlinear share of a voxel are mostly of the fit."
        ]
    return []


def _of_confounds(measures: Mapping) -> list[str]:
    found = []
    for name in _FOLLOWS:
        rho = measures.get(name, {}).get("with_noise_ceiling")
        if rho is not None and abs(rho) >= STRONG:
            direction = "higher" if rho > 0 else "lower"
            found.append(
                f"{capital(REGISTRY[name].label)} follows the noise ceiling over voxels (rank correlation {rho:+.2f}"
                f"): it is {direction} where the signal is better. Differences in it between voxels or areas need not "
                "be differences in nonlinearity; compare areas of the same noise ceiling."
            )
    strong = {name: measures.get(name, {}).get("with_explained") for name in _FOLLOWS}
    strong = {name: rho for name, rho in strong.items() if rho is not None and abs(rho) >= STRONG}
    if strong:
        listed = ", ".join(f"{REGISTRY[name].label} {rho:+.2f}" for name, rho in strong.items())
        found.append(
            f"Over voxels, these follow R² / noise ceiling, how well a voxel is predicted from these features (rank "
            f"correlation): {listed}. Where features fit an area better, they differ with or without nonlinearity; see "
            'whether it stays with each voxel\'s best layer (layer="best").'
        )
    if "noise_ceiling" not in measures:
        found.append(
            "The noise ceiling is not known, so nothing here can show whether a measure follows the signal-to-noise "
            "ratio. Repeats of some stimuli would."
        )
    return found


def _of_accuracy(result: xr.Dataset, predicted: np.ndarray) -> list[str]:
    found, settings = [], result.attrs
    if "p_value" in result:
        few = too_few_bootstraps(result["p_value"].values, settings["n_bootstrap"], settings["q"])
        found += [few] if few else []
    found += said_first(result)
    if "r2_linearised" in result and predicted.any():
        gain = float(np.nanmedian((result["r2"] - result["r2_linearised"]).values[predicted]))
        if gain <= 0:
            found.append(
                f"The mean Jacobian alone predicts as well as the encoder (median difference of R² {gain:+.3f} over "
                "significant voxels): what its Jacobian does from stimulus to stimulus adds nothing to R²."
            )
    return found


def _of_fits(measures: Mapping, voxels: Mapping, of_one_fit: float | None) -> list[str]:
    found = []
    share, null, shared = (
        measures.get(name, {}).get("median") for name in ("nonlinear_share", "null_share", "crossfit_share")
    )
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
    if "reliable" in voxels and voxels["reliable"] < voxels["all"] / 2:
        found.append(
            f"Only {voxels['reliable']} of {voxels['all']} voxels are reliable (two encoders agree on more than "
            "noise); in the others the cross-fitted share is not given."
        )
    return found


def _of_data(facts: Mapping) -> list[str]:
    found = []
    if facts["n_samples"] < FEW_STIMULI:
        found.append(
            f"The measures rest on {facts['n_samples']} stimuli; with fewer than about {FEW_STIMULI}, JNE itself and "
            "above all JNE-SS depend on which stimuli these were."
        )
    if facts["synthetic"]:
        found.append("The responses are synthetic: nothing here is a finding about a brain.")
    return found
