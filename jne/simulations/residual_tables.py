"""Tables of random residual networks: the order of the places of an activation, and what the inputs' scale changes."""

from __future__ import annotations

import pandas as pd

from jne.simulations.residual_networks import PLACES


def place_order(frame: pd.DataFrame) -> pd.DataFrame:
    """Mean JNE of every place of an activation over draws of the weights, and whether they are in the paper's order.

    Parameters
    ----------
    frame : pandas.DataFrame
        From `jne.simulations.survey_residual`, of one distribution and scale.

    Returns
    -------
    pandas.DataFrame
        Indexed by ``law``, ``layout`` and ``activation``: a column of means for each of `PLACES`; ``order``, their
        names from the lowest mean to the highest; ``ordered``, the share of draws with none < Loc1 < Loc2 < both;
        ``last_step``, both less Loc2, over the mean of both, and its standard error over draws ``last_step_se``.
    """
    index = ["law", "layout", "activation"]
    draws = frame.pivot_table(index=[*index, "draw"], columns="place", values="jne", sort=False)[list(PLACES)]
    means = draws.groupby(index, sort=False).mean()
    order = [" < ".join(row.sort_values(kind="stable").index) for _, row in means.iterrows()]
    ordered = (draws.diff(axis=1).iloc[:, 1:] > 0).all(axis=1).groupby(index, sort=False).mean()
    last = (draws["both"] - draws["Loc2"]).groupby(index, sort=False)
    last_step, error = last.mean() / means["both"], last.sem() / means["both"]
    return means.assign(order=order, ordered=ordered, last_step=last_step, last_step_se=error)


def scale_means(frame: pd.DataFrame) -> pd.DataFrame:
    """Mean JNE over draws of the weights, for every scale of the inputs.

    Parameters
    ----------
    frame : pandas.DataFrame
        From `jne.simulations.survey_residual`, of one law and layout.

    Returns
    -------
    pandas.DataFrame
        Rows ``activation`` and ``place`` (without "none", whose JNE is 0), columns ``distribution`` and ``scale``.
    """
    axes = {"index": ["activation", "place"], "columns": ["distribution", "scale"]}
    return frame[frame["place"] != "none"].pivot_table(values="jne", sort=False, **axes)


def scale_changes(frame: pd.DataFrame, reference: float = 10) -> pd.DataFrame:
    """By how much the mean JNE at each scale of the inputs differs from that at ``reference``.

    Parameters
    ----------
    frame : pandas.DataFrame
        As of `scale_means`.
    reference : float, default=10

    Returns
    -------
    pandas.DataFrame
        As of `scale_means`: the mean divided by that at the reference, less 1.

    Raises
    ------
    ValueError
        If no network was measured at ``reference``.
    """
    scales = sorted(set(frame["scale"]))
    if reference not in scales:
        raise ValueError(f"reference={reference}; accepted are the scales measured, {scales}")
    means = scale_means(frame)
    at_reference = means.xs(reference, axis=1, level="scale")[means.columns.get_level_values("distribution")]
    return means / at_reference.to_numpy() - 1
