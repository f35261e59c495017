"""Do the layers that carry a nonlinearity order networks as claimed, and in the same way for every activation?

The claim: the more layers are nonlinear, and the deeper they lie, the higher the JNE, whichever activation is used. The
paper makes it of residual networks with two places for an activation; here it is put to networks without skips. One
step adds a layer or moves one a place deeper; if every step raises a measure, the whole order holds.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pandas as pd
from scipy.stats import rankdata

from jne.simulations.networks import layer_subsets
from jne.simulations.responses import activation_label

MORE, DEEPER = "one more layer", "one place deeper"


def claimed_steps(n_layers: int = 4) -> list[tuple[str, str, str]]:
    """The single steps of the claimed order: ``(lower, higher, kind)`` with the names of `layer_subsets`.

    Steps from no nonlinear layer at all are left out: a linear network scores 0 by definition.
    """
    names = {subset: name for name, subset in layer_subsets(n_layers).items()}
    steps = []
    for subset, name in names.items():
        free = [layer for layer in range(1, n_layers + 1) if layer not in subset]
        if subset:
            steps += [(name, names[tuple(sorted((*subset, layer)))], MORE) for layer in free]
        for layer in subset:
            if layer + 1 in free:
                moved = tuple(sorted({*subset, layer + 1} - {layer}))
                steps.append((name, names[moved], DEEPER))
    return steps


def kendalls_w(values: np.ndarray) -> np.ndarray:
    """Kendall's coefficient of concordance W: how far all raters order the items alike.

    Parameters
    ----------
    values : array ``(..., n_items, n_raters)``
        Only ranks within a rater count; ties share their mean rank, without further correction.

    Returns
    -------
    array ``(...)``
        1 where all orders are the same; ``1 / n_raters`` on average for random orders.
    """
    values = np.asarray(values, float)
    n_items, n_raters = values.shape[-2:]
    totals = rankdata(values, axis=-2).sum(axis=-1)
    spread = ((totals - totals.mean(axis=-1, keepdims=True)) ** 2).sum(axis=-1)
    return 12 * spread / (n_raters**2 * (n_items**3 - n_items))


def order_agreement(
    frame: pd.DataFrame, measure: str, *, n_bootstrap: int = 1000, random_state: int = 0
) -> dict[str, float]:
    """Kendall's W over activations of the order of the subsets of layers, with a bootstrap interval over seeds.

    Parameters
    ----------
    frame : pandas.DataFrame
        From `jne.simulations.survey_subsets`.
    measure : str
        Its column.
    n_bootstrap, random_state : int

    Returns
    -------
    dict
        ``w``, the mean over seeds of the W of one seed's networks; ``low`` and ``high``, its 95 % interval.
    """
    each = kendalls_w(_by_seed(frame, measure)[0])
    low, high = np.quantile(_resampled(each, np.mean, n_bootstrap, random_state), [0.025, 0.975])
    return {"w": float(each.mean()), "low": float(low), "high": float(high)}


def order_steps(frame: pd.DataFrame, measure: str, *, n_bootstrap: int = 1000, random_state: int = 0) -> pd.DataFrame:
    """Every step of the claimed order, tested for every activation.

    Returns
    -------
    pandas.DataFrame
        One row per step and activation: ``lower``, ``higher``, ``kind`` (`MORE` or `DEEPER`), ``activation``,
        ``difference`` (median over seeds of the paired difference), its 95 % bootstrap bounds ``low`` and ``high``,
        ``rises`` (difference above 0) and ``violated`` (the whole interval below 0).
    """
    values, layers, activations = _by_seed(frame, measure)
    steps = [step for step in claimed_steps() if step[0] in layers and step[1] in layers]
    lower, higher = ([layers.index(step[end]) for step in steps] for end in (0, 1))
    differences = values[:, higher] - values[:, lower]
    samples = _resampled(differences, np.median, n_bootstrap, random_state)
    low, high = np.quantile(samples, [0.025, 0.975], axis=0)
    median = np.median(differences, axis=0)
    index = pd.MultiIndex.from_product([range(len(steps)), activations], names=["step", "activation"])
    content = {"difference": median.ravel(), "low": low.ravel(), "high": high.ravel()}
    table = pd.DataFrame(content, index=index).reset_index()
    named = pd.DataFrame(steps, columns=["lower", "higher", "kind"]).loc[table.pop("step")].reset_index(drop=True)
    return pd.concat([named, table], axis=1).assign(rises=table["difference"] > 0, violated=table["high"] < 0)


def order_table(
    surveys: Mapping[str, tuple[pd.DataFrame, str]], *, n_bootstrap: int = 1000, random_state: int = 0
) -> pd.DataFrame:
    """Agreement over activations and the claimed order, one row per survey and measure.

    Parameters
    ----------
    surveys : mapping of str to (pandas.DataFrame, str)
        Row label -> frame from `jne.simulations.survey_subsets` and its measure.
    n_bootstrap, random_state : int

    Returns
    -------
    pandas.DataFrame
        What `order_agreement` returns; and for each kind of step, over steps and activations, the
        share that ``rises`` and the share that is clearly ``violated`` (`order_steps`).
    """
    rows = {}
    options = {"n_bootstrap": n_bootstrap, "random_state": random_state}
    for label, (frame, measure) in surveys.items():
        agreement = order_agreement(frame, measure, **options)
        row = {("Kendall's W", "W" if name == "w" else name): value for name, value in agreement.items()}
        shares = order_steps(frame, measure, **options).groupby("kind", sort=False)[["rises", "violated"]].mean()
        row |= {(kind, name): shares.loc[kind, name] for kind in shares.index for name in shares}
        rows[label] = row
    return pd.DataFrame.from_dict(rows, orient="index")


def name_violations(steps: pd.DataFrame, n_named: int = 6) -> str:
    """The pairs of subsets that violate the claimed order, the most often violated first, in words.

    Parameters
    ----------
    steps : pandas.DataFrame
        From `order_steps`.
    n_named : int
        How many are named; the number of the others is given.
    """
    violated = steps[steps["violated"]]
    if violated.empty:
        return "no pair"
    pairs = violated.groupby(["lower", "higher"], sort=False)["activation"].agg(list)
    pairs = pairs.iloc[np.argsort([-len(names) for names in pairs], kind="stable")]
    total = steps["activation"].nunique()
    named = []
    for (lower, higher), names in pairs.iloc[:n_named].items():
        where = f"{len(names)} of {total}" if len(names) > 3 else ", ".join(map(activation_label, names))
        named.append(f"{higher} below {lower} ({where})")
    return _and_more(named, len(pairs))


def contradictions(frame: pd.DataFrame, first: str, second: str) -> list[tuple[str, str]]:
    """Pairs of networks that two measures order in opposite ways in every seed.

    Parameters
    ----------
    frame : pandas.DataFrame
        With the columns ``network`` and ``seed``.
    first, second : str
        Its measures.

    Returns
    -------
    list of (str, str)
        ``(a, b)``: a is above b by ``first`` and below b by ``second``; the largest difference in ranks comes first.
    """
    names = list(dict.fromkeys(frame["network"]))
    one, two = (frame.pivot(index="seed", columns="network", values=m)[names] for m in (first, second))
    above = (one.to_numpy()[:, :, None] > one.to_numpy()[:, None]).all(axis=0)
    below = (two.to_numpy()[:, :, None] < two.to_numpy()[:, None]).all(axis=0)
    ranks = (one.median().rank() - two.median().rank()).to_numpy()
    pairs = zip(*np.nonzero(above & below), strict=True)
    return [(names[a], names[b]) for a, b in sorted(pairs, key=lambda pair: ranks[pair[1]] - ranks[pair[0]])]


def name_pairs(pairs: Sequence[tuple[str, str]], n_named: int = 4, *, relation: str = "above") -> str:
    """Pairs of networks in words, such as "sin above ReLU"."""
    named = [f"{activation_label(a)} {relation} {activation_label(b)}" for a, b in pairs[:n_named]]
    return _and_more(named, len(pairs)) if pairs else "no pair"


def _and_more(named: Sequence[str], total: int) -> str:
    left = total - len(named)
    return "; ".join(named) + (f"; and {left} more" if left else "")


def _by_seed(frame: pd.DataFrame, measure: str) -> tuple[np.ndarray, list[str], list[str]]:
    """Values ``(n_seeds, n_subsets, n_activations)`` of the nonlinear networks, and the names of both axes."""
    frame = frame[frame["layers"] != "none"]
    names = [list(dict.fromkeys(frame[column])) for column in ("seed", "layers", "activation")]
    index = pd.MultiIndex.from_product(names, names=["seed", "layers", "activation"])
    values = frame.set_index(["seed", "layers", "activation"])[measure].reindex(index)
    return values.to_numpy().reshape([len(axis) for axis in names]), names[1], names[2]


def _resampled(values: np.ndarray, statistic: Callable, n_bootstrap: int, random_state: int) -> np.ndarray:
    """A statistic of the first axis, over bootstraps of it: ``(n_bootstrap, ...)``."""
    draws = np.random.default_rng(random_state).integers(len(values), size=(n_bootstrap, len(values)))
    return np.stack([statistic(values[draw], axis=0) for draw in draws])
