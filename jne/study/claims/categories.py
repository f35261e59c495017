"""Claims about categories of stimuli (Figure 8 and Table 5 of the paper)."""

from __future__ import annotations

import re
from functools import partial

import numpy as np
import pandas as pd
import xarray as xr

from jne.cortex import paper_areas
from jne.statistics import by_paper_area, category_table, confirmed_test, double_centred, mean_table, predicted_voxels
from jne.study.claims.evidence import Evidence, Results
from jne.study.claims.verdicts import Finding, Verdict, judge
from jne.study.validation import with_area_share

PEOPLE = re.compile(r"\b(people|persons?|humans?|faces?|bod(?:y|ies)|wom[ae]n|m[ae]n|child(?:ren)?)\b")
OUTDOOR = re.compile(r"\b(outdoor scenes?|landscapes?)\b")
"""Which names of categories count, in lower case and with blanks for ``_`` and ``-``.

COCO's *outdoor* (benches, traffic lights) is not among them.
"""
LEAST_STIMULI = 5
"""Of a category, that are tested."""


def category_claims(evidence: Evidence) -> list[Verdict]:
    """Verdicts on ``people`` and ``outdoor-scenes``; value: JNE-SS of these areas for these categories, in z-scores
    beyond what the area has for others and others have for these (`jne.statistics.double_centred`), mean over both."""
    people = partial(prefer, ("FFA-1", "FFA-2", "EBA"), PEOPLE)
    outdoor = partial(prefer, ("PPA", "RSC"), OUTDOOR)
    return [judge("people", evidence, people), judge("outdoor-scenes", evidence, outdoor)]


def prefer(areas: tuple[str, ...], wanted: re.Pattern, results: Results, measure: str, given: str | None) -> Finding:
    """Whether each of the areas that are there prefers a wanted category.

    By JNE: of the table of mean JNE-SS by area and category, less the means of its rows and columns, averaged over
    subjects, the largest number of the area's row is at such a category. By the validated share:
    `jne.statistics.confirmed_test` calls the area selective for one. By the planted share it is not known.
    """
    if given or measure == "true_nonlinearity":
        return Finding(None, None, "it compares categories within areas, not areas")
    if reason := _missing(results):
        return Finding(None, None, reason)
    named = [_by_area(result) for result in results.values()]
    names = list(dict.fromkeys(named[0]["category"].values.astype(str)))
    wanted_names = [name for name in names if wanted.search(re.sub(r"[-_]", " ", name.lower()))]
    if not wanted_names or len(wanted_names) == len(names):
        return Finding(None, None, f"none of the categories is of this kind; they are {', '.join(names[:20])}")
    try_table = _confirmed if measure == "validated_share" else _jne_ss
    if measure == "validated_share" and not all("validated_area_products" in result for result in named):
        return Finding(None, None, str(named[0].attrs.get("validated_reason", "it is not known")))
    values, called = try_table(named)
    here = [area for area in areas if area in values.index]
    if not here:
        return Finding(None, None, f"needed: {' or '.join(areas)} with a significant voxel")
    chosen = {area: [name for name in names if called.loc[area, name]] for area in here}
    shown = {area: any(name in wanted_names for name in found) for area, found in chosen.items()}
    what = "the responses confirm most for" if measure == "validated_share" else "JNE-SS is highest for"
    words = "; ".join(f"{area}: {what} {', '.join(found) or 'no category'}" for area, found in chosen.items())
    value = float(values.loc[here, wanted_names].to_numpy().mean())
    return Finding(all(shown.values()), value if np.isfinite(value) else None, words)


def _missing(results: Results) -> str:
    for result in results.values():
        if "roi" not in result:
            return "the areas are not known"
        if "category" not in result:
            return "the stimuli have no categories"
        if not predicted_voxels(result).any():
            return "no voxel is significant"
        least = pd.Series(result["category"].values.astype(str)).value_counts().min()
        if least < LEAST_STIMULI:
            return f"only {least} of a category's stimuli are tested; needed: {LEAST_STIMULI}"
    first = {str(name) for name in next(iter(results.values()))["category"].values}
    if any({str(name) for name in result["category"].values} != first for result in results.values()):
        return "the subjects' stimuli have different categories"
    return ""


def _by_area(result: xr.Dataset) -> xr.Dataset:
    """A result by the paper's areas where there are any, and what responses confirm summed over them."""
    named = by_paper_area(result, others=True)
    if "validated_area_products" not in result:
        return named
    area = result["area"].values.astype(str)
    own = paper_areas(area)
    label, place = np.unique(np.where(own == "", area, own), return_inverse=True)
    into = (place[:, None] == np.arange(len(label))).astype(float)
    of_areas = [name for name in named.variables if "area" in named[name].dims]
    products, predicted = (result[f"validated_area_{name}"].values @ into for name in ("products", "predicted"))
    named = named.drop_vars(of_areas).assign_coords(area=label.astype(object))
    return with_area_share(named.assign(validated_area_products=(("sample", "area"), products),
                                        validated_area_predicted=("area", predicted)))  # fmt: skip


def _jne_ss(results: list[xr.Dataset]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The interaction of area and category in JNE-SS, and of each row the largest."""
    centred = double_centred(mean_table([category_table(result) for result in results]))
    return centred, centred.eq(centred.max(axis=1), axis=0)


def _confirmed(results: list[xr.Dataset]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The same of what responses confirm, and what is called."""
    cells = confirmed_test(results)
    return cells["index"].unstack(), cells["selective"].unstack()
