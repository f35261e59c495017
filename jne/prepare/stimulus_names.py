"""Ids of stimuli in two files, one of which may have the folders and endings of the pictures."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from jne.features import FeatureFile, picture_id
from jne.prepare.trials import Trials


def with_ids_of(features: FeatureFile, trials: Trials, report: Callable[[str], object] = lambda line: None) -> Trials:
    """Trials whose stimuli are called as the features file calls them.

    An id that the file does not have is looked for without folder and ending of an image, in both.

    Raises
    ------
    ValueError
        If the file lacks a stimulus, an id could be several of its own, or two ids would be one.
    """
    own = set(features.stimulus_id.tolist())
    if own.issuperset(trials.ids.tolist()):
        return trials
    meant = defaultdict(list)
    for identity in features.stimulus_id.tolist():
        meant[picture_id(identity)].append(identity)
    ids = []
    for identity in trials.ids.tolist():
        found = [identity] if identity in own else meant.get(picture_id(identity), [identity])
        if len(found) > 1:
            raise ValueError(
                f"stimuli: {identity!r} of {trials.path} may be {found[0]!r} or {found[1]!r} of {features.path}; write "
                "it as it is there"
            )
        ids += found
    features.index(ids)
    names, counts = np.unique(ids, return_counts=True)
    if (counts > 1).any():
        one = names[counts > 1][0]
        both = [old for old, new in zip(trials.ids.tolist(), ids, strict=True) if new == one]
        raise ValueError(
            f"stimuli: {both[0]!r} and {both[1]!r} of {trials.path} would both be {str(one)!r} of {features.path}; "
            "give each stimulus one id"
        )
    first = next((old, new) for old, new in zip(trials.ids.tolist(), ids, strict=True) if new != old)
    report(f"Ids are matched without folder and ending: {first[0]} is {first[1]} of {features.path.name}.")
    return replace(trials, ids=np.asarray(ids, str), table=trials.table.assign(id=np.asarray(ids, object)[trials.row]))
