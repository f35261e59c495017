"""Verdicts on what the paper says of simulations and of computing, from what the chapters recorded. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from jne._core import capital
from jne.book.paper_facts import MATHEMATICS
from jne.study import VERDICTS

HOLDS, ONLY_IF, DOES_NOT, UNTESTED = VERDICTS
ABOUT = "mathematics"

SHAPE = 0.05
"""Largest error of the curve, relative to its closed form, at which it has the shape of the second derivative."""
SAMPLES, FOLLOWS = 100, 0.99
"""Number of Jacobians from which, and correlation, to two digits, with which JNE follows the amplitude: the paper's."""
SAME = 5.0
"""Per cent by which JNE may change with the scale of the inputs and still be called the same."""
COUPLED = 0.3
"""Partial rank correlation over simulated voxels from which JNE is said to follow the noise ceiling."""

Numbers = Mapping[str, float]
Found = tuple[str, float | None, str]
"""A verdict, the number that it rests on, and why."""


def mathematics_claims(records: Mapping[str, Mapping]) -> list[dict]:
    """A verdict on each of `jne.book.paper_facts.MATHEMATICS`, as `jne.study.replicate` has them on brains.

    Parameters
    ----------
    records : mapping of str to mapping
        Of `chapter_records`. A statement whose numbers are not among them cannot be tested.
    """
    rules: dict[str, tuple[str, Callable[[Numbers], Found]]] = {
        "unit-curve": ("simulations", _unit_curve),
        "relu-peak": ("simulations", _relu_peak),
        "place-order": ("simulations", _place_order),
        "samples": ("simulations", _samples),
        "scale": ("simulations", _scale),
        "linear-zero": ("trust", _linear_zero),
        "gain": ("trust", _gain),
        "closed-form": ("performance", _closed_form),
    }
    return [_entry(name, *_judged(records, *rules[name])) for name in MATHEMATICS]


def _judged(records: Mapping[str, Mapping], chapter: str, rule: Callable[[Numbers], Found]) -> Found:
    try:
        return rule({name: value for name, value in records[chapter].items() if value is not None})
    except KeyError as missing:
        return UNTESTED, None, f"The chapter {chapter} recorded no {missing.args[0]!r}."


def _entry(name: str, verdict: str, value: float | None, reason: str) -> dict:
    claim = MATHEMATICS[name][0]
    return {"id": name, "claim": claim, "verdict": verdict, "value": value, "reason": reason, "about": ABOUT}


def _below(numbers: Mapping[str, float], name: str) -> dict[str, float]:
    """What was recorded as a mapping: key -> value."""
    found = {key.removeprefix(f"{name}."): value for key, value in numbers.items() if key.startswith(f"{name}.")}
    if not found:
        raise KeyError(name)
    return found


def _unit_curve(numbers: Numbers) -> Found:
    error, off = numbers["window_error"], numbers["off_the_kink"]
    reason = f"GELU and SiLU are within {100 * error:.1g} % of their closed form, a multiple of the second derivative; "
    reason += f"of ReLU, windows without the kink have a JNE of at most {off:.2g}."
    return HOLDS if error <= SHAPE and off == 0 else DOES_NOT, error, reason


def _relu_peak(numbers: Numbers) -> Found:
    even, odd = numbers["kink.even"], numbers["kink.odd"]
    reason = f"at the kink JNE is {odd:.2g} with 1,001 inputs and {even:.2g} with 1,000. Moved off the kink, but still "
    reason += f"over it, a window has up to {numbers['kink.highest']:.2g}."
    if even >= odd / 2 > 0:
        return HOLDS, even / odd, capital(reason)
    if odd > 0:
        return ONLY_IF, even / odd, f"Only if a window has an odd number of inputs: {reason}"
    return DOES_NOT, None, capital(reason)


def _place_order(numbers: Numbers) -> Found:
    shares = _below(numbers, "activations in order")
    good = [layout for layout, share in shares.items() if share == 1]
    listed = "; ".join(f"{_skips(layout)} {share:.0%}" for layout, share in shares.items())
    reason = f"of the activations, these are in the paper's order with PyTorch's weights: {listed}."
    laws = {law: share for law, share in _below(numbers, "draws in order").items() if law != "torch"}
    if laws:
        reason += f" With larger weights a ReLU is in it in at least {min(laws.values()):.0%} of draws, with any skips."
    value = sum(share == 1 for share in shares.values()) / len(shares)
    if len(good) == len(shares):
        return HOLDS, value, capital(reason)
    if good:
        return ONLY_IF, value, f"Only if the network has {' or '.join(map(_skips, good))}: {reason}"
    return DOES_NOT, value, capital(reason)


def _skips(layout: str) -> str:
    return layout if layout.startswith("no ") else f"a skip round {'the ' if layout[:4] != 'each' else ''}{layout}"


def _samples(numbers: Numbers) -> Found:
    rs = {int(name.replace(",", "")): r for name, r in _below(numbers, "amplitude_r").items()}
    many = {n: r for n, r in rs.items() if n >= SAMPLES}
    if not many:
        return UNTESTED, None, f"No curve of {SAMPLES} Jacobians or more was drawn."
    listed = ", ".join(f"{r:.3f} from {n:,}" for n, r in sorted(rs.items()))
    enough = min(many.values()) >= FOLLOWS - 0.005
    return HOLDS if enough else DOES_NOT, min(many.values()), f"r is {listed} Jacobians."


def _scale(numbers: Numbers) -> Found:
    among, unit = numbers["from_100"], max(map(abs, _below(numbers, "at_unit_scale").values()))
    reason = (
        f"from a scale of 100 upwards JNE changes by at most {among:.1f} %, and from 10 to 1, the scale of z-scored "
    )
    reason += f"features, by up to {unit:.0f} %."
    if among > SAME:
        return DOES_NOT, among, capital(reason)
    if unit > SAME:
        return ONLY_IF, unit, f"Only if the inputs are large: {reason}"
    return HOLDS, unit, capital(reason)


def _linear_zero(numbers: Numbers) -> Found:
    jne = numbers["jne.linear"]
    return HOLDS if abs(jne) < 1e-6 else DOES_NOT, jne, f"JNE of a linear response is {jne:.2g}."


def _gain(numbers: Numbers) -> Found:
    ceiling, truth = (numbers[f"jne_follows.partial_{name}"] for name in ("ceiling", "truth"))
    reason = f"Over simulated voxels JNE follows the noise ceiling with a partial rank correlation of {ceiling:+.2f}, "
    reason += f"and the planted share with {truth:+.2f}."
    return HOLDS if abs(ceiling) < COUPLED else DOES_NOT, ceiling, reason


def _closed_form(numbers: Numbers) -> Found:
    times = numbers["closed_form_faster"]
    reason = f"With {numbers['few']}, the closed form takes {1 / times:.0%} of the time of one backward pass for each "
    reason += "voxel; both keep the whole Jacobian."
    return HOLDS if times > 1 else DOES_NOT, times, reason
